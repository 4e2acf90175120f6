"""POAL: informative candidates that are not out of the distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cryomae.sampler import checks
from cryomae.sampler.errors import SamplerError
from cryomae.sampler.guards import Mask
from cryomae.sampler.pool import Need, PoolView
from cryomae.sampler.registry import register
from cryomae.sampler.scores.familiar import mahalanobis
from cryomae.sampler.scores.uncertainty import entropy
from cryomae.sampler.select.pareto import most_shared, peel, supported_batches
from cryomae.sampler.select.subset_search import search
from cryomae.sampler.selection import Picked
from cryomae.sampler.strategy import BatchStrategy, top

MOST = 100_000
"""Steps of the Monte Carlo search at most."""


@register("poal")
@register("pareto_ood", confidence="id_score")
@dataclass(frozen=True)
class Poal(BatchStrategy):
    """Batch on the Pareto front of information against familiarity (Zhan et al. 2023).

    Information is the sum of entropies, familiarity the sum of in-distribution confidences
    of a batch. Candidates are first thinned to the first Pareto fronts of single points, at
    least ``keep * k`` of them. Then batches of the front are sought, and of these the one
    that shares most candidates with the others is taken.

    Our deviations: the search is exact by default, since both objectives are sums
    (`supported_batches`); the Monte Carlo one drops what it beats and only that. The
    covariance of the Mahalanobis distance is inverted, and shrunk where labels are few.
    Guards act when the chosen batch is taken: what they forbid is replaced by the next best
    of the same trade-off. Only for pools where what is out of the distribution is useless:
    contaminants that serve as negatives are what a picker should ask about.

    Scores are the two objectives, each from 0 to 1 over the pool, added.

    Attributes
    ----------
    confidence : {'mahalanobis', 'id_score'}
        The Mahalanobis distance to what is labelled, negated, or ``PoolView.id_score``.
    method : {'exact', 'mc'}
    keep : int
        The paper's 6 (5 for small models).
    """

    confidence: str = "mahalanobis"
    method: str = "exact"
    keep: int = 6

    needs: ClassVar[Need] = Need.PROBA

    def __post_init__(self) -> None:
        checks.one_of("confidence", self.confidence, ("mahalanobis", "id_score"))
        checks.one_of("method", self.method, ("exact", "mc"))
        checks.whole("keep", self.keep)

    def required(self) -> Need:
        """Probabilities, and what the confidence is made of."""
        if self.confidence == "id_score":
            return self.needs | Need.ID_SCORE
        return self.needs | Need.EMBED | Need.LABELLED

    def pick(self, pool: PoolView, k: int, rng: np.random.Generator, mask: Mask) -> Picked:
        """The batch that stands for the front."""
        assert pool.proba is not None
        both = np.stack([entropy(pool.proba), self._familiar(pool)], axis=1)
        low, spread = both.min(axis=0), np.ptp(both, axis=0)
        values = (both - low) / np.where(spread > 0, spread, 1)
        rows = np.flatnonzero(mask.allowed())
        rows = rows[peel(values[rows], self.keep * k)]
        if self.method == "exact":
            batches = supported_batches(values[rows], k)
        else:
            batches = search(values[rows], k, min(k * len(rows), MOST), rng)
        chosen = rows[list(most_shared(batches, len(rows)))]
        score = values.sum(axis=1)
        # Members of the batch go before all others, and the rest stand by for the guards.
        first = score.copy()
        first[chosen] += 1 + score.max()
        picked = top(first, k, mask, "pareto")
        return Picked.of(picked.index, score[picked.index], "pareto")

    def _familiar(self, pool: PoolView) -> NDArray[np.float64]:
        """In-distribution confidence, shape (N,)."""
        if self.confidence == "id_score":
            return np.asarray(pool.id_score, dtype=np.float64)
        assert pool.embed is not None
        assert pool.labelled is not None
        known = pool.labelled_rows("embed")
        if not len(known):
            raise SamplerError(
                "poal needs labels to tell what is in the distribution: start with typiclust"
            )
        return -mahalanobis(pool.embed, known, pool.labelled.y)
