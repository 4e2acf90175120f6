"""Density-weighted uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from cryomae.sampler import checks
from cryomae.sampler.pool import Need, PoolView
from cryomae.sampler.registry import register
from cryomae.sampler.scores.uncertainty import least_confidence
from cryomae.sampler.select.clusters import kmeans
from cryomae.sampler.strategy import ScoreStrategy

Floats = NDArray[np.float64]


def log_density(x: NDArray[Any], centres: Floats, share: Floats, variance: float) -> Floats:
    """Logarithm of a mixture of equal round Gaussians, up to a constant, shape (N,).

    Parameters
    ----------
    x : ndarray, shape (N, d)
    centres : ndarray, shape (m, d)
    share : ndarray, shape (m,)
        Weight of each.
    variance : float
        Along every axis.
    """
    out = np.empty(len(x))
    for part in checks.chunks(len(x), 8192):
        gap = ((x[part, None, :] - centres) ** 2).sum(axis=-1)
        out[part] = logsumexp(-gap / (2 * variance), b=share, axis=1)
    return out


@register("dwus")
@dataclass(frozen=True)
class DensityWeighted(ScoreStrategy):
    """Take what the model is unsure of where candidates are dense (Nguyen and Smeulders 2004).

    Scores are ``p(x)^weight · (1 - max_c p(c|x))``, p(x) relative to the densest candidate,
    from Gaussians round k-means centres. Differences to the paper: the class probabilities
    are the task model's, for any number of classes, in place of a logistic regression on
    cluster centres; all Gaussians have the variance that fits the clusters best in place of
    0.01. In many dimensions the density varies by orders of magnitude and decides alone; a
    smaller weight restores the balance. Labels have no influence.

    Attributes
    ----------
    clusters : int
    weight : float
        Exponent of the density.
    """

    clusters: int = 5
    weight: float = 1.0

    needs: ClassVar[Need] = Need.PROBA | Need.EMBED
    reason: ClassVar[str] = "dense"
    deterministic: ClassVar[bool] = False

    def __post_init__(self) -> None:
        checks.whole("clusters", self.clusters)
        checks.within("weight", self.weight, 0)

    def score(self, pool: PoolView, rng: np.random.Generator) -> Floats:
        """Density times uncertainty, shape (N,)."""
        x = pool.embed
        assert x is not None
        assert pool.proba is not None
        cluster, centres = kmeans(x, self.clusters, rng)
        share = np.bincount(cluster, minlength=len(centres)) / len(x)
        spread = [((x[p] - centres[cluster[p]]) ** 2).mean() for p in checks.chunks(len(x))]
        variance = float(np.average(spread, weights=[len(x[p]) for p in checks.chunks(len(x))]))
        # Clusters without spread, such as equal rows: any variance, as no density differs.
        logs = log_density(x, centres, share, variance or 1.0)
        return np.exp(self.weight * (logs - logs.max())) * least_confidence(pool.proba)
