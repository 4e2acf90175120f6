"""Disagreement among random passes or ensemble members."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cryomae.sampler import checks
from cryomae.sampler.pool import Need, PoolView
from cryomae.sampler.registry import register
from cryomae.sampler.scores.uncertainty import KINDS, Scores, entropy
from cryomae.sampler.strategy import ScoreStrategy


def bald(stochastic: NDArray[Any]) -> Scores:
    """Mutual information of class and parameters in nats, shape (T, N, C) to (N,).

    Entropy of the mean less the mean of the entropies (Houlsby et al. 2011; Gal et al. 2017).
    """
    each = np.mean([entropy(p) for p in stochastic], axis=0)
    return entropy(mean(stochastic)) - each


def mean(stochastic: NDArray[Any]) -> NDArray[np.float64]:
    """Mean over passes, shape (T, N, C) to (N, C)."""
    return stochastic.mean(axis=0, dtype=np.float64)


def mean_std(stochastic: NDArray[Any]) -> Scores:
    """Standard deviation over passes, averaged over classes, shape (T, N, C) to (N,)."""
    return stochastic.std(axis=0, dtype=np.float64).mean(axis=-1)


def vote_counts(stochastic: NDArray[Any]) -> NDArray[np.float64]:
    """How many passes vote for each class, shape (T, N, C) to (N, C); ties to the lowest."""
    votes = stochastic.argmax(axis=-1)
    return np.stack([(votes == c).sum(axis=0) for c in range(stochastic.shape[2])], -1).astype(
        np.float64
    )


def variation_ratio(stochastic: NDArray[Any]) -> Scores:
    """Share of passes that vote against the most voted class, shape (T, N, C) to (N,)."""
    return 1.0 - vote_counts(stochastic).max(axis=-1) / len(stochastic)


@dataclass(frozen=True)
class _Stochastic(ScoreStrategy):
    """What the strategies of this module share. Labels have no influence."""

    needs: ClassVar[Need] = Need.STOCHASTIC
    reason: ClassVar[str] = "uncertain"


@register("bald")
@dataclass(frozen=True)
class Bald(_Stochastic):
    """Take what tells most about the parameters of the model: `bald`."""

    def score(self, pool: PoolView, rng: np.random.Generator) -> Scores:
        """Mutual information in nats, shape (N,)."""
        assert pool.stochastic is not None
        return bald(pool.stochastic)


@register("mean_std")
@dataclass(frozen=True)
class MeanStd(_Stochastic):
    """Take where the passes scatter most: `mean_std` (Kampffmeyer et al. 2016)."""

    def score(self, pool: PoolView, rng: np.random.Generator) -> Scores:
        """Mean standard deviation, shape (N,)."""
        assert pool.stochastic is not None
        return mean_std(pool.stochastic)


@register("var_ratio")
@dataclass(frozen=True)
class VarRatio(_Stochastic):
    """Take where fewest passes agree: `variation_ratio` (Freeman 1965).

    The name often stands for 1 less the greatest probability; that is ``least_confidence``.
    """

    def score(self, pool: PoolView, rng: np.random.Generator) -> Scores:
        """Share of dissenting votes, shape (N,)."""
        assert pool.stochastic is not None
        return variation_ratio(pool.stochastic)


@register("mc_uncertainty")
@register("mc_entropy", kind="entropy")
@register("mc_margin", kind="margin")
@register("mc_least_confidence", kind="least_confidence")
@dataclass(frozen=True)
class McUncertainty(_Stochastic):
    """Uncertainty of the mean over passes.

    Attributes
    ----------
    kind : {'margin', 'entropy', 'least_confidence'}
        As in `Uncertainty`.
    """

    kind: str = "margin"

    def __post_init__(self) -> None:
        checks.one_of("kind", self.kind, KINDS)

    def score(self, pool: PoolView, rng: np.random.Generator) -> Scores:
        """Uncertainty of each candidate, shape (N,)."""
        assert pool.stochastic is not None
        return KINDS[self.kind](mean(pool.stochastic))
