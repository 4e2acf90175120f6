"""The commands ``cryomae active undo`` and ``redo``."""

from __future__ import annotations

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
    from cryomae.active.session import Session
    from cryomae.active.words import describe

    with Session.open(session, annotator=annotator, write=not dry_run) as opened:
        names = [m.name for m in opened.micrographs]
        if dry_run:
            found = list(reversed(opened.answers.standing[-count:]))
        else:
            found = [e for _ in range(count) if (e := opened.undo()) is not None]
        for entry in found:
            typer.echo(
                f"{'would undo' if dry_run else 'undone'}: {describe(entry, names[entry.micrograph or 0])}"
            )
    _close(len(found), "undo", dry_run)


def redo(
    session: SessionFolder, count: _Count = 1, annotator: Annotator = "", dry_run: _DryRun = False
) -> None:
    """Bring back what was undone last, unless something else was answered since.

    For example:
      cryomae active redo mine
      cryomae active redo mine 10
    """
    from cryomae.active.session import Session
    from cryomae.active.words import describe

    with Session.open(session, annotator=annotator, write=not dry_run) as opened:
        names = [m.name for m in opened.micrographs]
        if dry_run:
            found = list(reversed(opened.answers.undone[-count:]))
        else:
            found = [e for _ in range(count) if (e := opened.redo()) is not None]
        for entry in found:
            typer.echo(
                f"{'would do' if dry_run else 'done'} again: {describe(entry, names[entry.micrograph or 0])}"
            )
    _close(len(found), "redo", dry_run)


def _close(count: int, what: str, dry_run: bool) -> None:
    if not count:
        typer.echo(f"There is nothing to {what}.")
    elif dry_run:
        typer.echo(f"{counted(count, 'step')}. Nothing was changed (--dry-run).")
