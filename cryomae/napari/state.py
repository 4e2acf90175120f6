"""What the widgets show: plain objects, made in a thread and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cryomae.active.picking import pick_rows
from cryomae.active.records import Proposal, SessionMicrograph

if TYPE_CHECKING:
    from cryomae.active.estimate import Estimate
    from cryomae.active.journal import Entry, State
    from cryomae.active.labels import Labels
    from cryomae.active.pool import Pool
    from cryomae.active.session import Session
    from cryomae.active.sitting import Sitting
    from cryomae.active.status import Status


@dataclass
class Display:
    """How micrographs are shown; the one object here that the user changes.

    Attributes
    ----------
    filtered : bool
        Whether the low-pass is on.
    resolution : float
        Of the low-pass, Å.
    low, high : float
        Percentiles of the greys.
    circles : bool
        Whether particles are marked.
    by_score : bool
        Whether circles are coloured by score.
    hide : bool
        Whether what scores below the threshold is hidden, and not only faint.
    """

    filtered: bool = True
    resolution: float = 20.0
    low: float = 0.5
    high: float = 99.5
    circles: bool = True
    by_score: bool = True
    hide: bool = True


@dataclass(frozen=True)
class Job:
    """Something that takes its time.

    Attributes
    ----------
    kind : str
        ``encode`` or ``train``.
    text : str
    done, total : int
        ``total`` 0 if it is not known.
    """

    kind: str
    text: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Standing:
    """Where an open session stands.

    Attributes
    ----------
    path : Path
    diameter : float
        Å.
    micrographs : tuple of SessionMicrograph
    excluded : frozenset of int
        Micrographs that are left out.
    answers : mapping of int to Entry
        Newest answer, by id of candidate or placed particle.
    placed : tuple of Entry
        Placed particles that count.
    proposals : tuple of Proposal
        Of this sitting.
    at : int
        Index of the one that is asked; their number when all are answered.
    version : int
        Of the last training.
    estimate : Estimate or None
        Of that version.
    thresholds : mapping of int or None to float
        Scores that the user chose, by micrograph; that of None is for all others.
    positives, negatives, unlearnt : int
        Answers, and entries that no training knows.
    due : bool
        Whether it is time to learn.
    stop : str
        Why one may stop.
    message : str
        What was done last.
    """

    path: Path
    diameter: float
    micrographs: tuple[SessionMicrograph, ...]
    excluded: frozenset[int]
    answers: Mapping[int, Entry]
    placed: tuple[Entry, ...]
    proposals: tuple[Proposal, ...]
    at: int
    version: int
    estimate: Estimate | None
    thresholds: Mapping[int | None, float]
    positives: int
    negatives: int
    unlearnt: int
    due: bool
    stop: str
    message: str

    @property
    def current(self) -> Proposal | None:
        """The proposal that is asked."""
        return self.proposals[self.at] if self.at < len(self.proposals) else None

    @property
    def threshold(self) -> float:
        """Score that a pick must reach where nothing else was chosen."""
        return self.thresholds.get(None, self.estimate.threshold if self.estimate else 1.0)

    def threshold_of(self, micrograph: int) -> float:
        """Score that a pick of a micrograph must reach."""
        return self.thresholds.get(micrograph, self.threshold)

    def name(self, micrograph: int) -> str:
        """Name of a micrograph without its folder."""
        return Path(self.micrographs[micrograph].name).name


@dataclass(frozen=True, eq=False)
class Found:
    """What is picked at the threshold 0: with any other, those of them that reach it.

    Attributes
    ----------
    id : ndarray of int, shape (n,)
        What to name in an answer.
    micrograph : ndarray of int, shape (n,)
    xy : ndarray, shape (n, 2)
        Pixels of the file.
    score : ndarray, shape (n,)
    sure : ndarray of bool, shape (n,)
        Confirmed: picked whatever the threshold.
    """

    id: NDArray[np.int64]
    micrograph: NDArray[np.int32]
    xy: NDArray[np.float32]
    score: NDArray[np.float64]
    sure: NDArray[np.bool_]

    def of(self, micrograph: int) -> Found:
        """Those of one micrograph."""
        mine = np.flatnonzero(self.micrograph == micrograph)
        return Found(
            self.id[mine], self.micrograph[mine], self.xy[mine], self.score[mine], self.sure[mine]
        )

    def reach(self, standing: Standing) -> NDArray[np.bool_]:
        """Which are picks."""
        least = np.array([standing.threshold_of(m.id) for m in standing.micrographs])
        reached: NDArray[np.bool_] = self.sure | (self.score >= least[self.micrograph])
        return reached


NOTHING = Found(
    np.zeros(0, np.int64),
    np.zeros(0, np.int32),
    np.zeros((0, 2), np.float32),
    np.zeros(0),
    np.zeros(0, bool),
)
"""No picks."""


def standing_of(sitting: Sitting, status: Status) -> Standing:
    """Where a session stands; fast enough to be asked after every key.

    Parameters
    ----------
    sitting : Sitting
    status : Status
        Of its last training or encoding.
    """
    session = sitting.session
    state, labels = session.answers, session.labels
    return Standing(
        path=session.path,
        diameter=session.settings.diameter,
        micrographs=tuple(session.micrographs),
        excluded=state.excluded,
        answers=dict(state.answers),
        placed=tuple(e for e in state.placed if -e.id in state.particles),
        proposals=tuple(sitting.proposals),
        at=sitting.at,
        version=status.version,
        estimate=status.estimate,
        thresholds=state.thresholds,
        positives=int((labels.y == 1).sum()),
        negatives=int((labels.y == 0).sum()),
        unlearnt=sitting.unlearnt,
        due=sitting.due,
        stop=status.stop,
        message=sitting.message,
    )


@dataclass(frozen=True, eq=False)
class Parts:
    """What picks follow from, all of one moment; none of it ever changes."""

    pool: Pool
    scores: NDArray[np.float64]
    labels: Labels
    state: State


def parts_of(session: Session) -> Parts:
    """Take them; the session is free again while `find` works on them."""
    return Parts(session.pool, session.scores, session.labels, session.answers)


def find(parts: Parts) -> Found:
    """Everything that can be picked; takes its time where there are very many candidates."""
    pool, state = parts.pool, parts.state
    if not len(pool):
        return NOTHING
    rows, score = pick_rows(pool, parts.scores, parts.labels, 0.0, state.excluded)
    count = len(pool) - len(state.placed)
    ids = np.concatenate([np.arange(count), [-e.id for e in state.placed]]).astype(np.int64)
    sure = np.isin(rows, parts.labels.confirmed)
    return Found(ids[rows], pool.micrograph[rows], pool.xy[rows], score, sure)
