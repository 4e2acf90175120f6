import numpy as np
import pytest
from skactiveml.pool import average_kl_divergence, uncertainty_scores

from cryomae.sampler import PoolView, SamplerError, create_strategy
from cryomae.sampler.scores.familiar import mahalanobis
from cryomae.sampler.scores.stochastic import bald, mean_std, variation_ratio, vote_counts
from cryomae.sampler.scores.uncertainty import entropy, least_confidence, margin

RNG = np.random.default_rng
PROBA = RNG(0).dirichlet(np.ones(4), 200)
PASSES = RNG(1).dirichlet(np.ones(3), (7, 100))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (entropy, "entropy"),
        (margin, "margin_sampling"),
        (least_confidence, "least_confident"),
    ],
)
def test_uncertainty_as_in_scikit_activeml(ours: object, theirs: str) -> None:
    np.testing.assert_allclose(ours(PROBA), uncertainty_scores(PROBA, method=theirs), atol=1e-15)


def test_bald_as_in_scikit_activeml() -> None:
    theirs = average_kl_divergence(PASSES, eps=1e-12)
    np.testing.assert_allclose(bald(PASSES), theirs, atol=1e-12)


def test_of_two_classes_all_kinds_rank_alike() -> None:
    p = RNG(2).random(500)
    two = np.stack([p, 1 - p], 1)
    orders = [np.argsort(f(two)).tolist() for f in (entropy, margin, least_confidence)]
    assert orders[0] == orders[1] == orders[2] == np.argsort(-np.abs(p - 0.5)).tolist()


def test_of_three_classes_the_kinds_differ() -> None:
    p = np.array([[0.5, 0.5, 0.0], [0.4, 0.3, 0.3], [0.41, 0.40, 0.19]])
    best = {k: int(f(p).argmax()) for k, f in [("e", entropy), ("m", margin)]}
    assert best == {"e": 1, "m": 0}
    assert int(least_confidence(p).argmax()) == 1


def test_certain_is_exactly_zero() -> None:
    p = np.array([[1.0, 0.0], [0.0, 1.0]])
    for score in (entropy, margin, least_confidence):
        assert score(p).tolist() == [0, 0]
        assert not np.signbit(score(p)).any()
    assert bald(np.stack([p, p])).tolist() == [0, 0]


def test_one_class_is_never_uncertain() -> None:
    for score in (entropy, margin, least_confidence):
        assert score(np.ones((3, 1))).tolist() == [0, 0, 0]


def test_passes_that_disagree_tell_most() -> None:
    agree, torn = [[0.5, 0.5]] * 2, [[1.0, 0.0], [0.0, 1.0]]
    passes = np.stack([agree, torn], axis=1)  # (2 passes, 2 candidates, 2 classes)
    np.testing.assert_allclose(bald(passes), [0, np.log(2)], atol=1e-12)
    np.testing.assert_allclose(mean_std(passes), [0, 0.5])
    assert variation_ratio(passes).tolist() == [0, 0.5]


def test_votes() -> None:
    assert vote_counts(PASSES).sum(axis=1).tolist() == [7] * 100
    brute = [1 - np.bincount(p.argmax(1)).max() / 7 for p in PASSES.transpose(1, 0, 2)]
    np.testing.assert_allclose(variation_ratio(PASSES), brute)


def test_mc_kinds_score_the_mean() -> None:
    pool = PoolView(ids=np.arange(100), stochastic=PASSES, proba=PASSES.mean(0))
    for kind in ("entropy", "margin", "least_confidence"):
        picks = [create_strategy(n).select(pool, 9, RNG(0)).ids for n in (kind, f"mc_{kind}")]
        assert picks[0].tolist() == picks[1].tolist()


def test_equal_scores_go_by_id() -> None:
    pool = PoolView(ids=[5, 3, 9, 1], proba=np.full((4, 2), 0.5))
    assert create_strategy("entropy").select(pool, 4, RNG(0)).ids.tolist() == [1, 3, 5, 9]


def test_top_score_takes_the_likely_of_its_class() -> None:
    pool = PoolView(ids=np.arange(200), proba=PROBA)
    best = create_strategy("top_score", target=2).select(pool, 5, RNG(0))
    assert best.ids.tolist() == np.argsort(-PROBA[:, 2])[:5].tolist()
    with pytest.raises(SamplerError, match="target is 4, but proba has 4 classes"):
        create_strategy("top_score", target=4).select(pool, 5, RNG(0))


def test_random_is_fair() -> None:
    pool = PoolView(ids=np.arange(10))
    rng = RNG(0)
    strategy = create_strategy("random")
    counts = np.bincount(
        np.concatenate([strategy.select(pool, 3, rng).ids for _ in range(2000)]), minlength=10
    )
    assert np.abs(counts - 600).max() < 5 * np.sqrt(600)


def test_power_draws_in_proportion_to_the_score() -> None:
    p = np.array([0.9, 0.8, 0.5])  # least confidence 0.1, 0.2, 0.5
    pool = PoolView(ids=[0, 1, 2], proba=np.stack([p, 1 - p], 1))
    rng = RNG(0)
    scorer = create_strategy("least_confidence")
    for beta, weights in ((1.0, [0.1, 0.2, 0.5]), (0.0, [1, 1, 1]), (2.0, [0.01, 0.04, 0.25])):
        strategy = create_strategy("power", scorer=scorer, beta=beta)
        first = [int(strategy.select(pool, 1, rng).ids[0]) for _ in range(3000)]
        share = np.bincount(first, minlength=3) / 3000
        np.testing.assert_allclose(share, np.array(weights) / sum(weights), atol=0.04)


def test_mahalanobis_inverts_the_covariance() -> None:
    rng = RNG(0)
    spread = np.array([10.0, 0.1])
    known = rng.normal(size=(4000, 2)) * spread
    x = np.array([[10.0, 0.0], [0.0, 0.1], [0.0, 10.0]])
    distance = mahalanobis(x, known, np.zeros(4000, dtype=int))
    np.testing.assert_allclose(distance, [1, 1, 100], rtol=0.05)


def test_mahalanobis_against_its_formula_with_two_classes() -> None:
    rng = RNG(1)
    y = np.arange(300) % 2
    known = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 3)) + 4 * y[:, None]
    x = rng.normal(size=(50, 3)) * 3
    means = [known[y == c].mean(0) for c in (0, 1)]
    rest = known - np.array(means)[y]
    inverse = np.linalg.inv(rest.T @ rest / 300)
    brute = [min(np.sqrt((p - m) @ inverse @ (p - m)) for m in means) for p in x]
    np.testing.assert_allclose(mahalanobis(x, known, y), brute, rtol=1e-9)


@pytest.mark.parametrize("labels", [1, 2, 5])
def test_mahalanobis_with_few_labels_stays_finite(labels: int) -> None:
    known = RNG(2).normal(size=(labels, 8))
    distance = mahalanobis(RNG(3).normal(size=(20, 8)), known, np.arange(labels) % 2)
    assert np.isfinite(distance).all()
    assert distance.argmin() >= 0


@pytest.mark.parametrize("name", ["uncertainty", "mc_uncertainty"])
def test_unknown_kind(name: str) -> None:
    with pytest.raises(SamplerError, match="kind must be one of entropy, margin"):
        create_strategy(name, kind="guess")
