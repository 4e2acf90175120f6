"""Hierarchical sampling and density weighting on trees and clusters that can be counted."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from cryomae.sampler import Exclude, Labelled, PoolView, create_strategy
from cryomae.sampler.scores.dwus import log_density
from cryomae.sampler.select.hierarchical import (
    LEAVES,
    Tree,
    best_pruning,
    bounds,
    node_errors,
    ward_tree,
)


def prunings(tree, node):
    """All ways to cover the leaves below a node."""
    yield [node]
    if node >= tree.leaves:
        a, b = tree.children[node - tree.leaves]
        for left in prunings(tree, a):
            for right in prunings(tree, b):
                yield left + right


@pytest.mark.parametrize("seed", range(8))
def test_pruning_by_brute_force(seed):
    rng = np.random.default_rng(seed)
    tree = ward_tree(rng.normal(size=(7, 2)), rng)
    error = rng.choice([0.0, 0.1, 0.3, 1.0], size=13)
    size = tree.sums(np.arange(7), np.zeros(7, dtype=int), 1)[:, 0]

    def cost(nodes):
        return sum(size[n] * error[n] for n in nodes)

    found = best_pruning(tree, error, size)
    every = list(prunings(tree, 12))
    least = min(map(cost, every))
    assert cost(found) == pytest.approx(least)
    coarsest = min(len(p) for p in every if cost(p) == pytest.approx(least))
    assert len(found) == coarsest
    assert sorted(leaf for node in found for leaf in tree.below(node)) == list(range(7))


def test_counts_add_up_along_the_tree():
    tree = Tree(np.array([[0, 1], [2, 3]]), np.array([0, 1, 2, 2]))
    counts = tree.sums(np.array([0, 2, 3]), np.array([0, 1, 1]), 2)
    np.testing.assert_array_equal(counts, [[1, 0], [0, 0], [0, 2], [1, 0], [1, 2]])


def test_bounds_and_errors_by_hand():
    counts = np.array([[0.0, 0.0], [20.0, 0.0], [10.0, 10.0], [1.0, 0.0]])
    low, high = bounds(counts)
    np.testing.assert_allclose(
        low, [[0, 0], [0.95, 0], [0.5 - 0.05 - 0.025**0.5 / 2**0.5] * 2, [0, 0]]
    )
    np.testing.assert_allclose(high[:2], [[1, 1], [1, 0.05]])
    # Nothing known; surely pure; either label is half wrong; one label proves nothing.
    np.testing.assert_allclose(node_errors(counts, 2.0), [1, 0, 0.5, 1])


def two_blobs(impure, known=20, n=100, seed=0):
    """A pure blob, and one whose labels alternate."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2 * n, 2)) + np.repeat([[0.0, 0.0], [30.0, 0.0]], n, axis=0)
    y = np.concatenate(
        [np.zeros(n, dtype=int), np.arange(n) % 2 if impure else np.ones(n, dtype=int)]
    )
    rows = np.concatenate([np.arange(known), n + np.arange(known)])
    rest = np.setdiff1d(np.arange(2 * n), rows)
    return PoolView(rest, embed=x[rest], labelled=Labelled(rows, y[rows], embed=x[rows]))


def test_impure_cluster_is_drawn_in_proportion():
    pool = two_blobs(impure=True)
    strategy = create_strategy("hierarchical")
    left = 0
    for seed in range(60):
        chosen = strategy.select(pool, 5, np.random.default_rng(seed))
        left += int((chosen.ids < 100).sum())
    # The pure blob: upper bound 1/20 = 0.05; the other at most 1. Even against the lowest
    # bound that the other can have once cut, about 0.4, that is one draw in nine.
    assert left / 300 < 0.2


def test_pure_clusters_share_alike_and_guards_hold():
    pool = two_blobs(impure=False)
    strategy = create_strategy("hierarchical")
    chosen = [strategy.select(pool, 10, np.random.default_rng(s)).ids for s in range(40)]
    assert (np.concatenate(chosen) < 100).mean() == pytest.approx(0.5, abs=0.1)
    kept = pool.ids[pool.ids >= 100]
    only = strategy.select(
        pool, 200, np.random.default_rng(0), [Exclude(pool.ids[pool.ids < 100].tolist())]
    )
    assert sorted(only.ids) == sorted(kept)


def test_without_labels_every_row_is_as_likely():
    x = np.random.default_rng(0).normal(size=(6, 2))
    pool = PoolView(np.arange(6), embed=x)
    strategy = create_strategy("hierarchical")
    drawn = [strategy.select(pool, 1, np.random.default_rng(s)).index[0] for s in range(600)]
    assert np.bincount(drawn, minlength=6).min() > 60
    one = PoolView([0], embed=x[:1])
    assert len(strategy.select(one, 3, np.random.default_rng(0))) == 1


def test_large_pools_are_grouped_first():
    rng = np.random.default_rng(0)
    tree = ward_tree(rng.normal(size=(LEAVES + 500, 2)), rng)
    assert tree.leaves <= LEAVES
    assert len(tree.leaf) == LEAVES + 500


def test_density_is_that_of_the_mixture():
    rng = np.random.default_rng(0)
    x, centres, share = (
        rng.normal(size=(30, 3)),
        rng.normal(size=(4, 3)),
        np.array([0.1, 0.2, 0.3, 0.4]),
    )
    exact = sum(s * multivariate_normal(c, 0.7).pdf(x) for s, c in zip(share, centres, strict=True))
    ours = np.exp(log_density(x, centres, share, 0.7))
    np.testing.assert_allclose(ours / ours[0], exact / exact[0])


def test_density_weighting_prefers_the_dense_of_two_equally_unsure():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(80, 2)), rng.normal(size=(4, 2)) + 50])
    proba = np.full((84, 2), [0.9, 0.1])
    proba[[3, 81]] = 0.5
    pool = PoolView(np.arange(84), proba=proba, embed=x)
    score = create_strategy("dwus", clusters=2).score(pool, np.random.default_rng(1))
    assert score[3] > 3 * score[81]
    assert 0 <= score.min() <= score.max() <= 0.5
    flat = create_strategy("dwus", weight=0.0).score(pool, np.random.default_rng(1))
    np.testing.assert_allclose(flat, 1 - proba.max(axis=1))


def test_density_of_equal_rows_is_finite():
    pool = PoolView(np.arange(9), proba=np.full((9, 2), 0.5), embed=np.ones((9, 3)))
    np.testing.assert_allclose(
        create_strategy("dwus").score(pool, np.random.default_rng(0)), np.full(9, 0.5)
    )
