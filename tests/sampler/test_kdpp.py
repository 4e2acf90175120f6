import itertools

import numpy as np
import pytest
from dppy.finite_dpps import FiniteDPP

from cryomae.sampler import PoolView, SamplerError, compose, create_strategy
from cryomae.sampler.guards import start_guards
from cryomae.sampler.select.kdpp import Kdpp, Kernel, greedy_map
from cryomae.sampler.select.kdpp_sampling import sample

RNG = np.random.default_rng


def kernel(n: int, seed: int = 0, alpha: float = 0.5) -> Kernel:
    return Kernel(RNG(seed).normal(size=(n, 3)), RNG(seed + 1).random(n), alpha)


def mask(n: int) -> object:
    return start_guards((), PoolView(ids=np.arange(n)))


def test_kernel_is_quality_times_similarity() -> None:
    h, info = RNG(0).normal(size=(40, 3)), RNG(1).random(40)
    gaps = np.square(h[:, None] - h[None]).sum(-1)
    like = np.exp(-gaps / (2 * np.median(gaps[np.triu_indices(40, 1)])))
    quality = info**0.3 * like.mean(1) ** 0.7
    quality /= quality.max()
    ours = Kernel(h, info, 0.3)
    np.testing.assert_allclose(ours.matrix(), np.outer(quality, quality) * like, rtol=1e-9)
    np.testing.assert_allclose(ours.row(7), ours.matrix()[7], rtol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_greedy_maximises_the_determinant_step_by_step(seed: int) -> None:
    ours = kernel(25, seed)
    matrix = ours.matrix()
    chosen, gains = greedy_map(ours, np.arange(25), 8, mask(25))
    expected: list[int] = []
    for gain in gains:
        best = {
            i: np.linalg.det(matrix[np.ix_([*expected, i], [*expected, i])])
            for i in range(25)
            if i not in expected
        }
        before = np.linalg.det(matrix[np.ix_(expected, expected)]) if expected else 1.0
        expected.append(max(best, key=best.__getitem__))
        assert gain == pytest.approx(best[expected[-1]] / before, rel=1e-6)
    assert chosen == expected


def test_draws_have_the_probabilities_of_the_determinants_as_dppy() -> None:
    n, k, draws = 6, 3, 4000
    matrix = kernel(n, 3).matrix()
    batches = list(itertools.combinations(range(n), k))
    exact = np.array([np.linalg.det(matrix[np.ix_(b, b)]) for b in batches])
    exact /= exact.sum()
    rng = RNG(0)
    ours = [tuple(sorted(sample(matrix, np.arange(n), k, rng, mask(n))[0])) for _ in range(draws)]
    dpp = FiniteDPP("likelihood", L=matrix)
    for seed in range(draws):
        dpp.sample_exact_k_dpp(size=k, random_state=seed)
    theirs = [tuple(sorted(s)) for s in dpp.list_of_samples]
    for found in (ours, theirs):
        share = np.array([found.count(b) for b in batches]) / draws
        assert np.abs(share - exact).max() < 0.03
    marginal = [np.bincount(np.concatenate(s), minlength=n) / draws for s in (ours, theirs)]
    np.testing.assert_allclose(marginal[0], marginal[1], atol=0.04)


def test_large_batches_do_not_overflow() -> None:
    matrix = Kernel(RNG(0).normal(size=(400, 200)), np.ones(400), 1.0).matrix()
    chosen, chance = sample(1e3 * matrix, np.arange(400), 300, RNG(0), mask(400))
    assert len(set(chosen)) == 300
    assert np.isfinite(chance).all()


@pytest.mark.parametrize("method", ["map", "sample"])
def test_equal_candidates_are_filled_by_information(method: str) -> None:
    p = np.linspace(0.5, 0.9, 10)
    pool = PoolView(ids=np.arange(10), proba=np.stack([p, 1 - p], 1), embed=np.ones((10, 2)))
    ours = create_strategy("kdpp", method=method).select(pool, 4, RNG(0))
    assert ours.reason == ("diverse", "fill", "fill", "fill")
    rest = [i for i in range(10) if i != ours.ids[0]][:3]
    assert ours.ids[1:].tolist() == rest


def test_a_batch_is_uncertain_and_more_diverse_than_the_most_uncertain() -> None:
    rng = RNG(0)
    h = np.concatenate([rng.normal(size=(50, 2)) * 0.05, rng.normal(size=(450, 2)) * 3])
    p = np.concatenate([np.full(50, 0.5), rng.uniform(0.5, 1, 450)])
    pool = PoolView(ids=np.arange(500), proba=np.stack([p, 1 - p], 1), embed=h)
    plain = create_strategy("uncertainty").select(pool, 10, RNG(0))
    diverse = create_strategy("kdpp").select(pool, 10, RNG(0))

    def volume(rows: np.ndarray) -> float:
        gaps = np.square(h[rows][:, None] - h[rows][None]).sum(-1)
        return float(np.linalg.slogdet(np.exp(-gaps / 8) + 1e-6 * np.eye(10))[1])

    assert volume(diverse.index) > volume(plain.index) + 10
    assert p[diverse.index].mean() < p.mean()


def test_alpha_one_is_information_alone() -> None:
    ours = kernel(30, alpha=1.0)
    info = RNG(1).random(30)
    np.testing.assert_allclose(ours.quality, info / info.max())
    assert Kernel(np.zeros((3, 2)), np.zeros(3), 1.0).quality.tolist() == [0, 0, 0]


def test_any_score_can_be_the_information() -> None:
    pool = PoolView(
        ids=np.arange(40),
        proba=RNG(0).dirichlet([1, 1], 40),
        embed=RNG(1).normal(size=(40, 2)),
    )
    same = compose(create_strategy("margin"), Kdpp())
    ours = same.select(pool, 5, RNG(0)).ids
    assert ours.tolist() == create_strategy("kdpp").select(pool, 5, RNG(0)).ids.tolist()
    narrow = compose(create_strategy("top_score"), create_strategy("kcenter"), prefilter=2)
    best = np.argsort(-pool.proba[:, 1])[:10]
    assert set(narrow.select(pool, 5, RNG(0)).ids) <= set(best)


def test_more_than_the_matrix_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryomae.sampler.select.kdpp.MOST", 20)
    pool = PoolView(
        ids=np.arange(80), proba=RNG(0).dirichlet([1, 1], 80), embed=RNG(1).normal(size=(80, 9))
    )
    for method in ("map", "sample"):
        assert len(create_strategy("kdpp", method=method).select(pool, 50, RNG(0))) == 50


@pytest.mark.parametrize(
    "params", [{"alpha": 1.1}, {"alpha": float("nan")}, {"method": "best"}, {"prefilter": 0}]
)
def test_bad_parameters(params: dict) -> None:
    with pytest.raises(SamplerError, match=next(iter(params))):
        create_strategy("kdpp", **params)
