"""Micrographs ready to be shown, read ahead of whoever looks at them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from cryomae.active.crops import View, view
from cryomae.display import Picture, low_pass, raw, sample, shrink
from cryomae.napari.background import Background, in_words

if TYPE_CHECKING:
    from cryomae.micrograph import Micrograph

_KEPT = 24  # pictures: of a 4k micrograph each takes 10 to 20 MB
_RAW = 2  # and unfiltered ones, which are the size of the micrograph


@dataclass(frozen=True)
class Wanted:
    """A micrograph to be read.

    Attributes
    ----------
    key : hashable
        Says which one it is.
    name : str
        For people.
    read : callable
        Gives it.
    diameter : float or None
        Of the particle in Å, if crops are wanted as well.
    """

    key: Hashable
    name: str
    read: Callable[[], Micrograph]
    diameter: float | None = None


@dataclass(frozen=True, eq=False)
class Ready:
    """A micrograph that was read.

    Attributes
    ----------
    key : hashable
    base : Picture
        To be low-passed.
    crops : View or None
        To cut crops from.
    shape : tuple of int
        Of the file.
    pixel_size : float
        Å per pixel.
    """

    key: Hashable
    base: Picture
    crops: View | None
    shape: tuple[int, int]
    pixel_size: float


@dataclass(frozen=True, eq=False)
class Shown:
    """A picture to put on screen.

    Attributes
    ----------
    key : hashable
        Of the micrograph.
    picture : Picture
    ordered : ndarray
        Its `cryomae.display.sample`.
    """

    key: Hashable
    picture: Picture
    ordered: NDArray[np.float32]


class Images(QObject):
    """Reads what is wanted, in that order, in a thread of its own."""

    ready = Signal(object)  # Ready
    failed = Signal(object, str)  # key, and why

    def __init__(self) -> None:
        super().__init__()
        self._reader = Background("cryomae-read", self._unexpected, polite=True)
        self._filter = Background("cryomae-filter", self._unexpected, polite=True)
        self._wanted: list[Wanted] = []
        self._reading: Hashable = None
        self._kept: OrderedDict[Hashable, Ready] = OrderedDict()
        self._shown: OrderedDict[Hashable, Shown] = OrderedDict()
        self._raw: OrderedDict[Hashable, Shown] = OrderedDict()
        self._failed: dict[Hashable, str] = {}

    def get(self, key: Hashable) -> Ready | None:
        """A micrograph, if it was read."""
        return self._kept.get(key)

    def why_not(self, key: Hashable) -> str:
        """Why a micrograph cannot be read; empty if it can, or was not tried yet."""
        return self._failed.get(key, "")

    def want(self, wanted: Sequence[Wanted]) -> None:
        """Read these, the first one first; those that wait from earlier calls are given up."""
        self._wanted = list(wanted)
        self._next()

    def picture(self, key: Hashable, resolution: float | None) -> Shown | None:
        """A picture that was made by `make` before."""
        found = self._shown.get((key, resolution)) if resolution else self._raw.get(key)
        return found

    def make(self, wanted: Wanted, resolution: float | None, then: Callable[[Shown], None]) -> None:
        """Filter a micrograph that was read, or read it again to be shown unfiltered."""
        known = self.picture(wanted.key, resolution)
        if known is not None:
            then(known)
            return
        base = self._kept.get(wanted.key)

        def work() -> Shown:
            if resolution is None or base is None:
                micrograph = wanted.read()
                picture = raw(micrograph.pixels, micrograph.pixel_size)
            else:
                picture = low_pass(base.base, resolution)
            return Shown(wanted.key, picture, sample(picture.image))

        def done(shown: Shown) -> None:
            if resolution is None:
                _remember(self._raw, wanted.key, shown, _RAW)
            else:
                _remember(self._shown, (wanted.key, resolution), shown, _KEPT)
            then(shown)

        self._filter.run(work, done, lambda error: self._fail(wanted.key, error))

    def forget(self) -> None:
        """Drop everything, such as when another session is opened."""
        self._wanted = []
        for each in (self._kept, self._shown, self._raw):
            each.clear()
        self._failed.clear()

    def close(self) -> None:
        """End the threads."""
        self._reader.close()
        self._filter.close()

    def _next(self) -> None:
        if self._reading is not None:
            return
        left = (w for w in self._wanted if w.key not in self._kept and w.key not in self._failed)
        wanted = next(left, None)
        if wanted is None:
            return
        self._reading = wanted.key
        self._reader.run(
            lambda: _prepare(wanted), self._arrived, lambda error: self._lost(wanted.key, error)
        )

    def _arrived(self, ready: Ready) -> None:
        self._reading = None
        _remember(self._kept, ready.key, ready, _KEPT)
        self.ready.emit(ready)
        self._next()

    def _lost(self, key: Hashable, error: BaseException) -> None:
        self._reading = None
        self._failed[key] = in_words(error)
        self._fail(key, error)
        self._next()

    def _fail(self, key: Hashable, error: BaseException) -> None:
        self.failed.emit(key, in_words(error))

    def _unexpected(self, error: BaseException) -> None:
        self._fail(None, error)


def _prepare(wanted: Wanted) -> Ready:
    micrograph = wanted.read()
    crops = view(micrograph, wanted.diameter) if wanted.diameter else None
    base = shrink(micrograph.pixels, micrograph.pixel_size)
    return Ready(wanted.key, base, crops, micrograph.shape, micrograph.pixel_size)


def _remember(kept: OrderedDict[Any, Any], key: Hashable, what: Any, most: int) -> None:
    kept[key] = what
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)
