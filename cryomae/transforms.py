"""Changes of coordinates that undo a common mistake."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_TURNED = {  # what is wrong with coordinates that (swap, mirror x, mirror y) puts right
    (False, False, True): "mirrored top to bottom",
    (False, True, False): "mirrored left to right",
    (True, False, False): "exchanged, x for y",
    (False, True, True): "turned by half a turn",
    (True, False, True): "turned by a quarter turn",
    (True, True, False): "turned by a quarter turn the other way",
    (True, True, True): "mirrored on a diagonal",
}
SQUARES = ((False, False, False), *_TURNED)
"""All ways to lay a square on itself: (swap, mirror x, mirror y), the plain one first."""


@dataclass(frozen=True)
class Transform:
    """A change of coordinates: scale, exchange, mirror, shift, in this order.

    Attributes
    ----------
    scale : float
        Factor.
    swap, mirror_x, mirror_y : bool
        Exchange x and y; count x from the right; count y from the bottom.
    shift : tuple of float
        x and y in pixels, added.
    """

    scale: float = 1.0
    swap: bool = False
    mirror_x: bool = False
    mirror_y: bool = False
    shift: tuple[float, float] = (0.0, 0.0)

    def apply(self, xy: NDArray[np.float64], size: NDArray[np.float64]) -> NDArray[np.float64]:
        """Change points (n, 2); ``size`` is width and height of the micrograph, (2,) or (n, 2)."""
        out = xy * self.scale
        if self.swap:
            out = out[:, ::-1]
        mirror = np.array([self.mirror_x, self.mirror_y])
        return np.where(mirror, size - 1 - out, out) + self.shift

    @property
    def turns(self) -> bool:
        """Whether it exchanges or mirrors."""
        return self.swap or self.mirror_x or self.mirror_y

    @property
    def words(self) -> str:
        """What is wrong with coordinates that this change puts right.

        A shift beside a mirror only makes up for a size that is not quite known.
        """
        parts = []
        if self.scale != 1:
            word = "small" if self.scale > 1 else "large"
            parts.append(f"too {word} by a factor of {max(self.scale, 1 / self.scale):.4g}")
        if self.turns:
            parts.append(_TURNED[self.swap, self.mirror_x, self.mirror_y])
        elif any(self.shift):
            parts.append(f"shifted by {-self.shift[0]:+.0f} px in x and {-self.shift[1]:+.0f} in y")
        return " and ".join(parts)

    @property
    def formula(self) -> str:
        """The change written out."""
        names = ["x", "y"]
        if self.scale != 1:
            names = [f"{self.scale:.4g}·{n}" for n in names]
        if self.swap:
            names.reverse()
        ends = ("width", "height")
        mirror = (self.mirror_x, self.mirror_y)
        out = []
        for name, end, turn, shift in zip(names, ends, mirror, self.shift, strict=True):
            text = f"{end} - 1 - {name}" if turn else name
            out.append(text + (f" {'+' if shift > 0 else '-'} {abs(shift):.0f}" if shift else ""))
        return f"x' = {out[0]}, y' = {out[1]}"
