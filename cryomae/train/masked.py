"""The masked task: reconstruct what is hidden, from a quarter of a window."""

from __future__ import annotations

from enum import StrEnum

import torch
from torch import Tensor, distributed
from torchvision.transforms.functional import gaussian_blur

from cryomae.model.mae import (
    MaskedAutoencoder,
    hidden_pixels,
    random_keep,
    reconstruction_loss,
)
from cryomae.prepare import WORKING_DIAMETER
from cryomae.train.loop import Batch, Task

LOW_PASS = 0.06
"""Standard deviation of the low-pass filter in diameters: ours; features of a tenth of a
particle's diameter survive it, most of the shot noise does not."""


class Target(StrEnum):
    """What a masked autoencoder has to reconstruct."""

    raw = "raw"
    """The window itself, as in the MAE paper."""
    lowpass = "lowpass"
    """The window without its fine noise, which no model can predict."""
    clean = "clean"
    """The window before noise: simulated fields only."""


def target_of(batch: Batch, target: Target) -> Tensor:
    """What is to be reconstructed of a batch, shape (b, 1, window, window)."""
    if target is Target.raw:
        return batch["image"]
    if target is Target.clean:
        return batch["clean"]
    sigma = LOW_PASS * WORKING_DIAMETER
    return gaussian_blur(batch["image"], 2 * round(3 * sigma) + 1, sigma) * batch["valid"]


class MaskedTask(Task):
    """A masked autoencoder that learns to fill in.

    Parameters
    ----------
    autoencoder : MaskedAutoencoder
    mask : float
        Share of hidden patches.
    target : Target
    seed : int
        Of the masks.
    """

    def __init__(
        self, autoencoder: MaskedAutoencoder, mask: float, target: Target, seed: int
    ) -> None:
        super().__init__()
        self.autoencoder = autoencoder
        self.mask, self.target, self.seed = mask, target, seed

    def reconstruct(self, batch: Batch, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruction, target and hidden pixels, each (b, 1, window, window)."""
        image, config = batch["image"], self.autoencoder.encoder.config
        generator = torch.Generator().manual_seed(hash((self.seed, step)) % 2**63)
        # Processes that share a batch draw the masks of all of it: however many they are,
        # a window is masked alike.
        rank, world = _place()
        keep = random_keep(world * len(image), config.grid**2, self.mask, generator)
        keep = keep[rank * len(image) : (rank + 1) * len(image)].to(image.device)
        target = target_of(batch, self.target)
        return self.autoencoder(image, keep), target, hidden_pixels(keep, config)

    def forward(self, batch: Batch, step: int) -> Tensor:
        """Mean loss over the batch."""
        return reconstruction_loss(*self.reconstruct(batch, step))


def _place() -> tuple[int, int]:
    """Which process this is, and of how many."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1
