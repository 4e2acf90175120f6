"""Task models of a benchmark, and what each lets a strategy see."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from cryomae.sampler.pool import Perturb
from cryomae.sampler.refit import full_probabilities

Floats = NDArray[np.float64]


class MarginSVC(SVC):
    """Support-vector classifier whose probabilities are a logistic function of its margins.

    Platt's calibration would need a cross-validation in every round. It is monotone, so with
    two classes uncertainty ranks candidates alike, and with this it does so exactly by
    ``|decision_function|``, as the published runs do. With more classes the softmax of the
    one-against-rest margins takes its place.
    """

    def predict_proba(self, X: Floats) -> Floats:
        """Pseudo-probabilities, shape (n, C)."""
        margins = self.decision_function(X)
        if margins.ndim == 1:
            positive = expit(margins)
            return np.column_stack([1 - positive, positive])
        return np.asarray(softmax(margins, axis=1))


def _svm() -> BaseEstimator:
    return MarginSVC(kernel="rbf", gamma="auto", random_state=6211)


def _logistic() -> BaseEstimator:
    return LogisticRegression(max_iter=1000)


TASKS: dict[str, Callable[[], BaseEstimator]] = {"svm": _svm, "logistic": _logistic}
"""Task models by name: the survey's RBF-SVM, and logistic regression."""


def perturbation(model: Any, x: Floats, classes: int) -> Perturb | None:
    """Output of a linear model after noise on all its parameters; None for other models.

    Noise of relative size s is a random direction of the whole parameter vector, of length
    s times that vector's.
    """
    if not hasattr(model, "coef_") or isinstance(model, SVC):
        return None

    def perturb(seed: int, scale: float) -> Floats:
        noisy = copy.copy(model)
        size = np.sqrt(np.sum(model.coef_**2) + np.sum(model.intercept_**2))
        rng = np.random.default_rng(seed)
        coef = rng.standard_normal(model.coef_.shape)
        intercept = rng.standard_normal(model.intercept_.shape)
        length = scale * size / np.sqrt(np.sum(coef**2) + np.sum(intercept**2))
        noisy.coef_ = model.coef_ + length * coef
        noisy.intercept_ = model.intercept_ + length * intercept
        return full_probabilities(noisy, x, classes)

    return perturb
