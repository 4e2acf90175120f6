"""Uncertainty of class probabilities (Settles 2009, Active Learning Literature Survey, §3.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cryomae.sampler import checks
from cryomae.sampler.pool import Need, PoolView
from cryomae.sampler.registry import register
from cryomae.sampler.strategy import ScoreStrategy

Scores = NDArray[np.float64]

TINY = 1e-12
"""Least probability inside a logarithm."""


def entropy(proba: NDArray[Any]) -> Scores:
    """Entropy in nats along the last axis, shape (..., C) to (...); 0 if one class is certain."""
    p = np.asarray(proba, dtype=np.float64)
    # + 0.0 turns the -0.0 of a certain class into 0.0.
    return -np.einsum("...c,...c->...", p, np.log(np.clip(p, TINY, 1.0))) + 0.0


def least_confidence(proba: NDArray[Any]) -> Scores:
    """1 less the greatest probability, shape (N, C) to (N,)."""
    return 1.0 - np.asarray(proba.max(axis=-1), dtype=np.float64)


def margin(proba: NDArray[Any]) -> Scores:
    """1 less the gap between the two greatest probabilities, shape (N, C) to (N,).

    With one class there is no second and the score is 0.
    """
    p = np.asarray(proba, dtype=np.float64)
    if p.shape[-1] == 1:
        return np.zeros(p.shape[:-1])
    two = np.partition(p, -2, axis=-1)[..., -2:]
    return 1.0 - (two[..., 1] - two[..., 0])


KINDS: dict[str, Callable[[NDArray[Any]], Scores]] = {
    "entropy": entropy,
    "margin": margin,
    "least_confidence": least_confidence,
}


@register("uncertainty")
@register("entropy", kind="entropy")
@register("margin", kind="margin")
@register("least_confidence", kind="least_confidence")
@dataclass(frozen=True)
class Uncertainty(ScoreStrategy):
    """Take what the model is least sure of.

    With two classes the three kinds rank candidates alike (all fall with ``|p - 1/2|``).
    Labels have no influence.

    Attributes
    ----------
    kind : {'margin', 'entropy', 'least_confidence'}
    """

    kind: str = "margin"

    needs: ClassVar[Need] = Need.PROBA
    reason: ClassVar[str] = "uncertain"

    def __post_init__(self) -> None:
        checks.one_of("kind", self.kind, KINDS)

    def score(self, pool: PoolView, rng: np.random.Generator) -> Scores:
        """Uncertainty of each candidate, shape (N,)."""
        assert pool.proba is not None
        return KINDS[self.kind](pool.proba)
