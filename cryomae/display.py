"""Micrographs as people look at them: low-pass filtered, with greys chosen by percentiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from cryomae.prepare import fourier_resample, moments

FINEST = 8.0
"""Finest low-pass, in Å, that a picture of `shrink` can be filtered to."""

_PIXELS = 3.0  # pixels to the resolution of a filtered picture: a third more than Nyquist asks for
_EDGE = 0.15  # width of the filter's soft edge, as a share of the cut-off
_SPIKE = 8.0  # standard deviations beyond which a raw pixel is an X-ray hit or a dead pixel
_SAMPLE = 250_000  # pixels that stand for all in the percentiles


@dataclass(frozen=True, eq=False)
class Picture:
    """An image, and where its pixels lie in the file.

    Attributes
    ----------
    image : ndarray, float32 or uint16, shape (h, w)
    spacing : tuple of float
        Pixels of the file in one pixel of the image, along y and x. Pixel 0 of one is centred
        on pixel 0 of the other.
    pixel_size : float
        Å per pixel of the file.
    """

    image: NDArray[np.float32] | NDArray[np.uint16]
    spacing: tuple[float, float]
    pixel_size: float


def raw(pixels: NDArray[np.float32], pixel_size: float) -> Picture:
    """Every pixel, in 65,536 greys, which are on screen in half the time of float32."""
    clean = _without_spikes(pixels)
    low, high = float(clean.min()), float(clean.max())
    greys = (clean - np.float32(low)) * np.float32(65535 / max(high - low, 1e-12))
    return Picture(greys.astype(np.uint16), (1.0, 1.0), pixel_size)


def shrink(pixels: NDArray[np.float32], pixel_size: float) -> Picture:
    """A smaller picture that still holds everything coarser than `FINEST`.

    Parameters
    ----------
    pixels : ndarray, float32, shape (ny, nx)
    pixel_size : float
        Å per pixel.
    """
    return _scaled(_without_spikes(pixels), (1.0, 1.0), pixel_size, FINEST)


def low_pass(picture: Picture, resolution: float) -> Picture:
    """Take away everything finer than a resolution; the result is no larger than need be.

    Parameters
    ----------
    picture : Picture
        Of `shrink`.
    resolution : float
        Å.
    """
    small = _scaled(
        picture.image.astype(np.float32, copy=False),
        picture.spacing,
        picture.pixel_size,
        resolution,
    )
    h, w = small.image.shape
    step = [s * picture.pixel_size for s in small.spacing]
    ky, kx = fft.fftfreq(h, step[0])[:, None], fft.rfftfreq(w, step[1])[None]
    along = np.hypot(ky, kx).astype(np.float32) * resolution
    keep = 0.5 * (1 + np.cos(np.pi * np.clip((along - 1 + _EDGE) / (2 * _EDGE), 0, 1)))
    image = fft.irfft2(fft.rfft2(small.image) * keep, s=(h, w))
    return Picture(image.astype(np.float32, copy=False), small.spacing, picture.pixel_size)


def sample(image: NDArray[Any]) -> NDArray[Any]:
    """Pixels that stand for all, sorted, so that percentiles of them cost nothing."""
    step = max(1, int(np.sqrt(image.size / _SAMPLE)))
    return np.sort(image[::step, ::step], axis=None)


def limits(ordered: NDArray[Any], low: float, high: float) -> tuple[float, float]:
    """Values of the darkest and the brightest grey.

    Parameters
    ----------
    ordered : ndarray
        Of `sample`.
    low, high : float
        Percentiles, 0 to 100.
    """
    last = len(ordered) - 1
    bottom, top = (float(ordered[round(p / 100 * last)]) for p in (low, high))
    return bottom, max(top, bottom + 1e-6 * (abs(bottom) + 1e-6))


def _without_spikes(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    mean, std = moments(pixels)
    return np.clip(pixels, mean - _SPIKE * std, mean + _SPIKE * std)


def _scaled(
    image: NDArray[np.float32], spacing: tuple[float, float], pixel_size: float, resolution: float
) -> Picture:
    """Crop the Fourier transform until `_PIXELS` pixels are left to the resolution."""
    ny, nx = image.shape
    shape = tuple(
        max(2, 2 * round(n * s * pixel_size * _PIXELS / resolution / 2))
        for n, s in zip((ny, nx), spacing, strict=True)
    )
    if shape[0] >= ny or shape[1] >= nx:
        return Picture(image, spacing, pixel_size)
    small = fourier_resample(image, (shape[0], shape[1]))
    wider = (spacing[0] * ny / shape[0], spacing[1] * nx / shape[1])
    return Picture(small, wider, pixel_size)
