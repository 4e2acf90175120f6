"""``cryomae evaluate`` as a user meets it."""

import ast
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import starfile
import yaml
from evaluate_helpers import NAME, SCORE, X, Y, write_set, write_star
from typer.testing import CliRunner

from cryomae.batch import Engine, run_pick
from cryomae.cli import app
from cryomae.io import find_micrographs, read_micrograph
from cryomae.picks import Picks
from cryomae.settings import PickSettings


def evaluate(*words):
    words = ["evaluate", "--draws", "20", *map(str, words)]
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, words)


def figures(folder):
    return json.loads((folder / "evaluation.json").read_text())


@pytest.fixture
def simulated(tmp_path):
    """A set, and a STAR file with most of its particles and one pick on the ice."""
    truth = write_set(tmp_path / "set")
    rng = np.random.default_rng(3)
    rows = [
        (name, x + 0.5, y, score)
        for name, xy in truth.items()
        for (x, y), score in zip(xy, rng.uniform(0.2, 0.9, len(xy)), strict=True)
    ][:40]
    rows += [("micrographs/s_2.mrc", 60, 60, 0.95), ("micrographs/s_2.mrc", 398, 150, 0.9)]
    return tmp_path / "set", write_star(tmp_path / "picks.star", rows)


def test_writes_everything_and_says_it_at_a_glance(simulated, tmp_path):
    truth, picks = simulated
    done = evaluate(picks, truth, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "40 of 41 picks are right, 40 of 50 particles are found in 3 micrographs" in done.output
    assert "1 ice" in done.output
    assert "1 on cut particles, not counted" in done.output
    assert "within 20 Å = 10 px" in done.output
    got = figures(tmp_path / "out")
    assert got["operating_point"]["precision"] == pytest.approx(40 / 41)
    assert got["operating_point"]["recall"] == pytest.approx(40 / 50)
    assert got["localisation"]["mean_dx_px"] == pytest.approx(0.5, abs=0.01)
    assert got["localisation"]["mean_dx_A"] == pytest.approx(1, abs=0.02)
    assert got["false_positives"]["ice"] == 1
    assert got["settings"]["diameter_from"] == "simulation.yaml"
    assert {row["particles"] for row in got["recall_by_defocus"]} == {25}
    masks = got["pixel_masks"]  # one micrograph is complete, of the other 15 of 25 are found
    assert masks["dice_mean"] == pytest.approx((1 + 2 * 15 / 40) / 2, abs=0.04)
    assert masks["maxima_over_micrographs"]["dice_maximum"] == pytest.approx(1, abs=0.05)

    curve = pd.read_csv(tmp_path / "out/precision_recall.csv")
    assert len(curve) == 41
    assert curve["recall"].iloc[-1] == pytest.approx(0.8)
    each = pd.read_csv(tmp_path / "out/micrographs.csv")
    assert each["micrograph"].tolist() == ["s_1", "s_0", "s_2"]  # worst first, then the empty one
    assert each["missed"].tolist() == [10, 0, 0]
    assert each["wrong"].tolist() == [0, 0, 1]


class Page(HTMLParser):
    """Collects what a page refers to and which elements it has."""

    def __init__(self, text):
        super().__init__()
        self.links, self.tags = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [v for k, v in attrs if k in ("src", "href", "xlink:href") and v]


def test_page_stands_alone_with_charts_and_pictures(simulated, tmp_path):
    truth, picks = simulated
    evaluate(picks, truth, "-o", tmp_path / "out")
    text = (tmp_path / "out/evaluation.html").read_text()
    page = Page(text)
    assert all(link.startswith(("#", "data:image/")) for link in page.links)
    for title in ("Precision and recall", "What wrong picks lie on", "Recall and overlap"):
        assert title in text
    assert text.count('class="tile"') == 1 + 10  # the pick on ice and the missed particles
    assert "ice, score 0.95" in text


def test_page_in_a_browser(browser, simulated, tmp_path):
    truth, picks = simulated
    evaluate(picks, truth, "-o", tmp_path / "out")
    assert browser.troubles(tmp_path / "out/evaluation.html") == []
    assert browser.js("return document.querySelectorAll('svg image').length") == 11


def test_names_cannot_inject_markup(tmp_path):
    rows = [("<script>alert(1)<x>.mrc", 10 * i, 20, 0.1 * i) for i in range(5)]
    path = write_star(tmp_path / "p.star", rows)
    done = evaluate(path, path, "--diameter", 40, "--pixel-size", 2, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "<script" not in (tmp_path / "out/evaluation.html").read_text()


def test_same_input_same_bytes(simulated, tmp_path):
    truth, picks = simulated
    for name in ("one", "two"):
        evaluate(picks, truth, "-o", tmp_path / name)
    for name in ("evaluation.json", "precision_recall.csv", "micrographs.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_mirrored_picks_are_said_and_not_corrected(simulated, tmp_path):
    truth, picks = simulated
    table = starfile.read(picks)
    write_star(tmp_path / "flip.star", table.assign(**{Y: 299 - table[Y]}).to_numpy())
    done = evaluate(tmp_path / "flip.star", truth, "-o", tmp_path / "out")
    assert done.exit_code == 0
    assert "mirrored top to bottom" in done.output
    got = figures(tmp_path / "out")
    assert got["suspected_mistake"]["mirror_y"]
    assert got["operating_point"]["recall"] < 0.5
    assert "mirrored top to bottom" in (tmp_path / "out/evaluation.html").read_text()


def test_no_picks_is_a_loud_result_and_not_a_failure(simulated, tmp_path):
    truth, picks = simulated
    write_star(tmp_path / "none.star", starfile.read(picks)[:0].to_numpy())
    done = evaluate(tmp_path / "none.star", truth, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "warning: There are no picks" in done.output
    point = figures(tmp_path / "out")["operating_point"]
    assert (point["recall"], point["precision"]) == (0, None)
    assert "no picks" in point["precision_undefined_because"]


def test_picks_without_scores_have_no_average_precision(simulated, tmp_path):
    truth, picks = simulated
    write_star(tmp_path / "bare.star", starfile.read(picks)[[NAME, X, Y]].to_numpy(), (NAME, X, Y))
    done = evaluate(tmp_path / "bare.star", truth, "-o", tmp_path / "out")
    assert "No average precision" in done.output
    over = figures(tmp_path / "out")["over_thresholds"]
    assert over["average_precision"] is None
    assert "equal" in over["average_precision_undefined_because"]
    assert figures(tmp_path / "out")["operating_point"]["recall"] == pytest.approx(0.8)


def test_what_is_wrong_ends_with_a_line_and_a_code(simulated, tmp_path):
    truth, picks = simulated
    strange = write_star(tmp_path / "s.star", [("foo.mrc", 1, 2, 0.5), ("bar.mrc", 1, 2, 0.5)])
    done = evaluate(strange, truth, "-o", tmp_path / "out")
    assert done.exit_code == 2
    assert re.search(r"'foo' and 'bar', the truth is of 's_0' and 's_1' \(of 3\)", done.output)
    assert evaluate(picks, truth, "--diameter", "-3").exit_code == 2
    (tmp_path / "file").write_text("")
    done = evaluate(picks, truth, "-o", tmp_path / "file")
    assert done.exit_code == 1
    assert "--output" in done.output
    assert not (tmp_path / "out").exists()


@pytest.fixture
def run(simulated, tmp_path):
    """A run of cryomae pick on two of the set's micrographs and on one that cannot be read."""
    folder, picks = simulated
    table = starfile.read(picks)
    (folder / "micrographs/s_1.mrc").write_bytes(b"damaged")

    def pick(micrograph, detector, settings):
        own = table[table[NAME] == micrograph.name]
        found = Picks.from_arrays(micrograph.name, own[[X, Y]], own[SCORE], 40)
        image = np.zeros((64, 64), dtype=np.float32)
        return SimpleNamespace(
            candidates=found, image=image, valid=image == 0, spacing=(2.0, 2.0), seconds={}
        )

    def start(micrographs, **settings):
        refs, _ = find_micrographs([folder / "micrographs.star"])
        run_pick(
            [ref for ref in refs if Path(ref.name).stem in micrographs],
            [],
            tmp_path / "run",
            PickSettings(diameter=40, **settings),
            detector=SimpleNamespace(name="fake", sha256="ab" * 32, device="cpu", shown=False),
            engine=Engine(
                read_micrograph, pick, lambda _: SimpleNamespace(value=0.5, explanation="So.")
            ),
            preview=False,
        )
        return tmp_path / "run"

    return folder, table, start


def test_run_is_judged_at_its_threshold_with_all_candidates(run, tmp_path):
    folder, table, start = run
    done = evaluate(start(["s_0", "s_2"]), folder, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "1 of 3 labelled micrographs were not part of the run" in done.output
    got = figures(tmp_path / "out")
    own = table[table[NAME] == "micrographs/s_0.mrc"]
    assert got["settings"]["threshold"] == 0.5
    assert got["counts"]["candidates"] == len(own) + 2
    assert got["counts"]["right"] == (own[SCORE] >= 0.5).sum()
    assert got["operating_point"]["recall"] == pytest.approx((own[SCORE] >= 0.5).mean())
    # at no threshold is a particle missed
    assert pd.read_csv(tmp_path / "out/precision_recall.csv")["recall"].iloc[-1] == 1

    evaluate(tmp_path / "run", folder, "--threshold", 0.3, "-o", tmp_path / "low")
    assert figures(tmp_path / "low")["counts"]["right"] == (own[SCORE] >= 0.3).sum()


def test_micrographs_that_failed_in_a_run_count_as_missed(run, tmp_path):
    folder, _, start = run
    done = evaluate(start(["s_0", "s_1"], max_picks=5), folder, "-o", tmp_path / "out")
    assert "1 micrographs failed in the run" in done.output
    assert "at most 5 picks" in done.output
    got = figures(tmp_path / "out")
    assert got["counts"]["particles"] == 50
    assert got["counts"]["candidates"] == 5


def test_unfinished_run_is_refused(run):
    folder, _, start = run
    path = start(["s_0"])
    config = yaml.safe_load((path / "config.yaml").read_text())
    del config["threshold"]
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    done = evaluate(path, folder)
    assert done.exit_code == 2
    assert "has not come to its end" in done.output


def test_bundled_truth_against_itself_moved(tmp_path):
    """Every second particle, moved within and beyond the tolerance: counts known beforehand."""
    data = Path(str(files("cryomae"))) / "data"
    facts = yaml.safe_load((data / "demo.yaml").read_text())
    radius = facts["diameter"] / facts["pixel_size"] / 2
    table = starfile.read(data / "demo_truth.star")
    near, far = table[::2].copy(), table[:1].copy()
    near[X] += 0.1 * radius
    far[X], far[Y] = -50.0, -50.0
    rows = pd.concat([near, far])[[NAME, X, Y]].assign(score=np.linspace(1, 0, len(near) + 1))
    picks = write_star(tmp_path / "p.star", rows.to_numpy())
    lengths = ("--diameter", facts["diameter"], "--pixel-size", facts["pixel_size"])
    done = evaluate(picks, data / "demo_truth.star", *lengths, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    got = figures(tmp_path / "out")
    assert got["counts"]["right"] == len(near)
    assert got["over_thresholds"]["average_precision"] == pytest.approx(len(near) / len(table))
    assert got["localisation"]["median_distance_px"] == pytest.approx(0.1 * radius, abs=1e-3)


@pytest.mark.data
def test_agrees_with_the_independent_scorer_on_real_labels(data_dir: Path, tmp_path: Path):
    scorer = data_dir.parent / "tools" / "score.py"
    if not scorer.is_file():
        pytest.skip(f"no independent scorer: {scorer} is absent")
    truth = data_dir / "empiar10017/particles.star"
    table = starfile.read(truth)
    table = table["particles"] if isinstance(table, dict) else table
    rng = np.random.default_rng(0)
    moved = table.sample(frac=1.5, replace=True, random_state=1)  # many picks of one particle
    noise = rng.normal(0, 15, (len(moved), 2))
    moved = moved.assign(**{X: moved[X] + noise[:, 0], Y: moved[Y] + noise[:, 1]})
    moved[SCORE] = rng.uniform(size=len(moved)).round(2)  # many equal scores
    moved = pd.concat([moved, moved[:50].assign(**{NAME: "unlabelled.mrc"})])
    picks = write_star(tmp_path / "p.star", moved[[NAME, X, Y, SCORE]].to_numpy())
    words = ("--diameter", 191, "--pixel-size", 3.54, "-o", tmp_path / "out")
    done = evaluate(picks, truth, *words)
    assert "50 picks on 1 micrograph that the truth does not name are left out" in done.output
    got = figures(tmp_path / "out")
    ran = subprocess.run(
        [sys.executable, scorer, picks, truth, "--radius", repr(191 / 3.54 / 2)],
        capture_output=True,
        text=True,
        check=True,
    )
    theirs = ast.literal_eval(ran.stdout)
    mine = got["operating_point"] | got["over_thresholds"] | got["counts"]
    names = {
        "precision": "precision",
        "recall": "recall",
        "f1": "f1",
        "ap": "average_precision",
        "best_f1": "best_f1",
        "best_t": "best_f1_threshold",
        "picks": "picks",
        "truth": "particles",
    }
    assert {k: round(mine[v], 4) for k, v in names.items()} == {k: theirs[k] for k in names}
    assert 0.3 < theirs["ap"] < 0.9  # the input exercises something
