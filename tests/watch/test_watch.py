"""Watching a folder: what arrives is picked once it is whole, and never before."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import mrcfile
import numpy as np
import pytest
import starfile
import yaml

from cryomae.batch import Engine
from cryomae.batch.status import read_status
from cryomae.formats import read_picks
from cryomae.formats.star import add_together, write_together
from cryomae.io import read_micrograph
from cryomae.picks import Picks
from cryomae.settings import PickSettings
from cryomae.watch import watch
from cryomae.watch.arrivals import Arrivals

SIDE = 128


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr("cryomae.watch.arrivals.SETTLED", 0.3)
    monkeypatch.setattr("cryomae.watch.arrivals.PATIENCE", 1.5)


def content(number: int, folder: Path) -> bytes:
    """Bytes of a micrograph whose pixels say which one it is."""
    path = folder / f"source_{number}.mrc"
    with mrcfile.new(path, overwrite=True) as file:
        pixels = np.full((SIDE, SIDE), number + 1, np.float32)
        pixels[0, 0] = 0
        file.set_data(pixels)
        file.voxel_size = 1.5
    data = path.read_bytes()
    path.unlink()
    return data


class Fake:
    """Picks as many particles as the pixels say, and notes half-copied files."""

    def __init__(self):
        self.read, self.half = [], []

    def pick(self, micrograph, detector, settings):
        number = int(micrograph.pixels[-1, -1])
        if np.count_nonzero(micrograph.pixels == number) != SIDE**2 - 1:
            self.half.append(micrograph.name)
        self.read.append(Path(micrograph.name).name)
        picks = Picks.from_arrays(micrograph.name, [[9, 9]] * number, [0.9] * number, 100, "fake")
        image = np.zeros((64, 64), dtype=np.float32)
        return SimpleNamespace(
            candidates=picks, image=image, valid=image == 0, spacing=(2.0, 2.0), seconds={}
        )

    def choose(self, scores):
        return SimpleNamespace(value=0.5, explanation=f"From {len(scores)} micrographs.")


@pytest.fixture
def fake():
    return Fake()


@pytest.fixture
def go(tmp_path, fake):
    detector = SimpleNamespace(name="fake", sha256="ab" * 32, device="cpu", shown=False)

    def run(*inputs, until, **options):
        """Watch until so many micrographs are dealt with, and nothing is left to do."""

        def look(news):
            if news.outcome is None and until(news):
                raise KeyboardInterrupt

        return watch(
            [str(i) for i in inputs],
            tmp_path / "out",
            PickSettings(diameter=100),
            detector=detector,
            engine=Engine(read_micrograph, fake.pick, fake.choose),
            idle=120,
            interval=0.05,
            on_news=look,
            preview=options.pop("preview", False),
            **options,
        )

    return run


def dealt_with(count):
    return lambda news: news.done + news.failed == count


def slowly(path: Path, data: bytes) -> None:
    """Copy as slow programs do: piece by piece."""
    with open(path, "wb") as file:
        for start in range(0, len(data), len(data) // 8):
            file.write(data[start : start + len(data) // 8])
            file.flush()
            time.sleep(0.1)


def test_files_are_picked_when_they_are_whole(tmp_path, go, fake):
    folder = tmp_path / "mics"
    folder.mkdir()
    data = [content(number, tmp_path) for number in range(5)]
    (folder / "m0.mrc").write_bytes(data[0])

    def arrive():
        slowly(folder / "m1.mrc", data[1])
        slowly(folder / ".m2.part", data[2])
        os.rename(folder / ".m2.part", folder / "m2.mrc")
        slowly(folder / "m3.mrc", data[3])
        (folder / "m4.mrc").write_bytes(data[4][: len(data[4]) // 2])  # and never more

    writer = threading.Thread(target=arrive)
    writer.start()
    result = go(folder, until=dealt_with(5), preview=True)
    writer.join()
    assert fake.half == []
    assert sorted(fake.read) == [f"m{number}.mrc" for number in range(4)]
    assert {Path(o.name).name: o.picks for o in result.done} == {
        f"m{n}.mrc": n + 1 for n in range(4)
    }
    assert [Path(o.name).name for o in result.failed] == ["m4.mrc"]
    assert "truncated" in result.failed[0].cause
    out = tmp_path / "out"
    assert len(starfile.read(out / "autopick.star")) == 4
    assert len(starfile.read(out / "all_picks.star")) == 10
    assert len(read_picks(out / "picks/m3_cryomae.star")) == 4
    assert (out / "previews/m0.png").stat().st_size > 0
    assert "m4.mrc" in (out / "summary.html").read_text()
    assert yaml.safe_load((out / "config.yaml").read_text())["complete"]
    assert read_status(out).picked == 4


def test_a_file_is_whole_when_it_stands_still(tmp_path):
    """Also one that has its size from the start; by a clock of the test's."""
    now = [0.0]
    arrivals = Arrivals([str(tmp_path)], clock=lambda: now[0])

    def ready(seconds):
        now[0] += seconds
        return len(arrivals.ready(9))

    path, data = tmp_path / "a.mrc", content(0, tmp_path)
    path.write_bytes(data[: len(data) // 2])
    assert [ready(s) for s in (0.0, 0.2, 0.2, 0.9)] == [0, 0, 0, 0]  # less than the header says
    path.write_bytes(data[:3000] + bytes(len(data) - 3000))
    assert [ready(s) for s in (0.0, 0.2)] == [0, 0]
    path.write_bytes(data)  # same size, written again
    assert [ready(s) for s in (0.2, 0.2)] == [0, 0]
    assert [ready(s) for s in (0.2, 0.2, 9.0)] == [1, 0, 0]
    path.write_bytes(data[:5000])
    assert [ready(s) for s in (0.0, 1.0, 1.0)] == [0, 0, 1]  # handed on to be named
    path.write_bytes(data)
    assert [ready(s) for s in (0.0, 0.5, 0.5)] == [0, 1, 0]


def test_a_file_that_is_written_anew_is_picked_anew(tmp_path, go, fake):
    folder = tmp_path / "mics"
    folder.mkdir()
    path, whole = folder / "a.mrc", content(3, tmp_path)
    path.write_bytes(whole[:3000])

    def until(news):
        if news.failed and path.stat().st_size < len(whole):
            path.write_bytes(whole)
        return news.done == 1

    result = go(folder, until=until)
    assert [o.status for o in result.outcomes] == ["picked"]
    assert result.picks == 4


def test_a_list_that_grows(tmp_path, go, fake, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mics").mkdir()
    star = Path("micrographs.star")

    def until(news):
        """Write one row more, at first only half of the file, each time the last one is done."""
        text = "data_micrographs\n\nloop_\n_rlnMicrographName #1\n_rlnMicrographPixelSize #2\n"
        text += "".join(f"mics/m{n}.mrc 2.5\n" for n in range(news.done + 1))
        if news.done == 3 or (star.exists() and star.read_text() == text):
            if news.done < 3 and not Path(f"mics/m{news.done}.mrc").exists():
                Path(f"mics/m{news.done}.mrc").write_bytes(content(news.done, tmp_path))
            return news.done == 3
        half = text[: len(text) // 2]
        star.write_text(half if not star.exists() or star.read_text() != half else text)
        return False

    result = go(star, until=until)
    assert [o.name for o in result.done] == [f"mics/m{n}.mrc" for n in range(3)]
    assert {o.pixel_size for o in result.done} == {2.5}
    assert Path("out/picks/coords_suffix_cryomae.star").read_text() == "micrographs.star\n"


def test_watching_again_goes_on(tmp_path, go, fake):
    folder = tmp_path / "mics"
    folder.mkdir()
    (folder / "a.mrc").write_bytes(content(0, tmp_path))
    go(folder, until=dealt_with(1))
    (folder / "b.mrc").write_bytes(content(1, tmp_path))
    result = go(folder, until=dealt_with(2))
    assert fake.read == ["a.mrc", "b.mrc"]
    assert [o.status for o in result.outcomes] == ["kept", "picked"]


def test_the_threshold_stays_once_there_are_enough(tmp_path, go, fake, monkeypatch):
    monkeypatch.setattr("cryomae.watch.run.ENOUGH", 3)
    folder = tmp_path / "mics"
    folder.mkdir()
    for number in range(5):
        (folder / f"m{number}.mrc").write_bytes(content(number, tmp_path))
    assert go(folder, until=dealt_with(5)).explanation == "From 3 micrographs."
    (folder / "m5.mrc").write_bytes(content(5, tmp_path))
    assert go(folder, until=dealt_with(6)).explanation == "From 3 micrographs."
    assert len(starfile.read(tmp_path / "out/all_picks.star")) == 21


def test_the_page_follows_while_there_is_no_time_to_wait(tmp_path, go, fake, monkeypatch):
    """All is there at once: the page is written between two micrographs, not in the end alone."""
    for name, value in (("FIRST", 0.0), ("EVERY", 0.0), ("SHARE", 1.0)):
        monkeypatch.setattr(f"cryomae.batch.live.{name}", value)
    folder = tmp_path / "mics"
    folder.mkdir()
    for number in range(6):
        (folder / f"m{number}.mrc").write_bytes(content(number, tmp_path))
    page, seen = tmp_path / "out/summary.html", []
    pick = fake.pick

    def look(*arguments):
        seen.append(page.read_text() if page.exists() else "")
        return pick(*arguments)

    monkeypatch.setattr(fake, "pick", look)
    go(folder, until=dealt_with(6))
    assert "Watching: 3 of 6 micrographs, 50 %." in seen[3]
    last = page.read_text()
    assert "Watched until" in last
    assert "Watching" not in last


def test_a_page_of_a_watch_in_which_nothing_comes_is_not_old(tmp_path, go, monkeypatch):
    monkeypatch.setattr("cryomae.watch.run._SIGN_OF_LIFE", 0.0)
    folder = tmp_path / "mics"
    folder.mkdir()
    (folder / "a.mrc").write_bytes(content(1, tmp_path))
    page, seen = tmp_path / "out/summary.html", []

    def until(news):
        """Look at the page until it has been written twice."""
        if news.done and page.exists():
            written = re.search(r'data-written="(\d+)"', page.read_text())
            if written and written[1] not in seen:
                seen.append(written[1])
        return len(seen) == 2

    assert go(folder, until=until).picks == 2


def test_adding_picks_gives_the_file_that_writing_all_gives(tmp_path):
    parts = [(f"m {n}.mrc", Picks.from_arrays("x", [[n, n]] * n, [0.5] * n, 9)) for n in range(5)]
    write_together(tmp_path / "all.star", parts)
    write_together(tmp_path / "some.star", parts[:2])
    for start, end in ((2, 2), (2, 3), (3, 5)):
        add_together(tmp_path / "some.star", parts[start:end])
    assert (tmp_path / "some.star").read_bytes() == (tmp_path / "all.star").read_bytes()


def test_files_that_stand_still_are_not_opened_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr("cryomae.watch.arrivals.OLD", 5.0)
    (tmp_path / "a.mrc").write_bytes(content(0, tmp_path))
    now = [0.0]
    arrivals = Arrivals([str(tmp_path)], clock=lambda: now[0])
    assert arrivals.ready(9) == []
    now[0] = 1.0
    assert len(arrivals.ready(9)) == 1
    now[0] = 10.0
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("was opened"))
    assert arrivals.ready(9) == []


def test_a_signal_stops_in_order(tmp_path):
    """By the command, with the shipped model."""
    folder = tmp_path / "mics"
    folder.mkdir()
    image = np.random.default_rng(0).normal(size=(256, 256)).astype(np.float32)
    with mrcfile.new(folder / "a.mrc") as file:
        file.set_data(image)
        file.voxel_size = 3.0
    words = ["watch", str(folder), "--diameter", "180", "-o", str(tmp_path / "out")]
    command = [sys.executable, "-c", "from cryomae.cli import main; main()", *words]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ, OMP_NUM_THREADS="1"),
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "[1]" in line:
            break
    process.send_signal(signal.SIGTERM)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 0, out + error
    assert (tmp_path / "out/summary.html").is_file()
    assert len(starfile.read(tmp_path / "out/autopick.star", always_dict=True)) == 1
