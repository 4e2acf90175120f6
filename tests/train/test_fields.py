"""Simulated fields: particles lie where truth says, and a seed means the same field."""

import numpy as np
import pytest

from cryomae.prepare import WORKING_DIAMETER as D
from cryomae.train.fields import degrade, draw_settings, simulate_fields


@pytest.fixture(scope="module")
def fields():
    return [field for index in range(3) for field in simulate_fields(4, index)]


def on_field(field, room=0):
    size = np.array(field.image.shape[::-1])
    return ((field.centres > room) & (field.centres < size - 1 - room)).all(axis=1)


def test_particles_are_dark_where_truth_says(fields):
    """On average the noise-free image is darker within a particle than elsewhere."""
    darkness = []
    for field in fields:
        yy, xx = np.indices(field.image.shape)
        xy = field.centres[on_field(field, D)]
        if len(xy):
            near = np.min([np.hypot(xx - x, yy - y) for x, y in xy], axis=0) < D / 3
            seen = field.valid & ~field.ignore
            darkness.append(field.clean[near & seen].mean() - field.clean[~near & seen].mean())
    assert np.mean(darkness) < -0.3


def test_particles_cut_by_the_border_are_known(fields):
    assert any((~on_field(field)).any() for field in fields)


def test_same_seed_same_fields(fields):
    again = simulate_fields(4, 1)
    assert all(
        a.image.tobytes() == b.image.tobytes() and a.centres.tobytes() == b.centres.tobytes()
        for a, b in zip(again, fields[3:6], strict=True)
    )
    assert again[0].image.tobytes() != fields[0].image.tobytes()


@pytest.mark.parametrize("seed", range(30))
def test_every_drawn_setting_is_valid(seed):
    assert draw_settings(np.random.default_rng(seed)).pixel_size > 0


@pytest.mark.parametrize("seed", range(12))
def test_a_treated_micrograph_keeps_its_particles_in_place(seed):
    yy, xx = np.indices((128, 128))
    image = -np.exp(-((xx - 80.0) ** 2 + (yy - 40.0) ** 2) / (2 * 6.0**2)).astype(np.float32)
    treated = degrade(image, np.random.default_rng(seed))
    weight = np.clip(np.median(treated) - treated, 0, None)
    weight[weight < 0.5 * weight.max()] = 0
    centre = [(xx * weight).sum() / weight.sum(), (yy * weight).sum() / weight.sum()]
    assert centre == pytest.approx([80, 40], abs=1)
