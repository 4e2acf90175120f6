"""Simulated sets on disk: reproducible, resumable, readable, and clear about bad input."""

import hashlib
import os
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import starfile
import yaml
from typer.testing import CliRunner

from cryomae.cli import app
from cryomae.errors import InputError
from cryomae.formats import read_picks
from cryomae.io import find_micrographs, read_micrograph
from cryomae.simulate import load_settings, make_settings, simulate_set

SMALL = {
    "name": "small",
    "seed": 5,
    "micrographs": 3,
    "size": 256,
    "pixel_size": 6.0,
    "particle": {"kind": "chain", "diameter": 150, "count": [15, 25]},
    "contaminants": {"gold": 1.0, "broken": 1.0},
}


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("set")
    simulate_set(make_settings(SMALL), folder)
    return folder


def test_two_processes_write_the_same_bytes_as_one(made, tmp_path):
    simulate_set(make_settings(SMALL), tmp_path, jobs=2)
    assert digests(tmp_path) == digests(made)


def test_stopped_work_goes_on_and_ends_with_the_same_bytes(made, tmp_path):
    simulate_set(make_settings(SMALL), tmp_path)
    before = digests(made)
    kept = tmp_path / "micrographs" / "small_0001.mrc"
    age = kept.stat().st_mtime_ns
    (tmp_path / "parameters" / "small_0002.yaml").unlink()  # as if killed before it was done
    (tmp_path / "micrographs" / "small_0003.mrc").unlink()
    (tmp_path / "particles.star").unlink()
    steps = []
    simulate_set(make_settings(SMALL), tmp_path, on_progress=lambda *step: steps.append(step))
    assert steps[0] == (1, 3)
    assert steps[-1] == (3, 3)
    assert digests(tmp_path) == before
    assert kept.stat().st_mtime_ns == age


def test_truth_is_read_by_what_reads_micrographs_and_picks(made):
    refs, problems = find_micrographs([str(made / "micrographs.star")])
    assert not problems
    assert len(refs) == 3
    micrograph = read_micrograph(refs[0])
    assert micrograph.pixel_size == pytest.approx(6.0)
    assert micrograph.pixels.shape == (256, 256)
    picks = read_picks(made / "particles.star")
    names = {ref.name for ref in refs}
    assert set(picks.table["micrograph"]) <= names
    record = yaml.safe_load((made / "parameters" / "small_0001.yaml").read_text())
    first = picks.table[picks.table["micrograph"].str.endswith("small_0001.mrc")]
    assert first["x"].tolist() == pytest.approx(record["particles"]["x"], abs=1e-3)
    blocks = starfile.read(made / "contaminants.star", always_dict=True)
    kinds = set(blocks["contaminants"]["cryomaeKind"])
    assert kinds <= {"gold", "broken", "edge"}
    content = yaml.safe_load((made / "simulation.yaml").read_text())
    assert content["pixel_size"] == 6.0
    assert content["diameter"] == pytest.approx(150, rel=0.05)


def test_header_holds_the_pixel_size_and_no_time(made):
    with mrcfile.open(made / "micrographs" / "small_0001.mrc") as mrc:
        assert mrc.voxel_size.x == pytest.approx(6.0)
        assert mrc.header.nlabl == 1
        assert np.isfinite(mrc.data).all()


def test_a_folder_with_another_set_is_refused_and_kept(made, tmp_path):
    settings = make_settings(SMALL | {"micrographs": 1})
    simulate_set(settings, tmp_path)
    before = digests(tmp_path)
    with pytest.raises(InputError, match=r"other settings .*seed"):
        simulate_set(make_settings(SMALL | {"micrographs": 1, "seed": 6}), tmp_path)
    assert digests(tmp_path) == before
    simulate_set(make_settings(SMALL | {"micrographs": 1, "seed": 6}), tmp_path, overwrite=True)
    assert digests(tmp_path) != before


def test_overwriting_with_a_shorter_set_leaves_no_old_micrograph(tmp_path):
    simulate_set(make_settings(SMALL | {"micrographs": 2}), tmp_path)
    simulate_set(make_settings(SMALL | {"micrographs": 1}), tmp_path, overwrite=True)
    assert [p.name for p in (tmp_path / "micrographs").iterdir()] == ["small_0001.mrc"]


def test_real_micrographs_are_never_overwritten(tmp_path):
    (tmp_path / "micrographs").mkdir()
    real = tmp_path / "micrographs" / "small_0001.mrc"
    real.write_bytes(b"precious")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="not simulated"):
            simulate_set(make_settings(SMALL), tmp_path, overwrite=overwrite)
    assert real.read_bytes() == b"precious"


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["simulate", *words])
    return result.exit_code, result.output


def test_command_makes_a_suite_and_one_bad_set_does_not_stop_it(tmp_path):
    suite = tmp_path / "suite.yaml"
    tiny = {k: v for k, v in SMALL.items() if k not in ("name", "particle")}
    content = {
        "defaults": tiny | {"micrographs": 1},
        "sets": [
            {"name": "lost", "particle": {"source": "absent.pdb"}},
            {"name": "good", "particle": SMALL["particle"]},
        ],
    }
    suite.write_text(yaml.safe_dump(content))
    code, text = run(str(suite), "-o", str(tmp_path / "out"), "--jobs", "1")
    assert code == 1
    assert "set lost" in text
    assert "absent.pdb: no such file" in text.replace("\n", "")
    assert (tmp_path / "out" / "good" / "particles.star").is_file()


def test_dry_run_writes_nothing(tmp_path):
    code, text = run("--micrographs", "7", "-o", str(tmp_path / "out"), "--dry-run")
    assert code == 0
    assert "7 micrographs of 2048 × 2048" in text
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("particle: {sauce: x}", "particle.sauce"),
        ("pixel_size: -1", "pixel_size"),
        ("optics: {defocus: [2, 1]}", "optics.defocus.*lower bound first"),
        ("optics: [", "not YAML"),
        ("just words", "no settings"),
        ("sets: []", "a list `sets`"),
        ("sets: [{name: a}, {name: a}]", "two sets are called a"),
        ("particle: {source: $NOWHERE_SET/x.pdb}", "NOWHERE_SET"),
    ],
)
def test_settings_that_make_no_sense_are_explained(tmp_path, content, message):
    path = tmp_path / "settings.yaml"
    path.write_text(content)
    os.environ.pop("NOWHERE_SET", None)
    with pytest.raises(InputError, match=message) as caught:
        load_settings(path)
    assert caught.value.path == str(path)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.pdb", "nothing here\n", "holds no atoms"),
        ("x.cif", "not a cif", "cannot be read"),
        ("x.mrc", "not a map", "cannot be read"),
        ("x.xyz", "", "no particle that can be simulated"),
    ],
)
def test_particles_that_cannot_be_made_are_explained(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_text(content)
    code, text = run("--particle", str(path), "-o", str(tmp_path / "out"), "--size", "256")
    assert code != 0
    flat = " ".join(text.split())
    assert message in flat
    assert name in flat.replace(" ", "")
    assert not (tmp_path / "out" / "micrographs").exists()
