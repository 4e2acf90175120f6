"""ProbCover: balls around few candidates that cover most of the pool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics.pairwise import euclidean_distances

from cryomae.sampler import checks
from cryomae.sampler.guards import Mask
from cryomae.sampler.pool import Need, PoolView
from cryomae.sampler.registry import register
from cryomae.sampler.select.chance import subset
from cryomae.sampler.select.clusters import kmeans
from cryomae.sampler.select.distances import best_allowed, nearest_to, squared_to
from cryomae.sampler.selection import Picked
from cryomae.sampler.strategy import BatchStrategy, fill

MOST = 10_000
"""Candidates that are covered and chosen from; all pairs of them are looked at."""

SAMPLE = 1000
"""Rows on which the radius is estimated."""


def covered_by(x: NDArray[Any], rows: NDArray[np.intp], radius: float) -> NDArray[np.intp]:
    """How many of some rows lie within the radius of each row, shape (N,)."""
    count = np.zeros(len(x), dtype=np.intp)
    for part in checks.chunks(len(rows), SAMPLE):
        near = euclidean_distances(x, x[rows[part]], squared=True) <= radius**2
        count += near.sum(axis=1)
    return count


def pure_radius(x: NDArray[Any], classes: int, purity: float, rng: np.random.Generator) -> float:
    """The largest radius at which enough balls hold rows of one cluster only.

    As the paper does, clusters of k-means stand in for classes. Radii tried are quantiles of
    the distances, so that no scale of embeddings is assumed; the least of them if none is
    pure enough.
    """
    some = x[subset(np.arange(len(x)), SAMPLE, rng)]
    labels, _ = kmeans(some, classes, rng)
    gaps = euclidean_distances(some)
    other = labels[:, None] != labels[None, :]
    radii = np.quantile(gaps[np.triu_indices(len(some), 1)], np.geomspace(1e-3, 0.5, 25))
    pure = [float(1 - ((gaps <= r) & other).any(axis=1).mean()) for r in radii]
    enough = [r for r, share in zip(radii, pure, strict=True) if share >= purity]
    return float(enough[-1] if enough else radii[0])


@register("probcover")
@dataclass(frozen=True)
class ProbCover(BatchStrategy):
    """Take what covers most candidates that are not covered yet (Yehuda et al. 2022).

    A candidate covers all within ``radius``; so does what is labelled. The score is how many
    each newly covers. Meant for a first batch; labels are not needed. When all is covered,
    the rest is drawn at random.

    Our deviations: above 10,000 candidates a random 10,000 are covered and chosen from; the
    radius is tried at quantiles of the distances, where the paper assumes unit vectors.
    Cost: O(M²·d) time for M such candidates, O(M·d) memory.

    Attributes
    ----------
    radius : float, optional
        In the unit of the embedding; estimated by `pure_radius` if not given.
    purity : float
        Share of balls that must be pure, the paper's 0.95.
    """

    radius: float | None = None
    purity: float = 0.95

    needs: ClassVar[Need] = Need.EMBED
    deterministic: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.radius is not None:
            checks.above("radius", self.radius)
        checks.within("purity", self.purity, 0, 1)

    def pick(self, pool: PoolView, k: int, rng: np.random.Generator, mask: Mask) -> Picked:
        """Rows that each cover most of what is left."""
        assert pool.embed is not None
        rows = subset(np.flatnonzero(mask.allowed()), MOST, rng)
        x = pool.embed[rows]
        radius = self.radius
        if radius is None:
            radius = pure_radius(x, _classes(pool, k), self.purity, rng) if len(x) > 1 else 1.0
        open_ = nearest_to(x, pool.labelled_rows("embed")) > radius
        gain = covered_by(x, np.flatnonzero(open_), radius)
        chosen: list[int] = []
        worth: list[float] = []
        while len(chosen) < k:
            allowed = mask.allowed()[rows]
            best = best_allowed(gain.astype(np.float64), allowed)
            if not allowed[best] or not gain[best]:
                break
            mask.take(int(rows[best]))
            chosen.append(int(rows[best]))
            worth.append(float(gain[best]))
            new = open_ & (squared_to(x, x[best]) <= radius**2)
            gain -= covered_by(x, np.flatnonzero(new), radius)
            open_ &= ~new
        return fill(Picked.of(chosen, worth, "covers"), rng.random(len(pool)), k, mask)


def _classes(pool: PoolView, k: int) -> int:
    """Classes if the pool tells, else the size of the batch; two at least."""
    if pool.proba is not None:
        return max(2, pool.proba.shape[1])
    if pool.labelled is not None and len(pool.labelled):
        return max(2, int(pool.labelled.y.max()) + 1)
    return max(2, k)
