"""The command ``cryomae watch``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cryomae.cli.options import MaxPicks, MinDistance, PixelSize

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryomae.watch import WatchNews


def watch(
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="Folder that micrographs arrive in, a RELION micrographs STAR file that grows, "
            "or a quoted glob.",
            metavar="INPUTS",
            show_default=False,
        ),
    ],
    diameter: Annotated[
        float,
        typer.Option(metavar="Å", help="Particle diameter in Å.", show_default=False),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="Folder for everything that is written."
        ),
    ] = Path("cryomae_picks"),
    idle: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="MINUTES",
            help="Stop when no new micrograph has come for so long.",
            show_default="only Ctrl-C or SIGTERM stops it",
        ),
    ] = None,
    pixel_size: PixelSize = None,
    model: Annotated[
        str, typer.Option(metavar="NAME", help="Name of a shipped model or path of a model file.")
    ] = "default",
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            metavar="0..1",
            help="Score, from 0 to 1, that a pick must reach.",
            show_default="chosen from the first 50 micrographs",
        ),
    ] = None,
    max_picks: MaxPicks = None,
    min_distance: MinDistance = None,
    device: Annotated[
        str,
        typer.Option(metavar="NAME", help="Where to compute: auto, cpu, cuda, cuda:1."),
    ] = "auto",
    preview: Annotated[
        bool,
        typer.Option(
            "--preview/--no-preview",
            help="Draw pictures of the first 100 micrographs, and of every 50th after them.",
        ),
    ] = True,
    processes: Annotated[
        str | None,
        typer.Option(
            metavar="N|auto",
            help="Pick in so many processes at a time, as in cryomae pick.",
            show_default="this process alone",
        ),
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="WHERE",
            help="Pick in workers of Dask, as in cryomae pick.",
            show_default="not used",
        ),
    ] = None,
) -> None:
    """Pick micrographs as they arrive, and keep lists and report up to date.

    A file is picked when it is whole: its size and date have stood still, and its header
    promises no more than there is. Works on network file systems. Started again with the same
    --output, it goes on where it was.

    For example:
      While the microscope runs, until Ctrl-C:
        cryomae watch MotionCorr/job002/movies --diameter 180 -o Picks

      Until nothing has come for half an hour, on all GPUs:
        cryomae watch 'mics/*.mrc' --diameter 180 --idle 30 --processes auto
    """
    from cryomae.cli.pick import checked_settings

    settings = checked_settings(diameter, min_distance, threshold, max_picks, model)
    if pixel_size is not None and not 0 < pixel_size < 1000:
        raise typer.BadParameter("give Å per pixel, such as 1.06", param_hint="--pixel-size")
    from cryomae.batch.model import WorkerModel
    from cryomae.cli.closing import show_result
    from cryomae.cli.stopping import stop_on_terminate
    from cryomae.pick import load_detector
    from cryomae.scale import Serial
    from cryomae.scale.choose import choose_backend
    from cryomae.watch import watch as run

    backend = choose_backend(processes, dask, say=lambda text: typer.echo(text, err=True))
    elsewhere = not isinstance(backend, Serial)
    _check(inputs)
    try:
        with stop_on_terminate():
            detector = load_detector(model, "cpu" if elsewhere else device)
            with backend as opened:
                result = run(
                    inputs,
                    output,
                    settings,
                    detector=detector,
                    pixel_size=pixel_size,
                    preview=preview,
                    command=["cryomae", *sys.argv[1:]],
                    backend=opened,
                    load=WorkerModel.of(model, device) if elsewhere else None,
                    idle=None if idle is None else 60 * idle,
                    on_news=_teller(),
                )
    except KeyboardInterrupt:
        typer.secho("Stopped. Run the same command again to go on.", fg="yellow", err=True)
        raise typer.Exit(130) from None
    show_result(result)
    raise typer.Exit(1 if result.failed else 0)


def _check(inputs: list[str]) -> None:
    """Refuse what can never bring a micrograph; an empty folder may."""
    from cryomae.errors import InputError

    for text in inputs:
        if text.startswith("@") or any(c in text for c in "*?["):
            continue
        path = Path(text)
        if not path.exists() and not text.lower().endswith(".star"):
            raise InputError("no such folder", "make it first, or name a STAR file", path)


def _teller() -> Callable[[WatchNews], None]:
    """A line for each micrograph, and one when it begins to wait."""
    waiting = False

    def tell(news: WatchNews) -> None:
        nonlocal waiting
        one = news.outcome
        if one is not None:
            what = f"failed: {one.cause}" if one.status == "failed" else f"{one.picks} picks"
            kept = ", kept from an earlier run" if one.status == "kept" else ""
            typer.echo(f"[{news.done + news.failed}] {one.name}: {what}{kept}", err=True)
        elif not waiting:
            typer.echo("waiting for micrographs (Ctrl-C to stop)", err=True)
        waiting = one is None

    return tell
