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
