"""The Monte Carlo search for Pareto-optimal batches of POAL."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics.pairwise import euclidean_distances

CHECK = 200
"""Steps between two looks at the front."""

WINDOW = 10
"""Looks over which it must have stood still."""

STILL = 0.01
"""How far the mean and the standard deviation of the looks may move."""


def discrepancy(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Squared maximum mean discrepancy of two sets of points, shapes (n, 2) and (m, 2).

    Sum of five Gaussian kernels whose widths double, around the mean squared distance; at
    least 0, and 0 for equal sets.
    """
    both = np.concatenate([a, b])
    gaps = euclidean_distances(both, squared=True)
    middle = gaps.sum() / max(len(both) * (len(both) - 1), 1)
    if middle <= 0:
        return 0.0
    like = np.sum([np.exp(-gaps / (middle * 2.0**p)) for p in range(-2, 3)], axis=0)
    n = len(a)
    return float(like[:n, :n].mean() + like[n:, n:].mean() - 2 * like[:n, n:].mean())


def search(
    values: NDArray[np.float64], k: int, steps: int, rng: np.random.Generator
) -> list[tuple[int, ...]]:
    """Front of random batches of ``k`` points, both objectives high.

    Each step draws a batch, all equally likely. It joins the front unless a member is as
    good in both objectives, and members it beats leave. Every `CHECK` steps the front is
    compared with the last one by `discrepancy`; when mean and standard deviation of these
    over `WINDOW` comparisons have moved by no more than `STILL` over as many more, the
    search ends.

    Parameters
    ----------
    values : ndarray, shape (n, 2)
    k : int
        At most n.
    steps : int
        Draws at most.
    rng : numpy.random.Generator

    Returns
    -------
    list of tuple of int
        Batches, each ascending.
    """
    batches: list[tuple[int, ...]] = []
    front = np.zeros((0, 2))
    last = front
    moves: deque[float] = deque(maxlen=WINDOW)
    records: deque[tuple[float, float]] = deque(maxlen=WINDOW)
    for step in range(1, steps + 1):
        batch = tuple(sorted(int(i) for i in rng.choice(len(values), k, replace=False)))
        worth = values[list(batch)].sum(axis=0)
        if not (front >= worth).all(axis=1).any():
            kept = ~(front <= worth).all(axis=1)
            batches = [b for b, keep in zip(batches, kept, strict=True) if keep] + [batch]
            front = np.concatenate([front[kept], worth[None]])
        if step % CHECK == 0:
            if len(last):
                moves.append(discrepancy(front, last))
                records.append((float(np.mean(moves)), float(np.std(moves))))
            last = front
            if len(records) == WINDOW and np.ptp(np.array(records), axis=0).max() <= STILL:
                break
    return batches
