"""The command ``cryomae active propose``."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cryomae.cli.active.common import SessionFolder, counted, warn

if TYPE_CHECKING:
    from cryomae.active.answers_file import Asked
    from cryomae.active.records import Proposal
    from cryomae.active.session import Session


def propose(
    session: SessionFolder,
    count: Annotated[
        int | None,
        typer.Option(
            "-n", "--count", min=1, max=1000, metavar="N", help="How many.", show_default="10"
        ),
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="How they are chosen: any strategy of cryomae.sampler, such as uncertainty, "
            "top_score or random.",
            show_default="the session's, badge",
        ),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            metavar="PNG",
            help="Draw them on one page, with their numbers and the particle's circle.",
            show_default="none",
        ),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="CSV",
            help="Write a table to fill in: y, n or s in the column answer.",
            show_default="none",
        ),
    ] = None,
) -> None:
    """Show the places to be answered next, most useful first.

    Places that wait for an answer are shown again and filled up; after a training new ones
    are chosen. In the table of --csv, change x and y to move a particle, or add a row with
    micrograph, x, y and answer, and no id, for one that was not asked.

    For example:
      Ten places as a picture and a table, then the answers:
        cryomae active propose mine --sheet sheet.png --csv answers.csv
        cryomae active answer mine --csv answers.csv

      Forty, those that the model is least sure of:
        cryomae active propose mine -n 40 --strategy uncertainty
    """
    for path, suffix in ((sheet, ".png"), (table, ".csv")):
        if path is not None and path.suffix.lower() != suffix:
            raise typer.BadParameter(
                f"'{path}' does not end in {suffix}", param_hint="--sheet" if suffix == ".png"
                else "--csv",
            )  # fmt: skip
    from cryomae.active.session import Session

    with Session.open(session) as opened:
        queue = opened.propose(count, strategy)
        if not queue:
            typer.echo("Nothing is left to ask: all places are answered or skipped.")
            return
        rows = _rows(opened, queue)
        _show(rows)
        if table is not None:
            from cryomae.active.answers_file import write_template

            write_template(table, rows)
            typer.echo(f"fill in   {table}: y, n or s in the column answer, then")
            typer.echo(f"          cryomae active answer {session} --csv {table}")
        if sheet is not None:
            _draw(opened, queue, rows, sheet)
            typer.echo(f"look at   {sheet}")
    if table is None and sheet is None:
        typer.echo(f"answer with cryomae active answer {session}")


def _rows(session: Session, queue: list[Proposal]) -> list[Asked]:
    from cryomae.active.answers_file import Asked
    from cryomae.active.words import reason_in_words

    names = [m.name for m in session.micrographs]
    scores = session.scores
    return [
        Asked(
            p.id, names[p.micrograph], p.x, p.y, float(scores[p.candidate]),
            reason_in_words(p.reason),
        )
        for p in queue
    ]  # fmt: skip


def _show(rows: list[Asked]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("id", "micrograph", "x", "y", "score", "reason"):
        right = heading in ("id", "x", "y", "score")
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    for r in rows:
        place = (f"{r.x:.1f}", f"{r.y:.1f}", f"{r.score:.2f}")
        table.add_row(str(r.id), escape(Path(r.micrograph).name), *place, r.reason)
    Console(highlight=False).print(table)


def _draw(session: Session, queue: list[Proposal], rows: list[Asked], path: Path) -> None:
    from cryomae.active.crops import Cutter
    from cryomae.active.sheet import Tile, draw_sheet
    from cryomae.cli.progress import show_count
    from cryomae.errors import CryomaeError

    cutter = Cutter(session)
    crops = {}
    wanted = sorted({p.micrograph for p in queue})
    several = len(wanted) > 1
    with show_count("Reading", "micrographs") if several else nullcontext(_nothing) as tell:
        # By micrograph, so that each is read once.
        for i, micrograph in enumerate(wanted):
            tell(i, len(wanted))
            try:
                for p in (p for p in queue if p.micrograph == micrograph):
                    crops[p.id] = cutter.crop(p)
            except CryomaeError as error:
                warn(str(error))
        tell(len(wanted), len(wanted))
    tiles = [Tile(str(r.id), crops.get(r.id), r.score, r.reason, r.micrograph) for r in rows]
    version = f", version {session.versions[-1].version}" if session.versions else ""
    draw_sheet(
        path, tiles, diameter=session.settings.diameter,
        title=f"{counted(len(tiles), 'place')} to answer: {session.path.name}{version}",
    )  # fmt: skip


def _nothing(done: int, total: int) -> None:
    """Show no progress."""
