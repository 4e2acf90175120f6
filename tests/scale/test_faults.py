"""Everything that goes wrong in a night: damaged files, dying workers, full disks."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from scale_helpers import go, make_files, picks_of

from cryomae.batch.ledger import read_ledger
from cryomae.batch.status import read_status
from cryomae.errors import InputError

pytestmark = pytest.mark.slow

COUNT, SECONDS = 300, 0.1
BAD = dict.fromkeys(range(5, 300, 30), "corrupt") | dict.fromkeys((40, 141, 242), "kill")
DRIVERS_KILLED = 5
EVERY = 15  # micrographs between two kills of a worker


@pytest.fixture
def small_disk(tmp_path):
    """A disk of its own, which can be filled; without the right to mount one, a folder."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    yield disk, mounted
    if mounted:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def start(mics, out, *words):
    driver = Path(__file__).parent / "driver.py"
    command = [sys.executable, str(driver), str(mics), str(out), *words]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def done(out) -> int:
    try:
        found = read_status(out)
    except InputError:  # it has not begun yet
        return 0
    return found.picked + len(found.failed)


def workers_of(driver):
    try:
        children = psutil.Process(driver.pid).children(recursive=True)
        return [c for c in children if "spawn_main" in " ".join(c.cmdline())]
    except psutil.Error:
        return []


class Tormentor:
    """Kills a worker whenever some more micrographs are done."""

    def __init__(self):
        self.random, self.killed, self.next = random.Random(0), 0, EVERY

    def look(self, driver, count):
        workers = workers_of(driver)
        if count >= self.next and workers:
            self.random.choice(workers).send_signal(signal.SIGKILL)
            self.killed += 1
            self.next = count + EVERY


@contextmanager
def full(disk):
    """No room left on the disk."""
    ballast = disk / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            pass
    yield
    ballast.unlink()


def test_a_night_of_faults(tmp_path, small_disk):
    disk, mounted = small_disk
    refs = make_files(tmp_path / "mics", COUNT, BAD, SECONDS)
    out = disk / "out"
    tormentor = Tormentor()

    for _ in range(DRIVERS_KILLED):
        driver, before = start(tmp_path / "mics", out), done(out)
        while driver.poll() is None and (count := done(out)) < before + 30:
            tormentor.look(driver, count)
            time.sleep(0.2)
        assert driver.poll() is None, driver.communicate()[1]
        driver.kill()
        driver.wait()

    if mounted:
        with full(disk):
            driver = start(tmp_path / "mics", out)
            told = driver.communicate(timeout=120)[1]
            assert driver.returncode == 1
            assert "No space left on device" in told
            assert "free some disk space" in told

    driver = start(tmp_path / "mics", out)
    while driver.poll() is None:
        tormentor.look(driver, done(out))
        time.sleep(0.2)
    assert driver.returncode == 1
    assert tormentor.killed >= 10
    # A file whose worker was twice killed from outside may have been left alone without guilt.
    assert start(tmp_path / "mics", out, "--retry").wait() == 1

    found = read_status(out)
    assert found.picked == COUNT - len(BAD)
    named = dict(found.failed)
    assert set(named) == {refs[number].name for number in BAD}
    for number, how in BAD.items():
        cause = named[refs[number].name].cause
        assert ("is corrupt" if how == "corrupt" else "process that picked it ended") in cause
    clean = make_files(tmp_path / "mics", COUNT, dict.fromkeys(BAD, "corrupt"))
    go(clean, tmp_path / "clean")
    assert picks_of(out) == picks_of(tmp_path / "clean")
    attempts = Counter(h.attempts for h in read_ledger(out / "ledger").histories.values())
    print(f"{tormentor.killed} workers and {DRIVERS_KILLED} drivers killed; attempts {attempts}")
    shutil.rmtree(out)


def test_killed_drivers_leave_no_process_behind(tmp_path):
    make_files(tmp_path / "mics", 50, {}, SECONDS)
    driver = start(tmp_path / "mics", tmp_path / "out")
    while done(tmp_path / "out") < 5:
        time.sleep(0.3)
    workers = workers_of(driver)
    assert len(workers) == 2
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []
    # What they were at was finished, and nobody is blamed.
    histories = read_ledger(tmp_path / "out/ledger").histories.values()
    assert {h.event for h in histories} == {"picked"}
