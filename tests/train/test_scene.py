"""What few-shot training sees of a micrograph is what picking sees."""

from pathlib import Path

import numpy as np
import pytest
import yaml

import cryomae
from cryomae.evaluate.coordinates import join
from cryomae.formats.collect import read_all
from cryomae.io import read_micrograph
from cryomae.micrograph import MicrographRef
from cryomae.pick import load_detector, pick
from cryomae.prepare import prepare
from cryomae.settings import PickSettings
from cryomae.train.exemplars import Exemplars
from cryomae.train.scene import TILES, judge, latents_at, make_scene

DATA = Path(cryomae.__file__).parent / "data"
DIAMETER = yaml.safe_load((DATA / "demo.yaml").read_text())["diameter"]


@pytest.fixture(scope="module")
def detector():
    return load_detector("default", "cpu")


@pytest.fixture(scope="module")
def micrograph():
    return read_micrograph(MicrographRef("demo", DATA / "demo_micrograph.mrc"))


@pytest.fixture(scope="module")
def part(micrograph):
    """Six particles of the demo micrograph, as exemplars."""
    working = prepare(micrograph.pixels, micrograph.pixel_size, DIAMETER)
    table = join(read_all(DATA / "demo_truth.star"), {"demo_micrograph"})
    xy = table[["x", "y"]].to_numpy(dtype=float)
    xy = xy[np.minimum(xy, np.array(micrograph.pixels.shape[::-1]) - xy).min(axis=1) > 100][:6]
    xy = xy / np.array(working.spacing[::-1])
    path = DATA / "demo_micrograph.mrc"
    return Exemplars("demo", path, working, micrograph.pixel_size, xy, np.zeros((0, 2)))


@pytest.fixture(scope="module")
def scene(detector, part):
    return make_scene(detector, part, believe=1.0, seed=0, among=1)


def test_tiles_see_the_candidates_that_picking_finds(detector, micrograph, scene):
    assert len(scene.tiles) < TILES  # the whole of this micrograph
    seen = judge(detector, [scene])
    picked = pick(micrograph, detector, PickSettings(diameter=DIAMETER)).candidates.score
    assert seen.promised == pytest.approx(picked.sum(), rel=0.05)


def test_exemplars_get_the_score_that_picking_gives_them(detector, micrograph, scene, part):
    seen = 1 / (1 + np.exp(-judge(detector, [scene]).exemplars))
    candidates = pick(micrograph, detector, PickSettings(diameter=DIAMETER)).candidates
    places = part.xy * np.array(part.working.spacing[::-1])
    nearest = [np.hypot(*(candidates.xy - place).T).argmin() for place in places]
    assert seen == pytest.approx(candidates.score[nearest], abs=0.1)


def test_shares_do_not_change_when_all_scores_shrink_alike(detector, scene):
    """Only telling particles from the rest counts, not confidence."""
    seen = judge(detector, [scene]).shifted(-6)
    assert seen.shifted(-2).share == pytest.approx(seen.share, abs=0.1)
    assert seen.shifted(-2).promised == pytest.approx(seen.promised * np.exp(-2), rel=0.1)


def test_hidden_exemplars_leave_no_trace_in_what_is_learned(scene):
    hidden = scene.showing(np.array([False, True, True, True, True, True]))
    x, y = (scene.xy[0] / 2).astype(int)
    target, known, _, chance = hidden.maps[:, y, x]
    assert known == 0
    assert target == scene.score[y, x]
    assert chance < 1
    assert scene.maps[1, y, x] == 1


def test_latents_belong_to_their_place(detector, scene):
    """Places in another order give the same latents in that order, one by one or together."""
    together = latents_at(detector, scene.image, scene.xy)
    alone = np.concatenate([latents_at(detector, scene.image, xy[None]) for xy in scene.xy[::-1]])
    assert together == pytest.approx(alone[::-1], rel=0.1, abs=0.1)
    assert latents_at(detector, scene.image, np.zeros((0, 2))).shape == (0, together.shape[1])
