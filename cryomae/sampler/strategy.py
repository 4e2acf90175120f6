"""Strategies: how a scorer and a selector make a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from cryomae.sampler import checks
from cryomae.sampler.checks import frozen
from cryomae.sampler.errors import SamplerError
from cryomae.sampler.guards import Guard, Mask, only, start_guards
from cryomae.sampler.pool import Need, PoolView
from cryomae.sampler.selection import Picked, Selection


class Scorer(Protocol):
    """Gives every candidate a score; higher is more worth labelling."""

    def required(self) -> Need:
        """What it reads."""

    def score(self, pool: PoolView, rng: np.random.Generator) -> NDArray[np.float64]:
        """Scores, shape (N,)."""


class Selector(Protocol):
    """Chooses a batch, given scores."""

    def required(self) -> Need:
        """What it reads."""

    def take(
        self,
        pool: PoolView,
        score: NDArray[np.float64],
        k: int,
        rng: np.random.Generator,
        mask: Mask,
    ) -> Picked:
        """Choose up to ``k`` rows that the mask allows, telling the mask of each."""


@dataclass(frozen=True)
class Strategy(ABC):
    """A way to choose what to label next.

    A subclass is a frozen dataclass of validated parameters that implements `pick`; `select`
    does the checks that all share. The pool that `pick` sees is sorted by id, so the first
    of equal rows is the one of the lowest id, and a random draw does not depend on the order
    in which candidates were passed.

    Attributes
    ----------
    name : str
        Name in the registry.
    needs : Need
        What the class reads.
    deterministic : bool
        Whether the generator has no influence.
    """

    name: ClassVar[str] = ""
    needs: ClassVar[Need] = Need.NONE
    deterministic: ClassVar[bool] = True

    def required(self) -> Need:
        """What this strategy with its parameters reads."""
        return self.needs

    def select(
        self,
        pool: PoolView,
        k: int,
        rng: np.random.Generator,
        guards: Sequence[Guard] = (),
    ) -> Selection:
        """Choose what to label next.

        Parameters
        ----------
        pool : PoolView
        k : int
            Size of the batch; if fewer are allowed there are fewer, and `Selection.short`
            says why.
        rng : numpy.random.Generator
            The only source of randomness.
        guards : sequence of Guard
            Limits that hold within the batch.

        Raises
        ------
        MissingNeed
            If the pool lacks what the strategy or a guard reads.
        SamplerError
            If ``k`` is below 1 or the strategy cannot work on this pool.
        """
        checks.whole("k", k)
        if not isinstance(rng, np.random.Generator):
            raise SamplerError("rng must be a numpy.random.Generator: np.random.default_rng(seed)")
        pool.require(self.required(), self.name or type(self).__name__)
        ordered, order = pool.in_id_order()
        mask = start_guards(guards, ordered)
        free = int(mask.allowed().sum())
        picked = Picked.of([], [], "")
        if free:
            picked = self.pick(ordered, min(int(k), free), rng, mask)
        index = order[picked.index]
        return Selection(
            ids=frozen(pool.ids[index]),
            index=frozen(index),
            score=frozen(picked.score),
            reason=picked.reason,
            strategy=self.name or type(self).__name__,
            params=MappingProxyType({f.name: getattr(self, f.name) for f in fields(self)}),
            short=_short(int(k), len(index), free, len(pool)),
        )

    @abstractmethod
    def pick(self, pool: PoolView, k: int, rng: np.random.Generator, mask: Mask) -> Picked:
        """Choose ``k`` rows of a pool sorted by id, of which the mask allows at least one.

        Fewer only if the mask allows no more; every row that is chosen is told to the mask
        before the next one is.
        """


@dataclass(frozen=True)
class ScoreStrategy(Strategy):
    """A strategy that takes the highest scores; also a `Scorer` for `compose`."""

    reason: ClassVar[str] = "score"

    @abstractmethod
    def score(self, pool: PoolView, rng: np.random.Generator) -> NDArray[np.float64]:
        """Scores, shape (N,); higher is more worth labelling."""

    def pick(self, pool: PoolView, k: int, rng: np.random.Generator, mask: Mask) -> Picked:
        """Rows of the highest scores; the lower id first where scores are equal."""
        return top(self.score(pool, rng), k, mask, self.reason)


@dataclass(frozen=True)
class BatchStrategy(Strategy):
    """A strategy that looks at the batch as a whole; also a `Selector` that ignores scores."""

    def take(
        self,
        pool: PoolView,
        score: NDArray[np.float64],
        k: int,
        rng: np.random.Generator,
        mask: Mask,
    ) -> Picked:
        """What `pick` chooses."""
        return self.pick(pool, k, rng, mask)


@dataclass(frozen=True)
class Composed(Strategy):
    """A scorer and a selector; made by `compose`."""

    scorer: Scorer
    selector: Selector
    prefilter: int | None = None

    name: ClassVar[str] = "composed"

    def __post_init__(self) -> None:
        if self.prefilter is not None:
            checks.whole("prefilter", self.prefilter)

    def required(self) -> Need:
        """What the scorer and the selector read."""
        return self.scorer.required() | self.selector.required()

    def pick(self, pool: PoolView, k: int, rng: np.random.Generator, mask: Mask) -> Picked:
        """What the selector chooses, filled up by score if the guards empty the prefilter."""
        score = self.scorer.score(pool, rng)
        inner = mask
        if self.prefilter is not None:
            inner = only(mask, best_rows(score, mask.allowed(), self.prefilter * k))
        picked = self.selector.take(pool, score, k, rng, inner)
        return fill(picked, score, k, mask)


def compose(scorer: Scorer, selector: Selector, prefilter: int | None = None) -> Composed:
    """Strategy of a scorer and a selector.

    Parameters
    ----------
    scorer : Scorer
        Such as ``Uncertainty("margin")``.
    selector : Selector
        Such as ``KCenter()``.
    prefilter : int, optional
        Let the selector see only the ``prefilter * k`` candidates of the highest scores.
    """
    return Composed(scorer, selector, prefilter)


def top(score: NDArray[np.float64], k: int, mask: Mask, reason: str) -> Picked:
    """Allowed rows of the highest scores, the lower row first where scores are equal."""
    chosen: list[int] = []
    for row in np.argsort(-score, kind="stable"):
        if len(chosen) == k:
            break
        if mask.allowed()[row]:
            mask.take(int(row))
            chosen.append(int(row))
    return Picked.of(chosen, score[chosen], reason)


def fill(picked: Picked, score: NDArray[np.float64], k: int, mask: Mask) -> Picked:
    """Fill a batch up to ``k`` rows with the highest scores that are still allowed."""
    if len(picked.index) >= k or not mask.allowed().any():
        return picked
    return picked + top(score, k - len(picked.index), mask, "fill")


def best_rows(
    score: NDArray[np.float64], allowed: NDArray[np.bool_], count: int
) -> NDArray[np.intp]:
    """The ``count`` allowed rows of the highest scores, in the order of the pool."""
    rows = np.flatnonzero(allowed)
    best = rows[np.argsort(-score[rows], kind="stable")[:count]]
    return np.sort(best)


def _short(k: int, found: int, free: int, size: int) -> str:
    """Why a batch has fewer than ``k`` picks, empty if it has not."""
    if found == k:
        return ""
    if found == size:
        return f"{k} asked for, but the pool holds {size}"
    if not free:
        return f"{k} asked for, but the guards allow none of {size}"
    return f"{k} asked for, but the guards allow no more than {found} of {size}"
