"""The command ``cryomae active answer``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cryomae.cli.active.common import Annotator, Device, SessionFolder, counted, stopping, warn

if TYPE_CHECKING:
    from cryomae.active.settle import Settled

_SHOWN = 5


def answer(
    session: SessionFolder,
    table: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="CSV",
            help="Take the answers from this table: columns id and answer (y, n or s; or "
            "confirm, reject, skip), as cryomae active propose --csv writes it. With micrograph, "
            "x, y and answer, and no id, places that were not asked.",
            show_default="ask in the terminal",
        ),
    ] = None,
    annotator: Annotator = "",
    train: Annotated[
        bool,
        typer.Option(help="In the terminal, learn after every batch, then ask the next."),
    ] = True,
    count: Annotated[
        int | None,
        typer.Option(
            "-n", "--batch", min=1, max=1000, metavar="N", help="Places a batch.", show_default="10"
        ),
    ] = None,
    device: Device = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --csv: only check it; write nothing.")
    ] = False,
) -> None:
    """Say of each place whether it is a particle.

    In a terminal each place is drawn with the particle's circle, and one key answers: y a
    particle, n none, s skip, b back, u undo, r redo, q quit. It also works over SSH; the
    larger the window, the finer the picture. After each batch the picker learns and asks the
    next. Every answer is kept at once: you may quit at any time.

    A table is taken whole or, if any row is wrong, not at all. If an answer contradicts an
    earlier one, the newest counts.

    For example:
      In the terminal:
        cryomae active answer mine

      From a table that was filled in:
        cryomae active propose mine --sheet sheet.png --csv answers.csv
        cryomae active answer mine --csv answers.csv --annotator anna
    """
    if table is not None:
        _take(session, table, annotator, dry_run)
        return
    if dry_run:
        raise typer.BadParameter("goes with --csv", param_hint="--dry-run")
    problem = _no_terminal()
    if problem:
        typer.secho(f"error: {problem}. Answer with a picture and a table instead:", fg="red",
                    err=True)  # fmt: skip
        typer.echo(
            f"  cryomae active propose {session} --sheet sheet.png --csv answers.csv\n"
            "  look at sheet.png, fill in the column answer of answers.csv with y, n or s\n"
            f"  cryomae active answer {session} --csv answers.csv",
            err=True,
        )
        raise typer.Exit(2)
    from cryomae.active.session import Session
    from cryomae.cli.active.sitting import sit

    with (
        stopping(f"Stopped. All answers are kept; go on with cryomae active answer {session}"),
        Session.open(session, annotator=annotator) as opened,
    ):
        sit(opened, count, train, device)


def _no_terminal() -> str:
    """Why crops cannot be shown here; empty if they can."""
    from rich.console import Console

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return "There is no terminal here to show places and read keys"
    if Console().color_system not in ("truecolor", "256"):
        return (
            "This terminal shows no shades of grey (its TERM or NO_COLOR says so; if it can, set "
            "COLORTERM=truecolor)"
        )
    return ""


def _take(session: Path, table: Path, annotator: str, dry_run: bool) -> None:
    from cryomae.active.answers_file import read_rows
    from cryomae.active.session import Session
    from cryomae.active.settle import settle

    rows, left = read_rows(table)
    with Session.open(session, annotator=annotator, write=not dry_run) as opened:
        settled = settle(rows, opened, table)
        if settled.answers and not dry_run:
            opened.answer_many(settled.answers)
        unlearnt = opened.status().unlearnt
    _warn(settled)
    kinds = [a.kind for a in settled.answers]
    confirmed = sum(kind in ("confirm", "move", "add") for kind in kinds)
    words = [f"{confirmed:,} confirmed", f"{kinds.count('reject'):,} rejected"]
    words += [
        f"{number:,} {what}"
        for number, what in (
            (kinds.count("skip"), "skipped"),
            (kinds.count("move"), "of them moved"),
            (kinds.count("add"), "of them added"),
            (settled.repeated, "given before"),
            (left, "left open"),
        )
        if number
    ]
    taken = counted(len(kinds), "answer")
    if dry_run:
        typer.echo(f"{taken}: {', '.join(words)}. Nothing was written (--dry-run).")
        return
    typer.echo(f"{taken} taken: {', '.join(words)}")
    if unlearnt:
        typer.echo(f"learn from them with cryomae active train {session}")


def _warn(settled: Settled) -> None:
    many = settled.contradictions
    if many:
        listed = "".join(f"\n  {line}" for line in many[:_SHOWN])
        more = f"\n  and {len(many) - _SHOWN} more" if len(many) > _SHOWN else ""
        what = "answer contradicts an earlier one" if len(many) == 1 else (
            "answers contradict earlier ones")  # fmt: skip
        warn(f"{len(many)} {what}; the newest counts:{listed}{more}")
    if settled.nowhere:
        places = counted(settled.nowhere, "place")
        warn(f"{places} that would not be picked anyway left out: nothing to be asked lies near")
