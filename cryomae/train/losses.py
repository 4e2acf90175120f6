"""The self-cross similarity loss, along what few-shot training learns.

cryoMAE (Xu, Zhan and Xu, 2024, arXiv 2404.10178) draws what is known of exemplars together
(self), and pushes it apart from what is known of unlabelled crops of the same micrograph
(cross). The paper's formulas and weights are not public. There the encoder moves; here it stays
and a direction ``w`` in its latents is learnt, so places are compared along it: two are as alike
as their corrected logits ``f = w · x`` are close. With exemplars i, unlabelled places j and the
chance ``c_j`` that place j holds a particle::

    L_self  = mean over i < k of (f_i - f_k)² / 2
    L_cross = sum over j of (1 - c_j) mean over i of softplus(f_j - f_i) / sum over j of (1 - c_j)

The softplus is the chance, as a cost, that place j would be taken for more of a particle than
exemplar i. Places that probably hold a particle count little, as nothing says that they should
be pushed apart (positive-unlabelled learning).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Value = tuple[float, NDArray[np.float64]]
"""Of a loss, with its gradient."""


def self_loss(w: NDArray[np.float64], exemplars: NDArray[np.float64]) -> Value:
    """L_self and its gradient by ``w``; 0 for fewer than two exemplars.

    Parameters
    ----------
    w : ndarray, shape (d,)
    exemplars : ndarray, shape (m, d)
        What is known of them.
    """
    if len(exemplars) < 2:
        return 0.0, np.zeros_like(w)
    apart = exemplars - exemplars.mean(axis=0)
    along = apart @ w
    return float(along @ along) / (len(along) - 1), 2 * (apart.T @ along) / (len(along) - 1)


def cross_loss(
    w: NDArray[np.float64],
    exemplars: NDArray[np.float64],
    unlabelled: NDArray[np.float64],
    chance: NDArray[np.float64],
) -> Value:
    """L_cross and its gradient by ``w``.

    Parameters
    ----------
    w : ndarray, shape (d,)
    exemplars : ndarray, shape (m, d)
    unlabelled : ndarray, shape (n, d)
    chance : ndarray, shape (n,)
        Chance that a place holds a particle.
    """
    background = (1 - chance) / max(float((1 - chance).sum()), 1e-3)
    above = (unlabelled @ w)[:, None] - (exemplars @ w)[None]
    value = float(background @ np.logaddexp(0, above).mean(axis=1))
    pull = background[:, None] * expit(above) / len(exemplars)
    return value, unlabelled.T @ pull.sum(axis=1) - exemplars.T @ pull.sum(axis=0)
