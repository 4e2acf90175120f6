"""The working image keeps every particle where it was."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryomae.errors import MicrographError
from cryomae.prepare import (
    WORKING_DIAMETER,
    contaminated,
    empty_border,
    flatten,
    fourier_resample,
    prepare,
    working_shape,
)


def with_blob(shape, xy, sigma=8.0, depth=60.0, noise=1.0, seed=0):
    """Noise with one dark Gaussian blob centred at xy."""
    rng = np.random.default_rng(seed)
    yy, xx = np.indices(shape)
    blob = np.exp(-((xx - xy[0]) ** 2 + (yy - xy[1]) ** 2) / (2 * sigma**2))
    return (100 + noise * rng.normal(size=shape) - depth * blob).astype(np.float32)


def centroid(image, near, radius):
    """Centre of darkness within a radius of a point, x then y."""
    yy, xx = np.indices(image.shape)
    inside = (xx - near[0]) ** 2 + (yy - near[1]) ** 2 <= radius**2
    weight = np.where(inside, np.clip(-image, 0, None) ** 2, 0)
    return np.array([(xx * weight).sum(), (yy * weight).sum()]) / weight.sum()


@pytest.mark.parametrize(
    "shape", [(512, 512), (511, 511), (512, 715), (715, 512), (513, 700), (409, 576)]
)
@pytest.mark.parametrize("diameter", [40.0, 75.3])
def test_blob_returns_to_its_pixel(shape, diameter):
    xy = (shape[1] * 0.37 + 0.3, shape[0] * 0.61)
    image = with_blob(shape, xy, sigma=diameter / 10, noise=0.05)
    working = prepare(image, 1.0, diameter)
    assert working.image.shape[0] % 2 == 0
    assert working.image.shape[1] % 2 == 0
    guess = np.array(xy) / working.spacing[::-1]
    found = working.to_file(centroid(working.image, guess, 10)[None])[0]
    assert found == pytest.approx(xy, abs=0.1)


@given(
    ny=st.integers(64, 300), nx=st.integers(64, 300), h=st.integers(20, 200), w=st.integers(20, 200)
)
@settings(max_examples=40)
def test_resampling_keeps_waves_in_phase(ny, nx, h, w):
    """A slow wave is band-limited in both grids, so resampling must be exact."""
    h, w = 2 * h, 2 * w
    wave = lambda rows, cols: (  # noqa: E731
        3 + np.cos(2 * np.pi * (2 * np.arange(rows)[:, None] / rows + np.arange(cols) / cols) + 0.4)
    ).astype(np.float32)
    assert fourier_resample(wave(ny, nx), (h, w)) == pytest.approx(wave(h, w), abs=2e-5)


def test_odd_output_shape_is_refused():
    with pytest.raises(ValueError, match="even"):
        fourier_resample(np.zeros((64, 64), np.float32), (31, 32))


def test_particle_has_the_working_diameter():
    h, w = working_shape((4092, 5760), 0.83, 180)
    assert h / 4092 * 180 / 0.83 == pytest.approx(WORKING_DIAMETER, rel=2e-3)
    assert w / 5760 * 180 / 0.83 == pytest.approx(WORKING_DIAMETER, rel=2e-3)


@pytest.mark.parametrize(
    ("pixel_size", "diameter", "said"),
    [(10.0, 60.0, "only 6.0 pixels"), (0.5, 800.0, "more than half")],
)
def test_impossible_diameter_says_what_to_check(pixel_size, diameter, said):
    with pytest.raises(MicrographError, match=said) as caught:
        prepare(
            np.random.default_rng(0).normal(size=(1024, 1024)).astype(np.float32),
            pixel_size,
            diameter,
        )
    assert "--diameter" in str(caught.value)
    assert "--pixel-size" in str(caught.value)


def test_streaked_and_constant_borders_are_found():
    rng = np.random.default_rng(1)
    image = rng.normal(size=(600, 700)).astype(np.float32)
    image[:30] = image[30]
    image[:, -40:] = 0
    top, bottom, left, right = empty_border(image)
    assert (top, right) == (31, 40)
    assert (bottom, left) == (0, 0)


def test_no_border_is_found_on_plain_noise():
    image = np.random.default_rng(2).normal(size=(500, 500)).astype(np.float32)
    assert empty_border(image) == (0, 0, 0, 0)


def test_border_is_masked_in_the_working_image():
    image = np.random.default_rng(3).normal(size=(800, 800)).astype(np.float32)
    image[:, :60] = 5.0
    working = prepare(image, 1.0, 64.0)
    assert not working.valid[:, :29].any()
    assert working.valid[:, 33:].all()
    assert (working.image[:, :29] == 0).all()


def test_background_and_noise_level_do_not_matter():
    """The same picture with a ramp, another gain and another offset looks the same."""
    rng = np.random.default_rng(4)
    noise = rng.normal(size=(640, 640)).astype(np.float32)
    ramp = np.linspace(0, 30, 640, dtype=np.float32)
    valid = np.ones(noise.shape, bool)
    plain, _ = flatten(noise, valid)
    tilted, _ = flatten(7 * noise + ramp + 1000, valid)
    inner = np.s_[80:-80, 80:-80]
    assert np.corrcoef(plain[inner].ravel(), tilted[inner].ravel())[0, 1] > 0.995
    assert plain[inner].std() == pytest.approx(1, abs=0.05)


def test_large_object_is_masked_and_particles_are_not():
    rng = np.random.default_rng(5)
    size, d = 640, WORKING_DIAMETER
    image = rng.normal(size=(size, size)).astype(np.float32)
    yy, xx = np.indices(image.shape)
    image[np.hypot(xx - 450, yy - 200) < 2.5 * d] -= 4
    particles = [(x, y) for x in range(60, 300, 60) for y in range(60, 600, 60)]
    for x, y in particles:
        image[np.hypot(xx - x, yy - y) < d / 2] -= 1.5
    bad = contaminated(image, np.ones(image.shape, bool))
    assert bad[200, 450]
    assert not any(bad[y, x] for x, y in particles)


def test_micrograph_of_one_kind_of_noise_is_all_valid():
    image = np.random.default_rng(6).normal(size=(700, 900)).astype(np.float32)
    assert prepare(image, 1.0, 50.0).valid.all()
