"""How much each place of a micrograph looks like something of a particle's size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cryomae.prepare import empty_border, fourier_resample, moments

LADDER = (60.0, 85.0, 120.0, 170.0, 240.0, 340.0, 480.0)
"""Sizes in Å that are looked at where the particle's diameter is not known."""

_AROUND = (0.5, 0.7, 1.0)  # of the known diameter: particles' cores stand out most
_PARTS = (1 / 64, 1 / 45, 1 / 32, 1 / 22, 1 / 16, 1 / 11)  # of the side, where no Å are known
_ACROSS = 12  # pixels in the size looked at: enough for its outline
_LEAST = 5.0  # pixels of the file in the smallest size that can be looked at
_INNER, _OUTER = 0.26, 0.45  # of the size: the Gaussians whose difference finds spots
_FINE, _NEAR, _WIDE = 0.2, 0.3, 0.6  # the same for grain: what is grain, and its Gaussians
_LOCAL = 1.5  # of the size: Gaussian over which strength is evened out
_CLIP = 3.5  # gold and ice must not outweigh a hundred particles
_SPIKE = 8.0  # standard deviations beyond which a pixel is an X-ray hit or a dead pixel


@dataclass(frozen=True)
class Contrast:
    """Spots and grain of one size.

    Attributes
    ----------
    maps : ndarray, float32, shape (h, w, 2)
        Height of spots (dark is negative) and strength of grain against what is around;
        of mean 0, of about unit strength everywhere, and 0 in an empty border.
    spacing : tuple of float
        Pixels of the file in one pixel of the maps, along y and x.
    size : float
        Size looked at, in pixels of the maps.
    """

    maps: NDArray[np.float32]
    spacing: tuple[float, float]
    size: float


def sizes_to_look_at(
    shape: tuple[int, int], pixel_size: float | None, diameter: float | None
) -> list[float]:
    """Sizes in pixels of the file, smallest first.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.
    pixel_size : float or None
        Å per pixel.
    diameter : float or None
        Of the particle in Å.
    """
    if pixel_size is None:
        sizes = [part * max(shape) for part in _PARTS]
    elif diameter is None:
        sizes = [size / pixel_size for size in LADDER]
    else:
        sizes = [part * diameter / pixel_size for part in _AROUND]
    usable = [size for size in sizes if _LEAST <= size <= min(shape) / 6]
    return usable or [float(np.clip(sizes[-1], _LEAST, max(min(shape) / 6, _LEAST)))]


def contrast(image: NDArray[np.float32], sizes: Sequence[float]) -> list[Contrast]:
    """Maps of spots and grain.

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
        Micrograph.
    sizes : sequence of float
        In pixels, smallest first.

    Returns
    -------
    list of Contrast
        One for each size.
    """
    ny, nx = image.shape
    top, bottom, left, right = empty_border(image)
    inside = image[top : ny - bottom, left : nx - right]
    mean, std = moments(inside)
    smaller = np.clip(image, mean - _SPIKE * std, mean + _SPIKE * std) - np.float32(mean)
    found = []
    for size in sizes:  # each from the last, which is already smaller
        smaller = _shrunk(smaller, (ny, nx), size)
        h, w = smaller.shape
        spacing = (ny / h, nx / w)
        weight = np.zeros((h, w), dtype=np.float32)
        weight[
            int(np.ceil(top / spacing[0])) : h - int(np.ceil(bottom / spacing[0])),
            int(np.ceil(left / spacing[1])) : w - int(np.ceil(right / spacing[1])),
        ] = 1
        across = size / float(np.sqrt(spacing[0] * spacing[1]))
        found.append(Contrast(_maps(smaller, weight, across), spacing, across))
    return found


def _shrunk(image: NDArray[np.float32], shape: tuple[int, int], size: float) -> NDArray[np.float32]:
    """Shrink until ``size`` pixels of an image of ``shape`` are `_ACROSS`; never enlarge."""
    ny, nx = (max(2, 2 * int(n * min(1.0, _ACROSS / size) / 2)) for n in shape)
    return image if (ny, nx) == image.shape else fourier_resample(image, (ny, nx))


def _maps(
    image: NDArray[np.float32], weight: NDArray[np.float32], across: float
) -> NDArray[np.float32]:
    def blur(values: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
        """Gaussian average over valid pixels only; sigma in sizes."""

        def plain(a: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.asarray(
                ndimage.gaussian_filter(a, sigma * across, mode="constant", truncate=3)
            )

        smooth = plain(values * weight) / np.maximum(plain(weight), np.float32(1e-3))
        return np.asarray(smooth, dtype=np.float32)

    grain = (image - blur(image, _FINE)) ** 2
    layers = []
    for layer in (
        blur(image, _INNER) - blur(image, _OUTER),
        blur(grain, _NEAR) - blur(grain, _WIDE),
    ):
        strength = np.sqrt(blur(layer**2, _LOCAL))
        even = np.clip(layer / np.maximum(strength, 1e-20), -_CLIP, _CLIP)
        even -= (even * weight).sum(dtype=np.float64) / max(weight.sum(dtype=np.float64), 1)
        layers.append(even * weight)
    return np.stack(layers, axis=-1)
