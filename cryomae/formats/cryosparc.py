"""cryoSPARC's ``.cs``."""

from __future__ import annotations

from pathlib import Path

from cryomae.formats.registry import Context, Format
from cryomae.picks import Picks


def read(path: Path) -> Picks:
    """Read picks."""
    raise NotImplementedError


def write(path: Path, picks: Picks, context: Context) -> None:
    """Write picks."""
    raise NotImplementedError


FORMAT = Format("cryoSPARC", "cryosparc", (".cs",), read, write, many=True)
