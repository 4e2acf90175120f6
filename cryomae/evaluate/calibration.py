"""Whether scores are probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Reliability:
    """Scores against the share of right picks.

    Attributes
    ----------
    score, right : ndarray, shape (k,)
        Mean score, and share of right picks, in each bin that holds picks.
    count : ndarray, shape (k,)
        Picks in each.
    error : float
        Expected calibration error: the mean difference of the two over all picks.
    """

    score: NDArray[np.float64]
    right: NDArray[np.float64]
    count: NDArray[np.int64]
    error: float


def reliability(scores: ArrayLike, hits: ArrayLike, bins: int = 10) -> Reliability:
    """Compare scores with the share of right picks, in equal bins from 0 to 1.

    Parameters
    ----------
    scores : array_like, shape (n,)
        From 0 to 1; there must be one.
    hits : array_like, bool, shape (n,)
        Whether each pick is right.
    bins : int
        Number of bins.
    """
    p = np.asarray(scores, dtype=np.float64)
    hit = np.asarray(hits, dtype=np.float64)
    if not len(p) or p.min() < 0 or p.max() > 1:
        raise ValueError("reliability needs scores from 0 to 1")
    which = np.minimum((p * bins).astype(int), bins - 1)
    count = np.bincount(which, minlength=bins)
    filled = count > 0
    mean = np.bincount(which, p, bins)[filled] / count[filled]
    right = np.bincount(which, hit, bins)[filled] / count[filled]
    share = count[filled] / len(p)
    return Reliability(mean, right, count[filled], float((share * np.abs(mean - right)).sum()))
