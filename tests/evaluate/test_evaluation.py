"""Figures and verdicts on truth that is known by construction."""

from dataclasses import replace

import numpy as np
import pytest
from evaluate_helpers import picks_of, regions_of, truth_of
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.draw import disk

from cryomae.errors import InputError
from cryomae.evaluate import evaluate
from cryomae.evaluate.calibration import reliability
from cryomae.evaluate.masks import disc_mask, mask_overlap

SCALE = {"diameter": 20.0, "pixel_size": 1.0}  # a pick is right within 10 px


@pytest.fixture
def two():
    """Micrograph a: 3 of 4 found, one wrong; b: 1 of 1 found, 2 wrong."""
    truth = truth_of(a=[(50, 50), (150, 50), (50, 150), (150, 150)], b=[(50, 50)])
    picks = picks_of(
        a=[(52, 50, 0.9), (150, 53, 0.8), (50, 146, 0.4), (300, 300, 0.7)],
        b=[(50, 50, 0.6), (200, 200, 0.5), (250, 250, 0.3)],
    )
    return picks, truth


def value(result, name):
    return result.figures[name].value


def test_figures_by_hand(two):
    result = evaluate(*two, **SCALE)
    assert value(result, "precision") == pytest.approx(4 / 7)
    assert value(result, "recall") == pytest.approx(4 / 5)
    assert value(result, "f1") == pytest.approx(2 * 4 / (7 + 5))
    # right picks stand at ranks 1, 2, 4 and 6
    assert value(result, "average_precision") == pytest.approx((1 + 1 + 3 / 4 + 4 / 6) / 5)
    assert value(result, "macro_precision") == pytest.approx((3 / 4 + 1 / 3) / 2)
    assert value(result, "macro_recall") == pytest.approx((3 / 4 + 1) / 2)
    assert value(result, "macro_f1") == pytest.approx((6 / 8 + 2 / 4) / 2)
    assert value(result, "best_f1") == pytest.approx(8 / 11)
    assert result.best_threshold == pytest.approx(0.4)


def test_threshold_moves_the_operating_point_alone(two):
    every, some = evaluate(*two, **SCALE), evaluate(*two, **SCALE, threshold=0.6)
    assert value(some, "precision") == pytest.approx(3 / 4)
    assert value(some, "recall") == pytest.approx(3 / 5)
    assert value(some, "average_precision") == value(every, "average_precision")
    assert some.found.tolist() == [True, True, False, False, True]


def test_localisation_and_constant_offset(two):
    spot = evaluate(*two, **SCALE).localisation
    assert (spot.mean_dx, spot.mean_dy) == pytest.approx((2 / 4, (3 - 4) / 4))
    assert spot.median == pytest.approx(2.5)
    rng = np.random.default_rng(0)
    xy = [(100 * i + 50, 100 * j + 50) for i in range(6) for j in range(6)]
    noisy = [(x + 4 + rng.normal(), y + rng.normal(), 0.5) for x, y in xy]
    shifted = evaluate(picks_of(a=noisy), truth_of(a=xy), **SCALE)
    assert shifted.localisation.shifted
    assert any("+4" in text or "+3.9" in text for text in shifted.warnings)
    assert not evaluate(
        picks_of(a=[(x - 4, y, s) for x, y, s in noisy]), truth_of(a=xy), **SCALE
    ).warnings


def test_wrong_picks_by_kind():
    truth = replace(
        truth_of(a=[(50, 50)], empty=[]),
        regions=regions_of(
            ("a", 300, 300, 40, "ice", False),
            ("a", 310, 300, 5, "gold", False),
            ("a", 200, 200, 250, "carbon", True),
            ("a", 0, 100, 8, "edge", False),
            ("empty", 10, 10, 5, "aggregate", False),
        ),
    )
    picks = picks_of(
        a=[
            (50, 50, 0.9),  # right
            (55, 50, 0.8),  # the same particle again
            (290, 300, 0.7),  # ice
            (311, 300, 0.6),  # a speck of gold on the ice
            (5, 450, 0.5),  # beyond the hole
            (3, 100, 0.4),  # on a particle that the border cuts
            (120, 120, 0.3),  # nothing
        ],
        empty=[(11, 10, 0.95), (100, 100, 0.2)],
    )
    result = evaluate(picks, truth, **SCALE)
    kinds = {"duplicate": 1, "ice": 1, "gold": 1, "carbon": 1, "aggregate": 1, "background": 2}
    assert result.false_positives == kinds
    assert result.ignored == 1
    assert value(result, "precision") == pytest.approx(1 / 8)  # the ignored pick counts neither way
    assert value(result, "macro_precision") == pytest.approx(1 / 6)  # of the one with a particle
    assert evaluate(picks, truth, **SCALE, threshold=0.85).false_positives["aggregate"] == 1


def test_micrographs_that_the_truth_does_not_name_are_left_out_and_said(two):
    picks, truth = two
    alone = evaluate(picks, truth.only(["a"]), **SCALE)
    assert value(alone, "precision") == pytest.approx(3 / 4)
    assert any("3 picks on 1 micrograph " in text for text in alone.warnings)


def test_labelled_micrograph_without_picks_counts_as_missed_and_is_said(two):
    picks, truth = two
    only_b = type(picks)(picks.table[picks.table["micrograph"] == "mics/b.mrc"])
    result = evaluate(only_b, truth, **SCALE)
    assert value(result, "recall") == pytest.approx(1 / 5)
    assert any("'a'" in text and "4 particles" in text for text in result.warnings)


def test_undefined_figures_say_why(two):
    picks, truth = two
    equal = type(picks)(picks.table.assign(score=1.0))
    result = evaluate(equal, truth, **SCALE)
    assert result.figures["average_precision"].value is None
    assert "scores are equal" in result.figures["average_precision"].reason
    assert value(result, "precision") == pytest.approx(4 / 7)
    assert result.reliability is None

    none = evaluate(picks_of(), truth, **SCALE)
    assert (value(none, "recall"), value(none, "f1"), value(none, "average_precision")) == (0, 0, 0)
    assert none.figures["precision"].value is None
    assert any("no picks" in text for text in none.warnings)

    empty = evaluate(picks_of(a=[(1, 1, 0.5), (9, 9, 0.7)]), truth_of(a=[]), **SCALE)
    assert value(empty, "precision") == 0
    assert empty.figures["recall"].value is None
    assert "no particles" in empty.figures["average_precision"].reason


def test_threshold_that_nothing_reaches_is_said(two):
    result = evaluate(*two, **SCALE, threshold=0.99)
    assert any("best score is 0.9" in text for text in result.warnings)


def test_repeated_coordinates_are_said_and_wrong(two):
    picks, truth = two
    doubled = type(picks).concat([picks, picks])
    result = evaluate(doubled, truth, **SCALE)
    assert value(result, "precision") == pytest.approx(4 / 14)
    assert any(text.startswith("7 picks repeat") for text in result.warnings)


def test_intervals_come_from_micrographs_and_a_seed():
    rng = np.random.default_rng(1)
    xy = [(100 * i + 50, 50) for i in range(10)]
    found = rng.binomial(10, 0.7, 30)
    truth = truth_of(**{f"m{i}": xy for i in range(30)})
    picks = picks_of(
        **{f"m{i}": [(x, y, x / 2000) for x, y in xy[:n]] for i, n in enumerate(found)}
    )
    first, again, other = (evaluate(picks, truth, **SCALE, seed=s) for s in (1, 1, 2))
    low, high = first.figures["recall"].interval
    spread = 1.96 * found.std() / 10 / np.sqrt(30)
    assert low < found.mean() / 10 < high
    assert (high - low) / 2 == pytest.approx(spread, rel=0.2)
    assert again.figures == first.figures
    assert other.figures["recall"].interval != first.figures["recall"].interval
    one = evaluate(picks, truth.only(["m0"]), **SCALE)
    assert one.figures["recall"].interval is None


def test_recall_by_overlap_and_defocus():
    xy = [(100 * i + 50, 50) for i in range(8)]
    truth = truth_of(a=xy)
    overlap, defocus = [0.0, 0.5] * 4, [1.0] * 4 + [2.0] * 4
    truth = replace(truth, particles=truth.particles.assign(overlap=overlap, defocus=defocus))
    picks = picks_of(a=[(x, y, 0.5) for x, y in xy[0::2]])
    result = evaluate(picks, truth, **SCALE)
    assert result.recall_by("overlap")[["particles", "recall"]].to_numpy().tolist() == [
        [4, 1],
        [4, 0],
    ]
    assert result.recall_by("defocus")["recall"].tolist() == [0.5, 0.5]
    assert evaluate(picks, truth_of(a=xy), **SCALE).recall_by("overlap") is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"diameter": 0.0}, "diameter"),
        ({"pixel_size": float("nan")}, "pixel size"),
        ({"tolerance": -1.0}, "tolerance"),
    ],
)
def test_lengths_that_make_no_sense_are_refused(two, change, words):
    with pytest.raises(InputError, match=words):
        evaluate(*two, **(SCALE | change))


def test_nothing_in_common_and_no_number_are_refused(two):
    _, truth = two
    with pytest.raises(InputError, match=r"'mics/other.mrc', the truth is of 'a' and 'b'"):
        evaluate(picks_of(other=[(1, 1, 1)]), truth, **SCALE)
    with pytest.raises(InputError, match="not a number"):
        evaluate(picks_of(a=[(float("nan"), 1, 1)]), truth, **SCALE)


points = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), max_size=15)
scored = st.lists(
    st.tuples(st.integers(0, 300), st.integers(0, 300), st.integers(0, 20)), max_size=25
)


@settings(max_examples=30)
@given(scored, scored, points, points, st.integers(0, 20))
def test_what_must_always_hold(picks_a, picks_b, truth_a, truth_b, threshold):
    def run(level, **how):
        scaled = {
            name: [(x, y, s / 20) for x, y, s in rows if s >= level]
            for name, rows in (("a", picks_a), ("b", picks_b))
        }
        return evaluate(picks_of(**scaled), truth_of(a=truth_a, b=truth_b), **SCALE, draws=2, **how)

    result = run(0, threshold=threshold / 20)
    for figure in result.figures.values():
        assert (figure.value is None) == bool(figure.reason)
        assert figure.value is None or 0 <= figure.value <= 1
    # a threshold is the same as leaving the other picks out
    cut = run(threshold)
    for name in ("precision", "recall", "f1", "macro_f1"):
        assert value(cut, name) == value(result, name)
    # every pick is right or wrong, every particle found or missed
    right = int(result.each["right"].sum())
    assert right + sum(result.false_positives.values()) == len(result.chosen)
    assert right == result.found.sum()
    if value(result, "best_f1") is not None:
        assert value(result, "best_f1") >= value(run(0), "f1") - 1e-12


def test_reliability_of_honest_and_of_boasting_scores():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=20_000)
    honest = reliability(p, rng.uniform(size=len(p)) < p)
    assert honest.error < 0.02
    assert honest.count.sum() == len(p)
    boasting = reliability(np.sqrt(p), rng.uniform(size=len(p)) < p)
    assert boasting.error == pytest.approx(2 / 3 - 1 / 2, abs=0.02)
    assert reliability([0.0, 1.0], [False, True]).error == 0


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.floats(-20, 120), st.floats(-20, 120)), max_size=8), st.floats(1.5, 40)
)
def test_discs_are_those_of_scikit_image(xy, diameter):
    expected = np.zeros((90, 100), dtype=bool)
    for x, y in xy:
        expected[disk((y, x), diameter / 2, shape=expected.shape)] = True
    drawn = disc_mask(np.array(xy).reshape(-1, 2), diameter, (90, 100))
    assert (drawn != expected).sum() <= 2  # pixels on the very rim, by rounding


def test_overlap_of_masks_by_geometry():
    at, aside = np.array([[100.0, 100.0]]), np.array([[125.0, 100.0]])
    lens = 2 * np.arccos(0.5) - 0.5 * np.sqrt(4 - 1)  # of two discs a radius apart, over r²
    overlap = mask_overlap(at, aside, 50, (200, 220))
    assert overlap.dice == pytest.approx(lens / np.pi, abs=0.01)
    assert overlap.precision == pytest.approx(overlap.recall, abs=0.01)
    assert mask_overlap(at, at, 500, None).dice == 1  # large discs, no known size
    assert np.isnan(mask_overlap(np.zeros((0, 2)), at, 50).precision)
