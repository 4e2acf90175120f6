"""``cryomae pick --diameter auto`` as a user meets it."""

from types import SimpleNamespace

import mrcfile
import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

import cryomae.pick
from cryomae.batch import Engine
from cryomae.batch import diameter as batch_diameter
from cryomae.cli import app
from cryomae.diameter import DiameterEstimate
from cryomae.errors import InputError
from cryomae.io import read_micrograph
from cryomae.picks import Picks


def estimate(diameter=186.4, confidence=0.8):
    curve = np.array([0.1, 0.8, 0.1])
    return DiameterEstimate(
        diameter, 170, 200, confidence, "Because.", 2, np.array([160.0, 186, 215]), curve
    )


@pytest.fixture
def calls(monkeypatch):
    """Replaces the estimate; how many measurements each was made from."""
    made: list[int] = []

    def fake(measured):
        made.append(len(measured))
        return fake.result

    fake.result = estimate()
    made_up = SimpleNamespace(made=made, fake=fake)
    monkeypatch.setattr(batch_diameter, "measure", lambda pixels, pixel_size: pixel_size)
    monkeypatch.setattr(batch_diameter, "estimate_from", fake)
    return made_up


@pytest.fixture
def command(monkeypatch, tmp_path):
    """Run the command in an empty folder with a picker that needs no weights."""

    def pick(micrograph, detector, settings):
        picks = Picks.from_arrays(
            micrograph.name, [[30, 20]], [0.9], settings.diameter, detector.name
        )
        image = np.zeros((64, 64), dtype=np.float32)
        return SimpleNamespace(
            candidates=picks, image=image, valid=image == 0, spacing=(2.0, 2.0), seconds={}
        )

    def choose(scores):
        return SimpleNamespace(value=0.5, explanation="Chosen by the test.")

    detector = SimpleNamespace(name="fake", sha256="ab" * 32, device="cpu", shown=False)
    engine = Engine(read_micrograph, pick, choose)
    monkeypatch.setattr(cryomae.pick, "load_detector", lambda model, device: detector)
    monkeypatch.setattr("cryomae.batch.run.default_engine", lambda shown: engine)
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, ["pick", *words])


def micrograph(path, pixels=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    if pixels is None:
        pixels = np.random.default_rng(0).normal(size=(128, 128))
    with mrcfile.new(path) as file:
        file.set_data(pixels.astype(np.float32))
        file.voxel_size = 1.5
    return path


def config(folder):
    return yaml.safe_load((folder / "cryomae_picks/config.yaml").read_text())


def test_the_estimate_is_said_used_and_saved(command, calls, tmp_path):
    for name in "abc":
        micrograph(tmp_path / f"mics/{name}.mrc")
    done = command("mics", "--diameter", "auto")
    assert done.exit_code == 0, done.output
    assert "Diameter 186 Å (170 to 200 Å, confidence 0.80), estimated from" in done.output
    assert "override with --diameter" in done.output
    assert "warning" not in done.output
    assert calls.made == [3]
    saved = config(tmp_path)
    assert saved["settings"]["diameter"] == 186
    assert saved["diameter_estimate"]["confidence"] == 0.8
    assert saved["diameter_estimate"]["low"] == 170
    page = (tmp_path / "cryomae_picks/summary.html").read_text()
    assert "186 Å, estimated (170 to 200 Å, confidence 0.80)" in page
    assert (tmp_path / "cryomae_picks/diameter.png").read_bytes()[1:4] == b"PNG"


def test_a_rerun_keeps_the_estimate(command, calls, tmp_path):
    micrograph(tmp_path / "mics/a.mrc")
    command("mics", "--diameter", "auto", "--no-preview")
    micrograph(tmp_path / "mics/b.mrc")
    calls.fake.result = estimate(300.0)
    done = command("mics", "--diameter", "auto", "--no-preview")
    assert done.exit_code == 0, done.output
    assert calls.made == [1]
    assert "Diameter 186 Å" in done.output
    assert "in an earlier run" in done.output
    assert "1 of them scored in an earlier run" in done.output
    assert config(tmp_path)["diameter_estimate"]["diameter"] == 186.4
    # The same diameter, typed, goes on with the same run; another needs --overwrite.
    assert command("mics", "--diameter", "186", "--no-preview").exit_code == 0
    done = command("mics", "--diameter", "auto", "--no-preview")
    assert "Diameter 186 Å, as in the earlier run" in done.output
    assert command("mics", "--diameter", "200", "--no-preview").exit_code == 2
    done = command("mics", "--diameter", "auto", "--no-preview", "--overwrite")
    assert "Diameter 300 Å" in done.output


def test_a_doubtful_estimate_warns_and_goes_on(command, calls, tmp_path):
    micrograph(tmp_path / "a.mrc")
    calls.fake.result = estimate(confidence=0.3)
    done = command("a.mrc", "--diameter", "auto")
    assert done.exit_code == 0, done.output
    assert "warning: The diameter is uncertain" in done.output
    assert "--diameter in Å and --overwrite" in done.output
    assert "uncertain" in (tmp_path / "cryomae_picks/summary.html").read_text()


def test_ten_of_many_are_measured_and_bad_ones_replaced(command, calls, tmp_path):
    for number in range(30):
        micrograph(tmp_path / f"mics/{number:02d}.mrc")
    for number in (0, 29):
        (tmp_path / f"mics/{number:02d}.mrc").write_bytes(b"short")
    done = command("mics", "--diameter", "auto", "--no-preview", "--dry-run")
    assert done.exit_code == 0, done.output
    assert calls.made == [10]
    assert not (tmp_path / "cryomae_picks").exists()


def test_nothing_readable(command, calls, tmp_path):
    (tmp_path / "a.mrc").write_bytes(b"short")
    done = command("a.mrc", "--diameter", "auto")
    assert done.exit_code == 2
    assert "the diameter cannot be estimated, because no micrograph could be used" in done.output
    assert "Traceback" not in done.output
    assert calls.made == []


def test_noise_alone_ends_with_cause_and_remedy(command, tmp_path):
    noise = np.random.default_rng(1).normal(size=(256, 256))
    micrograph(tmp_path / "a.mrc", noise)
    done = command("a.mrc", "--diameter", "auto")
    assert done.exit_code == 2, done.output
    assert "no particles stand out" in done.output
    assert "give --diameter in Å" in done.output
    assert not (tmp_path / "cryomae_picks").exists()


def test_a_word_that_is_no_length(command, tmp_path):
    micrograph(tmp_path / "a.mrc")
    done = command("a.mrc", "--diameter", "big")
    assert done.exit_code == 2
    assert "auto" in done.output


def test_damaged_estimate_of_an_earlier_run_does_no_harm(command, calls, tmp_path):
    micrograph(tmp_path / "a.mrc")
    command("a.mrc", "--diameter", "auto", "--no-preview")
    path = tmp_path / "cryomae_picks/config.yaml"
    content = yaml.safe_load(path.read_text())
    content["diameter_estimate"] = {"low": "?"}
    path.write_text(yaml.safe_dump(content))
    done = command("a.mrc", "--diameter", "auto", "--no-preview")
    assert done.exit_code == 0, done.output
    assert "Diameter 186 Å, as in the earlier run" in done.output


def test_an_error_without_path_is_an_input_error():
    with pytest.raises(InputError, match="no micrograph could be used"):
        batch_diameter.settle_diameter([], "nowhere")
