"""The command line as a user meets it."""

import subprocess
import sys
from types import SimpleNamespace

import mrcfile
import numpy as np
import pytest
from typer.testing import CliRunner

import cryomae.batch.engine
import cryomae.pick
from cryomae.batch import Engine
from cryomae.cli import app
from cryomae.formats import read_picks
from cryomae.io import read_micrograph
from cryomae.picks import Picks


@pytest.fixture
def cryomae_command(monkeypatch, tmp_path):
    """Run the command in an empty folder with a picker that needs no weights."""
    detector = SimpleNamespace(name="fake", sha256="ab" * 32, device="cpu", shown=False)

    def pick(micrograph, detector, settings):
        if micrograph.path.name == "crash.mrc":
            raise ValueError("a fault of the program")
        picks = Picks.from_arrays(micrograph.name, [[30, 20], [9, 8]], [0.9, 0.3], 100, "fake")
        image = np.zeros((64, 64), dtype=np.float32)
        return SimpleNamespace(
            candidates=picks, image=image, valid=image == 0, spacing=(2.0, 2.0), seconds={}
        )

    def choose(scores):
        return SimpleNamespace(value=0.5, explanation="Chosen by the test.")

    engine = Engine(read_micrograph, pick, choose)
    monkeypatch.setattr(cryomae.pick, "load_detector", lambda model, device: detector)
    monkeypatch.setattr("cryomae.batch.run.default_engine", lambda shown: engine)
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, list(words))


def micrograph(path, pixel_size=1.5):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).normal(size=(128, 128)).astype(np.float32)
    with mrcfile.new(path) as file:
        file.set_data(pixels)
        file.voxel_size = pixel_size
    return path


def test_pick_writes_and_says_where(cryomae_command, tmp_path):
    micrograph(tmp_path / "mics/a.mrc")
    micrograph(tmp_path / "mics/b.mrc")
    done = cryomae_command("pick", "mics", "--diameter", "100")
    assert done.exit_code == 0, done.output
    assert "2 picks in 2 micrographs" in done.output
    assert "Chosen by the test." in done.output
    assert "cryomae_picks/autopick.star" in done.output
    assert "[2/2] mics/b.mrc: 2 candidates" in done.output
    assert len(read_picks(tmp_path / "cryomae_picks/picks/mics/a_cryomae.star")) == 1
    assert "scored in an earlier run" in cryomae_command("pick", "mics", "--diameter=100").output


def test_failures_end_in_a_table_and_exit_code_1(cryomae_command, tmp_path):
    micrograph(tmp_path / "mics/a.mrc")
    (tmp_path / "mics/b.mrc").write_bytes(b"short")
    done = cryomae_command("pick", "mics", "gone.mrc", "--diameter", "100", "--no-preview")
    assert done.exit_code == 1
    assert "1 picks in 1 micrograph, 2 failed" in done.output.replace("1 pick in", "1 picks in")
    for words in ("cause", "remedy", "mics/b.mrc", "gone.mrc"):
        assert words in done.output


def test_a_crash_in_one_micrograph_goes_to_the_log(cryomae_command, tmp_path):
    micrograph(tmp_path / "a.mrc")
    micrograph(tmp_path / "crash.mrc")
    done = cryomae_command("pick", "a.mrc", "crash.mrc", "--diameter", "100", "--no-preview")
    assert done.exit_code == 1
    assert "Traceback" not in done.output
    log = (tmp_path / "cryomae_picks/run.log").read_text()
    assert "Traceback" in log
    assert "a fault of the program" in log


def test_an_unexpected_error_is_one_line(cryomae_command, tmp_path, monkeypatch):
    def crash(model, device):
        raise RuntimeError("driver trouble")

    monkeypatch.setattr(cryomae.pick, "load_detector", crash)
    micrograph(tmp_path / "a.mrc")
    done = cryomae_command("pick", "a.mrc", "--diameter", "100")
    assert done.exit_code == 1
    assert "unexpected RuntimeError: driver trouble" in done.output
    assert "Traceback" not in done.output
    assert "Traceback" in (tmp_path / "cryomae_picks/run.log").read_text()


@pytest.mark.parametrize(
    "words",
    [
        ["pick"],
        ["pick", "a.mrc"],
        ["pick", "a.mrc", "--diameter", "0"],
        ["pick", "a.mrc", "--diameter", "nan"],
        ["pick", "a.mrc", "--diameter", "big"],
        ["pick", "a.mrc", "--diameter", "100", "--threshold", "2"],
        ["pick", "a.mrc", "--diameter", "100", "--max-picks", "0"],
        ["pick", "a.mrc", "--diameter", "100", "--min-distance", "-1"],
        ["pick", "a.mrc", "--diameter", "100", "--pixel-size", "0"],
        ["pick", "@gone.txt", "--diameter", "100"],
        ["sing"],
    ],
)
def test_usage_errors_end_with_2(cryomae_command, tmp_path, words):
    micrograph(tmp_path / "a.mrc")
    done = cryomae_command(*words)
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    assert not (tmp_path / "cryomae_picks").exists()


def test_other_settings_name_the_remedy(cryomae_command, tmp_path):
    micrograph(tmp_path / "a.mrc")
    cryomae_command("pick", "a.mrc", "--diameter", "100", "--no-preview")
    done = cryomae_command("pick", "a.mrc", "--diameter", "150", "--no-preview")
    assert done.exit_code == 2
    assert "--overwrite" in done.output
    assert cryomae_command("pick", "a.mrc", "--diameter=150", "--overwrite").exit_code == 0


def test_nothing_found(cryomae_command, tmp_path):
    done = cryomae_command("pick", "gone.mrc", "--diameter", "100")
    assert done.exit_code == 1
    assert "no such file" in done.output
    assert not (tmp_path / "cryomae_picks").exists()


def test_dry_run(cryomae_command, tmp_path):
    micrograph(tmp_path / "a.mrc")
    done = cryomae_command("pick", "a.mrc", "--diameter", "100", "--dry-run")
    assert done.exit_code == 0
    assert "1 micrographs to score" in done.output
    assert not (tmp_path / "cryomae_picks").exists()


def test_names_of_a_star_file_are_copied(cryomae_command, tmp_path):
    micrograph(tmp_path / "MotionCorr/job002/mics/a.mrc", pixel_size=0)
    (tmp_path / "mics.star").write_text(
        "data_optics\n\nloop_\n_rlnOpticsGroup #1\n_rlnMicrographPixelSize #2\n1 1.25\n\n\n"
        "data_micrographs\n\nloop_\n_rlnMicrographName #1\n_rlnOpticsGroup #2\n"
        "MotionCorr/job002/mics/a.mrc 1\n\n"
    )
    done = cryomae_command("pick", "mics.star", "--diameter", "100", "-o", "Picks", "--no-preview")
    assert done.exit_code == 0, done.output
    assert (
        "MotionCorr/job002/mics/a.mrc Picks/picks/mics/a_cryomae.star"
        in (tmp_path / "Picks/autopick.star").read_text()
    )
    assert (tmp_path / "Picks/picks/coords_suffix_cryomae.star").read_text() == "mics.star\n"
    assert "1.2500,star" in (tmp_path / "Picks/summary.csv").read_text()


def test_info(cryomae_command, tmp_path):
    micrograph(tmp_path / "a.mrc")
    done = cryomae_command("info", "a.mrc")
    assert done.exit_code == 0
    assert "128 × 128" in done.output
    assert "1.5 Å" in done.output
    assert cryomae_command("info", "a.mrc", "gone.mrc").exit_code == 1


def test_version_and_help_name_every_option(cryomae_command):
    assert cryomae_command("--version").output.startswith("cryomae ")
    text = cryomae_command("pick", "--help").output
    for option in ("--diameter", "--threshold", "--min-distance", "--pixel-size", "--overwrite"):
        assert option in text
    assert "cryomae pick micrographs/ --diameter 180" in text


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from cryomae.cli import app; app(['pick', '--help'], standalone_mode=False);"
        "print('HEAVY', {'torch', 'numpy', 'pandas', 'scipy', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY set()"
