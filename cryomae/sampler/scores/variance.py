"""Variance reduction: optimal design for logistic regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from cryomae.sampler import checks
from cryomae.sampler.pool import Need, PoolView
from cryomae.sampler.refit import training_set
from cryomae.sampler.registry import register
from cryomae.sampler.strategy import ScoreStrategy

Floats = NDArray[np.float64]


def class_covariance(proba: Floats) -> Floats:
    """Covariance ``diag(p) - p pᵀ`` of the one-hot label, shape (n, C) to (n, C, C)."""
    spread = -np.einsum("na,nb->nab", proba, proba)
    spread[:, range(proba.shape[1]), range(proba.shape[1])] += proba
    return spread


def information(x: Floats, spread: Floats) -> Floats:
    """Sum over rows of ``S ⊗ x xᵀ``, shapes (n, d) and (n, C, C) to (C·d, C·d).

    With S the covariance of `class_covariance` it is the Fisher information of multinomial
    logistic regression.
    """
    size = spread.shape[1] * x.shape[1]
    return np.einsum("nab,ni,nj->aibj", spread, x, x, optimize=True).reshape(size, size)


def variance_gain(
    x: Floats, proba: Floats, known: Floats, known_proba: Floats, prior: float
) -> Floats:
    """How much the summed variance of the pool's outputs falls with each candidate, shape (N,).

    The variance of outputs p(u) is, to first order, ``tr(A F⁻¹)`` with F the information of
    the labels and the prior, and A the sum over the pool of the outer products of their
    gradients, ``S² ⊗ u uᵀ``. A candidate adds ``S ⊗ x xᵀ`` to F; by Woodbury's identity

        fall = tr[(I + S Q)⁻¹ S R],  Q_ab = xᵀ(F⁻¹)_ab x,  R_ab = xᵀ(F⁻¹ A F⁻¹)_ab x.

    Parameters
    ----------
    x, proba : ndarray, shapes (N, d) and (N, C)
        Pool, with a column of ones for the intercept.
    known, known_proba : ndarray, shapes (L, d) and (L, C)
        What is labelled.
    prior : float
        Variance of the Gaussian prior of each parameter.
    """
    classes, d = proba.shape[1], x.shape[1]
    spread = class_covariance(proba)
    fisher = information(known, class_covariance(known_proba)) + np.eye(classes * d) / prior
    inverse = np.linalg.inv(fisher)
    wanted = information(x, spread @ spread)
    fall = np.empty(len(x))
    both = [m.reshape(classes, d, classes, d) for m in (inverse, inverse @ wanted @ inverse)]
    for part in checks.chunks(len(x), 4096):
        q, r = (np.einsum("ni,aibj,nj->nab", x[part], m, x[part], optimize=True) for m in both)
        s = spread[part]
        solved = np.linalg.solve(np.eye(classes) + s @ q, s @ r)
        fall[part] = np.trace(solved, axis1=1, axis2=2)
    return fall


@register("variance_reduction")
@dataclass(frozen=True)
class VarianceReduction(ScoreStrategy):
    """Take what lowers the variance of the predictions most (Schein and Ungar 2007).

    The A-optimal design for logistic regression, which is fitted here to the labelled
    features whatever the task model. The information does not depend on the answer, so
    nothing is fitted for each candidate, unlike in libact, whose way takes minutes. All
    parameters, the intercepts too, have the prior: without it the softmax has more
    parameters than it needs and no inverse.
    Cost: O((N + L)·(C·d)²) time and O((C·d)²) memory: for features up to some hundred.

    Attributes
    ----------
    prior : float
        Variance of the Gaussian prior; scikit-learn's C.
    """

    prior: float = 1.0

    needs: ClassVar[Need] = Need.FEATURES | Need.LABELLED
    reason: ClassVar[str] = "variance"

    def __post_init__(self) -> None:
        checks.above("prior", self.prior)

    def score(self, pool: PoolView, rng: np.random.Generator) -> Floats:
        """Fall of the summed variance, shape (N,)."""
        known, y = training_set(pool, self.name)
        model = LogisticRegression(C=self.prior, max_iter=1000).fit(known, y)
        x: Any = pool.features
        return variance_gain(
            _with_ones(x),
            model.predict_proba(x),
            _with_ones(known),
            model.predict_proba(known),
            self.prior,
        )


def _with_ones(x: NDArray[Any]) -> Floats:
    return np.column_stack([x, np.ones(len(x))]).astype(np.float64)
