"""Where to put the threshold, how good the picks then are, and when to stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryomae.active.pool import KINDS, Pool
from cryomae.pick.threshold import choose_threshold
from cryomae.train.head import Head

SETTLED = 0.02
"""Share of picks that change from one training to the next when no more is to be learnt."""

CAUTION = 0.25
"""How far the threshold is drawn from the best promised F1 to 0.5, on the scale of logits: many
places of low score promise more together than they hold."""

WIDER = 2.0
"""Times the width that the posterior has by itself, for the intervals. By itself it knows only
of noise, and not of what a linear head cannot follow: intervals of 95 % then held in 82 % of the
trainings of ``scripts/benchmark_active.py`` on configs/active.yaml."""

_HEADS = 200  # drawn for the intervals
_SOME = 30_000  # candidates that stand for all in the intervals
_LEVEL = (2.5, 97.5)  # percentiles: intervals of 95 %


@dataclass(frozen=True)
class Estimate:
    """A threshold and what is expected of the picks at it.

    Precision and recall are those of the candidates: particles that no candidate lies on
    are not counted. Intervals are of 95 %; how often they held is in the README.

    Attributes
    ----------
    threshold : float
        Score that a pick must reach.
    picks : int
        Candidates that reach it, or were confirmed.
    precision, recall, f1 : float
        Expected, 0 to 1.
    precision_low, precision_high, recall_low, recall_high, f1_low, f1_high : float
    """

    threshold: float
    picks: int
    precision: float
    precision_low: float
    precision_high: float
    recall: float
    recall_low: float
    recall_high: float
    f1: float
    f1_low: float
    f1_high: float


def choose_operating_point(
    pool: Pool,
    head: Head,
    rows: NDArray[np.intp],
    y: NDArray[np.integer],
    rng: np.random.Generator,
) -> Estimate:
    """Choose the threshold and estimate precision and recall.

    Without answers it is the automatic threshold of ``cryomae pick``, which knows peaks only; the
    grid between them would be taken for background of its own. With answers the scores
    are calibrated to this data set, and it is near where the F1 that they promise is highest,
    see `CAUTION`.

    Parameters
    ----------
    pool : Pool
    head : Head
    rows, y : ndarray of int, shape (a,)
        Candidates that were answered, and 1 for a particle, 0 for none.
    rng : Generator
        Draws heads and, of large pools, candidates.
    """
    chance = head.probability(pool)
    known = np.full(len(pool), -1)
    known[rows] = y
    if head.answered and len(pool):
        promised = best_promised(chance, np.where(known >= 0, known, chance))
        threshold = _towards_half(promised, CAUTION)
    else:
        threshold = choose_threshold([chance[pool.kind == KINDS.index("peak")]]).value
    threshold = float(np.clip(threshold, 0.01, 0.99))
    picked = np.where(known >= 0, known == 1, chance >= threshold)
    worth = np.where(known >= 0, known, chance)
    values = _quality(worth[picked].sum(), picked.sum(), worth.sum())
    some = np.arange(len(pool))
    if len(some) > _SOME:
        some = np.sort(rng.choice(some, _SOME, replace=False))
    drawn = head.draw(pool, _HEADS, rng, some, WIDER)
    answered = known[some] >= 0
    drawn[:, answered] = known[some][answered]
    true = rng.random(drawn.shape) < drawn
    draws = _quality(true[:, picked[some]].sum(axis=1), picked[some].sum(), true.sum(axis=1))
    limits: dict[str, float] = {}
    for name, value in values.items():
        low, high = np.percentile(draws[name], _LEVEL)
        limits[f"{name}_low"] = float(min(low, value))
        limits[f"{name}_high"] = float(max(high, value))
    figures = {name: float(value) for name, value in values.items()}
    return Estimate(threshold=threshold, picks=int(picked.sum()), **figures, **limits)


def _quality(found: Any, picks: Any, every: Any) -> dict[str, Any]:
    """Precision, recall and F1 of picks of which ``found`` are right; numbers or arrays."""
    return {
        "precision": found / np.maximum(picks, 1),
        "recall": found / np.maximum(every, 1),
        "f1": 2 * found / np.maximum(picks + every, 1),
    }


def best_promised(score: NDArray[np.float64], worth: NDArray[np.float64]) -> float:
    """Score at which F1 is highest if each candidate is a particle with chance ``worth``."""
    order = np.argsort(-score, kind="stable")
    found = np.cumsum(worth[order])
    f1 = 2 * found / (np.arange(1, len(score) + 1) + found[-1])
    return float(score[order][f1.argmax()])


def _towards_half(threshold: float, share: float) -> float:
    odds = max(threshold, 1e-9) / max(1 - threshold, 1e-9)
    return float(1 / (1 + odds ** (share - 1)))


def should_stop(changed: Sequence[float], answered: int) -> str:
    """A sentence if more answers would hardly change the picks, else nothing.

    Parameters
    ----------
    changed : sequence of float
        Share of the picks that differed after each training from those before it.
    answered : int
        Answers so far.
    """
    if answered < 20 or len(changed) < 2 or max(changed[-2:]) > SETTLED:
        return ""
    return (
        f"The last two trainings changed less than {100 * SETTLED:.0f} % of the picks: more "
        "answers would change little."
    )
