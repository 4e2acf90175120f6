"""The small task network: hidden layers that truly drop, a linear head, inputs standardised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

CHANNELS = (16, 32)
"""Feature maps of the two convolutions that read an image."""


@dataclass(frozen=True)
class Standard:
    """Affine map that gives each feature mean 0 and standard deviation 1.

    Attributes
    ----------
    mean, scale : Tensor, float32, shape (f,)
        A constant feature has scale 1.
    """

    mean: Tensor
    scale: Tensor

    @classmethod
    def of(cls, *features: NDArray) -> Standard:
        """Map of all rows of several arrays (n, f) together, in one pass over each."""
        total = sum(len(x) for x in features)
        mean = sum(x.sum(axis=0, dtype=np.float64) for x in features) / total
        square = np.zeros_like(mean)
        for x in features:
            for start in range(0, len(x), 8192):
                square += ((x[start : start + 8192] - mean) ** 2).sum(axis=0)
        scale = np.sqrt(square / total)
        # Rounding leaves a constant feature some dust of its own size.
        scale[scale <= 1e-6 * np.abs(mean)] = 0.0
        scale[scale == 0] = 1.0
        return cls(torch.from_numpy(mean).float(), torch.from_numpy(scale).float())

    def __call__(self, rows: NDArray) -> Tensor:
        """Standardised rows, float32, shape (n, f)."""
        return (torch.from_numpy(np.array(rows, dtype=np.float32)) - self.mean) / self.scale


class Layer(nn.Module):
    """Linear map, ReLU, dropout."""

    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, inputs) to (b, outputs)."""
        dropped: Tensor = self.dropout(torch.relu(self.linear(x)))
        return dropped


class ConvLayer(nn.Module):
    """Convolution, ReLU, halving of the size, dropout of whole feature maps."""

    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.convolve = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, inputs, h, w) to (b, outputs, ceil(h / 2), ceil(w / 2))."""
        halved = nn.functional.max_pool2d(torch.relu(self.convolve(x)), 2, ceil_mode=True)
        dropped: Tensor = self.dropout(halved)
        return dropped


class TaskNet(nn.Module):
    """Perceptron, or a small convolutional network where features are pixels.

    Parameters
    ----------
    inputs, classes : int
        Features a row, and logits.
    hidden : tuple of int
        Widths of the hidden layers; the last one is that of the embedding.
    dropout : float
        Share of units dropped behind every hidden layer while training and in
        stochastic passes.
    image : tuple of int, optional
        Channels, height and width whose product is ``inputs``: two convolutions then
        come before the hidden layers.
    """

    def __init__(
        self,
        inputs: int,
        classes: int,
        hidden: tuple[int, ...] = (64, 64),
        dropout: float = 0.2,
        image: tuple[int, int, int] | None = None,
    ) -> None:
        super().__init__()
        self.image = image
        stages: list[nn.Module] = []
        width = inputs
        if image is not None:
            channels, height, side = image
            for count in CHANNELS:
                stages.append(ConvLayer(channels, count, dropout))
                channels, height, side = count, -(-height // 2), -(-side // 2)
            width = channels * height * side
        for units in hidden:
            stages.append(Layer(width, units, dropout))
            width = units
        self.stages = nn.ModuleList(stages)
        self.head = nn.Linear(width, classes)

    @property
    def widths(self) -> list[int]:
        """Width of each of `taps`."""
        return [
            s.linear.out_features if isinstance(s, Layer) else s.convolve.out_channels
            for s in self.stages
            if isinstance(s, Layer | ConvLayer)
        ]

    def taps(self, x: Tensor) -> list[Tensor]:
        """What each hidden layer gives for ``x`` (b, inputs); feature maps are averaged.

        Returns
        -------
        list of Tensor, shapes (b, widths[i])
            The last one is the embedding.
        """
        given = []
        h = x if self.image is None else x.unflatten(1, self.image)
        for stage in self.stages:
            if isinstance(stage, Layer) and h.ndim > 2:
                h = h.flatten(1)
            h = stage(h)
            given.append(h.mean((2, 3)) if h.ndim > 2 else h)
        return given

    def embed(self, x: Tensor) -> Tensor:
        """Embedding (b, hidden[-1]), what the head reads, of standardised inputs (b, inputs)."""
        return self.taps(x)[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Logits (b, classes) of standardised inputs (b, inputs)."""
        logits: Tensor = self.head(self.embed(x))
        return logits
