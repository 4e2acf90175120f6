"""VAAL: the discriminator learns the right labels, and its choice is where no label is."""

import numpy as np
import pytest
import torch
from deep_pools import toy_pool
from sklearn.metrics import roc_auc_score

from cryomae.sampler import Labelled, PoolView, SamplerError, create_strategy
from cryomae.sampler.deep import vaal
from cryomae.sampler.deep.seeds import seeded


def half_covered(rng, labelled=100, count=400):
    """Labels only where the first feature is negative; the pool lies on both sides."""
    x = rng.normal(size=(labelled + count, 4))
    x[:labelled, 0] = -np.abs(x[:labelled, 0])
    own = Labelled(ids=np.arange(labelled), y=np.zeros(labelled, int), features=x[:labelled])
    ids = np.arange(labelled, labelled + count)
    return PoolView(ids=ids, features=x[labelled:], labelled=own)


def test_losses_have_the_right_targets():
    sure_labelled, sure_unlabelled = torch.full((3, 1), 20.0), torch.full((3, 1), -20.0)
    assert vaal.discriminator_loss(sure_labelled, sure_unlabelled) < 1e-6
    assert vaal.discriminator_loss(sure_labelled, sure_labelled) > 19
    assert vaal.discriminator_loss(sure_unlabelled, sure_unlabelled) > 19
    assert vaal.deception_loss(sure_labelled, sure_labelled) < 1e-6
    assert vaal.deception_loss(sure_labelled, sure_unlabelled) > 19


def test_divergence_is_that_of_gaussians():
    """With weights 0 the code is N(m, s^2) whatever the row, and the decoder gives its bias."""
    model = vaal.VariationalAutoencoder(3, 2)
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
        model.mean.bias.copy_(torch.tensor([1.0, -2.0]))
        model.log_variance.bias.copy_(torch.tensor([0.5, 0.0]))
    x = torch.tensor([[1.0, 2.0, 2.0]])
    expected = torch.distributions.kl_divergence(
        torch.distributions.Normal(model.mean.bias, (model.log_variance.bias / 2).exp()),
        torch.distributions.Normal(torch.zeros(2), torch.ones(2)),
    ).sum()
    assert model(x)[1].item() == pytest.approx(9 + expected.item(), rel=1e-5)


def test_discriminator_tells_labelled_from_unlabelled():
    rng = np.random.default_rng(0)
    known = torch.from_numpy(rng.normal(-2, 1, size=(100, 3))).float()
    other = torch.from_numpy(rng.normal(2, 1, size=(300, 3))).float()
    with seeded(0):
        model, judge = vaal.VariationalAutoencoder(3, 4), vaal.discriminator(4)
        vaal.fit_vaal(
            model,
            judge,
            known,
            lambda n: other[torch.randint(300, (n,))],
            steps=300,
            adversarial=1.0,
        )
        with torch.no_grad():
            assert judge(model.code(known)).mean() > judge(model.code(other)).mean() + 1


def ranking(pool):
    """The whole pool, best first."""
    return create_strategy("vaal", steps=300).select(pool, len(pool), np.random.default_rng(0))


def test_strategy_goes_where_no_label_is():
    pool = half_covered(np.random.default_rng(1))
    batch = ranking(pool)
    assert ((batch.score >= 0) & (batch.score <= 1)).all()
    uncovered = pool.features[batch.index, 0] > 0
    assert roc_auc_score(uncovered, batch.score) > 0.85
    assert uncovered[:40].mean() > 0.95


def test_wrong_labels_would_not_find_it(monkeypatch):
    """Guard of the test above: with DeepAL+'s targets, 1 for both, the choice is lost."""
    monkeypatch.setattr(vaal, "discriminator_loss", vaal.deception_loss)
    pool = half_covered(np.random.default_rng(1))
    batch = ranking(pool)
    assert roc_auc_score(pool.features[batch.index, 0] > 0, batch.score) < 0.75


def test_one_class_is_enough_but_something_must_be_labelled():
    pool = toy_pool(np.random.default_rng(0))
    none = Labelled(ids=np.zeros(0, int), y=np.zeros(0, int), features=np.zeros((0, 3)))
    empty = PoolView(ids=pool.ids, features=pool.features, labelled=none)
    with pytest.raises(SamplerError, match="vaal needs something labelled"):
        create_strategy("vaal").select(empty, 1, np.random.default_rng(0))
