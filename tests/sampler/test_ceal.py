"""Labels that the model gives itself."""

import numpy as np
import pytest

from cryomae.sampler import PoolView, SamplerError, create_strategy
from cryomae.sampler.benchmark import Protocol, load_dataset, run_experiment
from cryomae.sampler.meta.ceal import pseudo_labels

PROBA = np.array([[1.0, 0.0], [0.5, 0.5], [0.02, 0.98], [0.3, 0.7], [1e-7, 1 - 1e-7]])


def test_sure_rows_get_their_likeliest_class():
    rows, y = pseudo_labels(PROBA, 5e-5)
    assert rows.tolist() == [0, 4]
    assert y.tolist() == [0, 1]
    rows, _ = pseudo_labels(PROBA, 0.1)
    assert rows.tolist() == [0, 2, 4]
    assert not len(pseudo_labels(PROBA, 0.0)[0])


def test_selection_is_the_other_strategys_and_is_not_guessed():
    pool = PoolView(np.array([10, 11, 12, 13, 14]), proba=PROBA)
    ceal = create_strategy("ceal", base="margin", threshold=0.1, decay=0.0495)
    chosen = ceal.select(pool, 4, np.random.default_rng(0))
    base = create_strategy("margin").select(pool, 4, np.random.default_rng(0))
    np.testing.assert_array_equal(chosen.ids, base.ids)
    ids, y = ceal.pseudo_labels(pool, chosen, 0)
    assert ids.tolist() == [10]  # 12 and 14 are being asked
    assert y.tolist() == [0]
    one = ceal.select(pool, 1, np.random.default_rng(0))
    assert ceal.pseudo_labels(pool, one, 0)[0].tolist() == [10, 12, 14]
    assert ceal.pseudo_labels(pool, one, 1)[0].tolist() == [10, 14]
    assert not len(ceal.pseudo_labels(pool, one, 3)[0])


def test_the_benchmark_fits_to_them():
    data = load_dataset("sklearn:iris")
    protocol = Protocol(task="logistic", batch=5)
    plain = run_experiment(data, create_strategy("entropy"), protocol, 0)
    none = run_experiment(data, create_strategy("ceal", threshold=0.0), protocol, 0)
    some = run_experiment(data, create_strategy("ceal", threshold=0.5), protocol, 0)
    assert none.accuracy == plain.accuracy
    assert some.labelled == plain.labelled  # guesses cost nothing
    assert some.accuracy != plain.accuracy


def test_parameters_are_checked():
    for wrong in ({"base": "nobody"}, {"threshold": -1.0}, {"decay": float("nan")}):
        with pytest.raises(SamplerError):
            create_strategy("ceal", **wrong)
