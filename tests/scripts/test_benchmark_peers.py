"""Comparison with other pickers: sets, exemplars, the two baselines, and a small whole run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import benchmark_peers
import mrcfile
import numpy as np
import pytest
from _bench.exemplars import draw_exemplars
from _bench.measure import Measured
from _bench.outcome import outcome
from _bench.sets import find_sets
from _bench.verdict import judge_picker, lead, summary

from cryomae.errors import InputError
from cryomae.evaluate.figures import Pool, ranking
from cryomae.evaluate.judge import judge
from cryomae.formats.star import read_picks
from cryomae.picks import Picks

SCRIPTS = Path(benchmark_peers.__file__).parent
SIDE, DIAMETER, PIXEL_SIZE, COUNT = 512, 96.0, 3.0, 20  # a particle is 32 pixels wide


def measured():
    return Measured(["true"], wall=1.0, cpu=1.0, peak=1.0, started=0.0)


def star(path, block, columns, rows):
    head = "\n".join(f"_{c} #{i}" for i, c in enumerate(columns, 1))
    body = "\n".join(" ".join(str(v) for v in row) for row in rows)
    path.write_text(f"\ndata_{block}\n\nloop_\n{head}\n{body}\n")


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Two micrographs of dark discs in noise, one without any, as a simulated set."""
    folder = tmp_path_factory.mktemp("suite") / "discs"
    (folder / "micrographs").mkdir(parents=True)
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:SIDE, :SIDE]
    particles, names = [], []
    for name in ("a.1", "b", "empty"):
        image = rng.standard_normal((SIDE, SIDE)).astype(np.float32)
        places = [(64 + 96 * i, 64 + 80 * j) for i in range(5) for j in range(4)]
        for u, v in places if name != "empty" else []:
            image -= 1.5 * (np.hypot(x - u, y - v) < 14)
            particles.append((f"micrographs/{name}.mrc", u, v))
        with mrcfile.new(folder / "micrographs" / f"{name}.mrc") as mrc:
            mrc.set_data(image)
            mrc.voxel_size = PIXEL_SIZE
        names.append((f"micrographs/{name}.mrc",))
    where = ["rlnMicrographName", "rlnCoordinateX", "rlnCoordinateY"]
    star(folder / "micrographs.star", "micrographs", where[:1], names)
    star(folder / "particles.star", "particles", where, particles)
    columns = [*where, "cryomaeKind", "cryomaeRadius", "cryomaeOutside"]
    regions = [("micrographs/b.mrc", 500, 250, "edge", 20, 0)]
    star(folder / "contaminants.star", "contaminants", columns, regions)
    (folder / "simulation.yaml").write_text(f"diameter: {DIAMETER}\npixel_size: {PIXEL_SIZE}\n")
    return folder


def test_a_simulated_set_says_all_of_itself(simulated):
    (data,) = find_sets(str(simulated))
    assert list(data.files) == ["a.1", "b", "empty"]
    assert (data.diameter, data.pixel_size, data.radius) == (DIAMETER, PIXEL_SIZE, 16)
    assert data.truth.particles["micrograph"].value_counts().to_dict() == {"a.1": 20, "b": 20}
    assert data.shapes["empty"] == (SIDE, SIDE)


def test_a_suite_is_a_folder_of_sets(simulated):
    names = [data.name for data in find_sets(f"{simulated.parent}:120:2")]
    assert simulated.name in names
    (data,) = find_sets(f"{simulated}:120:2", limit=2)
    assert (data.diameter, data.pixel_size, list(data.files)) == (120, 2, ["a.1", "b"])


def test_sets_that_cannot_be_used_say_why(simulated, tmp_path):
    with pytest.raises(InputError, match=r"particles\.star"):
        find_sets(str(tmp_path))
    with pytest.raises(InputError, match="at least two"):
        find_sets(str(simulated), limit=1)


def test_exemplars_are_whole_particles_of_one_micrograph(simulated):
    (data,) = find_sets(str(simulated))
    drawn = draw_exemplars(data, seed=3, count=15)
    again = draw_exemplars(data, seed=3, count=15)
    assert drawn.micrograph in ("a.1", "b")
    assert drawn.expected == COUNT
    assert np.array_equal(drawn.picks.xy, again.picks.xy)
    assert len(np.unique(drawn.picks.xy, axis=0)) == 15
    assert len(draw_exemplars(data, seed=3, count=50).picks) == COUNT


def run_baseline(module, data, folder, *words):
    files = [str(p) for p in data.files.values()]
    command = [sys.executable, "-m", f"_bench.{module}", *files, "--output", str(folder)]
    command += ["--diameter", str(DIAMETER), "--pixel-size", str(PIXEL_SIZE), *words]
    subprocess.run(command, check=True, env=dict(os.environ) | {"PYTHONPATH": str(SCRIPTS)})


@pytest.mark.parametrize("prepared", [[], ["--prepared"]])
@pytest.mark.parametrize("module", ["blob", "template"])
def test_baselines_find_planted_discs(simulated, tmp_path, module, prepared):
    (data,) = find_sets(str(simulated))
    words = ["--sigma", "0.3"]
    if module == "template":
        shown = draw_exemplars(data, seed=0, count=15)
        rows = [(x, y) for x, y in shown.picks.xy.tolist()]
        star(tmp_path / "shown.star", "", ["rlnCoordinateX", "rlnCoordinateY"], rows)
        words = ["--exemplars", str(tmp_path / "shown.star"), "--box", "1.25"]
        words += ["--exemplar-micrograph", str(data.files[shown.micrograph])]
    run_baseline(module, data, tmp_path, *words, *prepared)
    variant = "0.3" if module == "blob" else "1.25"
    picks = read_picks(tmp_path / f"{variant}.star")
    best = Pool.of(judge(picks, data.truth, radius=5))
    assert ranking(best)["best_f1"] > 0.95


def test_the_exemplars_micrograph_does_not_count(simulated):
    """Right everywhere but there: F1 is 1; and picks at the border are not wrong."""
    (data,) = find_sets(str(simulated))
    shown = {0: draw_exemplars(data, seed=0, count=15)}
    other = "b" if shown[0].micrograph == "a.1" else "a.1"
    true = data.truth.particles.query("micrograph == @other")[["x", "y"]].to_numpy(float)
    xy = np.vstack([true, [[2, 300]]])
    picks = Picks.from_arrays(other, xy, np.linspace(1, 0.5, len(xy)), DIAMETER)
    made = {0: outcome(picks, picks, 2, [measured()])}
    kept = [judge_picker(made, data, shown, border=border, draws=50, seed=0) for border in (0, 10)]
    assert summary(kept[:1])["f1"]["value"] == pytest.approx(40 / 41)
    assert summary(kept[1:])["f1"]["value"] == 1
    assert summary(kept)["f1"]["value"] == pytest.approx((1 + 40 / 41) / 2)
    ahead, (low, high) = lead(kept[1:], kept[:1])
    assert ahead == pytest.approx(1 / 41)
    assert low <= ahead <= high


def test_no_picks_are_figures_too(simulated):
    (data,) = find_sets(str(simulated))
    shown = {0: draw_exemplars(data, seed=0, count=15)}
    none = Picks.from_arrays("", np.zeros((0, 2)), np.zeros(0), DIAMETER)
    made = {0: outcome(none, none, 2, [measured()])}
    figures = summary([judge_picker(made, data, shown, border=0, draws=20, seed=0)])
    assert figures["f1"]["value"] == 0
    assert figures["average_precision"]["value"] == 0
    assert np.isnan(figures["precision"]["value"])


def test_a_small_run_goes_on_where_it_stopped(simulated, tmp_path, capsys):
    """The cheap pickers find the discs; one that fails is a note; nothing is done twice."""
    broken = tmp_path / "env" / "bin" / "aspire"
    broken.parent.mkdir(parents=True)
    broken.write_text("#!/bin/sh\necho out of luck\nexit 3\n")
    broken.chmod(0o755)
    words = [str(simulated), "--output", str(tmp_path / "out"), "--seeds", "0", "--draws", "20"]
    words += ["--pickers", "blob", "apple", "--aspire-env", str(tmp_path / "env")]
    benchmark_peers.main(words)
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    (figures,) = results["groups"].values()
    assert list(figures) == ["blob"]
    assert figures["blob"]["figures"]["f1"]["value"] > 0.9
    assert figures["blob"]["peak_mb"] < 400
    assert any("APPLE: failed: out of luck" in note for note in results["notes"])
    assert (tmp_path / "out" / "results.png").stat().st_size > 1000
    assert "| LoG blob |" in (tmp_path / "out" / "results.md").read_text()
    kept = next((tmp_path / "out" / "kept").rglob("blob/*/result.json"))
    before = kept.stat().st_mtime_ns
    benchmark_peers.main(words)
    assert kept.stat().st_mtime_ns == before
    assert len(read_picks(kept.with_name("picks.star"))) > 15
