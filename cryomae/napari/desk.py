"""The open session behind the window: everything is done in threads and told by signals.

The session is touched by one thread alone, so that keys never wait in the window's own; models
run in worker processes. What the widgets show arrives as a `Standing`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from cryomae.active.session import Session
from cryomae.active.terminal import Sitting
from cryomae.errors import CryomaeError, InputError
from cryomae.napari.background import Background
from cryomae.napari.finder import Finder
from cryomae.napari.labour import LEARN, LOOK, WRITE, Labour
from cryomae.napari.state import Found, Parts, Standing, look, parts_of
from cryomae.napari.worker import Export, Written

if TYPE_CHECKING:
    from cryomae.active.begin import Named
    from cryomae.active.journal import Entry
    from cryomae.active.status import Status
    from cryomae.micrograph import Micrograph

Failed = Callable[[BaseException], None]

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
        self._threshold: float | None = None
        self._session: Session | None = None
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

    # Opening and closing.

    def begin(self, named: Named) -> None:
        """Begin a session, or go on with it if it is there, and look at its micrographs."""
        self.close_session()
        self._labour.begin(named)

    def open(self, path: Path) -> None:
        """Open a session that is there."""
        self._thread.run(lambda: self._open(path), self._ready)

    def close_session(self) -> None:
        """Close what is open; nothing is left to be saved."""
        self._labour.stop()
        if self._session is None:
            return
        self._thread.run(self._shut)
        self._thread.finish()
        self.standing, self._threshold = None, None
        self._finder.forget()
        self.opened.emit(None)

    def close(self) -> None:
        """End all threads and processes."""
        if self._closed:
            return
        self._closed = True
        self._labour.stop()
        self._finder.close()
        self._thread.close()
        self._shut()

    def _shut(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session = self._sitting = None

    def _open(self, path: Path) -> Standing:
        session = Session.open(path)
        self._shut()
        self._session, self._sitting = session, Sitting(session, session.queue)
        self._status = session.status()
        return self._look("")

    def _ready(self, standing: Standing) -> None:
        self._threshold = None
        self.standing = standing
        self.opened.emit(standing)
        self._changed(standing)
        for problem in self._status.problems if self._status else ():
            self.noted.emit("warning", f"{problem.name}: {problem.cause} ({problem.remedy})")
        self.encode()
        if not any(m.state == "waiting" for m in standing.micrographs):
            self.propose()

    # What the user does.

    def press(self, key: str) -> None:
        """Answer the proposal on screen, go back, undo or redo; see `Sitting.press`."""
        standing = self.standing
        if standing is None:
            return
        shown = standing.at

        def work(session: Session, sitting: Sitting) -> tuple[str, Entry | None]:
            answers = key not in ("u", "r", "b")
            if answers and sitting.at != shown:
                return "", None  # it was meant for a proposal that is answered by now
            steps = {"u": session.answers.next_undo, "r": session.answers.next_redo}
            before = steps.get(key)
            sitting.press(key)
            return sitting.message, before if key in steps else _last(session)

        self._act(work, self._after_answer)

    def go_to(self, index: int) -> None:
        """Ask a proposal of this sitting, answered or not."""

        def work(session: Session, sitting: Sitting) -> tuple[str, Entry | None]:
            sitting.at = min(max(index, 0), len(sitting.proposals))
            return "", None

        self._act(work)

    def add(self, micrograph: int, x: float, y: float) -> None:
        """Place a particle."""
        self._act(lambda session, _: ("added", session.add(micrograph, x, y)), self._after_answer)

    def answer(self, id_: int, kind: str, xy: tuple[float, float] | None = None) -> None:
        """Answer on a candidate or placed particle, proposed or not."""

        def work(session: Session, sitting: Sitting) -> tuple[str, Entry | None]:
            entry = session.answer(id_, kind, xy)
            current = sitting.current
            if current is not None and current.candidate == id_:
                sitting.at += 1
            return {"reject": "removed", "move": "moved"}.get(kind, f"{kind}ed"), entry

        self._act(work, self._after_answer)

    def leave_out(self, micrograph: int, out: bool) -> None:
        """Exclude a micrograph, or include it again."""

        def work(session: Session, _: Sitting) -> tuple[str, Entry | None]:
            if out == (micrograph in session.answers.excluded):
                return "", None
            entry = (session.exclude if out else session.include)(micrograph)
            return f"micrograph {'left out' if out else 'taken in again'}", entry

        self._act(work)

    def set_threshold(self, value: float | None, micrograph: int | None = None) -> None:
        """Choose the score that picks must reach; None for the automatic one, or that of all."""
        if micrograph is None:
            self._threshold = value
            self._act(lambda *_: ("", None), fresh=False)

    # What the model does.

    def encode(self) -> None:
        """Look at all micrographs that were not looked at yet."""
        if self._session is not None and self.standing is not None:
            self._labour.encode(self.standing, self._session.settings)

    def train(self) -> None:
        """Learn from the answers."""
        if self.standing is not None:
            self._labour.train(self.standing.path)

    def export(
        self, folder: Path, program: str, model: bool, then: Callable[[Written], None]
    ) -> None:
        """Write picks at the threshold of the window, answers and model."""
        if self.standing is not None:
            threshold = None if self.standing.automatic else self.standing.threshold
            self._labour.export(Export(self.standing.path, folder, program, threshold, model), then)

    def stop(self, kind: str) -> None:
        """Stop encoding or training; what is done is kept."""
        self._labour.stop(kind)

    def propose(self) -> None:
        """Fetch proposals to be asked, if few are left."""

        def work(session: Session, sitting: Sitting) -> tuple[str, Entry | None]:
            left = sum(1 for p in sitting.proposals[sitting.at :] if not sitting.answer_of(p))
            if left < _FEW and session.pool.micrograph.size:
                sitting.extend([p for p in session.propose() if not sitting.has(p)])
            return sitting.message, None

        self._act(work, fresh=False)

    def keep(self, keep: Callable[[Session], str], *, refresh: bool, trained: bool = False) -> None:
        """Store in the session what a worker found.

        Parameters
        ----------
        keep : callable
            Gets the session and returns what to say of it.
        refresh : bool
            Whether to find threshold and estimate anew.
        trained : bool
            Whether there is a new version.
        """

        def work(session: Session, sitting: Sitting) -> tuple[str, Entry | None]:
            message = keep(session)
            if refresh:
                self._status = session.status()
            if trained:
                # The one on screen stays; behind it come those of the new version.
                del sitting.proposals[sitting.at + 1 :]
                sitting.extend([])
                sitting.extend([p for p in session.propose() if not sitting.has(p)])
            return message, None

        self._act(work, self._top_up if refresh else None)

    def read(
        self, work: Callable[[Session], Any], then: Callable[[Any], None], failed: Failed
    ) -> None:
        """Read something of the session in its thread."""

        def checked() -> Any:
            if self._session is None:
                raise InputError("no session is open")
            return work(self._session)

        self._thread.run(checked, then, failed)

    def reader_of(self, micrograph: int) -> Callable[[], Micrograph]:
        """What reads a micrograph of the session; to be called in any thread."""
        session = self._session
        assert session is not None
        return lambda: session.micrograph(micrograph)

    @property
    def active(self) -> bool:
        """Whether anything is under way."""
        busy = any(self._labour.busy(kind) for kind in (LOOK, LEARN, WRITE))
        return busy or self._finder.busy or self._thread.waiting > 0

    def here(self, call: Callable[[], Any]) -> None:
        """Call something in the window's thread, from any other."""
        self._thread.here(call)

    # How.

    def _act(
        self,
        work: Callable[[Session, Sitting], tuple[str, Entry | None]],
        then: Callable[[Standing], None] | None = None,
        *,
        fresh: bool = True,
    ) -> None:
        def act() -> Standing | None:
            if self._session is None or self._sitting is None:
                return None
            return self._look(*work(self._session, self._sitting))

        def arrived(standing: Standing | None) -> None:
            if standing is not None:
                self._changed(standing, fresh=fresh)
                if then is not None:
                    then(standing)

        self._thread.run(act, arrived)

    def _look(self, message: str, last: Entry | None = None) -> Standing:
        assert self._session is not None
        assert self._sitting is not None
        assert self._status is not None
        return look(self._session, self._sitting, self._status, self._threshold, message, last)

    def _changed(self, standing: Standing, *, fresh: bool = True) -> None:
        self.standing = standing
        self.changed.emit(standing)
        if fresh:
            self._finder.later()

    def _top_up(self, standing: Standing) -> None:
        if len(standing.proposals) - standing.at < _FEW:
            self.propose()

    def _after_answer(self, standing: Standing) -> None:
        self._top_up(standing)
        batch = self._session.settings.batch if self._session else 10
        enough = standing.positives + standing.negatives > 0 and standing.unlearnt >= batch
        if self.auto_train and enough and not self._labour.busy(LEARN):
            self.train()

    def _take(self, then: Callable[[Parts | None], None]) -> None:
        def work() -> Parts | None:
            return parts_of(self._session) if self._session is not None else None

        self._thread.run(work, then, self._finder.fail)

    def _fail(self, error: BaseException) -> None:
        text = str(error) if isinstance(error, CryomaeError) else _unexpected(error)
        self.noted.emit("error", text)


def _last(session: Session) -> Entry | None:
    entries = session.journal
    return entries[-1] if entries else None


def _unexpected(error: BaseException) -> str:
    return f"unexpected {type(error).__name__}: {error} (this is a fault of cryomae: please report)"
