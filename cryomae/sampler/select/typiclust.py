"""TypiClust: typical candidates of clusters that hold no label yet."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from cryomae.sampler import checks
from cryomae.sampler.guards import Mask
from cryomae.sampler.pool import Need, PoolView
from cryomae.sampler.registry import register
from cryomae.sampler.select.chance import subset
from cryomae.sampler.select.clusters import kmeans
from cryomae.sampler.select.distances import best_allowed
from cryomae.sampler.selection import Picked
from cryomae.sampler.strategy import BatchStrategy

MOST = 5000
"""Rows of a cluster among which neighbours are looked for."""

TINY = 1e-12
"""Least mean distance, so that equal rows have a typicality."""


def typicality(x: NDArray[Any], neighbours: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """1 over the mean distance to the nearest others of the same cluster, shape (m, d) to (m,).

    At most half of the cluster counts as neighbours. In a cluster above `MOST` rows they are
    looked for among `MOST` random ones, and fewer in proportion. A row alone has 0.
    """
    if len(x) == 1:
        return np.zeros(1)
    others = x[subset(np.arange(len(x)), MOST, rng)]
    count = max(1, round(min(neighbours, len(x) // 2) * len(others) / len(x)))
    search = NearestNeighbors(algorithm="brute").fit(others)
    # One more, as a row finds itself; where it was not drawn, its farthest is one too far.
    distance, _ = search.kneighbors(x, count + 1)
    return 1 / np.maximum(distance.sum(axis=1) / count, TINY)


@register("typiclust")
@dataclass(frozen=True)
class TypiClust(BatchStrategy):
    """Take the most typical candidate of each cluster without labels (Hacohen et al. 2022).

    k-means on what is labelled and the pool into L + k clusters, but no more than
    ``clusters``; those of fewest labels first, of these the largest first; from each the
    candidate of the highest `typicality` (which is the score), in turns. Meant for a first
    batch, with embeddings that owe nothing to labels; without labels all clusters are open.

    Our deviations: typicality is measured once, not again after a pick in the same cluster;
    clusters of fewer than ``smallest`` rows come after all others instead of never.
    Cost: k-means, and the pairs within the clusters that are chosen from.

    Attributes
    ----------
    neighbours : int
        At most; the paper's 20.
    clusters : int
        The paper's 500.
    smallest : int
        The paper's code never uses clusters of 5 or fewer.
    """

    neighbours: int = 20
    clusters: int = 500
    smallest: int = 6

    needs: ClassVar[Need] = Need.EMBED
    deterministic: ClassVar[bool] = False

    def __post_init__(self) -> None:
        checks.whole("neighbours", self.neighbours)
        checks.whole("clusters", self.clusters)
        checks.whole("smallest", self.smallest)

    def pick(self, pool: PoolView, k: int, rng: np.random.Generator, mask: Mask) -> Picked:
        """Typical rows, one cluster after the other."""
        x = pool.embed
        assert x is not None
        known = pool.labelled_rows("embed")
        both = np.concatenate([x, known]) if len(known) else x
        labels, centres = kmeans(both, min(len(known) + k, self.clusters), rng)
        size = np.bincount(labels[: len(x)], minlength=len(centres))
        labelled = np.bincount(labels[len(x) :], minlength=len(centres))
        order = np.lexsort((-size, labelled, size < self.smallest))
        members = np.split(np.argsort(labels[: len(x)], kind="stable"), np.cumsum(size)[:-1])
        typical = np.zeros(len(x))
        measured: set[int] = set()
        chosen: list[int] = []
        for cluster in cycle(order):
            if len(chosen) == k or not mask.allowed().any():
                break
            rows = members[cluster]
            allowed = mask.allowed()[rows]
            if not allowed.any():
                continue
            if cluster not in measured:
                typical[rows] = typicality(x[rows], self.neighbours, rng)
                measured.add(cluster)
            row = int(rows[best_allowed(typical[rows], allowed)])
            mask.take(row)
            chosen.append(row)
        return Picked.of(chosen, typical[chosen], "typical")
