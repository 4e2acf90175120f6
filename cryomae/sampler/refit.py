"""Fitting the task model again, for strategies that ask what other labels would make of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils import resample

from cryomae.sampler.errors import SamplerError
from cryomae.sampler.pool import PoolView

Floats = NDArray[np.float64]


def training_set(pool: PoolView, name: str) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Features and classes of what is labelled, shapes (L, f) and (L,).

    Raises
    ------
    SamplerError
        With fewer than two classes labelled: nothing can be fitted then.
    """
    x = pool.labelled_rows("features")
    y = np.zeros(0, dtype=np.intp) if pool.labelled is None else pool.labelled.y
    if len(np.unique(y)) < 2:
        raise SamplerError(
            f"{name} fits models and needs labels of two classes at least: "
            "begin with random or typiclust"
        )
    return x, y


def estimator(pool: PoolView, name: str) -> Any:
    """The task model as a scikit-learn estimator.

    Raises
    ------
    SamplerError
        If it cannot be cloned, fitted and asked for probabilities.
    """
    wanted = ("get_params", "fit", "predict_proba")
    if not all(hasattr(pool.model, method) for method in wanted):
        raise SamplerError(
            f"{name} needs a scikit-learn classifier with predict_proba: "
            "pass PoolView(model=LogisticRegression())"
        )
    return pool.model


def class_count(pool: PoolView, y: NDArray[np.intp]) -> int:
    """Number of classes: columns of the pool's probabilities, at least those labelled."""
    return max(int(y.max()) + 1, 0 if pool.proba is None else pool.proba.shape[1])


def full_probabilities(model: Any, x: NDArray[Any], classes: int) -> Floats:
    """Probabilities of all classes, shape (n, classes); 0 for those the model has not seen."""
    full = np.zeros((len(x), classes))
    full[:, np.asarray(model.classes_, dtype=np.intp)] = model.predict_proba(x)
    return full


def bagging(
    model: Any,
    labelled: tuple[NDArray[Any], NDArray[np.intp]],
    x: NDArray[Any],
    classes: int,
    members: int,
    rng: np.random.Generator,
) -> Floats:
    """Probabilities of models fitted to bootstrap samples, shape (members, n, classes).

    The samples are stratified, so that each holds every class that is labelled.
    """
    passes = []
    for seed in rng.integers(0, 2**31, members):
        rows, y = resample(*labelled, stratify=labelled[1], random_state=int(seed))
        passes.append(full_probabilities(clone(model).fit(rows, y), x, classes))
    return np.stack(passes)
