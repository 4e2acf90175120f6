"""What few-shot training sees of a micrograph is what picking sees."""

from dataclasses import replace
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
from cryomae.sizes import COARSE
from cryomae.train.exemplars import Exemplars
from cryomae.train.fewshot import FewShot, adapt, apply
from cryomae.train.places import latents_at
from cryomae.train.scene import make_scene, promise

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
    """Twelve particles of the demo micrograph, as exemplars."""
    working = prepare(micrograph.pixels, micrograph.pixel_size, DIAMETER)
    table = join(read_all(DATA / "demo_truth.star"), {"demo_micrograph"})
    xy = table[["x", "y"]].to_numpy(dtype=float)
    xy = xy[np.minimum(xy, np.array(micrograph.pixels.shape[::-1]) - xy).min(axis=1) > 100][:12]
    xy = xy / np.array(working.spacing[::-1])
    path = DATA / "demo_micrograph.mrc"
    return Exemplars("demo", path, working, micrograph.pixel_size, xy, np.zeros((0, 2)))


@pytest.fixture(scope="module")
def maps(detector, part):
    return detector.logits_and_latents(part.working.image)


@pytest.fixture(scope="module")
def scene(part, maps):
    return make_scene([part], [maps], 0)


@pytest.fixture(scope="module")
def picked(detector, micrograph):
    return pick(micrograph, detector, PickSettings(diameter=DIAMETER)).candidates


def test_peaks_promise_what_picking_finds(scene, picked):
    assert scene.promised == pytest.approx(picked.score.sum(), rel=0.05)


def test_exemplars_come_first_with_the_score_that_picking_gives_them(scene, part, picked):
    seen = 1 / (1 + np.exp(-scene.logit[: scene.exemplars]))
    places = part.xy * np.array(part.working.spacing[::-1])
    nearest = [np.hypot(*(picked.xy - place).T).argmin() for place in places]
    assert seen == pytest.approx(picked.score[nearest], abs=0.1)


def test_negatives_are_known_and_no_candidates_any_more(part, maps, scene):
    wrong = replace(part, xy=part.xy[:6], negatives=part.xy[6:])
    other = make_scene([wrong], [maps], 0)
    assert (other.exemplars, other.negatives) == (6, 6)
    assert not other.peak[6:12].any()
    assert len(other) == len(scene)


def test_a_correction_keeps_the_promise_and_is_that_of_the_model(detector, part, maps, scene):
    """Whatever exemplars say, the model does not pick more for it."""
    made = adapt(detector.model, scene, FewShot(sure=-np.inf))
    assert made.held_out
    assert made.helped
    logits = apply(scene, made.change)
    assert promise(logits[scene.peak]) == pytest.approx(scene.promised, rel=0.01)
    assert made.change[0] == pytest.approx(1, abs=0.1)
    again = replace(detector, model=made.model).logits_and_latents(part.working.image)[0]
    seen = make_scene([part], [(again, maps[1])], 0).logit[: scene.exemplars]
    assert seen == pytest.approx(logits[: scene.exemplars], abs=0.6)


def test_without_a_sure_gain_the_model_is_as_it_was(detector, scene):
    made = adapt(detector.model, scene, FewShot(sure=np.inf))
    assert not made.helped
    assert made.model.correction is None


def test_too_few_exemplars_are_not_held_out(detector, part, maps):
    few = make_scene([replace(part, xy=part.xy[:5])], [maps], 0)
    made = adapt(detector.model, few)
    assert made.helped
    assert not made.held_out


def test_latents_belong_to_their_place(detector, part):
    """Places in another order give the same latents in that order, one by one or together."""
    image = part.working.image
    together = latents_at(detector, image, part.xy)
    alone = np.concatenate([latents_at(detector, image, xy[None]) for xy in part.xy[::-1]])
    assert together == pytest.approx(alone[::-1], rel=0.1, abs=0.1)
    assert latents_at(detector, image, np.zeros((0, 2))).shape == (0, COARSE)
