"""The masked autoencoder: an encoder sees a quarter of a window, a decoder fills in the rest.

Written from the paper: He et al., *Masked Autoencoders Are Scalable Vision Learners*,
CVPR 2022 (arXiv 2111.06377), on timm's transformer blocks. Ours are one input channel,
a patch embedding of two steps (patches do not see each other, so masking stays exact)
and the reconstruction target, which is passed in: on simulated micrographs it is the
noise-free image, because the noise in a raw one cannot be predicted from its neighbours.
"""

from dataclasses import dataclass

import torch
from timm.models.vision_transformer import Attention, Block
from torch import Tensor, nn


@dataclass(frozen=True)
class EncoderConfig:
    """Shape of the encoder.

    Attributes
    ----------
    window, patch : int
        Side of a window and of a patch in working pixels.
    dim, depth, heads : int
        Token width, number of transformer blocks and attention heads.
    mlp_ratio : float
        Width of a block's hidden layer over ``dim``.
    """

    window: int = 128
    patch: int = 8
    dim: int = 192
    depth: int = 6
    heads: int = 3
    mlp_ratio: float = 3.0

    @property
    def grid(self) -> int:
        """Tokens along one side of a window."""
        return self.window // self.patch


def sincos_positions(grid: int, dim: int) -> Tensor:
    """Fixed two-dimensional sine-cosine embedding, shape (1, grid * grid, dim)."""
    omega = 1.0 / 10000 ** (torch.arange(dim // 4, dtype=torch.float64) / (dim // 4))
    place = torch.arange(grid, dtype=torch.float64)[:, None] * omega
    line = torch.cat([place.sin(), place.cos()], dim=1)
    rows = line[:, None].expand(grid, grid, -1)
    cols = line[None].expand(grid, grid, -1)
    return torch.cat([rows, cols], dim=2).reshape(1, grid * grid, dim).float()


def choose_attention(network: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Compute attention the way that is faster on a device.

    For 256 tokens torch's fused attention takes twice as long as two products with a softmax
    between on a CPU that multiplies bfloat16, and no longer in float32.

    Parameters
    ----------
    network : Module
        Whose attention of timm is set.
    device : torch.device
    dtype : torch.dtype
        In which it multiplies there.
    """
    fused = device.type != "cpu" or dtype != torch.bfloat16
    for module in network.modules():
        if isinstance(module, Attention):
            module.fused_attn = fused  # type: ignore[misc]  # final for TorchScript


class Encoder(nn.Module):
    """Vision transformer over the patches of one window."""

    positions: Tensor

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        half = config.patch // 2
        self.stem = nn.Sequential(
            nn.Conv2d(1, config.dim // 2, half, stride=half),
            nn.GELU(),
            nn.Conv2d(config.dim // 2, config.dim, 2, stride=2),
        )
        self.register_buffer(
            "positions", sincos_positions(config.grid, config.dim), persistent=False
        )
        self.blocks = nn.ModuleList(
            Block(config.dim, config.heads, mlp_ratio=config.mlp_ratio, qkv_bias=True)
            for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.dim)

    def forward(self, windows: Tensor, keep: Tensor | None = None) -> Tensor:
        """Encode windows.

        Parameters
        ----------
        windows : Tensor, shape (b, 1, window, window)
        keep : Tensor of int, shape (b, k), optional
            Patches to see, as row-major indices; all of them by default.

        Returns
        -------
        Tensor, shape (b, k, dim)
        """
        tokens = self.stem(windows).flatten(2).transpose(1, 2) + self.positions
        if keep is not None:
            tokens = tokens.gather(1, keep[..., None].expand(-1, -1, tokens.shape[2]))
        for block in self.blocks:
            tokens = block(tokens)
        encoded: Tensor = self.norm(tokens)
        return encoded


def random_keep(
    batch: int, patches: int, ratio: float, generator: torch.Generator | None
) -> Tensor:
    """Indices of the patches that stay visible, sorted, shape (batch, patches * (1 - ratio))."""
    order = torch.rand(batch, patches, generator=generator).argsort(1)
    return order[:, : max(1, round(patches * (1 - ratio)))].sort(1).values


class MaskedAutoencoder(nn.Module):
    """Encoder and light decoder for masked pretraining.

    Parameters
    ----------
    config : EncoderConfig
    decoder_dim, decoder_depth, decoder_heads : int
        Shape of the decoder, which is dropped after pretraining.
    """

    positions: Tensor

    def __init__(
        self,
        config: EncoderConfig,
        decoder_dim: int = 128,
        decoder_depth: int = 2,
        decoder_heads: int = 4,
    ) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.enter = nn.Linear(config.dim, decoder_dim)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder_dim))
        nn.init.normal_(self.mask_token, std=0.02)
        self.register_buffer(
            "positions", sincos_positions(config.grid, decoder_dim), persistent=False
        )
        self.blocks = nn.Sequential(
            *(Block(decoder_dim, decoder_heads, qkv_bias=True) for _ in range(decoder_depth))
        )
        self.norm = nn.LayerNorm(decoder_dim)
        self.leave = nn.Linear(decoder_dim, config.patch**2)

    def forward(self, windows: Tensor, keep: Tensor) -> Tensor:
        """Reconstruct whole windows from the patches in ``keep``.

        Parameters
        ----------
        windows : Tensor, shape (b, 1, window, window)
        keep : Tensor of int, shape (b, k)
            Visible patches, as `random_keep` draws them.

        Returns
        -------
        Tensor, shape (b, 1, window, window)
        """
        config = self.encoder.config
        seen = self.enter(self.encoder(windows, keep))
        full = self.mask_token.to(seen.dtype).repeat(len(windows), config.grid**2, 1)
        full = full.scatter(1, keep[..., None].expand(-1, -1, seen.shape[2]), seen)
        pixels = self.leave(self.norm(self.blocks(full + self.positions)))
        return unpatchify(pixels, config.patch)


def unpatchify(patches: Tensor, patch: int) -> Tensor:
    """Pixels of row-major patches (b, n, patch * patch) as images (b, 1, side, side)."""
    b, n, _ = patches.shape
    grid = round(n**0.5)
    image = patches.reshape(b, grid, grid, patch, patch).permute(0, 1, 3, 2, 4)
    return image.reshape(b, 1, grid * patch, grid * patch)


def hidden_pixels(keep: Tensor, config: EncoderConfig) -> Tensor:
    """1 where a pixel's patch was hidden, else 0; shape (b, 1, window, window)."""
    hidden = torch.ones(len(keep), config.grid**2).to(keep.device)
    hidden = hidden.scatter(1, keep, 0.0)
    return unpatchify(hidden[..., None].expand(-1, -1, config.patch**2), config.patch)


def reconstruction_loss(output: Tensor, target: Tensor, hidden: Tensor) -> Tensor:
    """Mean squared error over hidden pixels plus that over visible ones.

    With a noise-free target the visible half teaches denoising, as DRACO (NeurIPS 2024)
    does with frame pairs; equal weights are our choice. Windows with hardly any signal
    would count for nothing, so the target is divided by its own standard deviation in
    the window, plus 0.1 (our choice, so that an empty window does not become amplified
    numerical dust).

    Parameters
    ----------
    output, target, hidden : Tensor, shape (b, 1, window, window)
        ``hidden`` as `hidden_pixels` makes it.
    """
    strength = target.std(dim=(1, 2, 3), keepdim=True) + 0.1
    squared = (output.float() - target / strength) ** 2
    seen = 1 - hidden
    return (squared * hidden).sum() / hidden.sum() + (squared * seen).sum() / seen.sum()
