"""A SLURM: that of the machine if there is one, else `scripts/slurm_single_node.sh`'s in CI."""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import gettempdir

import pytest
from filelock import FileLock

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/slurm_single_node.sh"


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """Environment in which SLURM's commands work."""
    if shutil.which("sbatch"):
        yield dict(os.environ)
        return
    if os.environ.get("CI") != "true":
        pytest.skip(f"no SLURM: {SCRIPT} start /tmp/slurm; source /tmp/slurm/env")
    folder = tmp_path_factory.mktemp("slurm")
    # It has fixed ports: of several processes that test, one at a time has a SLURM.
    lock = FileLock(Path(gettempdir()) / "cryomae_test_slurm.lock")
    lock.acquire()
    try:
        subprocess.run([SCRIPT, "start", folder], check=True)
        shown = subprocess.run(
            ["bash", "-c", f"source {folder}/env; env -0"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        yield dict(line.split("=", 1) for line in shown.split("\0") if "=" in line)
    finally:
        subprocess.run([SCRIPT, "stop", folder], check=True)
        lock.release()
