"""The commands of the active-learning loop as a user types them, on the bundled micrograph."""

import csv
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cryomae.active.session import Session
from cryomae.cli import app
from cryomae.formats import read_picks
from cryomae.io import find_micrographs

DATA = Path(str(files("cryomae") / "data"))
PIXEL, DIAMETER = 3.0, 168.9
COMMANDS = ("new", "propose", "answer", "train", "status", "undo", "redo", "export", "relink")


def run(*words, code=0):
    done = CliRunner().invoke(app, ["active", *(str(word) for word in words)])
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
    return done.output


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with the micrograph and a session of it."""
    folder = tmp_path_factory.mktemp("made")
    shutil.copy(DATA / "demo_micrograph.mrc", folder)
    before = os.getcwd()
    os.chdir(folder)
    try:
        run("new", "mine", "demo_micrograph.mrc", "--diameter", DIAMETER)
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def here(made, tmp_path, monkeypatch):
    """The working directory, with a copy of that session."""
    shutil.copytree(made / "mine", tmp_path / "mine")
    shutil.copy2(made / "demo_micrograph.mrc", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def truth():
    return read_picks(DATA / "demo_truth.star").xy


def nearest(xy, truth):
    """Distance of places to the nearest true particle, in diameters."""
    away = np.hypot(*(np.asarray(xy, float)[:, None] - truth[None]).transpose(2, 0, 1))
    return away.min(axis=1) * PIXEL / DIAMETER


def fill_in(path, truth):
    """Answer a template as somebody would who knows the truth; gives its rows."""
    with path.open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        right = nearest([(row["x"], row["y"])], truth)[0] < 0.35
        row["answer"] = "y" if right else "n"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return rows


def test_the_loop_with_a_sheet_and_a_table(here, truth):
    said = run("propose", "mine", "-n", 30, "--sheet", "sheet.png", "--csv", "answers.csv")
    assert "unlike the others" in said
    assert Image.open("sheet.png").size[0] > 1000
    rows = fill_in(here / "answers.csv", truth)
    wrong = [r for r in rows if r["answer"] == "n"]
    assert 1 <= len(wrong) <= 20
    assert f"{len(wrong)} rejected" in run("answer", "mine", "--csv", "answers.csv")
    said = run("train", "mine")
    for word in ("Version 1: learnt from 30 answers", "threshold", "picks", "precision", "recall"):
        assert word in said

    # Even where everything, or hardly anything, is picked, the answers count.
    for threshold in (0, 0.99):
        said = run("export", "mine", "-o", "out", "--threshold", threshold)
        assert "Extract: give out/autopick.star" in said
        xy = read_picks(here / "out/picks/demo_micrograph_cryomae.star").xy
        for row in rows:
            away = np.hypot(*(xy - (float(row["x"]), float(row["y"]))).T).min()
            # RELION's whole pixels are up to 0.71 off.
            assert (away < 1) == (row["answer"] == "y"), (threshold, row)

    run("export", "mine", "-o", "out")
    xy = read_picks(here / "out/picks/demo_micrograph_cryomae.star").xy
    assert (nearest(xy, truth) < 0.5).mean() > 0.9
    assert (nearest(truth, xy) < 0.5).mean() > 0.9
    done = CliRunner().invoke(
        app,
        ["pick", "demo_micrograph.mrc", "--diameter", str(DIAMETER), "--no-preview",
         "--model", "out/model.safetensors", "-o", "picked"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    again = read_picks(here / "picked/picks/demo_micrograph_cryomae.star").xy
    assert (nearest(truth, again) < 0.5).mean() > 0.9

    # A second session learns from the table of the first.
    run("new", "other", "demo_micrograph.mrc", "--diameter", DIAMETER)
    assert "30 answers taken" in run("answer", "other", "--csv", "out/answers.csv")


@pytest.mark.parametrize("program", ["relion", "cryosparc", "eman", "eman2", "cryolo", "topaz"])
def test_every_program_can_be_exported_to(here, program):
    said = run("export", "mine", "-o", "out", "--to", program, "--no-model-file")
    assert "picks of 1 micrograph" in said
    assert len(list((here / "out").rglob("*"))) >= 2
    assert not list((here / "out").rglob("*.safetensors"))
    if program == "relion":  # 3.1 finds the files by folder and suffix
        assert "RELION 3.1: out/picks/coords_suffix_cryomae.star" in said
        listed = (here / "out/picks/coords_suffix_cryomae.star").read_text()
        refs, _ = find_micrographs([listed.strip()])
        assert [(ref.name, ref.pixel_size) for ref in refs] == [("demo_micrograph.mrc", PIXEL)]


def test_export_without_writing(here):
    assert "Nothing was written" in run("export", "mine", "-o", "out", "--dry-run")
    assert not (here / "out").exists()


def test_new_says_how_to_go_on_and_goes_on(here):
    said = run("new", "mine", "demo_micrograph.mrc", "--diameter", DIAMETER)
    assert "1 micrograph ready" in said
    assert "cryomae active answer mine" in said
    shutil.copy(here / "demo_micrograph.mrc", here / "second.mrc")
    assert "2 micrographs ready" in run("new", "mine", ".", "--diameter", DIAMETER)


def test_other_options_are_refused(here):
    said = run("new", "mine", "demo_micrograph.mrc", "--diameter", 160, code=2)
    assert "begun with --diameter 168.9, not --diameter 160" in said
    again = ["new", "mine", "demo_micrograph.mrc", "--diameter", DIAMETER]
    assert "no --pixel-size, not --pixel-size 2" in run(*again, "--pixel-size", 2, code=2)
    assert "--seed 1, not --seed 2" in run(*again, "--seed", 2, code=2)


def test_a_folder_of_other_things_is_no_session(here):
    (here / "full").mkdir()
    (here / "full/thesis.txt").write_text("mine")
    said = run("new", "full", "demo_micrograph.mrc", "--diameter", DIAMETER, code=2)
    assert "other things in it" in said
    assert "is no session" in run("propose", "full", code=2)
    assert "no such session" in run("propose", "gone", code=2)
    assert (here / "full/thesis.txt").read_text() == "mine"


def test_failures_are_listed_and_stop_nothing(here):
    (here / "short.mrc").write_bytes(b"short")
    words = ["demo_micrograph.mrc", "short.mrc", "gone.mrc", "--diameter", DIAMETER]
    said = run("new", "bad", *words, code=1)
    assert "1 micrograph ready" in said
    for word in ("short.mrc", "truncated", "copy the file", "gone.mrc", "no such file", "remedy"):
        assert word in said
    assert "1 failed" in run("status", "bad")
    assert "gone.mrc" in run("new", "none", "gone.mrc", "--diameter", 100, code=1)
    assert not (here / "none").exists()


def test_exemplars_are_answers_and_count_once(here, truth):
    def star(name, places):
        lines = "".join(f"{x:.2f} {y:.2f}\n" for x, y in places)
        head = "data_\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n"
        (here / name).write_text(head + lines)

    inner = truth[(truth > 100).all(axis=1) & (truth < 900).all(axis=1)]
    star("good.star", inner[:15])
    star("mirrored.star", np.stack([inner[:15, 0], 1023 - inner[:15, 1]], axis=1))
    bare = [(28, 985), (28, 816), (28, 141)]
    star("bad.star", bare)
    words = ["demo_micrograph.mrc", "--diameter", DIAMETER]
    said = run("new", "no", *words, "-e", "mirrored.star", code=2)
    assert "mirrored" in said
    assert "--exemplars as well" in run("new", "no", *words, "--negatives", "bad.star", code=2)
    assert "would hold 1 micrograph, 15" in run("new", "no", *words, "-e", "good.star", "--dry-run")
    assert not (here / "no").exists()

    words += ["--exemplars", "good.star", "--negatives", "bad.star"]
    said = run("new", "shown", *words)
    assert "18 answers taken from the exemplars" in said
    assert "Version 1: learnt from 18 answers (15 particles, 3 not)" in said
    assert "18 exemplars known already" in run("new", "shown", *words)
    content = json.loads(run("status", "shown", "--json"))
    assert content["by_annotator"] == {"exemplars": {"add": 15, "reject": 3}}
    assert content["positives"] == 15
    run("export", "shown", "-o", "out", "--threshold", 0.99, "--no-model-file")
    xy = read_picks(here / "out/picks/demo_micrograph_cryomae.star").xy
    assert (np.hypot(*(inner[:15, None] - xy).transpose(2, 0, 1)).min(axis=1) < 1).all()


def test_names_pixel_size_and_defocus_of_a_star_file(here):
    (here / "mics.star").write_text(
        "data_optics\n\nloop_\n_rlnOpticsGroup #1\n_rlnMicrographPixelSize #2\n1 3.0\n\n\n"
        "data_micrographs\n\nloop_\n_rlnMicrographName #1\n_rlnOpticsGroup #2\n"
        "_rlnDefocusU #3\n_rlnDefocusV #4\ndemo_micrograph.mrc 1 15000 17000\n\n"
    )
    run("new", "listed", "mics.star", "--diameter", DIAMETER)
    with Session.open("listed", write=False) as session:
        (only,) = session.micrographs
        assert (only.name, only.listed) == ("demo_micrograph.mrc", 3.0)
        assert only.defocus == pytest.approx(1.6)


@pytest.mark.slow
def test_a_killed_new_goes_on(made, tmp_path):
    """Kill -9 after the first of three micrographs: the others follow, and all are the same."""
    for i in range(3):
        shutil.copy(made / "demo_micrograph.mrc", tmp_path / f"m{i}.mrc")
    code = "from cryomae.cli import main; main()"
    words = [sys.executable, "-c", code, "active", "new"]
    end = [".", "--diameter", str(DIAMETER)]
    running = subprocess.Popen(
        [*words, "killed", *end], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    for line in running.stderr:
        if "1/3" in line:
            running.send_signal(signal.SIGKILL)
            break
    running.wait()
    assert running.returncode == -signal.SIGKILL
    with Session.open(tmp_path / "killed", write=False) as session:
        states = [m.state for m in session.micrographs]
        assert states.count("ready") in (1, 2)
    for name in ("killed", "whole"):
        done = subprocess.run([*words, name, *end], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "3 micrographs ready" in done.stdout
    with Session.open(tmp_path / "killed") as a, Session.open(tmp_path / "whole") as b:
        assert np.array_equal(a.pool.xy, b.pool.xy)
        assert np.array_equal(a.pool.micrograph, b.pool.micrograph)
        assert np.allclose(a.pool.logit, b.pool.logit, atol=1e-3)


def test_undo_and_redo(here):
    run("propose", "mine")
    (here / "a.csv").write_text("id,answer\n1,y\n2,n\n3,s\n")
    assert "3 answers: 1 confirmed" in run("answer", "mine", "--csv", "a.csv", "--dry-run")
    assert "nothing to undo" in run("undo", "mine")
    run("answer", "mine", "--csv", "a.csv", "--annotator", "anna")
    said = run("undo", "mine", "2", "--dry-run")
    assert "would undo: skipped proposal 3" in said
    assert "would undo: rejected proposal 2" in said
    said = run("undo", "mine", 2)
    assert said.index("skipped proposal 3") < said.index("rejected proposal 2")
    assert "by anna" in said
    assert "done again: rejected proposal 2" in run("redo", "mine")
    assert "1 rejected, 0 skipped" in run("status", "mine")
    assert run("undo", "mine", 99).count("undone") == 2


def test_answers_are_taken_whole_or_not(here):
    run("propose", "mine")
    (here / "a.csv").write_text("id,answer\n1,y\n2,perhaps\n")
    said = run("answer", "mine", "--csv", "a.csv", code=2)
    assert "row 3: 'perhaps'" in said
    assert "0 confirmed" in run("status", "mine")
    (here / "a.csv").write_text("id,answer\n1,y\n2,y\n")
    run("answer", "mine", "--csv", "a.csv", "--annotator", "anna")
    (here / "a.csv").write_text("id,answer\n1,n\n2,y\n3,\n")
    said = run("answer", "mine", "--csv", "a.csv", "--annotator", "bob")
    assert "1 answer contradicts an earlier one; the newest counts" in said
    assert "confirmed by anna" in said
    assert "1 answer taken: 0 confirmed, 1 rejected, 1 given before, 1 left open" in said
    assert "answers that disagree: 1" in run("status", "mine")


def test_without_a_terminal_the_way_is_shown(here):
    said = run("answer", "mine", code=2)
    assert "no terminal" in said
    assert "cryomae active propose mine --sheet sheet.png --csv answers.csv" in said


def test_wrong_options(here):
    assert "goes with --csv" in run("answer", "mine", "--dry-run", code=2)
    assert "does not end in .png" in run("propose", "mine", "--sheet", "a.jpg", code=2)
    assert "no strategy 'nope'" in run("propose", "mine", "--strategy", "nope", code=2)
    assert "such as 180" in run("new", "x", "a.mrc", "--diameter", -3, code=2)
    assert "outside 0.1 to 20" in run(
        "new", "x", "demo_micrograph.mrc", "--diameter", 180, "--pixel-size", 99, code=2
    )
    assert "nothing to learn from" in run("train", "mine", code=2)


def test_status_tells_who_has_the_session(here):
    code = (
        "import sys, time; from cryomae.active.session import Session;"
        "s = Session.open('mine'); print('open', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "open\n"
        assert f"in use by process {other.pid}" in run("propose", "mine", code=1)
        assert f"pid {other.pid}" in run("status", "mine")
        assert json.loads(run("status", "mine", "--json"))["in_use_by"]["pid"] == other.pid
    finally:
        other.kill()
        other.wait()
    # It was killed: its owner file is still there, and nobody has the session.
    assert json.loads(run("status", "mine", "--json"))["in_use_by"] is None


def test_moved_micrographs(here):
    run("new", "mine2", "demo_micrograph.mrc", "--diameter", DIAMETER)
    run("propose", "mine2")
    (here / "disk").mkdir()
    (here / "demo_micrograph.mrc").rename(here / "disk/demo_micrograph.mrc")
    assert "no longer where it was" in run("status", "mine2")
    said = run("propose", "mine2", "--sheet", "s.png")
    assert "cryomae active relink mine2 FOLDER" in said
    (here / "empty").mkdir()
    assert "not found: demo_micrograph.mrc" in run("relink", "mine2", "empty", code=1)
    assert "1 micrograph found again" in run("relink", "mine2", "disk")
    assert "no longer" not in run("status", "mine2")
    (here / "disk/demo_micrograph.mrc").write_bytes(b"another micrograph")
    said = run("relink", "mine2", "disk", code=1)
    assert "has the name, but other content" in said


def test_nothing_is_left_to_ask(here):
    with Session.open("mine") as session:
        for row in range(len(session.pool)):
            session.answer(row, "skip")
    assert "Nothing is left to ask" in run("propose", "mine")


def talk(words, keys, folder):
    """Run a command in a terminal of 100 columns, pressing a key whenever it asks anew."""
    code = "from cryomae.cli import main; main()"
    child, terminal = pty.fork()
    if not child:
        os.chdir(folder)
        os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", COLUMNS="100", LINES="40")
        os.execv(sys.executable, [sys.executable, "-c", code, "active", *words])
    shown, waiting, told = b"", list(keys), 0
    end = time.monotonic() + 90
    while time.monotonic() < end:
        ready, _, _ = select.select([terminal], [], [], 0.5)
        if ready:
            try:
                part = os.read(terminal, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            shown += part
        elif waiting and b"y confirm" in shown[told:]:
            told = len(shown)
            os.write(terminal, waiting.pop(0).encode())
    _, status = os.waitpid(child, 0)
    return shown.decode(errors="replace"), os.waitstatus_to_exitcode(status)


def test_answering_in_a_terminal(here):
    shown, code = talk(["answer", "mine", "-n", "3"], "yynbysq", here)
    assert code == 0, shown
    assert "▀" in shown
    assert "Learnt from 3 answers" in shown
    assert "Version 1: learnt from 3 answers" in shown
    with Session.open("mine", write=False) as session:
        # The third was rejected, and confirmed after going back to it; the fourth is of the
        # next batch.
        assert [session.answers.answers[p.candidate].kind for p in session.proposals[:4]] == [
            "confirm", "confirm", "confirm", "skip",
        ]  # fmt: skip
        assert len(session.answers.answers) == 4
        assert len(session.versions) == 1


def test_ctrl_c_keeps_all_answers(here):
    shown, code = talk(["answer", "mine", "--no-train"], "yn\x03", here)
    assert code == 0, shown
    assert "2 places answered so far: 1 particle, 1 not" in shown
    with Session.open("mine", write=False) as session:
        assert len(session.journal) == 2
        assert not session.versions


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_has_an_example(command):
    words = ["active", command, "--help"] if command else ["active", "--help"]
    said = CliRunner().invoke(app, words).output
    assert "For example:" in said
    assert f"cryomae active {command}".strip() in said


def test_help_and_proposals_are_quick(here):
    code = (
        "import sys; from cryomae.cli import app\n"
        f"for c in {COMMANDS}: app(['active', c, '--help'], standalone_mode=False)\n"
        "print('HEAVY', {'torch', 'numpy', 'pandas', 'scipy', 'matplotlib'} & set(sys.modules))\n"
        "app(['active', 'propose', 'mine'], standalone_mode=False)\n"
        "print('HEAVY', {'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if "HEAVY" in line] == ["HEAVY set()"] * 2
