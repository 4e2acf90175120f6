"""The command ``cryomae info``."""

from __future__ import annotations

from typing import Annotated

import typer


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
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("micrograph", overflow="fold")
    for heading in ("format", "width × height", "stored as", "pixel size", "notes"):
        table.add_column(heading)
    for ref in refs:
        try:
            header = read_header(ref.path)
        except MicrographError as error:
            problems.append(error)
            continue
        if header.problem is not None:
            problems.append(header.problem)
        if ref.pixel_size is not None:
            size = f"{ref.pixel_size:.4g} Å (STAR file)"
        elif header.pixel_size is not None:
            size = f"{header.pixel_size:.4g} Å (header)"
        else:
            size = "unknown: pass --pixel-size"
        notes = [*header.notes]
        if header.pixel_size_problem and ref.pixel_size is None:
            notes.append(header.pixel_size_problem)
        cells = [ref.name, header.format, f"{header.shape[1]} × {header.shape[0]}", header.mode]
        table.add_row(*(escape(text) for text in [*cells, size, "; ".join(notes)]))
    if table.row_count:
        Console(highlight=False).print(table)
    for problem in problems:
        typer.secho(f"error: {problem}", fg="red", err=True)
    raise typer.Exit(1 if problems else 0)
