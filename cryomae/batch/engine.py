"""The three steps a batch is made of, so that each can be replaced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cryomae.micrograph import Micrograph, MicrographRef
from cryomae.picks import Picks
from cryomae.settings import PickSettings


class DetectorLike(Protocol):
    """What a batch needs to know about a detector."""

    @property
    def name(self) -> str:
        """Name of the model."""

    @property
    def sha256(self) -> str:
        """Hash of the weights."""

    @property
    def shown(self) -> bool:
        """Whether it was made from exemplars of the user's particle."""

    @property
    def device(self) -> Any:
        """Where it computes."""


class PickedLike(Protocol):
    """What a batch uses of the picks of one micrograph (see ``cryomae.pick.Picked``)."""

    @property
    def candidates(self) -> Picks:
        """Every candidate, best first."""

    @property
    def image(self) -> NDArray[np.float32]:
        """Working image, shape (h, w)."""

    @property
    def valid(self) -> NDArray[np.bool_]:
        """False where nothing is picked, shape (h, w)."""

    @property
    def spacing(self) -> tuple[float, float]:
        """Original pixels per working pixel, y and x."""

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of each stage."""


class ThresholdLike(Protocol):
    """A threshold and how it came about (see ``cryomae.pick.Threshold``)."""

    @property
    def value(self) -> float:
        """Score that a pick must reach."""

    @property
    def explanation(self) -> str:
        """One sentence for people."""


@dataclass(frozen=True)
class Engine:
    """How to read a micrograph, pick it, and choose the threshold of a data set.

    Attributes
    ----------
    read : callable
        ``read(ref, pixel_size) -> Micrograph``.
    pick : callable
        ``pick(micrograph, detector, settings) -> Picked``.
    choose_threshold : callable
        ``choose_threshold(scores_per_micrograph) -> Threshold``.
    """

    read: Callable[[MicrographRef, float | None], Micrograph]
    pick: Callable[[Micrograph, Any, PickSettings], PickedLike]
    choose_threshold: Callable[[Sequence[NDArray[Any]]], ThresholdLike]


def default_engine(shown: bool) -> Engine:
    """Reader, picker and threshold of cryomae itself, for a detector that is `shown` or not."""
    from cryomae.io import read_micrograph
    from cryomae.pick import choose_threshold, pick

    return Engine(read_micrograph, pick, partial(choose_threshold, shown=shown))
