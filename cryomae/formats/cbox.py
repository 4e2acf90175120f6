"""crYOLO's ``.cbox`` of version 1.8 and later: STAR with the corner of each box.

The older binary form, and boxes of tomograms, are not read.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from cryomae.atomic import write_text
from cryomae.errors import FormatError
from cryomae.formats.registry import Context, Format
from cryomae.formats.star import read_blocks
from cryomae.formats.values import check_finite, numbers
from cryomae.picks import Picks

_COLUMNS = (
    "CoordinateX",
    "CoordinateY",
    "CoordinateZ",
    "Width",
    "Height",
    "Depth",
    "EstWidth",
    "EstHeight",
    "Confidence",
    "NumBoxes",
    "Angle",
)


def read(path: Path) -> Picks:
    """Read the boxes of one micrograph.

    Parameters
    ----------
    path : Path
        File with the block ``data_cryolo``.

    Returns
    -------
    Picks
        At the centres, crYOLO's confidence as score; the file's stem as micrograph.

    Raises
    ------
    FormatError
        If the file is of another version, or a value is no number.
    """
    blocks = read_blocks(path)
    table = blocks.get("cryolo")
    if table is None:
        raise FormatError("has no block data_cryolo", "write it with crYOLO 1.8 or later", path)
    if not len(table.columns):
        table = pd.DataFrame(columns=list(_COLUMNS))
    missing = [c for c in ("CoordinateX", "CoordinateY", "Width", "Height") if c not in table]
    if missing:
        raise FormatError(f"has no column {missing[0]}", "write it with crYOLO again", path)

    def column(name: str) -> np.ndarray:
        return numbers(table[name], name, path)

    xy = np.column_stack(
        [
            column("CoordinateX") + column("Width") / 2,
            column("CoordinateY") + column("Height") / 2,
        ]
    )
    score = column("Confidence") if "Confidence" in table else np.ones(len(xy))
    return Picks.from_arrays(path.stem, xy, score, float("nan"), "cryolo")


def write(path: Path, picks: Picks, context: Context) -> None:
    """Write boxes of ``context.box`` pixels with the score as confidence."""
    check_finite(picks, path)
    side = context.side(path)
    corners = picks.xy - side / 2
    rows = [
        f"{x!r} {y!r} nan {side} {side} nan {side} {side} {score!r} 1 nan"
        for (x, y), score in zip(corners.tolist(), picks.score.tolist(), strict=True)
    ]
    head = ["", "data_global", "", "_cbox_format_version 1.0", "", "data_cryolo", "", "loop_"]
    names = [f"_{column} #{number}" for number, column in enumerate(_COLUMNS, start=1)]
    tail = ["", "data_cryolo_include", "", "loop_", "_slice_index #1", ""]
    write_text(path, "\n".join([*head, *names, *rows, *tail, ""]))


FORMAT = Format("crYOLO cbox", "cryolo", (".cbox",), read, write, many=False)
