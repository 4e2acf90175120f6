"""Run a grid on several processes; what fails is recorded and stops nothing else."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache, partial
from multiprocessing import get_context

from threadpoolctl import threadpool_limits

from cryomae.sampler.benchmark.datasets import DatasetError, load_dataset
from cryomae.sampler.benchmark.grid import Job, parse_strategy
from cryomae.sampler.benchmark.protocol import run_experiment
from cryomae.sampler.benchmark.store import Store
from cryomae.sampler.errors import SamplerError

Work = Callable[[Job], str]
"""Does a run and gives its error, empty if there was none."""

DIED = "its process died; perhaps the memory was not enough"

_load = lru_cache(maxsize=4)(load_dataset)


def run_grid(
    jobs: Iterable[Job],
    store: Store,
    *,
    workers: int = 1,
    time_limit: float | None = None,
    on_done: Callable[[Job, str], None] = lambda job, error: None,
) -> None:
    """Do all runs that are not done yet and keep their results.

    Parameters
    ----------
    jobs : iterable of Job
    store : Store
        Already open.
    workers : int
        Processes, each with one thread; 1 works in this one.
    time_limit : float, optional
        Seconds a run may take; it is looked at between rounds.
    on_done : callable
        Called in this process after each run with its error, empty if there was none.
    """
    waiting = [job for job in jobs if not store.done(job)]
    work = partial(do_job, store=store, time_limit=time_limit)
    if workers > 1:
        _share(waiting, work, store, workers, on_done)
        return
    with threadpool_limits(1):
        for job in waiting:
            on_done(job, work(job))


def do_job(job: Job, *, store: Store, time_limit: float | None) -> str:
    """Do one run, keep its result or its error, and give the error."""
    try:
        curve = run_experiment(
            _load(job.source),
            parse_strategy(job.strategy),
            store.protocol,
            job.seed,
            time_limit=time_limit,
        )
    except (SamplerError, DatasetError) as error:
        text = str(error)
    except Exception as error:  # noqa: BLE001 - recorded; one strategy never stops the others
        text = f"unexpected {type(error).__name__}: {error}"
    else:
        store.keep(job, curve)
        return ""
    store.fail(job, text)
    return text


def _share(
    jobs: list[Job],
    work: Work,
    store: Store,
    workers: int,
    on_done: Callable[[Job, str], None],
) -> None:
    """Work in processes; when one dies, try what was running one at a time to find the cause."""
    waiting, suspects = deque(jobs), deque[Job]()
    while waiting or suspects:
        alone = bool(suspects)
        queue = suspects if alone else waiting
        lost = _drain(queue, work, 1 if alone else workers, on_done)
        if alone and lost:
            store.fail(lost[0], DIED)
            on_done(lost[0], DIED)
        else:
            suspects.extend(lost)


def _drain(
    queue: deque[Job], work: Work, workers: int, on_done: Callable[[Job, str], None]
) -> list[Job]:
    """Do the jobs of a queue until it is empty or a process dies; give what was running then."""
    running: dict[Future[str], Job] = {}
    with ProcessPoolExecutor(workers, get_context("spawn"), _start_worker) as pool:
        try:
            while queue or running:
                while queue and len(running) < workers:
                    running[pool.submit(work, queue[0])] = queue[0]
                    queue.popleft()
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    error = future.result()
                    on_done(running.pop(future), error)
        except BrokenProcessPool:
            return list(running.values())
    return []


def _start_worker() -> None:
    """One thread a process, before any library starts more; the interrupt key ends it at once."""
    os.environ["OMP_NUM_THREADS"] = "1"
    threadpool_limits(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
