"""Training from shards: in two processes, killed, and stopped by a queue."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from cryomae.errors import InputError
from cryomae.io import find_micrographs
from cryomae.model.encoders import load_encoder
from cryomae.scale import Serial
from cryomae.shards.pack import PackSettings, pack_micrographs
from cryomae.train.loop import CHECKPOINT
from cryomae.train.machine import Precision
from cryomae.train.pretrain import Machine, pretrain
from cryomae.train.settings import PretrainSettings

ONE, TWO = (Machine("cpu", n, Precision.float32) for n in (1, 2))
STEPS = 12

SCRIPT = """
import sys
from pathlib import Path
from test_pretrain_shards import TWO, work
if __name__ == "__main__":
    work(Path(sys.argv[1]), Path(sys.argv[2]), TWO)
"""


@pytest.fixture
def shards(tmp_path, micrographs):
    refs, _ = find_micrographs([micrographs / "m0.mrc", micrographs / "m1.mrc"])
    settings = PackSettings.of(refs, 64, None, 128)
    return pack_micrographs(refs, tmp_path / "packed", settings, backend=Serial()).folder


def work(shards: Path, out: Path, machine: Machine):
    torch.set_num_threads(1)
    settings = PretrainSettings(shards=[str(shards)], patch=32, batch=4, seed=2, steps=STEPS)
    return pretrain(settings, [], out, machine=machine, every=4)


def start(words, **more):
    here = {"PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *map(str, words)]
    return subprocess.Popen(command, env=os.environ | here, text=True, **more)


def wait_for(found, process):
    end = time.monotonic() + 600
    while not found() and time.monotonic() < end and process.poll() is None:
        time.sleep(0.02)
    assert process.poll() is None


@pytest.mark.slow
def test_two_processes_one_of_which_is_killed_learn_as_one(tmp_path, shards):
    """The whole group is killed, as when a node fails."""
    (tmp_path / "two.py").write_text(SCRIPT)
    cut = tmp_path / "cut"
    process = start([tmp_path / "two.py", shards, cut], start_new_session=True)
    wait_for((cut / CHECKPOINT).exists, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (cut / "encoder.json").exists()
    resumed, whole = work(shards, cut, TWO), work(shards, tmp_path / "whole", TWO)
    assert resumed.encoder.read_bytes() == whole.encoder.read_bytes()
    one = work(shards, tmp_path / "one", ONE)
    assert one.loss == pytest.approx(whole.loss, rel=1e-4)
    found = load_encoder(whole.encoder).state_dict()
    for key, value in load_encoder(one.encoder).state_dict().items():
        if value.ndim > 1:  # attention does not depend on some biases: those are rounding noise
            assert float((found[key] - value).abs().mean()) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGUSR1, 75), (signal.SIGTERM, 143)])
def test_a_queue_stops_it_in_order(tmp_path, shards, sent, code):
    run = ["-c", "from cryomae.cli import main; main()", "pretrain", "--shards", shards]
    words = ["--patch", 32, "--batch", 4, "--steps", 400, "--device", "cpu", "-o", tmp_path / "cut"]
    process = start([*run, *words], stderr=subprocess.PIPE)
    assert process.stderr.readline().startswith("step 1/400")
    process.send_signal(sent)
    told = process.communicate()[1]
    assert process.returncode == code, told
    assert "a checkpoint is written" in told
    assert (tmp_path / "cut" / CHECKPOINT).exists()
    assert not (tmp_path / "cut" / "encoder.json").exists()


def test_several_nodes_need_srun_and_shards(tmp_path, shards, monkeypatch):
    settings = PretrainSettings(shards=[str(shards)], patch=32, batch=4, steps=1)
    for name in ("TASKS", "NODES"):
        monkeypatch.delenv(f"SLURM_STEP_NUM_{name}", raising=False)
    monkeypatch.setenv("SLURM_NTASKS", "4")  # as in a batch script that forgot srun
    with pytest.raises(InputError, match=r"start 4 processes on 2 nodes; it started no.*srun"):
        pretrain(settings, [], tmp_path / "out", machine=Machine("cpu", 2, nodes=2))
    assert not (tmp_path / "out").exists()
