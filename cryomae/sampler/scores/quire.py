"""QUIRE: informative and representative examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from sklearn.metrics.pairwise import rbf_kernel

from cryomae.sampler import checks
from cryomae.sampler.errors import SamplerError
from cryomae.sampler.pool import Need, PoolView
from cryomae.sampler.registry import register
from cryomae.sampler.strategy import ScoreStrategy

Floats = NDArray[np.float64]


def worst_case(
    x: NDArray[Any], known: NDArray[Any], y: NDArray[np.intp], gamma: float, ridge: float
) -> Floats:
    """Worst value over its label of the regularised loss when a candidate is asked, shape (N,).

    With ``L = (K + λI)⁻¹`` over all rows, Huang et al. minimise over candidates s

        max over y_s = ±1 of min over y_u of yᵀ L y,    y = (y_l, y_s, y_u),

    y_u being real. Eliminating y_u leaves the Schur complement of L, which is the inverse of
    a Gaussian process' posterior: with its mean μ and variance v at s, given the labels, the
    value is ``y_lᵀ(K_ll + λI)⁻¹y_l + (1 + |μ|)² / v``. So no inverse of the whole pool is
    needed. For C > 2 classes it is the largest over one-against-rest tasks with the candidate
    in the class, which for two classes is the same.

    Parameters
    ----------
    x, known : ndarray, shapes (N, d) and (L, d)
    y : ndarray, shape (L,)
    gamma : float
        Of the kernel ``exp(-γ|a - b|²)``.
    ridge : float
        λ, the regularisation.
    """
    signs = np.where(y[:, None] == np.unique(y), 1.0, -1.0)
    factor = cho_factor(rbf_kernel(known, known, gamma=gamma) + ridge * np.eye(len(known)))
    solved = cho_solve(factor, signs)
    constant = np.einsum("lc,lc->c", signs, solved)
    value = np.empty(len(x))
    for part in checks.chunks(len(x), 4096):
        cross = rbf_kernel(x[part], known, gamma=gamma)
        variance = 1 + ridge - np.einsum("nl,ln->n", cross, cho_solve(factor, cross.T))
        value[part] = (constant + (1 - cross @ solved) ** 2 / variance[:, None]).max(axis=1)
    return value


@register("quire")
@dataclass(frozen=True)
class Quire(ScoreStrategy):
    """Take what is least bad whatever its label turns out to be (Huang, Jin and Zhou 2010).

    Scores are less the value of `worst_case`. The papers' and libact's formula has
    ``det(L_aa) / L_ss`` in place of ``L_su L_uu⁻¹ L_us``; a determinant of hundreds of rows
    is 0 in floating point, and the min-max problem itself, which scikit-activeml solves too,
    is what is solved here, in O(N·L²) in place of O(N³). A batch holds the best single ones.

    Attributes
    ----------
    gamma : float or None
        Of the RBF kernel; None is one over the number of columns. (The survey has 1 on
        unscaled features.)
    ridge : float
        Regularisation λ.
    """

    gamma: float | None = None
    ridge: float = 1.0

    needs: ClassVar[Need] = Need.EMBED | Need.LABELLED
    reason: ClassVar[str] = "representative"

    def __post_init__(self) -> None:
        if self.gamma is not None:
            checks.above("gamma", self.gamma)
        checks.above("ridge", self.ridge)

    def score(self, pool: PoolView, rng: np.random.Generator) -> Floats:
        """Less the worst value, shape (N,)."""
        known = pool.labelled_rows("embed")
        if pool.labelled is None or not len(known):
            raise SamplerError("quire needs labels: begin with random or typiclust")
        x = pool.embed
        assert x is not None
        gamma = 1 / x.shape[1] if self.gamma is None else self.gamma
        return -worst_case(x, known, pool.labelled.y, gamma, self.ridge)
