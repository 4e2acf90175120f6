"""What can be done to coordinates on their way: scale, mirror, transpose, choose."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cryomae.formats import Context
from cryomae.picks import Picks


@dataclass(frozen=True)
class Change:
    """What to do, in this order.

    Attributes
    ----------
    scale : float
        Factor of both coordinates: 4 for picks made on images binned by 4. A pixel of the
        binned image stands where RELION puts it, with no half pixel added.
    transpose : bool
        Swap x and y.
    flip_x, flip_y : bool
        Mirror: x becomes nx - 1 - x, y becomes ny - 1 - y.
    threshold : float or None
        Least score that stays.
    """

    scale: float = 1.0
    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False
    threshold: float | None = None


def apply(picks: Picks, change: Change, context: Context, path: Path) -> tuple[Picks, list[str]]:
    """Change picks, and bring those that lie outside their micrograph back to its edge.

    Parameters
    ----------
    picks : Picks
        Of any number of micrographs.
    change : Change
        What to do.
    context : Context
        Sizes of the micrographs; all are needed to mirror.
    path : Path
        Where the picks came from, for errors.

    Returns
    -------
    picks : Picks
        In the order they came in.
    notes : list of str
        How many were left out or moved, a sentence each.

    Raises
    ------
    InputError
        If a micrograph is to be mirrored whose size is not known.
    """
    table = picks.table
    notes = []
    if change.threshold is not None:
        table = table[table["score"] >= change.threshold]
        notes.append(
            f"{len(picks) - len(table):,} of {len(picks):,} picks are below the threshold."
        )
    x, y = (table[axis].to_numpy(np.float64) * change.scale for axis in "xy")
    if change.transpose:
        x, y = y, x
    names = table["micrograph"]
    if change.flip_x or change.flip_y:
        shapes = {name: context.shape(name, path) for name in names.unique()}
    else:
        shapes = {name: context.shapes[name] for name in names.unique() if name in context.shapes}
    ny = names.map({name: shape[0] for name, shape in shapes.items()}).to_numpy(np.float64)
    nx = names.map({name: shape[1] for name, shape in shapes.items()}).to_numpy(np.float64)
    if change.flip_x:
        x = nx - 1 - x
    if change.flip_y:
        y = ny - 1 - y
    inside_x = np.clip(x, 0, np.where(np.isnan(nx), np.inf, nx - 1))
    inside_y = np.clip(y, 0, np.where(np.isnan(ny), np.inf, ny - 1))
    known = ~np.isnan(nx)
    outside = known & ((inside_x != x) | (inside_y != y))
    x, y = np.where(known, inside_x, x), np.where(known, inside_y, y)
    if outside.any():
        notes.append(
            f"{int(outside.sum()):,} of {len(table):,} picks lay outside their micrograph and "
            "were moved to its edge; if these are many, --scale or the micrographs are wrong."
        )
    changed = table.assign(x=x, y=y).reset_index(drop=True)
    return Picks(changed), notes
