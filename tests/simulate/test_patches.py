"""Simulated patches: particles lie where the truth says, and a seed means the same bytes."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cryomae.prepare import WORKING_DIAMETER as D
from cryomae.simulate.patches import (
    Field,
    PatchStream,
    project,
    scatter,
    simulate_field,
    target_map,
)
from cryomae.simulate.shapes import random_particle


@pytest.mark.parametrize("seed", range(20))
def test_particle_is_centred_and_one_diameter_long(seed):
    cloud = random_particle(np.random.default_rng(seed))
    radius = np.linalg.norm(cloud, axis=1)
    assert cloud.mean(axis=0) == pytest.approx(0, abs=1e-5)
    assert 2 * np.quantile(radius, 0.98) == pytest.approx(1, abs=1e-3)
    assert np.isfinite(cloud).all()


@pytest.mark.parametrize("centre", [(64.0, 64.0), (50.3, 70.8), (33.25, 90.5)])
def test_projection_has_its_centre_of_mass_at_the_true_centre(centre):
    rng = np.random.default_rng(0)
    image = project(random_particle(rng), np.array([centre]), Rotation.random(1, rng=rng), D, 128)
    yy, xx = np.indices(image.shape)
    mean = [(xx * image).sum() / image.sum(), (yy * image).sum() / image.sum()]
    assert mean == pytest.approx(centre, abs=0.02)
    assert image.sum() == pytest.approx(D**2, rel=1e-3)


def test_scattered_points_keep_their_distance():
    points = scatter(200, 20, 0, 300, np.random.default_rng(0))
    apart = np.linalg.norm(points[:, None] - points[None], axis=2) + 1e9 * np.eye(len(points))
    assert apart.min() >= 20


def test_particles_are_dark_where_truth_says():
    """Averaged over many fields, a true centre is darker than its field."""
    darkness = []
    for seed in range(12):
        field = simulate_field(192, np.random.default_rng(seed))
        rows, cols = np.rint(field.centres[:, ::-1]).astype(int).T
        on = (rows >= 0) & (rows < 192) & (cols >= 0) & (cols < 192)
        if on.any():
            darkness.append(field.clean[rows[on], cols[on]].mean() - field.clean.mean())
    assert np.mean(darkness) < 0


def test_same_seed_same_field():
    first, second = (simulate_field(192, np.random.default_rng(5)) for _ in range(2))
    assert first.image.tobytes() == second.image.tobytes()
    assert first.centres.tobytes() == second.centres.tobytes()
    assert simulate_field(192, np.random.default_rng(6)).image.tobytes() != first.image.tobytes()


def test_field_is_finite_and_masked_pixels_are_zero():
    for seed in range(30):
        field = simulate_field(160, np.random.default_rng(seed))
        assert np.isfinite(field.image).all()
        assert np.isfinite(field.clean).all()
        assert (field.image[~field.valid] == 0).all()


def test_target_peaks_at_the_centre():
    centre = np.array([[40.5, 20.5]], np.float32)  # between pixels 40 and 41: score pixel 20
    blank = np.zeros((64, 64), np.float32)
    field = Field(blank, blank, blank == 0, centre, blank > 0, 1.0)
    target = target_map(field, stride=2, sigma=3)
    assert np.unravel_index(target.argmax(), target.shape) == (10, 20)
    assert target.max() == pytest.approx(1)


def test_stream_repeats_from_its_seed_and_keeps_truth_with_the_image():
    def first(seed):
        return [patch for patch, _ in zip(PatchStream(64, 2, seed), range(5), strict=False)]

    one, two = first(3), first(3)
    for a, b in zip(one, two, strict=True):
        assert all((a[k] == b[k]).all() for k in a)
    assert one[0]["image"].shape == one[0]["clean"].shape == (1, 64, 64)
    assert one[0]["target"].shape == one[0]["weight"].shape == (1, 32, 32)
