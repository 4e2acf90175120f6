"""The command ``cryomae info``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cryomae.io import Header

_HEADINGS = ("micrograph", "format", "width × height", "stored as", "pixel size", "notes")


def info(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUTS",
            help="Micrographs: files, folders, quoted globs, @list.txt, or a STAR file.",
            show_default=False,
        ),
    ],
) -> None:
    """Show what the headers of micrographs say, without reading the images.

    For example:
      cryomae info micrographs/first.mrc
      cryomae info CtfFind/job003/micrographs_ctf.star
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from cryomae.errors import MicrographError
    from cryomae.io import find_micrographs, read_header

    refs, problems = find_micrographs(files)
    rows = []
    for ref in refs:
        try:
            header = read_header(ref.path)
        except MicrographError as error:
            problems.append(error)
            continue
        if header.problem is not None:
            problems.append(header.problem)
        rows.append((ref.name, *_facts(header, ref.pixel_size)))
    console = Console(highlight=False)
    if len(rows) == 1:
        table = Table.grid(padding=(0, 2))
        for heading, cell in zip(_HEADINGS, rows[0], strict=True):
            table.add_row(f"[bold]{heading}[/]", escape(cell))
        console.print(table)
    elif rows:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for heading in _HEADINGS:
            table.add_column(heading, overflow="fold")
        for name, *facts in rows:
            table.add_row(*(escape(text) for text in (name.rsplit("/", 1)[-1], *facts)))
        console.print(table)
    for problem in problems:
        typer.secho(f"error: {problem}", fg="red", err=True)
    raise typer.Exit(1 if problems else 0)


def _facts(header: Header, listed: float | None) -> tuple[str, ...]:
    """Cells of one micrograph; ``listed`` is the pixel size that the STAR file gives."""
    notes = list(header.notes)
    if listed is not None:
        size = f"{listed:.4g} Å (STAR file)"
    elif header.pixel_size is not None:
        size = f"{header.pixel_size:.4g} Å (header)"
    else:
        size = "pass --pixel-size"
        if header.pixel_size_problem not in notes:
            notes.append(header.pixel_size_problem)
    width_height = f"{header.shape[1]} × {header.shape[0]}"
    return header.format, width_height, header.mode, size, "; ".join(notes)
