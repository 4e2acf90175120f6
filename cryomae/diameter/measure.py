"""What a micrograph shows at each of many diameters, in units of that diameter.

For every diameter D of `DIAMETERS` the micrograph is scaled until D is `ACROSS` pixels, its
background taken away, and dark spots of that size are looked for. How far they stand out,
and what they look like out to 1.5 D, is compared with what noise of the same power spectrum
would show. Nothing here knows which D is right; see ``cryomae.diameter.head``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from cryomae.diameter.spots import blur, describe_spots, robust_spread
from cryomae.errors import MicrographError
from cryomae.prepare import empty_border, fourier_resample, moments

Measurement = NDArray[np.float32]
"""Measures at each of `DIAMETERS`, shape (n_diameters, n_measures); NaN where there are none."""

DIAMETERS: NDArray[np.float64] = 40.0 * np.exp2(0.2 * np.arange(24, dtype=np.float64))
"""Diameters in Å that are compared, 15 % apart: 40 to 970."""

ACROSS = 12
"""Pixels of a diameter at its own scale."""

_WIDEST = 48  # diameters along a side that are looked at; more cost time and tell little
_NARROWEST = 5  # diameters along a side below which there is too little background
_FEWEST = 6  # pixels of the file in a diameter
_SPIKE = 8.0  # standard deviations beyond which a raw pixel is an X-ray hit or a dead pixel
_STRONGEST = 4.0  # robust standard deviations at which a pixel is cut off, gold and ice above all
_BACKGROUND = 1.2  # standard deviation in diameters of the Gaussian that is the background


def measure(pixels: NDArray[np.float32], pixel_size: float) -> Measurement:
    """Measure one micrograph at all diameters.

    Parameters
    ----------
    pixels : ndarray, shape (ny, nx)
        Micrograph as stored, protein darker than ice.
    pixel_size : float
        Å per pixel.

    Returns
    -------
    ndarray, float32, shape (n_diameters, n_measures)

    Raises
    ------
    MicrographError
        If it is too small for every diameter.
    """
    image = _inside(pixels)
    spacing = pixel_size
    rows: dict[int, NDArray[np.float32]] = {}
    for number, diameter in enumerate(DIAMETERS):
        if diameter < _FEWEST * pixel_size:
            continue
        while diameter / ACROSS > 1.96 * spacing and min(image.shape) > 64:
            image, spacing = _halve(image), 2 * spacing
        if min(image.shape) * spacing < _NARROWEST * diameter:
            break
        rows[number] = _measure_one(image, spacing / diameter)
    if not rows:
        ny, nx = pixels.shape
        raise MicrographError(
            f"is too small to estimate a diameter from ({nx} × {ny} pixels of {pixel_size:g} Å)",
            "check --pixel-size, or give --diameter in Å",
        )
    out = np.full((len(DIAMETERS), len(next(iter(rows.values())))), np.nan, dtype=np.float32)
    out[list(rows)] = list(rows.values())
    return out


def _inside(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Without its border and without spikes, of mean about 0 and unit strength."""
    top, bottom, left, right = empty_border(pixels)
    ny, nx = pixels.shape
    image = pixels[top : ny - bottom, left : nx - right]
    mean, std = moments(image)
    return np.asarray(np.clip((image - mean) / (std + 1e-20), -_SPIKE, _SPIKE), dtype=np.float32)


def _halve(image: NDArray[np.float32]) -> NDArray[np.float32]:
    ny, nx = (n // 4 * 4 for n in image.shape)
    return fourier_resample(image[:ny, :nx], (ny // 2, nx // 2))


def _measure_one(image: NDArray[np.float32], spacing: float) -> NDArray[np.float32]:
    """Measure at one diameter.

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
    spacing : float
        Diameters per pixel of the image.
    """
    ny, nx = (min(n, round(_WIDEST / spacing)) for n in image.shape)
    y, x = (image.shape[0] - ny) // 2, (image.shape[1] - nx) // 2
    h, w = (2 * round(n * spacing * ACROSS / 2) for n in (ny, nx))
    scaled = fourier_resample(image[y : y + ny, x : x + nx], (h, w))
    spectrum = fft.rfft2(scaled)
    rows, columns = fft.fftfreq(h)[:, None], fft.rfftfreq(w)[None]
    squared = ((rows**2 + columns**2) * ACROSS**2).astype(np.float32)  # cycles per diameter
    flat = -fft.irfft2(spectrum * (1 - blur(squared, _BACKGROUND)), s=(h, w))
    noise = robust_spread(flat)
    flat = np.clip(flat / noise, -_STRONGEST, _STRONGEST).astype(np.float32)
    return describe_spots(flat, squared, noise, ACROSS)
