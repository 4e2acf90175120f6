"""Plain text of x and y, which RELION reads under any suffix that it does not know.

RELION cuts off decimals, so whole numbers are written.
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
    """Read x and y of one micrograph, a particle a line.

    Parameters
    ----------
    path : Path
        Text file; a first line of words and lines that begin with ``#`` are skipped, and so
        are columns beyond the second.

    Returns
    -------
    Picks
        Score 1; the file's stem as micrograph.

    Raises
    ------
    FormatError
        If a line holds something else.
    """
    lines = [line.split() for line in read_text(path).splitlines()]
    rows = [row for row in lines if row and not row[0].startswith("#")]
    if rows and not _is_number(rows[0][0]):
        rows = rows[1:]
    short = next((number for number, row in enumerate(rows, start=1) if len(row) < 2), None)
    if short is not None:
        raise FormatError(f"row {short} does not hold x and y", "correct that row", path)
    xy = np.column_stack([numbers([row[i] for row in rows], "xy"[i], path) for i in (0, 1)])
    return Picks.from_arrays(path.stem, xy, np.ones(len(xy)), float("nan"), "coords")


def write(path: Path, picks: Picks, _context: Context) -> None:
    """Write x and y as whole numbers, a particle a line."""
    points = whole_pixels(picks, path=path)
    write_text(path, "".join(f"{x} {y}\n" for x, y in points.tolist()))


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


FORMAT = Format("plain coordinates", "coords", (".coords",), read, write, many=False, header=False)
