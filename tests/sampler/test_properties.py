"""What every registered strategy must do, whatever it is given."""

import tracemalloc
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from cryomae.sampler import (
    Exclude,
    Labelled,
    MaxPerGroup,
    MinDistance,
    MissingNeed,
    Need,
    PoolView,
    SamplerError,
    available,
    create_strategy,
    list_strategies,
)

RNG = np.random.default_rng
DEEP = {n for n in list_strategies() if "deep" in type(create_strategy(n)).__module__}
NAMES = sorted(set(list_strategies()) - DEEP)
FIT_MODELS = ("eer", "qbc", "variance_reduction")
SLOW_TO_SCORE = ("eer", "quire", "variance_reduction")


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def make_pool(seed: int, n: int, labels: int = 6, kind: str = "usual") -> PoolView:
    """A pool that has everything, with a scikit-learn model."""
    rng = RNG(seed)
    size = 2 * (n + labels)
    ids = rng.permutation(size)[: n + labels]
    embed = rng.normal(size=(n + labels, 3))
    if kind == "odd":  # far from 0, of very different sizes, and in single precision
        embed = (1e4 + embed * 10.0 ** rng.integers(-4, 7, 3)).astype(np.float32)
    proba = rng.dirichlet(np.ones(2), n)
    stochastic = rng.dirichlet(np.ones(2), (4, n))
    if kind == "certain":
        proba, stochastic = np.round(proba), np.round(stochastic)
    if kind == "equal":
        embed = np.ones_like(embed)
        proba = np.full_like(proba, 0.5)
    slope, inputs = rng.normal(size=(3, 2)), rng.normal(size=(n, 3))

    def perturb(noise: int, scale: float) -> np.ndarray:
        moved = inputs @ (slope + scale * RNG(noise).normal(size=slope.shape))
        return np.exp(moved) / np.exp(moved).sum(1, keepdims=True)

    xy = rng.uniform(0, 10, (n + labels, 2))
    group = rng.integers(0, 3, n + labels)
    labelled = Labelled(
        ids[n:],
        np.arange(labels) % 2,
        embed=embed[n:],
        features=embed[n:],
        xy=xy[n:],
        group=group[n:],
    )
    return PoolView(
        ids=ids[:n],
        proba=proba,
        stochastic=stochastic,
        embed=embed[:n],
        features=embed[:n],
        id_score=rng.normal(size=n),
        xy=xy[:n],
        group=group[:n],
        labelled=labelled,
        perturb=perturb,
        model=LogisticRegression(),
    )


def arrays(pool: PoolView) -> dict[str, np.ndarray]:
    found = {n: v for n, v in vars(pool).items() if isinstance(v, np.ndarray)}
    return found | {f"labelled {n}": v for n, v in vars(pool.labelled).items() if v is not None}


def check(pool: PoolView, name: str, k: int, seed: int, guards: tuple = ()) -> np.ndarray:
    """Select, check what always holds, and give the ids."""
    before = {n: v.copy() for n, v in arrays(pool).items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        selection = create_strategy(name).select(pool, k, RNG(seed), guards)
    for key, value in arrays(pool).items():
        assert np.array_equal(value, before[key]), key
    assert len(set(selection.ids.tolist())) == len(selection)
    assert np.array_equal(pool.ids[selection.index], selection.ids)
    assert len(selection.score) == len(selection.reason) == len(selection)
    assert np.isfinite(selection.score).all()
    assert bool(selection.short) == (len(selection) < k)
    return selection.ids


CASES = settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
KINDS = st.sampled_from(["usual", "certain", "equal", "odd"])


@CASES
@given(seed=st.integers(0, 2**20), n=st.integers(1, 30), k=st.integers(1, 35), kind=KINDS)
def test_size_uniqueness_and_inputs(name: str, seed: int, n: int, k: int, kind: str) -> None:
    assert len(check(make_pool(seed, n, kind=kind), name, k, seed)) == min(n, k)


@CASES
@given(seed=st.integers(0, 2**20), n=st.integers(1, 30), k=st.integers(1, 10), kind=KINDS)
def test_the_order_of_candidates_does_not_matter(
    name: str, seed: int, n: int, k: int, kind: str
) -> None:
    pool = make_pool(seed, n, kind=kind)
    shuffled = pool.take(RNG(seed + 1).permutation(n))
    first, second = check(pool, name, k, seed), check(shuffled, name, k, seed)
    assert first.tolist() == second.tolist()


@CASES
@given(seed=st.integers(0, 2**20), n=st.integers(1, 30), k=st.integers(1, 10))
def test_the_generator_alone_decides(name: str, seed: int, n: int, k: int) -> None:
    pool = make_pool(seed, n)
    first = check(pool, name, k, 1).tolist()
    assert check(pool, name, k, 1).tolist() == first
    if create_strategy(name).deterministic:
        assert check(pool, name, k, 2).tolist() == first


@CASES
@given(
    seed=st.integers(0, 2**20),
    n=st.integers(1, 30),
    k=st.integers(1, 20),
    distance=st.floats(0.1, 6),
    most=st.integers(1, 8),
    kind=KINDS,
)
def test_guards_hold_and_batches_are_as_full_as_they_allow(
    name: str, seed: int, n: int, k: int, distance: float, most: int, kind: str
) -> None:
    pool = make_pool(seed, n, kind=kind)
    out = pool.ids[::5]
    ids = check(pool, name, k, seed, (MinDistance(distance), MaxPerGroup(most), Exclude(out)))
    row = {i: r for r, i in enumerate(pool.ids.tolist())}
    taken = [row[i] for i in ids.tolist()]
    assert not set(ids.tolist()) & set(out.tolist())
    known = pool.labelled

    def fits(candidate: int, others: list[int]) -> bool:
        same = [o for o in others if pool.group[o] == pool.group[candidate]]
        points = [pool.xy[o] for o in same] + list(known.xy[known.group == pool.group[candidate]])
        apart = all(np.hypot(*(p - pool.xy[candidate])) >= distance for p in points)
        return apart and len(same) < most

    for place, candidate in enumerate(taken):
        assert fits(candidate, taken[:place])
    if len(taken) < k:
        rest = set(range(0, n)) - set(taken) - set(range(0, n, 5))
        assert not any(fits(r, taken) for r in rest)


def test_strings_do_for_ids(name: str) -> None:
    pool = make_pool(3, 12)
    known = pool.labelled
    labelled = replace(known, ids=[f"a{i:03d}" for i in known.ids])
    named = replace(pool, ids=[f"a{i:03d}" for i in pool.ids], labelled=labelled)
    by_number = create_strategy(name).select(pool, 4, RNG(0)).ids
    by_name = create_strategy(name).select(named, 4, RNG(0)).ids
    assert by_name.tolist() == [f"a{i:03d}" for i in by_number]


def test_one_labelled_class_is_enough_or_an_error_says_so(name: str) -> None:
    pool = make_pool(4, 20)
    known = pool.labelled
    single = replace(known, y=np.zeros(len(known), dtype=int))
    one = replace(pool, labelled=single)
    if name in FIT_MODELS:
        with pytest.raises(SamplerError, match="labels of two classes at least: begin with"):
            check(one, name, 3, 0)
    else:
        assert len(check(one, name, 3, 0)) == 3


def test_what_is_missing_is_said_before_any_work(name: str) -> None:
    strategy = create_strategy(name)
    needs = [str(n.name).lower() for n in Need if n in strategy.required()]
    for need in needs:
        pool = replace(make_pool(0, 9), **{need: None})
        with pytest.raises(MissingNeed, match=rf"pass PoolView\({need}=\.\.\.\)"):
            strategy.select(pool, 1, RNG(0))


@pytest.mark.slow
def test_memory_grows_with_the_pool_and_not_with_its_square(name: str) -> None:
    if name in SLOW_TO_SCORE:
        pytest.skip("fits a model for each candidate: for small pools")
    pool = make_pool(0, 30_000)
    tracemalloc.start()
    create_strategy(name).select(pool, 20, RNG(0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # All pairs would take 7,200 MB as float64.
    assert peak < 150e6


def test_all_that_a_full_pool_offers_is_available() -> None:
    assert set(NAMES) <= set(available(make_pool(0, 5)))
    bare = PoolView(ids=[1, 2])
    assert available(bare) == ("random",)
