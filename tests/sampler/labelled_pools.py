"""Small pools with labels and a model, for strategies that fit models."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from cryomae.sampler import Labelled, PoolView


def labelled_pool(n=12, known=6, classes=2, d=2, seed=0, model=None):
    """Overlapping blobs; the model is fitted to what is labelled."""
    rng = np.random.default_rng(seed)
    y = np.arange(n + known) % classes
    x = rng.normal(size=(n + known, d)) + 1.5 * rng.normal(size=(classes, d))[y]
    model = LogisticRegression(C=2.0) if model is None else model
    model.fit(x[:known], y[:known])
    return PoolView(
        np.arange(known, n + known),
        proba=model.predict_proba(x[known:]),
        features=x[known:],
        embed=x[known:],
        labelled=Labelled(np.arange(known), y[:known], embed=x[:known], features=x[:known]),
        model=model,
    )
