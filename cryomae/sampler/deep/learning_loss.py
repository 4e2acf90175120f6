"""Learning loss: a small module beside the task network learns to foresee its loss.

Yoo and Kweon, *Learning Loss for Active Learning*, CVPR 2019. Written from the paper.
Ours: tiny widths, and training lengths in epochs of a small labelled set.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cryomae.sampler.deep import infer
from cryomae.sampler.deep.model import Task
from cryomae.sampler.deep.net import TaskNet
from cryomae.sampler.deep.seeds import seeded
from cryomae.sampler.deep.train import mini_batches

MARGIN = 1.0
"""ξ of the ranking loss, from the paper."""

WIDTH = 32
"""Units to which each hidden layer is brought before they are joined; 128 in the paper."""

BATCH = 64
"""Labels a step."""

LEARNING_RATE = 5e-3
"""Of AdamW; the paper uses SGD."""


class LossModule(nn.Module):
    """Predicted loss of a row from every hidden layer of the task network.

    Parameters
    ----------
    widths : list of int
        Widths of the taps.
    """

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.enter = nn.ModuleList(nn.Linear(width, WIDTH) for width in widths)
        self.leave = nn.Linear(WIDTH * len(widths), 1)

    def forward(self, taps: list[Tensor]) -> Tensor:
        """Predicted losses, shape (b,), of taps (b, widths[i])."""
        joined = [torch.relu(layer(tap)) for layer, tap in zip(self.enter, taps, strict=True)]
        predicted: Tensor = self.leave(torch.cat(joined, 1))[:, 0]
        return predicted


def ranking_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """Mean over pairs of ``max(0, margin - sign(l_i - l_j) (p_i - p_j))``.

    Row ``i`` is paired with row ``i + b // 2``; of an odd batch the last row has no
    partner and counts for nothing (public code stops with an error there). Pairs with
    equal losses have no order and cost nothing, where the paper counts one as smaller.

    Parameters
    ----------
    predicted, true : Tensor, shape (b,)
        No gradient reaches ``true``.
    """
    half = len(predicted) // 2
    if half == 0:
        return predicted.sum() * 0.0
    sign = torch.sign(true.detach()[:half] - true.detach()[half : 2 * half])
    gap = predicted[:half] - predicted[half : 2 * half]
    return (sign.abs() * torch.relu(MARGIN - sign * gap)).mean()


def fit_with_loss_module(
    net: TaskNet,
    module: LossModule,
    x: Tensor,
    y: Tensor,
    *,
    epochs: int,
    weight: float,
    joint: float,
) -> None:
    """Train network and module together, in place; both are left in evaluation mode.

    The loss is cross-entropy plus ``weight`` times the ranking loss. After a share
    ``joint`` of the epochs the ranking loss no longer moves the network (0.6 in the
    paper, 120 of 200 epochs).

    Parameters
    ----------
    net, module : Module
    x : Tensor, shape (n, f)
    y : Tensor, int64, shape (n,)
    epochs : int
    weight : float
        λ of the paper.
    joint : float
    """
    parameters = [*net.parameters(), *module.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=1e-4)
    net.train()
    module.train()
    for epoch in range(epochs):
        for rows in mini_batches(len(x), BATCH):
            taps = net.taps(x[rows])
            true = nn.functional.cross_entropy(net.head(taps[-1]), y[rows], reduction="none")
            seen = taps if epoch < joint * epochs else [tap.detach() for tap in taps]
            loss = true.mean() + weight * ranking_loss(module(seen), true)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    net.eval()
    module.eval()


def predicted_loss(
    task: Task, seed: int, *, epochs: int, weight: float, joint: float
) -> NDArray[np.float64]:
    """Predicted loss of every row of the pool, shape (N,), of nets trained from ``seed``."""
    with seeded(seed):
        net = TaskNet(task.x.shape[1], task.classes)
        module = LossModule(net.widths)
        fit_with_loss_module(net, module, task.x, task.y, epochs=epochs, weight=weight, joint=joint)
    with infer.evaluating(net):
        return infer.in_chunks(task.count, lambda s: module(net.taps(task.rows(s))).double())
