"""Processes of this machine, each with a supervisor that puts another in its place.

`concurrent.futures` gives up on everything when one process dies. Here each process has a
pipe of its own and at most one item, so it is known which item was in a process that died,
and nobody else is hurt. If the one that supervises dies, the pipes close, and each process
ends after the item that it has.
"""

from __future__ import annotations

import pickle
import signal
import sys
from collections.abc import Generator, Iterable
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any

from cryomae.cores import limit_threads, usable_cores
from cryomae.errors import CryomaeError
from cryomae.scale.backend import Answer, Item, Lost, Work

_GRACE = 30.0  # seconds to finish an item when the work is stopped

FALSE_STARTS = 5
"""Processes in a row that may die before they are ready."""


class Processes:
    """Works in several processes; on a machine with GPUs each takes its own.

    Parameters
    ----------
    workers : int
        Processes.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.words = f"{workers} process{'es' if workers != 1 else ''}"
        self._running: list[_Worker] = []
        self._work: object = None
        self._false_starts = 0

    def map_unordered(
        self, work: Work[Item, Answer], items: Iterable[Item]
    ) -> Generator[tuple[Item, Answer | Lost], None, None]:
        """See `Backend.map_unordered`."""
        if self._work is not work:
            self._begin(work)
        coming = iter(items)
        more = True
        try:
            while True:
                for worker in self._running:
                    if more and worker.ready and not worker.busy:
                        try:
                            item = next(coming)
                        except StopIteration:
                            more = False
                        else:
                            worker.give(item)
                if not more and not any(worker.busy for worker in self._running):
                    return
                yield from self._listen()
        except GeneratorExit:
            if any(worker.busy for worker in self._running):
                self._stop()
            raise
        except BaseException:
            self._stop()  # what the others have sent meanwhile belongs to nobody
            raise

    def _begin(self, work: object) -> None:
        """Give every process the work, and start those that there are not."""
        self._work, pickled = work, pickle.dumps(work)
        if not self._running:
            threads = max(1, usable_cores() // self.workers)
            self._running = [_Worker(place, threads) for place in range(self.workers)]
        for worker in self._running:
            worker.prepare(pickled)

    def _listen(self) -> Generator[tuple[Any, Any], None, None]:
        """Wait for news, and give the answers among them."""
        pipes = [worker.pipe for worker in self._running]
        wait(pipes + [worker.sentinel for worker in self._running])
        for place, worker in enumerate(self._running):
            for kind, value in worker.news():
                if kind == "ready":
                    worker.ready, self._false_starts = True, 0
                elif kind == "raised":
                    worker.busy = False
                    raise value
                elif kind == "answer":
                    worker.busy = False
                    yield worker.item, value
                else:
                    self._running[place] = worker.successor()
                    if worker.busy:
                        yield worker.item, Lost(value)
                    elif not worker.ready:
                        self._false_starts += 1
                        self._check(value)

    def _check(self, how: str) -> None:
        if self._false_starts >= FALSE_STARTS:
            raise CryomaeError(
                f"{FALSE_STARTS} worker processes in a row ended at their start ({how})",
                "fewer --processes need less memory; without the option errors are shown at once",
            )

    def _stop(self) -> None:
        """End every process, each after the item that it has."""
        stopping, self._running, self._work = self._running, [], None
        for worker in stopping:
            worker.pipe.close()
        try:
            for worker in stopping:
                worker.process.join(_GRACE)
        finally:  # also if the user is in a hurry
            for worker in stopping:
                worker.end()

    def __enter__(self) -> Processes:
        """Begin; processes start with the first item."""
        return self

    def __exit__(self, *_: object) -> None:
        """End every process, each after the item that it has."""
        self._stop()


class _Worker:
    """One process, as its supervisor sees it."""

    def __init__(self, place: int, threads: int) -> None:
        self._made_of = (place, threads)
        self._work = b""
        self.ready = self.busy = False
        self.item: Any = None
        context = get_context("spawn")  # a GPU does not survive a fork
        self.pipe, other = context.Pipe()
        self.process = context.Process(
            target=_serve, args=(other, *self._made_of), daemon=True, name=f"cryomae-{place}"
        )
        self.process.start()
        other.close()  # or its end would never be seen

    @property
    def sentinel(self) -> int:
        return self.process.sentinel

    def prepare(self, work: bytes) -> None:
        self._work, self.ready = work, False
        self._send(("work", work))

    def give(self, item: Any) -> None:
        self.item, self.busy = item, True
        self._send(("item", item))

    def _send(self, message: tuple[str, Any]) -> None:
        try:
            self.pipe.send(message)
        except OSError:  # it has just died, which is seen next
            return

    def news(self) -> list[tuple[str, Any]]:
        """What it sent; at the end ``("died", how)`` if it has."""
        found = []
        try:
            while self.pipe.poll():
                found.append(self.pipe.recv())
        except (EOFError, OSError):
            self.process.join()
        except pickle.UnpicklingError:
            self.end()
        if not self.process.is_alive() and not self.pipe.closed:
            found += self._last_words()
            found.append(("died", _how(self.process.exitcode)))
        return found

    def _last_words(self) -> list[tuple[str, Any]]:
        """What it sent between the last look and its death."""
        found = []
        try:
            while self.pipe.poll():
                found.append(self.pipe.recv())
        except (EOFError, OSError, pickle.UnpicklingError):
            pass
        return found

    def successor(self) -> _Worker:
        self.pipe.close()
        self.process.close()
        successor = _Worker(*self._made_of)
        successor.prepare(self._work)
        return successor

    def end(self) -> None:
        """End it now: first in a way that lets it write down that it was stopped."""
        self.process.terminate()
        self.process.join(2)
        self.process.kill()
        self.process.join()
        self.process.close()


def _how(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"{name}, as when memory runs out" if name == "SIGKILL" else name


def _serve(pipe: Connection, place: int, threads: int) -> None:
    """What a process does: answer until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the supervisor
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # lets the work write that down
    limit_threads(threads)
    work: Any = None
    try:
        while True:
            kind, value = pipe.recv()
            try:
                if kind == "work":
                    work = pickle.loads(value)
                    work.open(place)
                    answer: tuple[str, Any] = ("ready", None)
                else:
                    answer = ("answer", work(value))
            except Exception as error:  # noqa: BLE001 - raised by the supervisor
                answer = ("raised", _sendable(error))
            pipe.send(answer)
    except (EOFError, OSError):  # nobody listens any more
        return


def _sendable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - errors of other packages may do anything here
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
