"""The command ``cryomae active new``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cryomae.cli.active.common import Device, counted, stopping, train_and_tell, warn
from cryomae.cli.options import PixelSize

if TYPE_CHECKING:
    from cryomae.active.begin import Beginning, Failures, Named
    from cryomae.pick import Detector

_ROWS = 20


def new(
    session: Annotated[
        Path,
        typer.Argument(
            metavar="SESSION",
            help="Folder of the session; it is made. If it is there, the session goes on.",
            show_default=False,
        ),
    ],
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="Micrographs: files, folders, quoted globs, @list.txt, or a RELION "
            "micrographs STAR file. Of a STAR file with defocus, questions are spread over it.",
            metavar="INPUTS...",
            show_default=False,
        ),
    ],
    diameter: Annotated[
        float,
        typer.Option(
            metavar="Å",
            help="Particle diameter in Å: the longest dimension of the particle.",
            show_default=False,
        ),
    ],
    pixel_size: PixelSize = None,
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Model to start from: the name of a shipped one, or the path of a model file.",
        ),
    ] = "default",
    exemplars: Annotated[
        Path | None,
        typer.Option(
            "--exemplars",
            "-e",
            metavar="FILE",
            help="Coordinates of some particles that you know already: a file of any format "
            "that cryomae evaluate reads, or a folder of them, such as RELION's "
            "ManualPick/job004. They count as confirmed.",
            show_default="none",
        ),
    ] = None,
    negatives: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Coordinates of places that are no particles; they count as rejected.",
            show_default="none",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="Same seed and answers, same session.")
    ] = 1,
    device: Device = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only check what is named; write nothing.")
    ] = False,
) -> None:
    """Begin a session: look at all micrographs once and find places to ask about.

    This takes a second or two a micrograph; answering later never waits for it. If it is
    stopped, the same command goes on where it was; with more micrographs, it takes these in.
    A micrograph that cannot be read is listed at the end and stops nothing.

    For example:
      All micrographs of a folder, of a particle 180 Å long:
        cryomae active new mine micrographs/ --diameter 180

      From a RELION project, with some particles picked by hand:
        cryomae active new mine CtfFind/job003/micrographs_ctf.star --diameter 180
          --exemplars ManualPick/job004

      Only check that everything is there:
        cryomae active new mine micrographs/ --diameter 180 --dry-run
    """
    for name, value in (("--diameter", diameter), ("--pixel-size", pixel_size)):
        if value is not None and not 0 < value < 100_000:
            raise typer.BadParameter("give a length in Å, such as 180", param_hint=name)
    from cryomae.active.begin import Named

    named = Named(session, inputs, diameter, pixel_size, model, exemplars, negatives, seed)
    with stopping("Stopped. Run the same command again to go on."):
        plan, detector = _check(named, device)
        missing = _show_plan(plan) if dry_run else _run(plan, detector)
    raise typer.Exit(1 if missing else 0)


def _check(named: Named, device: str) -> tuple[Beginning, Detector]:
    from rich.console import Console

    from cryomae.active.begin import check
    from cryomae.model.registry import diameter_remark
    from cryomae.pick import load_detector

    with Console(stderr=True).status("Loading the model"):
        detector = load_detector(named.model, device)
        plan = check(named, detector)
    for text in (*plan.remarks, diameter_remark(detector.card, named.diameter)):
        if text:
            warn(text)
    return plan, detector


def _run(plan: Beginning, detector: Detector) -> Failures:
    """Encode, take in the exemplars and say what came of it."""
    from cryomae.active.begin import begin, failures, take_exemplars
    from cryomae.cli.progress import show_count

    with begin(plan) as session:
        with show_count("Encoding", "micrographs") as tell:
            session.encode(detector, lambda at: tell(at.done, at.total))
        missing = failures(session, plan)
        _show_failures(missing)
        ready = sum(m.state == "ready" for m in session.micrographs)
        candidates = sum(m.count for m in session.micrographs)
        typer.echo(
            f"{counted(ready, 'micrograph')} ready with {counted(candidates, 'place')} to ask "
            f"about" + (f", {len(missing):,} failed" if missing else "")
        )
        settled = take_exemplars(plan, session)
        if settled.answers:
            typer.echo(f"{counted(len(settled.answers), 'answer')} taken from the exemplars")
        if settled.repeated:
            typer.echo(f"{counted(settled.repeated, 'exemplar')} known already")
        if settled.nowhere:
            warn(f"{counted(settled.nowhere, 'negative')} left out: no place to ask about is near")
        if session.labels.rows.size and not session.versions:
            train_and_tell(session)
        path = session.path
    if ready:
        typer.echo(f"answer with cryomae active answer {path}")
        typer.echo(f"or look at cryomae active propose {path} --sheet sheet.png --csv answers.csv")
    return missing


def _show_plan(plan: Beginning) -> Failures:
    missing = [(error.path or "(input)", error.cause, error.remedy) for error in plan.failures]
    _show_failures(missing)
    places = f", {counted(len(plan.rows), 'exemplar or negative', 'exemplars and negatives')}"
    typer.echo(
        f"{plan.named.path}: {'goes on with' if plan.there else 'would hold'} "
        f"{counted(len(plan.refs), 'micrograph')}{places if plan.rows else ''}. "
        "Nothing was written (--dry-run)."
    )
    return missing


def _show_failures(missing: Failures) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    if not missing:
        return
    table = Table(title="Failed", title_style="bold red", title_justify="left")
    table.add_column("micrograph", overflow="fold", ratio=3)
    table.add_column("cause", ratio=3)
    table.add_column("remedy", ratio=3)
    for row in missing[:_ROWS]:
        table.add_row(*(escape(text) for text in row))
    console = Console(highlight=False)
    console.print(table)
    if len(missing) > _ROWS:
        console.print(f"… and {len(missing) - _ROWS:,} more: see cryomae active status --json")
