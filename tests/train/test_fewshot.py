"""Few-shot training on the bundled micrograph, from the command line to a model that picks."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

import cryomae
from cryomae.cli import app
from cryomae.evaluate.coordinates import join
from cryomae.formats import write_picks
from cryomae.formats.collect import read_all
from cryomae.picks import Picks

DATA = Path(cryomae.__file__).parent / "data"
DEMO = yaml.safe_load((DATA / "demo.yaml").read_text())


@pytest.fixture
def clicked(tmp_path):
    """Eight particles of the demo micrograph."""
    table = join(read_all(DATA / "demo_truth.star"), {"demo_micrograph"})
    xy = table[["x", "y"]].to_numpy(dtype=float)
    room = np.minimum(xy, 1e9).min(axis=1)
    path = tmp_path / "good.star"
    write_picks(path, Picks.from_arrays("demo_micrograph.mrc", xy[room > 100][:8], np.ones(8), 1.0))
    return path


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def train(clicked, output, *more):
    return run("train", DATA / "demo_micrograph.mrc", "-e", clicked, "--diameter",
               DEMO["diameter"], "-o", output, *more)  # fmt: skip


def f1(model, folder):
    """Of the picks of the demo micrograph."""
    picked = run("pick", DATA / "demo_micrograph.mrc", "--diameter", DEMO["diameter"],
                 "--model", model, "-o", folder / "picks")  # fmt: skip
    assert picked.exit_code == 0, picked.output
    judged = run("evaluate", folder / "picks", DATA / "demo_truth.star", "--diameter",
                 DEMO["diameter"], "-o", folder / "judged")  # fmt: skip
    assert judged.exit_code == 0, judged.output
    return json.loads((folder / "judged" / "evaluation.json").read_text())["operating_point"]["f1"]


@pytest.mark.slow
def test_a_model_is_made_from_exemplars_and_picks_as_well_as_before(clicked, tmp_path):
    made = train(clicked, tmp_path / "mine")
    assert made.exit_code == 0, made.output
    assert (tmp_path / "mine" / "exemplars.png").stat().st_size > 5000
    before = f1("default", tmp_path / "before")
    assert f1(tmp_path / "mine" / "model.safetensors", tmp_path / "after") > before - 0.03
    again = train(clicked, tmp_path / "mine")
    assert again.exit_code == 2
    assert "there is a model already" in again.output


def test_dry_run_checks_and_writes_nothing(clicked, tmp_path):
    result = train(clicked, tmp_path / "mine", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "8 exemplars in 1 micrograph" in result.output
    assert not (tmp_path / "mine").exists()


def test_a_model_with_a_wrong_hash_is_refused(clicked, tmp_path):
    weights = Path(cryomae.__file__).parent / "model" / "weights" / "default.safetensors"
    shutil.copy(weights.with_suffix(".json"), tmp_path / "bad.json")
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    (tmp_path / "bad.safetensors").write_bytes(bytes(data))
    result = train(clicked, tmp_path / "mine", "--model", tmp_path / "bad.safetensors")
    assert result.exit_code == 1
    assert "sha256 differs" in result.output
    assert not (tmp_path / "mine").exists()
