"""The automatic threshold parts background from particles, wherever the two lie."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import skewnorm

from cryomae.pick import CANDIDATE_FLOOR, choose_threshold


def probability(logits):
    return 1 / (1 + np.exp(-np.asarray(logits)))


def mixture(low, high, share, count=20_000, seed=0):
    """Scores of background and particles, and which are particles."""
    rng = np.random.default_rng(seed)
    true = rng.random(count) < share
    return probability(rng.normal(np.where(true, high, low), 0.7)), true


@pytest.mark.parametrize("shift", [-1.5, 0.0, 1.0])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.8])
def test_threshold_follows_the_scores(shift, share):
    """Little is lost, and of scores that are too low or too high as a whole less than a tenth."""
    p, true = mixture(-2.5 + shift, 1.0 + shift, share)

    def f1(threshold):
        return 2 * (true & (p >= threshold)).sum() / ((p >= threshold).sum() + true.sum())

    best = max(f1(t) for t in np.linspace(0.01, 0.99, 197))
    assert f1(choose_threshold([p[:9000], p[9000:]]).value) > best - (0.09 if shift else 0.02)


@pytest.mark.parametrize("mode", [3.0, 1.0, 0.0])
@pytest.mark.parametrize("share", [0.2, 0.7])
def test_threshold_is_near_the_best_whether_particles_are_clear_or_faint(mode, share):
    """Noise falls off from the least score that is kept; some particles are harder to see."""
    rng = np.random.default_rng(1)
    true = rng.random(4000) < share
    particles = mode + skewnorm.rvs(-3, scale=1.2, size=4000, random_state=rng)
    p = probability(np.where(true, particles, -3.89 + 1.5 * np.abs(rng.normal(size=4000))))
    p, true, all_true = p[p >= CANDIDATE_FLOOR], true[p >= CANDIDATE_FLOOR], true.sum()

    def f1(threshold):
        return 2 * (true & (p >= threshold)).sum() / ((p >= threshold).sum() + all_true)

    best = max(f1(t) for t in np.linspace(0.02, 0.98, 97))
    assert f1(choose_threshold([p]).value) > best - 0.02


def test_threshold_lies_in_the_middle_of_a_gap():
    """So that the next micrograph, whose scores are a little lower, is parted by it as well."""
    rng = np.random.default_rng(0)
    logits = np.concatenate([rng.uniform(-3.8, -3.0, 5), rng.uniform(2.0, 3.5, 80)])
    assert 0.2 < choose_threshold([probability(logits)]).value < 0.6


def test_background_alone_is_not_parted():
    """An empty data set must not be split into two halves of noise."""
    p = probability(np.random.default_rng(0).exponential(0.6, 5000) - 3.9)
    chosen = choose_threshold([p])
    assert chosen.value == 0.5
    assert "Is there anything to pick?" in chosen.explanation


def test_faint_particles_are_parted_when_the_user_has_shown_some():
    """Faint particles score low; without exemplars they could as well be noise."""
    p, true = mixture(-4.0, -1.2, 0.3)
    assert choose_threshold([p]).value == 0.5
    chosen = p >= choose_threshold([p], shown=True).value
    assert 2 * (chosen & true).sum() / (chosen.sum() + true.sum()) > 0.85


def test_explanation_names_both_groups():
    p, _ = mixture(-2.5, 1.5, 0.3)
    chosen = choose_threshold([p])
    assert "19,634 candidates" in chosen.explanation  # the others score less than is kept
    assert "background (around 0.08)" in chosen.explanation


def test_explanation_says_so_where_the_scores_do_not_part():
    p = probability(np.random.default_rng(3).normal(2.7, 0.3, 300))
    chosen = choose_threshold([p])
    assert "do not part into background and particles" in chosen.explanation
    assert (p >= chosen.value).mean() > 0.4


def test_order_and_grouping_of_micrographs_do_not_matter():
    p, _ = mixture(-2, 1, 0.4, 3000)
    whole = choose_threshold([p]).value
    assert choose_threshold(list(np.array_split(p[::-1], 7))).value == pytest.approx(
        whole, abs=1e-9
    )


@given(st.lists(st.lists(st.floats(0, 1), max_size=60), max_size=5))
def test_any_scores_give_a_threshold_between_0_and_1(groups):
    assert 0 <= choose_threshold([np.array(g) for g in groups]).value <= 1


@pytest.mark.parametrize("scores", [[], [np.zeros(0)], [np.full(5, 0.9)], [np.full(50, 0.3)]])
def test_too_little_to_tell_keeps_one_half(scores):
    chosen = choose_threshold(scores)
    assert chosen.value == 0.5
    assert chosen.explanation.startswith("Stays at 0.5")
