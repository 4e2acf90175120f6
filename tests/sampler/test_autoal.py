"""AutoAL: the search has a gradient, moves, and finds the better candidate."""

import numpy as np
import pytest
import torch
from deep_pools import toy_pool, two_moons_apart
from scipy.optimize import approx_fprime

from cryomae.sampler import Exclude, Labelled, PoolView, SamplerError, create_strategy
from cryomae.sampler.deep import autoal
from cryomae.sampler.deep.net import TaskNet
from cryomae.sampler.deep.search import (
    Half,
    SearchNet,
    count_reward,
    relaxed_choice,
    search,
    search_loss,
)
from cryomae.sampler.deep.seeds import seeded
from cryomae.sampler.deep.train import fit_classifier


def test_relaxed_choice_takes_the_asked_share():
    score = torch.linspace(0, 1, 1001)
    for share in (0.05, 0.2, 0.5):
        chosen = relaxed_choice(score, share, 0.01)
        assert chosen.sum().item() == pytest.approx(share * 1001, rel=0.02)
        assert (chosen.diff() >= 0).all()


def test_relaxed_choice_follows_the_spread_of_the_scores():
    score = torch.rand(50, generator=torch.Generator().manual_seed(0))
    wide, narrow = relaxed_choice(score, 0.2, 0.3), relaxed_choice(score * 1e-4, 0.2, 0.3)
    torch.testing.assert_close(wide, narrow, atol=1e-3, rtol=1e-3)
    assert torch.isfinite(relaxed_choice(torch.ones(50), 0.2, 0.3)).all()


def test_count_reward_is_that_of_the_paper_and_has_a_gradient():
    chosen = torch.full((10,), 0.5, requires_grad=True)
    assert count_reward(chosen, 0.5).item() == 0
    reward = count_reward(chosen, 0.2)
    assert reward.item() == pytest.approx(1 / (1 + np.exp(0.5 * 3)) - 0.5)
    reward.backward()
    assert (chosen.grad < 0).all()


def test_gradient_reaches_search_net():
    """With the slope 1e11 of the published code it is exactly zero, in every trial."""
    for trial in range(20):
        with seeded(trial):
            net = SearchNet(4, 3)
            torch.nn.init.normal_(net.leave.weight)
            x, ranks, loss = torch.randn(60, 4), torch.rand(60, 3), torch.rand(60)
        for width, moves in ((0.1, True), (1e-11, False)):
            net.zero_grad()
            search_loss(relaxed_choice(net.score(x, ranks), 0.2, width), loss, 0.2).backward()
            size = sum(p.grad.abs().sum() for p in net.parameters())
            assert (size > 1e-3) == moves


def test_gradient_of_the_loss_is_that_of_differences():
    with seeded(0):
        score, loss = torch.rand(8).double(), torch.rand(8).double()
    level = (loss - loss.mean()) / loss.std(correction=0)
    threshold, spread = torch.quantile(score, 0.75), score.std(correction=0)

    def by_hand(values):
        chosen = 1 / (1 + np.exp(-(values - threshold.item()) / (0.5 * spread.item())))
        count = 1 / (1 + np.exp(0.5 * abs(chosen.sum() - 2))) - 0.5
        return -(chosen * level.numpy()).mean() / 0.25 - 0.5 * count

    at = score.clone().requires_grad_()
    search_loss(relaxed_choice(at, 0.25, 0.5), loss, 0.25).backward()
    np.testing.assert_allclose(at.grad, approx_fprime(score.numpy(), by_hand, 1e-7), atol=1e-4)


def halves(rng, ranks_of, count=150):
    """Both halves of labels of two overlapping classes, and a FitNet for each."""
    x, y = two_moons_apart(2 * count, rng, gap=1.0)
    rows, labels = torch.from_numpy(x).float(), torch.from_numpy(y)
    given = []
    for known, rest in (
        (slice(0, count), slice(count, None)),
        (slice(count, None), slice(0, count)),
    ):
        fit = TaskNet(2, 2)
        fit_classifier(
            fit,
            rows[known],
            labels[known],
            epochs=30,
            batch=64,
            learning_rate=5e-3,
            weight_decay=1e-3,
        )
        ranks = ranks_of(x[rest])
        given.append(
            Half(fit, rows[known], labels[known], rows[rest], labels[rest], rows[rest], ranks)
        )
    return given, rows


def as_ranks(*scores):
    """Ranks 0 to 1, highest score 1, shape (n, K)."""
    return np.stack([s.argsort().argsort() / (len(s) - 1) for s in scores], 1)


@pytest.mark.parametrize("better", [0, 1])
def test_search_moves_and_picks_the_better_candidate(better):
    """One candidate goes to the boundary, where losses are high, the other away from it."""

    def ranks_of(x):
        near, far = -np.abs(x[:, 0]), np.abs(x[:, 0])
        return as_ranks(near, far) if better == 0 else as_ranks(far, near)

    with seeded(0):
        given, rows = halves(np.random.default_rng(0), ranks_of)
        net = SearchNet(2, 2)
        before = net(rows).detach()
        search(net, given, rounds=80, share=0.2)
    torch.testing.assert_close(before, torch.full_like(before, 0.5))
    # The two are mirror images: any weight above one half chooses as the better one alone.
    assert (net(rows).detach()[:, better] > 0.5).float().mean() > 0.95
    for half in given:
        score = net.score(half.seen, torch.from_numpy(half.ranks).float()).detach()
        chosen, best = score.topk(30).indices, torch.from_numpy(half.ranks[:, better]).topk(30)
        assert len(set(chosen.tolist()) & set(best.indices.tolist())) >= 24


def test_search_prefers_a_good_candidate_to_chance():
    rng = np.random.default_rng(5)
    with seeded(1):
        given, rows = halves(
            rng, lambda x: as_ranks(rng.random(len(x)), -np.abs(x[:, 0]), rng.random(len(x)))
        )
        net = SearchNet(2, 3)
        search(net, given, rounds=80, share=0.2)
    weights = net(rows).detach().mean(0)
    assert weights[1] > 0.5
    assert weights[1] > 1.5 * weights[[0, 2]].max()


@pytest.mark.parametrize("classes", [2, 3])
def test_halves_hold_half_of_every_class(classes):
    y = np.random.default_rng(0).integers(0, classes, 101)
    first, second = autoal.halves_of(y, np.random.default_rng(1))
    assert sorted([*first, *second]) == list(range(101))
    gap = np.bincount(y[first], minlength=classes) - np.bincount(y[second], minlength=classes)
    assert np.abs(gap).max() <= 1


def test_few_labels_fall_back_to_a_mix_and_say_so():
    pool = toy_pool(np.random.default_rng(0), labelled=99)
    batch = create_strategy("autoal").select(pool, 8, np.random.default_rng(0))
    assert len(batch) == 8
    assert all("mix: 99 labels are too few for autoal" in r for r in batch.reason)


def test_a_rare_class_falls_back_too():
    y = np.zeros(200, dtype=int)
    y[:19] = 1
    assert autoal.too_few(y)
    y[19] = 1
    assert not autoal.too_few(y)


def test_strategy_follows_the_better_candidate():
    """``margin`` asks at the boundary; ``top_score`` only where the model is sure."""
    pool = toy_pool(np.random.default_rng(3), unlabelled=300, labelled=300, features=2, gap=1.0)
    strategy = create_strategy("autoal", candidates=("top_score", "margin"))
    batch = strategy.select(pool, 20, np.random.default_rng(0))
    # How far training goes in so few rounds differs between processors.
    assert sum(r == "margin" for r in batch.reason) > 10
    near = np.abs(pool.features[:, 0])
    assert near[batch.index].mean() < 0.75 * near.mean()


def test_every_kind_of_need_is_offered_to_candidates():
    pool = toy_pool(np.random.default_rng(3), unlabelled=40, labelled=120)
    names = ("bald", "badge", "noise_stability", "kcenter", "random", "learning_loss")
    strategy = create_strategy("autoal", candidates=names, rounds=3)
    batch = strategy.select(pool, 10, np.random.default_rng(0), [Exclude(pool.ids[:5])])
    assert len(batch) == 10
    assert not set(batch.ids) & set(pool.ids[:5])
    assert set(batch.reason) <= set(names)


def test_a_class_with_one_label_does_no_harm():
    pool = toy_pool(np.random.default_rng(3), labelled=120)
    y = pool.labelled.y.copy()
    y[7] = 2
    own = Labelled(ids=pool.labelled.ids, y=y, features=pool.labelled.features)
    pool = PoolView(ids=pool.ids, features=pool.features, labelled=own)
    strategy = create_strategy("autoal", rounds=3)
    assert len(strategy.select(pool, 5, np.random.default_rng(0))) == 5


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"candidates": ("margin", "margin")}, "two different"),
        ({"candidates": ("margin", "pareto_ood")}, "pareto_ood, which reads id_score"),
        ({"share": 0.0}, "share"),
        ({"rounds": 0}, "rounds"),
    ],
)
def test_parameters_are_checked(params, match):
    with pytest.raises(SamplerError, match=match):
        create_strategy("autoal", **params)
