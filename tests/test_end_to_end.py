"""The shipped model on the bundled micrograph and on a real one, through the command line."""

import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import starfile
import yaml
from typer.testing import CliRunner

from cryomae.cli import app
from cryomae.evaluate.matching import match_picks


def cryomae(*words, cwd):
    """Run the command line as a user does."""
    command = [sys.executable, "-c", "from cryomae.cli import main; main()", *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def f1(picks_file, truth_xy, radius):
    table = starfile.read(picks_file)
    xy = table[["rlnCoordinateX", "rlnCoordinateY"]].to_numpy(float)
    hits = match_picks(xy, table["rlnAutopickFigureOfMerit"].to_numpy(), truth_xy, radius)
    return 2 * hits.sum() / (len(xy) + len(truth_xy))


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    data = Path(str(files("cryomae"))) / "data"
    facts = yaml.safe_load((data / "demo.yaml").read_text())
    out = tmp_path_factory.mktemp("demo")
    words = ["pick", "demo_micrograph.mrc", "--diameter", facts["diameter"], "--output", out]
    return data, facts, out, cryomae(*words, cwd=data)


def test_demo_leaves_a_picture_coordinates_and_a_summary(demo):
    _, _, out, done = demo
    assert done.returncode == 0, done.stdout + done.stderr
    assert (out / "previews/demo_micrograph.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert "demo_micrograph" in (out / "summary.html").read_text()
    assert (out / "autopick.star").is_file()
    assert yaml.safe_load((out / "config.yaml").read_text())["complete"]


def test_demo_finds_the_particles_and_leaves_carbon_and_ice_alone(demo):
    data, facts, out, _ = demo
    truth = starfile.read(data / "demo_truth.star")[["rlnCoordinateX", "rlnCoordinateY"]]
    radius = facts["diameter"] / facts["pixel_size"] / 2
    picks = out / "picks/demo_micrograph_cryomae.star"
    assert f1(picks, truth.to_numpy(), radius) > 0.8
    xy = starfile.read(picks)[["rlnCoordinateX", "rlnCoordinateY"]].to_numpy(float)
    assert not (np.hypot(xy[:, 0] - 250, xy[:, 1] - 800) < radius).any(), "picks on the ice"
    assert not (xy[:, 0] + 0.6 * xy[:, 1] > 1540).any(), "picks on the carbon"


@pytest.mark.data
def test_real_micrograph_is_picked(data_dir, tmp_path):
    """One β-galactosidase micrograph; two people agree on these to about F1 0.83."""
    folder = data_dir / "empiar10017"
    name = "Falcon_2012_06_12-15_30_21_0"
    words = ["pick", folder / f"micrographs/{name}.mrc", "--diameter", 191, "--no-preview"]
    done = CliRunner().invoke(app, [*map(str, words), "-o", str(tmp_path)])
    assert done.exit_code == 0, done.output
    table = starfile.read(folder / "particles.star")
    table = table if not isinstance(table, dict) else table["particles"]
    mine = table[table["rlnMicrographName"].str.contains(name)]
    truth = mine[["rlnCoordinateX", "rlnCoordinateY"]].to_numpy(float)
    assert len(truth) > 100
    assert f1(tmp_path / f"picks/{name}_cryomae.star", truth, 191 / 3.54 / 2) > 0.70
