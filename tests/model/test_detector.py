"""The detector scores every second pixel, and its calibration is part of its weights."""

import pytest
import torch

from cryomae.model import EncoderConfig, ParticleDetector

SMALL = EncoderConfig(window=64, patch=8, dim=48, depth=1, heads=2)


@pytest.mark.parametrize(("tokens", "detail"), [(True, True), (True, False), (False, True)])
def test_every_second_pixel_is_scored_by_either_path(tokens, detail):
    model = ParticleDetector(SMALL, tokens, detail).eval()
    assert model(torch.randn(2, 1, 64, 64)).shape == (2, 1, 32, 32)


def test_calibration_scales_the_logits():
    model = ParticleDetector(SMALL).eval()
    windows = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        before = model(windows)
        model.calibrate(1.5, -0.25)
        assert torch.allclose(model(windows), 1.5 * before - 0.25, atol=1e-5)


def test_other_patches_are_refused():
    with pytest.raises(ValueError, match="patches of 8"):
        ParticleDetector(EncoderConfig(window=64, patch=16))
