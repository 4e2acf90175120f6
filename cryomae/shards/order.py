"""The order in which training goes through shards: a function of seed and number only.

An epoch takes every micrograph `VISITS` times. It goes through the shards in a new order, so
many at a time that windows of some thousand micrographs are mixed: reads stay within a few
large files, which suits the disks of a cluster, and what lies there is read from disk once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cryomae.shards.store import PER_SHARD

VISITS = 8
"""Windows of a micrograph in an epoch: ours."""

TOGETHER = 2048 // PER_SHARD
"""Shards that are mixed: those of some 2,000 micrographs; ours."""


@dataclass(frozen=True)
class Place:
    """Where a window comes from.

    Attributes
    ----------
    epoch : int
    shard : int
        Number in the list of shards.
    micrograph : int
        Number in the shard.
    """

    epoch: int
    shard: int
    micrograph: int


class Order:
    """Micrograph of every window of an endless training.

    Two processes that are asked for different numbers never share a window, and nothing needs
    to be remembered to go on.

    Parameters
    ----------
    counts : sequence of int
        Micrographs of each shard.
    seed : int
    """

    def __init__(self, counts: Sequence[int], seed: int) -> None:
        self.counts, self.seed = np.asarray(counts, dtype=np.int64), seed
        self.epoch = VISITS * int(self.counts.sum())
        """Windows of an epoch."""
        self._shards = lru_cache(2)(self._shards_of)
        self._group = lru_cache(3)(self._group_of)

    def __reduce__(self) -> tuple[type[Order], tuple[list[int], int]]:
        """Rebuild what can be derived."""
        return Order, (self.counts.tolist(), self.seed)

    def __getitem__(self, index: int) -> Place:
        """Place of window ``index``; there is no last one."""
        epoch, within = divmod(index, self.epoch)
        ends = self._shards(epoch)[1]
        group = int(np.searchsorted(ends, within, side="right"))
        members, starts, order = self._group(epoch, group)
        place = int(order[within - (ends[group - 1] if group else 0)]) // VISITS
        which = int(np.searchsorted(starts, place, side="right")) - 1
        return Place(epoch, int(members[which]), place - int(starts[which]))

    def _shards_of(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Shards in their order, and where each group's windows end."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.counts))
        first = np.arange(0, len(order), TOGETHER)
        return order, np.cumsum(VISITS * np.add.reduceat(self.counts[order], first))

    def _group_of(
        self, epoch: int, group: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Shards of a group, number of the first micrograph of each, order of its windows."""
        members = self._shards(epoch)[0][group * TOGETHER : (group + 1) * TOGETHER]
        ends = np.cumsum(self.counts[members])
        rng = np.random.default_rng([self.seed, epoch, group])
        return members, ends - self.counts[members], rng.permutation(VISITS * int(ends[-1]))
