"""QUIRE against scikit-activeml and against its own min-max problem."""

import numpy as np
import pytest
from labelled_pools import labelled_pool
from scipy.optimize import minimize
from sklearn.metrics.pairwise import rbf_kernel

from cryomae.sampler import PoolView, SamplerError, create_strategy
from cryomae.sampler.scores.quire import worst_case


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("ridge", [0.1, 1.0])
def test_scores_are_scikit_activemls(classes, ridge):
    skactiveml = pytest.importorskip("skactiveml.pool")
    pool = labelled_pool(n=25, known=9, classes=classes, d=3)
    x = np.concatenate([pool.labelled.embed, pool.embed])
    y = np.concatenate([pool.labelled.y, np.full(25, np.nan)])
    oracle = skactiveml.Quire(
        classes=list(range(classes)), metric="rbf", metric_dict={"gamma": 0.3}, lmbda=ridge
    )
    _, theirs = oracle.query(x, y, return_utilities=True)
    ours = -worst_case(pool.embed, pool.labelled.embed, pool.labelled.y, 0.3, ridge)
    np.testing.assert_allclose(ours, theirs[0, 9:], rtol=1e-6)


def test_score_is_the_min_max_by_search():
    pool = labelled_pool(n=4, known=4)
    x = np.concatenate([pool.labelled.embed, pool.embed])
    inverse = np.linalg.inv(rbf_kernel(x, x, gamma=0.5) + np.eye(8))
    signs = np.where(pool.labelled.y == 1, 1.0, -1.0)
    ours = worst_case(pool.embed, pool.labelled.embed, pool.labelled.y, 0.5, 1.0)
    for s in range(4):
        others = [i for i in range(4) if i != s]

        def value(free, sign, s=s, others=others):
            y = np.zeros(8)
            y[:4], y[4 + s] = signs, sign
            y[[4 + i for i in others]] = free
            return y @ inverse @ y

        worst = max(minimize(value, np.zeros(3), args=(v,)).fun for v in (-1.0, 1.0))
        assert ours[s] == pytest.approx(worst, rel=1e-5)


def test_strategy_takes_the_least_bad_and_needs_labels():
    pool = labelled_pool(n=15, known=6)
    chosen = create_strategy("quire", gamma=0.5).select(pool, 4, np.random.default_rng(0))
    worth = worst_case(pool.embed, pool.labelled.embed, pool.labelled.y, 0.5, 1.0)
    np.testing.assert_array_equal(chosen.index, np.argsort(worth, kind="stable")[:4])
    empty = type(pool.labelled)(np.zeros(0, dtype=int), np.zeros(0, dtype=int))
    with pytest.raises(SamplerError, match="begin with random"):
        create_strategy("quire").select(
            PoolView(pool.ids, embed=pool.embed, labelled=empty), 1, np.random.default_rng(0)
        )


def test_far_from_all_labels_comes_first():
    pool = labelled_pool(n=6, known=4)
    x = np.array(pool.embed)
    x[3] = 40.0
    far = PoolView(pool.ids, embed=x, labelled=pool.labelled)
    assert create_strategy("quire").select(far, 1, np.random.default_rng(0)).index[0] == 3
