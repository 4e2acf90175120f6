import numpy as np
import pytest

from cryomae.sampler import Labelled, MissingNeed, PoolView, SamplerError, create_strategy

RNG = np.random.default_rng


def proba(n: int, c: int = 2, seed: int = 0) -> np.ndarray:
    return RNG(seed).dirichlet(np.ones(c), n)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"ids": []}, "empty"),
        ({"ids": [1, 2, 2]}, "2 is there twice"),
        ({"ids": [1.5, 2.5, 3.5]}, "integers or strings"),
        ({"ids": [1, 2, 3], "embed": np.zeros((2, 4))}, "embed has 2 rows for 3 ids"),
        ({"ids": [1, 2, 3], "embed": np.zeros(3)}, "embed must have 2 axes"),
        ({"ids": [1, 2, 3], "embed": np.full((3, 2), np.nan)}, "embed holds NaN"),
        ({"ids": [1, 2, 3], "id_score": [0, np.inf, 1]}, "id_score holds NaN or infinite"),
        ({"ids": [1, 2, 3], "proba": np.full((3, 2), 0.4)}, "rows of proba must add up to 1"),
        ({"ids": [1, 2, 3], "proba": np.full((3, 2), np.nan)}, "proba holds NaN"),
        ({"ids": [1, 2, 3], "proba": [[1.5, -0.5]] * 3}, "negative"),
        ({"ids": [1, 2, 3], "stochastic": np.ones((2, 3, 2))}, "rows of stochastic"),
        ({"ids": [1, 2, 3], "stochastic": np.ones((0, 3, 2))}, "no passes"),
        ({"ids": [1, 2, 3], "xy": np.ones((3, 3))}, "two columns"),
        ({"ids": [1, 2, 3], "group": [1, 2]}, "group must be one entry"),
        ({"ids": [1, 2, 3], "labelled": Labelled([3], [0])}, "3 is in the pool and labelled"),
        ({"ids": [1, 2, 3], "labelled": Labelled(["3"], [0])}, "all integers or all strings"),
    ],
)
def test_bad_pools_name_what_is_wrong(arrays: dict, message: str) -> None:
    with pytest.raises(SamplerError, match=message):
        PoolView(**arrays)


@pytest.mark.parametrize("y", [[0, -1], [0.5, 1.0], [0]])
def test_labels_are_classes(y: list) -> None:
    with pytest.raises(SamplerError, match="labelled y"):
        Labelled([1, 2], y)


def test_arrays_are_neither_copied_nor_writable() -> None:
    embed = np.zeros((3, 2), dtype=np.float32)
    pool = PoolView(ids=[1, 2, 3], embed=embed)
    assert pool.embed.dtype == np.float32
    assert np.shares_memory(pool.embed, embed)
    with pytest.raises(ValueError, match="read-only"):
        pool.embed[0, 0] = 1
    embed[0, 0] = 1  # the caller's own array stays theirs


def test_a_sum_within_the_tolerance_is_a_probability() -> None:
    PoolView(ids=[1], proba=np.array([[0.5, 0.50009]]))
    with pytest.raises(SamplerError):
        PoolView(ids=[1], proba=np.array([[0.5, 0.5002]]))


def test_missing_need_says_what_to_pass() -> None:
    pool = PoolView(ids=[1, 2])
    with pytest.raises(MissingNeed, match=r"needs proba: pass PoolView\(proba=\.\.\.\)"):
        create_strategy("uncertainty").select(pool, 1, RNG(0))


@pytest.mark.parametrize("k", [0, -1, 1.5, True])
def test_a_batch_holds_at_least_one(k: object) -> None:
    with pytest.raises(SamplerError, match="k must be a whole number"):
        create_strategy("uncertainty").select(PoolView(ids=[1], proba=proba(1)), k, RNG(0))


def test_a_generator_is_asked_for() -> None:
    pool = PoolView(ids=[1], proba=proba(1))
    with pytest.raises(SamplerError, match="default_rng"):
        create_strategy("uncertainty").select(pool, 1, 7)


def test_too_large_a_batch_says_why_it_is_short() -> None:
    pool = PoolView(ids=["a", "b", "c"], proba=proba(3))
    selection = create_strategy("uncertainty").select(pool, 5, RNG(0))
    assert sorted(selection.ids) == ["a", "b", "c"]
    assert selection.short == "5 asked for, but the pool holds 3"


def test_take_and_order_keep_rows_together() -> None:
    ids = np.array([5, 1, 3])
    pool = PoolView(
        ids=ids,
        proba=proba(3),
        stochastic=np.stack([proba(3, seed=s) for s in range(4)]),
        embed=RNG(0).random((3, 2)),
        perturb=lambda seed, scale: proba(3, seed=seed) * (1 + scale),
    )
    ordered, order = pool.in_id_order()
    assert ordered.ids.tolist() == [1, 3, 5]
    assert order.tolist() == [1, 2, 0]
    assert np.array_equal(ordered.embed, pool.embed[order])
    assert np.array_equal(ordered.stochastic, pool.stochastic[:, order])
    assert np.array_equal(ordered.perturb(3, 0.0), pool.perturb(3, 0.0)[order])
    again, same = ordered.in_id_order()
    assert again is ordered
    assert same.tolist() == [0, 1, 2]
