"""Picking through a real SLURM: as a job array, and with Dask's workers as jobs."""

import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from cryomae.batch.status import read_status

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def run(slurm, tmp_path_factory):
    """Run a command in a folder with micrographs."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "mics").mkdir()
    whole = mrcfile.read(str(files("cryomae") / "data/demo_micrograph.mrc")).astype(np.float32)
    for number in range(12):
        y, x = divmod(number, 4)
        with mrcfile.new(folder / f"mics/m{number:02d}.mrc") as file:
            file.set_data(whole[256 * y : 256 * y + 256, 256 * x : 256 * x + 256])
            file.voxel_size = 3.0
    environment = slurm | {
        "PATH": f"{Path(sys.executable).parent}:{slurm['PATH']}",
        "OMP_NUM_THREADS": "1",
        "DASK_JOBQUEUE__SLURM__JOB_DIRECTIVES_SKIP": "['--mem']",
        "DASK_JOBQUEUE__SLURM__INTERFACE": "lo",
    }

    def go(*words, wait=True):
        command = list(map(str, words))
        if not wait:
            return subprocess.Popen(
                command, cwd=folder, env=environment, text=True, stderr=subprocess.PIPE
            )
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    go.folder = folder
    return go


WHAT = ("mics", "--diameter", "168.9", "--no-preview", "--output")


def picks(run, output):
    folder = run.folder / output
    found = {p.name: p.read_bytes() for p in folder.glob("*s/*.star") if "coords" not in p.name}
    return found | {"all": (folder / "all_picks.star").read_bytes()}


@pytest.fixture(scope="module")
def wanted(run):
    run("cryomae", "pick", *WHAT, "here")
    found = picks(run, "here")
    assert len(found["all"].splitlines()) > 50
    return found


def test_a_job_array(run, wanted):
    array = ["sbatch", "--parsable", "--array=1-3", "--cpus-per-task=1", "--mem=0"]
    job = run(*array, ROOT / "configs/pick_array.sbatch", *WHAT, "array").strip()
    then = f"cryomae pick {' '.join(WHAT)} array"
    last = ["sbatch", "--wait", "--cpus-per-task=1", "--mem=0", f"--dependency=afterany:{job}"]
    run(*last, "--wrap", then)
    assert picks(run, "array") == wanted
    found = read_status(run.folder / "array")
    assert (found.picked, found.complete, found.attempts) == (12, True, 12)


def test_workers_of_dask_one_of_which_is_cancelled(run, wanted):
    words = ["--dask", "slurm", "--processes", "2"]
    process = run("cryomae", "pick", *WHAT, "dask", *words, wait=False)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("[2/12]"):
            break
    workers = ("squeue", "--me", "--name=dask-worker", "--noheader", "--format=%A")
    run("scancel", run(*workers).split()[0])
    told = process.stderr.read()
    assert process.wait() == 0, told
    assert picks(run, "dask") == wanted
    deadline = time.monotonic() + 60
    while run(*workers) and time.monotonic() < deadline:
        time.sleep(1)
    assert run(*workers) == "", "jobs are left behind"
