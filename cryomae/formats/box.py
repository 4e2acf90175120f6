"""EMAN ``.box``: a box a line, as EMAN, RELION, Topaz and crYOLO read it.

A line holds x, y, width and height in pixels. x and y are the corner of smallest column and
row; the particle lies at x + width / 2 and y + height / 2, which RELION takes as whole numbers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cryomae.atomic import write_text
from cryomae.errors import FormatError
from cryomae.formats.registry import Context, Format
from cryomae.formats.star import whole_pixels
from cryomae.formats.values import numbers, read_text
from cryomae.picks import Picks


def read(path: Path) -> Picks:
    """Read the boxes of one micrograph.

    Parameters
    ----------
    path : Path
        File with x, y, width, height and perhaps more on each line.

    Returns
    -------
    Picks
        At the centres, score 1; the file's stem as micrograph.

    Raises
    ------
    FormatError
        If a line holds something else.
    """
    rows = [line.split() for line in read_text(path).splitlines() if line.strip()]
    short = next((number for number, row in enumerate(rows, start=1) if len(row) < 4), None)
    if short is not None:
        raise FormatError(
            f"row {short} has fewer than the four numbers x, y, width, height",
            "give a box file; lists of x and y alone end in .coords",
            path,
        )
    columns = ("x", "y", "width", "height")
    values = [numbers([r[i] for r in rows], name, path) for i, name in enumerate(columns)]
    x, y, width, height = values
    xy = np.column_stack([x + width / 2, y + height / 2])
    return Picks.from_arrays(path.stem, xy, np.ones(len(xy)), float("nan"), "box")


def write(path: Path, picks: Picks, context: Context) -> None:
    """Write boxes of ``context.box`` pixels, an even number, around whole pixels."""
    side = context.side(path)
    corners = whole_pixels(picks, path=path) - side // 2
    write_text(path, "".join(f"{x}\t{y}\t{side}\t{side}\n" for x, y in corners.tolist()))


FORMAT = Format("EMAN box", "box", (".box",), read, write, many=False, header=False)
