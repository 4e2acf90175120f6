"""Expected error and variance reduction against brute force."""

import numpy as np
import pytest
from labelled_pools import labelled_pool
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from cryomae.sampler import Exclude, create_strategy
from cryomae.sampler.scores.variance import variance_gain


def brute_error(pool, loss):
    """Less the mean expected loss, in plain loops."""
    x, y = pool.labelled.features, pool.labelled.y
    scores = []
    for i in range(len(pool)):
        expected = 0.0
        for label in range(pool.proba.shape[1]):
            model = clone(pool.model).fit(
                np.vstack([x, pool.features[i]]), np.concatenate([y, [label]])
            )
            losses = []
            for j in range(len(pool)):
                if j != i:
                    p = model.predict_proba(pool.features[j : j + 1])[0]
                    losses.append(-np.sum(p * np.log(p)) if loss == "log" else 1 - p.max())
            expected += pool.proba[i, label] * np.mean(losses)
        scores.append(-expected)
    return np.array(scores)


@pytest.mark.parametrize("loss", ["log", "zero_one"])
@pytest.mark.parametrize("classes", [2, 3])
def test_expected_error_by_brute_force(loss, classes):
    pool = labelled_pool(n=9, known=6, classes=classes)
    chosen = create_strategy("eer", loss=loss).select(pool, 9, np.random.default_rng(0))
    worth = brute_error(pool, loss)
    np.testing.assert_array_equal(chosen.index, np.argsort(-worth, kind="stable"))
    np.testing.assert_allclose(chosen.score, np.sort(worth)[::-1], rtol=1e-9)


def test_expected_error_draws_candidates_that_guards_allow():
    pool = labelled_pool(n=30, known=6)
    strategy = create_strategy("eer", candidates=4, judged=10)
    banned = pool.ids[:20]
    chosen = strategy.select(pool, 6, np.random.default_rng(0), [Exclude(banned.tolist())])
    assert len(chosen) == 6  # more than the four candidates
    assert not np.isin(chosen.ids, banned).any()
    assert np.isfinite(chosen.score).all()


def test_expected_error_of_the_last_candidate():
    pool = labelled_pool(n=1, known=6)
    assert len(create_strategy("eer").select(pool, 5, np.random.default_rng(0))) == 1


def gradients(proba, x):
    """Of each output with respect to all parameters, by the chain rule, (C, C·d)."""
    spread = np.diag(proba) - np.outer(proba, proba)
    return np.kron(spread, x)


def brute_variance(x, proba, known, known_proba, prior):
    """Summed variance of the outputs before, less that after each candidate."""

    def fisher(p, row):
        return np.kron(np.diag(p) - np.outer(p, p), np.outer(row, row))

    size = x.shape[1] * proba.shape[1]
    start = np.eye(size) / prior + sum(map(fisher, known_proba, known))
    jacobians = [gradients(p, row) for p, row in zip(proba, x, strict=True)]

    def total(f):
        inverse = np.linalg.inv(f)
        return sum(np.trace(j @ inverse @ j.T) for j in jacobians)

    return np.array(
        [total(start) - total(start + fisher(p, row)) for p, row in zip(proba, x, strict=True)]
    )


@pytest.mark.parametrize("classes", [2, 4])
def test_variance_gain_by_brute_force(classes):
    rng = np.random.default_rng(1)
    x, known = rng.normal(size=(8, 3)), rng.normal(size=(5, 3))
    proba, theirs = (rng.dirichlet(np.ones(classes), size=n) for n in (8, 5))
    np.testing.assert_allclose(
        variance_gain(x, proba, known, theirs, 0.7), brute_variance(x, proba, known, theirs, 0.7)
    )


def test_gradients_are_those_of_the_softmax():
    rng = np.random.default_rng(2)
    w, x = rng.normal(size=(3, 4)), rng.normal(size=4)

    def output(w):
        e = np.exp(w @ x)
        return e / e.sum()

    steps = 1e-6 * np.eye(12).reshape(12, 3, 4)
    numeric = np.stack([(output(w + s) - output(w - s)) / 2e-6 for s in steps], axis=1)
    np.testing.assert_allclose(gradients(output(w), x), numeric, atol=1e-8)


def test_variance_reduction_fits_a_logistic_regression():
    pool = labelled_pool(n=10, known=8, classes=3)
    chosen = create_strategy("variance_reduction", prior=2.0).select(
        pool, 10, np.random.default_rng(0)
    )
    x, known = (
        np.column_stack([a, np.ones(len(a))]) for a in (pool.features, pool.labelled.features)
    )
    model = LogisticRegression(C=2.0, max_iter=1000).fit(known[:, :2], pool.labelled.y)
    worth = brute_variance(
        x, model.predict_proba(x[:, :2]), known, model.predict_proba(known[:, :2]), 2.0
    )
    np.testing.assert_allclose(chosen.score, np.sort(worth)[::-1])
    assert (chosen.score > 0).all()
