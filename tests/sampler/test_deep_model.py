"""The task model: what it says, that it drops, and that it leaves no trace."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from deep_pools import toy_pool, two_moons_apart
from scipy.stats import spearmanr
from sklearn.base import clone
from sklearn.datasets import load_digits
from torch import nn

from cryomae.sampler import SamplerError
from cryomae.sampler.deep import infer
from cryomae.sampler.deep.model import TaskModel, ready_model
from cryomae.sampler.deep.net import Standard, TaskNet
from cryomae.sampler.deep.seeds import seeded
from cryomae.sampler.deep.train import mini_batches


@pytest.fixture(scope="module")
def fitted():
    x, y = two_moons_apart(200, np.random.default_rng(0), features=4)
    return TaskModel(hidden=(16, 8), epochs=30).fit(x, y), x, y


def test_importing_the_sampler_does_not_import_torch():
    code = "import sys, cryomae.sampler, cryomae.sampler.deep; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_learns_two_classes(fitted):
    model, x, y = fitted
    assert model.score(x, y) > 0.95
    proba = model.predict_proba(x)
    assert proba.shape == (200, 2)
    np.testing.assert_allclose(proba.sum(1), 1, atol=1e-12)
    assert model.embed(x).shape == (200, 8)


def test_reads_images():
    x, y = load_digits(return_X_y=True)
    model = TaskModel(image=(1, 8, 8), hidden=(32,), epochs=8).fit(x[:600], y[:600])
    assert model.score(x[600:1000], y[600:1000]) > 0.85
    assert model.net_.widths == [16, 32, 32]


@pytest.mark.parametrize("image", [(1, 5, 7), (3, 4, 4)])
def test_images_of_any_size(image):
    net = TaskNet(int(np.prod(image)), 2, image=image)
    taps = net.taps(torch.zeros(3, int(np.prod(image))))
    assert [tap.shape[1] for tap in taps] == net.widths


def test_classes_may_be_anything(fitted):
    _, x, y = fitted
    model = TaskModel(hidden=(8,), epochs=20).fit(x, np.array(["no", "yes"])[y])
    assert set(model.predict(x)) == {"no", "yes"}


def test_same_seed_same_model_and_clones_agree(fitted):
    model, x, y = fitted
    again = clone(model).fit(x, y)
    other = clone(model).set_params(seed=1).fit(x, y)
    np.testing.assert_array_equal(model.predict_proba(x), again.predict_proba(x))
    assert not np.array_equal(model.predict_proba(x), other.predict_proba(x))


def test_leaves_the_state_of_torch_alone(fitted):
    _, x, y = fitted
    before = torch.get_rng_state()
    model = TaskModel(hidden=(8,), epochs=2).fit(x, y)
    model.predict_stochastic(x, 3, seed=5)
    model.perturb(x)(3, 1e-2)
    assert torch.equal(before, torch.get_rng_state())


def test_seeded_restores_the_state_after_an_error():
    before = torch.get_rng_state()

    def fail():
        with seeded(3):
            torch.rand(3)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert torch.equal(before, torch.get_rng_state())


def test_one_class_is_an_error(fitted):
    _, x, _ = fitted
    with pytest.raises(SamplerError, match="two classes"):
        TaskModel().fit(x, np.zeros(len(x), dtype=int))


def test_standard_gives_mean_zero_and_deviation_one():
    x = np.random.default_rng(0).normal(1e4, 5, size=(20_000, 3)).astype(np.float32)
    x[:, 2] = 7.3
    standard = Standard.of(x[:500], x[500:])
    z = standard(x).numpy()
    np.testing.assert_allclose(z[:, :2].mean(0), 0, atol=1e-2)
    np.testing.assert_allclose(z[:, :2].std(0), 1, atol=1e-2)
    np.testing.assert_allclose(z[:, 2], 0, atol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 9, 16, 17])
def test_mini_batches_cover_every_row_once_and_leave_none_alone(count):
    batches = list(mini_batches(count, 8))
    assert sorted(torch.cat(batches).tolist()) == list(range(count))
    assert count == 1 or min(map(len, batches)) > 1


def test_gradient_embedding_is_the_gradient_of_the_head(fitted):
    model, x, _ = fitted
    explicit = []
    for row in model.standard_(x[:6]):
        logits = model.net_(row[None])
        nn.functional.cross_entropy(logits, logits.argmax(1)).backward()
        explicit.append(model.net_.head.weight.grad.flatten().clone())
        model.net_.zero_grad()
    np.testing.assert_allclose(model.gradient_embed(x[:6]), torch.stack(explicit), atol=1e-6)


def test_perturbation_of_nothing_changes_nothing(fitted):
    model, x, _ = fitted
    perturb = model.perturb(x)
    np.testing.assert_array_equal(perturb(0, 0.0), model.predict_proba(x))
    weights = [p.clone() for p in model.net_.parameters()]
    assert not np.array_equal(perturb(0, 1e-2), perturb(1, 1e-2))
    assert all(torch.equal(a, b) for a, b in zip(weights, model.net_.parameters(), strict=True))


def test_perturbation_follows_the_jacobian(fitted):
    """Mean squared deviation is proportional to the squared norm of the Jacobian."""
    model, x, _ = fitted
    net, rows = model.net_, model.standard_(x[:60])
    jacobian = []
    for row in rows:
        parts = []
        for value in infer.softmax(net(row[None]))[0]:
            grads = torch.autograd.grad(value, list(net.parameters()), retain_graph=True)
            parts.append(torch.cat([g.flatten() for g in grads]).norm())
        jacobian.append(torch.stack(parts).norm().item())
    perturb = model.perturb(x[:60])
    still = perturb(0, 0.0)
    deviation = np.sqrt(sum(((perturb(s, 1e-3) - still) ** 2).sum(1) for s in range(200)))
    assert spearmanr(jacobian, deviation).statistic > 0.99


def test_perturbation_has_the_relative_size_that_was_asked_for():
    """Of a linear model without bias: the logits move by the noise itself."""
    net = nn.Linear(30, 2, bias=False)
    perturb = infer.perturber(net, lambda s: torch.eye(30)[s], 30)
    logit = np.log(perturb(0, 0.5)) - np.log(perturb(0, 0.0))
    weight = net.weight.detach().numpy()
    moved = logit[:, 1] - logit[:, 0]
    # The difference of two of 60 components of noise with norm 0.5 ||w||.
    assert 0.5 < np.linalg.norm(moved) / (0.5 * np.linalg.norm(weight)) < 1.5


def test_chunks_do_not_show(fitted, monkeypatch):
    model, x, _ = fitted
    whole = model.predict_proba(x), model.embed(x), model.perturb(x)(0, 0.1)
    monkeypatch.setattr(infer, "CHUNK", 7)
    parts = model.predict_proba(x), model.embed(x), model.perturb(x)(0, 0.1)
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert model.predict_stochastic(x, 2, seed=0).shape == (2, 200, 2)


def test_pools_model_is_used_as_it_is_or_as_a_recipe(fitted):
    model = TaskModel(hidden=(8,), epochs=2)
    recipe = ready_model(toy_pool(np.random.default_rng(0), model=model), "x", 3)
    assert recipe.net.widths == [8]
    assert not hasattr(model, "net_")
    pool = toy_pool(np.random.default_rng(0), features=4, model=fitted[0])
    assert ready_model(pool, "x", 3).net is fitted[0].net_
    module = nn.Linear(3, 2)
    given = ready_model(toy_pool(np.random.default_rng(0), model=module), "x", 3)
    assert given.net is module
