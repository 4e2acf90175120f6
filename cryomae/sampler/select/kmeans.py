"""One candidate nearest to each of k cluster centres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cryomae.sampler.guards import Mask
from cryomae.sampler.pool import Need, PoolView
from cryomae.sampler.registry import register
from cryomae.sampler.select.clusters import kmeans
from cryomae.sampler.select.distances import best_allowed, squared_to
from cryomae.sampler.selection import Picked
from cryomae.sampler.strategy import BatchStrategy


def nearest_to_centres(
    x: NDArray[Any], rows: NDArray[np.intp], k: int, rng: np.random.Generator, mask: Mask
) -> Picked:
    """The row nearest to each of ``k`` centres, those of large clusters first.

    Parameters
    ----------
    x : ndarray, shape (N, d)
    rows : ndarray, shape (m,)
        Rows that are clustered and chosen from.
    k : int
    rng : numpy.random.Generator
    mask : Mask

    Returns
    -------
    Picked
        Scores are distances to the centre, negated. At most ``k``, fewer if guards leave
        fewer of the rows.
    """
    inside = x[rows]
    labels, centres = kmeans(inside, k, rng)
    size = np.bincount(labels, minlength=len(centres))
    chosen: list[int] = []
    worth: list[float] = []
    for cluster in np.argsort(-size, kind="stable"):
        allowed = mask.allowed()[rows]
        if not allowed.any():
            break
        near = -np.sqrt(squared_to(inside, centres[cluster].astype(x.dtype)))
        best = best_allowed(near, allowed)
        mask.take(int(rows[best]))
        chosen.append(int(rows[best]))
        worth.append(float(near[best]))
    return Picked.of(chosen, worth, "typical")


@register("kmeans")
@dataclass(frozen=True)
class KMeansSampling(BatchStrategy):
    """Take the candidate nearest to each of k cluster centres (Zhdanov 2019, unweighted).

    Labels have no influence. A row nearest to two centres is taken once and the second
    centre gets its next nearest.
    Cost: k-means, O(N·k·d) a step; above 10,000 rows in mini-batches.
    """

    needs: ClassVar[Need] = Need.EMBED
    deterministic: ClassVar[bool] = False

    def pick(self, pool: PoolView, k: int, rng: np.random.Generator, mask: Mask) -> Picked:
        """Rows nearest to the centres, those of large clusters first."""
        assert pool.embed is not None
        return nearest_to_centres(pool.embed, np.flatnonzero(mask.allowed()), k, rng, mask)
