"""CSV with a header: all that picks hold, for spreadsheets and scripts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from cryomae.atomic import atomic_path
from cryomae.errors import FormatError, NoCoordinatesError
from cryomae.formats.registry import Context, Format
from cryomae.formats.values import check_finite, numbers, read_text
from cryomae.picks import COLUMNS, Picks


def read(path: Path) -> Picks:
    """Read picks of one or many micrographs.

    Parameters
    ----------
    path : Path
        Comma-separated text whose first row names the columns. ``x`` and ``y`` must be there;
        ``micrograph``, ``score``, ``diameter`` (Å) and ``provenance`` may be.

    Returns
    -------
    Picks
        What is not there is filled in: the file's stem, 1, NaN, ``csv``.

    Raises
    ------
    FormatError
        If a column is missing or a value is no number.
    """
    read_text(path)
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise FormatError(f"is not a table: {error}", "check the file", path) from error
    missing = [column for column in ("x", "y") if column not in table]
    if missing:
        raise NoCoordinatesError(
            f"has no column {missing[0]}",
            "the first row must name the columns: micrograph, x, y, score",
            path,
        )
    xy = np.column_stack([numbers(table[c], c, path) for c in ("x", "y")])
    score = numbers(table["score"], "score", path) if "score" in table else np.ones(len(table))
    picks = Picks.from_arrays(path.stem, xy, score, float("nan"), "csv").table
    for column in ("micrograph", "provenance"):
        if column in table:
            picks[column] = table[column].to_numpy(object)
    if "diameter" in table:
        filled = table["diameter"].replace("", "nan")
        picks["diameter"] = pd.to_numeric(filled, errors="coerce").to_numpy(np.float64)
    return Picks(picks)


def write(path: Path, picks: Picks, _context: Context) -> None:
    """Write every column of the picks, numbers in full."""
    check_finite(picks, path)
    with atomic_path(path) as temporary:
        picks.table[list(COLUMNS)].to_csv(temporary, index=False)


FORMAT = Format("CSV", "csv", (".csv",), read, write, many=True)
