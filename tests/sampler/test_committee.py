"""Query by committee against scikit-activeml."""

import numpy as np
import pytest
from labelled_pools import labelled_pool
from sklearn.svm import SVC

from cryomae.sampler import MissingNeed, PoolView, SamplerError, create_strategy
from cryomae.sampler.refit import bagging, training_set
from cryomae.sampler.scores.committee import vote_entropy
from cryomae.sampler.scores.stochastic import bald

skactiveml = pytest.importorskip("skactiveml.pool")


def members(classes, seed=0):
    rng = np.random.default_rng(seed)
    # Not nearer to 0 than scikit-activeml lets probabilities come.
    return 0.99 * rng.dirichlet(np.full(classes, 0.4), size=(7, 50)) + 0.01 / classes


@pytest.mark.parametrize("classes", [2, 3, 6])
def test_vote_entropy_is_scikit_activemls(classes):
    passes = members(classes)
    votes = passes.argmax(axis=-1).T
    theirs = skactiveml.vote_entropy(votes, classes=np.arange(classes))
    np.testing.assert_allclose(vote_entropy(passes), theirs, atol=1e-12)


@pytest.mark.parametrize("classes", [2, 3, 6])
def test_kl_is_scikit_activemls(classes):
    passes = members(classes)
    np.testing.assert_allclose(bald(passes), skactiveml.average_kl_divergence(passes), atol=1e-9)


@pytest.mark.parametrize("disagreement", ["vote_entropy", "kl"])
def test_strategy_takes_what_its_bootstrap_members_disagree_on(disagreement):
    pool = labelled_pool(n=40, known=12, classes=3)
    strategy = create_strategy("qbc", disagreement=disagreement, members=5)
    chosen = strategy.select(pool, 3, np.random.default_rng(4))
    passes = bagging(
        pool.model, training_set(pool, ""), pool.features, 3, 5, np.random.default_rng(4)
    )
    worth = {"vote_entropy": vote_entropy, "kl": bald}[disagreement](passes)
    np.testing.assert_allclose(chosen.score, np.sort(worth)[::-1][:3])
    assert chosen.reason == ("disagreement",) * 3


def test_members_see_every_class_that_is_labelled():
    pool = labelled_pool(n=10, known=4, classes=4)
    x, y = training_set(pool, "")
    passes = bagging(pool.model, (x, y), pool.features, 5, 6, np.random.default_rng(0))
    assert passes.shape == (6, 10, 5)
    assert (passes[..., :4] > 0).all()
    assert not passes[..., 4].any()


@pytest.mark.parametrize("name", ["qbc", "eer", "variance_reduction"])
def test_one_class_says_what_to_begin_with(name):
    pool = labelled_pool()
    rows = pool.labelled.y == 0
    one = type(pool.labelled)(
        pool.labelled.ids[rows], pool.labelled.y[rows], features=pool.labelled.features[rows]
    )
    poor = PoolView(
        pool.ids, proba=pool.proba, features=pool.features, labelled=one, model=pool.model
    )
    with pytest.raises(SamplerError, match="begin with random"):
        create_strategy(name).select(poor, 1, np.random.default_rng(0))


@pytest.mark.parametrize("name", ["qbc", "eer"])
def test_models_that_cannot_be_fitted_are_refused(name):
    good = labelled_pool()
    for model in (object(), SVC()):
        pool = PoolView(
            good.ids,
            proba=good.proba,
            features=good.features,
            labelled=good.labelled,
            model=model,
        )
        with pytest.raises(SamplerError, match="predict_proba"):
            create_strategy(name).select(pool, 1, np.random.default_rng(0))
    bare = PoolView(good.ids, proba=good.proba)
    with pytest.raises(MissingNeed, match="needs"):
        create_strategy(name).select(bare, 1, np.random.default_rng(0))
