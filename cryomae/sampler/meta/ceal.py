"""CEAL: labels that the model gives itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryomae.sampler import checks
from cryomae.sampler.guards import Mask
from cryomae.sampler.pool import Need, PoolView
from cryomae.sampler.registry import create_strategy, register
from cryomae.sampler.scores.uncertainty import entropy
from cryomae.sampler.selection import Picked, Selection
from cryomae.sampler.strategy import Strategy


def pseudo_labels(
    proba: NDArray[Any], threshold: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows whose entropy is below a threshold in nats, and their likeliest classes."""
    rows = np.flatnonzero(entropy(proba) < threshold)
    return rows, proba[rows].argmax(axis=1)


@register("ceal")
@dataclass(frozen=True)
class Ceal(Strategy):
    """Another strategy, and labels by the model itself where it is sure (Wang et al. 2017).

    `select` is the other strategy's. After the answers, fit the model to what is labelled
    and to what `pseudo_labels` gives; these hold for that one fit and are given anew in the
    next round. The threshold falls with the rounds, as the model grows more sure.

    Attributes
    ----------
    base : str or Strategy
        The other strategy.
    threshold : float
        Entropy in nats below which the model is taken to be right, in round 0. The default
        is the paper's; it suits deep networks and labels nothing with more modest models.
    decay : float
        By which it falls each round.
    """

    base: str | Strategy = "entropy"
    threshold: float = 5e-5
    decay: float = 3.3e-7

    def __post_init__(self) -> None:
        checks.within("threshold", self.threshold, 0)
        checks.within("decay", self.decay, 0)
        self.strategy()

    def strategy(self) -> Strategy:
        """The other strategy, made where only a name was given."""
        return create_strategy(self.base) if isinstance(self.base, str) else self.base

    def required(self) -> Need:
        """What the other strategy reads, and probabilities."""
        return self.strategy().required() | Need.PROBA

    def pick(self, pool: PoolView, k: int, rng: np.random.Generator, mask: Mask) -> Picked:
        """What the other strategy chooses."""
        return self.strategy().pick(pool, k, rng, mask)

    def pseudo_labels(
        self, pool: PoolView, selection: Selection, done: int
    ) -> tuple[NDArray[Any], NDArray[np.intp]]:
        """Ids the model is sure of and that are not being asked, and their classes.

        Parameters
        ----------
        pool : PoolView
            That the selection was made from.
        selection : Selection
        done : int
            Rounds before this one.
        """
        pool.require(Need.PROBA, self.name)
        assert pool.proba is not None
        rows, y = pseudo_labels(pool.proba, max(0.0, self.threshold - self.decay * done))
        free = ~np.isin(rows, selection.index)
        return pool.ids[rows[free]], y[free]
