"""Query by committee."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cryomae.sampler import checks
from cryomae.sampler.pool import Need, PoolView
from cryomae.sampler.refit import bagging, class_count, estimator, training_set
from cryomae.sampler.registry import register
from cryomae.sampler.scores.stochastic import bald, vote_counts
from cryomae.sampler.scores.uncertainty import Scores, entropy
from cryomae.sampler.strategy import ScoreStrategy


def vote_entropy(stochastic: NDArray[Any]) -> Scores:
    """Entropy in nats of the votes of T members, shape (T, N, C) to (N,)."""
    return entropy(vote_counts(stochastic) / len(stochastic))


KINDS = {"vote_entropy": vote_entropy, "kl": bald}
"""The mean divergence of members from their mean is the mutual information of `bald`."""


@register("qbc")
@dataclass(frozen=True)
class Committee(ScoreStrategy):
    """Take what a committee disagrees on (Seung et al. 1992).

    The members are the task model fitted to stratified bootstrap samples of the labels
    (query by bagging, Abe and Mamitsuka 1998). The survey's committee is four unlike
    classifiers instead, of which most do not match the task model. Members that are there
    already, such as dropout passes, are for ``bald`` and ``var_ratio``.
    Cost: `members` fits and predictions.

    Attributes
    ----------
    disagreement : {'vote_entropy', 'kl'}
        Entropy of the votes (Dagan and Engelson 1995), or mean Kullback-Leibler divergence
        from the mean (McCallum and Nigam 1998).
    members : int
    """

    disagreement: str = "vote_entropy"
    members: int = 10

    needs: ClassVar[Need] = Need.FEATURES | Need.LABELLED | Need.MODEL
    reason: ClassVar[str] = "disagreement"
    deterministic: ClassVar[bool] = False

    def __post_init__(self) -> None:
        checks.one_of("disagreement", self.disagreement, KINDS)
        checks.whole("members", self.members, 2)

    def score(self, pool: PoolView, rng: np.random.Generator) -> Scores:
        """Disagreement in nats, shape (N,)."""
        x, y = training_set(pool, self.name)
        assert pool.features is not None
        model, classes = estimator(pool, self.name), class_count(pool, y)
        return KINDS[self.disagreement](
            bagging(model, (x, y), pool.features, classes, self.members, rng)
        )
