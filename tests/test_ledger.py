"""The ledger: what several processes write down, some of them killed, is one account."""

import json
import multiprocessing
import os
import signal

import pytest
from typer.testing import CliRunner

from cryomae.atomic import OutputError
from cryomae.batch.ledger import LedgerWriter, read_ledger
from cryomae.batch.record import Record
from cryomae.batch.status import read_status
from cryomae.cli import app
from cryomae.errors import InputError


def record(key="k"):
    return Record(key, (90, 130), 1.5, "header", (2.0, 2.0), (45, 65), 0.1, 0.5, 4, 2, "ab")


def write_until_killed(folder, number):
    writer = LedgerWriter(folder)
    for index in range(20):
        name = f"mics/{number}_{index}.mrc"
        writer.begin(name)
        if index == 15:
            os.kill(os.getpid(), signal.SIGKILL)
        writer.picked(name, record())


def test_processes_that_are_killed_leave_one_open_micrograph_each(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=write_until_killed, args=(tmp_path, n)) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    ledger = read_ledger(tmp_path)
    assert len(ledger.histories) == 48
    assert sorted(n for n, h in ledger.histories.items() if h.deaths) == [
        f"mics/{n}_15.mrc" for n in range(3)
    ]
    assert sum(bool(h.records) for h in ledger.histories.values()) == 45
    assert len(ledger.processes) == 3
    assert read_ledger(tmp_path, only="mics/1_15.mrc").of("mics/1_15.mrc").deaths == 1


def test_a_line_that_was_cut_off_is_left_out(tmp_path):
    writer = LedgerWriter(tmp_path)
    writer.begin("a")
    writer.picked("a", record())
    writer.begin("b")
    writer.picked("b", record())
    (path,) = tmp_path.glob("*.jsonl")
    text = path.read_text()
    for length in range(len(text)):
        path.write_text(text[:length])
        ledger = read_ledger(tmp_path)
        assert len(ledger.histories) <= 2
        whole = text[:length].count("\n")  # of process, begin a, picked a, begin b, picked b
        assert [ledger.of(name).deaths for name in "ab"] == [whole == 2, whole == 4]


def test_names_with_any_character_are_kept(tmp_path):
    names = ['with "quotes".mrc', "with space.mrc", "Å/ß.mrc", "new\nline.mrc", "back\\slash.mrc"]
    writer = LedgerWriter(tmp_path)
    for name in names:
        writer.begin(name)
        writer.failed(name, "is empty", "delete it")
    assert list(read_ledger(tmp_path).histories) == names
    for name in names:
        assert read_ledger(tmp_path, only=name).of(name).cause == "is empty"


def test_clocks_that_differ_decide_nothing(tmp_path):
    """A machine whose clock is a day late has picked what another had failed to."""
    for at, host, event in ((90_000.0, "early", "failed"), (3_600.0, "late", "picked")):
        lines = [
            {"at": at, "event": "process", "host": host, "pid": 1},
            {"at": at, "event": "begin", "name": "a"},
            {"at": at + 1, "event": event, "name": "a", "record": vars(record()), "cause": "x"},
        ]
        path = tmp_path / f"{host}.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    history = read_ledger(tmp_path).of("a")
    assert list(history.records) == ["k"]
    assert (history.attempts, history.deaths) == (2, 0)


def test_a_full_disk_leaves_no_half_line(tmp_path, monkeypatch):
    writer = LedgerWriter(tmp_path)
    writer.begin("a")
    real = os.write

    def half(file, data):
        real(file, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OutputError, match="No space left"):
        writer.picked("a", record())
    monkeypatch.undo()
    writer.picked("a", record())
    history = read_ledger(tmp_path).of("a")
    assert (len(history.records), history.deaths) == (1, 0)


def test_status_says_what_is_done_failed_and_cut_off(tmp_path):
    (tmp_path / "config.yaml").write_text(
        "micrographs: 6\nnot_found:\n- {name: gone.mrc, cause: no such file, remedy: check}\n"
    )
    writer = LedgerWriter(tmp_path / "ledger")
    writer.begin("a")
    writer.picked("a", record())
    writer.begin("b")
    writer.failed("b", "is [empty]", "delete it")
    writer.begin("c")
    found = read_status(tmp_path)
    assert (found.picked, len(found.failed), len(found.going), found.waiting) == (1, 2, 1, 2)
    (path,) = (tmp_path / "ledger").iterdir()
    path.write_text(path.read_text().replace(f'"pid": {os.getpid()}', '"pid": 999999999'))
    found = read_status(tmp_path)
    assert [name for name, _ in found.cut_off] == ["c"]
    shown = CliRunner().invoke(app, ["status", str(tmp_path)])
    assert shown.exit_code == 1
    for words in ("1 of 6 picked", "2 failed", "is [empty]", "gone.mrc", "cut off"):
        assert words in shown.output
    told = json.loads(CliRunner().invoke(app, ["status", str(tmp_path), "--json"]).output)
    assert {f["name"]: f["cause"] for f in told["failed"]}["b"] == "is [empty]"


def test_status_of_a_folder_without_a_run(tmp_path):
    with pytest.raises(InputError, match="holds no run"):
        read_status(tmp_path)
