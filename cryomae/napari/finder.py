"""Puts the picks together again, in a thread, when nothing has changed for a moment."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject, QTimer, Signal

from cryomae.napari.background import Background
from cryomae.napari.state import NOTHING, Found, Parts, find

_CALM = 150  # ms without news


class Finder(QObject):
    """What can be picked in a session.

    Parameters
    ----------
    take : callable
        Calls what it is given with the `Parts` of the session, or with None if none is open.
    failed : callable
        Told what went wrong.
    """

    changed = Signal(object)  # Found

    def __init__(
        self,
        take: Callable[[Callable[[Parts | None], None]], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        super().__init__()
        self.found: Found = NOTHING
        self.busy = False
        self._take, self._failed = take, failed
        self._thread = Background("cryomae-picks", self.fail, polite=True)
        self._stale = QTimer(self)
        self._stale.setSingleShot(True)
        self._stale.setInterval(_CALM)
        self._stale.timeout.connect(self._begin)
        self._running = False

    def later(self) -> None:
        """Something changed."""
        self.busy = True
        self._stale.start()

    def forget(self) -> None:
        """There is nothing any more."""
        self.found = NOTHING

    def close(self) -> None:
        """End the thread."""
        self._stale.stop()
        self._thread.close()

    def _begin(self) -> None:
        if self._running:
            self._stale.start()
            return
        self._running = True
        self._take(self._find)

    def _find(self, parts: Parts | None) -> None:
        self._thread.run(lambda: NOTHING if parts is None else find(parts), self._done)

    def _done(self, found: Found) -> None:
        self._running = False
        self.busy = self._stale.isActive()
        self.found = found
        self.changed.emit(found)

    def fail(self, error: BaseException) -> None:
        """It did not work; the next change tries again."""
        self._running = self.busy = False
        self._failed(error)
