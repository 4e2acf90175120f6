"""Pretraining through a real SLURM: two processes, stopped, queued again, gone on."""

import subprocess
import sys
import time
from pathlib import Path

import mrcfile
import numpy as np
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

ROOT = Path(__file__).resolve().parents[2]
TRAIN = ("--shards", "packed", "--device", "cpu", "--patch", "32", "--batch", "4")


@pytest.fixture
def go(slurm, tmp_path):
    """Run a command in a folder with shards."""
    environment = slurm | {
        "PATH": f"{Path(sys.executable).parent}:{slurm['PATH']}",
        "OMP_NUM_THREADS": "1",
    }

    def run(*words):
        command = list(map(str, words))
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    for number in range(2):
        rng = np.random.default_rng(number)
        with mrcfile.new(tmp_path / f"m{number}.mrc") as file:
            file.set_data(rng.standard_normal((320, 320), dtype=np.float32))
            file.voxel_size = 2.0
    run("cryomae", "pack", tmp_path, "--diameter", "64", "-o", "packed", "--processes", "1")
    return run


def wait_for(found, log):
    end = time.monotonic() + 240
    while not found():
        assert time.monotonic() < end, log.read_text() if log.exists() else "it has not begun"
        time.sleep(0.2)


def test_a_job_whose_time_is_over_is_queued_again_and_goes_on(go, tmp_path):
    log, made = tmp_path / "job.log", tmp_path / "job" / "encoder.json"
    size = ["--ntasks-per-node=2", "--gres=none", "--cpus-per-task=1"]
    sbatch = ["sbatch", "--parsable", *size, f"--output={log}"]
    steps = ["--steps", "24"]
    job = go(*sbatch, ROOT / "configs/pretrain.sbatch", *TRAIN, *steps, "-o", "job")
    wait_for(lambda: log.exists() and "step 1/24" in log.read_text(), log)
    go("scancel", "--signal=USR1", job)  # to the steps, as --signal does when time is nearly over
    wait_for(lambda: "Stopped after step" in log.read_text(), log)
    assert not made.exists()
    # A test does not wait the two minutes that SLURM leaves between the two starts.
    wait_for(lambda: "Reason=BeginTime" in go("scontrol", "show", "job", job), log)
    go("scontrol", "update", f"jobid={job}", "StartTime=now")
    wait_for(made.exists, log)
    assert "Restarts=1" in go("scontrol", "show", "job", job)
    assert log.read_text().count("Stopped after step") == 1  # by the first process only
    # What it has learnt is what it would have learnt in one go, in two processes of our own.
    go("cryomae", "pretrain", *TRAIN, *steps, "--devices", "2", "-o", "here")
    found, wanted = (tmp_path / name / "encoder.safetensors" for name in ("job", "here"))
    assert found.read_bytes() == wanted.read_bytes()
