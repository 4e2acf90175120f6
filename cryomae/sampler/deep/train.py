"""Training loops short enough to be read: mini-batches, and a classifier fitted with Adam."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

Draw = Callable[[int], Tensor]
"""Draws that many rows at random, with replacement, from torch's generator."""


def mini_batches(count: int, size: int) -> Iterator[Tensor]:
    """Row numbers of one pass over ``count`` rows in random order, in batches of ``size``.

    A last batch of one row is joined to the one before it: pairs and batch statistics
    need two.
    """
    order = torch.randperm(count)
    starts = list(range(0, count, size))
    if len(starts) > 1 and count - starts[-1] == 1:
        starts.pop()
    for start, end in zip(starts, [*starts[1:], count], strict=True):
        yield order[start:end]


def fit_classifier(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    epochs: int,
    batch: int,
    learning_rate: float,
    weight_decay: float,
) -> None:
    """Minimise cross-entropy with Adam, in place; the net is left in evaluation mode.

    Parameters
    ----------
    net : Module
        Logits (b, C) of inputs.
    x : Tensor, shape (n, f)
    y : Tensor, int64, shape (n,)
    epochs, batch : int
        Passes over the rows, and rows a step.
    learning_rate, weight_decay : float
        Of Adam, the decay decoupled (AdamW).
    """
    optimiser = torch.optim.AdamW(net.parameters(), lr=learning_rate, weight_decay=weight_decay)
    net.train()
    for _ in range(epochs):
        for rows in mini_batches(len(x), batch):
            loss = nn.functional.cross_entropy(net(x[rows]), y[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    net.zero_grad(set_to_none=True)
    net.eval()
