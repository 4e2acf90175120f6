"""News from training processes to the one that started them.

Processes are spawned, since a GPU does not survive a fork: so callbacks, which may hold a
progress bar, cannot be handed to them. They get the end of a pipe instead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from multiprocessing import get_context
from types import TracebackType
from typing import Any

from cryomae.errors import CryomaeError


class Sender:
    """Callable that can be handed to a spawned process; what it is given arrives at home."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue

    def __call__(self, news: Any) -> None:
        """Send."""
        self._queue.put(news)


class Relay:
    """Calls ``on_news`` here with what processes send, while the block runs.

    A `CryomaeError` among the news is raised at the end of a block that failed, in place of
    what the launcher of the processes makes of it.

    Parameters
    ----------
    on_news : callable, optional
    """

    def __init__(self, on_news: Callable[[Any], None] | None) -> None:
        self._queue = get_context("spawn").SimpleQueue()
        self._on_news = on_news
        self._error: CryomaeError | None = None
        # A process that was killed while it wrote may leave the pipe locked: never wait for it.
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self.sender = Sender(self._queue)

    def _listen(self) -> None:
        while (news := self._queue.get()) is not None:
            if isinstance(news, CryomaeError):
                self._error = self._error or news
            elif self._on_news is not None:
                self._on_news(news)

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        end = threading.Thread(target=self._queue.put, args=(None,), daemon=True)
        end.start()
        self._thread.join(timeout=10)
        if isinstance(error, Exception) and self._error is not None:
            raise self._error from None
