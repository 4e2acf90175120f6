import numpy as np
import pytest

from cryomae.sampler import (
    Exclude,
    Labelled,
    MaxPerGroup,
    MinDistance,
    MissingNeed,
    PoolView,
    SamplerError,
    create_strategy,
)

RNG = np.random.default_rng


def line(positions: list[float], group: list[int] | None = None, **more: object) -> PoolView:
    """A pool on a line, the first the most uncertain."""
    n = len(positions)
    p = np.linspace(0.5, 0.99, n)
    return PoolView(
        ids=np.arange(n),
        proba=np.stack([1 - p, p], 1),
        xy=np.stack([positions, np.zeros(n)], 1),
        group=group,
        **more,
    )


def picks(pool: PoolView, k: int, *guards: object) -> list[int]:
    return create_strategy("uncertainty").select(pool, k, RNG(0), guards).ids.tolist()


def test_min_distance_skips_neighbours_and_still_fills_the_batch() -> None:
    assert picks(line([0, 1, 2, 3, 4, 5]), 3, MinDistance(2)) == [0, 2, 4]


def test_exactly_the_distance_is_far_enough() -> None:
    assert picks(line([0, 2]), 2, MinDistance(2)) == [0, 1]
    assert picks(line([0, 2]), 2, MinDistance(2.001)) == [0]


def test_distance_counts_within_a_group_only() -> None:
    assert picks(line([0, 0, 0], group=[0, 1, 0]), 3, MinDistance(5)) == [0, 1]


def test_distance_from_what_is_labelled() -> None:
    labelled = Labelled([10], [1], xy=[[0.5, 0]], group=[0])
    pool = line([0, 1, 5, 0], group=[0, 0, 0, 1], labelled=labelled)
    assert picks(pool, 4, MinDistance(2)) == [2, 3]


def test_labelled_without_groups_is_an_error() -> None:
    pool = line([0, 1], group=[0, 0], labelled=Labelled([10], [1], xy=[[0, 0]]))
    with pytest.raises(SamplerError, match="groups of what is labelled"):
        picks(pool, 1, MinDistance(2))


def test_max_per_group() -> None:
    pool = line([0] * 6, group=[0, 0, 0, 1, 1, 2])
    assert picks(pool, 4, MaxPerGroup(1)) == [0, 3, 5]
    assert picks(pool, 4, MaxPerGroup(2)) == [0, 1, 3, 4]


def test_exclude() -> None:
    assert picks(line([0, 1, 2]), 2, Exclude([0, 0, 99])) == [1, 2]
    with pytest.raises(SamplerError, match="all integers or all strings"):
        picks(line([0, 1, 2]), 2, Exclude(["0"]))


def test_everything_masked_gives_an_empty_selection_that_says_why() -> None:
    selection = create_strategy("uncertainty").select(line([0, 1]), 2, RNG(0), [Exclude({0, 1})])
    assert len(selection) == 0
    assert selection.short == "2 asked for, but the guards allow none of 2"


def test_guards_work_together_and_start_anew() -> None:
    guards = (MinDistance(2), MaxPerGroup(2), Exclude([0]))
    pool = line([0, 1, 2, 3, 4, 5, 6], group=[0] * 5 + [1] * 2)
    first = picks(pool, 9, *guards)
    assert first == [1, 3, 5]
    assert picks(pool, 9, *guards) == first


def test_guards_need_positions_and_groups() -> None:
    pool = PoolView(ids=[1], proba=[[0.5, 0.5]])
    with pytest.raises(MissingNeed, match="MinDistance needs xy"):
        picks(pool, 1, MinDistance(1))
    with pytest.raises(MissingNeed, match="MaxPerGroup needs group"):
        picks(pool, 1, MaxPerGroup(1))


@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf")])
def test_guards_check_their_parameters(bad: float) -> None:
    with pytest.raises(SamplerError, match="distance"):
        MinDistance(bad)
    with pytest.raises(SamplerError, match="count"):
        MaxPerGroup(bad)
