"""Candidates, the head that follows answers, proposals and estimates, on known truth."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy import ndimage
from scipy.spatial import cKDTree

import cryomae
from cryomae.active.candidates import describe, find_candidates
from cryomae.active.estimate import choose_operating_point, should_stop
from cryomae.active.pool import KINDS, Pool
from cryomae.active.propose import APART, propose
from cryomae.errors import FormatError
from cryomae.formats.star import read_picks
from cryomae.io import read_micrograph
from cryomae.micrograph import MicrographRef
from cryomae.model.detector import corrected
from cryomae.pick import choose_threshold, load_detector, pick
from cryomae.prepare import prepare
from cryomae.sampler import SamplerError, list_strategies
from cryomae.settings import PickSettings
from cryomae.sizes import LATENT, STRIDE
from cryomae.train.head import Head, base_head, learn

DATA = Path(cryomae.__file__).parent / "data"
DIAMETER = float(yaml.safe_load((DATA / "demo.yaml").read_text())["diameter"])


_TRAIN = ("vaal", "waal", "learning_loss", "adversarial_bim", "adversarial_deepfool", "autoal")
"""Strategies that train networks of their own."""


@pytest.fixture(scope="module")
def detector():
    return load_detector()


@pytest.fixture(scope="module")
def micrograph():
    path = DATA / "demo_micrograph.mrc"
    return read_micrograph(MicrographRef(path.name, path))


@pytest.fixture(scope="module")
def found(micrograph, detector):
    return find_candidates(micrograph, detector, DIAMETER, np.random.default_rng(0))


@pytest.fixture(scope="module")
def truth():
    return read_picks(DATA / "demo_truth.star").xy


def made_pool(count=600, micrographs=6, seed=0, defocus=None):
    """A pool whose particles are known: a fifth of it, which twenty of the latents tell."""
    rng = np.random.default_rng(seed)
    latents = rng.normal(size=(count, LATENT))
    particle = rng.random(count) < 0.2
    latents[:, :20] += np.where(particle, 1.0, -1.0)[:, None]
    logit = np.where(particle, 0.5, -1.5) + rng.normal(size=count)
    pool = Pool(
        micrograph=np.repeat(np.arange(micrographs), count // micrographs).astype(np.int32),
        xy=rng.uniform(0, 8000, (count, 2)).astype(np.float32),
        kind=np.zeros(count, np.uint8),
        logit=logit.astype(np.float32),
        latents=latents.astype(np.float16),
        pixel_size=np.full(micrographs, 1.5),
        defocus=np.full(micrographs, np.nan) if defocus is None else np.asarray(defocus),
        diameter=150.0,
    )
    return pool, particle.astype(int)


def pool_of(found, micrograph):
    count = len(found)
    return Pool(
        np.zeros(count, np.int32), found.xy, found.kind, found.logit, found.latents,
        np.array([micrograph.pixel_size]), np.array([np.nan]), DIAMETER,
    )  # fmt: skip


def test_candidates_lie_on_the_particles_and_between_them(found, truth, micrograph):
    radius = DIAMETER / micrograph.pixel_size / 2
    peaks = found.xy[found.kind == KINDS.index("peak")]
    away, _ = cKDTree(peaks).query(truth)
    assert (away < radius / 2).mean() > 0.95
    for kind in ("grid", "background"):
        others = found.xy[found.kind == KINDS.index(kind)]
        assert len(others)
        assert cKDTree(peaks).query(others)[0].min() >= 0.99 * radius
    rows, columns = micrograph.shape
    far = np.minimum(found.xy, np.array([columns, rows]) - found.xy).min(axis=1)
    peak = found.kind == KINDS.index("peak")
    assert (far[~peak] >= radius - 1).all()
    # A peak's room is known to a working pixel, and its place to a part of one.
    assert (far[peak] >= radius - 1.5 * max(found.spacing)).all()


def test_a_place_is_described_as_the_candidate_there(found, micrograph, detector):
    """A click exactly on a candidate and the candidate itself must be the same to the model."""
    some = np.arange(0, len(found), 7)
    logit, latents = describe(micrograph, detector, DIAMETER, found.xy[some])
    assert logit == pytest.approx(found.logit[some], abs=0.02)
    assert np.abs(latents.astype(float) - found.latents[some]).mean() < 0.01


def test_the_exported_model_scores_as_the_session_does(found, micrograph, detector, truth):
    pool = pool_of(found, micrograph)
    away, _ = cKDTree(truth).query(found.xy)
    y = (away < DIAMETER / micrograph.pixel_size / 4).astype(int)
    rows = np.arange(0, len(pool), 3)
    head = learn(pool, rows, y[rows])
    changed = head.logits(pool)
    assert np.abs(changed - pool.logit).max() > 0.5  # else the test shows nothing
    working = prepare(micrograph.pixels, micrograph.pixel_size, DIAMETER)
    model = corrected(detector.model, *head.change)
    logits = replace(detector, model=model).logits(working.image)
    place = (found.xy / working.spacing[::-1] - (STRIDE - 1) / 2) / STRIDE
    there = ndimage.map_coordinates(logits, place[:, ::-1].T, order=1, mode="nearest")
    peaks = found.kind == 0
    assert np.corrcoef(there[peaks], changed[peaks])[0, 1] > 0.99
    assert np.median(np.abs(there - changed)[peaks]) < 0.15


def test_without_answers_the_model_is_as_it_was():
    pool, _ = made_pool()
    assert base_head(pool).logits(pool) == pytest.approx(pool.logit)
    none = np.zeros(0, np.intp)
    assert learn(pool, none, none).logits(pool) == pytest.approx(pool.logit)


def test_answers_teach_what_the_scores_do_not_know():
    pool, y = made_pool()
    rest = np.arange(100, len(pool))
    head = learn(pool, np.arange(100), y[:100])

    def ranked(score):
        return (score[rest][y[rest] == 1][:, None] > score[rest][y[rest] == 0]).mean()

    # Two fifths and more of what was ranked wrongly is put right.
    assert 1 - ranked(head.logits(pool)) < 0.6 * (1 - ranked(pool.logit))


def test_clicked_particles_do_not_make_everything_a_particle():
    pool, y = made_pool()
    rows = np.flatnonzero(y)[:15]
    before = base_head(pool).probability(pool)
    clicked = np.ones(15, bool)
    after = learn(pool, rows, y[rows], clicked=clicked).probability(pool)
    assert after.sum() == pytest.approx(before.sum(), rel=0.3)

    def ranked(score):
        return (score[y == 1][:, None] > score[y == 0]).mean()

    assert ranked(after) > ranked(before)


def test_the_order_of_answers_and_the_start_change_nothing():
    pool, y = made_pool()
    order = np.random.default_rng(1).permutation(80)
    one = learn(pool, np.arange(80), y[:80])
    other = learn(pool, order, y[order], start=learn(pool, np.arange(40), y[:40]))
    assert other.logits(pool) == pytest.approx(one.logits(pool), abs=0.02)


def test_a_head_survives_being_stored_and_a_damaged_one_is_refused():
    pool, y = made_pool()
    head = learn(pool, np.arange(50), y[:50])
    again = Head.from_bytes(head.to_bytes())
    assert again.logits(pool) == pytest.approx(head.logits(pool))
    assert again.answered == 50
    with pytest.raises(FormatError, match="damaged"):
        Head.from_bytes(head.to_bytes()[:100])


def test_more_answers_make_the_head_surer():
    pool, y = made_pool()
    spread = [
        learn(pool, np.arange(n), y[:n]).draw(pool, 100, np.random.default_rng(0)).std(axis=0)
        for n in (10, 300)
    ]
    assert spread[1].mean() < 0.8 * spread[0].mean()


@pytest.mark.parametrize(
    "strategy",
    [pytest.param(s, marks=pytest.mark.slow) if s in _TRAIN else s for s in list_strategies()],
)
def test_every_strategy_of_the_sampler_proposes(strategy):
    """Apart from each other and from what is answered, spread over micrographs."""
    pool, y = made_pool()
    rows = np.arange(0, 600, 20)
    head = learn(pool, rows, y[rows])
    taken = [1, 2, 3, 4, 5]
    chosen = propose(
        pool, head, rows, y[rows], 10, strategy=strategy, taken=taken,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    got = np.array([c.candidate for c in chosen])
    assert len(set(got)) == 10
    assert not set(got) & ({*taken} | set(rows))
    assert all(c.reason for c in chosen)
    assert np.bincount(pool.micrograph[got]).max() <= 2
    place = pool.angstrom()
    for i in got:
        others = np.array([j for j in [*got, *rows] if j != i])
        others = others[pool.micrograph[others] == pool.micrograph[i]]
        gap = np.hypot(*(place[others] - place[i]).T)
        assert (gap >= APART * pool.diameter).all()


def test_proposals_are_spread_over_defocus():
    """Without the guard the one defocus in which everything is doubtful would fill the batch."""
    pool, y = made_pool(micrographs=12, defocus=np.repeat([0.8, 1.6, 2.4], 4))
    doubtful = pool.micrograph < 4
    pool.logit[doubtful], pool.logit[~doubtful] = 0.0, -6.0
    none = np.zeros(0, np.intp)
    chosen = propose(
        pool, base_head(pool), none, y[:0], 9, strategy="uncertainty",
        rng=np.random.default_rng(0),
    )  # fmt: skip
    bins = pool.micrograph[[c.candidate for c in chosen]] // 4
    assert len(chosen) == 9
    assert np.bincount(bins, minlength=3)[0] == 6


def test_nothing_left_and_unknown_strategies():
    pool, y = made_pool()
    every = np.arange(len(pool))
    rng = np.random.default_rng(0)
    assert propose(pool, base_head(pool), every, y, 5, rng=rng) == []
    with pytest.raises(SamplerError, match="no strategy"):
        propose(pool, base_head(pool), every[:0], y[:0], 5, strategy="guess", rng=rng)


def test_threshold_and_estimate_follow_the_truth():
    pool, _ = made_pool(count=3000)
    rng = np.random.default_rng(0)
    y = (rng.random(3000) < 1 / (1 + np.exp(-(2 * pool.logit.astype(float) - 1)))).astype(int)
    rows = rng.permutation(3000)[:300]
    head = learn(pool, rows, y[rows])
    said = choose_operating_point(pool, head, rows, y[rows], rng)
    score = head.probability(pool)
    score[rows] = y[rows]
    picked = score >= said.threshold
    precision, recall = y[picked].mean(), y[picked].sum() / y.sum()
    assert said.precision == pytest.approx(precision, abs=0.08)
    assert said.recall == pytest.approx(recall, abs=0.08)
    assert said.precision_low < said.precision < said.precision_high
    assert said.recall_low < said.recall < said.recall_high
    best = max(2 * y[score >= t].sum() / ((score >= t).sum() + y.sum()) for t in score[::20])
    assert 2 * y[picked].sum() / (picked.sum() + y.sum()) > best - 0.03


def test_before_the_first_answer_the_threshold_is_that_of_pick(found, micrograph, detector):
    """The grid between the peaks, which only a session has, does not count as background."""
    pool = Pool(
        np.zeros(len(found.xy), np.int32), found.xy, found.kind, found.logit, found.latents,
        np.array([micrograph.pixel_size]), np.array([np.nan]), DIAMETER,
    )  # fmt: skip
    none = np.zeros(0, np.intp)
    said = choose_operating_point(pool, base_head(pool), none, none, np.random.default_rng(0))
    picked = pick(micrograph, detector, PickSettings(diameter=DIAMETER))
    plain = choose_threshold([picked.candidates.score]).value
    assert said.threshold == pytest.approx(plain, abs=0.02)
    assert 0.2 < plain < 0.45  # not the fixed one of too few candidates


def test_when_to_stop():
    assert should_stop([0.4, 0.01, 0.005], answered=40)
    assert not should_stop([0.4, 0.01], answered=10)
    assert not should_stop([0.01, 0.1], answered=40)
    assert not should_stop([], answered=40)
