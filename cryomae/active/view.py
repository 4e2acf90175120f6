"""What can be read of a session: its content, what the model makes of it, and the picks."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from cryomae.active.answering import find_micrograph
from cryomae.active.content import Content
from cryomae.active.files import Problem, problems, verify
from cryomae.active.journal import Entry, State
from cryomae.active.labels import Labels
from cryomae.active.lock import SessionLock
from cryomae.active.picking import pick_rows
from cryomae.active.pool import Pool
from cryomae.active.records import Proposal, SessionMicrograph, TrainedVersion
from cryomae.active.settings import SessionSettings
from cryomae.active.status import Status, report
from cryomae.active.table import make_picks
from cryomae.active.training import Fitted, OnProgress, fit_content
from cryomae.micrograph import Micrograph, MicrographRef
from cryomae.train.head import Head

if TYPE_CHECKING:
    from cryomae.pick.pipeline import Detector
    from cryomae.picks import Picks


class SessionView:
    """What can be read of an open session; see `cryomae.active.session.Session`.

    Attributes
    ----------
    path : Path
        Its folder.
    annotator : str
        Who answers.
    """

    def __init__(self, path: Path, annotator: str, content: Content, lock: SessionLock | None):
        self.path, self.annotator = path, annotator
        self._content, self._lock = content, lock
        self._guard = threading.RLock()
        self._closed = False

    def close(self) -> None:
        """Close; nothing is left to be saved."""
        if self._closed:
            return
        self._closed = True
        try:
            self._content.store.close()
        finally:
            if self._lock is not None:
                self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def reload(self) -> None:
        """See what another process wrote since this one opened the session for reading."""
        with self._guard:
            self._content.reload()

    # What there is.

    @property
    def settings(self) -> SessionSettings:
        """What the session is about."""
        return self._content.settings

    @property
    def micrographs(self) -> list[SessionMicrograph]:
        """Micrographs, in order of their ids."""
        return list(self._content.micrographs)

    @property
    def journal(self) -> list[Entry]:
        """Everything that was ever done."""
        return list(self._content.entries)

    @property
    def answers(self) -> State:
        """What stands of it."""
        with self._guard:
            return self._content.state

    @property
    def pool(self) -> Pool:
        """Candidates, and behind them the placed particles, ``answers.placed`` in order."""
        with self._guard:
            return self._content.pool

    @property
    def labels(self) -> Labels:
        """What the answers say of the rows of the pool."""
        with self._guard:
            return self._content.labels

    @property
    def queue(self) -> list[Proposal]:
        """Proposals that wait for an answer, in order."""
        with self._guard:
            return self._content.queue

    @property
    def proposals(self) -> list[Proposal]:
        """All proposals ever made."""
        return list(self._content.proposals)

    @property
    def versions(self) -> list[TrainedVersion]:
        """What was trained, the first training first."""
        return list(self._content.versions)

    @property
    def head(self) -> Head:
        """Model of the newest version."""
        with self._guard:
            return self._content.head

    @property
    def scores(self) -> NDArray[np.float64]:
        """Chance of every row of the pool to be a particle, by the newest version, (n,)."""
        with self._guard:
            return self._content.scores

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """Scores that picks must reach, by micrograph: the user's, else the newest version's."""
        with self._guard:
            return self._content.thresholds

    # What comes of it.

    def pick_rows(
        self, threshold: float | None = None
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Rows of the pool that are picked, best first, and their scores.

        Parameters
        ----------
        threshold : float, optional
            Score that a pick must reach; default `thresholds`.
        """
        with self._guard:
            content = self._content
            pool, excluded = content.pool, content.state.excluded
            least = content.thresholds[pool.micrograph] if threshold is None else threshold
            return pick_rows(pool, content.scores, content.labels, least, excluded)

    def picks(self, threshold: float | None = None) -> Picks:
        """Picks of all micrographs, the best of each micrograph first; see `pick_rows`."""
        with self._guard:
            rows, scores = self.pick_rows(threshold)
            return make_picks(self._content, rows, scores)

    def status(self) -> Status:
        """Where the session stands."""
        with self._guard:
            c = self._content
            return report(
                self.path, c.micrographs, c.pool, c.state, c.labels, c.proposals, len(c.queue),
                c.versions, c.estimate, self.problems(),
            )  # fmt: skip

    def problems(self, deep: bool = False) -> list[Problem]:
        """Micrographs that were moved or changed.

        Parameters
        ----------
        deep : bool
            Read files that have the right size and another time of change; else these are
            taken for the same until they are used.
        """
        return problems(self._content.micrographs, self.path, deep)

    def fit(
        self,
        detector: Detector | None = None,
        on_progress: OnProgress | None = None,
        device: str = "auto",
    ) -> Fitted:
        """Learn from the answers without writing anything; `keep` stores what it returns.

        It can run in another thread, or in another process that opened the session with
        ``write=False``.

        Raises
        ------
        InputError
            If nothing was confirmed or rejected.
        """
        return fit_content(self._content, self._guard, detector, on_progress, device)

    def micrograph(self, which: int | str) -> Micrograph:
        """Read a micrograph, by id or name.

        Raises
        ------
        MicrographError
            If it was moved or changed since it was encoded, or cannot be read.
        """
        from cryomae.io import read_micrograph

        found = find_micrograph(self._content.micrographs, which)
        verified = verify(found, self.path)
        if verified != found:
            with self._guard:
                self._remember([verified])
        ref = MicrographRef(found.name, found.path, found.pixel_size or found.listed)
        return read_micrograph(ref, None if found.pixel_size else self.settings.pixel_size)

    def _remember(self, micrographs: Sequence[SessionMicrograph]) -> None:
        """Take in changed records of micrographs; who only reads keeps them in mind."""
        self._content.replace_micrographs(micrographs)
