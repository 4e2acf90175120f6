"""Graph density: candidates in the thick of the pool, spread over it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.neighbors import kneighbors_graph

from cryomae.sampler import checks
from cryomae.sampler.guards import Mask
from cryomae.sampler.pool import Need, PoolView
from cryomae.sampler.registry import register
from cryomae.sampler.select.chance import subset
from cryomae.sampler.select.distances import best_allowed
from cryomae.sampler.selection import Picked
from cryomae.sampler.strategy import BatchStrategy, fill

MOST = 5000
"""Candidates that are joined by a graph; all their pairs are looked at."""


def neighbour_graph(x: NDArray[Any], neighbours: int) -> csr_array:
    """Symmetric graph of nearest neighbours with weights ``exp(-|x_i - x_j|₁ / d)``.

    Two rows are joined if either is among the nearest of the other, shape (N, N), sparse.
    """
    count = min(neighbours, len(x) - 1)
    graph = csr_array(kneighbors_graph(x, count, mode="distance", metric="manhattan"))
    graph.data = np.exp(-graph.data / x.shape[1])
    return csr_array(graph.maximum(graph.T))


@register("graph_density")
@dataclass(frozen=True)
class GraphDensity(BatchStrategy):
    """Take what is most like its neighbours, away from what was taken (Ebert et al. 2012).

    A candidate's density is the mean weight of its edges in `neighbour_graph`, which is the
    score. What is labelled and what is taken lowers the density of each of its neighbours by
    its own times the weight of the edge. Labels are not needed.

    Our deviations: common code lowers neighbours by the whole density, whatever the weight;
    here what is labelled is part of the graph and lowers its neighbours first; above 5,000
    candidates a random 5,000 are joined and chosen from.

    Attributes
    ----------
    neighbours : int
        The paper's 10.
    """

    neighbours: int = 10

    needs: ClassVar[Need] = Need.EMBED
    deterministic: ClassVar[bool] = False

    def __post_init__(self) -> None:
        checks.whole("neighbours", self.neighbours)

    def pick(self, pool: PoolView, k: int, rng: np.random.Generator, mask: Mask) -> Picked:
        """Rows of the highest density left."""
        assert pool.embed is not None
        rows = subset(np.flatnonzero(mask.allowed()), MOST, rng)
        known = pool.labelled_rows("embed")
        x = np.concatenate([pool.embed[rows], known])
        graph = neighbour_graph(x, self.neighbours) if len(x) > 1 else csr_array((1, 1))
        density = graph.sum(axis=1) / np.maximum(np.diff(graph.indptr), 1)
        for index in range(len(rows), len(x)):
            _lower(density, graph, index)
        chosen: list[int] = []
        worth: list[float] = []
        while len(chosen) < k and mask.allowed()[rows].any():
            best = best_allowed(density[: len(rows)], mask.allowed()[rows])
            mask.take(int(rows[best]))
            chosen.append(int(rows[best]))
            worth.append(float(density[best]))
            _lower(density, graph, best)
        return fill(Picked.of(chosen, worth, "typical"), rng.random(len(pool)), k, mask)


def _lower(density: NDArray[np.float64], graph: csr_array, index: int) -> None:
    """Take the density of one row off its neighbours, in place."""
    own = slice(graph.indptr[index], graph.indptr[index + 1])
    density[graph.indices[own]] -= max(density[index], 0) * graph.data[own]
