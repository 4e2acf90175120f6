"""The command ``cryomae pretrain``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cryomae.cli.options import BeginAnew, DryRun, PixelSize

if TYPE_CHECKING:
    from cryomae.errors import MicrographError
    from cryomae.train.pretrain import Machine, PretrainResult
    from cryomae.train.settings import PretrainSettings


def pretrain(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Micrographs: files, folders, quoted globs, @list.txt, or a RELION "
            "micrographs STAR file. None are needed with --shards or --simulate.",
            metavar="[INPUTS]",
            show_default=False,
        ),
    ] = None,
    diameter: Annotated[
        float | None,
        typer.Option(
            metavar="Å",
            help="Diameter in Å of the particle in the micrographs: its longest dimension.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="Folder for everything that is written."
        ),
    ] = Path("cryomae_pretrain"),
    shards: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER",
            help="Learn from micrographs that cryomae pack made ready: any number of them, in "
            "little memory. Give it again for more folders.",
            show_default="not used",
        ),
    ] = None,
    simulate: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Learn from simulated micrographs of N procedural particles, too or only.",
        ),
    ] = 0,
    pixel_size: PixelSize = None,
    max_micrographs: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="Most micrographs to use, evenly spread over the list."
        ),
    ] = 1000,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="raw|lowpass|clean",
            help="What to reconstruct: the image as it is, without its fine noise, or as it was "
            "before noise (simulated micrographs only).",
            show_default="clean if all is simulated, else lowpass",
        ),
    ] = None,
    mask: Annotated[
        float, typer.Option(min=0.1, max=0.95, metavar="0..1", help="Share of hidden patches.")
    ] = 0.75,
    encoder: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE|none",
            help="Encoder to start from: a shipped model's, that of a .safetensors file, or none "
            "for random weights.",
            show_default="the shipped one",
        ),
    ] = None,
    patch: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            help="Side of a patch, of which a particle's diameter is 32: 4, 8, 16 or 32. Other "
            "than 8 means random weights.",
            show_default="that of the encoder",
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, metavar="N", help="Updates of the weights.")] = 2000,
    batch: Annotated[int, typer.Option(min=1, metavar="N", help="Windows in an update.")] = 64,
    rate: Annotated[
        float | None,
        typer.Option(
            metavar="RATE",
            help="Peak learning rate.",
            show_default="0.0015 from random weights, else 0.0005",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="Same seed, same windows and masks.")
    ] = 1,
    device: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Where to compute: auto (a GPU if there is one), cpu, cuda, cuda:1.",
        ),
    ] = "auto",
    devices: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="GPUs, or processes on the CPU, that share each batch; of each node.",
        ),
    ] = 1,
    nodes: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Nodes of a SLURM job, on each of which srun has started --devices processes: see "
            "configs/pretrain.sbatch. Needs --shards.",
            show_default="this machine alone",
        ),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            metavar="auto|bfloat16|float32",
            help="auto is bfloat16 where the hardware is made for it.",
        ),
    ] = "auto",
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            metavar="N",
            help="Processes that simulate.",
            show_default="cores",
        ),
    ] = None,
    overwrite: BeginAnew = False,
    dry_run: DryRun = False,
) -> None:
    """Pretrain an encoder by hiding most of every window and filling it in.

    It needs no picks: an encoder that has seen many micrographs like yours knows what ice,
    carbon and protein look like there. If a run is stopped, the same command goes on where
    it was. The result is encoder.safetensors; look at reconstruction.png and loss.png.

    For example:
      On your micrographs, from the shipped encoder:
        cryomae pretrain micrographs/*.mrc --diameter 180 -o runs/pretrain

      On simulated micrographs only, from nothing:
        cryomae pretrain --simulate 400 --encoder none -o runs/simulated

      On two GPUs:
        cryomae pretrain micrographs/ --diameter 180 --devices 2 --batch 256

      On more micrographs than fit into memory, of one data set or several:
        cryomae pack micrographs/ --diameter 180 -o packs/a
        cryomae pretrain --shards packs/a --shards packs/b -o runs/pretrain

      The same on 2 nodes of a cluster with 4 GPUs each; goes on by itself at the time limit:
        sbatch --nodes 2 configs/pretrain.sbatch --shards packs/a -o runs/pretrain

    Ends with 0 if all is well, 1 if micrographs were not used, 75 after SIGUSR1, when a
    checkpoint is written and the same command should be queued again, 143 after SIGTERM.
    """
    from cryomae.train.settings import make_settings

    settings = make_settings(
        {
            "inputs": inputs or [], "diameter": diameter, "pixel_size": pixel_size,
            "shards": [str(folder) for folder in shards or []],
            "max_micrographs": max_micrographs, "simulate": simulate, "target": target,
            "mask": mask, "encoder": encoder, "patch": patch, "steps": steps, "batch": batch,
            "rate": rate, "seed": seed,
        }
    )  # fmt: skip
    from cryomae.cores import usable_cores
    from cryomae.train.machine import Precision
    from cryomae.train.pretrain import Machine
    from cryomae.train.stopping import Stop, Stopped

    if precision not in list(Precision):
        raise typer.BadParameter(f"give one of {', '.join(Precision)}", param_hint="--precision")
    machine = Machine(device, devices, Precision(precision), jobs or usable_cores(), nodes)
    first = nodes is None or os.environ.get("SLURM_PROCID") == "0"
    # A job that was queued again has the options of its first start: it must not begin anew.
    overwrite = overwrite and os.environ.get("SLURM_RESTART_COUNT", "0") == "0"
    try:
        result, missing = _run(settings, output, machine, overwrite, dry_run)
    except KeyboardInterrupt:
        typer.secho("Stopped. Run the same command again to go on.", fg="yellow", err=True)
        raise typer.Exit(130) from None
    except Stopped as stopped:
        if first:
            typer.secho(
                f"Stopped after step {stopped.step}; a checkpoint is written. Run the same "
                "command again to go on.",
                fg="yellow",
                err=True,
            )
        raise typer.Exit(75 if stopped.why is Stop.REQUEUE else 143) from None
    if result is not None and first:
        _show(result, settings)
    failed = missing + (result.failed if result is not None else [])
    for error in failed:
        typer.secho(f"not used: {error}", fg="yellow", err=True)
    if failed:
        typer.secho(f"{len(failed)} of the micrographs were not used", fg="red", err=True)
    raise typer.Exit(1 if failed else 0)


def _run(
    settings: PretrainSettings, output: Path, machine: Machine, overwrite: bool, dry_run: bool
) -> tuple[PretrainResult | None, list[MicrographError]]:
    """Result, unless nothing was to be done, and inputs that are no micrographs."""
    from cryomae.cli.progress import show_training
    from cryomae.errors import InputError
    from cryomae.io import find_micrographs
    from cryomae.train.pretrain import pretrain as work

    refs, missing = find_micrographs(settings.inputs) if settings.inputs else ([], [])
    if settings.inputs and not refs:
        raise InputError(f"no micrographs: {missing[0]}")
    if dry_run:
        _show_plan(settings, len(refs), output, machine)
        return None, missing
    with ExitStack() as stack:
        result = work(
            settings, refs, output, machine=machine, overwrite=overwrite,
            command=["cryomae", *sys.argv[1:]],
            on_read=_counter(stack, "Reading", "micrographs"),
            on_simulate=_counter(stack, "Simulating", "particles"),
            on_progress=stack.enter_context(show_training()),
        )  # fmt: skip
    return result, missing


def _counter(stack: ExitStack, what: str, unit: str) -> Callable[[int, int], None]:
    """Count on a display that is there from the first number to the last."""
    from cryomae.cli.progress import show_count

    display = stack.enter_context(ExitStack())
    show: Callable[[int, int], None] | None = None

    def tell(done: int, total: int) -> None:
        nonlocal show
        show = show or display.enter_context(show_count(what, unit))
        show(done, total)
        if done == total:
            display.close()

    return tell


def _show_plan(settings: PretrainSettings, found: int, output: Path, machine: Machine) -> None:
    from cryomae.shards.store import open_packs
    from cryomae.train.machine import make_fabric

    fabric = make_fabric(machine.device, machine.devices, machine.precision, machine.nodes)
    used = min(found, settings.max_micrographs)
    real = f"{used} of {found} micrographs" if found else ""
    if settings.shards:
        packed = open_packs([Path(folder) for folder in settings.shards], window=0)
        count = sum(shard.micrographs for shard in packed)
        real = f"{count:,} micrographs in {len(packed)} shards"
    made = f"{settings.simulate} simulated particles" if settings.simulate else ""
    typer.echo(
        f"{output}: {settings.steps} steps of {settings.batch} windows from "
        f"{' and '.join(part for part in (real, made) if part)}; target {settings.what}, "
        f"{100 * settings.mask:g} % hidden, encoder {settings.start or 'of random weights'}, "
        f"rate {settings.peak_rate:g}, {machine.devices * (machine.nodes or 1)} × "
        f"{fabric.device.type}, "
        f"seed {settings.seed}. Nothing was written (--dry-run)."
    )


def _show(result: PretrainResult, settings: PretrainSettings) -> None:
    folder = result.encoder.parent
    at = result.sitting
    if at is None:
        typer.echo(
            f"{folder} is finished: {result.steps} steps, loss {result.loss:.4f}; "
            "--overwrite begins anew"
        )
        return
    windows = f"{at.step * settings.batch:,} windows"
    rate = f", {at.windows_per_second:.1f} windows/s" if at.windows_per_second else ""
    typer.echo(
        f"{result.encoder}: {at.step} steps, {windows} in {_duration(at.seconds)}{rate}, loss "
        f"{at.loss:.4f}; look at {folder / 'reconstruction.png'} and {folder / 'loss.png'}"
    )


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
