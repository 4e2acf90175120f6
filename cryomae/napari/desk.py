"""The open session behind the window: everything is done in threads and told by signals.

The session is touched by one thread alone, so that keys never wait in the window's own; models
run in worker processes. What the widgets show arrives as a `Standing`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from cryomae.active.encode import Encoded
from cryomae.active.session import Session
from cryomae.active.sitting import ANSWERS, Sitting
from cryomae.napari.background import Background, in_words
from cryomae.napari.finder import Finder
from cryomae.napari.labour import LEARN, LOOK, WRITE, Labour
from cryomae.napari.state import Found, Parts, Standing, parts_of, standing_of
from cryomae.napari.worker import Export, Written

if TYPE_CHECKING:
    from cryomae.active.begin import Named
    from cryomae.active.journal import Answer
    from cryomae.active.status import Status
    from cryomae.active.training import Fitted
    from cryomae.micrograph import Micrograph

_FEW = 3  # waiting proposals at which more are fetched


class Desk(QObject):
    """A session, if one is open, and what is being done with it.

    Attributes
    ----------
    standing : Standing or None
    auto_train : bool
        Whether to learn by itself after every batch of answers.
    """

    opened = Signal(object)  # Standing of a session that was opened; None when it was closed
    changed = Signal(object)  # Standing after something was done
    picks_changed = Signal(object)  # Found
    working = Signal(object, object)  # kind of job, and the Job; None when it ended
    noted = Signal(str, str)  # "info", "warning" or "error", and the text

    def __init__(self) -> None:
        super().__init__()
        self.standing: Standing | None = None
        self.auto_train = True
        self._thread = Background("cryomae-session", self._fail)
        self._finder = Finder(self._take, self._fail)
        self._finder.changed.connect(self.picks_changed)
        self._labour = Labour(self)
        self._sitting: Sitting | None = None
        self._status: Status | None = None
        self._closed = False

    @property
    def found(self) -> Found:
        """What can be picked."""
        return self._finder.found

    @property
    def active(self) -> bool:
        """Whether anything is under way."""
        busy = any(self._labour.busy(kind) for kind in (LOOK, LEARN, WRITE))
        return busy or self._finder.busy or self._thread.waiting > 0

    # Opening and closing.

    def begin(self, named: Named) -> None:
        """Begin a session, or go on with it if it is there, and look at its micrographs."""
        self._labour.stop()

        def closed(_: None) -> None:
            if self.standing is not None:
                self.standing = None
                self._finder.forget()
                self.opened.emit(None)
            self._labour.begin(named)

        self._thread.run(self._shut, closed)

    def open(self, path: Path) -> None:
        """Open a session that is there; if that fails, the one that is open stays."""
        for kind in (LOOK, LEARN, WRITE):  # what they find is of the session that is open now
            self._labour.stop(kind)

        def failed(error: BaseException) -> None:
            self._fail(error)
            self.encode()

        self._thread.run(lambda: self._open(path), self._ready, failed)

    def close(self) -> None:
        """End all threads and processes."""
        if self._closed:
            return
        self._closed = True
        self._labour.close()
        self._finder.close()
        self._thread.close()
        self._shut()

    def _shut(self) -> None:
        if self._sitting is not None:
            self._sitting.session.close()
        self._sitting = None

    def _open(self, path: Path) -> Standing:
        session = Session.open(path)
        self._shut()
        self._sitting, self._status = Sitting(session, session.queue), session.status()
        return standing_of(self._sitting, self._status)

    def _ready(self, standing: Standing) -> None:
        self.standing = standing
        self.opened.emit(standing)
        self._changed(standing)
        for problem in self._status.problems if self._status else ():
            self.noted.emit("warning", f"{problem.name}: {problem.cause} ({problem.remedy})")
        self.encode()
        self._top_up(standing)

    # What the user does.

    def press(self, key: str) -> None:
        """Answer the proposal on screen, go back, undo or redo; see `Sitting.press`."""
        shown = self.standing.at if self.standing is not None else 0

        def work(sitting: Sitting) -> None:
            # An answer that comes late was meant for a proposal that is answered by now.
            if key not in ANSWERS or sitting.at == shown:
                sitting.press(key)

        self._act(work, self._answered)

    def do(self, answer: Answer) -> None:
        """Answer, place a particle, leave out a micrograph, or choose a threshold."""
        fresh = answer.kind != "threshold"
        self._act(lambda sitting: sitting.do(answer), self._answered, fresh=fresh)

    def go_to(self, index: int) -> None:
        """Ask a proposal of this sitting, answered or not."""

        def work(sitting: Sitting) -> None:
            sitting.at = min(max(index, 0), len(sitting.proposals))

        self._act(work, fresh=False)

    def preview(self, value: float, micrograph: int | None) -> None:
        """Show a threshold while it is dragged, before it is chosen."""
        if self.standing is not None:
            thresholds = {**self.standing.thresholds, micrograph: value}
            self._changed(replace(self.standing, thresholds=thresholds), fresh=False)

    # What the model does.

    def encode(self) -> None:
        """Look at all micrographs that were not looked at yet."""
        if self._sitting is not None and self.standing is not None:
            self._labour.encode(self.standing, self._sitting.session.settings)

    def train(self) -> None:
        """Learn from the answers."""
        if self.standing is not None:
            self._labour.train(self.standing.path)

    def export(
        self, folder: Path, program: str, model: bool, then: Callable[[Written], None]
    ) -> None:
        """Write picks, answers and model."""
        if self.standing is not None:
            self._labour.export(Export(self.standing.path, folder, program, model), then)

    def stop(self, kind: str) -> None:
        """Stop encoding or training; what is done is kept."""
        self._labour.stop(kind)

    def keep(self, found: Encoded | Fitted, *, refresh: bool = True) -> None:
        """Store in the session what a worker found.

        Parameters
        ----------
        found : Encoded or Fitted
        refresh : bool
            Whether to find threshold and estimate anew.
        """

        def work(sitting: Sitting) -> None:
            if isinstance(found, Encoded):
                sitting.session.keep_encoded(found)
            else:
                version = sitting.session.keep(found)
                sitting.message = (
                    f"Learnt from {version.answers} answers: {version.changed:.0%} of the picks "
                    "changed."
                )
                sitting.renew()
            if refresh:
                self._status = sitting.session.status()

        self._act(work, self._top_up if refresh else None)

    def reader_of(self, micrograph: int) -> Callable[[], Micrograph]:
        """What reads a micrograph of the session; to be called in any thread."""
        assert self._sitting is not None
        session = self._sitting.session
        return lambda: session.micrograph(micrograph)

    def here(self, call: Callable[[], Any]) -> None:
        """Call something in the window's thread, from any other."""
        self._thread.here(call)

    # How.

    def _act(
        self,
        work: Callable[[Sitting], None],
        then: Callable[[Standing], None] | None = None,
        *,
        fresh: bool = True,
    ) -> None:
        def act() -> Standing | None:
            sitting = self._sitting
            if sitting is None or self._status is None:
                return None
            before = sitting.session.answers.excluded
            work(sitting)
            if sitting.session.answers.excluded != before:
                self._status = sitting.session.status()
            return standing_of(sitting, self._status)

        def arrived(standing: Standing | None) -> None:
            if standing is not None:
                self._changed(standing, fresh=fresh)
                if then is not None:
                    then(standing)

        self._thread.run(act, arrived)

    def _changed(self, standing: Standing, *, fresh: bool = True) -> None:
        self.standing = standing
        self.changed.emit(standing)
        if fresh:
            self._finder.later()

    def _top_up(self, standing: Standing) -> None:
        """Fetch more proposals, after the window shows what was done."""
        if len(standing.proposals) - standing.at < _FEW:
            self._act(lambda sitting: sitting.top_up(), fresh=False)

    def _answered(self, standing: Standing) -> None:
        self._top_up(standing)
        if self.auto_train and standing.due:
            self.train()

    def _take(self, then: Callable[[Parts | None], None]) -> None:
        def work() -> Parts | None:
            return parts_of(self._sitting.session) if self._sitting is not None else None

        self._thread.run(work, then, self._finder.fail)

    def _fail(self, error: BaseException) -> None:
        self.noted.emit("error", in_words(error))
