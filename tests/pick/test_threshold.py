"""The automatic threshold maximises the F1 that the scores promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryomae.pick import choose_threshold


def test_clear_cut_scores_are_split_between_the_groups():
    scores = np.concatenate([np.full(50, 0.97), np.full(300, 0.06)])
    chosen = choose_threshold([scores])
    assert 0.06 < chosen.value <= 0.97
    assert "expected precision 0.97" in chosen.explanation


def test_realised_f1_is_near_the_best_when_scores_are_probabilities():
    rng = np.random.default_rng(0)
    p = rng.beta(0.5, 0.8, size=20_000)
    true = rng.random(len(p)) < p

    def f1(threshold):
        kept = p >= threshold
        return 2 * (true & kept).sum() / (kept.sum() + true.sum())

    best = max(f1(t) for t in np.linspace(0.01, 0.99, 99))
    assert f1(choose_threshold([p[:9000], p[9000:]]).value) == pytest.approx(best, abs=0.005)


def test_threshold_is_half_the_expected_f1():
    """Lipton, Elkan and Naryanaswamy (2014), theorem 1."""
    p = np.random.default_rng(1).beta(0.6, 0.9, size=50_000)
    value = choose_threshold([p]).value
    f1 = 2 * p[p >= value].sum() / ((p >= value).sum() + p.sum())
    assert value == pytest.approx(f1 / 2, abs=0.01)


@given(st.lists(st.lists(st.floats(0, 1), max_size=30), max_size=5))
def test_any_scores_give_a_threshold_between_0_and_1(groups):
    assert 0 <= choose_threshold([np.array(g) for g in groups]).value <= 1


def test_no_candidates_keep_one_half():
    assert choose_threshold([]).value == 0.5
    assert choose_threshold([np.zeros(0)]).value == 0.5
