"""Diameters of simulated particles, and of none."""

from functools import cache

import numpy as np
import pytest

from cryomae.diameter import DiameterEstimate, estimate_diameter, estimate_from, measure
from cryomae.diameter.estimate import read_curve
from cryomae.diameter.measure import DIAMETERS
from cryomae.errors import InputError, MicrographError


def field(seed, diameter=120.0, pixel_size=4.0, side=384, signal=1.0, count=30, hollow=0.0):
    """Micrograph of dark spheres in noise; ``hollow`` is the radius of the hole."""
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(side, side))
    radius = diameter / 2 / pixel_size
    reach = int(radius) + 2
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    r2 = (y**2 + x**2) / radius**2
    body = np.sqrt(np.maximum(1 - r2, 0)) - np.sqrt(np.maximum(hollow**2 - r2, 0))
    centres: list[np.ndarray] = []
    for _ in range(20 * count):
        spot = rng.integers(reach, side - reach, 2)
        if all(np.hypot(*(spot - c)) > 2.1 * radius for c in centres):
            centres.append(spot)
        if len(centres) == count:
            break
    for r, c in centres:
        image[r - reach : r + reach + 1, c - reach : c + reach + 1] -= signal * body
    return image.astype(np.float32), pixel_size


@cache
def pair(diameter=150.0):
    """Measurements of two micrographs."""
    return [measure(*field(seed, diameter)) for seed in (1, 2)]


@pytest.mark.parametrize("diameter", [90.0, 150.0, 210.0])
def test_spheres_in_noise(diameter):
    found = estimate_from(pair(diameter))
    assert found.diameter == pytest.approx(diameter, rel=0.25)
    assert found.low <= found.diameter <= found.high
    assert found.confidence > 0.3
    assert found.micrographs == 2
    assert found.curve.sum() == pytest.approx(1)


def test_a_border_and_gold_change_little():
    spoilt = []
    for seed in (1, 2):
        image, pixel_size = field(seed, 150.0)
        image[:30] = image[30]
        image[:, -20:] = image[:, -21:-20]
        image[200:206, 300:306] = -40
        image[300:380, 300:360] -= 8  # a piece of carbon
        spoilt.append((image, pixel_size))
    before, after = estimate_from(pair()), estimate_diameter(spoilt)
    assert after.diameter == pytest.approx(before.diameter, rel=0.25)


def test_brightness_and_contrast_change_nothing():
    image, pixel_size = field(1, 150.0)
    plain = measure(image, pixel_size)
    np.testing.assert_allclose(measure(500 + 30 * image, pixel_size), plain, atol=0.02)


def test_a_smaller_pixel_is_a_smaller_particle():
    half = [measure(field(seed, 240.0)[0], 2.0) for seed in (1, 2)]
    assert estimate_from(half).diameter == pytest.approx(120, rel=0.25)


def test_noise_alone_gives_no_diameter():
    noise = [field(s, count=0) for s in (1, 2)]
    with pytest.raises(InputError, match="no particles stand out") as caught:
        estimate_diameter(noise)
    assert "--diameter" in caught.value.remedy


def test_no_micrograph():
    with pytest.raises(InputError, match="no micrograph"):
        estimate_diameter([])


def test_a_tiny_micrograph_is_refused():
    with pytest.raises(MicrographError, match="too small"):
        measure(np.random.default_rng(0).normal(size=(20, 20)).astype(np.float32), 4.0)


def test_one_bad_micrograph_of_three_counts_little():
    good = pair()
    bad = measure(*field(3, count=0))
    alone, mixed = estimate_from(good), estimate_from([*good, bad])
    assert mixed.diameter == pytest.approx(alone.diameter, rel=0.3)


def test_a_sharp_curve_is_sure_and_a_flat_one_is_not():
    place = np.log(DIAMETERS / 200)
    sharp = np.exp(-0.5 * (place / 0.06) ** 2)
    size, low, high, confidence = read_curve(sharp / sharp.sum())
    assert size == pytest.approx(200, rel=0.03)
    assert low < 200 < high
    assert confidence > 0.9
    flat = np.full(len(DIAMETERS), 1 / len(DIAMETERS))
    assert read_curve(flat)[3] < 0.2
    assert read_curve(sharp, nothing=0.5)[3] == pytest.approx(confidence / 2)


def test_doubtful_says_so():
    curve = np.zeros(3)
    values = {"explanation": "", "micrographs": 1, "diameters": curve, "curve": curve}
    assert DiameterEstimate(100, 90, 110, confidence=0.3, **values).doubtful
    assert not DiameterEstimate(100, 90, 110, confidence=0.9, **values).doubtful
