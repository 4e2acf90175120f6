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
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset, Sampler

from cryomae.errors import CryomaeError, WeightsError
from cryomae.model.mae import choose_attention
from cryomae.train.checkpoint import load_checkpoint, save_checkpoint
from cryomae.train.machine import batch_share, dtype_of, loaders
from cryomae.train.stopping import Stop, Stopped, ignore_stop, stopper

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
    Stopped
        After SIGTERM or SIGUSR1 to any process, when the step is finished and a checkpoint
        of it written.
    """
    batch_share(schedule.batch, fabric.world_size)
    model = task.to(memory_format=torch.channels_last)
    choose_attention(model, fabric.device, dtype_of(fabric))
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
    if fabric.world_size > 1 and fabric.broadcast(progress.step) != progress.step:
        raise CryomaeError(
            "not all processes see the same checkpoint", "use a folder that all nodes share", path
        )
    if on_start is not None:
        on_start(progress)
    spent, first, start = progress.seconds, progress.step, time.perf_counter()
    with stopper() as listener:
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
            value, stop = _agree(fabric, loss.detach(), listener.why)
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
            finished = progress.step == progress.steps
            if fabric.is_global_zero and (progress.step % every == 0 or finished or stop):
                save_checkpoint(path, parts, optimizer, _note(progress))
                if on_checkpoint is not None:
                    on_checkpoint(progress)
            if stop and not finished:
                fabric.barrier()  # whoever ended now could take the one that writes with it
                raise Stopped(progress.step, stop)
    return task if average is None else average.module


def _agree(fabric: Fabric, loss: Tensor, why: Stop) -> tuple[float, Stop]:
    """Mean loss of all processes, and whether one of them was told to stop.

    They stop after the same step, or those that go on would wait for the others for ever.
    """
    if fabric.world_size == 1:
        return float(loss), why
    mine = torch.tensor([why == Stop.END, why == Stop.REQUEUE], dtype=torch.float32)
    shared = fabric.all_reduce(torch.cat([loss[None].float(), mine.to(loss.device)]))
    assert isinstance(shared, Tensor)
    value, end, requeue = shared.tolist()
    return value, Stop.REQUEUE if requeue else Stop.END if end else Stop.NO


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
    loader: DataLoader[Batch] = DataLoader(
        windows,
        batch_sampler=_Shares(schedule, first, fabric.global_rank * share, share),
        num_workers=loaders(fabric),
        prefetch_factor=8,
        worker_init_fn=_calm,
    )
    for batch in loader:
        yield {key: value.to(fabric.device) for key, value in batch.items()}


class _Shares(Sampler[list[int]]):
    """Numbers of the windows that one process computes, batch by batch; none is kept."""

    def __init__(self, schedule: Schedule, first: int, offset: int, share: int) -> None:
        self.schedule, self.first, self.offset, self.share = schedule, first, offset, share

    def __len__(self) -> int:
        return self.schedule.steps - self.first

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.first, self.schedule.steps):
            begin = step * self.schedule.batch + self.offset
            yield list(range(begin, begin + self.share))


def _calm(_: int) -> None:
    """Get ready a process that draws windows; it ends when the one that it draws for does."""
    torch.set_num_threads(1)
    ignore_stop()  # a queue signals all processes, and the last step still needs its windows
