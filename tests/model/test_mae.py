"""The masked autoencoder sees only what it is shown."""

import pytest
import torch

from cryomae.model import EncoderConfig, MaskedAutoencoder
from cryomae.model.mae import hidden_pixels, random_keep, reconstruction_loss, unpatchify

SMALL = EncoderConfig(window=32, patch=8, dim=48, depth=2, heads=2)


def test_three_quarters_are_hidden():
    keep = random_keep(5, 256, 0.75, torch.Generator().manual_seed(0))
    assert keep.shape == (5, 64)
    assert all(len(set(row.tolist())) == 64 for row in keep)
    assert hidden_pixels(keep, EncoderConfig()).mean() == pytest.approx(0.75)


def test_hidden_pixels_cannot_change_the_reconstruction():
    torch.manual_seed(0)
    model = MaskedAutoencoder(SMALL).eval()
    keep = random_keep(2, SMALL.grid**2, 0.75, None)
    hidden = hidden_pixels(keep, SMALL)
    image = torch.randn(2, 1, 32, 32)
    other = image + hidden * torch.randn_like(image)
    with torch.no_grad():
        assert torch.equal(model(image, keep), model(other, keep))
        assert not torch.allclose(model(image, keep), model(image + 1, keep))


def test_patches_go_back_to_their_place():
    image = torch.arange(32 * 32.0).reshape(1, 1, 32, 32)
    cut = image.unfold(2, 8, 8).unfold(3, 8, 8).reshape(1, 16, 64)
    assert torch.equal(unpatchify(cut, 8), image)


def test_loss_of_a_perfect_reconstruction_is_zero():
    target = torch.randn(2, 1, 32, 32)
    hidden = hidden_pixels(random_keep(2, 16, 0.75, None), SMALL)
    perfect = target / (target.std(dim=(1, 2, 3), keepdim=True) + 0.1)
    assert reconstruction_loss(perfect, target, hidden).item() == pytest.approx(0, abs=1e-10)


def test_pretraining_learns_to_fill_in():
    torch.manual_seed(0)
    model = MaskedAutoencoder(SMALL, decoder_dim=32, decoder_depth=1, decoder_heads=2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    x = torch.linspace(0, 6.28, 32)
    losses = []
    for _ in range(60):
        phase = torch.rand(16, 1, 1, 1) * 6.28
        image = torch.sin(x[None, None, None] + phase).expand(-1, 1, 32, 32).contiguous()
        keep = random_keep(16, SMALL.grid**2, 0.75, None)
        loss = reconstruction_loss(model(image, keep), image, hidden_pixels(keep, SMALL))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
