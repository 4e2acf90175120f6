"""The commands ``cryomae active undo`` and ``redo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cryomae.cli.active.common import Annotator, SessionFolder, counted

_Count = Annotated[
    int,
    typer.Argument(metavar="[N]", min=1, help="How many steps.", show_default="1"),
]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what it would be.")]


def undo(
    session: SessionFolder, count: _Count = 1, annotator: Annotator = "", dry_run: _DryRun = False
) -> None:
    """Take back the last answers; nothing is forgotten, cryomae active redo brings them back.

    Every answer is a step of its own, those of a table too. The model follows at the next
    cryomae active train.

    For example:
      The last answer, then the ten before it:
        cryomae active undo mine
        cryomae active undo mine 10
    """
    _step(session, count, annotator, dry_run, back=True)


def redo(
    session: SessionFolder, count: _Count = 1, annotator: Annotator = "", dry_run: _DryRun = False
) -> None:
    """Bring back what was undone last, unless something else was answered since.

    For example:
      cryomae active redo mine
      cryomae active redo mine 10
    """
    _step(session, count, annotator, dry_run, back=False)


def _step(session: Path, count: int, annotator: str, dry_run: bool, *, back: bool) -> None:
    from cryomae.active.session import Session
    from cryomae.active.words import describe

    with Session.open(session, annotator=annotator, write=not dry_run) as opened:
        micrographs = opened.micrographs
        if dry_run:
            state = opened.answers
            found = list(reversed((state.standing if back else state.undone)[-count:]))
        else:
            step = opened.undo if back else opened.redo
            found = [entry for _ in range(count) if (entry := step()) is not None]
    words = ("would undo", "undone") if back else ("would do again", "done again")
    for entry in found:
        typer.echo(f"{words[not dry_run]}: {describe(entry, micrographs)}")
    if not found:
        typer.echo(f"There is nothing to {'undo' if back else 'redo'}.")
    elif dry_run:
        typer.echo(f"{counted(len(found), 'step')}. Nothing was changed (--dry-run).")
