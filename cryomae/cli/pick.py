"""The command ``cryomae pick``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cryomae.cli.options import MaxPicks, MinDistance

if TYPE_CHECKING:
    from cryomae.batch import RunResult
    from cryomae.settings import PickSettings


def pick(
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="Micrographs: files, folders, quoted globs, @list.txt, or a RELION "
            "micrographs STAR file. Formats: .mrc, .mrc.gz, .mrc.bz2, .tif.",
            metavar="INPUTS",
            show_default=False,
        ),
    ],
    diameter: Annotated[
        str,
        typer.Option(
            metavar="Å|auto",
            help="Particle diameter in Å: the longest dimension of the particle; or auto, to "
            "estimate it from some of the micrographs.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="Folder for everything that is written."
        ),
    ] = Path("cryomae_picks"),
    pixel_size: Annotated[
        float | None,
        typer.Option(
            metavar="Å",
            help="Pixel size of the micrograph files in Å. Needed only if neither the STAR file "
            "nor the file headers hold the right one.",
            show_default="from the STAR file, else the header",
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Name of a shipped model (see cryomae models) or path of a model file.",
        ),
    ] = "default",
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            metavar="0..1",
            help="Score, from 0 to 1, that a pick must reach. Lower: more picks, more wrong ones. "
            "Changing it later takes seconds.",
            show_default="chosen from the whole data set",
        ),
    ] = None,
    max_picks: MaxPicks = None,
    min_distance: MinDistance = None,
    device: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Where to compute: auto (a GPU if there is one), cpu, cuda, cuda:1.",
        ),
    ] = "auto",
    preview: Annotated[
        bool,
        typer.Option(
            "--preview/--no-preview",
            help="Draw pictures of the picks (of 200 micrographs at most, evenly spread).",
        ),
    ] = True,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Score everything anew. Without it, micrographs that are done are kept.",
        ),
    ] = False,
    processes: Annotated[
        str | None,
        typer.Option(
            metavar="N|auto",
            help="Pick in so many processes at a time; auto: four for each GPU, else one for each "
            "core, as memory allows. One that dies is replaced. With --dask: workers to start.",
            show_default="this process alone",
        ),
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="WHERE",
            help="Pick in workers of Dask: local; slurm, pbs, lsf or sge, to start them as jobs; "
            "or the address of a scheduler, such as tcp://node7:8786.",
            show_default="not used",
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Score only part I of N, for job arrays. When all parts are scored, the same "
            "command without it writes the picks.",
            show_default="all",
        ),
    ] = None,
    retry: Annotated[
        bool,
        typer.Option(
            "--retry",
            help="Try again also micrographs that are left alone because they ended the process "
            "that picked them twice. Others that failed are always tried again.",
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only list what would be done; write nothing."),
    ] = False,
) -> None:
    """Pick particles in micrographs and write RELION coordinate files.

    The one thing cryomae asks for is the diameter of your particle. If a run is
    stopped, the same command goes on where it was.

    For example:
      All micrographs of a folder, of a particle 180 Å long:
        cryomae pick micrographs/ --diameter 180

      From a RELION project, so that names and pixel size are RELION's own:
        cryomae pick CtfFind/job003/micrographs_ctf.star --diameter 180 -o Picks

      Without knowing the diameter:
        cryomae pick micrographs/ --diameter auto

      The same picks again with another threshold, in seconds:
        cryomae pick micrographs/ --diameter 180 --threshold 0.6

      On all GPUs of this machine, or as 8 jobs of a cluster:
        cryomae pick micrographs/ --diameter 180 --processes auto
        cryomae pick micrographs/ --diameter 180 --dask slurm --processes 8

    Every option but the diameter has a default that fits most data.
    """
    length = checked_length(diameter)
    # Whether the others make sense is said before an estimate takes its time.
    settings = checked_settings(
        1.0 if length is None else length, min_distance, threshold, max_picks, model
    )
    if pixel_size is not None and not 0 < pixel_size < 1000:
        raise typer.BadParameter("give Å per pixel, such as 1.06", param_hint="--pixel-size")
    try:
        result = _run(
            inputs, output, settings, pixel_size, device, preview, overwrite, dry_run,
            processes, dask, shard, retry, auto=length is None,
        )  # fmt: skip
    except KeyboardInterrupt:
        typer.secho("Stopped. Run the same command again to go on.", fg="yellow", err=True)
        raise typer.Exit(130) from None
    except Exception as error:
        from cryomae.errors import CryomaeError

        if isinstance(error, CryomaeError | typer.Exit):
            raise
        _explain_unexpected(error, output, write=not dry_run)
        raise typer.Exit(1) from None
    from cryomae.cli.closing import show_plan, show_result

    (show_plan if dry_run else show_result)(result)
    raise typer.Exit(130 if result.interrupted else 1 if result.failed else 0)


def checked_length(diameter: str) -> float | None:
    """Diameter in Å; None for ``auto``."""
    if diameter.strip().lower() == "auto":
        return None
    try:
        return float(diameter)
    except ValueError:
        raise typer.BadParameter(
            "give a length in Å, such as 180, or auto", param_hint="--diameter"
        ) from None


def checked_settings(
    diameter: float,
    min_distance: float | None,
    threshold: float | None,
    max_picks: int | None,
    model: str,
) -> PickSettings:
    """Make settings of options; one that makes no sense is named."""
    for name, value in (("--diameter", diameter), ("--min-distance", min_distance)):
        if value is not None and not 0 < value < 100_000:
            raise typer.BadParameter("give a length in Å, such as 180", param_hint=name)
    from cryomae.settings import PickSettings

    return PickSettings(
        diameter=diameter,
        min_distance=min_distance,
        threshold=threshold,
        max_picks=max_picks,
        model=model,
    )


def _run(
    inputs: list[str],
    output: Path,
    settings: PickSettings,
    pixel_size: float | None,
    device: str,
    preview: bool,
    overwrite: bool,
    dry_run: bool,
    processes: str | None,
    dask: str | None,
    shard: str | None,
    retry: bool,
    *,
    auto: bool,
) -> RunResult:
    from cryomae.batch.named import pick_named
    from cryomae.batch.plan import Shard
    from cryomae.cli.progress import show_count, show_progress
    from cryomae.cli.stopping import stop_on_terminate
    from cryomae.pick import load_detector
    from cryomae.scale.choose import choose_backend

    part = None if shard is None else Shard.parse(shard)
    backend = choose_backend(
        None if dry_run else processes, None if dry_run else dask, say=_say_aside
    )
    with stop_on_terminate():
        return pick_named(
            inputs,
            output,
            settings,
            auto=auto,
            load=load_detector,
            estimating=lambda: show_count("Estimating the diameter", "micrographs"),
            picking=lambda: show_progress(quiet=dry_run),
            say=typer.echo,
            warn=_warn,
            pixel_size=pixel_size,
            device=device,
            preview=preview,
            overwrite=overwrite,
            dry_run=dry_run,
            command=["cryomae", *sys.argv[1:]],
            backend=backend,
            shard=part,
            retry=retry,
        )


def _say_aside(text: str) -> None:
    typer.echo(text, err=True)


def _warn(text: str) -> None:
    typer.secho(f"warning: {text}", fg="yellow", err=True)


def _explain_unexpected(error: Exception, output: Path, *, write: bool) -> None:
    """Print one line; the details go to the log, or to the screen if there is no log."""
    import traceback

    details = "".join(traceback.format_exception(error))
    log = output / "run.log"
    try:
        if not write:
            raise OSError("nothing may be written")
        output.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as out:
            out.write(details)
    except OSError:
        typer.echo(details, err=True)
        place = "see above"
    else:
        place = f"see the end of {log}"
    line = f"error: unexpected {type(error).__name__}: {error} ({place}; please report it)"
    typer.secho(line, fg="red", err=True)
