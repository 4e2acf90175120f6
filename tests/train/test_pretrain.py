"""``cryomae pretrain`` as a user meets it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from typer.testing import CliRunner

from cryomae.cli import app
from cryomae.errors import WeightsError
from cryomae.io import find_micrographs
from cryomae.model.encoders import load_encoder
from cryomae.train.loop import CHECKPOINT
from cryomae.train.machine import Precision
from cryomae.train.pool import write_fields
from cryomae.train.pretrain import Machine, pretrain
from cryomae.train.settings import PretrainSettings

TINY = ["--patch", 32, "--steps", 3, "--batch", 2, "--device", "cpu", "--precision", "float32"]
CPU = Machine("cpu", precision=Precision.float32)


def call(*words):
    return CliRunner().invoke(app, ["pretrain", *map(str, words)])


def test_micrographs_make_an_encoder(tmp_path, micrographs):
    out = tmp_path / "out"
    good = [micrographs / "m0.mrc", micrographs / "m1.mrc"]
    words = [*good, "--diameter", 64, "-o", out, *TINY]
    plan = call(*words, "--dry-run")
    assert plan.exit_code == 0
    assert "lowpass" in plan.output
    assert not out.exists()

    first = call(*words)
    assert first.exit_code == 0, first.output
    assert "windows/s" in first.output
    for name in ("reconstruction.png", "loss.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    assert not list(out.glob(".*"))
    assert yaml.safe_load((out / "pretrain.yaml").read_text())["settings"]["steps"] == 3
    assert load_encoder(out / "encoder.safetensors").config.patch == 32
    weights = (out / "encoder.safetensors").read_bytes()

    assert "finished" in call(*words).output
    other = call(*words, "--mask", 0.5)
    assert other.exit_code == 2
    assert "mask was 0.75, now 0.5" in other.output
    anew = call(*words, "--overwrite")
    assert anew.exit_code == 0
    assert (out / "encoder.safetensors").read_bytes() == weights


def test_a_bad_micrograph_is_told_and_left_out(tmp_path, micrographs):
    words = [micrographs, "--diameter", 64, "-o", tmp_path / "out", *TINY]
    for _ in range(2):  # also of a run that is finished
        done = call(*words)
        assert done.exit_code == 1
        assert "torn.mrc" in done.output
        assert (tmp_path / "out" / "encoder.safetensors").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "nothing to learn from"),
        (["FOLDER"], "--diameter"),
        (["FOLDER", "--diameter", 64, "--target", "clean"], "target clean"),
        (["FOLDER", "--diameter", 64, "--target", "sharp"], "--target"),
        (["FOLDER", "--diameter", 64, "--patch", 7], "--patch"),
        (["FOLDER", "--diameter", 64, "--patch", 16, "--encoder", "default"], "patches of 8"),
        (["FOLDER", "--diameter", 64, "--encoder", "nowhere"], "nowhere"),
        (["FOLDER", "--diameter", 64, "--batch", 3, "--devices", 2, "--device", "cpu"], "batch"),
        (["nothing.mrc", "--diameter", 64], "nothing.mrc"),
        (["FOLDER", "--diameter", 400], "none of the 3"),
    ],
)
def test_what_makes_no_sense_is_said(tmp_path, micrographs, words, told):
    words = [micrographs if word == "FOLDER" else word for word in words]
    done = call(*words, "-o", tmp_path / "out")
    assert done.exit_code in (1, 2)
    assert told in " ".join(done.output.split())
    assert not (tmp_path / "out" / "encoder.safetensors").exists()


def test_after_a_wrong_diameter_the_right_one_is_taken(tmp_path, micrographs):
    words = [micrographs / "m0.mrc", "-o", tmp_path / "out", *TINY]
    assert call(*words, "--diameter", 400).exit_code == 2
    assert call(*words, "--diameter", 64).exit_code == 0


def test_simulated_and_real_fields_together(tmp_path, micrographs, field):
    out = tmp_path / "out"
    write_fields(out / "pool" / "simulated" / "fields_000000.npz", [field(1)])
    done = call(micrographs / "m0.mrc", "--diameter", 64, "--simulate", 1, "-o", out, *TINY)
    assert done.exit_code == 0, done.output


def test_clean_is_the_target_of_simulated_fields(tmp_path, field):
    out = tmp_path / "out"
    write_fields(out / "pool" / "simulated" / "fields_000000.npz", [field(1)])
    assert "target clean" in call("--simulate", 1, "-o", out, *TINY, "--dry-run").output
    assert call("--simulate", 1, "-o", out, *TINY).exit_code == 0


SETTINGS = {"diameter": 64, "patch": 32, "batch": 4, "seed": 2}

SCRIPT = """
import sys
from pathlib import Path
from test_pretrain import work
work(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
"""


def work(micrographs: Path, out: Path, steps: int, machine: Machine = CPU):
    torch.set_num_threads(1)
    file = str(micrographs / "m0.mrc")
    settings = PretrainSettings(inputs=[file], steps=steps, **SETTINGS)
    return pretrain(settings, find_micrographs([file])[0], out, machine=machine, every=20)


@pytest.mark.slow
def test_a_killed_run_goes_on(tmp_path, micrographs):
    argv = [sys.executable, "-c", SCRIPT, micrographs, tmp_path / "cut", "60"]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(list(map(str, argv)), env=env)
    end = time.monotonic() + 300
    while not (tmp_path / "cut" / CHECKPOINT).exists() and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (tmp_path / "cut" / CHECKPOINT).exists()
    assert not (tmp_path / "cut" / "encoder.json").exists()
    work(micrographs, tmp_path / "cut", 60)
    work(micrographs, tmp_path / "whole", 60)
    one, other = (tmp_path / name / "encoder.safetensors" for name in ("cut", "whole"))
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.slow
def test_two_processes_do_what_one_does(tmp_path, micrographs):
    two = Machine("cpu", 2, Precision.float32)
    one, other = work(micrographs, tmp_path / "one", 5), work(micrographs, tmp_path / "two", 5, two)
    assert one.steps == other.steps == 5
    assert one.loss == pytest.approx(other.loss, rel=1e-4)
    found = load_encoder(other.encoder).state_dict()
    for key, value in load_encoder(one.encoder).state_dict().items():
        if value.ndim > 1:  # attention does not depend on some biases: those are rounding noise
            assert float((found[key] - value).abs().mean()) < 1e-4
    # An error in the processes arrives as it is.
    shutil.copytree(tmp_path / "two", tmp_path / "torn")
    (tmp_path / "torn" / "encoder.json").unlink()
    (tmp_path / "torn" / CHECKPOINT).write_bytes(b"torn")
    with pytest.raises(WeightsError, match="not a checkpoint"):
        work(micrographs, tmp_path / "torn", 5, two)
