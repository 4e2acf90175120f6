"""Guards: limits on a batch that hold inside the greedy loop, so that batches stay full.

A guard is a frozen description; `Guard.start` makes the `Mask` of one selection. Filtering a
finished batch instead would leave it short.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cryomae.sampler import checks
from cryomae.sampler.errors import SamplerError
from cryomae.sampler.pool import Need, PoolView


class Mask(Protocol):
    """Which candidates of a pool may still be taken, during one selection."""

    def allowed(self) -> NDArray[np.bool_]:
        """Whether each candidate may be taken, shape (N,); not to be written to."""

    def take(self, index: int) -> None:
        """Take a candidate; what that forbids is not allowed from now on."""


class Guard(Protocol):
    """A limit on what one batch may hold."""

    def start(self, pool: PoolView) -> Mask:
        """The mask at the beginning of a selection."""


@dataclass(frozen=True)
class Exclude:
    """Leave out candidates by id, such as those shown already or skipped."""

    ids: Collection[Any]

    def start(self, pool: PoolView) -> Mask:
        """Mask without the excluded ids."""
        return _Fixed(
            ~checks.among(pool.ids, checks.ids_array("excluded ids", list(set(self.ids))))
        )


@dataclass(frozen=True)
class MinDistance:
    """Keep picks of one group at least ``distance`` apart, and from what is labelled there.

    Attributes
    ----------
    distance : float
        In the unit of `PoolView.xy`. Without groups all positions lie in one plane.
    """

    distance: float

    def __post_init__(self) -> None:
        checks.above("distance", self.distance)

    def start(self, pool: PoolView) -> Mask:
        """Mask without what lies too near to labelled positions."""
        pool.require(Need.XY, "MinDistance")
        return _Apart(pool, self.distance)


@dataclass(frozen=True)
class MaxPerGroup:
    """Take at most ``count`` candidates of one group into a batch."""

    count: int

    def __post_init__(self) -> None:
        checks.whole("count", self.count)

    def start(self, pool: PoolView) -> Mask:
        """Mask that allows everything until a group is full."""
        pool.require(Need.GROUP, "MaxPerGroup")
        return _Counted(pool, self.count)


def start_guards(guards: Sequence[Guard], pool: PoolView) -> Mask:
    """One mask for all guards, which also allows every candidate only once."""
    return _Joint(pool, [guard.start(pool) for guard in guards])


def only(mask: Mask, rows: NDArray[np.intp]) -> Mask:
    """The same mask narrowed to some rows; taking from it takes from the wider one."""
    return _Narrow(mask, rows)


class _Fixed:
    """A mask that never changes."""

    def __init__(self, free: NDArray[np.bool_]) -> None:
        self._free = free

    def allowed(self) -> NDArray[np.bool_]:
        return self._free

    def take(self, index: int) -> None:
        pass


class _Apart:
    """Mask of `MinDistance`."""

    def __init__(self, pool: PoolView, distance: float) -> None:
        self._xy = np.asarray(pool.xy, dtype=np.float64)
        self._group = _codes(pool)
        self._distance = distance
        self._free = np.ones(len(pool), dtype=np.bool_)
        labelled = pool.labelled
        if labelled is None or not len(labelled) or labelled.xy is None:
            return
        if pool.group is not None and labelled.group is None:
            raise SamplerError("MinDistance needs the groups of what is labelled")
        group = np.zeros(len(pool)) if pool.group is None else pool.group
        theirs = np.zeros(len(labelled)) if labelled.group is None else labelled.group
        for name in np.unique(theirs):
            rows = np.flatnonzero(group == name)
            if len(rows):
                nearest, _ = cKDTree(labelled.xy[theirs == name]).query(self._xy[rows])
                self._free[rows[nearest < distance]] = False

    def allowed(self) -> NDArray[np.bool_]:
        return self._free

    def take(self, index: int) -> None:
        rows = np.flatnonzero(self._group == self._group[index])
        gap = np.hypot(*(self._xy[rows] - self._xy[index]).T)
        self._free[rows[gap < self._distance]] = False


class _Counted:
    """Mask of `MaxPerGroup`."""

    def __init__(self, pool: PoolView, count: int) -> None:
        self._group = _codes(pool)
        self._left = np.full(int(self._group.max()) + 1, count)
        self._free = np.ones(len(pool), dtype=np.bool_)

    def allowed(self) -> NDArray[np.bool_]:
        return self._free

    def take(self, index: int) -> None:
        group = self._group[index]
        self._left[group] -= 1
        if not self._left[group]:
            self._free[self._group == group] = False


class _Joint:
    """Several masks at once; a candidate that was taken is not allowed again."""

    def __init__(self, pool: PoolView, masks: Sequence[Mask]) -> None:
        self._masks = masks
        self._free = np.ones(len(pool), dtype=np.bool_)
        for mask in masks:
            self._free &= mask.allowed()

    def allowed(self) -> NDArray[np.bool_]:
        return self._free

    def take(self, index: int) -> None:
        self._free[index] = False
        for mask in self._masks:
            mask.take(index)
            self._free &= mask.allowed()


class _Narrow:
    """Mask of `only`."""

    def __init__(self, mask: Mask, rows: NDArray[np.intp]) -> None:
        self._mask = mask
        self._inside = np.zeros(len(mask.allowed()), dtype=np.bool_)
        self._inside[rows] = True

    def allowed(self) -> NDArray[np.bool_]:
        return self._mask.allowed() & self._inside

    def take(self, index: int) -> None:
        self._mask.take(index)


def _codes(pool: PoolView) -> NDArray[np.intp]:
    """Groups as numbers from 0 on, shape (N,)."""
    if pool.group is None:
        return np.zeros(len(pool), dtype=np.intp)
    codes: NDArray[np.intp] = np.unique(pool.group, return_inverse=True)[1]
    return codes
