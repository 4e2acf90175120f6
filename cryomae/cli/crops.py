"""The command ``cryomae crops``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cryomae.crops import Crops

_ROWS = 20


def crops(
    picks: Annotated[
        Path,
        typer.Argument(
            metavar="PICKS",
            help="Picks: the output folder of cryomae pick, a STAR file, RELION's autopick.star, "
            "or a folder of coordinate files.",
            show_default=False,
        ),
    ],
    micrographs: Annotated[
        str | None,
        typer.Option(
            metavar="INPUTS",
            help="Micrographs of the picks: a folder, a quoted glob, or a STAR file. CTF and "
            "optics of a STAR file go into particles.star.",
            show_default="the files that the picks name",
        ),
    ] = None,
    diameter: Annotated[
        float | None,
        typer.Option(
            metavar="Å",
            help="Particle diameter in Å.",
            show_default="from the run of cryomae pick, else two thirds of --box",
        ),
    ] = None,
    box: Annotated[
        int | None,
        typer.Option(
            min=8,
            metavar="PX",
            help="Side of a box in pixels of the micrograph, an even number.",
            show_default="1.5 diameters",
        ),
    ] = None,
    scale_to: Annotated[
        int | None,
        typer.Option(
            min=8,
            metavar="PX",
            help="Make boxes smaller, by cropping their Fourier transform: side in pixels, an "
            "even number.",
            show_default="as they are",
        ),
    ] = None,
    pixel_size: Annotated[
        float | None,
        typer.Option(
            metavar="Å",
            help="Pixel size of the micrographs in Å.",
            show_default="from the run of cryomae pick, STAR file or headers",
        ),
    ] = None,
    invert: Annotated[
        bool,
        typer.Option(
            help="Make dark particles white, as RELION's Extract does by default and its 2D "
            "classification expects. --no-invert if they are white already."
        ),
    ] = True,
    threshold: Annotated[
        float | None,
        typer.Option(metavar="SCORE", help="Leave out picks below this score.", show_default="all"),
    ] = None,
    most: Annotated[
        int | None,
        typer.Option(
            "--max", min=1, metavar="N", help="Take the N best picks.", show_default="all"
        ),
    ] = None,
    at_random: Annotated[
        bool, typer.Option("--random", help="With --max: take N at random, not the best.")
    ] = False,
    groups: Annotated[
        int,
        typer.Option(
            min=0,
            max=100,
            metavar="K",
            help="Sort the crops into K groups that look alike (groups.png); 0 for none.",
        ),
    ] = 8,
    drop_groups: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Leave out these groups of the last run into the same folder, such as 7,8: they "
            "are neither in the stack nor in picks_kept.star.",
            show_default="none",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="Seed of groups and of all draws.")
    ] = 0,
    model: Annotated[
        str,
        typer.Option(
            metavar="MODEL", help="Model that groups see with: a name, or a .safetensors file."
        ),
    ] = "default",
    device: Annotated[
        str, typer.Option(metavar="DEVICE", help="Where groups are computed: auto, cpu, cuda, mps.")
    ] = "auto",
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="Folder for everything that is written."
        ),
    ] = Path("cryomae_crops"),
) -> None:
    """Cut out the picked particles, look at them, and leave out what is none.

    Writes particles.mrcs and particles.star (RELION 3.1 to 5), montage.png (the best and the
    worst crops) and groups.png (crops that look alike, with their averages). Boxes are cut and
    normalised as RELION's Extract does: the ground outside a circle of 75 % of the box has mean
    0 and standard deviation 1, and particles are white.

    For example:
      What has been picked? Look at montage.png and groups.png:
        cryomae crops cryomae_picks

      Groups 7 and 8 are ice and carbon; picks_kept.star is without them:
        cryomae crops cryomae_picks --drop-groups 7,8

      A small stack for 2D classification, with the CTF:
        cryomae crops AutoPick/job005 --micrographs CtfFind/job003/micrographs_ctf.star
          --box 256 --scale-to 64 --groups 0
    """
    from cryomae.cli.progress import show_count
    from cryomae.crops import Options, make_crops

    for name, length in (("--diameter", diameter), ("--pixel-size", pixel_size)):
        if length is not None and not 0 < length < 100_000:
            raise typer.BadParameter("give a number above 0", param_hint=name)
    for name, pixels in (("--box", box), ("--scale-to", scale_to)):
        if pixels is not None and pixels % 2:
            raise typer.BadParameter("give an even number", param_hint=name)
    if at_random and most is None:
        raise typer.BadParameter("say how many with --max", param_hint="--random")
    options = Options(
        micrographs=micrographs,
        diameter=diameter,
        box=box,
        scale_to=scale_to,
        pixel_size=pixel_size,
        threshold=threshold,
        most=most,
        at_random=at_random,
        seed=seed,
        invert=invert,
        groups=groups,
        drop=_numbers(drop_groups),
    )
    try:
        with show_count("Cutting", "micrographs") as tell:
            made = make_crops(picks, output, options, model=model, device=device, on_progress=tell)
    except KeyboardInterrupt:
        typer.secho("Stopped; nothing was written.", fg="yellow", err=True)
        raise typer.Exit(130) from None
    _show(made)
    raise typer.Exit(1 if made.failed else 0)


def _numbers(text: str | None) -> tuple[int, ...]:
    """Groups of a list such as ``3,5``."""
    if text is None:
        return ()
    try:
        found = tuple(sorted({int(word) for word in text.split(",")}))
    except ValueError:
        found = ()
    if not found or found[0] < 1:
        raise typer.BadParameter("give numbers of groups, such as 7,8", param_hint="--drop-groups")
    return found


def _show(made: Crops) -> None:
    """Print failures, what was cut, the groups and where the files are."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from cryomae.batch.tables import project_path

    console = Console(highlight=False)
    for note in made.notes:
        console.print(f"[yellow]note:[/] {escape(note)}")
    for failure in made.failed[:_ROWS]:
        remedy = f" ({failure.remedy})" if failure.remedy else ""
        console.print(f"[red]failed:[/] {escape(f'{failure.name}: {failure.cause}{remedy}')}")
    if len(made.failed) > _ROWS:
        console.print(f"… and {len(made.failed) - _ROWS:,} more")
    inputs, count = made.inputs, len(made.picks)
    names = made.picks["micrograph"].nunique()
    size = f"{inputs.box} px ({inputs.box * inputs.pixel_size:.0f} Å)"
    if inputs.side != inputs.box:
        size += f", scaled to {inputs.side} px"
    console.print(
        f"[bold]{count:,} particle{'' if count == 1 else 's'}[/] of {names:,} "
        f"micrograph{'' if names == 1 else 's'}, boxes of {size}"
        + (f"; {made.dropped:,} left out with their groups" if made.dropped else "")
    )
    if len(made.groups):
        table = Table(box=None, header_style="bold", pad_edge=False)
        for heading in ("group", "crops", "mean score"):
            table.add_column(heading, justify="right")
        for group, crops_in, score in made.groups.itertuples(index=False):
            table.add_row(str(group), f"{crops_in:,}", f"{score:.2f}")
        console.print(table)
        console.print("Leave groups out: the same command with --drop-groups and their numbers.")
    console.print()
    where = Table.grid(padding=(0, 2))
    for title, key in (
        ("look at it", "montage"),
        ("", "groups"),
        ("RELION", "star"),
        ("picks kept", "kept picks"),
    ):
        if key in made.files:
            where.add_row(title, escape(project_path(made.files[key])))
    console.print(where)
