"""RELION itself extracts what cryomae wrote: the particle must sit in the box centre."""

import subprocess
from pathlib import Path
from types import SimpleNamespace

import mrcfile
import numpy as np
import pytest
import starfile
import tifffile

from cryomae.batch import Engine, run_pick
from cryomae.batch.result import Outcome, RunResult
from cryomae.io import find_micrographs, read_micrograph
from cryomae.picks import Picks
from cryomae.report.pace import Pace
from cryomae.report.summary import HISTOGRAM_BINS, Page, relion_commands
from cryomae.settings import PickSettings

pytestmark = pytest.mark.relion
BOX = 32
FOLDER = "MotionCorr/job002/mics"
STAR = "CtfFind/job003/micrographs_ctf.star"

# name, rows and columns, and where in the file's own array the particles are (row, column)
MICROGRAPHS = {
    "square.mrc": ((256, 256), [(40, 200), (128, 128)]),
    "wide_odd.mrc": ((201, 333), [(100, 311), (30, 17), (180, 166)]),
    "tall_odd.mrc": ((347, 255), [(20, 230), (330, 20)]),
    "float.tif": ((201, 332), [(30, 300), (171, 50)]),
    "sixteen_bit.tif": ((256, 311), [(60, 60), (200, 290)]),
}


@pytest.fixture
def relion(need_relion):
    """Run a RELION program."""

    def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)

    return run


def spots(pixels, places, height):
    """Add spots of one bright pixel with a dim, lopsided surrounding."""
    for row, column in places:
        pixels[row - 1 : row + 2, column - 1 : column + 3] += height // 4
        pixels[row, column] += height
    return pixels


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A RELION project with a motion-corrected micrograph of every kind."""
    (tmp_path / FOLDER).mkdir(parents=True)
    for name, (shape, places) in MICROGRAPHS.items():
        path = tmp_path / FOLDER / name
        if name == "sixteen_bit.tif":
            tifffile.imwrite(path, spots(np.full(shape, 50, np.uint16), places, 1000))
            continue
        pixels = spots(np.zeros(shape, dtype=np.float32), places, 1000)
        if path.suffix == ".tif":
            tifffile.imwrite(path, pixels)
            continue
        with mrcfile.new(path) as file:
            file.set_data(pixels)
            file.voxel_size = 1.0
    rows = "\n".join(f"{FOLDER}/{name} 1" for name in MICROGRAPHS)
    (tmp_path / STAR).parent.mkdir(parents=True)
    (tmp_path / STAR).write_text(
        "\n# version 30001\n\ndata_optics\n\nloop_\n_rlnOpticsGroupName #1\n_rlnOpticsGroup #2\n"
        "_rlnMicrographOriginalPixelSize #3\n_rlnVoltage #4\n_rlnSphericalAberration #5\n"
        "_rlnAmplitudeContrast #6\n_rlnMicrographPixelSize #7\n"
        "opticsGroup1 1 1.0 300 2.7 0.1 1.0\n\n\n# version 30001\n\ndata_micrographs\n\nloop_\n"
        f"_rlnMicrographName #1\n_rlnOpticsGroup #2\n{rows}\n\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bright_pixels(micrograph, detector, settings):
    """Stand in for the picker: find the brightest pixels of what cryomae has read."""
    rows, columns = np.nonzero(micrograph.pixels > micrograph.pixels.min() + 800)
    xy = np.column_stack([columns, rows]) + np.random.default_rng(0).uniform(-0.49, 0.49, (1, 2))
    picks = Picks.from_arrays(micrograph.name, xy, np.full(len(xy), 0.9), settings.diameter, "")
    return SimpleNamespace(
        candidates=picks,
        image=np.zeros((8, 8), np.float32),
        valid=np.ones((8, 8), bool),
        spacing=(1.0, 1.0),
        seconds={},
    )


def pick_all(pick=bright_pixels):
    refs, failures = find_micrographs([STAR])
    return run_pick(
        refs,
        failures,
        "Picks",
        PickSettings(diameter=20, threshold=0.1),
        detector=SimpleNamespace(name="bright", sha256="0" * 64, device="cpu", shown=False),
        engine=Engine(read_micrograph, pick, lambda scores: None),
        preview=False,
        micrographs_star=Path(STAR),
    )


def extract(relion, project, *more):
    words = ["relion_preprocess", "--i", STAR, "--coord_dir", "Picks/picks/"]
    words += ["--coord_suffix", "_cryomae.star", "--part_star", "Extract/particles.star"]
    words += ["--part_dir", "Extract/", "--extract", "--extract_size", str(BOX), *more]
    return relion(*words, cwd=project)


def test_particles_sit_in_the_box_centre(relion, project):
    result = pick_all()
    assert [o.picks for o in result.outcomes] == [len(p) for _, p in MICROGRAPHS.values()]
    done = extract(relion, project)
    assert done.returncode == 0, done.stderr
    particles = starfile.read(project / "Extract/particles.star")["particles"]
    assert len(particles) == result.picks
    assert set(particles["rlnMicrographName"]) == {f"{FOLDER}/{name}" for name in MICROGRAPHS}
    for name in MICROGRAPHS:
        with mrcfile.open(project / "Extract/mics" / Path(name).with_suffix(".mrcs")) as file:
            boxes = file.data.reshape(-1, BOX, BOX)
        for box in boxes:
            peak = np.unravel_index(np.argmax(box), box.shape)
            assert peak == (BOX // 2, BOX // 2), name


def test_picks_at_the_very_edge_do_not_stop_the_extraction(relion, project):
    def corners(micrograph, detector, settings):
        picked = bright_pixels(micrograph, detector, settings)
        ny, nx = micrograph.shape
        xy = [[-40, -40], [nx + 60, 10], [nx - 0.5, ny - 0.5], [0, ny]]
        picked.candidates = Picks.from_arrays(micrograph.name, xy, [0.9] * 4, 20, "")
        return picked

    pick_all(corners)
    done = extract(relion, project)
    assert done.returncode == 0, done.stderr
    assert len(starfile.read(project / "Extract/particles.star")["particles"]) == 20


def test_a_micrograph_without_picks_does_not_stop_the_extraction(relion, project):
    def some(micrograph, detector, settings):
        picked = bright_pixels(micrograph, detector, settings)
        if micrograph.name.endswith("square.mrc"):
            picked.candidates = picked.candidates.above(2)
        return picked

    pick_all(some)
    done = extract(relion, project)
    assert done.returncode == 0, done.stderr
    particles = starfile.read(project / "Extract/particles.star")["particles"]
    assert len(particles) == sum(len(p) for _, p in MICROGRAPHS.values()) - 2


def test_the_command_of_the_summary_page_runs(relion, project):
    pick_all()
    page = Page(
        result=RunResult(Path("Picks"), [Outcome("x", "picked")]),
        histogram=np.zeros(len(HISTOGRAM_BINS) - 1, dtype=int),
        settings=PickSettings(diameter=20),
        min_distance=10,
        model="",
        model_sha256="",
        device="",
        pixel_size=1.0,
        micrographs_star=STAR,
        output="Picks",
        pace=Pace("finished", 0.0, 1.0, done=1, failed=0, total=1, scored=1, per_hour=3600.0),
    )
    done = relion(*relion_commands(page)["old"].split(), cwd=project)
    assert done.returncode == 0, done.stderr
    assert (project / "Extract/cryomae/particles.star").is_file()


def test_relion_finds_the_folder_from_its_own_input_file(project):
    pick_all()
    assert Path("Picks/picks/coords_suffix_cryomae.star").read_text() == f"{STAR}\n"
    assert Path("Picks/picks/mics/square_cryomae.star").is_file()
