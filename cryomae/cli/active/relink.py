"""The command ``cryomae active relink``."""

from __future__ import annotations

from typing import Annotated

import typer

from cryomae.cli.active.common import SessionFolder, counted

_SHOWN = 20


def relink(
    session: SessionFolder,
    folders: Annotated[
        list[str],
        typer.Argument(
            metavar="FOLDER...",
            help="Where the micrographs are now: folders, searched with those inside them, or "
            "files.",
            show_default=False,
        ),
    ],
) -> None:
    """Find the micrographs of a session again after they were moved.

    A file is accepted if it has the name of the old one and, by its checksum, the same content.
    Micrographs that are still in their place are left alone.

    For example:
      cryomae active relink mine /data/new_disk/micrographs
    """
    from rich.console import Console
    from rich.markup import escape

    from cryomae.active.session import Session

    with Session.open(session) as opened:
        result = opened.relink(folders)
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{counted(len(result.found), 'micrograph')} found again, {result.kept:,} still in "
        f"their place, {len(result.missing):,} missing"
    )
    for names, words in (
        (result.different, "[yellow]has the name, but other content:[/]"),
        (result.missing, "[red]not found:[/]"),
    ):
        for name in names[:_SHOWN]:
            console.print(f"{words} {escape(name)}")
        if len(names) > _SHOWN:
            console.print(f"… and {len(names) - _SHOWN:,} more")
    if result.missing:
        console.print(
            "Name the folder that they are in now; answers on missing micrographs stay as they are."
        )
        raise typer.Exit(1)
