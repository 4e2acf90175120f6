"""Greedy k-center, the core-set strategy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cryomae.sampler.guards import Mask
from cryomae.sampler.pool import Need, PoolView
from cryomae.sampler.registry import register
from cryomae.sampler.select.distances import best_allowed, nearest_to, squared_to
from cryomae.sampler.selection import Picked
from cryomae.sampler.strategy import BatchStrategy


def farthest_first(
    x: NDArray[Any], nearest: NDArray[np.float64], k: int, mask: Mask
) -> tuple[list[int], list[float]]:
    """Rows that are each the farthest from all before, and how far they were.

    Parameters
    ----------
    x : ndarray, shape (N, d)
    nearest : ndarray, shape (N,)
        Distance of each row to what is covered at the beginning.
    k : int
    mask : Mask
    """
    gap = np.array(nearest, dtype=np.float64)
    chosen: list[int] = []
    distance: list[float] = []
    while len(chosen) < k and mask.allowed().any():
        row = best_allowed(gap, mask.allowed())
        mask.take(row)
        chosen.append(row)
        distance.append(float(gap[row]))
        np.minimum(gap, np.sqrt(squared_to(x, x[row])), out=gap)
    return chosen, distance


@register("kcenter")
@dataclass(frozen=True)
class KCenter(BatchStrategy):
    """Take what is farthest from all that is labelled or taken (Sener and Savarese 2018).

    The greedy 2-approximation of their core-set, without the mixed-integer refinement.
    Scores are Euclidean distances. Without labels the first is the farthest from the mean
    of the pool and the rest go on from it.
    Cost: O(N·(L + k)·d) time, O(N) memory.
    """

    needs: ClassVar[Need] = Need.EMBED

    def pick(self, pool: PoolView, k: int, rng: np.random.Generator, mask: Mask) -> Picked:
        """The farthest rows, one after the other."""
        x = pool.embed
        assert x is not None
        labelled = pool.labelled_rows("embed")
        if len(labelled):
            return Picked.of(*farthest_first(x, nearest_to(x, labelled), k, mask), "diverse")
        centre = x.mean(axis=0, dtype=np.float64).astype(x.dtype)
        first, far = farthest_first(x, np.sqrt(squared_to(x, centre)), 1, mask)
        start = np.sqrt(squared_to(x, x[first[0]]))
        rest, distance = farthest_first(x, start, k - 1, mask)
        return Picked.of(first + rest, far + distance, "diverse")
