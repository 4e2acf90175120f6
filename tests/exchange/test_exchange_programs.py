"""RELION and Topaz themselves read what was converted, and cryomae what they write."""

import os
import shutil
import subprocess
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import starfile
import tifffile

from cryomae.exchange import Change, apply, load, save
from cryomae.formats import Context, format_named, read_picks, write_picks
from cryomae.formats.star import read_blocks, write_micrographs
from cryomae.picks import Picks

BOX = 32
PLACES = {"mics/a.mrc": ((160, 224), (130, 40)), "mics/b.tif": ((192, 160), (50, 140))}
"""Name: rows and columns, and where the particle is in the file's own array (row, column)."""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A RELION project with one bright pixel in each micrograph, and true picks of both."""
    monkeypatch.chdir(tmp_path)
    Path("mics").mkdir()
    parts = []
    for name, (shape, (row, column)) in PLACES.items():
        pixels = np.zeros(shape, np.float32)
        pixels[row, column] = 1000
        pixels[row, column + 1] = 300
        if name.endswith(".tif"):
            tifffile.imwrite(name, pixels)
            row = shape[0] - 1 - row  # RELION turns TIFF upside down
        else:
            with mrcfile.new(name) as file:
                file.set_data(pixels)
                file.voxel_size = 1.0
        parts.append(Picks.from_arrays(name, [[column, row]], [0.5], 20.0))
    rows = "".join(f"{name} 1\n" for name in PLACES)
    Path("micrographs.star").write_text(
        "\ndata_optics\n\nloop_\n_rlnOpticsGroupName #1\n_rlnOpticsGroup #2\n"
        "_rlnMicrographOriginalPixelSize #3\n_rlnVoltage #4\n_rlnSphericalAberration #5\n"
        "_rlnAmplitudeContrast #6\n_rlnMicrographPixelSize #7\n"
        "opticsGroup1 1 1.0 300 2.7 0.1 1.0\n\n"
        f"data_micrographs\n\nloop_\n_rlnMicrographName #1\n_rlnOpticsGroup #2\n{rows}\n"
    )
    return Picks.concat(parts)


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.relion
@pytest.mark.parametrize("key", ["csv", "cryosparc", "box", "eman2", "cryolo", "topaz", "coords"])
def test_relion_cuts_particles_out_of_converted_picks(need_relion, project, key):
    context = load(_written(project), "micrographs.star").context
    save(
        project, Path("other"), format_named(key), Context(context.shapes, context.pixel_sizes, 20)
    )
    loaded = load(Path("other"), "micrographs.star")
    save(
        loaded.picks,
        Path("picked"),
        format_named("relion"),
        loaded.context,
        Path("micrographs.star"),
    )
    extract()
    particles = starfile.read("Extract/particles.star")["particles"]
    assert particles["rlnMicrographName"].tolist() == list(PLACES)
    for name in particles["rlnImageName"]:
        with mrcfile.open(name.partition("@")[2]) as file:
            box = file.data.reshape(BOX, BOX)
        assert np.unravel_index(np.argmax(box), box.shape) == (BOX // 2, BOX // 2), name


@pytest.mark.relion
def test_relion_prints_what_every_star_file_holds(need_relion, project):
    save(project, Path("picked"), format_named("relion"), Context())
    write_picks("together.star", project)
    both = [[f"{x:.0f}", f"{y:.0f}"] for x, y in project.xy]
    columns = ("_rlnCoordinateX", "_rlnCoordinateY")
    assert printed("together.star", "data_", *columns) == both
    assert printed("picked/picks/mics/b_cryomae.star", "data_", *columns) == both[1:]
    listed = printed("picked/autopick.star", "data_coordinate_files", "_rlnMicrographName")
    assert listed == [[name] for name in PLACES]


def printed(*words):
    return [line.split() for line in run("relion_star_printtable", *words).splitlines()]


def _written(picks):
    write_picks("written.csv", picks)
    return Path("written.csv")


@pytest.fixture(scope="session")
def topaz():
    """Give the program of an environment of its own; at home skip without it, in CI fail."""
    beside = Path(__file__).resolve().parents[2] / ".venv-topaz" / "bin" / "topaz"
    program = os.environ.get("TOPAZ") or shutil.which("topaz") or (beside.is_file() and str(beside))
    if not program:
        reason = "Topaz is not installed: run `make topaz`"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return program


@pytest.mark.topaz
@pytest.mark.slow
@pytest.mark.parametrize(("ours", "theirs"), [("txt", "star"), ("star", "txt")])
def test_topaz_reads_ours_and_we_read_topaz(topaz, project, ours, theirs):
    write_picks(f"ours.{ours}", project)
    run(topaz, "convert", f"ours.{ours}", "-o", f"theirs.{theirs}")
    back = read_picks(f"theirs.{theirs}")
    assert np.array_equal(back.xy, project.xy)
    assert np.allclose(back.score, project.score)
    assert [Path(n).stem for n in back.table["micrograph"]] == ["a", "b"]


@pytest.mark.topaz
@pytest.mark.slow
def test_topaz_and_cryomae_scale_alike(topaz, project):
    write_picks("ours.txt", project)
    run(topaz, "convert", "ours.txt", "-o", "theirs.txt", "--up-scale", "4")
    ours, _ = apply(project, Change(scale=4), Context(), Path("ours.txt"))
    assert np.array_equal(read_picks("theirs.txt").xy, ours.xy)


@pytest.mark.relion
def test_relion_reads_odd_names_as_they_are(need_relion, project):
    """Spaces need quotation marks; RELION itself cannot do with # in names, or such folders."""
    old = Path("micrographs.star").read_text()
    names = ["grid1/b c (1).mrc", "日本/µ's.mrc", "_u.mrc", "[1].mrc", "data_x.mrc", "a=b,@c.mrc"]
    for name in names:
        Path(name).parent.mkdir(exist_ok=True)
        shutil.copy("mics/a.mrc", name)
    write_micrographs("names.star", dict.fromkeys(names, 1.0))
    listed = Path("names.star").read_text().partition("data_micrographs")[2]
    Path("micrographs.star").write_text(
        f"{old.partition('data_micrographs')[0]}data_micrographs{listed}"
    )
    (row, column) = PLACES["mics/a.mrc"][1]
    picks = Picks.concat(Picks.from_arrays(name, [[column, row]], [0.5], 20.0) for name in names)
    save(picks, Path("picked"), format_named("relion"), Context(), Path("micrographs.star"))
    extract()
    particles = read_blocks("Extract/particles.star")["particles"]
    assert particles["rlnMicrographName"].tolist() == names
    run("relion_star_handler", "--i", "micrographs.star", "--o", "copy.star")
    assert read_blocks("copy.star")["micrographs"]["rlnMicrographName"].tolist() == names


def extract():
    run(
        "relion_preprocess", "--i", "micrographs.star", "--coord_dir", "picked/picks/",
        "--coord_suffix", "_cryomae.star", "--part_star", "Extract/particles.star",
        "--part_dir", "Extract/", "--extract", "--extract_size", str(BOX),
    )  # fmt: skip
