"""Shares of several strategies in one batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cryomae.sampler import checks
from cryomae.sampler.errors import SamplerError
from cryomae.sampler.guards import Mask
from cryomae.sampler.pool import Need, PoolView
from cryomae.sampler.registry import create_strategy, register
from cryomae.sampler.selection import Picked
from cryomae.sampler.strategy import Strategy


@register("mix")
@dataclass(frozen=True)
class Mix(Strategy):
    """Give each of several strategies a share of the batch.

    They choose one after the other under the same guards, and none takes what another has.
    The batch is ordered so that any beginning of it holds about the same shares. Scores are
    those of the strategies and cannot be compared; reasons tell them apart.

    Attributes
    ----------
    parts : tuple of (str or Strategy, float)
        Strategies and their shares, which need not add up to 1. A batch too small for a
        share gives its places to the largest remainders.
    """

    parts: tuple[tuple[str | Strategy, float], ...] = (
        ("top_score", 0.5),
        ("uncertainty", 0.4),
        ("random", 0.1),
    )

    deterministic: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not self.parts:
            raise SamplerError("mix needs at least one strategy")
        for _, share in self.parts:
            checks.above("share", share)

    def strategies(self) -> list[Strategy]:
        """The strategies, made where only a name was given."""
        return [create_strategy(s) if isinstance(s, str) else s for s, _ in self.parts]

    def required(self) -> Need:
        """What any of the strategies reads."""
        needs = Need.NONE
        for strategy in self.strategies():
            needs |= strategy.required()
        return needs

    def counts(self, k: int) -> list[int]:
        """Places of each strategy in a batch of ``k``, by largest remainders."""
        shares = np.array([share for _, share in self.parts])
        exact = shares / shares.sum() * k
        places = np.floor(exact).astype(int)
        # Rounded, so that the noise of a division does not decide between equal remainders.
        best = np.argsort(-np.round(exact - places, 9), kind="stable")
        places[best[: k - int(places.sum())]] += 1
        return [int(n) for n in places]

    def pick(self, pool: PoolView, k: int, rng: np.random.Generator, mask: Mask) -> Picked:
        """What each strategy chooses, interleaved."""
        picked = Picked.of([], [], "")
        place: list[float] = []
        for strategy, count in zip(self.strategies(), self.counts(k), strict=True):
            if not count or not mask.allowed().any():
                continue
            part = strategy.pick(pool, count, rng, mask)
            picked += part
            place += [(i + 0.5) / count for i in range(len(part.index))]
        order = np.argsort(place, kind="stable")
        reasons = tuple(picked.reason[i] for i in order)
        return Picked(picked.index[order], picked.score[order], reasons)
