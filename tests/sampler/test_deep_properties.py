"""Whatever the pool, strategies that train a network give full, finite, repeatable batches."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryomae.sampler import (
    Exclude,
    Labelled,
    MaxPerGroup,
    MissingNeed,
    PoolView,
    SamplerError,
    create_strategy,
)
from cryomae.sampler.deep.model import TaskModel

RECIPE = TaskModel(hidden=(8,), epochs=2)

SHORT = {
    "adversarial_bim": {"steps": 4},
    "adversarial_deepfool": {"steps": 4},
    "autoal": {"rounds": 3},
    "learning_loss": {"epochs": 2},
    "mc_dropout": {"passes": 3},
    "vaal": {"steps": 3},
    "waal": {"steps": 2},
}

NAMES = st.sampled_from(sorted(SHORT))


@st.composite
def pools(draw):
    """Pools with features that are huge, tiny, constant, equal or there only once."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    count, own = draw(st.integers(1, 25)), draw(st.sampled_from([2, 3, 9, 110]))
    width = draw(st.integers(1, 4))
    x = rng.normal(size=(count + own, width)) * 10.0 ** draw(st.integers(-6, 6))
    x += draw(st.sampled_from([0.0, 1e4]))
    kind = draw(st.sampled_from(["all differ", "one column constant", "all rows equal"]))
    if kind == "one column constant":
        x[:, 0] = 3.7
    if kind == "all rows equal":
        x[:] = x[0]
    y = rng.integers(0, draw(st.integers(2, 4)), own)
    y[:2] = 0, 1
    ids = rng.permutation(1000)[: count + own]
    labelled = Labelled(ids=ids[count:], y=y, features=x[count:].astype(np.float32))
    return PoolView(
        ids=ids[:count],
        features=x[:count].astype(np.float32),
        group=rng.integers(0, 3, count),
        labelled=labelled,
        model=RECIPE,
    )


def chosen(pool, name, k, seed=0, guards=()):
    return create_strategy(name, **SHORT[name]).select(pool, k, np.random.default_rng(seed), guards)


@settings(max_examples=40)
@given(pools(), NAMES, st.integers(1, 30), st.integers(0, 5))
def test_batches_are_full_finite_and_repeatable(pool, name, k, seed):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    features = pool.features.copy()
    batch = chosen(pool, name, k, seed)
    assert len(batch) == min(k, len(pool))
    assert len(set(batch.ids)) == len(batch)
    assert np.isfinite(batch.score).all()
    np.testing.assert_array_equal(batch.ids, pool.ids[batch.index])
    np.testing.assert_array_equal(pool.features, features)
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])
    again = chosen(pool, name, k, seed)
    np.testing.assert_array_equal(batch.ids, again.ids)
    np.testing.assert_array_equal(batch.score, again.score)


@settings(max_examples=25)
@given(pools(), NAMES, st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(pool, name, random):
    order = np.array(random.sample(range(len(pool)), len(pool)))
    own = pool.labelled
    turned = np.arange(len(own))[::-1]
    shuffled = PoolView(
        ids=pool.ids[order],
        features=pool.features[order],
        labelled=Labelled(ids=own.ids[turned], y=own.y[turned], features=own.features[turned]),
        model=RECIPE,
    )
    np.testing.assert_array_equal(chosen(pool, name, 5).ids, chosen(shuffled, name, 5).ids)


@settings(max_examples=25)
@given(pools(), NAMES)
def test_guards_hold(pool, name):
    out = pool.ids[::3]
    batch = chosen(pool, name, 20, guards=[MaxPerGroup(2), Exclude(out.tolist())])
    assert not set(batch.ids) & set(out)
    if len(batch):
        assert np.bincount(pool.group[batch.index]).max() <= 2
    free = np.setdiff1d(np.arange(len(pool)), np.arange(0, len(pool), 3))
    assert len(batch) == np.minimum(np.bincount(pool.group[free], minlength=3), 2).sum()


@pytest.mark.parametrize("name", sorted(set(SHORT) - {"vaal"}))
def test_one_labelled_class_is_an_error_that_names_the_remedy(name):
    own = Labelled(ids=[10, 11], y=[1, 1], features=np.eye(2))
    pool = PoolView(ids=[1, 2], features=np.eye(2), labelled=own)
    with pytest.raises(SamplerError, match="begin with random or typiclust"):
        chosen(pool, name, 1)


@pytest.mark.parametrize("name", sorted(SHORT))
def test_missing_fields_are_named(name):
    with pytest.raises(MissingNeed, match=f"{name} needs features and labelled"):
        chosen(PoolView(ids=[1, 2]), name, 1)
    own = Labelled(ids=[10, 11], y=[0, 1])
    with pytest.raises(SamplerError, match="labelled set has no features"):
        chosen(PoolView(ids=[1, 2], features=np.eye(2), labelled=own), name, 1)
