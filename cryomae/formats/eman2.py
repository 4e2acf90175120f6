"""EMAN2's ``info/NAME_info.json``: ``{"boxes": [[x, y, "manual"], ...]}``, centres in pixels.

EMAN2 keeps much else there (defocus, quality); a file that is written here holds boxes only.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from cryomae.atomic import write_text
from cryomae.errors import FormatError, NoCoordinatesError
from cryomae.formats.registry import Context, Format
from cryomae.formats.values import check_finite, numbers, read_text
from cryomae.picks import Picks

ENDING = "_info"


def read(path: Path) -> Picks:
    """Read the boxes of one micrograph.

    Parameters
    ----------
    path : Path
        File of EMAN2, without or with a score as the fourth value of a box.

    Returns
    -------
    Picks
        Score 1 where a box has none; the file's stem less ``_info`` as micrograph.

    Raises
    ------
    FormatError
        If the file is no JSON or holds no boxes.
    """
    try:
        found = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise FormatError(f"is not JSON: {error}", "check that it is complete", path) from error
    if isinstance(found, dict) and "boxes" not in found:
        raise NoCoordinatesError("holds no list of boxes", "give a file of e2boxer.py", path)
    boxes = found.get("boxes") if isinstance(found, dict) else None
    if not isinstance(boxes, list) or not all(isinstance(b, list) and len(b) >= 2 for b in boxes):
        raise FormatError("holds no list of boxes", "give a file of e2boxer.py", path)
    xy = np.column_stack([numbers([box[i] for box in boxes], "xy"[i], path) for i in (0, 1)])
    score = numbers([box[3] if len(box) > 3 else 1.0 for box in boxes], "score", path)
    name = path.stem.removesuffix(ENDING)
    return Picks.from_arrays(name, xy, score, float("nan"), "eman2")


def write(path: Path, picks: Picks, _context: Context) -> None:
    """Write the boxes alone, each with its score as the fourth value."""
    check_finite(picks, path)
    boxes = [
        [x, y, "manual", score]
        for (x, y), score in zip(picks.xy.tolist(), picks.score.tolist(), strict=True)
    ]
    write_text(path, json.dumps({"boxes": boxes}, indent=0) + "\n")


FORMAT = Format("EMAN2 info", "eman2", (".json",), read, write, many=False)
