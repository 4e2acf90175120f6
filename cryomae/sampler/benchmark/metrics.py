"""What a learning curve is worth."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def aubc(labelled: ArrayLike, values: ArrayLike) -> float:
    """Area under the budget curve: the mean of a figure over the budget.

    The trapezoid over the number of labels, divided by the labels bought, so that a
    constant curve gives its constant for every budget and batch. Three other definitions
    are in circulation, none of which does: DeepAL+ divides by the quota and drops a
    remainder, the re-benchmark of the survey drops the first point and divides by the
    number of points, and some leave the axis unscaled.

    Parameters
    ----------
    labelled : array_like, shape (r,)
        Labels known at each point, rising.
    values : array_like, shape (r,)
        The figure there, such as accuracy.

    Returns
    -------
    float
        One point alone gives its value.

    Raises
    ------
    ValueError
        When there are no points, lengths differ, or `labelled` does not rise.
    """
    n = np.asarray(labelled, dtype=np.float64)
    v = np.asarray(values, dtype=np.float64)
    if n.ndim != 1 or n.shape != v.shape or not len(n):
        raise ValueError(f"a curve needs points of equal count, not {n.shape} and {v.shape}")
    if (np.diff(n) <= 0).any():
        raise ValueError("the number of labels must rise along a curve")
    if len(n) == 1:
        return float(v[0])
    return float(np.trapezoid(v, n) / (n[-1] - n[0]))


def accuracy(truth: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    """Share of right predictions."""
    return float(np.mean(truth == predicted))


def macro_f1(truth: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    """Mean F1 over the classes that occur in either; a class that is never right counts 0.

    As scikit-learn's, whose checks take longer than fitting a model to 100 rows.
    """
    count = int(max(truth.max(), predicted.max())) + 1
    right = np.bincount(truth[truth == predicted], minlength=count)
    both = np.bincount(truth, minlength=count) + np.bincount(predicted, minlength=count)
    used = both > 0
    return float(np.mean(2 * right[used] / both[used]))
