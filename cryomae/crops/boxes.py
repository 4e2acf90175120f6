"""Boxes as RELION's Extract cuts them: place, window, scale, normalise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cryomae.prepare import fourier_resample

_BACKGROUND = 0.375
"""Radius of the circle in box sides: RELION's default circle is 75 % of the box wide."""


@dataclass(frozen=True)
class Placed:
    """Where the boxes of one micrograph lie.

    Attributes
    ----------
    centres : ndarray, int64, shape (n, 2)
        x and y of the pixel at index ``size // 2`` of each box.
    over_edge : ndarray, bool, shape (n,)
        Boxes that reach over the micrograph's edge.
    moved : ndarray, bool, shape (n,)
        Boxes that lay wholly outside; their centres are clipped into the micrograph.
    """

    centres: NDArray[np.int64]
    over_edge: NDArray[np.bool_]
    moved: NDArray[np.bool_]


def place(xy: NDArray[np.float64], shape: tuple[int, int], size: int) -> Placed:
    """Place boxes as RELION does, which truncates coordinates.

    A box wholly outside would stop RELION's Extract: such centres are clipped into the
    micrograph, as `cryomae.formats.star.write_picks` does.

    Parameters
    ----------
    xy : ndarray, shape (n, 2)
        x and y in pixels.
    shape : tuple of int
        Rows and columns (ny, nx) of the micrograph.
    size : int
        Side of a box in pixels.
    """
    centres = np.trunc(np.asarray(xy, dtype=np.float64)).astype(np.int64)
    sides = np.array(shape[::-1])
    first = centres - size // 2
    moved = ((first >= sides) | (first + size <= 0)).any(axis=1)
    centres[moved] = np.clip(centres[moved], 0, sides - 1)
    first = centres - size // 2
    over_edge = ((first < 0) | (first + size > sides)).any(axis=1)
    return Placed(centres, np.asarray(over_edge), np.asarray(moved))


def cut(pixels: NDArray[np.float32], centres: NDArray[np.int64], size: int) -> NDArray[np.float32]:
    """Cut boxes; beyond the edge the micrograph's outermost pixels are repeated.

    Parameters
    ----------
    pixels : ndarray, float32, shape (ny, nx)
    centres : ndarray of int, shape (n, 2)
        x and y of the pixel that comes to index ``size // 2``.
    size : int

    Returns
    -------
    ndarray, float32, shape (n, size, size)
    """
    offsets = np.arange(size) - size // 2
    columns = np.clip(centres[:, :1] + offsets, 0, pixels.shape[1] - 1)
    rows = np.clip(centres[:, 1:] + offsets, 0, pixels.shape[0] - 1)
    boxes: NDArray[np.float32] = pixels[rows[:, :, None], columns[:, None, :]]
    return boxes


def scale(boxes: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Fourier-crop boxes (n, s, s) to a smaller even side; the centre stays the centre."""
    if boxes.shape[1] == size:
        return boxes
    small = [fourier_resample(box, (size, size)) for box in boxes]
    return np.stack(small) if small else np.zeros((0, size, size), np.float32)


def outside_circle(size: int) -> NDArray[np.bool_]:
    """Pixels of a box that count as background, shape (size, size)."""
    offsets = np.arange(size) - size // 2
    radius = int(_BACKGROUND * size)
    return offsets[:, None] ** 2 + offsets**2 > radius**2


def normalise(boxes: NDArray[np.float32], *, invert: bool = True) -> NDArray[np.float32]:
    """Set the background to mean 0 and standard deviation 1, as RELION does.

    A plane through the pixels outside a circle of 75 % of the box is taken away first.

    Parameters
    ----------
    boxes : ndarray, float32, shape (n, s, s)
    invert : bool
        Change the sign, so that dark particles become white.

    Returns
    -------
    ndarray, float32, shape (n, s, s)
        Boxes whose background is constant keep its mean at 0 and are not scaled.
    """
    count, size, _ = boxes.shape
    background = outside_circle(size)
    offsets = (np.arange(size, dtype=np.float64) - size // 2) / size
    plane = np.stack(
        [np.ones((size, size)), *np.broadcast_arrays(offsets[:, None], offsets[None])], axis=-1
    )
    # Offsets of tens of thousands of counts would cost a float32 its digits.
    centred = boxes - boxes.mean(axis=(1, 2), dtype=np.float64, keepdims=True)
    fit = np.linalg.pinv(plane[background]) @ centred[:, background].T
    flat = centred - (plane.reshape(-1, 3) @ fit).T.reshape(count, size, size)
    outer = flat[:, background]
    deviation = outer.std(axis=1)
    # What is left of a constant background is rounding: it must not be blown up.
    tiny = deviation <= 1e-6 * np.maximum(np.abs(boxes).max(axis=(1, 2), initial=0), 1e-30)
    sign = -1.0 if invert else 1.0
    factor = sign / np.where(tiny, 1.0, deviation)
    out: NDArray[np.float32] = (flat * factor[:, None, None]).astype(np.float32)
    return out
