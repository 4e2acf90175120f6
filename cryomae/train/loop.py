"""The one training loop: masked pretraining and the particle head both go through it.

Lightning Fabric places the model, chooses the precision and joins several processes
(``torch.distributed``); the loop is plain. Window ``i`` of a run depends on the seed and
``i`` only, so that a run that was killed goes on as if nothing had happened.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset

from cryomae.errors import CryomaeError, InputError, WeightsError
from cryomae.train.checkpoint import load_checkpoint, save_checkpoint

Batch = dict[str, Tensor]

CHECKPOINT = "checkpoint.safetensors"


class Task(nn.Module):
    """A model with its loss; `forward` takes a batch and the step, and gives the loss."""

    def forward(self, batch: Batch, step: int) -> Tensor:
        """Mean loss over the batch."""
        raise NotImplementedError


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn.

    Attributes
    ----------
    steps : int
        Updates of the weights.
    batch : int
        Windows in an update, over all processes.
    rate : float
        Peak learning rate of AdamW: linear warm-up over 5 %, then a cosine to a fiftieth.
    decay : float
        Weight decay.
    average : float, optional
        Decay of the running average of the weights (also of the statistics of batch
        normalisation), which is then the result; by default none.
    seed : int
    """

    steps: int
    batch: int
    rate: float
    decay: float = 0.05
    average: float | None = None
    seed: int = 1

    def rate_at(self, step: int) -> float:
        """Learning rate of a step."""
        progress = step / self.steps
        if progress < 0.05:
            return self.rate * (progress + 1e-3) / 0.05
        return self.rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (progress - 0.05) / 0.95)))


@dataclass
class Progress:
    """Where a run is.

    Attributes
    ----------
    step, steps : int
    seconds : float
        Spent so far, earlier sittings included.
    loss : float
        Running mean.
    windows_per_second : float
        In this sitting.
    step_seconds : float
        What a step takes, in this sitting.
    history : list of (int, float)
        Running mean of the loss over the steps.
    """

    step: int = 0
    steps: int = 0
    seconds: float = 0.0
    loss: float = float("nan")
    windows_per_second: float = 0.0
    step_seconds: float = 0.0
    history: list[tuple[int, float]] = field(default_factory=list)


class Precision(StrEnum):
    """In which numbers to compute; weights are float32 in any case."""

    auto = "auto"
    """bfloat16 where the hardware is made for it, else float32."""
    bfloat16 = "bfloat16"
    float32 = "float32"


def make_fabric(
    device: str = "auto", devices: int = 1, precision: Precision = Precision.auto
) -> Fabric:
    """Fabric on one device or several.

    Parameters
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
    devices : int
        Processes, one a device.
    precision : Precision

    Raises
    ------
    InputError
        If there are no such devices here.
    """
    from cryomae.pick.device import choose_device, choose_dtype

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
    return Fabric(
        accelerator=place.type,
        devices=[place.index or 0] if one else devices,
        strategy="ddp_spawn" if devices > 1 else "auto",
        precision="bf16-mixed" if fast else "32-true",
        # Processes are ours: variables that a cluster's scheduler has set do not count.
        plugins=[LightningEnvironment()],
    )


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
            "make --batch a multiple of --devices",
        )
    return batch // processes


def train(
    task: Task,
    windows: Dataset[Batch],
    schedule: Schedule,
    folder: Path,
    *,
    fabric: Fabric,
    on_start: Callable[[Progress], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_checkpoint: Callable[[Progress], None] | None = None,
    every: int = 200,
) -> nn.Module:
    """Train, or go on from the checkpoint in ``folder``.

    Parameters
    ----------
    task : Task
    windows : Dataset
        Any index is a window.
    schedule : Schedule
    folder : Path
        For the checkpoint.
    fabric : Fabric
        Launched.
    on_start : callable, optional
        Once, before the first step of this sitting, in every process.
    on_progress : callable, optional
        After every step, in the first process.
    on_checkpoint : callable, optional
        After every checkpoint, in the first process.
    every : int
        Steps between two checkpoints.

    Returns
    -------
    Module
        The task, with averaged weights if the schedule says so.

    Raises
    ------
    InputError
        If the processes cannot share a batch evenly.
    WeightsError
        If the checkpoint is damaged or is that of another training.
    CryomaeError
        If the loss is no longer a number; the checkpoint then is from before that.
    """
    batch_share(schedule.batch, fabric.world_size)
    model = task.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=schedule.rate, betas=(0.9, 0.97), weight_decay=schedule.decay
    )
    average = None
    parts: dict[str, nn.Module] = {"model": model}
    if schedule.average is not None:
        average = AveragedModel(
            model, multi_avg_fn=get_ema_multi_avg_fn(schedule.average), use_buffers=True
        ).to(fabric.device)
        parts["average"] = average
    wrapped, optimizer = fabric.setup(model, optimizer)
    progress, path = Progress(steps=schedule.steps), folder / CHECKPOINT
    if path.exists():
        progress = _progress_from(load_checkpoint(path, parts, optimizer), path)
        progress.steps = schedule.steps
    if on_start is not None:
        on_start(progress)
    spent, first, start = progress.seconds, progress.step, time.perf_counter()
    for batch in _batches(windows, schedule, first, fabric):
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate_at(progress.step)
        loss = wrapped(batch, progress.step)
        optimizer.zero_grad()
        fabric.backward(loss)
        fabric.clip_gradients(wrapped, optimizer, max_norm=1.0)
        optimizer.step()
        if average is not None:
            average.update_parameters(model)
        value = float(loss.detach())
        if fabric.world_size > 1:  # every process sees its share of the batch only
            shared = fabric.all_reduce(loss.detach(), reduce_op="mean")
            assert isinstance(shared, Tensor)
            value = float(shared)
        if not math.isfinite(value):
            raise CryomaeError(
                f"the loss is no longer a number at step {progress.step}", "lower the rate"
            )
        progress.loss = value if progress.step == 0 else 0.98 * progress.loss + 0.02 * value
        progress.step += 1
        here = time.perf_counter() - start
        progress.seconds = spent + here
        progress.step_seconds = here / (progress.step - first)
        progress.windows_per_second = schedule.batch / progress.step_seconds
        if progress.step % 20 == 0:
            progress.history.append((progress.step, progress.loss))
        if on_progress is not None and fabric.is_global_zero:
            on_progress(progress)
        if fabric.is_global_zero and (
            progress.step % every == 0 or progress.step == progress.steps
        ):
            save_checkpoint(path, parts, optimizer, _note(progress))
            if on_checkpoint is not None:
                on_checkpoint(progress)
    return task if average is None else average.module


def _note(progress: Progress) -> dict[str, Any]:
    return dict(vars(progress))


def _progress_from(note: Any, path: Path) -> Progress:
    try:
        return Progress(**note)
    except TypeError as error:
        raise WeightsError(
            "this is not a checkpoint of this training", "delete it to begin anew", path
        ) from error


def _batches(
    windows: Dataset[Batch], schedule: Schedule, first: int, fabric: Fabric
) -> Iterator[Batch]:
    share = batch_share(schedule.batch, fabric.world_size)
    begin = [
        step * schedule.batch + fabric.global_rank * share for step in range(first, schedule.steps)
    ]
    loader: DataLoader[Batch] = DataLoader(
        windows,
        batch_sampler=[list(range(b, b + share)) for b in begin],
        num_workers=1,
        prefetch_factor=8,
        worker_init_fn=_calm,
    )
    for batch in loader:
        yield {key: value.to(fabric.device) for key, value in batch.items()}


def _calm(_: int) -> None:
    torch.set_num_threads(1)
