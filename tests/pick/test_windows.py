"""Scores do not depend on how the work is cut into batches, nor on who works."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cryomae.model import STRIDE, create_model
from cryomae.pick.device import choose_dtype
from cryomae.pick.windows import OVERLAP, score_logits, window_origins
from cryomae.sizes import CELL

CPU = torch.device("cpu")


class Brightness(torch.nn.Module):
    """Stands in for the model: the logit is the mean of its pixels."""

    config = create_model("default", pretrained=False).config

    def forward(self, windows):
        return torch.nn.functional.avg_pool2d(windows, STRIDE)


@given(st.integers(2, 5000))
def test_few_windows_cover_a_side_and_share_a_diameter(side):
    window = Brightness.config.window
    origins = window_origins(side, window)
    assert not (origins % CELL).any()
    assert origins[0] <= 0
    assert origins[-1] + window >= side
    assert (np.diff(origins) <= window - OVERLAP).all()
    fewest = 1 if side <= window else -(-(side - OVERLAP) // (window - OVERLAP))
    assert len(origins) == fewest


@pytest.mark.parametrize("shape", [(200, 300), (128, 128), (97, 411)])
def test_every_pixel_is_covered_and_blending_adds_up(shape):
    """Windows that agree blend into the whole: no seams, no gaps, nothing shifted."""
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    even = np.pad(image, ((0, shape[0] % 2), (0, shape[1] % 2)))
    want = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2).mean((1, 3))
    got = score_logits(image, Brightness(), device=CPU, dtype=torch.float32, batch=5)
    assert got == pytest.approx(want, abs=1e-5)


@pytest.mark.parametrize("dtype", sorted({torch.float32, choose_dtype(CPU)}, key=str))
def test_score_map_does_not_depend_on_the_batch(dtype):
    model = create_model("default")
    image = np.random.default_rng(1).normal(size=(300, 420)).astype(np.float32)
    maps = [
        1 / (1 + np.exp(-score_logits(image, model, device=CPU, dtype=dtype, batch=b)))
        for b in (1, 3, 16)
    ]
    rounding = 1e-4 if dtype == torch.float32 else 5e-3  # bfloat16 has eight bits
    assert np.abs(maps[0] - maps[1]).max() < rounding
    assert np.abs(maps[0] - maps[2]).max() < rounding


@pytest.mark.parametrize("dtype", sorted({torch.float32, choose_dtype(CPU)}, key=str))
def test_scores_are_the_same_to_the_bit_with_any_number_of_threads(dtype):
    model = create_model("default")
    image = np.random.default_rng(2).normal(size=(200, 420)).astype(np.float32)
    before = torch.get_num_threads()
    maps = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            maps.append(score_logits(image, model, device=CPU, dtype=dtype, batch=4))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(maps[0], maps[1])
    assert np.array_equal(maps[0], maps[2])
