"""Which worker process does what, and what becomes of its news."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryomae.active.encode import Encoded
from cryomae.napari.process import Worker
from cryomae.napari.state import Job, Standing
from cryomae.napari.worker import Begin, Begun, Encode, Export, Finished, Told, Train, Written

if TYPE_CHECKING:
    from cryomae.active.begin import Named
    from cryomae.active.settings import SessionSettings
    from cryomae.napari.desk import Desk

LOOK, LEARN, WRITE = "look", "learn", "write"
"""Kinds of job; each has a process of its own, so that none waits for another."""

_NAMES = {LOOK: "Looking at the micrographs", LEARN: "Learning", WRITE: "Exporting"}
_KEPT = {
    LOOK: "What is done is kept; press Find particles to go on.",
    LEARN: "All answers are kept; press Learn now to try again.",
    WRITE: "The session is as it was; export again.",
}


class Labour:
    """The worker processes of a window.

    Parameters
    ----------
    desk : Desk
        That is told what they find.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._workers: dict[str, Worker] = {}
        self._jobs: dict[str, Job] = {}
        self._then: dict[str, Callable[[Any], None]] = {}
        self._remind_at = 1
        self._ending: list[Worker] = []

    def busy(self, kind: str) -> bool:
        """Whether such a job runs."""
        return kind in self._jobs

    def begin(self, named: Named) -> None:
        """Make a session and open it."""
        self._send(LOOK, Begin(named), Job(LOOK, "Checking the micrographs"), self._begun)

    def encode(self, standing: Standing, settings: SessionSettings) -> None:
        """Find the candidates of micrographs that have none yet."""
        left = [
            m
            for m in standing.micrographs
            if m.state == "waiting" and m.id not in standing.excluded
        ]
        if left and not self.busy(LOOK):
            self._remind_at = 1
            job = Job(LOOK, "Loading the model", 0, len(left))
            self._send(LOOK, Encode(tuple(left), settings), job)

    def train(self, session: Path) -> None:
        """Learn from the answers."""
        if not self.busy(LEARN):
            job = Job(LEARN, "Learning from the answers")
            self._send(LEARN, Train(session), job, self._desk.keep)

    def export(self, job: Export, then: Callable[[Written], None]) -> None:
        """Write picks, answers and model."""
        if not self.busy(WRITE):
            self._send(WRITE, job, Job(WRITE, "Writing"), then)

    def stop(self, kind: str | None = None) -> None:
        """Stop what runs; all of it if no kind is named."""
        for each in [kind] if kind else [*self._workers]:
            worker = self._workers.get(each)
            if worker is not None and (kind is None or self.busy(each)):
                del self._workers[each]
                worker.stop()
                self._ending = [w for w in self._ending if w.process.poll() is None]
                self._ending.append(worker)
            self._end(each)

    def close(self) -> None:
        """Stop everything, and wait until all processes are gone."""
        self.stop()
        for worker in self._ending:
            worker.join()

    def _send(
        self, kind: str, what: Any, job: Job, then: Callable[[Any], None] | None = None
    ) -> None:
        if then is not None:
            self._then[kind] = then
        self._show(kind, job)
        self._worker(kind).send(what)

    def _worker(self, kind: str) -> Worker:
        found = self._workers.get(kind)
        if found is None or not found.alive:
            here = self._desk.here
            worker = found = self._workers[kind] = Worker(
                lambda news: here(lambda: self._heard(kind, worker, news)),
                lambda why: here(lambda: self._crashed(kind, worker, why)),
            )
        return found

    def _heard(self, kind: str, worker: Worker, news: Any) -> None:
        if self._workers.get(kind) is not worker:
            return  # said before it was stopped
        if isinstance(news, Encoded):
            self._encoded(kind, news)
        elif isinstance(news, Told):
            self._show(kind, Job(kind, f"Learning: {news.text}", round(100 * news.share), 100))
        elif isinstance(news, Finished):
            then = self._then.pop(kind, None)
            self._end(kind)
            if news.error is not None:
                self._desk.noted.emit("error", str(news.error))
            elif then is not None:
                then(news.result)

    def _begun(self, begun: Begun) -> None:
        for remark in begun.remarks:
            self._desk.noted.emit("warning", remark)
        self._desk.open(begun.path)

    def _encoded(self, kind: str, news: Encoded) -> None:
        before = self._jobs[kind]
        done = before.done + 1
        # The threshold is found anew ever more seldom: it takes longer, and changes less.
        refresh = done >= self._remind_at or done == before.total
        if refresh:
            self._remind_at = 2 * done
        name = Path(news.micrograph.name).name
        if news.micrograph.state == "failed":
            self._desk.noted.emit("warning", f"{name} is left out: {news.micrograph.cause}")
        self._desk.keep(news, refresh=refresh)
        self._show(kind, Job(kind, "Looking at the micrographs", done, before.total))

    def _crashed(self, kind: str, worker: Worker, why: str) -> None:
        if self._workers.get(kind) is not worker:
            return
        del self._workers[kind]
        if self.busy(kind):
            self._end(kind)
            self._desk.noted.emit("error", f"{_NAMES[kind]} ended early: {why}. {_KEPT[kind]}")

    def _show(self, kind: str, job: Job) -> None:
        self._jobs[kind] = job
        self._desk.working.emit(kind, job)

    def _end(self, kind: str) -> None:
        self._then.pop(kind, None)
        if self._jobs.pop(kind, None) is not None:
            self._desk.working.emit(kind, None)
