"""Random draws."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def draw(weight: NDArray[np.float64], allowed: NDArray[np.bool_], rng: np.random.Generator) -> int:
    """A row at random in proportion to its weight; any allowed one if all weights are 0.

    Weights of rows that are not allowed must be 0.
    """
    total = np.cumsum(weight)
    if total[-1] <= 0:
        return int(rng.choice(np.flatnonzero(allowed)))
    row = int(np.searchsorted(total, rng.random() * total[-1], side="right"))
    # Rounding can carry the draw past the last row that has weight.
    return min(row, int(np.flatnonzero(weight)[-1]))


def subset(rows: NDArray[np.intp], most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """All rows, or ``most`` of them at random, in the same order."""
    if len(rows) <= most:
        return rows
    return np.sort(rng.choice(rows, most, replace=False))
