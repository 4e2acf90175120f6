"""Whoever picks, and whatever happens to them: the same picks, and the guilty file named."""

import os
import signal
from dataclasses import replace

import pytest
from scale_helpers import FakeDetector, go, make_files, picks_of

from cryomae.batch.ledger import read_ledger
from cryomae.batch.plan import Shard
from cryomae.batch.record import Fingerprint
from cryomae.errors import CryomaeError, InputError, WeightsError
from cryomae.scale import Lost, Serial
from cryomae.scale.choose import choose_backend
from cryomae.scale.processes import Processes

BAD = {3: "corrupt", 7: "kill", 9: "corrupt"}


class Squares:
    """Work that ends its process at some numbers."""

    def __init__(self, deadly=(), error=None):
        self.deadly, self.error = deadly, error

    def open(self, place):
        if self.error is not None:
            raise self.error
        self.place = place

    def __call__(self, number):
        if number in self.deadly:
            os.kill(os.getpid(), signal.SIGSEGV)
        if number < 0:
            raise CryomaeError("negative", "give another", "x")
        return number**2, os.getpid()


class DiesAtStart(Squares):
    def open(self, place):
        os._exit(3)


@pytest.fixture(scope="module")
def two_processes():
    with Processes(2) as backend:
        yield backend


@pytest.fixture(scope="module")
def dask_local():
    with choose_backend("2", "local") as backend:
        yield backend


def test_every_item_is_answered_and_the_guilty_one_lost(two_processes):
    work = Squares(deadly=(5, 17))
    found = dict(two_processes.map_unordered(work, iter(range(30))))
    assert {n for n, answer in found.items() if isinstance(answer, Lost)} == {5, 17}
    assert "SIGSEGV" in found[5].how
    assert all(found[n][0] == n**2 for n in range(30) if n not in (5, 17))
    again = dict(two_processes.map_unordered(work, [1, 2]))
    assert again.keys() == {1, 2}
    assert os.getpid() not in {pid for _, pid in again.values()}


def test_items_are_taken_as_they_are_needed(two_processes):
    taken = []

    def items():
        for number in range(1000):
            taken.append(number)
            yield number

    answers = two_processes.map_unordered(Squares(), items())
    next(answers)
    answers.close()
    assert len(taken) <= 4


def test_an_error_of_the_work_ends_it_as_itself(two_processes):
    with pytest.raises(CryomaeError, match="negative") as caught:
        list(two_processes.map_unordered(Squares(), [1, -1, 2]))
    assert caught.value.remedy == "give another"
    with pytest.raises(WeightsError, match="no such model"):
        list(two_processes.map_unordered(Squares(error=WeightsError("no such model")), [1]))


def test_processes_that_die_at_their_start_are_not_started_for_ever(monkeypatch):
    monkeypatch.setattr("cryomae.scale.processes.FALSE_STARTS", 2)
    with Processes(2) as backend, pytest.raises(CryomaeError, match="ended at their start"):
        list(backend.map_unordered(DiesAtStart(), range(5)))


def test_the_same_picks_wherever_they_are_made(tmp_path, two_processes, dask_local):
    good = make_files(tmp_path / "mics", 24, {3: "corrupt", 9: "corrupt"})
    for name, backend in (("serial", None), ("two", two_processes), ("dask", dask_local)):
        result = go(good, tmp_path / name, backend)
        assert [o.name for o in result.outcomes] == [ref.name for ref in good]
        assert {o.name for o in result.failed} == {good[3].name, good[9].name}
    for number in (3, 1, 2):
        go(good, tmp_path / "shards", shard=Shard(number, 3))
    assert not (tmp_path / "shards/autopick.star").exists()
    assert {o.status for o in go(good, tmp_path / "shards").done} == {"kept"}
    wanted = picks_of(tmp_path / "serial")
    assert len(wanted) == 2 * 22 + 2
    for name in ("two", "dask", "shards"):
        assert picks_of(tmp_path / name) == wanted, name


@pytest.mark.parametrize("kind", ["two_processes", "dask_local"])
def test_a_file_that_kills_its_process_is_named_and_left_alone(tmp_path, request, kind):
    backend = request.getfixturevalue(kind)
    refs = make_files(tmp_path / "mics", 20, BAD)
    result = go(refs, tmp_path / "out", backend)
    assert {o.name for o in result.failed} == {refs[n].name for n in BAD}
    killer = result.outcomes[7]
    assert "ended 2 times" in killer.cause
    assert "--retry" in killer.remedy
    histories = read_ledger(tmp_path / "out/ledger").histories
    assert [histories[ref.name].deaths for ref in refs] == [2 * (n == 7) for n in range(20)]
    again = go(refs, tmp_path / "out", backend)
    assert "left alone" in again.outcomes[7].cause
    assert read_ledger(tmp_path / "out/ledger").of(refs[7].name).attempts == 2
    refs[7].path.write_text("good 7")
    assert [o.status for o in go(refs, tmp_path / "out", backend, retry=True).outcomes] == [
        "failed" if n in (3, 9) else "picked" if n == 7 else "kept" for n in range(20)
    ]


def test_a_serial_run_that_dies_of_a_file_gets_past_it(tmp_path):
    """As in a job array: each time the process is gone, and somebody starts it again."""
    refs = make_files(tmp_path / "mics", 6, {2: "kill"})
    for expected in (9, 9, 0):
        child = os.fork()
        if child == 0:
            go(refs, tmp_path / "out")
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -expected
    result = go(refs, tmp_path / "out")
    assert [o.name for o in result.failed] == [refs[2].name]
    assert len(result.done) == 5


def load_another(place):
    return replace(FakeDetector(), sha256="cd" * 32)


def test_workers_with_another_model_refuse(tmp_path, two_processes):
    refs = make_files(tmp_path / "mics", 3, {})
    with pytest.raises(InputError, match="model of a worker is not the one"):
        go(refs, tmp_path / "a", two_processes, load=load_another)


def test_workers_of_another_version_refuse(tmp_path, dask_local, monkeypatch):
    refs = make_files(tmp_path / "mics", 3, {})
    of = Fingerprint.of
    monkeypatch.setattr(Fingerprint, "of", lambda *given: replace(of(*given), version="0.0.1"))
    with pytest.raises(InputError, match=r"a worker has cryomae .*started with 0.0.1"):
        go(refs, tmp_path / "b", dask_local)


@pytest.mark.parametrize(
    ("processes", "dask", "words"),
    [
        ("0", None, "--processes cannot be '0'"),
        ("many", None, "--processes cannot be 'many'"),
        (None, "slurm", "how many workers"),
        (None, "cloud", "--dask cannot be 'cloud'"),
    ],
)
def test_options_that_make_no_sense(processes, dask, words):
    with pytest.raises(InputError, match=words):
        choose_backend(processes, dask)


def test_a_scheduler_that_does_not_answer(monkeypatch):
    backend = choose_backend(None, "tcp://127.0.0.1:9")
    monkeypatch.setattr("cryomae.scale.on_dask.PATIENCE", 1.0)
    with pytest.raises(InputError, match="no Dask scheduler answers") as caught, backend:
        pass
    assert "tcp://127.0.0.1:9" in str(caught.value)


@pytest.mark.parametrize("text", ["0/4", "5/4", "4", "a/b", "1/0", "-1/3"])
def test_shards_that_do_not_exist(text):
    with pytest.raises(InputError):
        Shard.parse(text)


def test_shards_take_each_micrograph_once():
    shards = [Shard.parse(f"{n}/7") for n in range(1, 8)]
    assert all(sum(s.takes(index) for s in shards) == 1 for index in range(50))


def test_without_options_everything_stays_in_this_process():
    assert isinstance(choose_backend(None, None), Serial)


def test_automatic_processes_are_no_more_than_memory_allows(monkeypatch):
    import psutil

    memory = psutil.virtual_memory()._replace(available=3 * 2**30)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    assert choose_backend("auto", None).workers == 1
