"""k-means as the strategies use it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning

FULL = 10_000
"""Rows up to which all are used in every step; above, mini-batches give nearly the same."""


def kmeans(
    x: NDArray[Any], count: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Cluster of each row, shape (N,), and the centres, shape (count, d).

    At most one cluster a row; clusters may be empty where rows are equal.
    """
    count = min(count, len(x))
    seed = int(rng.integers(2**31))
    if len(x) <= FULL:
        method = KMeans(count, n_init=1, random_state=seed)
    else:
        # A batch holds several rows of each cluster, else centres of small ones drift.
        batch = max(4096, 4 * count)
        method = MiniBatchKMeans(count, n_init=1, batch_size=batch, random_state=seed)
    with warnings.catch_warnings():
        # Fewer distinct rows than clusters: the empty ones are dealt with by the callers.
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = method.fit_predict(x)
    return labels.astype(np.intp), np.asarray(method.cluster_centers_, dtype=np.float64)
