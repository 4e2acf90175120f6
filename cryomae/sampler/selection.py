"""What a strategy hands back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class Picked:
    """Rows that a strategy chose, in order.

    Attributes
    ----------
    index : ndarray, intp, shape (m,)
    score : ndarray, float64, shape (m,)
        Worth of each at the moment it was chosen.
    reason : tuple of str, length m
        Why each was chosen, in one word or two.
    """

    index: NDArray[np.intp]
    score: NDArray[np.float64]
    reason: tuple[str, ...]

    @classmethod
    def of(cls, index: ArrayLike, score: ArrayLike, reason: str) -> Picked:
        """Rows that were all chosen for the same reason."""
        rows = np.asarray(index, dtype=np.intp).reshape(-1)
        worth = np.asarray(score, dtype=np.float64).reshape(-1)
        return cls(rows, worth, (reason,) * len(rows))

    def __add__(self, other: Picked) -> Picked:
        """These rows, then those of another."""
        return Picked(
            np.concatenate([self.index, other.index]),
            np.concatenate([self.score, other.score]),
            (*self.reason, *other.reason),
        )


@dataclass(frozen=True, eq=False)
class Selection:
    """A batch to label, best first, nothing twice.

    Attributes
    ----------
    ids : ndarray, shape (m,)
    index : ndarray, intp, shape (m,)
        Rows of the pool that was passed.
    score : ndarray, float64, shape (m,)
        Worth of each when it was chosen; what it measures is the strategy's to say.
    reason : tuple of str, length m
        Why each was chosen, such as ``uncertain`` or ``diverse``.
    strategy : str
    params : Mapping
        Parameters of the strategy.
    short : str
        Why there are fewer than asked for, else empty.
    """

    ids: NDArray[Any]
    index: NDArray[np.intp]
    score: NDArray[np.float64]
    reason: tuple[str, ...]
    strategy: str
    params: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    short: str = ""

    def __len__(self) -> int:
        return len(self.ids)
