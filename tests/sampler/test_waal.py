"""WAAL: the critic measures a known distance; the choice is unsure and far from labels."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from cryomae.sampler import Labelled, PoolView, SamplerError, create_strategy
from cryomae.sampler.deep import waal
from cryomae.sampler.deep.model import task_of
from cryomae.sampler.deep.net import TaskNet
from cryomae.sampler.deep.seeds import seeded


@pytest.mark.parametrize("shift", [0.5, 2.0])
def test_critic_reaches_the_wasserstein_distance_of_shifted_gaussians(shift):
    """Whose distance is the length of the shift."""
    with seeded(0):
        judge = waal.critic(3)
        optimiser = torch.optim.Adam(judge.parameters(), lr=3e-3, betas=(0.5, 0.9))
        move = torch.tensor([0.6, 0.0, -0.8]) * shift
        for _ in range(400):
            waal.fit_critic_step(judge, optimiser, torch.randn(128, 3), torch.randn(128, 3) + move)
        with torch.no_grad():
            x = torch.randn(20_000, 3)
            found = waal.distance_estimate(judge, x, x + move).item()
    assert found == pytest.approx(shift, rel=0.15)


def test_penalty_of_a_linear_critic():
    judge = torch.nn.Linear(2, 1)
    with torch.no_grad():
        judge.weight.copy_(torch.tensor([[3.0, 4.0]]))
    x = torch.randn(5, 2)
    assert waal.gradient_penalty(judge, x, x + 1).item() == pytest.approx(16)


def test_score_is_greatest_where_probabilities_are_equal():
    logits = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [9.0, 0.0, -3.0]])
    score = waal.query_score(logits, torch.zeros(3), 10.0)
    assert (score.diff() < 0).all()
    uniform = np.log(3)
    assert score[0].item() == pytest.approx(-(np.sqrt(3) * uniform + 3 * uniform) / 2)
    critics = waal.query_score(logits[:1].repeat(2, 1), torch.tensor([0.0, 0.5]), 10.0)
    assert critics.diff().item() == pytest.approx(5.0)


def with_a_new_cluster(rng, labelled=80, count=400):
    """Two classes along the first axis, labelled alike, and far out 100 rows without labels."""
    y = np.arange(labelled + count) % 2
    x = rng.normal(size=(labelled + count, 4))
    x[:, 0] += np.where(y == 1, 2, -2)
    new = np.arange(len(x)) >= len(x) - 100
    x[new, :2] = rng.normal((7.0, 0.0), size=(100, 2))
    own = Labelled(ids=np.arange(labelled), y=y[:labelled], features=x[:labelled])
    ids = np.arange(labelled, labelled + count)
    return PoolView(ids=ids, features=x[labelled:], labelled=own), new[labelled:]


@pytest.mark.parametrize("transport", [0.0, 0.01])
def test_diversity_goes_where_no_label_is(transport):
    """Less so with transport, which draws the new rows towards the labelled ones."""
    pool, new = with_a_new_cluster(np.random.default_rng(0))
    strategy = create_strategy("waal", transport=transport, steps=120)
    score = strategy.score(pool, np.random.default_rng(0))
    assert roc_auc_score(new, score) > (0.6 if transport else 0.95)


def test_transport_brings_embeddings_together():
    pool, _ = with_a_new_cluster(np.random.default_rng(0))
    task = task_of(pool, "waal")
    gaps = []
    for transport in (0.0, 1.0):
        with seeded(0):
            net, judge = TaskNet(4, 2), waal.critic(64)
            waal.fit_waal(net, judge, task.x, task.y, task.draw, steps=120, transport=transport)
        with torch.no_grad():
            known, other = net.embed(task.x), net.embed(task.rows(slice(None)))
        gaps.append((known.mean(0) - other.mean(0)).norm() / known.std(0).norm())
    assert gaps[1] < 0.5 * gaps[0]


def test_without_diversity_the_choice_is_the_unsure():
    pool, _ = with_a_new_cluster(np.random.default_rng(0))
    strategy = create_strategy("waal", diversity=0.0, steps=120)
    batch = strategy.select(pool, 20, np.random.default_rng(0))
    near = np.abs(pool.features[:, 0])
    assert near[batch.index].mean() < 0.4 * near.mean()


@pytest.mark.parametrize("params", [{"diversity": -1}, {"transport": np.nan}, {"steps": 0}])
def test_parameters_are_checked(params):
    with pytest.raises(SamplerError, match=next(iter(params))):
        create_strategy("waal", **params)
