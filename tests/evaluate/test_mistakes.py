"""Mirrored, turned, scaled and shifted coordinates are found; poor picks are not accused."""

import numpy as np
import pytest
from evaluate_helpers import picks_of, scattered, truth_of
from hypothesis import given, settings
from hypothesis import strategies as st

from cryomae.evaluate import evaluate

W, H = 1600, 1200
SCALE = {"diameter": 80.0, "pixel_size": 2.0, "draws": 1}  # 40 px, right within 20
SHAPES = {"a": (H, W), "b": (H, W)}

MISTAKES = {
    "mirrored top to bottom": lambda p: np.c_[p[:, 0], H - 1 - p[:, 1]],
    "mirrored left to right": lambda p: np.c_[W - 1 - p[:, 0], p[:, 1]],
    "exchanged, x for y": lambda p: p[:, ::-1],
    "half a turn": lambda p: [W - 1, H - 1] - p,
    "too small by a factor of 2:": lambda p: p / 2,
    "too large by a factor of 4:": lambda p: p * 4,
    "too large by a factor of 1.37": lambda p: p * 1.37,
    "too small by a factor of 2 and mirrored top to bottom": lambda p: (
        np.c_[p[:, 0], H - 1 - p[:, 1]] / 2
    ),
    "shifted by -3": lambda p: p - 32,
}


def scene(rng, count=60, found=0.8, junk=0.2):
    """Truth of two micrographs and picks of most of it, 2 px off, with some picks of nothing."""
    truth = {name: scattered(rng, count, W, H, 34) for name in SHAPES}
    picks = {}
    for name, xy in truth.items():
        kept = xy[rng.uniform(size=count) < found]
        stray = rng.uniform(0, [W, H], (int(junk * count), 2))
        picks[name] = np.concatenate([kept + rng.normal(0, 2, kept.shape), stray])
    return truth, picks


def mistake(truth, picks, shapes=None, rng=None):
    rng = rng or np.random.default_rng(5)
    scored = {n: np.c_[xy, rng.uniform(size=len(xy))] for n, xy in picks.items()}
    return evaluate(picks_of(**scored), truth_of(**truth), **SCALE, shapes=shapes).mistake


@pytest.mark.parametrize("shapes", [SHAPES, None], ids=["size known", "size guessed"])
@pytest.mark.parametrize("words", MISTAKES)
def test_mistakes_are_named_with_a_remedy(words, shapes):
    truth, picks = scene(np.random.default_rng(0))
    changed = {name: MISTAKES[words](xy) for name, xy in picks.items()}
    found = mistake(truth, changed, shapes)
    assert words in found.cause
    assert found.changed > 4 * found.as_given
    if "factor" in words and "mirrored" not in words:
        assert "--scale" in found.remedy
        factor = float(found.remedy.split()[-1])
        assert np.allclose(changed["a"] * factor, picks["a"], atol=10)
    if "shifted" in words:
        assert found.transform.shift == pytest.approx((32, 32), abs=1)
    assert mistake(truth, picks, shapes) is None


def test_the_evaluation_warns_but_changes_nothing():
    truth, picks = scene(np.random.default_rng(0))
    flipped = {n: np.c_[xy[:, 0], H - 1 - xy[:, 1], xy[:, 0] / W] for n, xy in picks.items()}
    result = evaluate(picks_of(**flipped), truth_of(**truth), **SCALE, shapes=SHAPES)
    assert "mirrored top to bottom" in result.warnings[0]
    assert result.figures["recall"].value < 0.3


def crowd(rng, kind, truth):
    """Picks that are poor, each kind in its own way."""
    made = {}
    for name, xy in truth.items():
        anywhere = rng.uniform(0, [W, H], (80, 2))
        made[name] = {
            "random": anywhere,
            "one corner": anywhere * 0.4,
            "repeated": np.repeat(anywhere[:20], 5, axis=0) + rng.normal(0, 3, (100, 2)),
            "a grid": np.stack(np.meshgrid(np.arange(20, W, 60), np.arange(20, H, 60)), -1).reshape(
                -1, 2
            ),
            "poor": np.concatenate([xy[::6] + rng.normal(0, 6, xy[::6].shape), anywhere]),
            "few": anywhere[:3],
            "mirror of the crowd": [W - 1, 0] + [-1, 1] * scattered(rng, len(xy), W / 3, H, 20),
        }[kind]
    return made


KINDS = ["random", "one corner", "repeated", "a grid", "poor", "few", "mirror of the crowd"]


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.sampled_from(KINDS), st.integers(3, 150), st.booleans())
def test_poor_picks_are_never_called_mistaken(seed, kind, count, known):
    rng = np.random.default_rng(seed)
    # of "mirror of the crowd", particles fill the left third and picks the right one
    width = W / 3 if kind == "mirror of the crowd" else W
    truth = {name: scattered(rng, count, width, H, 34) for name in SHAPES}
    assert mistake(truth, crowd(rng, kind, truth), SHAPES if known else None, rng) is None
