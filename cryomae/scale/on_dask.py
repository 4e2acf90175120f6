"""Workers of Dask: on this machine, on a cluster with a queue, or of a running scheduler."""

from __future__ import annotations

import itertools
import logging
import re
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack
from typing import Any

from cryomae.cores import usable_cores
from cryomae.errors import CryomaeError, InputError
from cryomae.scale.backend import Answer, Item, Lost, Work

try:
    import dask
    from distributed import Client, KilledWorker, LocalCluster, as_completed, get_worker
    from distributed.diagnostics.plugin import WorkerPlugin
except ImportError as missing:
    raise InputError(
        f"--dask needs a package that is not installed ({missing.name})",
        "pip install 'cryomae[dask]'",
    ) from missing

QUEUES = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "lsf": "LSFCluster", "sge": "SGECluster"}
"""Queues that Dask can start workers in, and the class of dask-jobqueue."""

_AHEAD = 2  # items given out per worker: one that it works on, and the next
_GRACE = 30.0  # seconds to finish an item when the work is stopped

PATIENCE = 15.0
"""Seconds to wait for a scheduler, and for workers that are not queued for."""

_CONFIG = {
    # A lost worker is our business: `Lost` says so, and who is to blame is found elsewhere.
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.work-stealing": False,
    "distributed.worker.memory.terminate": False,
    "distributed.worker.memory.pause": False,
    # It looks at the work a hundred times a second and keeps what it saw: 100 MB in an hour.
    "distributed.worker.profile.enabled": False,
}

_MEMORY = {
    # Dask's own value has memory given back after every step and taken anew: twice the time.
    "MALLOC_TRIM_THRESHOLD_": 512 * 2**20,
    "MALLOC_MMAP_THRESHOLD_": 32 * 2**20,
}

_number = itertools.count()


class OnDask:
    """Works in the workers of a Dask cluster; each gets ready once, by a plugin.

    Parameters
    ----------
    where : str
        ``local``, one of `QUEUES`, or the address of a scheduler.
    workers : int
        Workers to start; of a running scheduler those are used that there are.
    say : callable
        Told what is waited for.
    """

    def __init__(self, where: str, workers: int, say: Callable[[str], None]) -> None:
        self._where, self.workers, self._say = where, workers, say
        self.words = f"Dask, {where}"
        self._stack = ExitStack()
        self._client: Any = None
        self._work: object = None
        self._plugin = ""
        self._counted = 0.0

    def __enter__(self) -> OnDask:
        """Start or find the workers."""
        try:
            self._stack.enter_context(dask.config.set(self._config()))
            cluster = self._cluster()
            self._client = self._stack.enter_context(Client(cluster, timeout=PATIENCE))
            self._wait()
        except BaseException as error:
            self._stack.close()
            if isinstance(error, OSError):  # also when nobody answers in time
                raise self._no_answer() from error
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the workers that were started here."""
        self._stack.close()

    def _config(self) -> dict[str, Any]:
        threads = max(1, usable_cores() // self.workers) if self._where == "local" else 1
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        environ = "distributed.nanny.pre-spawn-environ"
        environment = _MEMORY | dict.fromkeys(names, threads)
        return _CONFIG | {f"{environ}.{name}": value for name, value in environment.items()}

    def _cluster(self) -> Any:
        if self._where == "local":
            cluster = LocalCluster(
                n_workers=self.workers,
                threads_per_worker=1,
                memory_limit=None,
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
            )
            return self._stack.enter_context(cluster)
        if self._where in QUEUES:
            return self._stack.enter_context(_queued(self._where, self.workers))
        return self._where

    def _wait(self) -> None:
        """Wait for the first worker; from a queue it may take its time."""
        begin = time.monotonic()
        while not self._count():
            waited = time.monotonic() - begin
            if self._where not in QUEUES and waited > PATIENCE:
                raise InputError(
                    "the Dask scheduler has no workers",
                    f"start some: dask worker {self._where} --nthreads 1",
                    self._where,
                )
            if waited > 1:
                self._say(f"Waiting for a worker from {self._where} ({waited:.0f} s)")
            try:
                self._client.wait_for_workers(1, timeout=min(60, 2 + waited))
            except TimeoutError:
                continue

    def _count(self) -> int:
        """Workers that there are, looked up every few seconds."""
        if time.monotonic() - self._counted > 2 or not self._counted:
            self._present = len(self._client.nthreads())
            self._counted = time.monotonic() if self._present else 0.0
        return self._present

    def map_unordered(
        self, work: Work[Item, Answer], items: Iterable[Item]
    ) -> Generator[tuple[Item, Answer | Lost], None, None]:
        """See `Backend.map_unordered`."""
        self._prepare(work)
        coming, out = iter(items), dict[str, Any]()
        done = as_completed()

        def give() -> None:
            # A bounded window: whoever waits in a worker that dies is taken for lost, too.
            for item in itertools.islice(coming, max(0, _AHEAD * self._count() - len(out))):
                key = f"{self._plugin}-{next(_number)}"
                # An error here is not of the work, whose errors are answers: once more, then.
                future = self._client.submit(_call, self._plugin, item, key=key, retries=1)
                out[key] = item
                done.add(future)

        try:
            give()
            while out:
                future = next(done)
                item, answer = out.pop(future.key), _answer(future)
                future.release()
                give()
                yield item, answer
        finally:
            if out:
                self._call_off(done, out)

    def _prepare(self, work: Work[Any, Any]) -> None:
        if self._work is work:
            return
        self._work, self._plugin = work, f"cryomae-{next(_number)}-{id(work):x}"
        try:
            answers = self._client.register_plugin(_Ready(work), name=self._plugin)
        except Exception as error:
            raise CryomaeError(
                f"the Dask workers cannot do the work: {type(error).__name__}: {error}",
                "install the same cryomae, Python and Dask on all machines",
                self._where,
            ) from error
        for answer in (answers or {}).values():
            if answer.get("status") not in ("OK", None):
                raise CryomaeError(
                    f"a Dask worker cannot do the work: {answer.get('exception')}",
                    "install the same cryomae, Python and Dask on all machines",
                    self._where,
                )

    def _call_off(self, done: Any, out: dict[str, Any]) -> None:
        """Take back what has not begun, and let the rest be finished."""
        futures = list(done.futures)
        try:
            busy = {key for keys in self._client.processing().values() for key in keys}
            idle = [f for f in futures if f.key not in busy]
            self._client.cancel(idle)
            begin = time.monotonic()
            while time.monotonic() - begin < _GRACE and not all(
                f.done() for f in futures if f.key in busy
            ):
                time.sleep(0.1)
        except (OSError, TimeoutError):  # the scheduler is gone, and nothing is left to take back
            return

    def _no_answer(self) -> InputError:
        return InputError(
            "no Dask scheduler answers there",
            "check the address and that `dask scheduler` runs, or use --dask local",
            self._where,
        )


class _Ready(WorkerPlugin):
    """Gets the work ready once in each worker, also in those that come later."""

    def __init__(self, work: Work[Any, Any]) -> None:
        self.work = work
        self.error: Exception | None = None

    def setup(self, worker: Any) -> None:
        self.lock = threading.Lock()
        place = re.search(r"(\d+)$", str(worker.name))
        try:
            self.work.open(int(place.group(1)) if place else 0)
        except Exception as error:  # noqa: BLE001 - raised where the run was started
            self.error = error


class _Raised:
    """An error of the work; as an answer, so that Dask does not try again."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def _call(plugin: str, item: Any) -> Any:
    """What a worker does."""
    ready: Any = get_worker().plugins[plugin]
    if ready.error is not None:
        return _Raised(ready.error)
    try:
        with ready.lock:  # a worker with several threads still does one thing at a time
            return ready.work(item)
    except Exception as error:  # noqa: BLE001 - raised where the run was started
        return _Raised(error)


def _answer(future: Any) -> Any:
    if future.status == "finished":
        answer = future.result()
        if isinstance(answer, _Raised):
            raise answer.error
        return answer
    error = future.exception() if future.status == "error" else None
    if isinstance(error, KilledWorker):
        return Lost("its Dask worker was lost")
    raise CryomaeError(
        f"Dask lost the work ({future.status}{f': {error}' if error else ''})",
        "see whether scheduler and workers still run, then run the same command again",
    )


def _queued(where: str, workers: int) -> Any:
    """Cluster whose workers are jobs of a queue, kept at their number when some are lost."""
    try:
        import dask_jobqueue
    except ImportError as error:
        raise InputError(
            f"--dask {where} needs dask-jobqueue", "pip install 'cryomae[dask]'"
        ) from error
    configured = dask.config.get(f"jobqueue.{where}", {})
    processes = int(configured.get("processes") or 1)
    given: dict[str, Any] = {
        "processes": processes,
        "cores": processes,  # a worker does one thing at a time; job-cpu says how many it books
        "memory": configured.get("memory") or "4GB",
        # Jobs do not inherit what is set here.
        "job_script_prologue": [
            *(configured.get("job-script-prologue") or []),
            "export DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=False",
            *(f"export {name}={value}" for name, value in _MEMORY.items()),
        ],
        "silence_logs": logging.CRITICAL,
    }
    try:
        cluster = getattr(dask_jobqueue, QUEUES[where])(**given)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            f"Dask cannot use {where}: {error}",
            "describe your cluster in ~/.config/dask/jobqueue.yaml",
        ) from error
    cluster.adapt(minimum=workers, maximum=workers)
    return cluster
