"""Micrographs that were moved, changed, lost and found again; encoding of real pixels."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from session_helpers import PER, make_session

from cryomae.active.journal import Answer
from cryomae.active.session import Session
from cryomae.active.settings import SessionSettings
from cryomae.errors import InputError, MicrographError
from cryomae.io import find_micrographs
from cryomae.model.registry import model_card
from cryomae.pick.pipeline import Detector, load_detector

DEMO = Path(__file__).parents[2] / "cryomae" / "data" / "demo_micrograph.mrc"
DIAMETER = 200.0
SIDE = 448  # pixels


# Files that are only bytes: whether they are the same is all that matters.


@pytest.fixture
def mics(tmp_path: Path) -> Path:
    return tmp_path / "mics"


@pytest.fixture
def session(tmp_path: Path, mics: Path) -> Iterator[Session]:
    with make_session(tmp_path / "s", 3, folder=mics) as session:
        yield session


def test_files_as_they_were_are_no_problem(session: Session, mics: Path) -> None:
    assert session.problems(deep=True) == []
    os.utime(mics / "m0.mrc", (1, 1))  # as a copy would
    assert session.problems() == []
    assert session.problems(deep=True) == []


def test_a_missing_file_is_named_with_the_remedy(session: Session, mics: Path) -> None:
    (mics / "m1.mrc").unlink()
    (problem,) = session.status().problems
    assert problem.name == "mics/m1.mrc"
    assert f"cryomae active relink {session.path} FOLDER" in problem.remedy
    with pytest.raises(MicrographError, match="no longer where it was") as caught:
        session.micrograph(1)
    assert "relink" in caught.value.remedy
    assert str(mics / "m1.mrc") in str(caught.value)


@pytest.mark.parametrize("content", [b"longer than it was" * 1000, bytes([9]) * 3000])
def test_a_changed_file_is_named(session: Session, mics: Path, content: bytes) -> None:
    """Of another size, or of the same size with another time and content."""
    (mics / "m1.mrc").write_bytes(content)
    os.utime(mics / "m1.mrc", (2, 2))
    (problem,) = session.problems(deep=True)
    assert problem.name == "mics/m1.mrc"
    assert "has changed since" in problem.cause
    with pytest.raises(MicrographError, match="has changed since"):
        session.micrograph("mics/m1.mrc")


def test_answers_go_on_without_the_files(session: Session, mics: Path) -> None:
    shutil.rmtree(mics)
    session.answer(0, "confirm")
    session.answer(1, "reject")
    session.propose()
    session.train()
    assert len(session.picks(0.0)) > 0


def test_moved_micrographs_are_found_by_name_and_content(
    session: Session, mics: Path, tmp_path: Path
) -> None:
    session.answer(0, "confirm")
    new = tmp_path / "elsewhere" / "deeper"
    new.mkdir(parents=True)
    shutil.move(mics / "m0.mrc", new / "m0.mrc")
    shutil.move(mics / "m1.mrc", tmp_path / "elsewhere" / "m1.mrc")
    (new / "m1.mrc").write_bytes(bytes([8]) * 3000)  # of the right name and size only
    result = session.relink([tmp_path / "elsewhere"])
    assert [m.name for m in result.found] == ["mics/m0.mrc", "mics/m1.mrc"]
    assert (result.kept, result.missing, result.different) == (1, (), ())
    session.close()
    with Session.open(session.path) as again:
        assert again.problems(deep=True) == []
        assert again.micrographs[0].path == new / "m0.mrc"
        assert again.micrographs[0].name == "mics/m0.mrc"  # what RELION knows it by
        assert len(again.pool) == 3 * PER
        assert len(again.journal) == 1


def test_relinking_says_what_it_did_not_find(session: Session, mics: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "m0.mrc").write_bytes(b"something else")
    shutil.rmtree(mics)
    result = session.relink([other])
    assert result.found == ()
    assert result.missing == ("mics/m0.mrc", "mics/m1.mrc", "mics/m2.mrc")
    assert result.different == (str(other / "m0.mrc"),)
    with pytest.raises(InputError, match="no such file"):
        session.relink([tmp_path / "nothing.mrc"])
    with pytest.raises(InputError, match="no folder"):
        session.relink([])


# Real pixels.


@pytest.fixture(scope="module")
def detector() -> Detector:
    return load_detector(device="cpu")


def begin(path: Path, inputs: list[Path]) -> Session:
    refs, _ = find_micrographs(inputs)
    settings = SessionSettings(diameter=DIAMETER, model_sha256=model_card("default").sha256)
    return Session.create(path, settings, refs)


def write_micrograph(path: Path) -> None:
    """A corner of the bundled micrograph."""
    pixels = mrcfile.read(DEMO)[:SIDE, :SIDE]
    with mrcfile.new(path, pixels, overwrite=True) as file:
        file.voxel_size = 3.0


def copies(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        write_micrograph(folder / name)
    return folder


def test_one_bad_file_does_not_stop_the_others(tmp_path: Path, detector: Detector) -> None:
    mics = copies(tmp_path / "mics", "a.mrc", "c.mrc", "d.mrc")
    (mics / "b.mrc").write_bytes(DEMO.read_bytes()[:5000])
    told = []
    with begin(tmp_path / "s", [mics]) as session:
        (mics / "d.mrc").unlink()
        result = session.encode(detector, told.append)
        assert [Path(m.name).name for m in result.encoded] == ["a.mrc", "c.mrc"]
        assert [Path(m.name).name for m in result.failed] == ["b.mrc", "d.mrc"]
        assert [p.done for p in told] == [0, 1, 2, 3, 4]
        status = session.status()
        assert status.micrographs == {"waiting": 0, "ready": 2, "failed": 2, "excluded": 0}
        assert any("no such file" in cause for cause in status.failed.values())
        # What failed is tried again when it was put right.
        write_micrograph(mics / "b.mrc")
        write_micrograph(mics / "d.mrc")
        assert len(session.encode(detector).encoded) == 2
        assert session.status().failed == {}
        counts = {m.count for m in session.micrographs}
        assert len(counts) == 1


def test_encoding_goes_on_where_it_stopped(tmp_path: Path, detector: Detector) -> None:
    mics = copies(tmp_path / "mics", "a.mrc", "b.mrc")
    with begin(tmp_path / "whole", [mics]) as session:
        session.encode(detector)
        expected = session.pool

    def stop(progress: object) -> None:
        if progress.done == 1:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    with begin(tmp_path / "s", [mics]) as session, pytest.raises(KeyboardInterrupt):
        session.encode(detector, stop)
    # What an interrupted writer left behind the rows that count is of no account.
    with open(tmp_path / "s" / "candidates" / "xy.f4", "ab") as file:
        file.write(b"left over")
    with Session.open(tmp_path / "s") as session:
        assert [m.state for m in session.micrographs] == ["ready", "waiting"]
        assert len(session.encode(detector).encoded) == 1
        assert session.encode(detector).encoded == ()
        for name in ("micrograph", "xy", "kind", "logit", "latents"):
            assert np.array_equal(getattr(session.pool, name), getattr(expected, name))


def test_excluded_micrographs_are_not_encoded(tmp_path: Path, detector: Detector) -> None:
    mics = copies(tmp_path / "mics", "a.mrc", "b.mrc")
    with begin(tmp_path / "s", [mics]) as session:
        session.exclude("a")
        assert [m.id for m in session.encode(detector).encoded] == [1]
        session.include("a")
        assert [m.id for m in session.encode(detector).encoded] == [0]
        assert session.pool.micrograph[0] == 1  # rows stay where they are
        assert session.pool.micrograph[-1] == 0
        assert session.propose(4)


def test_another_model_is_refused(tmp_path: Path, detector: Detector) -> None:
    refs, _ = find_micrographs([DEMO])
    settings = SessionSettings(diameter=DIAMETER, model_sha256="f" * 64)
    with Session.create(tmp_path / "s", settings, refs) as session:
        with pytest.raises(InputError, match="not the one that the session began with"):
            session.encode(detector)
        assert session.status().micrographs["waiting"] == 1


def test_placed_particles_are_described_when_training(tmp_path: Path, detector: Detector) -> None:
    """Clicked before anything is encoded: they are learnt from all the same."""
    mics = copies(tmp_path / "mics", "a.mrc")
    with begin(tmp_path / "s", [mics]) as session:
        clicks = [(300.0, 310.0), (200.0, 120.0), (350.0, 100.0)]
        session.answer_many([Answer("add", micrograph="a", xy=xy) for xy in clicks])
        session.encode(detector)
        version = session.train(detector)
        assert version.positives == 3
        assert version.remarks == ""
        pool = session.pool
        here = np.hypot(*(pool.xy[:-3] - pool.xy[-3]).T).min()
        assert here > 0  # a place of its own
    with Session.open(tmp_path / "s") as session:
        assert np.array_equal(session.pool.latents[-3:], pool.latents[-3:])
        (mics / "a.mrc").unlink()
        session.add("a", 110.0, 310.0)
        version = session.train(detector)
        assert version.positives in (3, 4)  # 4 if it lies on a candidate
        assert "relink" in version.remarks or version.positives == 4
        table = session.picks(0.99).table
        assert {(300.0, 310.0), (110.0, 310.0)} <= set(zip(table["x"], table["y"], strict=True))


def test_the_micrograph_is_read_as_it_was_encoded(tmp_path: Path, detector: Detector) -> None:
    mics = copies(tmp_path / "mics", "a.mrc")
    with begin(tmp_path / "s", [mics]) as session:
        session.encode(detector)
        micrograph = session.micrograph("a")
        assert micrograph.shape == session.micrographs[0].shape
        assert micrograph.pixel_size == session.micrographs[0].pixel_size
        os.utime(mics / "a.mrc", (5, 5))
        session.micrograph(0)
    with Session.open(tmp_path / "s") as session:  # the new time is known: no need to read again
        assert session.micrographs[0].mtime_ns == 5 * 10**9
