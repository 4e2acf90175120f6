"""A batch: what lands where, what is skipped, what survives trouble."""

import csv
import os
import shutil
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import starfile
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cryomae.atomic import OutputError, atomic_path, write_text
from cryomae.batch import Engine, run_pick
from cryomae.batch.layout import output_stems
from cryomae.batch.ledger import LedgerWriter, read_ledger
from cryomae.batch.live import Live
from cryomae.errors import InputError, MicrographError
from cryomae.formats import read_picks
from cryomae.micrograph import Micrograph, MicrographRef
from cryomae.picks import Picks
from cryomae.settings import PickSettings

SHAPE = (90, 130)
SCORES = (0.9, 0.8, 0.4, 0.1)
XY = ((10.4, 20.6), (60.5, 40.5), (-3.0, 200.0), (129.9, 1.2))


@dataclass
class FakeDetector:
    name: str = "fake"
    sha256: str = "ab" * 32
    device: str = "cpu (float32)"
    shown: bool = False


@dataclass(frozen=True)
class FakePicked:
    candidates: Picks
    image: np.ndarray
    valid: np.ndarray
    spacing: tuple[float, float]
    seconds: dict[str, float]


@dataclass(frozen=True)
class FakeThreshold:
    value: float
    explanation: str


class FakeWork:
    """Stands in for reader, picker and threshold; counts what it is asked."""

    def __init__(self) -> None:
        self.scored: list[str] = []
        self.seen: list[np.ndarray] = []
        self.trouble: dict[str, BaseException] = {}

    def read(self, ref, pixel_size):
        self.scored.append(ref.name)
        if ref.name in self.trouble:
            raise self.trouble[ref.name]
        pixels = np.zeros(SHAPE, dtype=np.float32)
        source = "option" if pixel_size else "header"
        return Micrograph(ref.name, ref.path, pixels, pixel_size or 1.5, source)

    def pick(self, micrograph, detector, settings):
        picks = Picks.from_arrays(micrograph.name, XY, SCORES, settings.diameter, detector.name)
        image = np.random.default_rng(0).normal(size=(45, 65)).astype(np.float32)
        valid = np.ones((45, 65), dtype=bool)
        valid[:9] = False
        return FakePicked(picks, image, valid, (2.0, 2.0), {"score": 0.1})

    def threshold(self, scores):
        self.seen = list(scores)
        return FakeThreshold(0.5, "Chosen by the test.")

    @property
    def engine(self) -> Engine:
        return Engine(self.read, self.pick, self.threshold)


@pytest.fixture
def work() -> FakeWork:
    return FakeWork()


@pytest.fixture
def refs(tmp_path: Path) -> list[MicrographRef]:
    found = []
    for name in ("a.mrc", "b.mrc", "c.mrc"):
        path = tmp_path / name
        path.write_bytes(b"not read by the fake")
        found.append(MicrographRef(f"MotionCorr/job002/mics/{name}", path))
    return found


@pytest.fixture
def go(tmp_path, work, refs):
    def run(settings=None, **options):
        chosen = options.pop("refs", refs)
        return run_pick(
            chosen,
            options.pop("failures", []),
            tmp_path / "out",
            settings or PickSettings(diameter=100),
            detector=options.pop("detector", FakeDetector()),
            engine=work.engine,
            preview=options.pop("preview", False),
            **options,
        )

    return run


def test_outputs_lie_where_relion_looks(go, tmp_path):
    result = go(preview=True)
    out = tmp_path / "out"
    assert [o.picks for o in result.outcomes] == [2, 2, 2]
    for kind, count in (("picks", 2), ("candidates", 4)):
        assert len(read_picks(out / kind / "mics" / "a_cryomae.star")) == count
    listed = starfile.read(out / "autopick.star")
    assert listed["rlnMicrographName"].tolist() == [
        f"MotionCorr/job002/mics/{n}.mrc" for n in "abc"
    ]
    assert all(Path(p).is_file() for p in listed["rlnMicrographCoordinates"])
    together = starfile.read(out / "all_picks.star")
    assert together["rlnMicrographName"].tolist() == ["a.mrc"] * 2 + ["b.mrc"] * 2 + ["c.mrc"] * 2
    for name in ("config.yaml", "run.log", "summary.csv", "summary.html", "previews/mics/a.png"):
        assert (out / name).stat().st_size > 0


def test_list_is_relative_to_the_project(go, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    go(micrographs_star=tmp_path / "CtfFind/job003/micrographs_ctf.star")
    listed = starfile.read("out/autopick.star")["rlnMicrographCoordinates"].tolist()
    assert listed[0] == "out/picks/mics/a_cryomae.star"
    one_line = Path("out/picks/coords_suffix_cryomae.star").read_text()
    assert one_line == "CtfFind/job003/micrographs_ctf.star\n"


def test_candidates_stay_inside_the_micrograph(go, tmp_path):
    go()
    picks = read_picks(tmp_path / "out/candidates/mics/a_cryomae.star")
    assert picks.xy.tolist() == [[10, 21], [61, 41], [0, 89], [129, 1]]


def test_rerun_scores_nothing_and_threshold_is_free(go, work, tmp_path):
    go(preview=True)
    assert len(work.scored) == 3
    picture = tmp_path / "out/previews/mics/a.png"
    before = picture.stat().st_mtime_ns
    again = go(preview=True)
    assert len(work.scored) == 3
    assert {o.status for o in again.outcomes} == {"kept"}
    assert picture.stat().st_mtime_ns == before
    strict = go(PickSettings(diameter=100, threshold=0.85), preview=True)
    assert len(work.scored) == 3
    assert strict.picks == 3
    assert strict.threshold == 0.85
    assert picture.stat().st_mtime_ns > before


def test_threshold_sees_the_whole_data_set(go, work, refs):
    go(refs=refs[:2])
    go()
    assert [len(s) for s in work.seen] == [4, 4, 4]
    assert len(work.scored) == 3


def test_max_picks_keeps_the_best(go, tmp_path):
    go(PickSettings(diameter=100, threshold=0.0, max_picks=3))
    picks = read_picks(tmp_path / "out/picks/mics/a_cryomae.star")
    assert picks.score.tolist() == [0.9, 0.8, 0.4]


def test_changed_micrograph_is_scored_again(go, work, refs):
    go()
    refs[1].path.write_bytes(b"motion-corrected once more")
    go()
    assert work.scored[3:] == [refs[1].name]


def test_changed_pixel_size_in_the_list_is_scored_again(go, work, refs):
    go()
    go(refs=[refs[0], MicrographRef(refs[1].name, refs[1].path, pixel_size=2.0)])
    assert work.scored[3:] == [refs[1].name]


def test_half_written_candidates_are_scored_again(go, work, tmp_path, refs):
    go()
    (tmp_path / "out/candidates/mics/a_cryomae.star").unlink()
    half = tmp_path / "out/candidates/mics/c_cryomae.star"
    half.write_text(half.read_text()[:-20])
    go()
    assert work.scored[3:] == [refs[0].name, refs[2].name]


def test_damaged_files_of_an_earlier_run_do_no_harm(go, work, tmp_path, refs):
    go(preview=True)
    (tmp_path / "out/candidates/mics/a_cryomae.star").write_bytes(b"")
    (tmp_path / "out/previews/.thumbs/mics/b.png").write_bytes(b"")
    (tmp_path / "out/previews/mics/c.png").write_bytes(b"")
    result = go(preview=True)
    assert [o.status for o in result.outcomes] == ["picked", "kept", "kept"]
    assert [o.preview_file is None for o in result.outcomes] == [False, True, False]
    assert (tmp_path / "out/previews/mics/c.png").stat().st_size > 0


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"settings": PickSettings(diameter=120)}, "--diameter: 100 before, 120 now"),
        ({"settings": PickSettings(diameter=100, min_distance=70)}, "--min-distance"),
        ({"pixel_size": 2.0}, "--pixel-size: none before, 2 now"),
        ({"detector": FakeDetector(sha256="cd" * 32)}, "the model"),
    ],
)
def test_other_settings_are_refused_until_overwrite(go, work, change, word):
    go()
    with pytest.raises(InputError, match="other settings") as caught:
        go(**change)
    assert word in str(caught.value)
    assert "--overwrite" in str(caught.value)
    assert len(work.scored) == 3
    go(**change, overwrite=True)
    assert len(work.scored) == 6
    go(**change)
    assert len(work.scored) == 6


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (MicrographError("is truncated", "copy it again"), "is truncated"),
        (MemoryError(), "not enough memory"),
        (OSError(5, "Input/output error"), "Input/output error"),
        (ZeroDivisionError("oops"), "unexpected ZeroDivisionError: oops"),
    ],
)
def test_one_failure_leaves_the_others(go, work, refs, tmp_path, error, cause):
    work.trouble[refs[1].name] = error
    missing = MicrographError("no such file", "check the name", "gone.mrc")
    result = go(failures=[missing])
    assert [o.status for o in result.outcomes] == ["picked", "failed", "picked", "failed"]
    assert cause in result.outcomes[1].cause
    assert result.outcomes[1].remedy
    assert len(starfile.read(tmp_path / "out/autopick.star")) == 2
    with open(tmp_path / "out/summary.csv", newline="") as file:
        rows = {row["micrograph"]: row for row in csv.DictReader(file)}
    assert rows["gone.mrc"]["cause"] == "no such file"
    assert cause in rows[refs[1].name]["cause"]
    assert cause in (tmp_path / "out/run.log").read_text()
    work.trouble.clear()
    assert [o.status for o in go().outcomes] == ["kept", "picked", "kept"]


def test_half_written_files_of_a_killed_process_are_removed(go, work, tmp_path, refs):
    folder = tmp_path / "out/candidates/mics"
    folder.mkdir(parents=True)
    left = folder / ".b_cryomae.0123456789ab.star"
    other = folder / ".b_cryomae.notes.star"
    for path in (left, other):
        path.write_text("half")
    LedgerWriter(tmp_path / "out/ledger").begin(refs[1].name)
    assert len(go().done) == 3
    assert not left.exists()
    assert other.exists()


def test_everything_fails(go, work, refs, tmp_path):
    work.trouble = {ref.name: MicrographError("is empty", "delete it") for ref in refs}
    result = go()
    assert result.threshold is None
    assert len(result.failed) == 3
    assert "is empty" in (tmp_path / "out/summary.html").read_text()


def test_ctrl_c_keeps_what_is_done(go, work, refs, tmp_path):
    work.trouble[refs[2].name] = KeyboardInterrupt()
    result = go()
    assert result.interrupted
    assert [o.status for o in result.outcomes] == ["picked", "picked", "not reached"]
    assert len(starfile.read(tmp_path / "out/autopick.star")) == 2
    assert yaml.safe_load((tmp_path / "out/config.yaml").read_text())["complete"] is False
    assert "Stopped" in (tmp_path / "out/summary.html").read_text()
    work.trouble.clear()
    assert [o.status for o in go().outcomes] == ["kept", "kept", "picked"]
    assert work.scored.count(refs[0].name) == 1


def test_dry_run_writes_nothing(go, work, tmp_path):
    result = go(dry_run=True)
    assert [o.status for o in result.outcomes] == ["not reached"] * 3
    assert work.scored == []
    assert not (tmp_path / "out").exists()


def test_config_says_how_the_picks_were_made(go, tmp_path):
    go(command=["cryomae", "pick", "x"])
    config = yaml.safe_load((tmp_path / "out/config.yaml").read_text())
    assert config["command"] == ["cryomae", "pick", "x"]
    assert config["settings"]["diameter"] == 100
    assert config["settings"]["min_distance"] == 50
    assert config["model"] == {"name": "fake", "sha256": "ab" * 32}
    assert config["threshold"] == {"value": 0.5, "explanation": "Chosen by the test."}
    assert config["pixel_sizes_used"] == [{"pixel_size": 1.5, "from": "header", "micrographs": 3}]


def test_progress_counts_every_micrograph(go, work, refs):
    work.trouble[refs[1].name] = MicrographError("is empty", "delete it")
    steps = []
    go(on_progress=steps.append)
    assert [(s.done, s.status) for s in steps] == [
        (0, "start"),
        (1, "picked"),
        (2, "failed"),
        (3, "picked"),
    ]
    assert steps[-1].picks == 4


@pytest.fixture
def pages(monkeypatch):
    """A page after every micrograph."""
    for name, value in (("FIRST", 0.0), ("EVERY", 0.0), ("SHARE", 1.0)):
        monkeypatch.setattr(f"cryomae.batch.live.{name}", value)
    return monkeypatch


def test_pages_on_the_way_change_no_result(go, work, refs, tmp_path, pages):
    work.trouble[refs[1].name] = MicrographError("is empty", "delete it")
    path, seen = tmp_path / "out/summary.html", []
    go(preview=True, on_progress=lambda step: seen.append(path.exists() and path.read_text()))
    assert seen[:2] == [False, False]
    assert "Picking: 1 of 3 micrographs, 33 %." in seen[2]
    assert "Picking: 2 of 3 micrographs, 66 %." in seen[3]
    assert seen[3].count("is empty") == 2
    last = path.read_text()
    assert "Finished" in last
    assert "Picking" not in last
    stars = {p: p.read_bytes() for p in tmp_path.glob("out/**/*.star")}
    pictures = {p: p.read_bytes() for p in tmp_path.glob("out/previews/mics/*.png")}
    shutil.rmtree(tmp_path / "out")
    pages.undo()
    go(preview=True)
    assert {p: p.read_bytes() for p in tmp_path.glob("out/**/*.star")} == stars
    assert len(pictures) == 2
    for path, picture in pictures.items():
        with Image.open(path) as now, Image.open(BytesIO(picture)) as then:
            assert np.array_equal(np.asarray(now), np.asarray(then))


def test_a_page_that_cannot_be_written_stops_nothing(go, tmp_path, pages, monkeypatch):
    def fail(*_):
        monkeypatch.undo()
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("cryomae.batch.live.write_page", fail)
    assert len(go().done) == 3
    assert "Input/output error" in (tmp_path / "out/run.log").read_text()
    assert "Finished" in (tmp_path / "out/summary.html").read_text()


def test_pages_take_little_of_the_time(monkeypatch):
    """One that takes long to write is written less often."""
    now = [100.0]
    monkeypatch.setattr("cryomae.batch.live.time.monotonic", lambda: now[0])
    live, written = Live(), []
    while now[0] < 1100:
        now[0] += 1
        if live.due:
            written.append(now[0])
            now[0] += 6
            live.rest(6)
    assert written == [130, 330, 530, 730, 930]  # 6 s are 3 per cent of 200


def test_no_preview(go, tmp_path):
    go(preview=False)
    assert not (tmp_path / "out/previews").exists()
    assert "--no-preview" in " ".join(go(preview=True).notes)


def test_many_micrographs_get_some_previews(go, refs, tmp_path, monkeypatch):
    monkeypatch.setattr("cryomae.batch.plan.PREVIEW_LIMIT", 2)
    go(preview=True)
    assert {p.name for p in (tmp_path / "out/previews/mics").glob("*.png")} == {"a.png", "c.png"}


def test_full_disk_is_said_in_one_line(go, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device") as caught:
        go()
    assert "run the same command again" in caught.value.remedy


def test_file_in_the_place_of_the_folder(go, tmp_path):
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        go()


def test_atomic_path_leaves_the_old_file_after_an_error(tmp_path):
    target = tmp_path / "x.star"
    write_text(target, "old")

    def fail():
        with atomic_path(target) as part:
            part.write_text("half")
            raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        fail()
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.star"]


def test_the_ledger_comes_last(go, tmp_path, monkeypatch, refs):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("cryomae.batch.unit.save_thumbnail", stop)
    result = go(preview=True)
    assert result.outcomes[0].status == "not reached"
    assert read_ledger(tmp_path / "out/ledger").of(refs[0].name).event == "stopped"
    monkeypatch.undo()
    go()
    history = read_ledger(tmp_path / "out/ledger").of(refs[0].name)
    assert [r.shape for r in history.records.values()] == [SHAPE]
    assert (history.attempts, history.deaths) == (2, 0)


@pytest.mark.parametrize(
    ("names", "stems"),
    [
        (["mics/a.mrc", "mics/b.mrc"], ["mics/a", "mics/b"]),
        (["MotionCorr/job002/mics/a.mrc"], ["mics/a"]),
        (["/p/MotionCorr/job002/mics/a.mrc"], ["mics/a"]),
        (["/data/g1/a.mrc", "/data/g2/a.mrc"], ["g1/a", "g2/a"]),
        (["/data/a.mrc", "/data/b.mrc.gz"], ["a", "b"]),
        (["a.mrc", "a.tif"], ["a_mrc", "a_tif"]),
        (["J/job001/a.mrc", "J/job002/a.mrc"], ["J/job001/a", "J/job002/a"]),
        (["x/FoilHole_1.2.mrc"], ["x/FoilHole_1.2"]),
    ],
)
def test_folders_follow_relion(names, stems):
    assert [str(output_stems(names)[name]) for name in names] == stems


def test_folders_above_do_not_lead_out_of_the_output(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [str(s) for s in output_stems(["../m/a.mrc", "../n/a.mrc"]).values()] == ["m/a", "n/a"]


def test_files_stay_where_they_are_when_micrographs_are_added(go, work, tmp_path):
    paths = [tmp_path / folder / "a.mrc" for folder in ("first", "second")]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(b"x")
    both = [MicrographRef(str(path), path) for path in paths]
    go(refs=both[:1])
    result = go(refs=both)
    assert work.scored == [ref.name for ref in both]
    assert result.outcomes[0].picks_file == tmp_path / "out/picks/a_cryomae.star"
    assert len({o.picks_file for o in result.outcomes}) == 2


_part = st.sampled_from(["a", "b", "job001", "Import", ".."])
_name = st.builds(
    lambda root, parts, stem, end: root + "/".join([*parts, stem]) + end,
    st.sampled_from(["", "/", "./"]),
    st.lists(_part, max_size=3),
    st.sampled_from(["x", "y", "x_1"]),
    st.sampled_from([".mrc", ".tif", ".mrc.gz", ".mrc.bz2"]),
)


@given(st.lists(_name, min_size=1, max_size=8, unique_by=os.path.abspath))
def test_two_micrographs_never_share_a_file(names):
    stems = list(output_stems(names).values())
    assert len(set(stems)) == len(names)
    assert not any(stem.is_absolute() or ".." in stem.parts for stem in stems)
