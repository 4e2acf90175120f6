"""The summary page while a run goes on: how far it is, and what was found so far."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

import numpy as np

from cryomae.batch.finish import best, draw, write_page
from cryomae.batch.job import Job
from cryomae.batch.log import logger
from cryomae.batch.result import Outcome, RunResult
from cryomae.formats import star
from cryomae.report.pace import Pace, State
from cryomae.report.summary import HISTOGRAM_BINS

FIRST, EVERY = 30.0, 60.0
"""Seconds before the first page, and between two."""

SHARE = 0.03
"""Of the time may go into pages."""

_LIKELY = 0.5  # the score at which `Record.likely` is counted
_PROVISIONAL = (
    f"Picks are counted at a score of {_LIKELY:g} for now. When all micrographs are scored, the "
    "threshold is settled and the picks are written."
)
_LONG_END = 500  # micrographs of which the picks take a while to write
_RECENT = 600.0  # seconds over which a rate is taken
_READ, _DRAWN, _BACK = 100, 3, 200  # files of candidates, pictures and outcomes looked at a page


class Live:
    """Counts what is dealt with, and writes the page when it is asked."""

    def __init__(self) -> None:
        self._began_at, self._began = time.time(), time.monotonic()
        self._times: deque[float] = deque()
        self._latest = 0.0
        self._latest_at: float | None = None
        self._scored = 0
        self._due = self._began + FIRST
        self._interval = EVERY
        self.wrote: float | None = None

    def take(self, outcome: Outcome) -> None:
        """Count a micrograph, unless an earlier run dealt with it."""
        if outcome.status == "kept":
            return
        self._latest, self._latest_at = time.monotonic(), time.time()
        self._scored += 1
        self._times.append(self._latest)

    @property
    def due(self) -> bool:
        """Whether it is time for another page."""
        return time.monotonic() >= self._due

    def pace(self, state: State, result: RunResult, total: int) -> Pace:
        """How the run goes at this moment.

        Parameters
        ----------
        state : str
            See `Pace`.
        result : RunResult
            What it has found so far.
        total : int
            Micrographs that are known of.
        """
        now = time.monotonic()
        while self._times and now - self._times[0] > _RECENT:
            self._times.popleft()
        if state in ("picking", "watching"):
            rate = len(self._times) / max(1.0, min(_RECENT, now - self._began))
        else:
            rate = self._scored / max(1.0, self._latest - self._began)
        return Pace(
            state,
            began=self._began_at,
            now=time.time(),
            done=len(result.done),
            failed=len(result.failed),
            total=total,
            scored=self._scored,
            per_hour=3600 * rate,
            latest=self._latest_at,
            again=self._interval,
        )

    def write(self, job: Job, result: RunResult, state: State, total: int) -> None:
        """Write the page; what goes wrong with it is only logged, as the picks matter more.

        Parameters
        ----------
        job : Job
        result : RunResult
            What was found so far; pictures and histograms are filled in.
        state, total
            See `pace`.
        """
        begin = time.monotonic()
        try:
            _look_into(job, result.done)
            _draw_latest(job, result)
            write_page(job, result, self.pace(state, result, total))
        except Exception:  # noqa: BLE001 - logged; it is tried again, and a run goes on for days
            logger.warning("the summary page could not be written", exc_info=True)
        self.rest(time.monotonic() - begin)

    def rest(self, took: float) -> None:
        """Write nothing for a while after a page was written.

        Parameters
        ----------
        took : float
            Seconds that it took.
        """
        self.wrote = time.monotonic()
        self._interval = max(EVERY, took * (1 / SHARE - 1))
        self._due = self.wrote + self._interval


class RunPage(Live):
    """The page of a run whose micrographs are all known.

    Parameters
    ----------
    job : Job
    quiet : bool
        Write nothing, as this is a part of a run only.
    """

    def __init__(self, job: Job, *, quiet: bool = False) -> None:
        super().__init__()
        self._job, self._quiet = job, quiet

    def take_last(self, found: Sequence[Outcome]) -> None:
        """Count the last of the micrographs, and write the page if it is due.

        Parameters
        ----------
        found : sequence of Outcome
            Of all micrographs so far.
        """
        self.take(found[-1])
        if self.due and not self._quiet:
            self._write(found, "picking")

    def scored(self, found: Sequence[Outcome]) -> None:
        """Say that only the end is missing, if that takes long and there is a page."""
        if self.wrote is not None and len(found) >= _LONG_END:
            self._write(found, "writing")

    def _write(self, found: Sequence[Outcome], state: State) -> None:
        outcomes = [*found, *self._job.missing]
        so_far = RunResult(self._job.layout.root, outcomes, _LIKELY, _PROVISIONAL)
        self.write(self._job, so_far, state, self._job.total)


def _look_into(job: Job, done: Sequence[Outcome]) -> None:
    """Read the scores of some micrographs more, evenly spread: the page needs them in rough."""
    unread = [o for o in done if o.histogram is None and o.record is not None]
    for outcome in unread:
        assert outcome.record is not None
        outcome.picks = outcome.record.likely  # until the picks are written
    for place in np.unique(np.linspace(0, len(unread) - 1, min(len(unread), _READ)).astype(int)):
        candidates = star.read_picks(job.layout.candidates(unread[place].name))
        unread[place].histogram = np.histogram(candidates.score, bins=HISTOGRAM_BINS)[0]


def _draw_latest(job: Job, result: RunResult) -> None:
    """Draw some of the latest micrographs that get a picture and have none yet."""
    if not job.preview:
        return
    drawn = 0
    for outcome in reversed(result.done[-_BACK:]):
        if outcome.preview_file is None and job.layout.of(outcome.name).thumbnail.is_file():
            candidates = star.read_picks(job.layout.candidates(outcome.name))
            limit = _LIKELY if result.threshold is None else result.threshold
            draw(job, outcome, best(job, candidates, limit), limit)
            drawn += 1
        if drawn == _DRAWN:
            return
