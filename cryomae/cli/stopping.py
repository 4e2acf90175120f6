"""How a queue stops a command: as Ctrl-C does, so that what is done is kept."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stop_on_terminate() -> Iterator[None]:
    """Take SIGTERM for Ctrl-C while the block runs.

    Raises
    ------
    KeyboardInterrupt
        When the signal comes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
