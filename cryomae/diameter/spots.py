"""Dark spots of one size: how far they stand out, and what they look like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

_INNER, _OUTER = 0.26, 0.45  # diameters: the Gaussians whose difference finds spots
_SHARES = (0.003, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32)  # of the sites: ranks that are looked at
_GROUPS = ((0.004, 0.03), (0.03, 0.12))  # of the sites: best spots and good ones
_MOST = 400  # spots in a group: more cost time
_EDGE = 0.75  # diameters at the border without spots
_APART = 0.75  # diameters: side of the square in which a spot is the largest
_RINGS = 18  # of the profile, out to 1.5 diameters
_ANGLES = 16
_SMOOTH = 0.04  # diameters: before profiles are taken
_FAR = 8.0  # robust standard deviations


def describe_spots(
    flat: NDArray[np.float32], squared: NDArray[np.float32], noise: float, across: int
) -> NDArray[np.float32]:
    """Measures of a micrograph that is scaled to one diameter.

    Parameters
    ----------
    flat : ndarray, shape (h, w)
        Micrograph with protein bright, background 0 and noise of unit strength.
    squared : ndarray, shape (h, w // 2 + 1)
        Square of the spatial frequency in cycles per diameter.
    noise : float
        What was divided out to get unit strength.
    across : int
        Pixels in a diameter.

    Returns
    -------
    ndarray, shape (n,)
        Heights of dark and of bright spots at some ranks; spread, skewness, kurtosis and
        strength of the filtered image; for each group of spots the mean profile, its
        excess over noise, the strength of what varies round and its twofold symmetry;
        the autocorrelation; strengths; the number of sites.
    """
    shape = flat.shape
    spectrum = fft.rfft2(flat)
    spots_filter = blur(squared, _INNER) - blur(squared, _OUTER)
    found = fft.irfft2(spectrum * spots_filter, s=shape)
    spread = robust_spread(found)
    power = np.abs(spectrum) ** 2
    rings = _Rings(shape, across)
    # Noise alone has this profile where the filtered image is 1: a Gaussian field's mean there.
    expected = rings.mean(fft.irfft2(power * spots_filter, s=shape)) / flat.size
    variance = float((found**2).mean())
    smooth = fft.irfft2(spectrum * blur(squared, _SMOOTH), s=shape).astype(np.float32)
    correlation = rings.mean(fft.irfft2(power * blur(squared, 2 * _SMOOTH) ** 2, s=shape))
    edge = int(_EDGE * across)
    inner = smooth[edge:-edge, edge:-edge]
    sites = inner.size / across**2

    spots = _peaks(found, edge, across)
    parts = [
        _heights(spots[2], sites) / spread,
        _heights(_peaks(-found, edge, across)[2], sites) / spread,
    ]
    parts.append(_moments(found / spread))
    for first, last in _GROUPS:
        start = int(first * sites)
        stop = min(max(int(last * sites), start + 3), start + _MOST)
        group: list[NDArray[Any]] = [column[start:stop] for column in spots]
        if len(group[0]) < 2:
            group = [column[:2] for column in spots]
        parts += _profiles(smooth, group, expected / variance, float((inner**2).mean()), across)
    parts.append(correlation / correlation[0])
    parts.append(np.log([spread, spread * noise, np.sqrt(variance) * noise, sites]))
    return np.concatenate(parts).astype(np.float32)


class _Rings:
    """Means over rings round the first pixel of a periodic image."""

    def __init__(self, shape: tuple[int, ...], across: int) -> None:
        # A little over 1.5 diameters on either side of zero, or all of a small image.
        reach = [min(2 * across, n // 2) for n in shape]
        distance = np.hypot(*np.ogrid[: reach[0], : reach[1]])
        self._corner = np.s_[: reach[0], : reach[1]]
        self._ring = np.minimum((distance / across * 12).astype(int), _RINGS).ravel()
        self._count = np.maximum(np.bincount(self._ring, minlength=_RINGS + 1)[:_RINGS], 1)

    def mean(self, image: NDArray[np.floating]) -> NDArray[np.float64]:
        """Mean over each ring, shape (_RINGS,)."""
        total = np.bincount(self._ring, image[self._corner].ravel(), _RINGS + 1)
        return np.asarray(total[:_RINGS] / self._count, dtype=np.float64)


def _peaks(
    image: NDArray[np.floating], edge: int, across: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Row, column and height of local maxima away from the border, highest first."""
    largest = ndimage.maximum_filter(image, size=round(_APART * across), mode="nearest")
    inner = np.s_[edge:-edge, edge:-edge]
    rows, columns = np.nonzero((image == largest)[inner])
    rows, columns = rows + edge, columns + edge
    heights = image[rows, columns].astype(np.float64)
    order = np.argsort(-heights, kind="stable")
    return rows[order], columns[order], heights[order]


def _heights(heights: NDArray[np.float64], sites: float) -> NDArray[np.float64]:
    """Height at each rank of `_SHARES`; a site is a square of one diameter."""
    if not len(heights):
        return np.zeros(len(_SHARES))
    ranks = np.clip(np.array(_SHARES) * sites - 0.5, 0, len(heights) - 1)
    return np.interp(ranks, np.arange(len(heights)), heights)


def _moments(image: NDArray[np.floating]) -> NDArray[np.float64]:
    """Standard deviation, skewness and kurtosis, the latter two without the far tails."""
    cut = np.clip(image, -_FAR, _FAR)
    squares = max(float((cut**2).mean()), 1e-6)
    third, fourth = float((cut**3).mean()), float((cut**4).mean())
    return np.array([float(image.std()), third / squares**1.5, fourth / squares**2])


def _profiles(
    image: NDArray[np.float32],
    group: Sequence[NDArray[Any]],
    expected: NDArray[np.float64],
    background: float,
    across: int,
) -> list[NDArray[np.float64]]:
    """Profiles of a group of spots, each of length `_RINGS`.

    Parameters
    ----------
    image : ndarray, shape (h, w)
    group : list of ndarray
        Rows, columns and heights.
    expected : ndarray, shape (_RINGS,)
        Profile that noise alone has at a height of 1.
    background : float
        Mean square of the image.
    across : int
        Pixels in a diameter.
    """
    rows, columns, heights = group
    if not len(rows):
        return [np.zeros(_RINGS)] * 4
    radius = (np.arange(_RINGS)[:, None] + 0.5) / 12 * across
    angle = np.linspace(0, 2 * np.pi, _ANGLES, endpoint=False)
    y = rows[:, None, None] + radius * np.sin(angle)
    x = columns[:, None, None] + radius * np.cos(angle)
    values = ndimage.map_coordinates(image, [y, x], order=1, mode="nearest")
    profile = values.mean(axis=(0, 2))
    rest = values - profile[:, None]
    varying = (rest**2).mean(axis=(0, 2)) / background
    twofold = (rest * np.roll(rest, _ANGLES // 2, axis=2)).mean(axis=(0, 2)) / background
    excess = profile - expected * heights.mean()
    return [profile, excess, np.log(varying + 1e-3), twofold]


def blur(squared: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Transfer function of a Gaussian.

    Parameters
    ----------
    squared : ndarray
        Square of the spatial frequency in cycles per diameter.
    sigma : float
        Standard deviation in diameters.
    """
    return np.asarray(np.exp(-2 * np.pi**2 * sigma**2 * squared), dtype=np.float32)


def robust_spread(values: NDArray[np.floating]) -> float:
    """Standard deviation from the median absolute deviation, of a sample of large arrays."""
    some = values.ravel()[:: max(1, values.size // 200_000)]
    return float(1.4826 * np.median(np.abs(some - np.median(some)))) + 1e-9
