"""The benchmark: protocol, metrics, tests, files, and what happens when a strategy fails."""

import json
import os
import re
import signal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from typer.testing import CliRunner

from cryomae.cli import app
from cryomae.cli.bench_al import _names
from cryomae.sampler import SamplerError, create_strategy
from cryomae.sampler.benchmark import Dataset, DatasetError, Protocol, aubc, load_dataset
from cryomae.sampler.benchmark.datasets import find_datasets
from cryomae.sampler.benchmark.grid import Job, parse_strategy, plan
from cryomae.sampler.benchmark.metrics import macro_f1
from cryomae.sampler.benchmark.protocol import TimeLimitError, run_experiment
from cryomae.sampler.benchmark.runner import DIED, _share, run_grid
from cryomae.sampler.benchmark.splits import survey_split
from cryomae.sampler.benchmark.statistics import compare_pairs, holm, paired_p, tally
from cryomae.sampler.benchmark.store import Store
from cryomae.sampler.benchmark.summary import markdown, overall, summarise
from cryomae.sampler.benchmark.tasks import TASKS, MarginSVC, perturbation
from cryomae.sampler.pool import Need
from cryomae.sampler.refit import bagging, full_probabilities
from cryomae.sampler.selection import Picked
from cryomae.sampler.strategy import Strategy


def blobs(classes=2, each=30, seed=0, name="blobs"):
    rng = np.random.default_rng(seed)
    centres = 4 * rng.normal(size=(classes, 3))
    x = np.concatenate([c + rng.normal(size=(each, 3)) for c in centres])
    return Dataset(name, x, np.repeat(np.arange(classes), each))


@pytest.fixture
def blobs_file(tmp_path):
    data = blobs()
    np.savez(tmp_path / "blobs.npz", x=data.x, y=data.y)
    return tmp_path / "blobs.npz"


# Area under the budget curve


@given(
    st.floats(0, 1),
    st.lists(st.integers(1, 1000), min_size=1, max_size=30, unique=True).map(sorted),
)
def test_aubc_of_a_constant_is_the_constant(constant, labelled):
    assert aubc(labelled, [constant] * len(labelled)) == pytest.approx(constant, abs=1e-12)


def test_aubc_weights_rounds_by_the_labels_they_bought():
    assert aubc([0, 10, 40], [0, 1, 1]) == pytest.approx((0.5 * 10 + 30) / 40)


@pytest.mark.parametrize(
    ("labelled", "values"), [([], []), ([1, 2], [1]), ([2, 1], [0, 0]), ([1, 1], [0, 0])]
)
def test_aubc_refuses_what_is_no_curve(labelled, values):
    with pytest.raises(ValueError, match="curve"):
        aubc(labelled, values)


@given(st.integers(1, 5), st.integers(1, 30), st.integers(0, 99))
def test_macro_f1_is_scikit_learns(classes, rows, seed):
    truth, said = np.random.default_rng(seed).integers(0, classes, (2, rows))
    theirs = f1_score(truth, said, average="macro", zero_division=0.0)
    assert macro_f1(truth, said) == pytest.approx(theirs)


# Data sets


def test_svmlight_labels_become_classes_from_0(tmp_path):
    (tmp_path / "a.svm").write_text("+1 1:0.5 3:2\n-1 2:1\n+1 1:1\n")
    data = load_dataset(str(tmp_path / "a.svm"))
    assert (data.name, data.classes, data.y.tolist()) == ("a", 2, [1, 0, 1])
    np.testing.assert_array_equal(data.x, [[0.5, 0, 2], [0, 1, 0], [1, 0, 0]])


def test_image_set_keeps_its_test_rows(tmp_path):
    images = np.arange(10 * 4, dtype=np.uint8).reshape(10, 2, 2)
    parts = {"train": images[:5], "val": images[5:7], "test": images[7:]}
    arrays = {f"{k}_images": v for k, v in parts.items()}
    arrays |= {f"{k}_labels": np.arange(len(v))[:, None] % 2 for k, v in parts.items()}
    np.savez(tmp_path / "images.npz", **arrays)
    data = load_dataset(str(tmp_path / "images.npz"))
    assert data.x.shape == (10, 4)
    assert data.image == (1, 2, 2)
    assert data.test is not None
    assert data.test.tolist() == [7, 8, 9]
    split = survey_split(data, 0, initial=4)
    assert set(split.test) == {7, 8, 9}
    assert set(split.train) == set(range(7))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.svm", b"this is not svmlight", "cannot be read"),
        ("a.npz", b"not a zip", "cannot be read"),
        ("a.txt", b"", "not a data set"),
        ("a.svm", b"1 1:1\n1 1:2\n", "fewer than two classes"),
    ],
)
def test_bad_files_are_named(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=says):
        load_dataset(str(tmp_path / name))


@pytest.mark.parametrize("source", ["absent.svm", "absent.npz", "sklearn:moon"])
def test_absent_sets_are_named(source):
    with pytest.raises(DatasetError, match=source.split(":")[-1]):
        load_dataset(source)


def test_bad_arrays_are_named(tmp_path):
    for arrays, says in (
        ({"x": np.full((4, 2), np.nan), "y": [0, 1, 0, 1]}, "NaN"),
        ({"x": np.zeros((4, 2)), "y": [0, 1]}, "4 rows but 2 labels"),
        ({"z": np.zeros(3)}, "needs x and y"),
    ):
        np.savez(tmp_path / "a.npz", **arrays)
        with pytest.raises(DatasetError, match=says):
            load_dataset(str(tmp_path / "a.npz"))


def test_folders_hold_sets(tmp_path, blobs_file):
    assert find_datasets([str(tmp_path), "sklearn:iris"]) == [str(blobs_file), "sklearn:iris"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="holds no"):
        find_datasets([str(tmp_path / "empty")])


# Splits


@given(st.integers(0, 1000))
def test_split_shares_out_all_rows_and_shows_every_class_twice(seed):
    data = blobs(classes=12, each=20)
    split = survey_split(data, seed)
    assert sorted([*split.train, *split.test]) == list(range(240))
    assert len(split.test) == 96
    assert len(split.initial) == 24  # two of each of twelve classes are more than 20
    assert np.bincount(data.y[split.train[split.initial]], minlength=12).min() >= 2


def test_split_says_which_class_is_too_rare():
    data = Dataset("rare", np.zeros((40, 1)), np.array([0] * 39 + [1]))
    with pytest.raises(DatasetError, match="class 1 has"):
        survey_split(data, 0)


# Task models


def test_all_is_what_the_task_model_can_serve():
    for task, perturbed in (("svm", False), ("logistic", True)):
        names = _names(["all"], task)
        assert {"random", "badge", "bald", "qbc"} <= set(names)
        assert ("noise_stability" in names) == perturbed
        assert "pareto_ood" not in names  # nothing gives an id_score
    assert _names(["random,qbc:members=3,disagreement=kl", "random"], "svm") == [
        "random",
        "qbc:members=3,disagreement=kl",
        "random",
    ]


def test_svm_probabilities_rank_by_the_margin():
    data = blobs()
    model = MarginSVC(gamma="auto").fit(data.x, data.y)
    distance = np.abs(model.decision_function(data.x))
    unsure = 1 - np.abs(model.predict_proba(data.x)[:, 1] - 0.5)
    np.testing.assert_array_equal(np.argsort(distance), np.argsort(-unsure))
    np.testing.assert_array_equal(model.predict_proba(data.x).argmax(1), model.predict(data.x))


@pytest.mark.parametrize("task", ["svm", "logistic"])
def test_task_models_give_every_class_a_column(task):
    data = blobs(classes=4)
    seen = data.y != 2
    model = TASKS[task](data).fit(data.x[seen], data.y[seen])
    proba = full_probabilities(model, data.x, 4)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert not proba[:, 2].any()
    rng = np.random.default_rng(0)
    passes = bagging(model, (data.x[seen], data.y[seen]), data.x, 4, 3, rng)
    assert passes.shape == (3, 120, 4)
    assert np.ptp(passes, axis=0).max() > 0


def test_noise_on_a_linear_model_is_relative_and_seeded():
    data = blobs()
    model = TASKS["logistic"](data).fit(data.x, data.y)
    perturb = perturbation(model, data.x, 2)
    assert perturb is not None
    plain = full_probabilities(model, data.x, 2)
    np.testing.assert_allclose(perturb(0, 0.0), plain)
    np.testing.assert_array_equal(perturb(3, 0.1), perturb(3, 0.1))
    small, large = (np.abs(perturb(3, s) - plain).max() for s in (1e-4, 1e-3))
    assert large / small == pytest.approx(10, rel=0.05)
    assert perturbation(TASKS["svm"](data).fit(data.x, data.y), data.x, 2) is None


def test_network_learns_images_and_gives_what_strategies_read(tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    images = rng.normal(size=(60, 8, 8, 2))
    images[y == 1, 2:6, 2:6, 0] += 2
    np.savez(tmp_path / "squares.npz", x=images, y=y)
    data = load_dataset(str(tmp_path / "squares.npz"))
    assert data.image == (2, 8, 8)
    np.testing.assert_array_equal(data.x[0].reshape(2, 8, 8), np.moveaxis(images[0], -1, 0))
    protocol = Protocol(task="network", batch=4, budget=0.5)
    for name in ("noise_stability", "bald", "badge"):
        curve = run_experiment(data, create_strategy(name), protocol, 0)
        assert curve.accuracy[-1] > 0.8


# One run


def test_run_buys_the_budget_and_nothing_twice():
    data = blobs(each=60)
    curve = run_experiment(data, create_strategy("uncertainty"), Protocol(batch=7), 3)
    assert curve.labelled == (20, 27, 34, 41, 46)  # 72 train, 20 known, half of 52 bought
    assert curve.aubc == pytest.approx(aubc(curve.labelled, curve.accuracy))
    again = run_experiment(data, create_strategy("uncertainty"), Protocol(batch=7), 3)
    assert again.accuracy == curve.accuracy


def test_whole_pool_ends_alike_and_default_is_fifty_rounds():
    data = blobs(classes=3, each=100)
    ends = [
        run_experiment(data, create_strategy(name), Protocol(budget=1.0), 0)
        for name in ("entropy", "least_confidence")
    ]
    assert ends[0].accuracy[-1] == ends[1].accuracy[-1]
    assert ends[0].labelled[-1] == 180
    assert len(ends[0].labelled) <= 51


def test_time_limit_ends_a_run():
    with pytest.raises(TimeLimitError, match="took longer than 0 s, with 20 of"):
        run_experiment(blobs(), create_strategy("uncertainty"), Protocol(), 0, time_limit=0)


class Stingy(Strategy):
    def pick(self, pool, k, rng, mask):
        return Picked.of([], [], "")


def test_a_strategy_that_gives_too_little_is_an_error():
    with pytest.raises(SamplerError, match="asked for and 0 given"):
        run_experiment(blobs(), Stingy(), Protocol(), 0)


def test_a_strategy_that_lacks_something_says_so():
    class Positions(Stingy):
        needs = Need.XY

    with pytest.raises(SamplerError, match="needs xy"):
        run_experiment(blobs(), Positions(), Protocol(), 0)


@pytest.mark.parametrize(
    "wrong", [{"task": "oracle"}, {"batch": 0}, {"budget": 0.0}, {"budget": 1.5}, {"initial": 0}]
)
def test_protocol_checks_its_settings(wrong):
    with pytest.raises(SamplerError):
        Protocol(**wrong)


# Grid


def test_strategies_take_parameters():
    assert parse_strategy("uncertainty:kind=entropy") == create_strategy("entropy")
    for text, says in (("nobody", "no strategy"), ("uncertainty:kind", "write parameters")):
        with pytest.raises(SamplerError, match=says):
            parse_strategy(text)


def test_plan_is_seed_by_seed_and_names_are_unique(blobs_file, tmp_path):
    jobs = plan([str(blobs_file), "sklearn:iris"], ["entropy", "margin", "entropy"], range(2))
    assert len(jobs) == 2 * 2 * 2
    assert [job.seed for job in jobs] == [0] * 4 + [1] * 4
    (tmp_path / "more").mkdir()
    twin = tmp_path / "more" / "blobs.npz"
    twin.write_bytes(blobs_file.read_bytes())
    with pytest.raises(DatasetError, match="both named blobs"):
        plan([str(blobs_file), str(twin)], ["entropy"], [0])


# Running and resuming


def test_failure_is_recorded_and_tried_again(blobs_file, tmp_path, monkeypatch):
    store = Store(tmp_path / "out", Protocol())
    store.open()
    jobs = plan([str(blobs_file)], ["entropy", "margin"], range(2))
    kind = type(create_strategy("margin"))
    right = kind.score

    def wrong(self, pool, rng):
        if self.kind == "margin":
            raise ZeroDivisionError("a fault of the program")
        return right(self, pool, rng)

    told = []
    monkeypatch.setattr(kind, "score", wrong)
    run_grid(jobs, store, on_done=lambda job, error: told.append((job.strategy, error)))
    assert [name for name, error in told if error] == ["margin", "margin"]
    summary = summarise(store.table(jobs)).set_index("strategy")
    assert summary["done"].to_dict() == {"entropy": 2, "margin": 0}
    assert "ZeroDivisionError: a fault" in summary.loc["margin", "error"]
    assert "margin failed in 2 of 2 runs" in markdown(summary.reset_index())
    told.clear()
    monkeypatch.setattr(kind, "score", right)
    run_grid(jobs, store, on_done=lambda job, error: told.append((job.strategy, error)))
    assert told == [("margin", ""), ("margin", "")]  # entropy was done
    assert not summarise(store.table(jobs))["failed"].any()


def test_processes_give_what_one_does(blobs_file, tmp_path):
    jobs = plan([str(blobs_file)], ["entropy"], range(3))
    tables = []
    for workers in (1, 2):
        store = Store(tmp_path / str(workers), Protocol())
        run_grid(jobs, store, workers=workers)
        tables.append(store.table(jobs).drop(columns=["seconds", "select_seconds"]))
    pd.testing.assert_frame_equal(*tables)


def die_on_seed_1(job):
    if job.seed == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return ""


@pytest.mark.slow
def test_a_process_that_dies_stops_nothing_else(tmp_path):
    store = Store(tmp_path, Protocol())
    jobs = [Job("x", "x", "s", seed) for seed in range(4)]
    told = {}
    _share(jobs, die_on_seed_1, store, 2, lambda job, error: told.update({job.seed: error}))
    assert told == {0: "", 1: DIED, 2: "", 3: ""}
    assert store.table(jobs)["error"].tolist() == [DIED]


def test_another_protocol_needs_another_folder(tmp_path):
    Store(tmp_path, Protocol(batch=1)).open()
    Store(tmp_path, Protocol(batch=1))
    with pytest.raises(SamplerError, match="batch 1 and not 5"):
        Store(tmp_path, Protocol(batch=5))


def test_a_torn_result_is_done_again(blobs_file, tmp_path):
    store = Store(tmp_path / "out", Protocol())
    jobs = plan([str(blobs_file)], ["entropy"], [0])
    run_grid(jobs, store)
    file = tmp_path / "out" / "runs" / jobs[0].file
    file.write_text(file.read_text()[:20])
    assert not store.done(jobs[0])


# Tests of significance


def test_holm_by_hand():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    assert holm([]).size == 0


def test_equal_curves_tie():
    assert paired_p([0.0, 0.0, 0.0]) == 1.0
    assert paired_p([]) == 1.0


def test_pairs_find_the_better_strategy_and_only_it():
    rng = np.random.default_rng(0)
    level = rng.normal(0.8, 0.05, 20)  # splits differ far more than strategies do
    better = level + 0.01 + rng.normal(0, 0.004, 20)
    other = level + rng.normal(0, 0.004, 20)
    frames = [
        pd.DataFrame({"dataset": "d", "strategy": name, "seed": range(20), "aubc": values})
        for name, values in (("base", level), ("other", other), ("better", better))
    ]
    pairs = compare_pairs(pd.concat(frames)).set_index(["a", "b"])
    assert pairs.loc[("base", "better"), "verdict"] == "loss"
    assert pairs.loc[("base", "other"), "verdict"] == "tie"
    assert pairs.loc[("other", "better"), "difference"] == pytest.approx(-0.01, abs=0.003)
    counts = tally(pairs.reset_index())
    assert counts.loc["better"].tolist() == [2, 0, 0]
    assert counts.loc["base"].tolist() == [0, 1, 1]


def test_overall_ranks_by_mean_rank():
    runs = pd.DataFrame(
        [
            (d, s, seed, value, "")
            for d, s, value in (("d", "a", 0.9), ("d", "b", 0.8), ("e", "a", 0.9), ("e", "b", 0.5))
            for seed in range(2)
        ],
        columns=["dataset", "strategy", "seed", "aubc", "error"],
    ).assign(labels=9, accuracy=1, macro_f1=1, seconds=1, select_seconds=1)
    table = overall(summarise(runs)).set_index("strategy")
    assert table["rank"].to_dict() == {"a": 1.0, "b": 2.0}


# The command


def command(*words):
    return CliRunner().invoke(app, ["bench-al", *map(str, words)])


def test_page_in_a_browser(blobs_file, tmp_path, browser):
    words = (blobs_file, "-s", "entropy,random", "--seeds", 1, "--jobs", 1, "-o", tmp_path / "out")
    assert command(*words).exit_code == 0
    assert browser.troubles(tmp_path / "out/report.html") == []


def test_command_writes_tables_curves_and_a_page(blobs_file, tmp_path):
    out = tmp_path / "out"
    words = (blobs_file, "-s", "entropy,uncertainty:kind=margin", "--seeds", 2, "-o", out)
    plan_only = command(*words, "--dry-run")
    assert plan_only.exit_code == 0, plan_only.output
    assert "4 runs to do" in plan_only.output
    assert not out.exists()
    done = command(*words, "--jobs", 1)
    assert done.exit_code == 0, done.output
    page = (out / "report.html").read_text()
    assert "uncertainty:kind=margin" in page
    assert "<svg" in page
    assert not re.search(r"(src|href)=.http", page)  # needs no other file
    assert (out / "curves" / "blobs.png").stat().st_size > 1000
    assert (out / "table.md").read_text().startswith("## blobs")
    assert len(pd.read_csv(out / "runs.csv")) == 4
    assert json.loads((out / "protocol.json").read_text())["budget"] == 0.5
    again = command(*words, "--dry-run")
    assert "0 runs to do, 4 done already" in again.output
    other = command(*words, "--batch", 3)
    assert other.exit_code == 2
    assert "another output folder" in other.output


def test_command_tells_of_a_failure_and_finishes_the_rest(blobs_file, tmp_path, monkeypatch):
    kind = type(create_strategy("margin"))
    right = kind.score

    def wrong(self, pool, rng):
        if self.kind == "margin":
            raise ZeroDivisionError("a fault of the program")
        return right(self, pool, rng)

    monkeypatch.setattr(kind, "score", wrong)
    words = ("-s", "entropy,margin", "--seeds", 1, "-o", tmp_path / "out", "--jobs", 1)
    done = command(blobs_file, *words)
    assert done.exit_code == 1
    assert "ZeroDivisionError" in done.output
    page = (tmp_path / "out" / "report.html").read_text()
    assert "margin failed in 1 of 1 runs: " in page
    assert (tmp_path / "out" / "runs" / "blobs" / "entropy" / "0.json").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["absent.svm"], "no such file"),
        (["sklearn:iris", "-s", "nobody"], "no strategy 'nobody'"),
        (["sklearn:iris", "--task", "oracle"], "task must be one of"),
    ],
)
def test_command_refuses_what_makes_no_sense(tmp_path, words, says):
    done = command(*words, "-o", tmp_path / "out")
    assert done.exit_code == 2
    assert says in done.output
    assert not (tmp_path / "out").exists()
