"""Peaks of a score map: local maxima, refined to a fraction of a pixel, kept apart."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree


def find_peaks(
    scores: NDArray[np.float32], floor: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Local maxima of a map that exceed ``floor``, best first.

    Parameters
    ----------
    scores : ndarray, shape (h, w)
    floor : float
        Least value of a peak.

    Returns
    -------
    xy : ndarray, shape (n, 2)
        x, y in map pixels, refined by a parabola through the neighbours along each axis.
    height : ndarray, shape (n,)
        Value of the map at the maximum.
    """
    top = (scores == ndimage.maximum_filter(scores, size=3, mode="nearest")) & (scores > floor)
    rows, cols = np.nonzero(top)
    height = scores[rows, cols].astype(np.float64)
    padded = np.pad(scores.astype(np.float64), 1, mode="edge")

    def shift(dy: int, dx: int) -> NDArray[np.float64]:
        left, right = padded[rows + 1 - dy, cols + 1 - dx], padded[rows + 1 + dy, cols + 1 + dx]
        bend = left + right - 2 * height
        offset = np.where(bend < -1e-9, 0.5 * (left - right) / np.minimum(bend, -1e-9), 0.0)
        clipped: NDArray[np.float64] = np.clip(offset, -0.5, 0.5)
        return clipped

    xy = np.stack([cols + shift(0, 1), rows + shift(1, 0)], axis=1)
    order = np.argsort(-height, kind="stable")
    return xy[order], height[order]


def suppress(xy: NDArray[np.float64], distance: float) -> NDArray[np.int64]:
    """Greedy circular non-maximum suppression.

    Parameters
    ----------
    xy : ndarray, shape (n, 2)
        Points, best first.
    distance : float
        A point nearer than this to a better one that was kept is dropped.

    Returns
    -------
    ndarray of int
        Indices of the points kept, best first.
    """
    if not len(xy):
        return np.zeros(0, dtype=np.int64)
    # The radius of query_pairs is inclusive; two points exactly at the distance both stay.
    pairs = cKDTree(xy).query_pairs(np.nextafter(distance, 0.0), output_type="ndarray")
    better, worse = pairs.min(axis=1), pairs.max(axis=1)
    order = np.argsort(better, kind="stable")
    better, worse = better[order], worse[order]
    begin = np.searchsorted(better, np.arange(len(xy) + 1))
    kept = np.ones(len(xy), dtype=bool)
    for i in range(len(xy)):
        if kept[i]:
            kept[worse[begin[i] : begin[i + 1]]] = False
    return np.flatnonzero(kept)


def inside(xy: NDArray[np.float64], valid: NDArray[np.bool_], margin: float) -> NDArray[np.bool_]:
    """Which points lie at least ``margin`` pixels from the edge and from invalid pixels.

    Parameters
    ----------
    xy : ndarray, shape (n, 2)
        x, y in pixels of ``valid``.
    valid : ndarray of bool, shape (h, w)
    margin : float
        Pixels; half a diameter asks for whole particles.
    """
    return look_up(room(valid, margin), xy)


def room(valid: NDArray[np.bool_], margin: float) -> NDArray[np.bool_]:
    """Pixels that lie at least ``margin`` pixels from the edge and from invalid pixels."""
    far: NDArray[np.bool_] = ndimage.distance_transform_edt(np.pad(valid, 1))[1:-1, 1:-1] >= margin
    return far


def look_up(mask: NDArray[np.bool_], xy: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Value of a mask at the pixel nearest to each point (n, 2)."""
    h, w = mask.shape
    cols = np.clip(np.rint(xy[:, 0]).astype(int), 0, w - 1)
    rows = np.clip(np.rint(xy[:, 1]).astype(int), 0, h - 1)
    found: NDArray[np.bool_] = mask[rows, cols]
    return found
