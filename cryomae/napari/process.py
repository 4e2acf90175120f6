"""The window's end of a worker process."""

from __future__ import annotations

import contextlib
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from tempfile import TemporaryFile
from typing import Any

_LAST = 2000  # bytes of its errors that are shown when a worker crashed


class Worker:
    """A process that does jobs, one after the other.

    Parameters
    ----------
    on_news : callable
        Called with each object that the process sends, in a thread of its own.
    on_crash : callable
        Called likewise with what is known, if the process ended and was not stopped.
    """

    def __init__(self, on_news: Callable[[Any], None], on_crash: Callable[[str], None]) -> None:
        self._on_news, self._on_crash = on_news, on_crash
        self._stopped = False
        self._errors = TemporaryFile()  # noqa: SIM115 - closed when the process has ended
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cryomae.napari.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it can still be given jobs."""
        return not self._stopped and self.process.poll() is None

    def send(self, job: Any) -> None:
        """Give it a job."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # said by on_crash
            pickle.dump(job, self.process.stdin, pickle.HIGHEST_PROTOCOL)
            self.process.stdin.flush()

    def stop(self) -> None:
        """End it at once; `join` waits until it is gone."""
        self._stopped = True
        self.process.kill()

    def join(self) -> None:
        """Wait until the process is gone, after `stop`."""
        self.process.wait()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=5)

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            while True:
                try:
                    news = pickle.load(stream)
                except (EOFError, pickle.UnpicklingError):
                    break
                if not self._stopped:
                    self._on_news(news)
        code = self.process.wait()
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        if not self._stopped:
            self._on_crash(self._explain(code))
        self._errors.close()

    def _explain(self, code: int) -> str:
        if code == -signal.SIGKILL if hasattr(signal, "SIGKILL") else False:
            return "it was killed, as happens when the computer runs out of memory"
        size = self._errors.seek(0, 2)
        self._errors.seek(max(0, size - _LAST))
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"it ended with code {code}"
