"""How many cores this process may use."""

import os

_LIBRARIES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def usable_cores() -> int:
    """Cores that the scheduler lets this process use, which on a cluster are not all."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads() -> int:
    """Threads to compute with: ``OMP_NUM_THREADS`` where it is set, else all usable cores."""
    given = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return int(given) if given.isdigit() and int(given) > 0 else usable_cores()


def limit_threads(count: int) -> None:
    """Compute with so many threads; of use before numpy and torch are imported."""
    for name in _LIBRARIES:
        os.environ[name] = str(max(1, count))
