"""Task models of a benchmark, and what each lets a strategy see."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from cryomae.sampler.benchmark.datasets import Dataset
from cryomae.sampler.pool import Need, Perturb
from cryomae.sampler.refit import bagging, full_probabilities

Floats = NDArray[np.float64]

PASSES = 10
"""Random passes where a strategy reads them, as in DeepAL+."""


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


def _svm(dataset: Dataset) -> BaseEstimator:
    return MarginSVC(kernel="rbf", gamma="auto", random_state=6211)


def _logistic(dataset: Dataset) -> BaseEstimator:
    return LogisticRegression(max_iter=1000)


def _network(dataset: Dataset) -> BaseEstimator:
    from cryomae.sampler.deep.model import TaskModel

    return TaskModel(image=dataset.image)


TASKS: dict[str, Callable[[Dataset], BaseEstimator]] = {
    "svm": _svm,
    "logistic": _logistic,
    "network": _network,
}
"""Task models by name: the survey's RBF-SVM, logistic regression, and a small network with
dropout, convolutional where the data are images."""


def offered(task: str) -> Need:
    """What a strategy may read of a pool with this task model."""
    common = Need.PROBA | Need.STOCHASTIC | Need.EMBED | Need.FEATURES | Need.LABELLED | Need.MODEL
    return common if task == "svm" else common | Need.PERTURB


def embedding(model: Any, x: Floats) -> Floats:
    """What the model makes of features, shape (n, d): its last hidden layer, if it has one."""
    return np.asarray(model.embed(x)) if hasattr(model, "embed") else x


def passes(
    model: Any,
    labelled: tuple[Floats, NDArray[np.int64]],
    x: Floats,
    classes: int,
    rng: np.random.Generator,
) -> Floats:
    """Probabilities of `PASSES` passes with dropout, else of as many bootstrap models.

    Shape (T, n, C).
    """
    if hasattr(model, "predict_stochastic"):
        return np.asarray(model.predict_stochastic(x, PASSES, int(rng.integers(2**31))))
    return bagging(model, labelled, x, classes, PASSES, rng)


def perturbation(model: Any, x: Floats, classes: int) -> Perturb | None:
    """Output of a network or linear model after noise on its parameters; else None.

    Noise of relative size s is a random direction of the whole parameter vector, of length
    s times that vector's.
    """
    if hasattr(model, "perturb"):
        return cast(Perturb, model.perturb(x))
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
