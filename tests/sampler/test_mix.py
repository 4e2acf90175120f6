import numpy as np
import pytest

from cryomae.sampler import MaxPerGroup, Need, PoolView, SamplerError, create_strategy

RNG = np.random.default_rng
POOL = PoolView(
    ids=np.arange(100),
    proba=RNG(0).dirichlet([1, 1], 100),
    embed=RNG(1).normal(size=(100, 3)),
    group=np.arange(100) % 2,
)


@pytest.mark.parametrize(
    ("shares", "k", "places"),
    [
        ((0.5, 0.4, 0.1), 10, [5, 4, 1]),
        ((0.5, 0.4, 0.1), 1, [1, 0, 0]),
        ((1, 1, 1), 4, [2, 1, 1]),
        ((5, 4, 1), 20, [10, 8, 2]),
        ((0.1, 0.2, 0.7), 3, [0, 1, 2]),
    ],
)
def test_places(shares: tuple, k: int, places: list[int]) -> None:
    parts = tuple(zip(("top_score", "uncertainty", "random"), shares, strict=True))
    found = create_strategy("mix", parts=parts).counts(k)
    assert found == places
    assert sum(found) == k


def test_each_strategy_gets_its_share_and_the_beginning_is_mixed() -> None:
    batch = create_strategy("mix").select(POOL, 20, RNG(0))
    count = {reason: batch.reason.count(reason) for reason in ("top", "uncertain", "random")}
    assert count == {"top": 10, "uncertain": 8, "random": 2}
    assert set(batch.reason[:5]) == {"top", "uncertain"}
    assert len(set(batch.ids)) == 20
    tops = [i for i, r in zip(batch.ids, batch.reason, strict=True) if r == "top"]
    assert tops == np.argsort(-POOL.proba[:, 1], kind="stable")[:10].tolist()


def test_a_strategy_does_not_take_what_another_has() -> None:
    twice = create_strategy("mix", parts=(("uncertainty", 1), ("entropy", 1)))
    both = twice.select(POOL, 10, RNG(0))
    alone = create_strategy("uncertainty").select(POOL, 10, RNG(0))
    assert set(both.ids) == set(alone.ids)


def test_guards_hold_over_all_parts() -> None:
    batch = create_strategy("mix").select(POOL, 20, RNG(0), [MaxPerGroup(7)])
    assert np.bincount(POOL.group[batch.index]).tolist() == [7, 7]


def test_it_needs_what_its_parts_need() -> None:
    parts = (("badge", 1), (create_strategy("bald"), 1))
    assert create_strategy("mix", parts=parts).required() == (
        Need.PROBA | Need.EMBED | Need.STOCHASTIC
    )


@pytest.mark.parametrize(
    ("parts", "message"),
    [((), "at least one"), ((("random", 0),), "share"), ((("random", -1),), "share")],
)
def test_bad_parts(parts: tuple, message: str) -> None:
    with pytest.raises(SamplerError, match=message):
        create_strategy("mix", parts=parts)


def test_unknown_names_and_parameters() -> None:
    with pytest.raises(SamplerError, match="no strategy 'guess'; there are"):
        create_strategy("guess")
    with pytest.raises(SamplerError, match=r"kcenter: .*unexpected keyword"):
        create_strategy("kcenter", size=3)
