"""AutoAL's bi-level search: which candidate strategy to trust for which row.

Wang, Zhan and Huang, *AutoAL: Automated Active Learning with Differentiable Query Strategy
Search*, ICML 2025. SearchNet weighs the candidates' scores so that the rows it would choose
have a high loss; FitNet learns from the rows it would choose. Their code relaxes the choice
with a sigmoid of slope 1e11, whose gradient is exactly zero, and counts what was chosen
outside of the graph. Ours, so that the search moves at all:

- candidates give ranks from 0 to 1, SearchNet's weights are a softmax over candidates;
- the sigmoid's width follows the spread of the scores, and shrinks while training;
- the threshold is the scores' own quantile, not that of draws from a Gaussian mixture;
- the count of chosen rows is the sum of the relaxed choice, and has a gradient;
- perceptrons on features take the place of two ResNets, and no loss module is trained;
- each half of the labels is the "unlabelled" one in turn, and FitNet keeps learning from
  the other half, else it would merely memorise what is chosen and turn the search round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cryomae.sampler.deep.net import TaskNet

HIDDEN = 32
"""Units of SearchNet's hidden layer."""

WIDEST, NARROWEST = 1.0, 0.1
"""Width of the relaxation at the start and at the end, in standard deviations of the score."""

COUNT_WEIGHT = 0.5
"""λ, weight of the count penalty."""

SEARCH_RATE, FIT_RATE = 1e-2, 1e-3
"""Learning rates of SearchNet and FitNet."""


class SearchNet(nn.Module):
    """Weights of the candidates for each row, at first all equal.

    Parameters
    ----------
    inputs, candidates : int
        Features a row, and weights.
    """

    def __init__(self, inputs: int, candidates: int) -> None:
        super().__init__()
        self.enter = nn.Linear(inputs, HIDDEN)
        self.leave = nn.Linear(HIDDEN, candidates)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Weights (b, K) that sum to 1, of standardised rows (b, inputs)."""
        weights: Tensor = torch.softmax(self.leave(torch.relu(self.enter(x))), 1)
        return weights

    def score(self, x: Tensor, ranks: Tensor) -> Tensor:
        """Weighted sum (b,) of the candidates' ranks (b, K)."""
        return (self(x) * ranks).sum(1)


@dataclass(frozen=True)
class Half:
    """One split of the labels: what FitNet was trained on, and what is to be chosen from.

    Attributes
    ----------
    fit : TaskNet
        Trained on the known half.
    known_x, known_y : Tensor, shapes (a, f) and (a,)
    x, y : Tensor, shapes (b, f) and (b,)
        The half that plays the pool.
    seen : Tensor, shape (b, f)
        The same rows as SearchNet reads them.
    ranks : ndarray, shape (b, K)
        Candidates' scores of them, 0 to 1.
    """

    fit: TaskNet
    known_x: Tensor
    known_y: Tensor
    x: Tensor
    y: Tensor
    seen: Tensor
    ranks: NDArray[np.float64]


def relaxed_choice(score: Tensor, share: float, width: float) -> Tensor:
    """How far each row is chosen, 0 to 1, if the best ``share`` of them are.

    ``sigmoid((score - threshold) / (width * std))``, where threshold and standard deviation
    are constants of the gradient.

    Parameters
    ----------
    score : Tensor, shape (b,)
    share : float
        From 0 to 1.
    width : float
        In standard deviations of the score.
    """
    still = score.detach()
    threshold = torch.quantile(still, 1 - share)
    spread = still.std(correction=0).clamp_min(1e-6)
    return torch.sigmoid((score - threshold) / (width * spread))


def count_reward(chosen: Tensor, share: float) -> Tensor:
    """The paper's ``1 / (1 + exp(|α - t B| / 2)) - 1/2``: 0 for the right count, else below.

    Parameters
    ----------
    chosen : Tensor, shape (B,)
        Relaxed choice, whose sum is α.
    share : float
        t.
    """
    return torch.sigmoid(-0.5 * (chosen.sum() - share * len(chosen)).abs()) - 0.5


def search_loss(chosen: Tensor, loss: Tensor, share: float) -> Tensor:
    """What SearchNet minimises: less the loss of what is chosen, less the count reward.

    Losses count by how far they lie from their mean, in standard deviations: for a fixed
    number of rows that is the same search, and their scale no longer matters.

    Parameters
    ----------
    chosen : Tensor, shape (b,)
    loss : Tensor, shape (b,)
        FitNet's; no gradient reaches it.
    share : float
    """
    fixed = loss.detach()
    level = (fixed - fixed.mean()) / fixed.std(correction=0).clamp_min(1e-6)
    gain = (chosen * level).mean() / share
    return -gain - COUNT_WEIGHT * count_reward(chosen, share)


def search(net: SearchNet, halves: list[Half], *, rounds: int, share: float) -> None:
    """Train SearchNet and the FitNets in turn, in place.

    Parameters
    ----------
    net : SearchNet
    halves : list of Half
    rounds : int
        Times that each net of each half takes a step.
    share : float
        Share of a half that is chosen.
    """
    searching = torch.optim.Adam(net.parameters(), lr=SEARCH_RATE)
    fitting = [
        torch.optim.AdamW(half.fit.parameters(), lr=FIT_RATE, weight_decay=1e-3) for half in halves
    ]
    given = [torch.from_numpy(half.ranks).float() for half in halves]
    cross_entropy = nn.functional.cross_entropy
    for turn in range(rounds):
        width = WIDEST * (NARROWEST / WIDEST) ** (turn / max(rounds - 1, 1))
        for half, ranks, optimiser in zip(halves, given, fitting, strict=True):
            chosen = relaxed_choice(net.score(half.seen, ranks), share, width)
            half.fit.train()
            each = cross_entropy(half.fit(half.x), half.y, reduction="none")
            known = cross_entropy(half.fit(half.known_x), half.known_y)
            loss = known + (chosen.detach() * each).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

            half.fit.eval()
            with torch.no_grad():
                each = cross_entropy(half.fit(half.x), half.y, reduction="none")
            loss = search_loss(chosen, each, share)
            searching.zero_grad()
            loss.backward()
            searching.step()
