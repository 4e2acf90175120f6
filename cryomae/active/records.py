"""What a session holds besides its journal: micrographs, proposals and trained versions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryomae.active.estimate import Estimate


@dataclass(frozen=True)
class SessionMicrograph:
    """A micrograph of a session.

    Attributes
    ----------
    id : int
        Index in the session's pool, from 0.
    name : str
        As the user's list gave it.
    path : Path
        The file.
    listed : float or None
        Å per pixel of the list, if it has any.
    pixel_size : float or None
        Å per pixel that applies, once it is known.
    defocus : float or None
        µm.
    shape : tuple of int, or None
        Rows and columns, once they are known.
    state : str
        ``waiting`` to be encoded, ``ready`` or ``failed``.
    cause : str
        Why it failed.
    first, count : int
        Its candidates are rows ``first`` to ``first + count`` of the pool.
    masked : float or None
        Share of its area in which nothing is looked for.
    size, mtime_ns : int or None
        Of the file when it was last known to be the one that was encoded.
    checksum : str
        Of the file that was encoded; empty before.
    """

    id: int
    name: str
    path: Path
    listed: float | None = None
    pixel_size: float | None = None
    defocus: float | None = None
    shape: tuple[int, int] | None = None
    state: Literal["waiting", "ready", "failed"] = "waiting"
    cause: str = ""
    first: int = 0
    count: int = 0
    masked: float | None = None
    size: int | None = None
    mtime_ns: int | None = None
    checksum: str = ""


@dataclass(frozen=True)
class Proposal:
    """A place to be answered.

    Attributes
    ----------
    id : int
        1, 2, 3 ...
    time : str
        UTC, as ISO 8601.
    version : int
        Trained version that it is by.
    candidate : int
        What to name in an answer.
    micrograph : int
        Id of the micrograph.
    x, y : float
        Pixels of the file.
    strategy, reason : str
        What chose it, and why.
    score : float
        What it was worth to the strategy.
    """

    id: int
    time: str
    version: int
    candidate: int
    micrograph: int
    x: float
    y: float
    strategy: str
    reason: str
    score: float


@dataclass(frozen=True)
class TrainedVersion:
    """What was learnt at one training.

    Attributes
    ----------
    version : int
        0 is the model that the session started from, without answers.
    time : str
        UTC, as ISO 8601.
    journal : int
        Newest entry that it knows.
    positives, negatives : int
        Answers that it was learnt from.
    estimate : Estimate
        Threshold, and what to expect of the picks at it.
    changed : float
        Share of the picks that differ from the version before, 0 to 1.
    seconds : float
        Time it took.
    remarks : str
        What the user should know of it, a line each.
    """

    version: int
    time: str
    journal: int
    positives: int
    negatives: int
    estimate: Estimate
    changed: float
    seconds: float
    remarks: str = ""

    @property
    def answers(self) -> int:
        """Answers that it was learnt from."""
        return self.positives + self.negatives

    @property
    def threshold(self) -> float:
        """Score that a pick must reach."""
        return self.estimate.threshold
