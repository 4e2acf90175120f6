"""Work in a thread, with its results handed over in the window's own thread."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from qtpy.QtCore import QObject, Signal

from cryomae.errors import CryomaeError

Then = Callable[[Any], None]

_NICE = 5


class Background(QObject):
    """One thread that does what it is given, in order.

    Parameters
    ----------
    name : str
        Of the thread.
    failed : callable
        Called in the window's thread with what a piece of work raised, unless the work brought
        its own.
    polite : bool
        Whether the window comes first where there are too few cores.
    """

    _arrived = Signal(object)

    def __init__(
        self, name: str, failed: Callable[[BaseException], None], *, polite: bool = False
    ) -> None:
        super().__init__()
        initializer = _step_back if polite else None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name, initializer=initializer)
        self._failed = failed
        self._closed = False
        self.waiting = 0  # pieces of work whose results were not handed over yet
        self._arrived.connect(self._call)

    def run(
        self,
        work: Callable[[], Any],
        then: Then | None = None,
        failed: Callable[[BaseException], None] | None = None,
    ) -> Future[Any]:
        """Do something there, and then something with its result here."""
        future = self._pool.submit(work)
        self.waiting += 1

        def hand_over(done: Future[Any]) -> None:
            self.waiting -= 1
            error = done.exception()
            if error is not None:
                (failed or self._failed)(error)
            elif then is not None:
                then(done.result())

        def arrived(done: Future[Any]) -> None:
            if not done.cancelled():
                self.here(lambda: hand_over(done))

        future.add_done_callback(arrived)
        return future

    def here(self, call: Callable[[], Any]) -> None:
        """Call something in the window's thread; may be called in any."""
        if not self._closed:
            self._arrived.emit(call)

    def close(self) -> None:
        """Finish what is being done, forget what is not, and hand over nothing more."""
        self._closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _call(self, call: Callable[[], Any]) -> None:
        if not self._closed:
            call()


def _step_back() -> None:
    """Lower the priority of this thread, which only Linux can."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


def in_words(error: BaseException) -> str:
    """What to say of an error."""
    if isinstance(error, CryomaeError):
        return str(error)
    return f"unexpected {type(error).__name__}: {error} (a fault of cryomae: please report it)"
