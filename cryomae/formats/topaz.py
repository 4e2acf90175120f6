"""Topaz's table: ``image_name``, ``x_coord``, ``y_coord`` and perhaps ``score``, by tabs.

Image names have no folder and no suffix. Coordinates are centres in whole pixels of the
images that Topaz was given, which are often downsampled: scale them when they come back.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from cryomae.atomic import atomic_path
from cryomae.errors import FormatError, InputError, NoCoordinatesError
from cryomae.formats.registry import Context, Format
from cryomae.formats.star import whole_pixels
from cryomae.formats.values import check_finite, numbers, read_text
from cryomae.names import find_clash, stem
from cryomae.picks import Picks

_NAME, _X, _Y, _SCORE = "image_name", "x_coord", "y_coord", "score"


def read(path: Path) -> Picks:
    """Read the particles of one or many micrographs.

    Parameters
    ----------
    path : Path
        Text file with the columns above.

    Returns
    -------
    Picks
        Score 1 where the file has none. Topaz's own scores are log odds and stay so.

    Raises
    ------
    FormatError
        If a column is missing or a value is no number.
    """
    lines = read_text(path).splitlines()
    head = lines[0].split("\t") if lines else []
    missing = [column for column in (_NAME, _X, _Y) if column not in head]
    if missing:
        raise NoCoordinatesError(
            f"has no column {missing[0]}",
            "give a table of Topaz; lists of x and y alone end in .coords",
            path,
        )
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    except pd.errors.ParserError as error:
        raise FormatError(f"is not a table: {error}", "correct that row", path) from error
    xy = np.column_stack([numbers(table[column], column, path) for column in (_X, _Y)])
    score = numbers(table[_SCORE], _SCORE, path) if _SCORE in table else np.ones(len(table))
    picks = Picks.from_arrays("", xy, score, float("nan"), "topaz")
    return Picks(picks.table.assign(micrograph=table[_NAME].to_numpy(object)))


def write(path: Path, picks: Picks, _context: Context) -> None:
    """Write whole pixels; names lose folder and suffix, as Topaz wants them."""
    check_finite(picks, path)
    names = picks.table["micrograph"]
    clash = find_clash(names.unique())
    if clash:
        raise InputError(
            f"Topaz could not tell {clash[0]} and {clash[1]} apart, for it knows no folders",
            "write each folder of micrographs on its own",
            path,
        )
    points = whole_pixels(picks, path=path)
    stems = {name: stem(name) for name in names.unique()}
    table = pd.DataFrame(
        {_NAME: names.map(stems), _X: points[:, 0], _Y: points[:, 1], _SCORE: picks.score}
    )
    with atomic_path(path) as temporary:
        table.to_csv(temporary, sep="\t", index=False)


FORMAT = Format("Topaz table", "topaz", (".txt", ".tsv"), read, write, many=True)
