"""How far a row is from a decision boundary, by attacking it: the shorter, the less sure.

Ducoffe and Precioso, *Adversarial Active Learning for Deep Networks: a Margin Based
Approach*, 2018, on the attacks of Kurakin et al. (basic iterative method, ICLR workshop
2017) and Moosavi-Dezfooli et al. (DeepFool, CVPR 2016). Rows are attacked together, loops
are bounded, and a row that resists has distance infinity.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cryomae.sampler.deep import infer

Logits = Callable[[Tensor], Tensor]
"""Logits (b, C) of inputs (b, ...), one row independent of the others."""

CANDIDATES = 10
"""Classes whose boundaries DeepFool looks at, the most probable ones, as its paper does."""

OVERSHOOT = 0.02
"""Share by which DeepFool steps over a boundary, from its paper; not part of the distance."""


def bim_distance(logits: Logits, x: Tensor, *, step: float, steps: int) -> Tensor:
    """Euclidean length of the basic iterative method's perturbation that changes the class.

    Each step moves every input by ``step`` along the sign of the gradient of the
    cross-entropy with the first prediction as label. The gradient is taken of
    ``logsumexp(other logits) - logit`` instead: that is the same one divided by
    ``1 - p``, but does not vanish where ``p`` rounds to 1.

    Parameters
    ----------
    logits : callable
    x : Tensor, shape (n, ...)
    step : float
        Largest change of an input in one step.
    steps : int
        Bound on the number of steps.

    Returns
    -------
    Tensor, shape (n,)
        A multiple of what one step reaches at most, so that the distance is never too
        short; infinity where the class is the same after ``steps``.
    """
    first = logits(x).detach().argmax(1)
    distance = torch.full((len(x),), torch.inf)
    moved = x.clone()
    active = torch.arange(len(x))
    for _ in range(steps):
        at = moved[active].requires_grad_()
        gradient = torch.autograd.grad(_against(logits(at), first[active]).sum(), at)[0]
        moved[active] = at.detach() + step * gradient.sign()
        over = logits(moved[active]).detach().argmax(1) != first[active]
        changed = active[over]
        distance[changed] = (moved[changed] - x[changed]).flatten(1).norm(dim=1)
        active = active[~over]
        if not len(active):
            break
    return distance


def _against(z: Tensor, own: Tensor) -> Tensor:
    """Log-sum-exp of the other classes' logits less the own one, shape (b,)."""
    other = z.scatter(1, own[:, None], -torch.inf)
    return other.logsumexp(1) - z.gather(1, own[:, None])[:, 0]


def deepfool_distance(logits: Logits, x: Tensor, *, steps: int) -> Tensor:
    """Euclidean length of DeepFool's perturbation that changes the class.

    Each step linearises the logits and goes to the nearest of the boundaries with the
    other classes. The code of DeepAL+ never remembers the shortest one found, and so
    always goes towards the last class. For a linear model the distance is exact:
    ``min over k of |(w_k - w_own) · x + b_k - b_own| / ||w_k - w_own||``.

    Parameters
    ----------
    logits : callable
    x : Tensor, shape (n, ...)
    steps : int
        Bound on the number of linearisations.

    Returns
    -------
    Tensor, shape (n,)
        Infinity where the class is the same after ``steps``.
    """
    z = logits(x).detach()
    order = z.argsort(1, descending=True)[:, :CANDIDATES]
    distance = torch.full((len(x),), torch.inf)
    total = torch.zeros_like(x)
    active = torch.arange(len(x))
    for _ in range(steps):
        at = (x[active] + (1 + OVERSHOOT) * total[active]).requires_grad_()
        total[active] += _to_nearest_boundary(logits(at), at, order[active])
        now = logits(x[active] + (1 + OVERSHOOT) * total[active]).detach().argmax(1)
        over = now != order[active, 0]
        changed = active[over]
        distance[changed] = total[changed].flatten(1).norm(dim=1)
        active = active[~over]
        if not len(active):
            break
    return distance


def _to_nearest_boundary(z: Tensor, at: Tensor, order: Tensor) -> Tensor:
    """Step to the nearest linearised boundary of the class ``order[:, 0]``, shape of ``at``."""
    shown = z.gather(1, order)
    gradients = [
        torch.autograd.grad(column.sum(), at, retain_graph=True)[0].flatten(1)
        for column in shown.unbind(1)
    ]
    away = torch.stack(gradients[1:], 1) - gradients[0][:, None]
    gap = (shown[:, :1] - shown[:, 1:]).detach().abs()
    length = away.norm(dim=2)
    far = torch.where(length > 0, gap / length, torch.inf)
    nearest = far.argmin(1)
    row = torch.arange(len(z))
    # Nothing pulls on a row whose logits are flat: it stays and resists.
    reach = torch.where(length > 0, gap / length.square().clamp_min(1e-30), 0.0)[row, nearest]
    return (reach[:, None] * away[row, nearest]).reshape(at.shape)


def in_chunks(
    net: nn.Module, rows: infer.Rows, count: int, attack: Callable[[Logits, Tensor], Tensor]
) -> NDArray[np.float64]:
    """Distances of all rows, shape (n,), of a network in evaluation mode."""

    def of_slice(s: slice) -> Tensor:
        with torch.enable_grad():
            return attack(net, rows(s)).double()

    with infer.evaluating(net):
        return infer.in_chunks(count, of_slice)
