"""Exemplars end at the right pixels, and wrong ones are refused with the reason."""

import mrcfile
import numpy as np
import pytest

from cryomae.errors import InputError
from cryomae.formats import write_picks
from cryomae.picks import Picks
from cryomae.train.exemplars import check_places, odd_ones, read_exemplars

SHAPE, SIZE, DIAMETER = (600, 760), 5.0, 160.0  # 32 file pixels wide: a working pixel each
PLACES = np.array(
    [(100, 60), (200, 90), (330, 120), (480, 70), (650, 130), (120, 250), (300, 210), (560, 240),
     (690, 300), (420, 180)], dtype=float,
)  # fmt: skip


@pytest.fixture
def micrograph(tmp_path):
    image = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    path = tmp_path / "one.mrc"
    with mrcfile.new(path) as file:
        file.set_data(image)
        file.voxel_size = SIZE
    return path


def clicked(folder, xy, name="good.star"):
    path = folder / name
    write_picks(path, Picks.from_arrays("one.mrc", xy, np.ones(len(xy)), DIAMETER))
    return path


def read(micrograph, xy, **more):
    star = clicked(micrograph.parent, xy)
    return read_exemplars(star, [str(micrograph)], DIAMETER, **more)


def map_with(places):
    """Logits that are high at places, in working pixels."""
    y, x = (np.arange(n // 2) * 2 + 0.5 for n in SHAPE)
    noise = np.random.default_rng(1).normal(size=(len(y), len(x)))
    for a, b in places:
        noise += 12 * np.exp(-((x[None] - a) ** 2 + (y[:, None] - b) ** 2) / 18)
    return (noise - 6).astype(np.float32)


def test_exemplars_keep_their_place(micrograph):
    parts, remarks = read(micrograph, PLACES)
    back = parts[0].working.to_file(parts[0].xy)
    assert back[np.lexsort(back.T)] == pytest.approx(PLACES[np.lexsort(PLACES.T)], abs=1e-3)
    assert remarks == []


def test_too_few_are_refused(micrograph):
    with pytest.raises(InputError, match="holds 2 exemplars"):
        read(micrograph, PLACES[:2])


def test_those_at_the_edge_are_left_out_and_said(micrograph):
    parts, remarks = read(micrograph, np.vstack([PLACES, [(5, 300)]]))
    assert len(parts[0].xy) == len(PLACES)
    assert "1 of 11" in remarks[0]


def test_only_exemplars_at_the_edge_are_refused(micrograph):
    with pytest.raises(InputError, match="0 are left"):
        read(micrograph, np.array([(5, 100), (5, 200), (5, 300)], dtype=float))


def test_places_off_the_micrograph_are_refused_with_the_binning(micrograph):
    with pytest.raises(InputError, match="760 × 600 pixels; they would fit if divided by 2"):
        read(micrograph, 2 * PLACES)


def test_a_micrograph_that_is_not_given_is_named(micrograph, tmp_path):
    star = tmp_path / "some.star"
    rows = "\n".join(f"other.mrc {x} {y}" for x, y in PLACES)
    columns = "_rlnMicrographName #1\n_rlnCoordinateX #2\n_rlnCoordinateY #3"
    star.write_text(f"data_\n\nloop_\n{columns}\n{rows}\n")
    with pytest.raises(InputError, match="other"):
        read_exemplars(star, [str(micrograph)], DIAMETER)


def test_a_place_cannot_be_both(micrograph):
    bad = clicked(micrograph.parent, PLACES[:1] + 3, "bad.star")
    with pytest.raises(InputError, match="as an exemplar and"):
        read(micrograph, PLACES, negative=bad)


def test_mirrored_exemplars_are_found_out(micrograph):
    flipped = np.column_stack([PLACES[:, 0], SHAPE[0] - 1 - PLACES[:, 1]])
    parts, _ = read(micrograph, flipped)
    with pytest.raises(InputError, match="mirrored top to bottom"):
        check_places(parts, [map_with(PLACES)])


def test_exemplars_of_a_binned_micrograph_are_found_out(micrograph):
    parts, _ = read(micrograph, PLACES / 2)
    with pytest.raises(InputError, match="too small by a factor of 2"):
        check_places(parts, [map_with(PLACES)])


def test_right_exemplars_pass_and_random_ones_are_doubted_not_refused(micrograph):
    parts, _ = read(micrograph, PLACES)
    assert check_places(parts, [map_with(PLACES)]) == []
    rng = np.random.default_rng(3)
    for _ in range(20):
        parts, _ = read(micrograph, rng.uniform(40, 540, (5, 2)))
        check_places(parts, [map_with(PLACES)])


def test_an_exemplar_of_another_kind_is_named():
    rng = np.random.default_rng(0)
    latents = np.array([1.0, 0, 0, 0]) + 0.1 * rng.normal(size=(12, 4))
    assert odd_ones(latents) == []
    latents[4] = (0, 1, 0, 0)
    assert odd_ones(latents) == [4]
