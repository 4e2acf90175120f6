"""Encoder with a head that says, every other working pixel, whether a particle is centred there."""

import torch
from torch import Tensor, nn

from cryomae.model.mae import Encoder, EncoderConfig

STRIDE = 2
"""Working pixels between two scores; score (0, 0) lies at pixel ``(STRIDE - 1) / 2``."""

PRIOR = 0.03
"""Share of positive score pixels at which an untrained head starts, so that early loss is calm."""


class ParticleHead(nn.Module):
    """Scores from tokens: each token becomes a small patch of features, smoothed across patches."""

    def __init__(self, config: EncoderConfig, features: int = 24) -> None:
        super().__init__()
        self.config = config
        self.up = config.patch // STRIDE
        self.spread = nn.Linear(config.dim, features * self.up**2)
        self.smooth = nn.Sequential(
            nn.GELU(),
            nn.Conv2d(features, features, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(features, features, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(features, 1, 1),
        )
        last = self.smooth[-1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        nn.init.constant_(last.bias, float(torch.logit(torch.tensor(PRIOR))))

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (b, 1, window / STRIDE, window / STRIDE) from tokens (b, n, dim)."""
        grid = self.config.grid
        features = self.spread(tokens).transpose(1, 2).unflatten(2, (grid, grid))
        logits: Tensor = self.smooth(nn.functional.pixel_shuffle(features, self.up))
        return logits


class ParticleDetector(nn.Module):
    """The model that picks: a pretrained encoder and a particle-versus-background head.

    Parameters
    ----------
    config : EncoderConfig
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.head = ParticleHead(config)

    @property
    def config(self) -> EncoderConfig:
        """Shape of the encoder."""
        return self.encoder.config

    def forward(self, windows: Tensor) -> Tensor:
        """Logits (b, 1, window / STRIDE, window / STRIDE) of windows (b, 1, window, window)."""
        logits: Tensor = self.head(self.encoder(windows))
        return logits
