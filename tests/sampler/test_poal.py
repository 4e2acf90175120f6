import itertools

import numpy as np
import pytest
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from cryomae.sampler import Exclude, Labelled, PoolView, SamplerError, create_strategy
from cryomae.sampler.scores.uncertainty import entropy
from cryomae.sampler.select.pareto import first_front, most_shared, peel, supported_batches
from cryomae.sampler.select.subset_search import discrepancy, search

RNG = np.random.default_rng


def batch_sums(values: np.ndarray, k: int) -> tuple[list[tuple[int, ...]], np.ndarray]:
    batches = list(itertools.combinations(range(len(values)), k))
    return batches, np.array([values[list(b)].sum(0) for b in batches])


@pytest.mark.parametrize("seed", range(20))
def test_first_front_as_pymoo(seed: int) -> None:
    values = RNG(seed).random((200, 2))
    if seed % 2:
        values = np.round(values, 1)  # many equal points
    theirs = NonDominatedSorting().do(-values, only_non_dominated_front=True)
    assert first_front(values).tolist() == sorted(theirs.tolist())


def test_peeling_takes_whole_fronts_as_pymoo() -> None:
    values = RNG(0).random((100, 2))
    fronts = NonDominatedSorting().do(-values)
    for least in (1, 10, 40, 100, 200):
        count = 1
        while sum(len(f) for f in fronts[:count]) < min(least, 100):
            count += 1
        assert peel(values, least).tolist() == sorted(np.concatenate(fronts[:count]).tolist())


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("k", [1, 4, 11, 12])
def test_supported_batches_are_the_corners_of_the_true_front(seed: int, k: int) -> None:
    values = RNG(seed).random((12, 2))
    _, sums = batch_sums(values, k)
    front = sums[first_front(sums)]
    front = front[np.argsort(front[:, 0])]
    corners: list[np.ndarray] = []
    for point in front:  # upper hull, left to right
        while (
            len(corners) > 1
            and np.linalg.det(np.stack([corners[-1] - corners[-2], point - corners[-1]])) >= -1e-12
        ):
            corners.pop()
        corners.append(point)
    found = supported_batches(values, k)
    assert len(set(found)) == len(found)
    np.testing.assert_allclose([values[list(b)].sum(0) for b in found], corners, atol=1e-12)


def test_equal_points_give_one_batch() -> None:
    assert supported_batches(np.ones((6, 2)), 3) == [(0, 1, 2)]


def test_ends_of_the_front_are_not_beaten() -> None:
    values = np.array([[1.0, 0.0], [1.0, 0.5], [0.0, 1.0], [0.3, 1.0]])
    assert supported_batches(values, 1) == [(3,), (1,)]


def test_most_shared() -> None:
    assert most_shared([(0, 1), (1, 2), (2, 3), (1, 4)], 5) == (1, 2)


@pytest.mark.parametrize("seed", range(3))
def test_monte_carlo_finds_the_front_of_a_tiny_pool(seed: int) -> None:
    values = RNG(seed).random((8, 2))
    batches, sums = batch_sums(values, 3)
    true = {batches[i] for i in first_front(sums)}
    assert set(search(values, 3, 4000, RNG(seed))) == true


def test_monte_carlo_front_holds_nothing_beaten() -> None:
    values = RNG(0).random((60, 2))
    found = search(values, 10, 1500, RNG(0))
    sums = np.array([values[list(b)].sum(0) for b in found])
    assert len(first_front(sums)) == len(sums)
    exact = np.array([values[list(b)].sum(0) for b in supported_batches(values, 10)])
    assert exact.sum(1).max() >= sums.sum(1).max()


def test_monte_carlo_stops_early_when_the_front_stands_still() -> None:
    class Counting(np.random.Generator):
        draws = 0

        def choice(self, *args: object, **kwargs: object) -> np.ndarray:
            Counting.draws += 1
            return super().choice(*args, **kwargs)

    search(RNG(0).random((8, 2)), 3, 100_000, Counting(np.random.PCG64(0)))
    assert Counting.draws < 10_000


def test_discrepancy() -> None:
    a = RNG(0).normal(size=(40, 2))
    assert discrepancy(a, a) == pytest.approx(0, abs=1e-12)
    assert discrepancy(a[:1], a[:1]) == 0
    near, far = RNG(1).normal(size=(15, 2)), 3 + RNG(2).normal(size=(15, 2))
    # Sets of different sizes compare as well, either way round.
    assert discrepancy(a, near) < 0.3 < discrepancy(a, far)
    assert discrepancy(a, far) == pytest.approx(discrepancy(far, a))


def strange_pool(seed: int = 0) -> tuple[PoolView, np.ndarray]:
    """Half of the candidates far from all labels; both halves equally uncertain."""
    rng = RNG(seed)
    out = np.arange(200) % 2 == 1
    p = rng.random(200)
    embed = rng.normal(size=(200, 4)) + 30 * out[:, None]
    y = np.arange(100) % 2
    labelled = Labelled(1000 + np.arange(100), y, embed=rng.normal(size=(100, 4)) + y[:, None])
    return (
        PoolView(
            ids=np.arange(200),
            proba=np.stack([p, 1 - p], 1),
            embed=embed,
            id_score=-out.astype(float) + 0.01 * rng.random(200),
            labelled=labelled,
        ),
        out,
    )


@pytest.mark.parametrize("method", ["exact", "mc"])
@pytest.mark.parametrize("name", ["poal", "pareto_ood"])
def test_poal_avoids_what_is_out_of_the_distribution(name: str, method: str) -> None:
    pool, out = strange_pool()
    chosen = create_strategy(name, method=method).select(pool, 10, RNG(0)).index
    plain = create_strategy("entropy").select(pool, 10, RNG(0)).index
    assert out[chosen].sum() <= 1 < out[plain].sum()
    assert entropy(pool.proba[chosen]).mean() > entropy(pool.proba).mean()


def test_poal_batch_is_on_the_front_of_all_batches() -> None:
    rng = RNG(3)
    p = rng.random(12)
    pool = PoolView(ids=np.arange(12), proba=np.stack([p, 1 - p], 1), id_score=rng.random(12))
    chosen = tuple(sorted(create_strategy("pareto_ood").select(pool, 4, RNG(0)).index.tolist()))
    values = np.stack([entropy(pool.proba), pool.id_score], 1)
    batches, sums = batch_sums(values, 4)
    assert chosen in {batches[i] for i in first_front(sums)}


def test_what_guards_forbid_is_replaced() -> None:
    pool, _ = strange_pool()
    first = create_strategy("poal").select(pool, 5, RNG(0)).ids
    second = create_strategy("poal").select(pool, 5, RNG(0), [Exclude(first[:2].tolist())])
    assert len(second) == 5
    assert not set(second.ids) & set(first[:2])


def test_poal_without_labels_says_what_to_do() -> None:
    pool = PoolView(ids=[1], proba=[[0.5, 0.5]], embed=np.ones((1, 2)), labelled=Labelled([], []))
    with pytest.raises(SamplerError, match="start with typiclust"):
        create_strategy("poal").select(pool, 1, RNG(0))
