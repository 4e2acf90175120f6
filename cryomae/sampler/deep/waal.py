"""WAAL: unsure candidates that lie far, in Wasserstein distance, from the labelled ones.

Shui, Zhou, Gagné and Wang, *Deep Active Learning: Unified and Principled Method for
Query and Training*, AISTATS 2020.
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
from cryomae.sampler.deep.train import Draw

HIDDEN = 64
"""Units of the critic's hidden layer."""

PENALTY = 10.0
"""Weight of the gradient penalty (Gulrajani et al., NeurIPS 2017)."""

BATCH = 64
"""Rows of each kind in a step."""

CRITIC_STEPS = 3
"""Steps of the critic before each of the classifier."""

LEARNING_RATE = 2e-3
"""Of both optimisers."""


def critic(width: int) -> nn.Module:
    """Perceptron that gives one number, shape (b, 1), of embeddings (b, width)."""
    return nn.Sequential(nn.Linear(width, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))


def distance_estimate(judge: nn.Module, labelled: Tensor, unlabelled: Tensor) -> Tensor:
    """Difference of the critic's means, high on unlabelled rows.

    The largest that a 1-Lipschitz critic reaches is the Wasserstein-1 distance of the two
    (Kantorovich-Rubinstein).
    """
    gap: Tensor = judge(unlabelled).mean() - judge(labelled).mean()
    return gap


def gradient_penalty(judge: nn.Module, labelled: Tensor, unlabelled: Tensor) -> Tensor:
    """Mean of ``(||gradient|| - 1)^2`` at random points between rows, of equal numbers of both."""
    share = torch.rand(len(labelled), 1)
    between = (share * labelled + (1 - share) * unlabelled).detach().requires_grad_()
    gradient = torch.autograd.grad(judge(between).sum(), between, create_graph=True)[0]
    return (gradient.norm(dim=1) - 1).square().mean()


def fit_critic_step(
    judge: nn.Module, optimiser: torch.optim.Optimizer, labelled: Tensor, unlabelled: Tensor
) -> None:
    """One step of the critic towards the Wasserstein distance of two batches of embeddings."""
    loss = PENALTY * gradient_penalty(judge, labelled, unlabelled)
    loss = loss - distance_estimate(judge, labelled, unlabelled)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def fit_waal(
    net: TaskNet,
    judge: nn.Module,
    labelled: Tensor,
    y: Tensor,
    unlabelled: Draw,
    *,
    steps: int,
    transport: float,
) -> None:
    """Train classifier and critic in turn, in place; the classifier is left evaluating.

    The classifier minimises cross-entropy plus ``transport`` times the distance between
    labelled and unlabelled embeddings, which the critic maximises.

    Parameters
    ----------
    net, judge : Module
    labelled : Tensor, shape (m, f)
    y : Tensor, int64, shape (m,)
    unlabelled : callable
        Draws rows. Batches of both are drawn with replacement and equally large; the
        paper weights labelled rows by their share instead, which is the same in
        expectation.
    steps : int
        Steps of the classifier.
    transport : float
        μ of the paper.
    """
    of_net = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=1e-4)
    of_judge = torch.optim.Adam(judge.parameters(), lr=LEARNING_RATE, betas=(0.5, 0.9))
    net.train()
    for _ in range(steps):
        rows = torch.randint(len(labelled), (BATCH,))
        known = net.embed(labelled[rows])
        other = net.embed(unlabelled(BATCH))
        for _ in range(CRITIC_STEPS):
            fit_critic_step(judge, of_judge, known.detach(), other.detach())
        loss = nn.functional.cross_entropy(net.head(known), y[rows])
        loss = loss + transport * distance_estimate(judge, known, other)
        of_net.zero_grad()
        loss.backward()
        of_net.step()
    net.eval()


def query_score(logits: Tensor, critics: Tensor, diversity: float) -> Tensor:
    """Score, higher for rows more worth labelling, shape (n,).

    ``-(||log p||_2 - sum log p) / 2 + diversity * critic``. The first part is the mean of
    two upper bounds of the loss over unknown labels, and largest where ``p`` is uniform.

    Parameters
    ----------
    logits : Tensor, shape (n, C)
    critics : Tensor, shape (n,)
        What the critic says, less its mean over labelled rows.
    diversity : float
    """
    log_p = torch.log_softmax(logits.double(), 1)
    bound = (log_p.norm(dim=1) - log_p.sum(1)) / 2
    return diversity * critics - bound


def unsure_and_unlike(
    task: Task, seed: int, *, steps: int, transport: float, diversity: float
) -> NDArray[np.float64]:
    """`query_score` of every row of the pool, shape (N,), of nets trained from ``seed``."""
    with seeded(seed):
        net = TaskNet(task.x.shape[1], task.classes)
        judge = critic(net.head.in_features)
        fit_waal(net, judge, task.x, task.y, task.draw, steps=steps, transport=transport)

    with infer.evaluating(net):
        zero = judge(net.embed(task.x)).mean()

        def of_slice(s: slice) -> Tensor:
            h = net.embed(task.rows(s))
            return query_score(net.head(h), judge(h)[:, 0] - zero, diversity)

        return infer.in_chunks(task.count, of_slice)
