"""Pareto fronts of two objectives, of points and of batches. Both are to be high."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def first_front(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Points that no other beats in one objective without losing in the other.

    Equal points do not beat each other. Shape (n, 2) to (m,), ascending.
    """
    return peel(values, 1)


def peel(values: NDArray[np.float64], least: int) -> NDArray[np.intp]:
    """Points of the first fronts, as many fronts as give at least ``least`` points.

    Shape (n, 2) to (m,), ascending.
    """
    order = np.lexsort((-values[:, 1], -values[:, 0]))
    kept: list[NDArray[np.intp]] = []
    while len(order) and sum(map(len, kept)) < least:
        front = _front_of_sorted(values[order])
        kept.append(order[front])
        order = order[~front]
    return np.sort(np.concatenate(kept))


def _front_of_sorted(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each point is on the first front, of points that are sorted, the highest first."""
    second = values[:, 1]
    best_before = np.maximum.accumulate(np.concatenate([[-np.inf], second[:-1]]))
    # Of equal points all but the first meet their own twin as the best before them.
    twin = np.concatenate([[False], (np.diff(values, axis=0) == 0).all(axis=1)])
    first_of_equals = np.maximum.accumulate(np.where(twin, 0, np.arange(len(values))))
    front: NDArray[np.bool_] = (second > best_before)[first_of_equals]
    return front


def best_batch(values: NDArray[np.float64], weight: tuple[float, float], k: int) -> tuple[int, ...]:
    """Points of the ``k`` highest weighted sums, ascending.

    Equal sums go to the higher sum of both, each over its range, which makes the batch
    Pareto-optimal also where one weight is 0; then to the lower row.
    """
    sums = values @ np.asarray(weight)
    spread = np.ptp(values, axis=0)
    both = (values / np.where(spread > 0, spread, 1)).sum(axis=1)
    order = np.lexsort((-both, -sums))[:k]
    return tuple(sorted(int(i) for i in order))


def supported_batches(values: NDArray[np.float64], k: int) -> list[tuple[int, ...]]:
    """All corners of the Pareto front of the batches of ``k`` points.

    The objectives of a batch are sums over its points, so a batch on the convex hull of the
    front consists of the ``k`` highest ``λ f1 + (1 - λ) f2`` for some λ. The corners are
    found by dichotomy (Aneja and Nair 1979): between two neighbours look along the normal of
    the line that joins them. Two sorts a corner, and no list of λ to choose.

    Parameters
    ----------
    values : ndarray, shape (n, 2)
    k : int

    Returns
    -------
    list of tuple of int
        Each ascending; from the best in the second objective to the best in the first.
    """
    low, high = best_batch(values, (0.0, 1.0), k), best_batch(values, (1.0, 0.0), k)
    sums = {batch: values[list(batch)].sum(axis=0) for batch in (low, high)}
    if np.allclose(sums[low], sums[high]):
        return [low]
    # An explicit stack: a recursion could be as deep as there are corners.
    found, stack = [low], [(low, high)]
    while stack:
        left, right = stack.pop()
        rise, fall = sums[right] - sums[left]
        normal = (max(-float(fall), 0.0), max(float(rise), 0.0))
        between = best_batch(values, normal, k)
        sums[between] = values[list(between)].sum(axis=0)
        gain = float((sums[between] - sums[left]) @ np.array(normal))
        # Rounding of the sums must not look like a corner.
        if gain <= 1e-12 * float(np.abs(sums[left]) @ np.array(normal)):
            found.append(right)
        else:
            stack += [(between, right), (left, between)]
    return found


def most_shared(batches: list[tuple[int, ...]], count: int) -> tuple[int, ...]:
    """The batch that shares most points with all; the first of equal ones.

    Parameters
    ----------
    batches : list of tuple of int
    count : int
        How many points there are.
    """
    times = np.bincount(np.concatenate([np.array(b) for b in batches]), minlength=count)
    return max(batches, key=lambda batch: int(times[list(batch)].sum()))
