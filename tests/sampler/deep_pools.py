"""Toy pools of known truth for the strategies that need a network."""

import numpy as np

from cryomae.sampler import Labelled, PoolView


def two_moons_apart(count, rng, *, features=2, gap=2.0):
    """Two Gaussian classes whose means lie ``gap`` each side of 0 on the first axis."""
    y = rng.integers(0, 2, count)
    x = rng.normal(size=(count, features))
    x[:, 0] += np.where(y == 1, gap, -gap)
    return x, y


def toy_pool(rng, *, unlabelled=80, labelled=40, features=3, gap=2.0, model=None, shuffle=None):
    """Pool of two classes with features and labels; ``shuffle`` permutes the pool's rows."""
    x, y = two_moons_apart(unlabelled + labelled, rng, features=features, gap=gap)
    y[:2] = 0, 1
    ids = np.arange(unlabelled + labelled)
    rows = ids[labelled:] if shuffle is None else shuffle.permutation(ids[labelled:])
    own = Labelled(ids=ids[:labelled], y=y[:labelled], features=x[:labelled])
    return PoolView(ids=rows, features=x[rows], labelled=own, model=model)
