"""Where a training runs: devices, precision, and processes of one machine or of many."""

from __future__ import annotations

import logging
import os
from enum import StrEnum

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment, SLURMEnvironment

from cryomae.cores import usable_cores
from cryomae.errors import InputError


class Precision(StrEnum):
    """In which numbers to compute; weights are float32 in any case."""

    auto = "auto"
    """bfloat16 where the hardware is made for it, else float32."""
    bfloat16 = "bfloat16"
    float32 = "float32"


def make_fabric(
    device: str = "auto",
    devices: int = 1,
    precision: Precision = Precision.auto,
    nodes: int | None = None,
) -> Fabric:
    """Fabric on one device or several, of one machine or several.

    Parameters
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
    devices : int
        Processes, one a device; of each machine.
    precision : Precision
    nodes : int, optional
        Machines of a SLURM job whose processes srun has started; default this machine, where
        processes are started here.

    Raises
    ------
    InputError
        If there are no such devices here, or srun has not started so many processes.
    """
    from cryomae.pick.device import choose_device, choose_dtype

    # What it says of precision is among what cryomae says itself.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    place = choose_device(device)
    if devices > 1 and place.type == "mps":
        raise InputError("this computer has one GPU", "use --devices 1")
    if devices > 1 and place.type == "cuda" and devices > torch.cuda.device_count():
        raise InputError(
            f"{devices} GPUs are asked for, {torch.cuda.device_count()} are here",
            "give fewer --devices",
        )
    fast = choose_dtype(place) == torch.bfloat16
    if precision is not Precision.auto:
        fast = precision is Precision.bfloat16
    one = devices == 1 and place.index is not None and place.type == "cuda"
    spawned = "ddp_spawn" if devices > 1 else "auto"
    return Fabric(
        accelerator=place.type,
        devices=[place.index or 0] if one else devices,
        num_nodes=nodes or 1,
        strategy="ddp" if nodes else spawned,
        precision="bf16-mixed" if fast else "32-true",
        # Unless asked for, what a cluster's scheduler has set does not count: processes are ours.
        plugins=[_slurm(nodes, devices) if nodes else LightningEnvironment()],
    )


def dtype_of(fabric: Fabric) -> torch.dtype:
    """In which numbers a fabric multiplies."""
    kind = fabric.device.type
    with fabric.autocast():
        return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32


def _slurm(nodes: int, devices: int) -> SLURMEnvironment:
    """What SLURM says of its processes, if they are as the user says."""
    # Of the step: those of the job are set also where srun was forgotten.
    found = [os.environ.get(f"SLURM_STEP_NUM_{name}", "no") for name in ("TASKS", "NODES")]
    if found != [str(nodes * devices), str(nodes)]:
        raise InputError(
            f"srun should start {nodes * devices} processes on {nodes} nodes; it started "
            f"{found[0]} on {found[1]} nodes",
            "give --nodes as to sbatch, --devices as its --ntasks-per-node, and start with srun: "
            "see configs/pretrain.sbatch",
        )
    os.environ["SLURM_NTASKS_PER_NODE"] = str(devices)  # however that was asked for
    return SLURMEnvironment(auto_requeue=False)


def batch_share(batch: int, processes: int) -> int:
    """Windows of a batch that each process computes.

    Raises
    ------
    InputError
        If the processes cannot share it evenly.
    """
    if batch % processes:
        raise InputError(
            f"a batch of {batch} cannot be shared by {processes} processes",
            "make --batch a multiple of all --devices",
        )
    return batch // processes


def loaders(fabric: Fabric) -> int:
    """Processes that draw windows for this one; on a CPU it needs the cores itself."""
    if fabric.device.type == "cpu":
        return 1
    environment = getattr(fabric.strategy, "cluster_environment", None)
    # SLURM gives each of its processes cores of its own; processes that we start share ours.
    sharing = 1 if isinstance(environment, SLURMEnvironment) else fabric.world_size
    return max(1, min(8, usable_cores() // sharing - 1))
