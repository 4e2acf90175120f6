"""An external job picks in a stand-in cryoSPARC through cryoSPARC's own client."""

from types import SimpleNamespace

import mrcfile
import numpy as np
import pytest
from cryosparc.dataset import Dataset
from cryosparc.tools import CryoSPARC
from stand_in import API, StandIn
from typer.testing import CliRunner

from cryomae.batch import Engine
from cryomae.cli import app
from cryomae.cryosparc import Source, run
from cryomae.errors import CryomaeError, InputError
from cryomae.io import read_micrograph
from cryomae.picks import Picks
from cryomae.settings import PickSettings

SHAPE = (200, 300)  # rows and columns
PLACES = {  # file, and x and y of its particles
    "J1/mics/001_a.mrc": [(40, 150), (200, 60)],
    "J1/mics/002_b.mrc": [(250, 30)],
}


def bright(micrograph, detector, settings):
    rows, columns = np.nonzero(micrograph.pixels > 500)
    xy = np.column_stack([columns, rows]).astype(float)
    scores = micrograph.pixels[rows, columns] / 1100
    return SimpleNamespace(
        candidates=Picks.from_arrays(micrograph.name, xy, scores, settings.diameter, ""),
        image=micrograph.pixels[::4, ::4],
        valid=np.ones(micrograph.pixels[::4, ::4].shape, bool),
        spacing=(4.0, 4.0),
        seconds={},
    )


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setattr("cryosparc.tools.API_SUFFIX", API)
    rng = np.random.default_rng(0)
    for name, places in PLACES.items():
        path = tmp_path / "P1" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.normal(0, 1, SHAPE).astype(np.float32)
        for x, y in places:
            pixels[y, x] = 1000 - x
        with mrcfile.new(path) as file:
            file.set_data(pixels)
            file.voxel_size = 1.0
    data = Dataset.allocate(
        len(PLACES),
        [
            ("micrograph_blob/path", "O"),
            ("micrograph_blob/shape", "u4", (2,)),
            ("micrograph_blob/psize_A", "f4"),
            ("mscope_params/exp_group_id", "u4"),
        ],
    )
    data["micrograph_blob/path"] = list(PLACES)
    data["micrograph_blob/shape"] = np.array([SHAPE] * len(PLACES), np.uint32)
    data["micrograph_blob/psize_A"] = 1.5
    data["mscope_params/exp_group_id"] = 7
    server = StandIn(tmp_path / "P1", data)
    yield server
    server.close()


def pick(server, tmp_path, *, source=None, diameter=30.0, **options):
    cs = CryoSPARC(server.url, email="ada@example.com", password="secret")
    engine = Engine(
        read_micrograph, bright, lambda scores: SimpleNamespace(value=0.4, explanation="So.")
    )
    detector = SimpleNamespace(name="bright", sha256="0" * 64, device="cpu")
    return run(
        cs,
        source or Source("P1", "W1", "J1"),
        tmp_path / "out",
        PickSettings(diameter=diameter),
        auto=False,
        load=lambda model, device: detector,
        say=lambda text: None,
        warn=lambda text: None,
        engine=engine,
        **options,
    )


def test_picks_arrive_where_the_particles_are_with_scores(server, tmp_path):
    pick(server, tmp_path)
    job = server.jobs["J2"]
    assert job["status"] == "completed"
    picks = server.saved["J2", "picks"]
    by_uid = dict(
        zip(server.exposures["uid"], server.exposures["micrograph_blob/path"], strict=True)
    )
    ny, nx = SHAPE
    found = {name: set() for name in PLACES}
    for row in picks.rows():
        name = by_uid[row["location/micrograph_uid"]]
        assert row["location/micrograph_path"] == name
        assert tuple(row["location/micrograph_shape"]) == SHAPE
        x, y = row["location/center_x_frac"] * nx, row["location/center_y_frac"] * ny
        found[name].add((round(x), round(y)))
        assert row["pick_stats/ncc_score"] == pytest.approx((1000 - x) / 1100, abs=1e-3)
    assert found == {name: set(places) for name, places in PLACES.items()}
    assert set(picks["location/exp_group_id"]) == {7}
    assert set(picks["location/micrograph_psize_A"]) == {1.5}
    assert set(picks["location/min_dist_A"]) == {15}
    assert any("3 picks" in line for line in server.log)


def test_micrographs_of_another_machine_are_downloaded_once(server, tmp_path):
    for _ in range(2):
        pick(server, tmp_path, project_folder=tmp_path / "not_mounted")
    assert len(server.saved["J2", "picks"]) == len(server.saved["J3", "picks"]) == 3
    assert server.asked.count("projects.download_file") == len(PLACES)


def test_one_bad_micrograph_leaves_the_others(server, tmp_path):
    (tmp_path / "P1/J1/mics/001_a.mrc").write_bytes(b"no micrograph")
    result = pick(server, tmp_path)
    assert len(result.failed) == 1
    assert len(server.saved["J2", "picks"]) == 1
    assert server.jobs["J2"]["status"] == "completed"
    assert any("001_a.mrc" in line for line in server.log)


def test_a_job_without_any_picked_micrograph_fails_and_says_why(server, tmp_path):
    for name in PLACES:
        (tmp_path / "P1" / name).write_bytes(b"no micrograph")
    assert len(pick(server, tmp_path).failed) == 2
    assert server.jobs["J2"]["status"] == "failed"
    assert server.jobs["J2"]["error"]
    assert not server.saved


def test_a_job_killed_in_cryosparc_stops_and_goes_on_when_run_again(server, tmp_path, monkeypatch):
    monkeypatch.setattr("cryomae.cryosparc.job._BETWEEN", 0.0)
    answer = server.answer

    def kill(name, *words):
        if name == "jobs.find_one" and any("[1/2]" in line for line in server.log):
            server.jobs["J2"]["status"] = "killed"
        return answer(name, *words)

    monkeypatch.setattr(server, "answer", kill)
    assert pick(server, tmp_path).interrupted
    assert server.jobs["J2"]["status"] == "killed"
    assert not server.saved
    monkeypatch.setattr(server, "answer", answer)
    result = pick(server, tmp_path)
    assert sum(outcome.status == "kept" for outcome in result.done) >= 1
    assert len(server.saved["J3", "picks"]) == 3


def test_movies_are_refused_by_name(server, tmp_path):
    server.exposures = Dataset.allocate(2, [("movie_blob/path", "O")])
    with pytest.raises(CryomaeError, match="micrograph_blob"):
        pick(server, tmp_path)
    assert server.jobs["J2"]["status"] == "failed"


@pytest.mark.parametrize(
    "source", [Source("P9", "W1", "J1"), Source("P1", "W1", "J9"), Source("P1", "W1", "J9", "mics")]
)
def test_jobs_that_are_not_there_are_named(server, tmp_path, source):
    with pytest.raises(CryomaeError, match="cryoSPARC refused"):
        pick(server, tmp_path, source=source)


def test_a_choice_of_outputs_is_the_users(server, tmp_path):
    outputs = server.jobs["J1"]["spec"]["outputs"]
    outputs["denoised"] = {"type": "exposure", "title": "Denoised"}
    with pytest.raises(InputError, match=r"denoised.*--from"):
        pick(server, tmp_path)
    pick(server, tmp_path, source=Source("P1", "W1", "J1", "exposures"))
    assert len(server.saved["J2", "picks"]) == 3


def test_without_a_login_the_command_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["cryosparc", "P1", "W1", "J1", "--diameter", "180", "--url", "http://127.0.0.1:9"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert "cryosparc.tools login" in done.output
