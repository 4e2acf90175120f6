"""Encoder with a head that says, every other working pixel, whether a particle is centred there.

Two paths see a window. The masked autoencoder's encoder turns it into tokens that know the
whole window; a small convolutional pyramid keeps the detail that a token of eight pixels
loses. They meet at the scale of the tokens and go up again to the scale of the scores, as in
a U-Net (Ronneberger, Fischer and Brox, MICCAI 2015). Either path can be left out, so that
what each of them gives can be measured.
"""

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cryomae.model.mae import Encoder, EncoderConfig
from cryomae.sizes import COARSE, WIDTHS

PRIOR = 0.02
"""Share of positive score pixels at which an untrained head starts, so that early loss is calm."""


def _convolve(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, 1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )


class Correction(nn.Module):
    """What exemplars or answers change: scale of the logits, and a linear part of the latents.

    A linear part passes through the blending of windows unchanged, so it can be learnt from
    latents that were computed once (see `cryomae.train.head`) and be applied to any image.
    """

    slope: Tensor
    offset: Tensor
    here: Tensor
    around: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("slope", torch.ones(()))
        self.register_buffer("offset", torch.zeros(()))
        self.register_buffer("here", torch.zeros(COARSE))
        self.register_buffer("around", torch.zeros(COARSE))

    def forward(self, logits: Tensor, coarse: Tensor) -> Tensor:
        """Changed logits (b, 1, window / STRIDE, window / STRIDE)."""
        coarse = coarse.float()
        near = nn.functional.pad(coarse, (1, 1, 1, 1), mode="replicate")
        near = nn.functional.avg_pool2d(near, 3, stride=1)
        part = (coarse * self.here[:, None, None] + near * self.around[:, None, None]).sum(
            dim=1, keepdim=True
        )
        wide = nn.functional.interpolate(
            part, size=logits.shape[-2:], mode="bilinear", align_corners=False
        )
        return self.slope * logits + wide + self.offset


def _double(x: Tensor) -> Tensor:
    return nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class Pyramid(nn.Module):
    """Detail of a window at 2, 4 and 8 working pixels."""

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d = WIDTHS
        self.stem = _convolve(1, a)
        self.at_2 = nn.Sequential(_convolve(a, b, 2), _convolve(b, b))
        self.at_4 = nn.Sequential(_convolve(b, c, 2), _convolve(c, c))
        self.at_8 = nn.Sequential(_convolve(c, d, 2), _convolve(d, d))

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features at 2, 4 and 8 working pixels."""
        half = self.at_2(self.stem(windows))
        quarter = self.at_4(half)
        return half, quarter, self.at_8(quarter)


class ParticleDetector(nn.Module):
    """The model that picks.

    Parameters
    ----------
    config : EncoderConfig
    tokens, detail : bool
        Whether there is an encoder, and whether there is a pyramid: both, but for ablations.

    Attributes
    ----------
    correction : Correction or None
        What a user's exemplars or answers changed.
    """

    def __init__(self, config: EncoderConfig, tokens: bool = True, detail: bool = True) -> None:
        super().__init__()
        if config.patch != 8:
            raise ValueError("the head is made for patches of 8 working pixels")
        _, b, c, d = WIDTHS
        self.config = config
        self.encoder = Encoder(config) if tokens else None
        self.pyramid = Pyramid() if detail else None
        self.enter = nn.Conv2d(config.dim, d, 1)
        self.join = _convolve(d, d)
        self.at_4 = nn.Sequential(_convolve(d + (c if detail else 0), c), _convolve(c, c))
        self.at_2 = nn.Sequential(_convolve(c + (b if detail else 0), b), _convolve(b, b))
        self.leave = nn.Conv2d(b, 1, 1)
        self.correction: Correction | None = None
        assert self.leave.bias is not None
        nn.init.constant_(self.leave.bias, float(torch.logit(torch.tensor(PRIOR))))

    def features(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """What is known of every place.

        Returns
        -------
        coarse : Tensor, shape (b, 128, window / 8, window / 8)
        fine : Tensor, shape (b, 32, window / STRIDE, window / STRIDE)
        """
        windows = windows.contiguous(memory_format=torch.channels_last)
        skips: tuple[Tensor, ...] = ()
        eighth: Tensor | None = None
        if self.pyramid is not None:
            half, quarter, eighth = self.pyramid(windows)
            skips = (quarter, half)
        if self.encoder is not None:
            grid = self.config.grid
            seen = self.encoder(windows).transpose(1, 2).unflatten(2, (grid, grid))
            entered = self.enter(seen)
            eighth = entered if eighth is None else eighth + entered
        assert eighth is not None
        coarse = self.join(eighth)
        x = self.at_4(torch.cat([_double(coarse), *skips[:1]], dim=1))
        x = self.at_2(torch.cat([_double(x), *skips[1:]], dim=1))
        return coarse, x

    def answer(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Logits as `forward` gives them, and the coarse latents of `features`."""
        coarse, fine = self.features(windows)
        logits: Tensor = self.leave(fine)
        if self.correction is not None:
            logits = self.correction(logits, coarse)
        return logits, coarse

    def forward(self, windows: Tensor) -> Tensor:
        """Logits (b, 1, window / STRIDE, window / STRIDE) of windows (b, 1, window, window)."""
        return self.answer(windows)[0]

    @torch.no_grad()
    def calibrate(self, slope: float, offset: float) -> None:
        """Change the last layer so that logits become ``slope * logit + offset``.

        With Platt scaling's numbers (Platt, *Probabilistic outputs for support vector
        machines*, 1999) the sigmoid of a peak's logit is then the probability that it is a
        particle: the calibration is part of the weights, and of their hash.
        """
        assert self.leave.bias is not None
        self.leave.weight.mul_(slope)
        self.leave.bias.mul_(slope).add_(offset)


def corrected(
    model: ParticleDetector, slope: float, offset: float, weights: NDArray[np.float64]
) -> ParticleDetector:
    """A copy of a model with the logits ``slope * logit + offset + weights · latents``.

    Parameters
    ----------
    model : ParticleDetector
        That the latents came from; it may have a correction already.
    slope, offset : float
    weights : ndarray, shape (LATENT,)
        Of the latent of the cell, then of the mean of 3 × 3 cells.
    """
    made = copy.deepcopy(model)
    before, after = (made.correction or Correction()).cpu(), Correction()
    after.slope.copy_(slope * before.slope)
    after.offset.copy_(slope * before.offset + offset)
    here, around = torch.from_numpy(weights).float().split(COARSE)
    after.here.copy_(slope * before.here + here)
    after.around.copy_(slope * before.around + around)
    made.correction = after.to(model.leave.weight.device)
    return made
