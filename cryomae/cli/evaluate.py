"""The command ``cryomae evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cryomae.evaluate.run import Report


def evaluate(
    picks: Annotated[
        Path,
        typer.Argument(
            metavar="PICKS",
            help="Picks: the output folder of cryomae pick, a STAR file, RELION's autopick.star, "
            "or a folder of coordinate files.",
            show_default=False,
        ),
    ],
    truth: Annotated[
        Path,
        typer.Argument(
            metavar="TRUTH",
            help="True particles: a simulated set (its folder or its particles.star), a STAR file, "
            "or what PICKS may be, such as RELION's ManualPick folder.",
            show_default=False,
        ),
    ],
    diameter: Annotated[
        float | None,
        typer.Option(
            metavar="Å",
            help="Particle diameter in Å.",
            show_default="from the simulated set, else from the run of cryomae pick",
        ),
    ] = None,
    pixel_size: Annotated[
        float | None,
        typer.Option(
            metavar="Å",
            help="Pixel size in Å of the micrographs that the truth is of.",
            show_default="from the truth, else the micrographs, else the picks",
        ),
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(
            metavar="FRACTION",
            help="How far a pick may lie from its particle, as a fraction of the diameter.",
        ),
    ] = 0.5,
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="SCORE",
            help="Judge the picks that reach this score. Figures over all thresholds are given "
            "beside.",
            show_default="that of the run of cryomae pick, else all picks",
        ),
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option(
            metavar="FACTOR",
            help="Multiply the picks' coordinates by this: 2 if they were made on micrographs "
            "binned by 2.",
            show_default="1",
        ),
    ] = None,
    contaminants: Annotated[
        Path | None,
        typer.Option(
            metavar="STAR",
            help="Known contaminants, to say what wrong picks lie on: rlnMicrographName, "
            "rlnCoordinateX, rlnCoordinateY, cryomaeKind, cryomaeRadius (px).",
            show_default="contaminants.star of a simulated set",
        ),
    ] = None,
    micrographs: Annotated[
        str | None,
        typer.Option(
            metavar="INPUTS",
            help="Micrographs for the pictures in the report: a folder, a quoted glob, or a STAR "
            "file.",
            show_default="where truth or picks say, or in micrographs/ beside the truth",
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="Folder for everything that is written."
        ),
    ] = Path("cryomae_evaluation"),
    draws: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Data sets drawn for the 95 % intervals."),
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of these draws.")] = 0,
) -> None:
    """Judge picks against known particles: precision, recall, F1, AP, and what went wrong.

    A pick is right if it lies within half a diameter of a true particle that no better
    pick has taken. Micrographs are matched by file name, without folder and suffix.
    Open evaluation.html in the output folder for curves, pictures and causes.

    For example:
      A run of cryomae pick on a simulated set, which knows its diameter and pixel size:
        cryomae evaluate cryomae_picks simulated/

      Against particles picked by hand, in RELION:
        cryomae evaluate cryomae_picks ManualPick/job004 --pixel-size 1.06

      Picks of another program, made on micrographs binned by 4:
        cryomae evaluate topaz.star truth.star --diameter 180 --pixel-size 1.06 --scale 4
    """
    for name, value in (
        ("--diameter", diameter),
        ("--pixel-size", pixel_size),
        ("--tolerance", tolerance),
        ("--scale", scale),
    ):
        if value is not None and not 0 < value < 100_000:
            raise typer.BadParameter("give a number above 0", param_hint=name)
    from cryomae.evaluate.inputs import Options
    from cryomae.evaluate.run import evaluate_files

    options = Options(diameter, pixel_size, threshold, scale, contaminants, micrographs)
    report = evaluate_files(
        picks, truth, output, options, tolerance=tolerance, draws=draws, seed=seed
    )
    _show(report)


def _show(report: Report) -> None:
    """Print the operating point first, then the other figures and where the files are."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from cryomae.batch.tables import project_path
    from cryomae.evaluate.page import FEW, ROWS, reasons, words

    console = Console(highlight=False)
    e, inputs = report.evaluation, report.inputs
    for note in inputs.notes:
        console.print(f"[dim]{escape(note)}[/]")
    for text in e.warnings:
        console.print(f"[bold yellow]warning:[/] {escape(text)}")
    right, picks, particles = (int(e.each[key].sum()) for key in ("right", "picks", "particles"))
    count = len(e.each)
    micrographs = f"{count:,} micrograph{'' if count == 1 else 's'}"
    console.print(
        f"[bold]{right:,} of {picks:,} picks are right, {right:,} of {particles:,} particles are "
        f"found[/] in {micrographs}"
    )
    at = inputs.origins["threshold"]
    if e.threshold is not None:
        at = f"score ≥ {e.threshold:.3g} ({at})"
    console.print(
        f"{at}, within {e.radius * e.pixel_size:.3g} Å = "
        f"{e.radius:.4g} px of a particle, one to one\n"
    )
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("", "all together", "mean of micrographs"):
        table.add_column(heading)
    for title, micro, macro in ROWS:
        table.add_row(title, words(e, micro), words(e, macro))
    console.print(table)
    for text in reasons(e):
        console.print(escape(text))
    if 1 < count < FEW:
        console.print(f"[dim]Brackets: 95 % intervals, of little worth with {micrographs}.[/]")
    console.print()
    more = Table.grid(padding=(0, 2))
    wrong = [f"{number:,} {kind}" for kind, number in e.false_positives.items() if number]
    if e.ignored:
        wrong.append(f"{e.ignored:,} on cut particles, not counted")
    more.add_row("wrong picks", escape(", ".join(wrong)) or "none")
    if e.localisation is not None:
        spot, size = e.localisation, e.pixel_size
        more.add_row(
            "distance",
            f"median {spot.median * size:.1f} Å, 90 % within {spot.ninetieth * size:.1f} Å; mean "
            f"offset {spot.mean_dx:+.1f} px in x, {spot.mean_dy:+.1f} px in y",
        )
    if e.reliability is not None:
        more.add_row("scores", f"off by {e.reliability.error:.3f} as probabilities (ECE)")
    more.add_row("look at it", escape(project_path(report.files["page"])))
    more.add_row("figures", escape(project_path(report.files["figures"])))
    console.print(more)
