"""Masked pretraining of an encoder on real micrographs, simulated ones, or both.

::

    OUTPUT/
      pretrain.yaml          settings and command
      pool/real/             fields of real micrographs, and which they are; none with shards
      pool/simulated/        fields of simulated ones
      checkpoint.safetensors what a run goes on from
      encoder.safetensors    the result, with its card encoder.json
      reconstruction.png, loss.png

Every file appears whole or not at all, so that a run can be killed at any moment.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from cryomae.errors import CryomaeError, InputError, MicrographError
from cryomae.micrograph import MicrographRef
from cryomae.model.encoders import encoder_card, save_encoder, start_encoder
from cryomae.model.mae import Encoder, EncoderConfig, MaskedAutoencoder
from cryomae.shards.store import digest_of, open_packs
from cryomae.train.loop import CHECKPOINT, Progress, Schedule, train
from cryomae.train.machine import Precision, batch_share, make_fabric
from cryomae.train.masked import MaskedTask, Target
from cryomae.train.pictures import LOSS, RECONSTRUCTION, draw_loss, draw_reconstruction
from cryomae.train.processes import Relay, Sender
from cryomae.train.settings import SETTINGS, PretrainSettings, keep_settings
from cryomae.train.sources import AnyWindows, Count, describe, failures_of, make_pools, open_windows

ENCODER = "encoder.safetensors"


@dataclass(frozen=True)
class Machine:
    """On what to compute; a run may go on elsewhere than where it began.

    Attributes
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
    devices : int
        Processes that share every batch, one a device; of each node.
    precision : Precision
    jobs : int
        Processes that simulate.
    nodes : int, optional
        Nodes of a SLURM job, of whose processes this is one.
    """

    device: str = "auto"
    devices: int = 1
    precision: Precision = Precision.auto
    jobs: int = 1
    nodes: int | None = None


@dataclass(frozen=True)
class PretrainResult:
    """How a run ended.

    Attributes
    ----------
    encoder : Path
        The result.
    steps : int
    loss : float
        Running mean at the end.
    sitting : Progress or None
        The run itself, if it was not finished before.
    failed : list of MicrographError
        Micrographs that could not be used.
    """

    encoder: Path
    steps: int
    loss: float
    sitting: Progress | None = None
    failed: list[MicrographError] = field(default_factory=list)


def pretrain(
    settings: PretrainSettings,
    micrographs: Sequence[MicrographRef],
    folder: Path,
    *,
    machine: Machine = Machine(),
    overwrite: bool = False,
    command: Sequence[str] = (),
    every: int = 200,
    on_read: Count | None = None,
    on_simulate: Count | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> PretrainResult:
    """Pretrain, go on from where an earlier call stopped, or say that it is finished.

    Parameters
    ----------
    settings : PretrainSettings
    micrographs : sequence of MicrographRef
        Real ones, which ``settings.inputs`` names; the first call's are kept.
    folder : Path
        For everything that is written.
    machine : Machine
    overwrite : bool
        Begin anew, also with the fields.
    command : sequence of str
        For the record.
    every : int
        Steps between two checkpoints.
    on_read, on_simulate : callable, optional
        ``(done, total)`` in micrographs read and in particles simulated.
    on_progress : callable, optional
        After every step.

    Raises
    ------
    InputError
        If the folder holds a run with other settings, or no micrograph can be used.
    WeightsError
        If the encoder to start from, or the checkpoint, cannot be used.
    Stopped
        After SIGTERM or SIGUSR1; the same call goes on.
    """
    fabric = make_fabric(machine.device, machine.devices, machine.precision, machine.nodes)
    # Said before any field is made.
    batch_share(settings.batch, machine.devices * (machine.nodes or 1))
    failed: list[MicrographError] = []
    if machine.nodes:
        if not settings.shards:
            raise InputError(
                "on several nodes training reads from shards",
                "run cryomae pack on the micrographs, then give --shards FOLDER",
            )
        fabric.launch()
    if settings.shards:
        shards = open_packs([Path(f) for f in settings.shards], new_encoder(settings).config.window)
        settings = settings.model_copy(update={"shards_sha256": digest_of(shards)})
    if fabric.is_global_zero:
        failed = _begin(
            settings, micrographs, folder, machine.jobs, overwrite, command, on_read, on_simulate
        )
    if machine.nodes:
        fabric.barrier()
    if (folder / ENCODER).with_suffix(".json").exists():
        card = encoder_card(folder / ENCODER)
        loss = float("nan") if card.loss is None else card.loss
        return PretrainResult(folder / ENCODER, card.steps, loss, failed=failed)
    if machine.devices == 1 or machine.nodes:
        if not machine.nodes:
            fabric.launch()
        done = _work(fabric, settings, folder, every, on_progress)
    else:
        with Relay(on_progress) as relay:
            work: Callable[..., Any] = _work  # Fabric's type leaves out the arguments
            done = fabric.launch(work, settings, folder, every, relay.sender)
    return PretrainResult(folder / ENCODER, done.step, done.loss, done, failed)


def _begin(
    settings: PretrainSettings,
    micrographs: Sequence[MicrographRef],
    folder: Path,
    jobs: int,
    overwrite: bool,
    command: Sequence[str],
    on_read: Count | None,
    on_simulate: Count | None,
) -> list[MicrographError]:
    """Make ready all that is on disk, by one process; micrographs that cannot be used."""
    if overwrite or not (folder / SETTINGS).exists():
        new_encoder(settings)  # whether it can be had is known before anything is written
    if overwrite:
        _clear(folder)
    keep_settings(folder / SETTINGS, settings, list(command))
    if (folder / ENCODER).with_suffix(".json").exists():
        return failures_of(folder)
    _sweep(folder)
    try:
        config = new_encoder(settings).config
        return make_pools(settings, micrographs, folder, config.window, jobs, on_read, on_simulate)
    except InputError:
        if not (folder / CHECKPOINT).exists():  # the next call may have other settings
            (folder / SETTINGS).unlink(missing_ok=True)
        raise


def new_encoder(settings: PretrainSettings) -> Encoder:
    """Encoder that a run starts from: equal for equal settings.

    Raises
    ------
    InputError
        If the patches of the encoder that was asked for are of another size.
    """
    torch.manual_seed(settings.seed)
    if settings.start is None:
        return Encoder(EncoderConfig(patch=settings.patch or EncoderConfig.patch))
    encoder = start_encoder(settings.start)
    if settings.patch not in (None, encoder.config.patch):
        raise InputError(
            f"the encoder '{settings.start}' has patches of {encoder.config.patch} pixels, "
            f"not {settings.patch}",
            "leave --patch out, or start anew with --encoder none",
        )
    return encoder


def make_task(settings: PretrainSettings) -> MaskedTask:
    """Autoencoder with its loss, as a run starts from."""
    encoder = new_encoder(settings)
    torch.manual_seed(settings.seed)
    autoencoder = MaskedAutoencoder(encoder.config)
    if settings.start is not None:
        autoencoder.encoder.load_state_dict(encoder.state_dict())
    return MaskedTask(autoencoder, settings.mask, Target(settings.what), settings.seed)


def _work(
    fabric: Fabric,
    settings: PretrainSettings,
    folder: Path,
    every: int,
    tell: Callable[[Any], None] | None,
) -> Progress:
    """Train in one process of possibly several; the first one writes."""
    try:
        task = make_task(settings)
        windows = open_windows(settings, folder, task.autoencoder.encoder.config.window)
        last = Progress()

        def keep(at: Progress) -> None:
            nonlocal last
            last = replace(at)

        def draw(at: Progress) -> None:
            draw_loss(folder / LOSS, at)
            draw_reconstruction(folder / RECONSTRUCTION, task, windows, at.step)

        def step(at: Progress) -> None:
            keep(at)
            if tell is not None:
                tell(replace(at, history=[]))

        schedule = Schedule(settings.steps, settings.batch, settings.peak_rate, seed=settings.seed)
        train(
            task, windows, schedule, folder, fabric=fabric, every=every,
            on_progress=step, on_start=keep, on_checkpoint=draw,
        )  # fmt: skip
        if fabric.is_global_zero:
            draw(last)
            save_encoder(folder / ENCODER, task.autoencoder.encoder, _card(settings, windows, last))
        fabric.barrier()
    except CryomaeError as error:
        if isinstance(tell, Sender):
            tell(error)  # as it is: what the launcher raises is the text of a traceback
        raise
    return last


def _card(settings: PretrainSettings, windows: AnyWindows, at: Progress) -> dict[str, Any]:
    return {
        "recipe": "cryomae pretrain, masked autoencoder",
        "data": describe(settings, windows),
        "settings": settings.model_dump(),
        "steps": at.step,
        "loss": at.loss,
    }


def _clear(folder: Path) -> None:
    """Remove what an earlier run wrote, its settings last."""
    _sweep(folder)
    shutil.rmtree(folder / "pool", ignore_errors=True)
    # The card goes first: without it a run is not finished.
    card = Path(ENCODER).with_suffix(".json").name
    for name in (card, ENCODER, CHECKPOINT, RECONSTRUCTION, LOSS, SETTINGS):
        (folder / name).unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Remove parts of files that a killed run was writing."""
    patterns = [f".{Path(n).stem}.*{Path(n).suffix}" for n in (CHECKPOINT, ENCODER)]
    patterns += [f".{Path(n).stem}.*{Path(n).suffix}" for n in (RECONSTRUCTION, LOSS, SETTINGS)]
    patterns += [".encoder.*.json", "pool/*/.fields_*.npz", "pool/real/.micrographs.*.json"]
    for pattern in patterns:
        for part in folder.glob(pattern):
            with suppress(OSError):
                part.unlink()
