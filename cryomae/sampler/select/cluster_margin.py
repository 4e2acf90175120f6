"""Uncertain candidates from all clusters: Cluster-Margin, information diversity, MCM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import AgglomerativeClustering

from cryomae.sampler import checks
from cryomae.sampler.guards import Mask, only
from cryomae.sampler.pool import Need, PoolView
from cryomae.sampler.registry import register
from cryomae.sampler.scores.uncertainty import TINY, margin
from cryomae.sampler.select.clusters import kmeans
from cryomae.sampler.select.kmeans import nearest_to_centres
from cryomae.sampler.selection import Picked
from cryomae.sampler.strategy import BatchStrategy, best_rows, fill

MOST = 2000
"""Candidates beyond which no tree of clusters is built."""


@dataclass(frozen=True)
class _Uncertain(BatchStrategy):
    """What the strategies of this module share. Labels have no influence."""

    needs: ClassVar[Need] = Need.PROBA | Need.EMBED
    deterministic: ClassVar[bool] = False


@register("cluster_margin")
@dataclass(frozen=True)
class ClusterMargin(_Uncertain):
    """Take uncertain candidates from all their clusters in turn (Citovsky et al. 2021).

    The ``prefilter * k`` candidates of the smallest margin are put into k clusters (average
    linkage); going round from the smallest cluster to the largest, each gives a random
    candidate until the batch is full. The score is 1 less the margin.

    Our deviations: the paper clusters the whole pool once and cuts its tree at a distance;
    here only the uncertain candidates are clustered (at most 2,000), anew for each batch,
    and cut into as many clusters as are asked for, so that no distance has to be guessed.
    Cost: O(N·C + M²·d) for M of them.

    Attributes
    ----------
    prefilter : int
    """

    prefilter: int = 10

    def __post_init__(self) -> None:
        checks.whole("prefilter", self.prefilter)

    def pick(self, pool: PoolView, k: int, rng: np.random.Generator, mask: Mask) -> Picked:
        """Uncertain rows, from all clusters in turn."""
        assert pool.proba is not None
        assert pool.embed is not None
        score = margin(pool.proba)
        rows = best_rows(score, mask.allowed(), min(self.prefilter * k, MOST))
        labels = _tree(pool.embed[rows], k)
        # One order at random, from which each cluster gives its first.
        mixed = rng.permutation(len(rows))
        queues = [mixed[labels[mixed] == c] for c in np.unique(labels)]
        queues.sort(key=len)
        chosen: list[int] = []
        for turn in range(len(queues[-1])):
            for queue in queues:
                row = int(rows[queue[turn]]) if turn < len(queue) else -1
                if row >= 0 and len(chosen) < k and mask.allowed()[row]:
                    mask.take(row)
                    chosen.append(row)
        return fill(Picked.of(chosen, score[chosen], "diverse"), score, k, mask)


@register("information_diversity")
@dataclass(frozen=True)
class InformationDiversity(_Uncertain):
    """Take uncertain candidates in the proportions that clusters have in the pool.

    Candidates are taken by margin, smallest first, but none from a cluster that has its
    share of the batch already, after the sampler of that name in Google's active-learning
    package. The score is 1 less the margin. A batch of one is plain margin sampling.

    Attributes
    ----------
    clusters : int
    """

    clusters: int = 10

    def __post_init__(self) -> None:
        checks.whole("clusters", self.clusters)

    def pick(self, pool: PoolView, k: int, rng: np.random.Generator, mask: Mask) -> Picked:
        """Uncertain rows in the proportions of the clusters."""
        assert pool.proba is not None
        assert pool.embed is not None
        score = margin(pool.proba)
        labels, centres = kmeans(pool.embed, self.clusters, rng)
        share = np.bincount(labels, minlength=len(centres)) / len(labels)
        taken = np.zeros(len(centres))
        chosen: list[int] = []
        for row in np.argsort(-score, kind="stable"):
            if len(chosen) == k:
                break
            cluster = labels[row]
            if mask.allowed()[row] and taken[cluster] < share[cluster] * k:
                mask.take(int(row))
                chosen.append(int(row))
                taken[cluster] += 1
        return fill(Picked.of(chosen, score[chosen], "uncertain"), score, k, mask)


@register("mcm")
@dataclass(frozen=True)
class MarginClusterMean(_Uncertain):
    """Take the middles of k clusters of the candidates near the boundary (Xu et al. 2003).

    Their "near" is inside the margin of an SVM, a decision value below 1 in size. Ours is
    the logarithm of the ratio of the two greatest probabilities below ``width``, which is
    the same thing for a logistic model and is defined for any. If fewer than k lie there,
    the k of the smallest margins do. Scores are distances to the middle, negated.

    Attributes
    ----------
    width : float
    """

    width: float = 1.0

    def __post_init__(self) -> None:
        checks.above("width", self.width)

    def pick(self, pool: PoolView, k: int, rng: np.random.Generator, mask: Mask) -> Picked:
        """Rows in the middle of clusters near the boundary."""
        assert pool.proba is not None
        assert pool.embed is not None
        score = margin(pool.proba)
        rows = np.flatnonzero(mask.allowed() & (_log_ratio(pool) < self.width))
        if len(rows) < k:
            rows = best_rows(score, mask.allowed(), k)
        picked = nearest_to_centres(pool.embed, rows, k, rng, only(mask, rows))
        return fill(picked, score, k, mask)


def _log_ratio(pool: PoolView) -> NDArray[np.float64]:
    """Logarithm of the greatest probability over the second, shape (N,)."""
    assert pool.proba is not None
    if pool.proba.shape[1] == 1:
        return np.full(len(pool), np.inf)
    two = np.partition(np.clip(pool.proba, TINY, 1), -2, axis=1)[:, -2:].astype(np.float64)
    return np.log(two[:, 1] / two[:, 0])


def _tree(x: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """Clusters by average linkage, shape (m,), each row its own if there are no more rows."""
    if len(x) <= count:
        return np.arange(len(x))
    labels = AgglomerativeClustering(count, linkage="average").fit_predict(x)
    return np.asarray(labels, dtype=np.intp)
