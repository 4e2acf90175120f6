"""The working image: a micrograph scaled so that a particle is always the same size.

The micrograph is Fourier-cropped (or padded) until the particle's diameter is
`WORKING_DIAMETER` pixels, its background is taken away and its noise set to unit
strength, so that a model never sees a physical scale. Regions that hold no usable
signal are marked and set to zero. `WorkingImage` carries the exact map back to the
pixels of the file.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from cryomae.errors import MicrographError

WORKING_DIAMETER = 32
"""Particle diameter in pixels of the working image. The one place that says so."""

CLIP = 6.0
"""Largest magnitude kept in the working image, in units of the noise."""

_POOL = 8  # background and noise vary slowly: they are measured on blocks of this many pixels
_SPIKE = 8.0  # standard deviations beyond which a raw pixel is an X-ray hit or a dead pixel
_OBJECT = 6.0  # robust standard deviations beyond which a large object is not the specimen
_ROWS = 256  # of a micrograph, that are worked on at a time
_MAX_ENLARGE = 3.0  # beyond this the file cannot resolve the particle


@dataclass(frozen=True)
class WorkingImage:
    """A micrograph as the model sees it.

    Attributes
    ----------
    image : ndarray, float32, shape (h, w)
        Background near 0, noise of unit strength, protein dark; 0 where not valid.
    valid : ndarray, bool, shape (h, w)
        False at streaked or empty borders and on carbon or large contaminants.
    spacing : tuple of float
        Pixels of the file in one working pixel, along y and x. Position 0 is the
        centre of the first pixel in both, so ``x_file = x_working * spacing[1]``.
    """

    image: NDArray[np.float32]
    valid: NDArray[np.bool_]
    spacing: tuple[float, float]

    def to_file(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map points (n, 2), x then y, from working pixels to pixels of the file."""
        return np.asarray(xy, dtype=np.float64) * self.spacing[::-1]


def working_shape(shape: tuple[int, int], pixel_size: float, diameter: float) -> tuple[int, int]:
    """Even shape (h, w) in which a particle measures `WORKING_DIAMETER` pixels.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the file.
    pixel_size, diameter : float
        Å per pixel of the file, and Å.

    Raises
    ------
    MicrographError
        If the particle is too small in pixels, or larger than the micrograph.
    """
    scale = WORKING_DIAMETER * pixel_size / diameter
    pixels = diameter / pixel_size
    advice = "check --diameter and --pixel-size, both in Å"
    if scale > _MAX_ENLARGE:
        raise MicrographError(
            f"a particle of {diameter:g} Å is only {pixels:.1f} pixels wide at "
            f"{pixel_size:g} Å per pixel",
            advice,
        )
    if pixels > min(shape) / 2:
        raise MicrographError(
            f"a particle of {diameter:g} Å is {pixels:.0f} pixels wide at {pixel_size:g} Å per "
            f"pixel, more than half of this micrograph ({shape[1]} × {shape[0]})",
            advice,
        )
    h, w = (max(2, 2 * round(n * scale / 2)) for n in shape)
    return h, w


def moments(pixels: NDArray[np.float32]) -> tuple[float, float]:
    """Mean and standard deviation, without a second array of the same size.

    Parameters
    ----------
    pixels : ndarray, float32, shape (ny, nx)
    """
    near, count = np.float32(pixels[0].mean()), pixels.size
    first = second = 0.0
    for start in range(0, len(pixels), _ROWS):
        block = (pixels[start : start + _ROWS] - near).ravel()
        first += float(block.sum(dtype=np.float64))
        second += float(np.square(block, out=block).sum(dtype=np.float64))
    mean = first / count
    return float(near) + mean, float(np.sqrt(max(0.0, second / count - mean**2)))


def fourier_resample(
    image: NDArray[np.float32],
    shape: tuple[int, int],
    centre: float = 0.0,
    reach: float = np.inf,
) -> NDArray[np.float32]:
    """Resample to an even shape by cropping or padding the Fourier transform.

    Sample 0 stays at sample 0 on both axes, for odd and even input alike, so that a
    feature at ``x`` comes out at ``x * w_out / w_in`` exactly. The mean is kept.

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
    shape : tuple of int
        Even output shape (h, w).
    centre, reach : float
        What is resampled is ``image - centre``, and no further than ``reach`` from 0.
    """
    ny, nx = image.shape
    h, w = shape
    if h % 2 or w % 2:
        raise ValueError(f"the output shape must be even, not {shape}")
    kx = min((nx - 1) // 2, w // 2 - 1) + 1  # without the Nyquist term, which has no partner
    # Some rows at a time, that stay in the cache: an 8k micrograph never has its full spectrum.
    rows = np.empty((ny, kx), np.complex64)
    for start in range(0, ny, _ROWS):
        block = image[start : start + _ROWS].astype(np.float32) - np.float32(centre)
        np.clip(block, -reach, reach, out=block)
        rows[start : start + _ROWS] = fft.rfft(block, axis=1, workers=-1)[:, :kx]
    half = fft.fft(rows, axis=0, workers=-1, overwrite_x=True)
    del rows
    ky = min((ny - 1) // 2, h // 2 - 1)
    out = np.zeros((h, w // 2 + 1), dtype=np.complex64)
    out[: ky + 1, :kx] = half[: ky + 1]
    if ky:
        out[-ky:, :kx] = half[-ky:]
    out *= (h * w) / (ny * nx)
    return fft.irfft2(out, s=(h, w), workers=-1).astype(np.float32, copy=False)


def empty_border(image: NDArray[np.float32]) -> tuple[int, int, int, int]:
    """Width of the streaked or constant border: top, bottom, left, right, in pixels.

    Programs that shift frames or pad micrographs repeat the last row or column, or
    fill with a constant; there the step across the edge is far smaller than inside.
    Borders of up to an eighth of the side are found.
    """

    def leading(step: NDArray[np.float64]) -> int:
        typical = float(np.median(step))
        flat = step[: len(step) // 8] < 0.4 * typical
        # A binned border rings in its outermost pixels, so a majority of flat steps is asked for.
        majority = np.cumsum(flat) >= 0.6 * np.arange(1, len(flat) + 1)
        ends = np.flatnonzero(flat & majority)
        if not len(ends):
            return 0
        end = int(ends[-1]) + 2  # n flat steps lie between n + 1 rows
        while end < len(flat) and step[end] < 0.7 * typical:
            end += 1
        return end

    rows = np.abs(np.diff(image[:, ::4], axis=0)).mean(axis=1, dtype=np.float64)
    cols = np.abs(np.diff(image[::4], axis=1)).mean(axis=0, dtype=np.float64)
    return leading(rows), leading(rows[::-1]), leading(cols), leading(cols[::-1])


def _pool(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean over blocks of `_POOL` pixels; the last block repeats the edge."""
    h, w = image.shape
    pad = ((0, -h % _POOL), (0, -w % _POOL))
    full = np.pad(image, pad, mode="edge")
    return full.reshape(full.shape[0] // _POOL, _POOL, full.shape[1] // _POOL, _POOL).mean((1, 3))


def _unpool(blocks: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Bilinear interpolation of block means back to pixels."""
    grid = [(np.arange(n, dtype=np.float32) + 0.5) / _POOL - 0.5 for n in shape]
    low = [
        np.clip(np.floor(g).astype(int), 0, b - 1) for g, b in zip(grid, blocks.shape, strict=True)
    ]
    high = [np.minimum(i + 1, b - 1) for i, b in zip(low, blocks.shape, strict=True)]
    fy, fx = (np.clip(g - i, 0, 1) for g, i in zip(grid, low, strict=True))
    rows = blocks[low[0]] * (1 - fy)[:, None] + blocks[high[0]] * fy[:, None]
    out: NDArray[np.float32] = rows[:, low[1]] * (1 - fx) + rows[:, high[1]] * fx
    return out


def flatten(
    image: NDArray[np.float32], valid: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Take away the slow background and set the noise to unit strength.

    Both are Gaussian averages over valid pixels only: the background over 1.5
    diameters, the variance over 3 (standard deviations of the Gaussian).

    Parameters
    ----------
    image : ndarray, float32, shape (h, w)
        Image at the working scale.
    valid : ndarray, bool, shape (h, w)

    Returns
    -------
    flat : ndarray, float32, shape (h, w)
        Clipped to ±`CLIP`, 0 where not valid.
    strength : ndarray, float32, shape (h, w)
        The standard deviation that was divided out, in units of the input.
    """
    weight = valid.astype(np.float32)
    pooled_weight = _pool(weight)

    def smooth(values: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
        size = sigma * WORKING_DIAMETER / _POOL
        top = ndimage.gaussian_filter(_pool(values * weight), size, mode="reflect", truncate=3)
        bottom = ndimage.gaussian_filter(pooled_weight, size, mode="reflect", truncate=3)
        mean: NDArray[np.float32] = top / np.maximum(bottom, 1e-4)
        return mean

    residual = image - _unpool(smooth(image, 1.5), image.shape)
    variance = smooth(residual**2, 3.0)
    floor = 1e-3 * float(np.median(variance)) + 1e-20
    strength = np.sqrt(_unpool(np.maximum(variance, floor), image.shape))
    flat = np.clip(residual / strength, -CLIP, CLIP) * weight
    return flat.astype(np.float32, copy=False), strength


def contaminated(image: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where carbon, ice or other large objects hide the particles.

    An object counts when it is darker or brighter than the micrograph's spread allows
    and larger than any particle: smoothed over a third of a diameter it stands
    `_OBJECT` robust standard deviations from the median over a disc of 1.5 diameters.
    Particles, and rafts of particles with ice between them, never fill such a disc.

    Parameters
    ----------
    image : ndarray, float32, shape (h, w)
        Working-scale image before `flatten`, in which large objects still stand out.
    valid : ndarray, bool, shape (h, w)

    Returns
    -------
    ndarray, bool, shape (h, w)
        True on the objects and half a diameter around them.
    """
    block = WORKING_DIAMETER / _POOL
    weight = _pool(valid.astype(np.float32))
    total = ndimage.gaussian_filter(_pool(image * valid), block / 3, mode="nearest")
    low = total / np.maximum(ndimage.gaussian_filter(weight, block / 3, mode="nearest"), 1e-3)
    usable = weight > 0.99
    if not usable.any():
        return np.zeros(image.shape, dtype=bool)
    centre = np.median(low[usable])
    spread = 1.4826 * np.median(np.abs(low[usable] - centre)) + 1e-12
    height = np.abs(low - centre)
    outlier = (height > _OBJECT * spread) & usable
    # The size of an object is its width at a third of its height, however little noise there is.
    labels, count = ndimage.label(outlier)
    peak = np.concatenate([[0.0], ndimage.maximum(height, labels, np.arange(1, count + 1))])
    outlier &= height > peak[labels] / 3
    # Objects cut by the edge go on beyond it: repeat the edge before measuring their size.
    pad = int(np.ceil(block))
    room = ndimage.distance_transform_edt(np.pad(outlier, pad, mode="edge"))
    heart = (room > 0.75 * block)[pad:-pad, pad:-pad]
    if not heart.any():
        return np.zeros(image.shape, dtype=bool)
    around = ndimage.distance_transform_edt(~heart) <= 1.25 * block
    return np.repeat(np.repeat(around, _POOL, 0), _POOL, 1)[: image.shape[0], : image.shape[1]]


def prepare(pixels: NDArray[np.float32], pixel_size: float, diameter: float) -> WorkingImage:
    """Make the working image of a micrograph.

    Parameters
    ----------
    pixels : ndarray, float32, shape (ny, nx)
        Micrograph as stored, protein darker than ice.
    pixel_size : float
        Å per pixel.
    diameter : float
        Particle diameter in Å.

    Returns
    -------
    WorkingImage

    Raises
    ------
    MicrographError
        If the particle is too small or too large for this micrograph.
    """
    shape = working_shape((pixels.shape[0], pixels.shape[1]), pixel_size, diameter)
    ny, nx = pixels.shape
    spacing = (ny / shape[0], nx / shape[1])
    top, bottom, left, right = empty_border(pixels)
    mean, std = moments(pixels[top : ny - bottom, left : nx - right])
    image = fourier_resample(pixels, shape, mean, _SPIKE * std)
    valid = np.zeros(shape, dtype=bool)
    valid[
        int(np.ceil(top / spacing[0])) : shape[0] - int(np.ceil(bottom / spacing[0])),
        int(np.ceil(left / spacing[1])) : shape[1] - int(np.ceil(right / spacing[1])),
    ] = True
    valid &= ~contaminated(image, valid)
    flat, _ = flatten(image, valid)
    return WorkingImage(flat, valid, spacing)
