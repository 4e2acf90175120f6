"""What to ask next: a pool of a session in the words of `cryomae.sampler`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cryomae.active.pool import Pool
from cryomae.active.settings import DEFAULT_STRATEGY
from cryomae.sampler import (
    Labelled,
    MaxPerGroup,
    MinDistance,
    Need,
    PoolView,
    create_strategy,
)
from cryomae.sampler.guards import Guard, Mask
from cryomae.train.head import Head

APART = 0.6
"""Diameters between two places of a batch, and from what is answered."""

_MOST = 20_000  # candidates that a strategy sees
_PASSES = 10  # heads drawn, for strategies that look at how these differ
_BINS = 3  # of defocus


@dataclass(frozen=True)
class Choice:
    """A place to ask about.

    Attributes
    ----------
    candidate : int
        Row of the pool.
    strategy : str
        Name of the strategy of the batch.
    reason : str
        Why this place, in a word or two.
    score : float
        What it was worth to the strategy, in the strategy's own unit.
    """

    candidate: int
    strategy: str
    reason: str
    score: float


def propose(
    pool: Pool,
    head: Head,
    rows: NDArray[np.intp],
    y: NDArray[np.integer],
    count: int,
    *,
    strategy: str = DEFAULT_STRATEGY,
    taken: Collection[int] = (),
    rng: np.random.Generator,
) -> list[Choice]:
    """Choose places to ask about, the most useful first.

    They keep `APART` from each other and from what is answered, and are spread over
    micrographs (a fifth of a batch each, if there are as many) and, where it is known, over
    defocus (two thirds of a batch in any third of the micrographs).

    Parameters
    ----------
    pool : Pool
    head : Head
    rows, y : ndarray of int, shape (a,)
        Candidates that were answered, and 1 for a particle, 0 for none.
    count : int
        How many are wanted.
    strategy : str
        Name of a strategy of `cryomae.sampler`.
    taken : collection of int
        Candidates that must not be proposed.
    rng : Generator

    Returns
    -------
    list of Choice
        Fewer than ``count`` where no more are left.

    Raises
    ------
    SamplerError
        If there is no such strategy, or it cannot work with so few answers.
    """
    chosen = create_strategy(strategy)
    free = np.ones(len(pool), bool)
    free[rows] = False
    free[np.fromiter(taken, np.intp, len(taken))] = False
    open_rows = np.flatnonzero(free)
    if not len(open_rows) or count < 1:
        return []
    chance = head.probability(pool, open_rows)
    some = _promising(chance, rng)
    view = _view(pool, head, open_rows[some], chance[some], rows, y, chosen.required())
    guards = _guards(pool, open_rows[some], count)
    picked = chosen.select(view, count, rng, guards)
    return [
        Choice(int(i), strategy, reason, float(score))
        for i, reason, score in zip(picked.ids, picked.reason, picked.score, strict=True)
    ]


def _promising(chance: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.intp]:
    """Rows that a strategy gets to see, at most `_MOST`.

    A quarter are the likeliest, half the most doubtful, and a quarter are drawn at random.
    """
    if len(chance) <= _MOST:
        return np.arange(len(chance))
    best = np.argpartition(-chance, _MOST // 4)[: _MOST // 4]
    doubt = np.argpartition(np.abs(chance - 0.5), _MOST // 2)[: _MOST // 2]
    drawn = rng.choice(len(chance), _MOST // 4, replace=False)
    return np.unique(np.concatenate([best, doubt, drawn]))


def _view(
    pool: Pool,
    head: Head,
    seen: NDArray[np.intp],
    chance: NDArray[np.float64],
    rows: NDArray[np.intp],
    y: NDArray[np.integer],
    needs: Need,
) -> PoolView:
    """What a strategy reads of candidates, made only as far as it needs it."""
    embed = model = stochastic = perturb = shown = typical = None
    if needs & (Need.EMBED | Need.FEATURES):
        embed, shown = (head.features(pool, part)[:, 2:] for part in (seen, rows))
    if needs & Need.ID_SCORE:  # nearness to the middle of all candidates
        typical = -(head.features(pool, seen)[:, 2:] ** 2).sum(axis=1)
    if needs & Need.STOCHASTIC:
        drawn = head.draw(pool, _PASSES, np.random.default_rng(0), seen)
        stochastic = np.stack([1 - drawn, drawn], axis=-1)
    if needs & Need.PERTURB:
        features = head.features(pool, seen)

        def perturb(seed: int, scale: float) -> NDArray[np.float64]:
            noise = np.random.default_rng(seed).normal(size=len(head.mean))
            noise *= scale * np.linalg.norm(head.mean) / np.linalg.norm(noise)
            moved = 1 / (1 + np.exp(-np.clip(features @ (head.mean + noise), -50, 50)))
            return np.stack([1 - moved, moved], axis=1)

    if needs & Need.MODEL:
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(class_weight="balanced", max_iter=500)
    angstrom = pool.angstrom()
    labelled = Labelled(
        ids=rows,
        y=np.asarray(y, np.intp),
        embed=shown,
        features=shown,
        xy=angstrom[rows],
        group=pool.micrograph[rows],
    )
    return PoolView(
        ids=seen,
        proba=np.stack([1 - chance, chance], axis=1),
        stochastic=stochastic,
        embed=embed,
        features=embed,
        id_score=typical,
        xy=angstrom[seen],
        group=pool.micrograph[seen],
        labelled=labelled,
        perturb=perturb,
        model=model,
    )


def _guards(pool: Pool, seen: NDArray[np.intp], count: int) -> list[Guard]:
    groups = len(np.unique(pool.micrograph[seen]))
    guards: list[Guard] = [
        MinDistance(APART * pool.diameter),
        MaxPerGroup(-(-count // min(5, groups))),
    ]
    defocus = pool.defocus[pool.micrograph]
    known = np.isfinite(pool.defocus)
    if known.sum() >= _BINS:
        edges = np.quantile(pool.defocus[known], np.arange(1, _BINS) / _BINS)
        bins = np.where(np.isfinite(defocus), np.searchsorted(edges, defocus), _BINS)
        guards.append(_MaxPerBin(bins.astype(np.intp), -(-2 * count // _BINS)))
    return guards


@dataclass(frozen=True, eq=False)
class _MaxPerBin:
    """Take at most ``count`` candidates of one bin; ``bins`` holds that of every id."""

    bins: NDArray[np.intp]
    count: int

    def start(self, pool: PoolView) -> Mask:
        return _Binned(self.bins[pool.ids], self.count)


class _Binned:
    """Mask of `_MaxPerBin`."""

    def __init__(self, bins: NDArray[np.intp], count: int) -> None:
        self._bins, self._left = bins, np.full(int(bins.max()) + 1, count)
        self._free = np.ones(len(bins), bool)

    def allowed(self) -> NDArray[np.bool_]:
        return self._free

    def take(self, index: int) -> None:
        own = self._bins[index]
        self._left[own] -= 1
        if not self._left[own]:
            self._free[self._bins == own] = False
