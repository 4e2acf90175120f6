"""The few-shot loss: self-cross similarity with positive-unlabelled weights.

cryoMAE (Xu, Zhan and Xu, 2024, arXiv 2404.10178) trains on exemplars ``x_i`` and unlabelled
crops ``u_j`` of one micrograph: latents of exemplars are drawn together (self), latents of
exemplars and unlabelled crops are pushed apart (cross), and unlabelled crops count less the
likelier they hold particles. The paper's formulas and weights are not public. Ours, with
latents ``z`` of unit length, and ``c_j`` the chance that crop j holds a particle::

    L = w_r L_reconstruction + w_s L_self + w_x L_cross + L_detect

    L_self   = mean over i < k of  1 - z_i · z_k
    L_cross  = sum over j of (1 - c_j) mean over i of max(0, z_i · z_j)  /  sum over j of (1 - c_j)
    L_detect = exemplars' own loss + unlabelled loss, see `pu_risk`

A cosine of zero is far enough (latents that point away from each other are no better than
unrelated ones), hence the max.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def unit(latents: Tensor) -> Tensor:
    """Latents (n, d) scaled to unit length."""
    return nn.functional.normalize(latents.float(), dim=-1)


def self_similarity_loss(exemplars: Tensor) -> Tensor:
    """Mean of ``1 - cosine`` over pairs of exemplars; 0 for fewer than two.

    Parameters
    ----------
    exemplars : Tensor, shape (m, d)
    """
    if len(exemplars) < 2:
        return exemplars.sum() * 0
    z = unit(exemplars)
    rows, columns = torch.triu_indices(len(z), len(z), 1)
    return (1 - (z @ z.T)[rows, columns]).mean()


def cross_similarity_loss(exemplars: Tensor, unlabelled: Tensor, chance: Tensor) -> Tensor:
    """Mean positive cosine between exemplars and what is probably background.

    Parameters
    ----------
    exemplars : Tensor, shape (m, d)
    unlabelled : Tensor, shape (n, d)
    chance : Tensor, shape (n,)
        Chance that an unlabelled crop holds a particle, 0 to 1.
    """
    alike = (unit(unlabelled) @ unit(exemplars).T).clamp(min=0).mean(dim=1)
    background = 1 - chance
    return (alike * background).sum() / background.sum().clamp(min=1e-3)


def pu_risk(positive: Tensor, unlabelled: Tensor, prior: float) -> Tensor:
    """Non-negative positive-unlabelled risk of logits, with the logistic loss.

    ``prior * E_p[l(+)] + max(0, E_u[l(-)] - prior * E_p[l(-)])`` of Kiryo, Niu, du Plessis
    and Sugiyama (NeurIPS 2017).

    Parameters
    ----------
    positive, unlabelled : Tensor
        Logits.
    prior : float
        Share of positives among the unlabelled.
    """
    softplus = nn.functional.softplus
    wrong = softplus(unlabelled).mean() - prior * softplus(positive).mean()
    return prior * softplus(-positive).mean() + wrong.clamp(min=0)
