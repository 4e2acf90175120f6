"""Peaks lie where the maximum is and never closer than asked."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from cryomae.pick.peaks import find_peaks, inside, suppress


@pytest.mark.parametrize("xy", [(20.0, 30.0), (20.3, 29.8), (40.45, 11.4)])
def test_peak_is_found_to_a_fraction_of_a_pixel(xy):
    yy, xx = np.indices((64, 64))
    bump = np.exp(-((xx - xy[0]) ** 2 + (yy - xy[1]) ** 2) / 8).astype(np.float32)
    found, height = find_peaks(bump, 0.1)
    assert found == pytest.approx(np.array([xy]), abs=0.1)
    assert height[0] == pytest.approx(1, abs=0.1)


def test_peaks_come_best_first_and_above_the_floor():
    scores = np.zeros((32, 32), np.float32)
    scores[5, 5], scores[20, 10], scores[12, 28] = 0.4, 0.9, 0.05
    xy, height = find_peaks(scores, 0.1)
    assert height == pytest.approx([0.9, 0.4])
    assert xy == pytest.approx(np.array([[10, 20], [5, 5]]))


@given(seed=st.integers(0, 10_000), count=st.integers(0, 120), distance=st.floats(0.5, 40))
@settings(max_examples=50)
def test_suppression_is_the_greedy_one(seed, count, distance):
    """Kept points are apart, and each dropped one is near a better kept one."""
    xy = np.random.default_rng(seed).uniform(0, 100, (count, 2))
    kept = suppress(xy, distance)
    apart = cdist(xy, xy)
    dropped = np.setdiff1d(np.arange(count), kept)
    near = apart[np.ix_(kept, kept)] + 1e9 * np.eye(len(kept))
    assert (near >= distance).all()
    for i in dropped:
        assert (apart[i, kept[kept < i]] < distance).any()


def test_a_particle_must_lie_whole_on_usable_pixels():
    valid = np.ones((100, 200), bool)
    valid[:, 150:] = False
    xy = np.array([[100, 50], [140, 50], [160, 50], [5, 50], [100, 97]], float)
    assert inside(xy, valid, 16).tolist() == [True, False, False, False, False]
