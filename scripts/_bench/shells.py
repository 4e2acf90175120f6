"""Fourier shell correlation of two maps, and the resolution that follows from it."""

import numpy as np
from numpy.typing import NDArray

Volume = NDArray[np.floating]


def shell_correlation(one: Volume, other: Volume) -> NDArray[np.float64]:
    """Correlation of two maps in each shell of spatial frequency.

    Parameters
    ----------
    one, other : ndarray, shape (n, n, n)
        Maps in one frame, n even.

    Returns
    -------
    ndarray, shape (n // 2 + 1,)
        Entry k belongs to the frequency k / (n × voxel size); 0 where a map has no power.

    Examples
    --------
    >>> map = np.random.default_rng(0).normal(size=(16, 16, 16))
    >>> shell_correlation(map, 3 * map).round(6).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    side = one.shape[0]
    full, half = np.fft.fftfreq(side, 1 / side), np.fft.rfftfreq(side, 1 / side)
    radius = np.sqrt(full[:, None, None] ** 2 + full[None, :, None] ** 2 + half[None, None] ** 2)
    shell = np.rint(radius).astype(np.intp).ravel()
    # A half spectrum holds each pair of conjugates once, but for its first and last planes.
    weight = np.broadcast_to(np.where((half == 0) | (half == side // 2), 1.0, 2.0), radius.shape)
    a, b = (np.fft.rfftn(v.astype(np.float64)) for v in (one, other))

    def total(values: NDArray[np.floating]) -> NDArray[np.float64]:
        return np.bincount(shell, (values * weight).ravel())[: side // 2 + 1]

    cross = total((a * b.conj()).real)
    power = total(np.abs(a) ** 2) * total(np.abs(b) ** 2)
    return np.where(power > 0, cross / np.sqrt(np.maximum(power, 1e-300)), 0.0)


def resolution(curve: NDArray[np.float64], threshold: float, extent: float) -> float:
    """Where a curve first falls below a threshold, in Å.

    Parameters
    ----------
    curve : ndarray, shape (n // 2 + 1,)
        As `shell_correlation` gives it.
    threshold : float
    extent : float
        Side of the map in Å.

    Returns
    -------
    float
        Interpolated between shells; the Nyquist limit if it never falls below.

    Examples
    --------
    >>> resolution(np.array([1.0, 1.0, 0.5, 0.0]), 0.25, extent=30)
    12.0
    """
    below = np.flatnonzero(curve[1:] < threshold) + 1
    if not len(below):
        return extent / (len(curve) - 1)
    last = below[0] - 1
    step = (curve[last] - threshold) / (curve[last] - curve[last + 1])
    return float(extent / max(last + step, 1.0))


def soft_sphere(side: int, radius: float, edge: float) -> NDArray[np.float32]:
    """Sphere in the middle of a cube: 1 inside, falling to 0 as a cosine.

    Parameters
    ----------
    side : int
        Voxels.
    radius, edge : float
        Voxels up to where it is 1, and from there to where it is 0.
    """
    grid = np.arange(side) - side // 2
    distance = np.sqrt(grid[:, None, None] ** 2 + grid[None, :, None] ** 2 + grid[None, None] ** 2)
    beyond = np.clip((distance - radius) / edge, 0, 1)
    return (0.5 + 0.5 * np.cos(np.pi * beyond)).astype(np.float32)
