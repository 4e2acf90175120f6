"""Fields go to disk and come back as windows."""

import numpy as np
import pytest
import torch

from cryomae.errors import InputError
from cryomae.io import find_micrographs
from cryomae.prepare import CLIP
from cryomae.train.pool import Windows, load_pool, target_map, write_fields
from cryomae.train.real import earlier_failures, make_real_pool


def test_eight_bits_keep_an_image_within_half_a_level(tmp_path, field):
    one = field(3)
    write_fields(tmp_path / "fields_000000.npz", [one])
    pool = load_pool(tmp_path)
    level = CLIP / 127
    assert np.abs(pool.images[0] * level - one.image).max() <= level / 2 + 1e-6
    assert np.abs(pool.cleans[0] * level - one.clean).max() <= level / 2 + 1e-6
    assert np.array_equal(pool.centres[0], one.centres)


def test_an_empty_folder_is_no_pool(tmp_path):
    with pytest.raises(InputError):
        load_pool(tmp_path)


def test_a_target_peaks_at_the_centre():
    target = target_map(np.array([[20.5, 12.5]]), 64)
    assert target.shape == (32, 32)
    assert np.unravel_index(target.argmax(), target.shape) == (6, 10)
    assert target.max() == pytest.approx(1)


def test_particles_outside_reach_into_the_window():
    assert 0 < target_map(np.array([[-2.0, 20.5]]), 64).max() < 1
    assert target_map(np.array([[-200.0, 20.0]]), 64).max() == 0


def test_a_window_depends_on_seed_and_index_only(pool):
    one, other = Windows(pool, 32, seed=1), Windows(pool, 32, seed=1)
    expected = [one[i] for i in range(4)]
    for i in (3, 0, 2, 1):
        for key, value in other[i].items():
            assert torch.equal(value, expected[i][key])
    assert not torch.equal(expected[0]["image"], expected[1]["image"])
    assert not torch.equal(Windows(pool, 32, seed=2)[0]["image"], expected[0]["image"])


def test_target_and_image_of_a_window_agree(pool):
    """Where the target says centre, the clean image is dark, however the window was turned."""
    for i in range(20):
        window = Windows(pool, 64, seed=1)[i]
        inside = window["target"][0, 2:-2, 2:-2]
        if inside.max() < 0.95:
            continue
        row, column = divmod(int(inside.argmax()), inside.shape[1])
        assert window["clean"][0, 2 * (row + 2), 2 * (column + 2)] < -1


def test_micrographs_become_fields_without_truth(tmp_path, micrographs):
    refs, _ = find_micrographs([micrographs])
    failed = make_real_pool(tmp_path / "real", refs, 64, window=128)
    assert [error.path.endswith("torn.mrc") for error in failed] == [True]
    pool = load_pool(tmp_path / "real")
    assert [image.shape for image in pool.images] == [(320, 320)] * 2
    assert not pool.cleans
    assert not pool.centres
    assert set(Windows(pool, 128, 1)[0]) == {"image", "valid"}


def test_the_micrographs_of_the_first_call_are_kept(tmp_path, micrographs):
    refs, _ = find_micrographs([micrographs])
    first = make_real_pool(tmp_path / "real", refs, 64, window=128)
    (micrographs / "m1.mrc").unlink()
    again = make_real_pool(tmp_path / "real", refs[:1], 64, window=128)
    assert [e.path for e in again] == [e.path for e in first]
    assert [e.path for e in earlier_failures(tmp_path / "real")] == [e.path for e in first]
    assert len(load_pool(tmp_path / "real")) == 2


def test_particles_that_fill_the_micrograph_are_refused(tmp_path, micrographs):
    refs, _ = find_micrographs([micrographs])
    with pytest.raises(InputError, match="none of the 3"):
        make_real_pool(tmp_path / "real", refs, 300, window=128)


def test_micrographs_are_spread_evenly(tmp_path, micrographs):
    refs, _ = find_micrographs([micrographs / "m0.mrc", micrographs / "m1.mrc"])
    make_real_pool(tmp_path / "real", refs * 5, 64, window=128, most=3)
    assert len(load_pool(tmp_path / "real")) == 3
