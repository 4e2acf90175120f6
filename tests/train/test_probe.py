"""The linear probe tells what tokens know."""

import numpy as np
import pytest
import torch
from torch import nn

from cryomae.errors import InputError
from cryomae.model import Encoder, EncoderConfig
from cryomae.train.pool import Pool, load_pool, write_fields
from cryomae.train.probe import CELL, cut_cells, few_shot_probe, linear_probe, token_maps


class Oracle(nn.Module):
    """Tokens that know the mean of their patch, which is dark at particles."""

    def __init__(self, patch):
        super().__init__()
        self.config = EncoderConfig(window=32, patch=patch, dim=4)
        self.anything = nn.Parameter(torch.zeros(1))

    def forward(self, windows):
        """Mean of every 8 × 8 block of a patch, in four channels."""
        means = nn.functional.avg_pool2d(windows, 8)
        maps = (
            nn.functional.pixel_unshuffle(means, 2)
            if self.config.patch == 16
            else means.repeat(1, 4, 1, 1)
        )
        return maps.flatten(2).transpose(1, 2)


def pool_of(tmp_path, field, seeds):
    for i in seeds:
        write_fields(tmp_path / f"fields_{i:06d}.npz", [field(i)])
    return load_pool(tmp_path)


def test_cells_hold_the_centres_that_lie_in_them():
    image = np.zeros((64, 64), np.int8)
    valid = np.ones((64, 64), bool)
    valid[0, 0] = False
    centres = np.array([[7.4, 7.4], [7.6, 7.4], [40, 20], [90, 3]], np.float32)  # x, y
    pool = Pool([image], [image], [valid], [~np.ones_like(valid)], [centres])
    cells = cut_cells(pool, 32)
    assert cells.windows.shape == (4, 1, 32, 32)
    assert np.argwhere(cells.holds.numpy()).tolist() == [[0, 0, 0], [0, 0, 1], [1, 2, 1]]
    assert (~cells.known).nonzero().tolist() == [[0, 0, 0]]
    assert CELL == 8


@pytest.mark.parametrize("patch", [8, 16])
def test_tokens_that_know_are_told_from_tokens_that_do_not(tmp_path, field, patch):
    learn = cut_cells(pool_of(tmp_path / "a", field, range(4)), 32)
    judge = cut_cells(pool_of(tmp_path / "b", field, range(10, 13)), 32)
    chance = float(judge.holds[judge.known].float().mean())
    knows = linear_probe(Oracle(patch), learn, judge, epochs=10)
    blind = Oracle(patch)
    blind.forward = lambda windows: torch.ones(len(windows), blind.config.grid**2, 4)
    assert linear_probe(blind, learn, judge, epochs=2) == pytest.approx(chance, abs=0.02)
    assert knows > 3 * chance


def test_the_encoder_stays_as_it_was(tmp_path, field):
    cells = cut_cells(pool_of(tmp_path, field, range(1)), 32, most=6)
    encoder = Encoder(EncoderConfig(window=32, patch=4, dim=8, depth=1, heads=2))
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    assert token_maps(encoder, cells.windows).shape == (6, 8, 4, 4)
    linear_probe(encoder, cells, cells, neighbours=True, epochs=1)
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


def test_real_fields_cannot_be_probed():
    image = np.zeros((64, 64), np.int8)
    with pytest.raises(InputError, match="truth"):
        cut_cells(Pool([image], [], [image == 0], [], []), 32)


@pytest.mark.parametrize("patch", [8, 16])
def test_a_few_exemplars_are_enough_for_tokens_that_know(tmp_path, field, patch):
    shown = cut_cells(pool_of(tmp_path / "a", field, [0]), 32)
    judge = cut_cells(pool_of(tmp_path / "b", field, range(10, 13)), 32)
    chance = float(judge.holds[judge.known].float().mean())
    few = {"exemplars": 5, "seed": 2}
    assert few_shot_probe(Oracle(patch), shown, judge, **few) > 3 * chance
    blind = Oracle(patch)
    blind.forward = lambda windows: torch.ones(len(windows), blind.config.grid**2, 4)
    guessing = 2 * chance / (1 + chance)  # F1 of taking every cell
    assert few_shot_probe(blind, shown, judge, **few) == pytest.approx(guessing, abs=1e-6)


def test_a_field_without_particles_says_nothing_of_few_shots():
    empty = cut_cells(
        Pool([np.zeros((32, 32), np.int8)], [], [np.ones((32, 32), bool)],
             [np.zeros((32, 32), bool)], [np.zeros((0, 2), np.float32)]), 32,
    )  # fmt: skip
    assert np.isnan(few_shot_probe(Oracle(8), empty, empty))
