"""The bandit over strategies: its arithmetic, and that it finds the better candidate."""

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from labelled_pools import labelled_pool

from cryomae.sampler import Exclude, Labelled, PoolView, SamplerError, create_strategy
from cryomae.sampler.meta.albl import DELTA, Albl, AlblState

PAIR = ("uncertainty", "kcenter")


def plain_pool(n=30, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.01, 0.99, n)
    x = rng.normal(size=(n, 2))
    return PoolView(np.arange(n), proba=np.column_stack([p, 1 - p]), embed=x)


def answers(selection, right):
    """Labels of a selection, and predictions that are right or wrong."""
    y = np.zeros(len(selection), dtype=int)
    return Labelled(selection.ids, y), np.where(np.broadcast_to(right, y.shape), 0, 1)


def test_shares_add_up_and_none_falls_below_the_least():
    for logs in ((), (0.0, -50.0), (3.0, 1.0)):
        albl = Albl(PAIR, horizon=50, state=AlblState(logs))
        least = math.sqrt(math.log(2) / (2 * 50))
        assert albl.shares().sum() == pytest.approx(1)
        assert albl.shares().min() >= least - 1e-12
    assert Albl(PAIR, horizon=1).shares().tolist() == [0.5, 0.5]


def test_one_step_by_hand():
    pool = plain_pool()
    albl = Albl(PAIR, horizon=50)
    chosen = albl.select(pool, 1, np.random.default_rng(0))
    assert chosen.score[0] == pytest.approx(0.5)
    after = albl.observe(chosen, *answers(chosen, True))
    least = math.sqrt(math.log(2) / 100)
    bonus = math.sqrt(math.log(2 / DELTA) / 100)
    # Reward 1 over q = 1/2 for the adviser; the bonus 1/p_k = 2 for both.
    gain = {True: least / 2 * (2 + 2 * bonus), False: least / 2 * 2 * bonus}
    logs = np.array([gain[chosen.reason[0] == name] for name in PAIR])
    np.testing.assert_allclose(after.state.log_weights, logs - logs.max())
    wrong = albl.observe(chosen, *answers(chosen, False))
    assert wrong.state.log_weights == (0.0, 0.0)
    assert albl.state == AlblState()


def test_reward_is_the_accuracy_weighted_by_rarity():
    albl = Albl(PAIR, horizon=50, state=AlblState((0.0, 0.0), (1, 2), (2.0, 4.0)))
    chosen = albl.select(plain_pool().take(np.arange(10, 30)), 1, np.random.default_rng(0))
    labelled = Labelled([1, 2, int(chosen.ids[0])], [0, 0, 0])
    after = albl.observe(chosen, labelled, [0, 1, 0])
    reward = (2 + 2) / (2 + 4 + 2)
    gap = max(after.state.log_weights) - min(after.state.log_weights)
    assert chosen.reason[0] in PAIR  # one of them only, with q = 1/2
    assert gap == pytest.approx(math.sqrt(math.log(2) / 100) / 2 * reward / 0.5)


def test_rows_are_advised_and_agreement_adds_up():
    pool = plain_pool()
    albl = Albl((create_strategy("uncertainty"), "entropy"), horizon=50)
    chosen = albl.select(pool, 4, np.random.default_rng(0))
    # With two classes both rank alike: all is agreed, with certainty.
    assert set(chosen.reason) == {"uncertainty+entropy"}
    np.testing.assert_allclose(chosen.score, 1)
    best = create_strategy("uncertainty").select(pool, 4, np.random.default_rng(0))
    np.testing.assert_array_equal(chosen.ids, best.ids)


def test_skipped_answers_earn_nothing():
    albl = Albl(PAIR, horizon=50)
    chosen = albl.select(plain_pool(), 3, np.random.default_rng(0))
    empty = Labelled(np.zeros(0, dtype=int), np.zeros(0, dtype=int))
    assert albl.observe(chosen, empty, []).state.log_weights == (0.0, 0.0)
    with pytest.raises(SamplerError, match="predictions for"):
        albl.observe(chosen, empty, [1])


def test_guards_hold_and_the_batch_is_full():
    pool = plain_pool(12)
    banned = [0, 1, 2, 3]
    chosen = Albl().select(pool, 50, np.random.default_rng(0), [Exclude(banned)])
    assert sorted(chosen.ids) == list(range(4, 12))


def test_state_survives_json():
    albl = Albl(PAIR, horizon=50)
    chosen = albl.select(plain_pool(), 3, np.random.default_rng(0))
    state = albl.observe(chosen, *answers(chosen, [True, False, True])).state
    held = json.loads(json.dumps(asdict(state)))
    again = AlblState(**{key: tuple(value) for key, value in held.items()})
    assert again == state


def test_it_follows_the_candidate_whose_rows_the_model_gets_right():
    rng = np.random.default_rng(0)
    albl = Albl(PAIR, horizon=200)
    for turn in range(200):
        chosen = albl.select(plain_pool(seed=turn), 1, rng)
        fresh = type(chosen)(
            chosen.ids + 1000 * turn,
            chosen.index,
            chosen.score,
            chosen.reason,
            chosen.strategy,
        )
        # Only this turn's answer is told: the model is right where k-center asked.
        right = "kcenter" in chosen.reason[0]
        albl = albl.observe(fresh, *answers(fresh, [right]))
    shares = dict(zip(PAIR, albl.shares(), strict=True))
    assert shares["kcenter"] > 0.8


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"candidates": ("random",)}, "at least two"),
        ({"candidates": ("random", "random")}, "twice"),
        ({"candidates": ("random", "nobody")}, "no strategy"),
        ({"horizon": 0}, "horizon"),
    ],
)
def test_parameters_are_checked(wrong, says):
    with pytest.raises(SamplerError, match=says):
        create_strategy("albl", **wrong)


def test_needs_are_those_of_the_candidates():
    pool = labelled_pool(n=20, known=8)
    albl = create_strategy("albl", candidates=("qbc", "uncertainty"))
    assert len(albl.select(pool, 2, np.random.default_rng(0))) == 2
    with pytest.raises(SamplerError, match="needs"):
        albl.select(plain_pool(), 1, np.random.default_rng(0))
