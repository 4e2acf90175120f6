"""Chance and certainty: the strategies that others are measured against."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cryomae.sampler import checks
from cryomae.sampler.errors import SamplerError
from cryomae.sampler.pool import Need, PoolView
from cryomae.sampler.registry import register
from cryomae.sampler.scores.uncertainty import TINY, Uncertainty
from cryomae.sampler.strategy import ScoreStrategy


@register("random")
@dataclass(frozen=True)
class Random(ScoreStrategy):
    """Take candidates at random, all equally likely. Labels have no influence."""

    deterministic: ClassVar[bool] = False
    reason: ClassVar[str] = "random"

    def score(self, pool: PoolView, rng: np.random.Generator) -> NDArray[np.float64]:
        """Random numbers from 0 to 1, shape (N,)."""
        return rng.random(len(pool))


@register("top_score")
@dataclass(frozen=True)
class TopScore(ScoreStrategy):
    """Take what is most likely of one class (certainty sampling), for rare positives.

    Labels have no influence.

    Attributes
    ----------
    target : int
        The class looked for.
    """

    target: int = 1

    needs: ClassVar[Need] = Need.PROBA
    reason: ClassVar[str] = "top"

    def __post_init__(self) -> None:
        checks.whole("target", self.target, 0)

    def score(self, pool: PoolView, rng: np.random.Generator) -> NDArray[np.float64]:
        """Probability of the class, shape (N,)."""
        assert pool.proba is not None
        if self.target >= pool.proba.shape[1]:
            raise SamplerError(
                f"target is {self.target}, but proba has {pool.proba.shape[1]} classes"
            )
        return np.asarray(pool.proba[:, self.target], dtype=np.float64)


@register("power")
@dataclass(frozen=True)
class Power(ScoreStrategy):
    """Draw without replacement in proportion to a power of a score.

    Adds Gumbel noise to ``beta * log(score)`` and takes the highest (Kirsch et al. 2021,
    Stochastic Batch Acquisition, "PowerBALD"). Scores below 1e-12 count as 1e-12, so that
    all zeros give a uniform draw.

    Attributes
    ----------
    scorer : ScoreStrategy
        Whose scores; they are taken to be zero or more.
    beta : float
        0 is chance; large values approach the scorer's own order.
    """

    scorer: ScoreStrategy = field(default_factory=Uncertainty)
    beta: float = 1.0

    deterministic: ClassVar[bool] = False

    def __post_init__(self) -> None:
        checks.within("beta", self.beta, 0)

    def required(self) -> Need:
        """What the scorer reads."""
        return self.scorer.required()

    def score(self, pool: PoolView, rng: np.random.Generator) -> NDArray[np.float64]:
        """Noisy logarithms of the scores, shape (N,)."""
        logs = np.log(np.maximum(self.scorer.score(pool, rng), TINY))
        return self.beta * logs + rng.gumbel(size=len(pool))
