"""Options that several commands have."""

from typing import Annotated

import typer

MaxPicks = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Most picks kept in one micrograph, best first.",
        show_default="no limit",
    ),
]

MinDistance = Annotated[
    float | None,
    typer.Option(
        metavar="Å",
        help="Least distance between the centres of two picks in Å.",
        show_default="half the diameter",
    ),
]

PixelSize = Annotated[
    float | None,
    typer.Option(
        metavar="Å",
        help="Pixel size of the micrograph files in Å.",
        show_default="from the STAR file, else the header",
    ),
]

BeginAnew = Annotated[
    bool, typer.Option("--overwrite", help="Begin anew; by default work goes on.")
]

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only say what would be done; write nothing.")
]
