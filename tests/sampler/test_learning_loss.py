"""Learning loss on known losses."""

import numpy as np
import pytest
import torch
from deep_pools import toy_pool
from scipy.stats import spearmanr

from cryomae.sampler import Labelled, PoolView, SamplerError, create_strategy
from cryomae.sampler.deep.learning_loss import LossModule, fit_with_loss_module, ranking_loss
from cryomae.sampler.deep.net import TaskNet
from cryomae.sampler.deep.seeds import seeded


def test_ranking_loss_is_that_of_the_paper():
    true = torch.tensor([3.0, 1.0, 1.0, 2.0])
    predicted = torch.tensor([0.5, 0.0, 0.1, 3.0])
    # Pairs (0, 2) in order by 0.4 of a margin of 1, and (1, 3) by 3.
    assert ranking_loss(predicted, true).item() == pytest.approx((1 - 0.4) / 2)
    # The other way round they are wrong by 0.4 and by 3.
    assert ranking_loss(-predicted, true).item() == pytest.approx((1.4 + 4) / 2)


def test_a_batch_of_odd_size_leaves_its_last_row_out():
    predicted, true = torch.randn(5), torch.randn(5)
    assert ranking_loss(predicted, true) == ranking_loss(predicted[:4], true[:4])
    alone = torch.ones(1, requires_grad=True)
    ranking_loss(alone, torch.ones(1)).backward()
    assert alone.grad == 0


def test_no_gradient_reaches_the_true_loss():
    true = torch.randn(6, requires_grad=True)
    predicted = torch.randn(6, requires_grad=True)
    ranking_loss(predicted, true).backward()
    assert true.grad is None
    assert predicted.grad.abs().sum() > 0


def test_equal_losses_have_no_order():
    assert ranking_loss(torch.randn(4), torch.ones(4)) == 0


def noisy_half(count, rng):
    """Two features, one shows the class; where the other is positive the labels are random."""
    x = rng.uniform(-1, 1, size=(count, 2))
    y = (x[:, 0] > 0).astype(int)
    noisy = x[:, 1] > 0
    y[noisy] = rng.integers(0, 2, int(noisy.sum()))
    return x, y, noisy


def test_module_foresees_the_loss():
    x, y, _ = noisy_half(800, np.random.default_rng(0))
    rows, labels = torch.from_numpy(x).float(), torch.from_numpy(y)
    with seeded(0):
        net = TaskNet(2, 2)
        module = LossModule(net.widths)
        fit_with_loss_module(
            net, module, rows[:400], labels[:400], epochs=60, weight=1.0, joint=0.6
        )
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(net(rows[400:]), labels[400:], reduction="none")
        predicted = module(net.taps(rows[400:]))
    assert spearmanr(predicted, loss).statistic > 0.4


def test_after_the_joint_epochs_the_network_is_that_of_cross_entropy_alone():
    x, y, _ = noisy_half(100, np.random.default_rng(0))
    rows, labels = torch.from_numpy(x).float(), torch.from_numpy(y)
    weights = []
    for weight in (0.1, 10.0):
        with seeded(0):
            net = TaskNet(2, 2)
            module = LossModule(net.widths)
            fit_with_loss_module(net, module, rows, labels, epochs=3, weight=weight, joint=0.0)
        weights.append(net.head.weight)
    assert torch.equal(*weights)


def test_strategy_takes_what_lies_in_noise():
    x, y, noisy = noisy_half(900, np.random.default_rng(3))
    labelled = Labelled(ids=np.arange(400), y=y[:400], features=x[:400])
    pool = PoolView(ids=np.arange(400, 900), features=x[400:], labelled=labelled)
    batch = create_strategy("learning_loss").select(pool, 60, np.random.default_rng(0))
    assert noisy[400:][batch.index].mean() > 0.85


def test_needs_two_classes():
    pool = toy_pool(np.random.default_rng(0))
    one = Labelled(ids=[1000, 1001], y=[1, 1], features=np.zeros((2, 3)))
    pool = PoolView(ids=pool.ids, features=pool.features, labelled=one)
    with pytest.raises(SamplerError, match="learning_loss fits models and needs"):
        create_strategy("learning_loss").select(pool, 1, np.random.default_rng(0))
