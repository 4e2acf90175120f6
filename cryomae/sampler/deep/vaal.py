"""VAAL: candidates that a discriminator tells apart from the labelled ones.

Sinha, Ebrahimi and Darrell, *Variational Adversarial Active Learning*, ICCV 2019.
Written from the paper; a perceptron takes the place of the convolutions, because rows
are features or embeddings.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cryomae.sampler.deep import infer
from cryomae.sampler.deep.model import Task
from cryomae.sampler.deep.seeds import seeded
from cryomae.sampler.deep.train import Draw

HIDDEN = 64
"""Units of the hidden layer of encoder, decoder and discriminator."""

BATCH = 64
"""Rows of each kind in a step."""

LEARNING_RATE = 2e-3
"""Of both Adams; 5e-4 in the paper, for far longer training."""

binary_loss = nn.functional.binary_cross_entropy_with_logits


class VariationalAutoencoder(nn.Module):
    """Perceptron with a Gaussian code.

    Parameters
    ----------
    inputs, latent : int
        Features a row, and length of the code.
    """

    def __init__(self, inputs: int, latent: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(inputs, HIDDEN), nn.ReLU())
        self.mean = nn.Linear(HIDDEN, latent)
        self.log_variance = nn.Linear(HIDDEN, latent)
        self.decoder = nn.Sequential(
            nn.Linear(latent, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, inputs)
        )

    def code(self, x: Tensor) -> Tensor:
        """Mean code (b, latent) of rows (b, inputs)."""
        mean: Tensor = self.mean(self.encoder(x))
        return mean

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Drawn code (b, latent), and the negative evidence bound of the batch.

        That is squared error over features plus ``KL(q(z|x) || N(0, 1))``, a mean over
        rows.
        """
        h = self.encoder(x)
        mean, log_variance = self.mean(h), self.log_variance(h).clamp(-10, 10)
        z = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        error = (self.decoder(z) - x).square().sum(1)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
        return z, (error + divergence).mean()


def discriminator(latent: int) -> nn.Module:
    """Perceptron that gives the logit of "labelled", shape (b, 1), of codes (b, latent)."""
    return nn.Sequential(nn.Linear(latent, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))


def discriminator_loss(labelled: Tensor, unlabelled: Tensor) -> Tensor:
    """Cross-entropy of logits with target 1 for labelled and 0 for unlabelled rows.

    The code of DeepAL+ gives both the target 1, so that its discriminator learns to say
    "labelled" of everything.
    """
    return binary_loss(labelled, torch.ones_like(labelled)) + binary_loss(
        unlabelled, torch.zeros_like(unlabelled)
    )


def deception_loss(labelled: Tensor, unlabelled: Tensor) -> Tensor:
    """What the autoencoder minimises: both kinds of rows should pass as labelled."""
    return binary_loss(labelled, torch.ones_like(labelled)) + binary_loss(
        unlabelled, torch.ones_like(unlabelled)
    )


def fit_vaal(
    vae: VariationalAutoencoder,
    judge: nn.Module,
    labelled: Tensor,
    unlabelled: Draw,
    *,
    steps: int,
    adversarial: float,
) -> None:
    """Train autoencoder and discriminator in turn, in place.

    Parameters
    ----------
    vae, judge : Module
    labelled : Tensor, shape (m, f)
    unlabelled : callable
        Draws rows. Batches of both are drawn with replacement, equally large, so that the
        discriminator's prior is one half whatever the numbers.
    steps : int
        Pairs of steps.
    adversarial : float
        Weight of the deception against the evidence bound per feature.
    """
    of_vae = torch.optim.Adam(vae.parameters(), lr=LEARNING_RATE)
    of_judge = torch.optim.Adam(judge.parameters(), lr=LEARNING_RATE)
    for _ in range(steps):
        known = labelled[torch.randint(len(labelled), (BATCH,))]
        other = unlabelled(BATCH)
        z_known, bound_known = vae(known)
        z_other, bound_other = vae(other)
        loss = (bound_known + bound_other) / known.shape[1]
        loss = loss + adversarial * deception_loss(judge(z_known), judge(z_other))
        of_vae.zero_grad()
        loss.backward()
        of_vae.step()

        loss = discriminator_loss(judge(z_known.detach()), judge(z_other.detach()))
        of_judge.zero_grad()
        loss.backward()
        of_judge.step()


def unlabelled_probability(
    task: Task, seed: int, *, latent: int, steps: int, adversarial: float
) -> NDArray[np.float64]:
    """Probability of every row of the pool not to be labelled, shape (N,), trained from ``seed``.

    Of the mean code, so that no draw plays a part in it.
    """
    with seeded(seed):
        vae = VariationalAutoencoder(task.x.shape[1], latent)
        judge = discriminator(latent)
        fit_vaal(vae, judge, task.x, task.draw, steps=steps, adversarial=adversarial)
    with torch.no_grad():
        return infer.in_chunks(
            task.count,
            lambda s: torch.sigmoid(-judge(vae.code(task.rows(s))).double())[:, 0],
        )
