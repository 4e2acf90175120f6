"""ALBL: a bandit that learns which strategy to follow."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax

from cryomae.sampler import checks
from cryomae.sampler.errors import SamplerError
from cryomae.sampler.guards import Mask
from cryomae.sampler.pool import Labelled, Need, PoolView
from cryomae.sampler.registry import create_strategy, register
from cryomae.sampler.selection import Picked, Selection
from cryomae.sampler.strategy import Strategy

DELTA = 0.1
"""Chance with which the bandit's bound may fail, as in the paper's code."""


@dataclass(frozen=True)
class AlblState:
    """What the bandit remembers: plain values, to be kept with a session.

    Attributes
    ----------
    log_weights : tuple of float
        Of each candidate strategy; empty before the first reward.
    asked : tuple
        Ids asked so far, in order.
    inverse : tuple of float
        One over the probability that each was asked with.
    """

    log_weights: tuple[float, ...] = ()
    asked: tuple[Any, ...] = ()
    inverse: tuple[float, ...] = ()


@register("albl")
@dataclass(frozen=True)
class Albl(Strategy):
    """Learn by rewards which of several strategies to follow (Hsu and Lin 2015).

    Exp4.P (Beygelzimer et al. 2011): each candidate strategy advises its best row; one is
    drawn with probability q, the sum over strategies that advise it of

        p_k = (1 - K·p_min)·w_k / Σw + p_min,    p_min = √(ln K / (K·T)).

    Scores are q, reasons the strategies that advised. After the answers are there and the
    model is fitted anew, call `observe`, which returns the strategy for the next round: the
    reward r is the accuracy on all that was asked so far, weighted by 1/q, and

        w_k ← w_k · exp[p_min/2 · (r·[k advised]/q + 1/p_k · √(ln(K/δ) / (K·T)))].

    Differences to the paper: the weighted accuracy is divided by the sum of the weights, not
    by the size of the pool, so that it stays from 0 to 1 as Exp4.P expects; 1/p_k bounds the
    variance term, and is it where no two strategies advise the same row; in a batch the rows
    are drawn one after the other from the candidates' batches, and rewarded together.

    Attributes
    ----------
    candidates : tuple of (str or Strategy)
        At least two.
    horizon : int
        Rows expected to be asked in all, T.
    state : AlblState
    """

    candidates: tuple[str | Strategy, ...] = ("uncertainty", "kcenter", "random")
    horizon: int = 100
    state: AlblState = field(default_factory=AlblState)

    deterministic: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if len(self.candidates) < 2:
            raise SamplerError("albl needs at least two candidate strategies")
        self.strategies()
        if len(set(self.labels())) < len(self.candidates):
            raise SamplerError("albl has a candidate strategy twice")
        checks.whole("horizon", self.horizon)

    def strategies(self) -> list[Strategy]:
        """The candidates, made where only a name was given."""
        return [create_strategy(s) if isinstance(s, str) else s for s in self.candidates]

    def labels(self) -> list[str]:
        """What each candidate is called in reasons."""
        return [s if isinstance(s, str) else s.name for s in self.candidates]

    def required(self) -> Need:
        """What any of the candidates reads."""
        needs = Need.NONE
        for strategy in self.strategies():
            needs |= strategy.required()
        return needs

    def shares(self) -> NDArray[np.float64]:
        """Probability of following each candidate, shape (K,); at least p_min each."""
        count = len(self.candidates)
        least = self._least()
        logs = np.array(self.state.log_weights or [0.0] * count)
        return (1 - count * least) * softmax(logs) + least

    def _least(self) -> float:
        """The least probability, p_min; not more than all can have."""
        count = len(self.candidates)
        return min(1 / count, math.sqrt(math.log(count) / (count * self.horizon)))

    def pick(self, pool: PoolView, k: int, rng: np.random.Generator, mask: Mask) -> Picked:
        """Draw rows among those that the candidates advise."""
        # Each candidate plans a whole batch on its own copy of the limits.
        plans = [s.pick(pool, k, rng, copy.deepcopy(mask)).index for s in self.strategies()]
        labels, shares = self.labels(), self.shares()
        picked = Picked.of([], [], "")
        while len(picked.index) < k and mask.allowed().any():
            free = mask.allowed()
            advice = [next((int(i) for i in plan if free[i]), -1) for plan in plans]
            share = np.where(np.array(advice) >= 0, shares, 0.0)
            if not share.any():  # guards forbid all that was planned: anything that is left
                row, chance, reason = int(rng.choice(np.flatnonzero(free))), 1.0, "fill"
            else:
                share = share / share.sum()
                row = advice[int(rng.choice(len(share), p=share))]
                agree = [i for i, a in enumerate(advice) if a == row]
                chance, reason = float(share[agree].sum()), "+".join(labels[i] for i in agree)
            mask.take(row)
            picked += Picked.of([row], [chance], reason)
        return picked

    def observe(self, selection: Selection, labelled: Labelled, predicted: ArrayLike) -> Albl:
        """The strategy for the next round.

        Parameters
        ----------
        selection : Selection
            What `select` gave.
        labelled : Labelled
            All that is labelled, the answers to this selection too; what was skipped is not
            in it and earns nothing.
        predicted : array_like of int, shape (L,)
            What the model, fitted anew, says of these.

        Raises
        ------
        SamplerError
            When there is not one prediction for each label.
        """
        said = np.asarray(predicted)
        if said.shape != labelled.y.shape:
            raise SamplerError(f"{said.shape} predictions for {len(labelled)} labels")
        asked = (*self.state.asked, *selection.ids.tolist())
        inverse = (*self.state.inverse, *(1 / selection.score).tolist())
        right = dict(zip(labelled.ids.tolist(), (said == labelled.y).tolist(), strict=True))
        known = [(w, right[i]) for i, w in zip(asked, inverse, strict=True) if i in right]
        reward = sum(w * r for w, r in known) / sum(w for w, _ in known) if known else 0.0
        count, least, shares = len(self.candidates), self._least(), self.shares()
        bonus = math.sqrt(math.log(count / DELTA) / (count * self.horizon))
        gain = len(selection) * bonus / shares
        for reason, chance, i in zip(
            selection.reason, selection.score, selection.ids.tolist(), strict=True
        ):
            if i in right:
                names = reason.split("+")
                gain += np.array([reward / chance if n in names else 0.0 for n in self.labels()])
        logs = np.array(self.state.log_weights or [0.0] * count) + least / 2 * gain
        logs -= logs.max()  # only differences count; this keeps them small
        return replace(self, state=AlblState(tuple(logs.tolist()), asked, inverse))
