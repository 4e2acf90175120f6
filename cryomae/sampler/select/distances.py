"""Distances of a pool to a few points, in little memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import pairwise_distances_argmin_min

_ROWS = 1024
"""Rows at a time: their differences stay in the cache of a processor."""


def squared_to(x: NDArray[Any], point: NDArray[Any]) -> NDArray[np.float64]:
    """Squared distances of rows to one point, shape (N, d) to (N,).

    Differences are formed before they are squared, so that equal rows are at exactly 0,
    which the faster ``|x|² + |y|² - 2xy`` does not give.
    """
    out = np.empty(len(x))
    space = np.empty((min(_ROWS, len(x)), x.shape[1]), dtype=x.dtype)
    for start in range(0, len(x), _ROWS):
        rows = x[start : start + _ROWS]
        gap = np.subtract(rows, point, out=space[: len(rows)])
        out[start : start + len(rows)] = np.einsum("ij,ij->i", gap, gap)
    return out


def nearest_to(x: NDArray[Any], points: NDArray[Any]) -> NDArray[np.float64]:
    """Distance of each row to the nearest of some points, shape (N,); infinite without any."""
    if not len(points):
        return np.full(len(x), np.inf)
    _, distance = pairwise_distances_argmin_min(x, points)
    return np.asarray(distance, dtype=np.float64)


def best_allowed(worth: NDArray[np.float64], allowed: NDArray[np.bool_]) -> int:
    """Allowed row of the greatest worth, the first where several are equal."""
    return int(np.where(allowed, worth, -np.inf).argmax())
