"""Being stopped by a queue: finish the step, write a checkpoint, say that it was so."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from types import FrameType

_SIGNALS = [getattr(signal, n) for n in ("SIGTERM", "SIGUSR1") if hasattr(signal, n)]


class Stop(IntEnum):
    """Whether and why to stop."""

    NO = 0
    END = 1
    """SIGTERM: a queue, or a user, ends the run."""
    REQUEUE = 2
    """SIGUSR1: the time of a job is nearly over, and it is to be queued again."""


class Stopped(Exception):
    """A training was stopped in order; the same call goes on from its checkpoint.

    Parameters
    ----------
    step : int
        Steps that are done.
    why : Stop
    """

    def __init__(self, step: int, why: Stop) -> None:
        self.step, self.why = step, why
        super().__init__(step, why)


class Stopper:
    """Remembers which signal came."""

    def __init__(self) -> None:
        self.why = Stop.NO

    def __call__(self, number: int, _: FrameType | None) -> None:
        """Take a signal."""
        why = Stop.END if number == signal.SIGTERM else Stop.REQUEUE
        self.why = max(self.why, why)


@contextmanager
def stopper() -> Iterator[Stopper]:
    """Listen to the signals of a queue while the block runs."""
    listener = Stopper()
    if threading.current_thread() is not threading.main_thread():
        yield listener
        return
    before = {number: signal.signal(number, listener) for number in _SIGNALS}
    try:
        yield listener
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_stop() -> None:
    """Leave the signals of a queue to the process that has started this one."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
