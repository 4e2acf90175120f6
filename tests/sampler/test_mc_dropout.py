"""MC dropout drops, and touches nothing else."""

import numpy as np
import pytest
import torch
from deep_pools import toy_pool
from torch import nn

from cryomae.sampler import MissingNeed, PoolView, SamplerError, create_strategy
from cryomae.sampler.deep import infer


def with_batch_norm(dropout):
    return nn.Sequential(nn.Linear(3, 32), nn.BatchNorm1d(32), nn.ReLU(), dropout, nn.Linear(32, 2))


@pytest.mark.parametrize("dropout", [nn.Dropout(0.5), nn.AlphaDropout(0.5)])
@pytest.mark.parametrize("training", [True, False])
def test_passes_differ_and_statistics_stay(dropout, training):
    net = with_batch_norm(dropout).train(training)
    net[1].running_mean.fill_(0.3)
    state = {k: v.clone() for k, v in net.state_dict().items()}
    modes = [m.training for m in net.modules()]
    x = torch.randn(50, 3)
    passes = infer.stochastic_probabilities(net, lambda s: x[s], 50, passes=5, seed=0)
    assert passes.shape == (5, 50, 2)
    np.testing.assert_allclose(passes.sum(2), 1)
    for a in range(5):
        for b in range(a):
            assert not np.allclose(passes[a], passes[b])
    assert all(torch.equal(state[k], v) for k, v in net.state_dict().items())
    assert modes == [m.training for m in net.modules()]


def test_every_row_of_a_pass_draws_its_own_mask():
    net = with_batch_norm(nn.Dropout(0.5))
    same = torch.ones(50, 3)
    passes = infer.stochastic_probabilities(net, lambda s: same[s], 50, passes=1, seed=0)
    assert len(np.unique(passes[0, :, 0])) > 25


def test_mean_of_linear_passes_is_known():
    """Dropout of inputs of a linear map: each logit has mean w x and variance p/(1-p) w^2 x^2."""
    net = nn.Sequential(nn.Dropout(0.2), nn.Linear(1, 2, bias=False))
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([[0.0], [1.0]]))
    x = torch.ones(20_000, 1)
    passes = infer.stochastic_probabilities(net, lambda s: x[s], 20_000, passes=1, seed=0)
    logit = np.log(passes[0, :, 1] / passes[0, :, 0])
    assert logit.mean() == pytest.approx(1, abs=0.02)
    assert logit.var() == pytest.approx(0.25, abs=0.02)


def test_a_model_without_dropout_is_an_error():
    pool = toy_pool(np.random.default_rng(0), model=with_batch_norm(nn.Identity()))
    with pytest.raises(SamplerError, match="dropout layers"):
        create_strategy("mc_dropout").select(pool, 3, np.random.default_rng(0))
    pool = toy_pool(np.random.default_rng(0), model=with_batch_norm(nn.Dropout(0.0)))
    with pytest.raises(SamplerError, match="dropout layers"):
        create_strategy("mc_dropout").select(pool, 3, np.random.default_rng(0))


def test_batch_is_that_of_the_strategy_behind_on_the_same_passes():
    model = with_batch_norm(nn.Dropout(0.5))
    pool = toy_pool(np.random.default_rng(0), model=model)
    rng = np.random.default_rng(4)
    batch = create_strategy("mc_dropout", passes=7).select(pool, 10, rng)
    rng = np.random.default_rng(4)
    rng.integers(2**31)
    x = torch.tensor(pool.features).float()
    passes = infer.stochastic_probabilities(
        model, lambda s: x[s], len(pool), passes=7, seed=int(rng.integers(2**31))
    )
    view = PoolView(ids=pool.ids, stochastic=passes.astype(np.float32))
    expected = create_strategy("bald").select(view, 10, rng)
    np.testing.assert_array_equal(batch.ids, expected.ids)
    np.testing.assert_array_equal(batch.score, expected.score)


def test_finds_what_the_trained_model_disagrees_on():
    pool = toy_pool(np.random.default_rng(1), unlabelled=300)
    batch = create_strategy("mc_dropout").select(pool, 20, np.random.default_rng(0))
    near = np.abs(pool.features[:, 0])
    assert near[batch.index].mean() < 0.6 * near.mean()


def test_what_stands_behind_must_read_passes():
    with pytest.raises(SamplerError, match="random does not read stochastic passes"):
        create_strategy("mc_dropout", then="random")


def test_features_are_needed():
    with pytest.raises(MissingNeed, match="features"):
        create_strategy("mc_dropout").select(PoolView(ids=[1, 2]), 1, np.random.default_rng(0))
