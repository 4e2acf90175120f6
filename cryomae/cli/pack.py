"""The command ``cryomae pack``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cryomae.cli.options import BeginAnew, DryRun, PixelSize

if TYPE_CHECKING:
    from cryomae.micrograph import MicrographRef
    from cryomae.shards.pack import Packed, PackSettings


def pack(
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="Micrographs: files, folders, quoted globs, @list.txt, or a RELION "
            "micrographs STAR file.",
            show_default=False,
        ),
    ],
    diameter: Annotated[
        float,
        typer.Option(
            metavar="Å",
            help="Diameter in Å of the particle in the micrographs: its longest dimension.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder for the shards.")
    ] = Path("cryomae_shards"),
    pixel_size: PixelSize = None,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Prepare in so many processes. One that dies is replaced. With --dask: workers "
            "to start.",
            show_default="cores",
        ),
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="WHERE",
            help="Prepare in workers of Dask: local; slurm, pbs, lsf or sge, to start them as "
            "jobs; or the address of a scheduler, such as tcp://node7:8786.",
            show_default="not used",
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Make only part I of N of the shards, for job arrays. The same command without "
            "it makes what is missing.",
            show_default="all",
        ),
    ] = None,
    overwrite: BeginAnew = False,
    dry_run: DryRun = False,
) -> None:
    """Make micrographs ready for pretraining: shards, which are read in pieces.

    Each micrograph is prepared once, as the picker sees it, and kept in eight bits, which is a
    small part of the file. If a run is stopped, the same command goes on where it was.
    One that cannot be used is named and left out.

    For example:
      All micrographs of a folder, of a particle 180 Å long:
        cryomae pack micrographs/ --diameter 180 -o packs/a
        cryomae pretrain --shards packs/a

      How much disk that will take:
        cryomae pack micrographs/ --diameter 180 --dry-run

      As 8 jobs of a cluster, or as an array of jobs:
        cryomae pack micrographs/ --diameter 180 -o packs/a --dask slurm --processes 8
        sbatch --array=1-8 configs/pack_array.sbatch micrographs/ --diameter 180 -o packs/a

    Ends with 1 if micrographs could not be used.
    """
    if not 0 < diameter < 100_000:
        raise typer.BadParameter("give a length in Å, such as 180", param_hint="--diameter")
    if pixel_size is not None and not 0 < pixel_size < 1000:
        raise typer.BadParameter("give Å per pixel, such as 1.06", param_hint="--pixel-size")
    from cryomae.errors import InputError
    from cryomae.io import find_micrographs
    from cryomae.model.mae import EncoderConfig
    from cryomae.shards.pack import PackSettings

    refs, missing = find_micrographs(inputs)
    if not refs:
        raise InputError(f"no micrographs: {missing[0]}")
    settings = PackSettings.of(refs, diameter, pixel_size, EncoderConfig.window)
    if dry_run:
        _show_plan(refs, settings, output)
        raise typer.Exit
    try:
        packed = _run(refs, output, settings, processes, dask, shard, overwrite)
    except KeyboardInterrupt:
        typer.secho("Stopped. Run the same command again to go on.", fg="yellow", err=True)
        raise typer.Exit(130) from None
    failed = missing + packed.failed
    for error in failed:
        typer.secho(f"not used: {error}", fg="yellow", err=True)
    _show(packed, len(refs))
    raise typer.Exit(1 if failed else 0)


def _run(
    refs: list[MicrographRef],
    output: Path,
    settings: PackSettings,
    processes: int | None,
    dask: str | None,
    shard: str | None,
    overwrite: bool,
) -> Packed:
    from cryomae.batch.plan import Shard
    from cryomae.cli.progress import show_count
    from cryomae.cli.stopping import stop_on_terminate
    from cryomae.cores import usable_cores
    from cryomae.scale.choose import choose_backend
    from cryomae.shards.pack import clear, pack_micrographs

    part = None if shard is None else Shard.parse(shard)
    # A GPU is of no use here: as many as there are cores, unless a queue is to be asked for them.
    here = dask in (None, "local")
    count = processes or (usable_cores() if here else None)
    backend = choose_backend(
        None if count is None else str(count), dask, lambda text: typer.echo(text, err=True)
    )
    if overwrite:
        clear(output)
    with stop_on_terminate(), backend, show_count("Packing", "micrographs", pause=10) as tell:
        return pack_micrographs(
            refs, output, settings, backend=backend, part=part,
            command=["cryomae", *sys.argv[1:]], on_progress=tell,
        )  # fmt: skip


def _show_plan(refs: list[MicrographRef], settings: PackSettings, output: Path) -> None:
    from cryomae.io import read_header
    from cryomae.prepare import working_shape

    header = read_header(refs[0].path)
    size = settings.pixel_size or refs[0].pixel_size or header.pixel_size
    about = ""
    if header.problem is None and size:
        height, width = working_shape(header.shape, size, settings.diameter)
        whole = _bytes(len(refs) * width * height)
        about = f"; {width} × {height} bytes each, as the first one: {whole}"
    typer.echo(f"{output}: {len(refs):,} micrographs{about}. Nothing was written (--dry-run).")


def _show(packed: Packed, found: int) -> None:
    from cryomae.cli.active.common import counted

    many = counted(len(packed.shards), "shard")
    used = f"{packed.micrographs:,} of {found:,} micrographs in {many}"
    if packed.missing:
        end = f"{counted(packed.missing, 'shard')} still to be made"
    else:
        end = f"next: cryomae pretrain --shards {packed.folder}"
    typer.echo(f"{packed.folder}: {used}, {_bytes(packed.size)}; {end}")


def _bytes(count: int) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9)):
        if count >= size:
            return f"{count / size:.2f} {unit}"
    return f"{count / 1e6:.1f} MB"
