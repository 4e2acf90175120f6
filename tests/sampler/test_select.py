import itertools

import numpy as np
import pytest
from skactiveml.pool import CoreSet, ProbCover, TypiClust
from skactiveml.pool._typi_clust import _typicality
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances

from cryomae.sampler import Labelled, MaxPerGroup, PoolView, SamplerError, create_strategy
from cryomae.sampler.scores.uncertainty import margin
from cryomae.sampler.select.badge import Gradients
from cryomae.sampler.select.distances import nearest_to, squared_to
from cryomae.sampler.select.graph_density import neighbour_graph
from cryomae.sampler.select.probcover import pure_radius
from cryomae.sampler.select.typiclust import typicality

RNG = np.random.default_rng


def blobs(count: int, each: int, seed: int = 0, d: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Far-apart clusters of different sizes, and the cluster of each row."""
    rng = RNG(seed)
    centres = 50 * rng.normal(size=(count, d))
    owner = np.repeat(np.arange(count), each + 5 * np.arange(count))
    return centres[owner] + rng.normal(size=(len(owner), d)), owner


def labelled_rows(x: np.ndarray, rows: list[int]) -> Labelled:
    return Labelled(10_000 + np.array(rows), np.arange(len(rows)) % 2, embed=x[rows])


def pool_without(x: np.ndarray, rows: list[int], **more: object) -> PoolView:
    """Ids are the rows of ``x``; ``rows`` are labelled."""
    left = np.setdiff1d(np.arange(len(x)), rows)
    return PoolView(ids=left, embed=x[left], labelled=labelled_rows(x, rows), **more)


def missing(x: np.ndarray, rows: list[int]) -> np.ndarray:
    y = np.full(len(x), np.nan)
    y[rows] = np.arange(len(rows)) % 2
    return y


def test_distances_are_exact_for_equal_rows() -> None:
    x = (1e4 + RNG(0).normal(size=(3000, 20))).astype(np.float32)
    x[2500] = x[7]
    gap = squared_to(x, x[7])
    assert gap[[7, 2500]].tolist() == [0, 0]
    brute = np.square(x.astype(float) - x[7].astype(float)).sum(1)
    np.testing.assert_allclose(gap, brute, rtol=1e-4)
    assert np.isinf(nearest_to(x, x[:0])).all()


@pytest.mark.parametrize("seed", range(5))
def test_kcenter_as_in_scikit_activeml(seed: int) -> None:
    x = RNG(seed).normal(size=(300, 8))
    rows = RNG(seed).choice(300, 6, replace=False).tolist()
    ours = create_strategy("kcenter").select(pool_without(x, rows), 15, RNG(0))
    theirs = CoreSet(random_state=0).query(x, missing(x, rows), batch_size=15)
    assert ours.ids.tolist() == theirs.tolist()
    assert (np.diff(ours.score) <= 1e-12).all()


def test_kcenter_is_a_two_approximation() -> None:
    x = RNG(3).normal(size=(14, 2))
    gaps = pairwise_distances(x)
    best = min(gaps[:, list(c)].min(1).max() for c in itertools.combinations(range(14), 4))
    ours = create_strategy("kcenter").select(PoolView(ids=np.arange(14), embed=x), 4, RNG(0))
    assert gaps[:, ours.index].min(1).max() <= 2 * best


def test_kcenter_begins_farthest_from_the_mean() -> None:
    x = RNG(4).normal(size=(200, 3))
    ours = create_strategy("kcenter").select(PoolView(ids=np.arange(200), embed=x), 3, RNG(0))
    first = int(np.linalg.norm(x - x.mean(0), axis=1).argmax())
    second = int(np.linalg.norm(x - x[first], axis=1).argmax())
    assert ours.ids[:2].tolist() == [first, second]
    empty = PoolView(ids=np.arange(200), embed=x, labelled=Labelled([], []))
    again = create_strategy("kcenter").select(empty, 3, RNG(0))
    assert again.ids.tolist() == ours.ids.tolist()


def test_labels_without_descriptors_are_an_error() -> None:
    pool = PoolView(ids=[1, 2], embed=np.eye(2), labelled=Labelled([3], [0]))
    with pytest.raises(SamplerError, match=r"Labelled\(embed=\.\.\.\)"):
        create_strategy("kcenter").select(pool, 1, RNG(0))


def test_badge_distances_are_those_of_the_gradients() -> None:
    proba, h = RNG(0).dirichlet(np.ones(5), 60), RNG(1).normal(size=(60, 7))
    u = proba - np.eye(5)[proba.argmax(1)]
    g = np.einsum("nc,nd->ncd", u, h).reshape(60, -1)
    found = Gradients.of(proba, h)
    np.testing.assert_allclose(found.norm, np.square(g).sum(1), rtol=1e-12)
    for row in (0, 33):
        explicit = np.square(g - g[row]).sum(1)
        np.testing.assert_allclose(found.squared_to(row), explicit, atol=1e-12)


def test_badge_draws_in_proportion_to_the_squared_distance() -> None:
    proba, h = RNG(0).dirichlet(np.ones(3), 12), RNG(1).normal(size=(12, 4))
    u = proba - np.eye(3)[proba.argmax(1)]
    g = np.einsum("nc,nd->ncd", u, h).reshape(12, -1)
    first = int(np.square(g).sum(1).argmax())
    weight = np.square(g - g[first]).sum(1)
    pool = PoolView(ids=np.arange(12), proba=proba, embed=h)
    rng = RNG(5)
    picks = np.array([create_strategy("badge").select(pool, 2, rng).ids for _ in range(4000)])
    assert set(picks[:, 0]) == {first}
    share = np.bincount(picks[:, 1], minlength=12) / 4000
    np.testing.assert_allclose(share, weight / weight.sum(), atol=0.03)


def test_badge_scores_are_distances_to_the_nearest_taken() -> None:
    proba, h = RNG(0).dirichlet(np.ones(3), 40), RNG(1).normal(size=(40, 4))
    u = proba - np.eye(3)[proba.argmax(1)]
    g = np.einsum("nc,nd->ncd", u, h).reshape(40, -1)
    pool = PoolView(ids=np.arange(40), proba=proba, embed=h)
    batch = create_strategy("badge").select(pool, 10, RNG(2))
    for place, row in enumerate(batch.index[1:], start=1):
        nearest = np.square(g[batch.index[:place]] - g[row]).sum(1).min()
        assert batch.score[place] == pytest.approx(nearest)


def test_badge_of_a_certain_model_is_uniform() -> None:
    pool = PoolView(ids=np.arange(5), proba=np.eye(2)[[0, 1, 0, 1, 0]], embed=np.ones((5, 2)))
    rng = RNG(0)
    seconds = [int(create_strategy("badge").select(pool, 2, rng).ids[1]) for _ in range(800)]
    assert np.bincount(seconds, minlength=5)[1:].min() > 150


def test_typicality_as_in_scikit_activeml() -> None:
    x = RNG(0).normal(size=(60, 5))
    theirs = _typicality(x, np.arange(60), 20)
    np.testing.assert_allclose(typicality(x, 20, RNG(0)), theirs, rtol=1e-6)
    assert typicality(x[:1], 20, RNG(0)).tolist() == [0]
    assert np.isfinite(typicality(np.ones((9, 3)), 20, RNG(0))).all()


def test_typiclust_as_in_scikit_activeml() -> None:
    x, owner = blobs(6, 30)
    ours = create_strategy("typiclust", neighbours=5).select(
        PoolView(ids=np.arange(len(x)), embed=x), 6, RNG(0)
    )
    theirs = TypiClust(random_state=0, k=5, cluster_algo_dict={"n_init": 20}).query(
        x, missing(x, []), batch_size=6
    )
    assert ours.ids.tolist() == theirs.tolist()
    assert owner[ours.index].tolist() == [5, 4, 3, 2, 1, 0]  # the largest first


def test_typiclust_goes_to_clusters_without_labels_first() -> None:
    x, owner = blobs(5, 30, seed=1)
    known = [int(np.flatnonzero(owner == c)[0]) for c in (4, 3)]
    ours = create_strategy("typiclust").select(pool_without(x, known), 3, RNG(0))
    assert owner[ours.ids].tolist() == [2, 1, 0]


def test_typicality_in_a_large_cluster_ranks_like_the_full_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = RNG(0).normal(size=(1500, 2))
    full = typicality(x, 20, RNG(0))
    monkeypatch.setattr("cryomae.sampler.select.typiclust.MOST", 500)
    assert (
        np.corrcoef(full.argsort().argsort(), typicality(x, 20, RNG(0)).argsort().argsort())[0, 1]
        > 0.9
    )


@pytest.mark.filterwarnings("ignore:The maximum purity")  # the oracle's, of one radius
@pytest.mark.parametrize("seed", range(3))
def test_probcover_covers_as_scikit_activeml_does(seed: int) -> None:
    x = RNG(seed).normal(size=(250, 3))
    rows = [0, 1]
    ours = create_strategy("probcover", radius=0.8).select(pool_without(x, rows), 12, RNG(0))
    for place, (pick, gain) in enumerate(zip(ours.ids, ours.score, strict=True)):
        known = rows + ours.ids[:place].tolist()
        oracle = ProbCover(n_classes=2, deltas=[0.8], random_state=0)
        _, utilities = oracle.query(x, missing(x, known), return_utilities=True)
        assert gain == utilities[0][pick] == np.nanmax(utilities[0])


def test_probcover_when_all_is_covered_goes_on_at_random() -> None:
    pool = PoolView(ids=np.arange(30), embed=RNG(0).normal(size=(30, 2)))
    ours = create_strategy("probcover", radius=100).select(pool, 5, RNG(0))
    assert ours.reason == ("covers", "fill", "fill", "fill", "fill")
    assert ours.score[0] == 30


def test_the_estimated_radius_keeps_balls_within_clusters() -> None:
    x, owner = blobs(3, 40, seed=2)
    radius = pure_radius(x, 3, 0.95, RNG(0))
    gaps = pairwise_distances(x)
    other = owner[:, None] != owner[None, :]
    assert not ((gaps <= radius) & other).any()
    # The next quantile tried would already reach from one cluster to another.
    assert radius > np.median(gaps[~other])


def test_large_pools_are_covered_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("probcover", "graph_density"):
        monkeypatch.setattr(f"cryomae.sampler.select.{module}.MOST", 20)
    pool = PoolView(
        ids=np.arange(100), embed=RNG(0).normal(size=(100, 2)), group=np.arange(100) % 2
    )
    for name in ("probcover", "graph_density"):
        assert len(create_strategy(name).select(pool, 30, RNG(0))) == 30
        few = create_strategy(name).select(pool, 30, RNG(0), [MaxPerGroup(14)])
        assert len(few) == 28


def test_kmeans_takes_the_rows_nearest_to_the_centres() -> None:
    x, owner = blobs(6, 20, seed=3)
    ours = create_strategy("kmeans").select(PoolView(ids=np.arange(len(x)), embed=x), 6, RNG(2))
    means = KMeans(6, n_init=20, random_state=0).fit(x).cluster_centers_
    brute = {int(np.linalg.norm(x - m, axis=1).argmin()) for m in means}
    assert set(ours.ids.tolist()) == brute
    assert owner[ours.index[0]] == 5


def test_cluster_margin_goes_round_the_clusters() -> None:
    x, owner = blobs(4, 25, seed=4)
    proba = RNG(0).dirichlet([5, 5], len(x))
    pool = PoolView(ids=np.arange(len(x)), embed=x, proba=proba)
    ours = create_strategy("cluster_margin").select(pool, 4, RNG(0))
    uncertain = np.argsort(-margin(proba), kind="stable")[:40]
    assert set(ours.ids.tolist()) <= set(uncertain.tolist())
    assert sorted(owner[ours.index]) == [0, 1, 2, 3]
    sizes = np.bincount(owner[uncertain])[owner[ours.index]]
    assert (np.diff(sizes) >= 0).all()  # the smallest cluster first


def test_information_diversity_keeps_the_proportions_of_the_pool() -> None:
    x, owner = blobs(3, 30, seed=5)
    uncertain = np.where(owner == 0, 0.5, 0.9) - 0.001 * RNG(0).random(len(x))
    pool = PoolView(ids=np.arange(len(x)), embed=x, proba=np.stack([uncertain, 1 - uncertain], 1))
    strategy = create_strategy("information_diversity", clusters=3)
    taken = np.bincount(owner[strategy.select(pool, 20, RNG(1)).index])
    np.testing.assert_allclose(taken, 20 * np.bincount(owner) / len(x), atol=1)
    one = strategy.select(pool, 1, RNG(1)).ids
    assert one.tolist() == create_strategy("margin").select(pool, 1, RNG(1)).ids.tolist()


def test_mcm_takes_middles_within_the_margin() -> None:
    x, owner = blobs(5, 30, seed=6)
    p = np.where(owner < 3, 0.6, 0.9)  # log odds 0.41 and 2.2
    pool = PoolView(ids=np.arange(len(x)), embed=x, proba=np.stack([p, 1 - p], 1))
    ours = create_strategy("mcm").select(pool, 3, RNG(1))
    assert owner[ours.index].tolist() == [2, 1, 0]
    for row in ours.index:
        own = np.flatnonzero(owner == owner[row])
        gap = np.linalg.norm(x[own] - x[own].mean(0), axis=1)
        assert own[gap.argmin()] == row
    narrow = create_strategy("mcm", width=0.1).select(pool, 3, RNG(1))
    assert set(owner[narrow.index]) <= {0, 1, 2}


def test_graph_density_against_brute_force() -> None:
    x = RNG(7).normal(size=(60, 3))
    gaps = pairwise_distances(x, metric="manhattan")
    near = np.argsort(gaps + 1e9 * np.eye(60), axis=1)[:, :10]
    joined = np.zeros((60, 60), dtype=bool)
    np.put_along_axis(joined, near, True, axis=1)
    joined |= joined.T
    weight = np.where(joined, np.exp(-gaps / 3), 0)
    np.testing.assert_allclose(neighbour_graph(x, 10).toarray(), weight, atol=1e-12)
    density = weight.sum(1) / joined.sum(1)
    expected = []
    for _ in range(40):
        best = int(np.argmax(np.where(np.isin(np.arange(60), expected), -np.inf, density)))
        expected.append(best)
        density -= max(density[best], 0) * weight[best]
    pool = PoolView(ids=np.arange(60), embed=x)
    assert create_strategy("graph_density").select(pool, 40, RNG(0)).ids.tolist() == expected


def test_graph_density_avoids_what_is_labelled() -> None:
    rng = RNG(8)
    x = np.concatenate([0.01 * rng.normal(size=(8, 3)), 50 + rng.normal(size=(30, 3))])
    strategy = create_strategy("graph_density", neighbours=7)
    assert strategy.select(PoolView(ids=np.arange(38), embed=x), 1, RNG(0)).ids[0] < 8
    assert strategy.select(pool_without(x, [0]), 1, RNG(0)).ids[0] >= 8
