"""Attacks against closed forms of linear models."""

import numpy as np
import pytest
import torch
from deep_pools import toy_pool
from torch import nn

from cryomae.sampler import SamplerError, create_strategy
from cryomae.sampler.deep import infer
from cryomae.sampler.deep.adversarial import (
    _against,
    bim_distance,
    deepfool_distance,
    in_chunks,
)


def linear(weight, bias):
    weight, bias = torch.tensor(weight).float(), torch.tensor(bias).float()
    return lambda x: x @ weight.T + bias


@pytest.fixture
def rows():
    return torch.randn(40, 5, generator=torch.Generator().manual_seed(0))


def test_deepfool_of_a_binary_linear_model_is_the_distance_to_its_plane(rows):
    w, b = np.array([1.0, -2.0, 0.5, 0.0, 3.0]), 0.7
    distance = deepfool_distance(linear(np.stack([np.zeros(5), w]), [0, b]), rows, steps=1)
    expected = np.abs(rows.numpy() @ w + b) / np.linalg.norm(w)
    np.testing.assert_allclose(distance, expected, rtol=1e-4)


def test_deepfool_goes_to_the_nearest_of_many_planes(rows):
    """The known defect of public code goes towards the last class whatever the distances."""
    rng = np.random.default_rng(1)
    weight, bias = rng.normal(size=(6, 5)), rng.normal(size=6)
    logits = rows.numpy() @ weight.T + bias
    own = logits.argmax(1)
    expected = np.full(len(rows), np.inf)
    towards = np.zeros(len(rows))
    for k in range(6):
        gap = logits[np.arange(len(rows)), own] - logits[:, k]
        norm = np.linalg.norm(weight[k] - weight[own], axis=1)
        with np.errstate(invalid="ignore"):
            distance = np.where(own == k, np.inf, gap / norm)
        towards[distance < expected] = k
        expected = np.minimum(expected, distance)
    assert len(set(towards)) > 3
    distance = deepfool_distance(linear(weight, bias), rows, steps=5)
    np.testing.assert_allclose(distance, expected, rtol=1e-3)


def test_deepfool_comes_near_a_curved_boundary_in_several_steps():
    """A circle seen from outside, where the logits' parabola takes more than one step."""

    def logits(x):
        outside = x.square().sum(1) - 4
        return torch.stack([torch.zeros_like(outside), outside], 1)

    x = torch.tensor([[3.0, 4.0], [0.0, -9.0]])
    assert torch.isinf(deepfool_distance(logits, x, steps=1)).all()
    np.testing.assert_allclose(deepfool_distance(logits, x, steps=50), [3.0, 7.0], rtol=0.03)


@pytest.mark.parametrize("attack", [deepfool_distance, bim_distance])
def test_rows_that_nothing_moves_resist(attack, rows):
    options = {"steps": 4} if attack is deepfool_distance else {"steps": 4, "step": 0.1}
    flat = attack(lambda x: x @ torch.zeros(5, 3) + torch.tensor([0.0, 1.0, 0.0]), rows, **options)
    assert torch.isinf(flat).all()


def test_bim_of_a_binary_linear_model_counts_its_steps(rows):
    w, b, step = np.array([1.0, -2.0, 0.5, 1.5, 3.0]), 0.7, 0.01
    distance = bim_distance(linear(np.stack([np.zeros(5), w]), [0, b]), rows, step=step, steps=2000)
    count = np.floor(np.abs(rows.numpy() @ w + b) / (step * np.abs(w).sum())) + 1
    np.testing.assert_allclose(distance, count * step * np.sqrt(5), rtol=1e-3)


def test_bim_stops_at_its_bound(rows):
    calls = []

    def logits(x):
        calls.append(len(x))
        return torch.stack([x.sum(1) * 0, 1e3 + x.sum(1)], 1)

    assert torch.isinf(bim_distance(logits, rows, step=0.01, steps=7)).all()
    assert len(calls) == 1 + 2 * 7


def test_the_attacked_function_has_the_direction_of_the_cross_entropy():
    z = torch.randn(20, 4, generator=torch.Generator().manual_seed(2)).double().requires_grad_()
    own = z.argmax(1)
    ours = torch.autograd.grad(_against(z, own).sum(), z, retain_graph=True)[0]
    loss = nn.functional.cross_entropy(z, own, reduction="sum")
    theirs = torch.autograd.grad(loss, z)[0]
    sure = torch.softmax(z.detach(), 1).gather(1, own[:, None])
    torch.testing.assert_close(ours * (1 - sure), theirs)


def test_bim_moves_rows_whose_probability_rounds_to_one():
    logits = linear([[0.0, 0.0], [300.0, 0.0]], [0.0, 0.0])
    distance = bim_distance(logits, torch.tensor([[1.0, 0.0]]), step=0.05, steps=100)
    assert distance.item() == pytest.approx(1.0, abs=0.06)


def test_attacks_leave_inputs_and_network_alone(monkeypatch):
    monkeypatch.setattr(infer, "CHUNK", 3)
    net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2))
    x = torch.randn(10, 3)
    kept = x.clone()

    def attack(logits, rows):
        return deepfool_distance(logits, rows, steps=20)

    whole = in_chunks(net, lambda s: x[s], 10, attack)
    np.testing.assert_array_equal(whole, in_chunks(net, lambda s: x[s], 10, attack))
    assert torch.equal(x, kept)
    assert net.training
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize("name", ["adversarial_deepfool", "adversarial_bim"])
def test_strategy_takes_what_is_next_to_the_plane(name):
    model = nn.Linear(3, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.0, 0, 0], [1, 2, -1]]))
        model.bias.copy_(torch.tensor([0.0, 0.3]))
    pool = toy_pool(np.random.default_rng(1), model=model)
    batch = create_strategy(name).select(pool, 5, np.random.default_rng(0))
    distance = np.abs(pool.features @ [1, 2, -1] + 0.3)
    if name == "adversarial_deepfool":
        np.testing.assert_array_equal(batch.index, np.argsort(distance)[:5])
        np.testing.assert_allclose(
            batch.score, 1 / (1 + np.sort(distance)[:5] / np.sqrt(6)), rtol=1e-4
        )
    else:
        assert distance[batch.index].max() <= np.sort(distance)[:5].max() + 0.05 * 4


@pytest.mark.parametrize("name", ["adversarial_deepfool", "adversarial_bim"])
def test_strategy_trains_its_own_model(name):
    pool = toy_pool(np.random.default_rng(2), unlabelled=200)
    batch = create_strategy(name).select(pool, 20, np.random.default_rng(0))
    near = np.abs(pool.features[:, 0])
    assert near[batch.index].mean() < 0.5 * near.mean()


@pytest.mark.parametrize("params", [{"steps": 0}, {"steps": 1.5}])
@pytest.mark.parametrize("name", ["adversarial_deepfool", "adversarial_bim"])
def test_parameters_are_checked(name, params):
    with pytest.raises(SamplerError, match="steps"):
        create_strategy(name, **params)
