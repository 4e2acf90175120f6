"""What a run did, micrograph by micrograph."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cryomae.batch.record import Record

Status = Literal["picked", "kept", "failed", "not reached"]


@dataclass
class Outcome:
    """What happened to one micrograph.

    Attributes
    ----------
    name : str
        Name of the micrograph, verbatim.
    status : str
        ``"picked"`` in this run, ``"kept"`` from an earlier one, ``"failed"``, or
        ``"not reached"`` because the run was stopped.
    picks, candidates : int
        Picks above the threshold, and all candidates.
    masked : float or None
        Share of the area, 0 to 1, in which nothing is picked.
    seconds : float or None
        Time it took to read and score.
    pixel_size : float or None
        Å per pixel.
    pixel_size_source : str
        ``"option"``, ``"star"`` or ``"header"``.
    cause, remedy : str
        Why it failed and what to do.
    picks_file, preview_file : Path or None
        Files written.
    record : Record or None
        What the ledger holds of it.
    details : str
        For the log: the time of each stage, or where an unexpected error came from.
    threshold : float or None
        Score that the picks of its file reach; None where none were written in this run.
    histogram : ndarray of int or None
        Candidates by score.
    """

    name: str
    status: Status
    picks: int = 0
    candidates: int = 0
    masked: float | None = None
    seconds: float | None = None
    pixel_size: float | None = None
    pixel_size_source: str = ""
    cause: str = ""
    remedy: str = ""
    picks_file: Path | None = None
    preview_file: Path | None = None
    record: Record | None = None
    details: str = ""
    threshold: float | None = None
    histogram: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Progress:
    """Where a run stands after one more micrograph.

    Attributes
    ----------
    done, total : int
        Micrographs dealt with, and all of them.
    name : str
        The micrograph just dealt with; empty before the first.
    status : str
        Its status; ``"start"`` before the first.
    candidates : int
        Its candidates.
    picks : int
        Picks so far, counted at a score of 0.5: the threshold of the data set is not known yet.
    seconds : float
        Time the micrograph took.
    cause : str
        Why it failed.
    """

    done: int
    total: int
    name: str = ""
    status: str = "start"
    candidates: int = 0
    picks: int = 0
    seconds: float = 0.0
    cause: str = ""


@dataclass
class RunResult:
    """All outcomes of a run and where its files are.

    Attributes
    ----------
    output_dir : Path
        Folder with everything the run wrote.
    outcomes : list of Outcome
        In the order the micrographs were given, those that could not be found last.
    threshold : float or None
        Score that picks reach; None when nothing could be scored.
    explanation : str
        How the threshold came about, in one sentence.
    interrupted : bool
        Whether the user stopped the run.
    shard : str
        Such as ``"3/8"`` where only that part was scored, and no picks were written yet.
    dry_run : bool
        Whether nothing was done on purpose.
    notes : list of str
        Things the user should know.
    files : dict of str to Path
        What was written, by what it is for.
    """

    output_dir: Path
    outcomes: list[Outcome]
    threshold: float | None = None
    explanation: str = ""
    interrupted: bool = False
    shard: str = ""
    dry_run: bool = False
    notes: list[str] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)

    @property
    def done(self) -> list[Outcome]:
        """Micrographs that have picks files."""
        return [o for o in self.outcomes if o.status in ("picked", "kept")]

    @property
    def failed(self) -> list[Outcome]:
        """Micrographs that failed."""
        return [o for o in self.outcomes if o.status == "failed"]

    @property
    def picks(self) -> int:
        """Picks in all micrographs."""
        return sum(o.picks for o in self.outcomes)
