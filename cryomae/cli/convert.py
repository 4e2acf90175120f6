"""The commands ``cryomae convert`` and ``cryomae export``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cryomae.exchange import Change, Loaded, Saved


class Program(StrEnum):
    """Where picks can be sent."""

    RELION = "relion"
    CRYOSPARC = "cryosparc"
    EMAN = "eman"
    EMAN2 = "eman2"
    CRYOLO = "cryolo"
    TOPAZ = "topaz"


_NEXT = {
    Program.RELION: "Extract: give {relion} as Input coordinates{older}.",
    Program.CRYOSPARC: "Import Particle Stack: give {import} as Particle meta path, connect the"
    " micrographs as Source Exposures, switch on Ignore raw data and Ignore pose data, then run"
    " Extract From Micrographs. Look at one micrograph in Inspect Picks first.",
    Program.EMAN: "e2boxer.py or e2import.py read the .box files of {box}.",
    Program.EMAN2: "Copy the files of {eman2} to the info folder of the EMAN2 project, which must"
    " not hold files of those micrographs: their defocus would be lost.",
    Program.CRYOLO: "cryolo_boxmanager.py and napari-boxmanager open the files of {cryolo}.",
    Program.TOPAZ: "topaz train --train-targets {topaz}; divide by the factor of topaz preprocess"
    " with --scale (0.25 for -s 4).",
}

_Picks = Annotated[
    Path,
    typer.Argument(
        metavar="PICKS",
        help="The output folder of cryomae pick, a coordinate file (.star, .cs, .box, .cbox, "
        ".json, .txt, .coords, .csv), RELION's autopick.star, or a folder of coordinate files.",
        show_default=False,
    ),
]
_Micrographs = Annotated[
    str | None,
    typer.Option(
        metavar="INPUTS",
        help="Micrographs of the picks: a folder, a quoted glob, or a STAR file. Picks get their "
        "names as they stand there.",
        show_default="the files that the picks name",
    ),
]
_Scale = Annotated[
    float,
    typer.Option(
        metavar="FACTOR",
        help="Multiply coordinates by this: 4 if the picks were made on micrographs binned by 4.",
    ),
]
_FlipY = Annotated[bool, typer.Option("--flip-y", help="Mirror top and bottom.")]
_FlipX = Annotated[bool, typer.Option("--flip-x", help="Mirror left and right.")]
_Transpose = Annotated[bool, typer.Option("--transpose", help="Swap x and y, before mirroring.")]
_Threshold = Annotated[
    float | None,
    typer.Option(metavar="SCORE", help="Leave out picks below this score.", show_default="all"),
]
_Exposures = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="For cryoSPARC: the micrographs as it lists them, the .csg file of a job's exposures "
        "(or a .cs that holds micrograph_blob and mscope_params). picks.cs then has cryoSPARC's "
        "own numbers and can be imported.",
        show_default="numbers that only mean something here",
    ),
]
_Check = Annotated[
    bool,
    typer.Option(
        help="Compare contrast at the picks with that of mirrored, turned and scaled coordinates, "
        "and say so if one of these fits better. Needs the micrographs."
    ),
]
_Box = Annotated[
    int | None,
    typer.Option(
        min=2,
        metavar="PX",
        help="Box size, an even number, for EMAN and crYOLO.",
        show_default="none",
    ),
]


def convert(
    picks: _Picks,
    output: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            help="File to write; its suffix says the format. Or, with --to, a folder that gets "
            "one file a micrograph.",
            show_default=False,
        ),
    ],
    to: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT",
            help="Format of a folder: relion, cryosparc, box, eman2, cryolo, topaz, coords or csv.",
            show_default="from the suffix of OUT",
        ),
    ] = None,
    micrographs: _Micrographs = None,
    scale: _Scale = 1.0,
    flip_y: _FlipY = False,
    flip_x: _FlipX = False,
    transpose: _Transpose = False,
    threshold: _Threshold = None,
    box: _Box = None,
    exposures: _Exposures = None,
    check: _Check = True,
) -> None:
    """Convert picks between RELION, cryoSPARC, EMAN, crYOLO, Topaz, plain text and CSV.

    Coordinates are pixels of the micrograph file, the first pixel is 0 and row 0 comes first in
    an MRC file, as in RELION. Nothing is mirrored unless you ask for it.

    For example:
      One RELION file for picks of crYOLO:
        cryomae convert CBOX/ cryolo.star --micrographs MotionCorr/job002/

      Topaz's picks, made after topaz preprocess -s 4, the sure ones only:
        cryomae convert topaz.txt AutoPick/topaz --to relion --scale 4 --threshold 0
          --micrographs CtfFind/job003/micrographs_ctf.star

      cryoSPARC's picks as boxes of 256 pixels:
        cryomae convert J12_picked_particles.cs boxes --to box --box 256
    """
    from dataclasses import replace

    from cryomae.exchange import save
    from cryomae.formats import format_named, format_of
    from cryomae.picks import Picks

    form = format_of(output) if to is None else format_named(to)
    change = _change(scale, transpose, flip_x, flip_y, threshold, box)
    _check_exposures(exposures, form.key)
    loaded, picked = _bring(picks, micrographs, change, box, exposures)
    if exposures is not None:  # what cryoSPARC does not know has no place in its file
        table = picked.picks.table
        inside = table["micrograph"].isin(list(loaded.context.exposures))
        picked = replace(picked, picks=Picks(table[inside].reset_index(drop=True)))
    saved = save(picked.picks, output, form, loaded.context, _star_of(micrographs))
    _show(picked, saved)
    if check:
        _check_orientation(loaded, change)


def export(
    picks: _Picks,
    to: Annotated[Program, typer.Option(metavar="PROGRAM", help=f"One of {', '.join(Program)}.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Folder to write to.",
            show_default="for_PROGRAM",
        ),
    ] = None,
    micrographs: _Micrographs = None,
    scale: _Scale = 1.0,
    flip_y: _FlipY = False,
    flip_x: _FlipX = False,
    transpose: _Transpose = False,
    threshold: _Threshold = None,
    box: _Box = None,
    exposures: _Exposures = None,
    check: _Check = True,
) -> None:
    """Write picks the way another program reads them, and say how to read them there.

    For example:
      Picks for RELION's Extract:
        cryomae export cryomae_picks --to relion --micrographs CtfFind/job003/micrographs_ctf.star

      For cryoSPARC, by Import Particle Stack:
        cryomae export cryomae_picks --to cryosparc --output for_cryosparc

      For cryoSPARC, by Import Result Group, with the exposures of the job J3:
        cryomae export cryomae_picks --to cryosparc --exposures P1/J3/J3_exposures.csg
    """
    from cryomae.exchange import save_for

    folder = output or Path(f"for_{to}")
    change = _change(scale, transpose, flip_x, flip_y, threshold, box)
    _check_exposures(exposures, to)
    loaded, picked = _bring(picks, micrographs, change, box, exposures)
    saved = save_for(to, picked.picks, folder, loaded.context, _star_of(micrographs))
    _show(picked, saved)
    typer.echo(next_step(to, saved))
    if check:
        _check_orientation(loaded, change, folder / "check.png")


def next_step(to: Program, saved: Saved) -> str:
    """What to do in the other program with what was written."""
    # RELION up to 3.1 needs a file that can be written only if the micrographs' STAR is known.
    older = " (RELION 3.1: {relion31})".format(**saved.files) if "relion31" in saved.files else ""
    other = "Import Result Group: give {group}. Or " if "group" in saved.files else ""
    return other.format(**saved.files) + _NEXT[to].format(**saved.files, older=older)


def _star_of(micrographs: str | None) -> Path | None:
    return Path(micrographs) if micrographs and micrographs.endswith(".star") else None


def _check_exposures(exposures: Path | None, key: str) -> None:
    if exposures is not None and key != "cryosparc":
        raise typer.BadParameter("is for cryoSPARC only", param_hint="--exposures")


def _change(
    scale: float,
    transpose: bool,
    flip_x: bool,
    flip_y: bool,
    threshold: float | None,
    box: int | None,
) -> Change:
    from cryomae.exchange import Change

    if not 0 < scale < 1000:
        raise typer.BadParameter("give a number above 0", param_hint="--scale")
    if box is not None and box % 2:
        raise typer.BadParameter("give an even number", param_hint="--box")
    return Change(scale, transpose, flip_x, flip_y, threshold)


def _bring(
    path: Path, micrographs: str | None, change: Change, box: int | None, exposures: Path | None
) -> tuple[Loaded, Loaded]:
    """Read and change picks: what was read, and the same with changed picks and all notes."""
    from dataclasses import replace

    from cryomae.exchange import apply, load

    loaded = load(path, micrographs, box, exposures)
    changed, notes = apply(loaded.picks, change, loaded.context, path)
    return loaded, replace(loaded, picks=changed, notes=(*loaded.notes, *notes))


def _check_orientation(loaded: Loaded, change: Change, picture: Path | None = None) -> None:
    """Say whether the coordinates fit the micrographs, and draw one of these."""
    from rich.console import Console
    from rich.markup import escape

    from cryomae.cli.progress import show_count
    from cryomae.orientation import Verdict, check, draw_check
    from cryomae.transforms import Transform

    if not loaded.refs or not len(loaded.picks):
        return
    asked = Transform(change.scale, change.transpose, change.flip_x, change.flip_y)
    with show_count("Checking", "micrographs") as tell:
        found = check(loaded.picks, asked, loaded.refs, loaded.context.pixel_sizes, tell)
    console = Console(highlight=False)
    if found.verdict is Verdict.WRONG:
        console.print(f"[yellow]warning:[/] {escape(found.words)}")
    elif picture:
        console.print(escape(found.words))
    if picture and draw_check(
        picture, found, loaded.picks, loaded.refs, loaded.context.pixel_sizes
    ):
        console.print(f"Look at [bold]{escape(str(picture))}[/] before you go on.")


def _show(loaded: Loaded, saved: Saved) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False)
    for note in (*loaded.notes, *saved.notes):
        console.print(f"[yellow]note:[/] {escape(note)}")
    total, count = len(loaded.picks), loaded.picks.table["micrograph"].nunique()
    console.print(
        f"[bold]{total:,} pick{'' if total == 1 else 's'}[/] of {count:,} "
        f"micrograph{'' if count == 1 else 's'}"
    )
    for what, path in saved.files.items():
        console.print(f"  {what}: {escape(str(path))}")
