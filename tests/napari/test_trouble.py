"""What goes wrong is said, loses nothing, and leaves no process behind."""

import os
import signal
import subprocess
import sys
from queue import SimpleQueue

import mrcfile
import numpy as np
import psutil
import pytest
from qtpy.QtCore import Qt

from cryomae.active.journal import Answer
from cryomae.active.session import Session
from cryomae.active.sitting import Sitting
from cryomae.active.training import Fitted
from cryomae.napari.process import Worker
from cryomae.napari.worker import Finished, Told, Train


@pytest.fixture
def answered(open_window, made):
    """A window on a session with six answers that nothing was learnt from yet."""
    window = open_window()
    window.open(made)
    window.desk.auto_train = False
    for id_ in range(6):
        window.desk.do(Answer("confirm" if id_ % 2 == 0 else "reject", id_))
    window.until(lambda: len(window.desk.standing.answers) == 6)
    window.settle()
    return window


def learning(window) -> int:
    """Begin to learn; the process that does it."""
    window.press(window.panel("Confirm").learn)
    window.until(lambda: window.desk.active and window.workers())
    (pid,) = window.workers()
    return pid


def test_a_folder_without_micrographs(open_window, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("nothing")
    window = open_window()
    window.pick.open(str(tmp_path / "empty"))
    window.until(lambda: window.said(str(tmp_path / "empty")))
    assert window.pick.found.text() == "none"
    assert not window.pick.run.isEnabled()
    assert window.desk.standing is None


@pytest.mark.slow
def test_a_corrupt_file_among_good_ones(open_window, tmp_path) -> None:
    folder = tmp_path / "mics"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        with mrcfile.new(folder / f"{name}.mrc") as file:
            file.set_data(rng.normal(size=(512, 512)).astype(np.float32))
            file.voxel_size = 2.0
    whole = (folder / "b.mrc").read_bytes()
    (folder / "b.mrc").write_bytes(whole[: len(whole) // 2])
    window = open_window()
    window.pick.open(str(folder))
    window.until(lambda: window.stage.pixel_size is not None)
    window.pick.diameter.setValue(150)
    window.press(window.pick.run)
    window.until(
        lambda: (
            window.desk.standing is not None
            and all(m.state != "waiting" for m in window.desk.standing.micrographs)
        ),
        180,
    )
    window.settle()
    states = [m.state for m in window.desk.standing.micrographs]
    assert states == ["ready", "failed", "ready"]
    assert window.said("b.mrc is left out")
    assert "1 cannot be used" in window.pick.state.text()
    table = window.panel("Curate").table
    window.until(lambda: table.rowCount() == 3)
    assert table.item(1, 2).text() == "failed"
    assert "b.mrc" in table.item(1, 1).toolTip()
    assert table.item(1, 0).checkState() == Qt.CheckState.Unchecked
    # Its place in the list can be looked at all the same, and says why it is empty.
    window.stage.show(1)
    window.until(lambda: window.stage.broken)
    window.stage.show(2)
    window.until(lambda: window.stage.showing)


def test_a_session_that_is_open_elsewhere(open_window, made) -> None:
    script = (
        "import sys; from cryomae.active.session import Session\n"
        "with Session.open(sys.argv[1]): print('open', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(made)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    assert other.stdout.readline() == b"open\n"
    window = open_window()
    window.pick.open(str(made))
    window.until(lambda: window.said(f"in use by process {other.pid}"))
    assert window.desk.standing is None
    other.communicate()
    window.open(made)  # and it opens when the other is gone
    assert len(window.desk.standing.micrographs) == 2


def test_one_that_fails_to_open_leaves_the_other_open(answered, tmp_path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "session.sqlite").write_bytes(b"no database at all" * 100)
    answered.pick.open(str(tmp_path / "broken"))
    answered.until(lambda: answered.said("is damaged, or no session"))
    answered.desk.do(Answer("skip", 7))
    answered.until(lambda: len(answered.desk.standing.answers) == 7)


def test_the_process_that_learns_is_killed(answered, made) -> None:
    pid = learning(answered)
    os.kill(pid, signal.SIGKILL)
    answered.until(lambda: answered.said("Learning ended early: it was killed"))
    answered.until(lambda: not answered.desk.active)
    assert not psutil.pid_exists(pid)
    assert len(answered.desk.standing.answers) == 6
    confirm = answered.panel("Confirm")
    assert confirm.learn.isEnabled()
    answered.press(confirm.learn)  # as the notification says
    answered.until(lambda: answered.desk.standing.version == 1, 120)


def test_learning_is_cancelled(answered) -> None:
    pid = learning(answered)
    confirm = answered.panel("Confirm")
    answered.press(confirm.cancel)
    answered.until(lambda: not answered.desk.active and not psutil.pid_exists(pid))
    assert answered.desk.standing.version == 0
    assert len(answered.desk.standing.answers) == 6


def test_the_window_is_closed_while_it_learns(answered, made) -> None:
    pid = learning(answered)
    answered.close()
    assert not psutil.pid_exists(pid)
    assert not answered.workers()
    with Session.open(made) as session:  # the lock is free
        assert len(session.answers.answers) == 6
        assert session.train().answers == 6


def test_workers_end_with_a_window_that_is_killed(made) -> None:
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from cryomae.napari.process import Worker\n"
        "from cryomae.napari.worker import Train\n"
        "worker = Worker(print, print)\n"
        "worker.send(Train(Path(sys.argv[1])))\n"
        "print(worker.process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(made)], stdout=subprocess.PIPE, check=False
    )
    assert done.returncode == -signal.SIGKILL
    worker = int(done.stdout.split()[0])
    gone, _ = psutil.wait_procs([psutil.Process(worker)] if psutil.pid_exists(worker) else [], 120)
    assert gone or not psutil.pid_exists(worker)


def test_a_result_comes_with_the_end_of_its_job(made) -> None:
    """Else the window gives the next job in between, and takes this end for the next one's."""
    with Session.open(made) as session:
        sitting = Sitting(session, session.queue)
        for id_ in range(6):
            sitting.do(Answer("confirm" if id_ % 2 == 0 else "reject", id_))
    news: SimpleQueue = SimpleQueue()
    worker = Worker(news.put, news.put)
    for _ in range(2):
        worker.send(Train(made))
        told = [news.get(timeout=120)]
        while not isinstance(told[-1], Finished):
            told.append(news.get(timeout=120))
        assert isinstance(told[-1].result, Fitted)
        assert all(isinstance(each, Told) for each in told[:-1])
    worker.stop()
    worker.join()


def test_a_micrograph_that_was_moved_is_named(open_window, made) -> None:
    (made.parent / "mics" / "m1.mrc").rename(made.parent / "m1.mrc")
    window = open_window()
    window.open(made)
    window.until(lambda: window.said("m1.mrc"))
    assert window.desk.standing is not None
    window.desk.do(Answer("confirm", 60))  # a candidate of it
    window.until(lambda: 60 in window.desk.standing.answers)


@pytest.mark.slow
def test_the_window_never_loads_torch(open_window, made) -> None:
    """It takes seconds, and Triton's LLVM does not go together with that of a software OpenGL."""
    script = (
        "import sys, napari\n"
        "viewer = napari.Viewer(show=False)\n"
        "for step in ('Pick', 'Curate', 'Confirm', 'Export'):\n"
        "    _, panel = viewer.window.add_plugin_dock_widget('cryomae', step)\n"
        "from qtpy.QtWidgets import QApplication\n"
        "panel.workspace.desk.open(__import__('pathlib').Path(sys.argv[1]))\n"
        "while panel.workspace.desk.active or panel.workspace.desk.standing is None:\n"
        "    QApplication.processEvents()\n"
        "viewer.close()\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(made)], check=False)
    assert done.returncode == 0
