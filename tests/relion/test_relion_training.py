"""Few-shot training as an External job: which exemplars it is given, and what it leaves."""

import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import mrcfile
import numpy as np
import pytest
import starfile
from PIL import Image
from relion_project import JOB, PLACES, STAR

from cryomae.relion.train import run
from cryomae.train.exemplars import read_exemplars

A, B = "MotionCorr/job002/grid1/a.mrc", "MotionCorr/job002/grid1/b.mrc"
MANUAL = Path("ManualPick/job004")
GIVEN = {A: PLACES[A], B: PLACES[B]}


class Trainer:
    """Reads the exemplars as training does, and writes what it would, at once."""

    def __init__(self):
        self.found = {}

    def __call__(self, named, folder, *, settings, device, overwrite, command, on_progress):
        parts, _ = read_exemplars(named.exemplars, named.inputs, named.diameter)
        for part in parts:
            places = np.rint(part.xy * part.working.spacing[::-1]).astype(int)
            self.found[part.name] = sorted(map(tuple, places.tolist()))
        on_progress(1, 2)
        count = sum(map(len, self.found.values()))
        (folder / "model.safetensors").write_bytes(b"weights")
        Image.new("RGB", (60, 40)).save(folder / "exemplars.png")
        scores = np.linspace(0.2, 0.9, count)
        return SimpleNamespace(
            adapted=SimpleNamespace(helped=True, before=scores, after=scores + 0.05),
            card=SimpleNamespace(data=f"{count} exemplars in a, b"),
            remarks=["a remark"],
        )


@pytest.fixture
def train(project):
    project.write_star([A, B])  # names are matched by stem
    trainer = Trainer()

    def job(*words, diameter="20"):
        return run(["--o", JOB, *words, "--diameter", diameter, "--j", "1"], train=trainer)

    job.trainer, job.project = trainer, project
    return job


def coordinates(places):
    rows = "\n".join(f"{x} {y}" for x, y in places)
    return (
        f"\n# version 30001\n\ndata_\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n{rows}\n\n"
    )


def pick_by_hand():
    """Leave what RELION's manual picking leaves below the job folder."""
    for name, places in GIVEN.items():
        file = MANUAL / "grid1" / f"{Path(name).stem}_manualpick.star"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(coordinates(places))


def expected():
    return {Path(name).stem: sorted(places) for name, places in GIVEN.items()}


def manual_picks_of_relion_31():
    pick_by_hand()
    (MANUAL / "coords_suffix_manualpick.star").write_text(f"{STAR}\n")
    return ["--in_coords", str(MANUAL / "coords_suffix_manualpick.star")]


def manual_picks_of_relion_5():
    pick_by_hand()
    rows = "\n".join(f"{n} {MANUAL}/grid1/{Path(n).stem}_manualpick.star" for n in GIVEN)
    (MANUAL / "manualpick.star").write_text(
        "\n# version 50001\n\ndata_coordinate_files\n\nloop_\n_rlnMicrographName #1\n"
        f"_rlnMicrographCoordinates #2\n{rows}\n\n"
    )
    return ["--in_coords", str(MANUAL / "manualpick.star"), "--in_mics", STAR]


def particles(places_of):
    """A particles STAR file as the Select job writes it."""
    rows = [
        f"{x:.6f} {y:.6f} {number:06d}@Extract/job007/grid1/{Path(name).stem}.mrcs {name} 1"
        for name, places in places_of.items()
        for number, (x, y) in enumerate(places, 1)
    ]
    path = Path("Select/job010/particles.star")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "\n# version 30001\n\ndata_optics\n\nloop_\n_rlnOpticsGroupName #1\n_rlnOpticsGroup #2\n"
        "_rlnMicrographOriginalPixelSize #3\n_rlnImagePixelSize #4\n_rlnImageSize #5\n"
        "opticsGroup1 1 1.5 3.0 64\n\n\n# version 30001\n\ndata_particles\n\nloop_\n"
        "_rlnCoordinateX #1\n_rlnCoordinateY #2\n_rlnImageName #3\n_rlnMicrographName #4\n"
        "_rlnOpticsGroup #5\n" + "\n".join(rows) + "\n\n"
    )
    return ["--in_parts", str(path), "--in_mics", STAR]


@pytest.mark.parametrize(
    "inputs",
    [manual_picks_of_relion_31, manual_picks_of_relion_5, lambda: particles(GIVEN)],
    ids=["coords_suffix", "manualpick.star", "particles.star"],
)
def test_exemplars_are_found_where_they_were_picked(train, inputs):
    assert train(*inputs()) == 0
    assert train.trainer.found == expected()


def test_the_job_leaves_a_model_a_log_and_its_marker(train, pages, capsys):
    Path(JOB).mkdir(parents=True)
    Path(JOB, "job.star").write_text("# version 50001\ndata_job\n_rlnJobTypeLabel relion.external")
    train(*manual_picks_of_relion_5())
    assert train.project.markers() == ["RELION_JOB_EXIT_SUCCESS"]
    assert pages(f"{JOB}logfile.pdf") == 2
    nodes = Path(JOB, "RELION_OUTPUT_NODES.star").read_text()
    assert f"{JOB}logfile.pdf LogFile.pdf.relion" in nodes
    assert f"{JOB}model.safetensors" in capsys.readouterr().out


def test_of_thousands_of_particles_a_hundred_true_places_are_used(train, capsys):
    rng = np.random.default_rng(0)
    many = {name: [tuple(xy) for xy in rng.integers(40, 216, (700, 2)).tolist()] for name in GIVEN}
    assert train(*particles(many)) == 0
    assert "1,400 exemplars 100 in 2 micrographs" in capsys.readouterr().out
    found = train.trainer.found
    assert {name: len(xy) for name, xy in found.items()} == {"a": 50, "b": 50}
    for name in GIVEN:
        assert set(found[Path(name).stem]) <= set(many[name])


def test_abort_stops_training_and_leaves_no_model(train):
    words = manual_picks_of_relion_5()
    told = []

    def aborting(*args, on_progress, **kwargs):
        Path(JOB, "RELION_JOB_ABORT_NOW").touch()
        on_progress(1, 80)
        told.append("went on")

    assert run(["--o", JOB, *words, "--diameter", "20"], train=aborting) != 0
    assert told == []
    assert train.project.markers() == ["RELION_JOB_EXIT_ABORTED"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "in_coords"),
        (["--in_coords", "ManualPick/job099/manualpick.star"], "no such file"),
        (["--in_coords", STAR, "--threshold", "0.3"], "Known are"),
    ],
)
def test_a_wrong_input_fails_the_job_and_says_why(train, capsys, words, said):
    assert train(*words) == 1
    assert said in capsys.readouterr().err
    assert train.project.markers() == ["RELION_JOB_EXIT_FAILURE"]


def test_a_model_is_replaced_only_with_overwrite(train, capsys):
    words = manual_picks_of_relion_5()
    train(*words)
    assert train(*words) == 1
    assert "the label overwrite" in capsys.readouterr().err
    assert train(*words, "--overwrite") == 0


@pytest.mark.slow
def test_a_model_trained_by_one_job_picks_in_the_next(project):
    """Both programs as RELION starts them, on the bundled micrograph."""
    data = Path(str(files("cryomae"))) / "data"
    truth = starfile.read(data / "demo_truth.star")[["rlnCoordinateX", "rlnCoordinateY"]]
    Path(A).write_bytes((data / "demo_micrograph.mrc").read_bytes())
    with mrcfile.open(A, "r+") as file:
        file.voxel_size = 3.0
    words = manual_picks_of_relion_31()
    Path(MANUAL, "grid1/b_manualpick.star").unlink()
    Path(MANUAL, "grid1/a_manualpick.star").write_text(
        coordinates(truth.iloc[:20].round().to_numpy().tolist())
    )
    project.write_star([A])
    star = Path(STAR).read_text().replace("1 1.5 300 2.7 0.1 1.5", "1 3.0 300 2.7 0.1 3.0")
    Path(STAR).write_text(star)

    def job(program, *words):
        command = [sys.executable, "-m", f"cryomae.relion.{program}", *words, "--diameter", "169"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    job("train", "--o", "External/job005/", *words)
    model = "External/job005/model.safetensors"
    job("pick", "--o", "External/job006/", "--in_mics", STAR, "--model", model)
    found = starfile.read("External/job006/picks/grid1/a_cryomae.star")
    xy = found[["rlnCoordinateX", "rlnCoordinateY"]].to_numpy(float)
    away = np.linalg.norm(xy[:, None] - truth.to_numpy()[None], axis=2).min(axis=1)
    assert (away < 169 / 3 / 2).mean() > 0.8
    assert len(xy) > 0.6 * len(truth)
