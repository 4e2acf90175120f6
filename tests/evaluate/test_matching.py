import ast
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from cryomae.evaluate import match_picks, precision_recall


def test_best_score_comes_first():
    hits = match_picks([[10, 10], [12, 10]], [0.4, 0.9], [[10.5, 10]], 5)
    assert hits.tolist() == [False, True]


def test_a_pick_takes_the_nearest_free_particle():
    truth = [[0, 0], [4, 0], [50, 0]]
    hits = match_picks([[3, 0], [3.5, 0], [3.2, 0], [48, 0]], [4, 3, 2, 1], truth, 5)
    # the first takes (4, 0), the second is left with (0, 0), the third with nothing
    assert hits.tolist() == [True, True, False, True]


def test_radius_is_inclusive_and_euclidean():
    assert match_picks([[3, 4]], [1], [[0, 0]], 5).all()
    assert not match_picks([[3.001, 4]], [1], [[0, 0]], 5).any()
    assert not match_picks([[4, 4]], [1], [[0, 0]], 5).any()


def test_order_of_picks_does_not_matter():
    rng = np.random.default_rng(5)
    picks, truth = rng.uniform(0, 20, (5, 2)), rng.uniform(0, 20, (4, 2))
    scores = rng.uniform(size=5)
    expected = match_picks(picks, scores, truth, 6)
    for order in permutations(range(5)):
        p = list(order)
        assert (match_picks(picks[p], scores[p], truth, 6) == expected[p]).all()


def test_equal_scores_are_taken_in_the_order_given():
    assert match_picks([[1, 0], [0, 0]], [0.5, 0.5], [[0, 0]], 2).tolist() == [True, False]


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 3), (3, 0)])
def test_nothing_to_match(n, m):
    hits = match_picks(np.zeros((n, 2)), np.zeros(n), np.zeros((m, 2)), 5)
    assert hits.shape == (n,)
    assert not hits.any()


def test_never_more_hits_than_particles():
    rng = np.random.default_rng(0)
    picks, truth = rng.uniform(0, 100, (300, 2)), rng.uniform(0, 100, (20, 2))
    assert match_picks(picks, rng.uniform(size=300), truth, 40).sum() == 20


def test_precision_recall_by_hand():
    curve = precision_recall([0.2, 0.9, 0.5], [True, True, False], truth_count=4)
    assert curve.scores.tolist() == [0.9, 0.5, 0.2]
    assert curve.precision == pytest.approx([1, 1 / 2, 2 / 3])
    assert curve.recall == pytest.approx([1 / 4, 1 / 4, 2 / 4])
    assert curve.f1 == pytest.approx([0.4, 1 / 3, 4 / 7])
    assert curve.best == 2
    assert curve.best_f1 == pytest.approx(4 / 7)
    assert curve.average_precision == pytest.approx((1 + 2 / 3) / 4)


def test_precision_recall_without_picks():
    curve = precision_recall([], [], truth_count=4)
    assert curve.best_f1 == 0
    assert curve.average_precision == 0


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="1 picks with 2 scores"):
        match_picks([[0, 0]], [1, 2], [[0, 0]], 1)
    with pytest.raises(ValueError, match="2 picks with 1 scores"):
        precision_recall([1], [True, False], 3)
    with pytest.raises(ValueError, match="at least one true particle"):
        precision_recall([1], [True], 0)


@pytest.mark.data
def test_agrees_with_the_independent_scorer(data_dir: Path, tmp_path: Path):
    scorer = data_dir.parent / "tools" / "score.py"
    if not scorer.is_file():
        pytest.skip(f"no independent scorer: {scorer} is absent")
    rng = np.random.default_rng(17)
    radius = 13.0
    truth, picks = {}, {}
    for name, size in (("a.b", 120), ("c", 60), ("none_picked", 7)):
        truth[name] = rng.integers(0, 400, (size, 2)).astype(float)  # crowded, exact ties
        near = truth[name][rng.integers(0, size, size)] + rng.integers(-9, 10, (size, 2))
        stray = rng.uniform(0, 400, (size, 2)).round(2)
        xy = np.concatenate([near, stray])
        picks[name] = np.column_stack([xy, rng.uniform(size=len(xy)).round(2)])  # equal scores
    picks.pop("none_picked")

    def write(path: Path, tables: dict[str, np.ndarray]) -> Path:
        head = "image_name\tx_coord\ty_coord\tscore\n"
        rows = ["\t".join([k, *(repr(float(v)) for v in r)]) for k, t in tables.items() for r in t]
        path.write_text(head + "\n".join(rows) + "\n")
        return path

    files = [write(tmp_path / "picks.txt", picks), write(tmp_path / "truth.txt", truth)]
    ran = subprocess.run(
        [sys.executable, scorer, *files, "--radius", str(radius)],
        capture_output=True,
        text=True,
        check=True,
    )
    hits, scores = [], []
    for name, table in picks.items():
        # the scorer joins micrographs after sorting each
        table = table[np.argsort(-table[:, 2], kind="stable")]
        hits.append(match_picks(table[:, :2], table[:, 2], truth[name], radius))
        scores.append(table[:, 2])
    count = sum(map(len, truth.values()))
    curve = precision_recall(np.concatenate(scores), np.concatenate(hits), count)
    b = curve.best
    ours = {
        "ap": curve.average_precision,
        "best_f1": curve.best_f1,
        "best_p": curve.precision[b],
        "best_r": curve.recall[b],
        "best_t": curve.scores[b],
        "precision": curve.precision[-1],
        "recall": curve.recall[-1],
        "f1": curve.f1[-1],
        "picks": len(curve.scores),
        "truth": count,
    }
    assert {k: round(float(v), 4) for k, v in ours.items()} == ast.literal_eval(ran.stdout)
    assert 0.1 < curve.average_precision < 0.9  # the input exercises something
