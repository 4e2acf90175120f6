"""Which back end a user's options mean."""

from __future__ import annotations

from collections.abc import Callable

from cryomae.cores import usable_cores
from cryomae.errors import InputError
from cryomae.scale.backend import Backend, Serial
from cryomae.scale.processes import Processes

_QUEUES = ("slurm", "pbs", "lsf", "sge")
_PER_GPU = 4  # a core takes longer to prepare a micrograph than a GPU to score it
_MEMORY = 2 * 2**30  # bytes: what a process takes for a micrograph of 8192 × 8192


def choose_backend(
    processes: str | None, on_dask: str | None, say: Callable[[str], None] = lambda _: None
) -> Backend:
    """Back end for ``--processes`` and ``--dask``.

    Parameters
    ----------
    processes : str or None
        A number, or ``auto``.
    on_dask : str or None
        ``local``, a queue, or the address of a scheduler.
    say : callable
        Told what is waited for.

    Raises
    ------
    InputError
        If an option makes no sense, or Dask is not installed.
    """
    count = _count(processes)
    if on_dask is None:
        return Serial() if count is None else Processes(count)
    where = on_dask.strip()
    if where not in ("local", *_QUEUES) and "://" not in where:
        raise InputError(
            f"--dask cannot be '{where}'",
            f"give local, {', '.join(_QUEUES)}, or an address such as tcp://node7:8786",
        )
    if where in _QUEUES and count is None:
        raise InputError(
            f"how many workers {where} should start is not said", "add --processes, such as 8"
        )
    from cryomae.scale.on_dask import OnDask

    return OnDask(where, _automatic() if count is None else count, say)


def _count(processes: str | None) -> int | None:
    if processes is None:
        return None
    if processes.strip().lower() == "auto":
        return _automatic()
    if not processes.strip().isdigit() or int(processes) < 1:
        raise InputError(
            f"--processes cannot be '{processes}'", "give a number, such as 4, or auto"
        )
    return int(processes)


def _automatic() -> int:
    """As many as keep the GPUs busy, else one per core; in either case as memory allows."""
    import psutil
    import torch

    gpus = torch.cuda.device_count()
    wanted = min(_PER_GPU * gpus, usable_cores()) if gpus else usable_cores()
    return max(1, gpus, min(wanted, psutil.virtual_memory().available // _MEMORY))
