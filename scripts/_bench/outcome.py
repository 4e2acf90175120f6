"""What running a picker on a set gives, kept on disk so that no run is done twice."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from _bench.measure import Measured
from cryomae.errors import CryomaeError
from cryomae.formats.star import read_picks, write_picks
from cryomae.picks import Picks

FAILURES = (RuntimeError, ValueError, OSError, CryomaeError)
"""What a picker may fail with; anything else is a fault of the benchmark."""


@dataclass(frozen=True)
class Outcome:
    """Picks of one picker on one set, and what they took.

    Attributes
    ----------
    picks : Picks or None
        At its own threshold; None if no threshold is its own.
    candidates : Picks
        All it found, for figures over thresholds.
    micrographs : int
        Picked in ``pick_s`` seconds.
    pick_s, prepare_s : float
        Wall time of picking, and of training or tuning before it.
    peak_mb : float
        Largest resident memory of any process of either.
    note : str
        Version and what was chosen, for people.
    commands : list of list of str
    """

    picks: Picks | None
    candidates: Picks
    micrographs: int
    pick_s: float
    prepare_s: float
    peak_mb: float
    note: str
    commands: list[list[str]] = field(default_factory=list)


def outcome(
    picks: Picks | None,
    candidates: Picks,
    micrographs: int,
    picking: Sequence[Measured],
    preparing: Sequence[Measured] = (),
    note: str = "",
) -> Outcome:
    """Sum up the commands of a picker."""
    both = [*preparing, *picking]
    return Outcome(
        picks,
        candidates,
        micrographs,
        sum(m.wall for m in picking),
        sum(m.wall for m in preparing),
        max(m.peak for m in both),
        note,
        [m.command for m in both],
    )


def save(folder: Path, settings: dict[str, Any], made: Outcome | Exception) -> None:
    """Write ``result.json``, and the picks as RELION STAR files beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {"settings": settings}
    if isinstance(made, Exception):
        result["failed"] = str(made)
    else:
        for name in ("picks", "candidates"):
            table = getattr(made, name)
            if table is not None:
                write_picks(folder / f"{name}.star", table, with_names=True)
        fields = asdict(made)
        result |= {k: v for k, v in fields.items() if k not in ("picks", "candidates")}
        result["own_threshold"] = made.picks is not None
    (folder / "result.json").write_text(json.dumps(result, indent=1) + "\n")


def load(folder: Path, settings: dict[str, Any]) -> Outcome | None:
    """Read what was kept; None if it is absent, failed, or made with other settings."""
    path = folder / "result.json"
    if not path.is_file():
        return None
    kept = json.loads(path.read_text())
    if kept.pop("settings") != json.loads(json.dumps(settings)) or "failed" in kept:
        return None
    own = read_picks(folder / "picks.star") if kept.pop("own_threshold") else None
    return Outcome(own, read_picks(folder / "candidates.star"), **kept)
