"""How well candidates fit the classes that are labelled (in-distribution confidence)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import empirical_covariance, ledoit_wolf

from cryomae.sampler import checks

FEW = 5
"""Labels per dimension below which the covariance is shrunk."""


def mahalanobis(x: NDArray[Any], known: NDArray[Any], y: NDArray[np.intp]) -> NDArray[np.float64]:
    """Mahalanobis distance to the nearest class mean, shape (N, d) to (N,).

    One covariance for all classes (Lee et al. 2018), inverted; with fewer than `FEW` labels
    a dimension it is the shrunk one of Ledoit and Wolf, since the other is near singular.
    A single label has none: the distance to it is Euclidean.

    Parameters
    ----------
    x : ndarray, shape (N, d)
    known : ndarray, shape (L, d)
        What is labelled, L at least 1.
    y : ndarray, shape (L,)
        Classes; one is enough.
    """
    known = np.asarray(known, dtype=np.float64)
    means = {int(c): known[y == c].mean(axis=0) for c in np.unique(y)}
    rest = known - np.stack([means[int(c)] for c in y])
    if len(known) == 1:
        covariance = np.eye(known.shape[1])
    elif len(known) < FEW * known.shape[1]:
        covariance = ledoit_wolf(rest, assume_centered=True)[0]
    else:
        covariance = empirical_covariance(rest, assume_centered=True)
    values, vectors = np.linalg.eigh(covariance)
    # Directions without any spread would make every other point infinitely far.
    floor = max(float(values[-1]) * 1e-10, 1e-12)
    whiten = vectors / np.sqrt(np.maximum(values, floor))
    best = np.full(len(x), np.inf)
    for part in checks.chunks(len(x)):
        rows = np.asarray(x[part], dtype=np.float64) @ whiten
        for mean in means.values():
            gap = np.linalg.norm(rows - mean @ whiten, axis=1)
            best[part] = np.minimum(best[part], gap)
    return best
