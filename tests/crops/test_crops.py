"""Crops: boxes lie on the particles, are normalised, grouped, and can be left out together."""

import subprocess
from importlib.resources import files
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import starfile
from scipy.spatial import cKDTree
from typer.testing import CliRunner

from cryomae.cli import app
from cryomae.crops import Options, make_crops
from cryomae.crops.groups import find_groups, make_embedder
from cryomae.errors import CryomaeError, FormatError, InputError
from cryomae.formats import read_picks, write_picks
from cryomae.io import read_micrograph
from cryomae.micrograph import MicrographRef
from cryomae.picks import Picks

BOX = 32
SHAPE = (160, 224)
DARK = {"a.mrc": [(40, 50), (120, 90), (200, 130)], "b.mrc": [(60, 100), (150, 60)]}
JUNK = {"a.mrc": [(80, 120), (160, 40)], "b.mrc": [(100, 30), (30, 30)]}
"""Dark spots are particles; bright ones are what nobody wants."""


def spot(x, y, height):
    rows, columns = np.indices(SHAPE)
    return height * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * 3.0**2))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Two micrographs at 2 Å with dark and bright spots, and picks of all of them."""
    monkeypatch.chdir(tmp_path)
    Path("mics").mkdir()
    rng, rows = np.random.default_rng(0), []
    for name in DARK:
        pixels = rng.normal(500, 1, SHAPE)
        for x, y in DARK[name]:
            pixels -= spot(x, y, 20)
            rows.append(f"mics/{name},{x},{y},0.9")
        for x, y in JUNK[name]:
            pixels += spot(x, y, 20)
            rows.append(f"mics/{name},{x},{y},0.4")
        with mrcfile.new(Path("mics", name)) as file:
            file.set_data(pixels.astype(np.float32))
            file.voxel_size = 2.0
    Path("picks.csv").write_text("micrograph,x,y,score\n" + "\n".join(rows) + "\n")
    return tmp_path


def brightness(micrograph, xy):
    """Tell dark from bright places, in the model's stead."""
    x, y = xy.astype(int).T
    return micrograph.pixels[y, x][:, None].astype(np.float32)


def make(output="out", *, picks="picks.csv", embed=brightness, **options):
    settings = {"diameter": 36.0, "box": BOX, "groups": 2, **options}
    return make_crops(Path(picks), Path(output), Options(**settings), embed=embed)


def stack(path="out/particles.mrcs"):
    with mrcfile.open(path) as file:
        return file.data.copy()


def test_particles_lie_white_in_the_middle_on_a_normalised_ground(project):
    made = make()
    boxes = stack()
    assert boxes.shape == (9, BOX, BOX)
    dark = made.picks["score"] > 0.5
    for box in boxes[dark]:
        assert np.hypot(*(np.array(np.unravel_index(box.argmax(), box.shape)) - BOX // 2)) < 3
        assert box[BOX // 2, BOX // 2] > 10
    rows, columns = np.indices((BOX, BOX)) - BOX // 2
    ground = rows**2 + columns**2 > (0.375 * BOX) ** 2
    assert boxes[:, ground].mean(axis=1) == pytest.approx(0, abs=1e-4)
    assert boxes[:, ground].std(axis=1) == pytest.approx(1, abs=1e-3)


def test_no_invert_leaves_dark_particles_dark(project):
    make(invert=False)
    assert stack()[0, BOX // 2, BOX // 2] < -10


def test_scaled_boxes_keep_their_centre_and_say_their_pixel_size(project):
    make(scale_to=16)
    boxes = stack()
    assert boxes.shape == (9, 16, 16)
    assert np.unravel_index(boxes[0].argmax(), (16, 16)) == (8, 8)
    with mrcfile.open("out/particles.mrcs", header_only=True) as file:
        assert float(file.voxel_size.x) == pytest.approx(4.0)
    optics = starfile.read("out/particles.star")["optics"]
    assert optics["rlnImagePixelSize"].tolist() == [4.0]
    assert optics["rlnMicrographPixelSize"].tolist() == [2.0]


def test_groups_part_what_looks_different_and_can_be_dropped(project):
    made = make()
    assert made.groups["count"].tolist() == [5, 4]
    assert made.groups["score"].tolist() == pytest.approx([0.9, 0.4])
    kept = make(drop=(2,))
    assert (kept.dropped, len(kept.picks)) == (4, 5)
    table = starfile.read("out/picks_kept.star")
    found = {
        (Path(name).name, int(x), int(y))
        for name, x, y in table[["rlnMicrographName", "rlnCoordinateX", "rlnCoordinateY"]].values
    }
    assert found == {(name, x, y) for name, places in DARK.items() for x, y in places}
    assert len(stack()) == len(starfile.read("out/particles.star")["particles"]) == 5


def test_dropping_again_counts_groups_as_the_picture_shows_them(project):
    make()
    make(drop=(2,))
    assert len(make(drop=(1,)).picks) == 4


def test_groups_of_other_picks_are_refused(project):
    make()
    with pytest.raises(InputError, match="other picks"):
        make(drop=(2,), threshold=0.5)


@pytest.mark.parametrize(
    ("drop", "cause"), [((3,), "no group 3"), ((1, 2), "all groups would be dropped")]
)
def test_groups_that_cannot_be_dropped_are_named(project, drop, cause):
    make()
    with pytest.raises(InputError, match=cause):
        make(drop=drop)
    assert len(stack()) == 9


def test_dropping_needs_groups_first(project):
    with pytest.raises(InputError, match=r"no groups yet.*without --drop-groups"):
        make(drop=(1,))


def test_damaged_groups_are_named(project):
    make()
    Path("out/groups.csv").write_text("nothing\n1\n")
    with pytest.raises(FormatError, match=r"groups\.csv"):
        make(drop=(1,))


def test_one_bad_micrograph_leaves_the_others(project):
    Path("mics/a.mrc").write_bytes(b"no micrograph")
    made = make()
    assert [Path(failure.name).name for failure in made.failed] == ["a.mrc"]
    assert len(stack()) == len(made.picks) == 4
    assert len(make(drop=(2,)).picks) == 2


def test_nothing_is_written_when_all_fail(project):
    for name in DARK:
        Path("mics", name).write_bytes(b"no micrograph")
    with pytest.raises(CryomaeError):
        make(pixel_size=2.0)
    assert not [path for path in Path("out").glob("*") if path.is_file()]


def test_boxes_over_the_edge_are_kept_and_counted(project):
    Path("edge.csv").write_text(
        "micrograph,x,y,score\nmics/a.mrc,2,50,0.9\nmics/a.mrc,40,50,0.8\nmics/a.mrc,900,50,0.7\n"
    )
    made = make(picks="edge.csv", groups=0, embed=None)
    assert np.isfinite(stack()).all()
    assert len(stack()) == 3
    assert made.picks["x"].tolist() == [2, 40, 223]
    notes = " ".join(made.notes)
    assert "2 boxes reach over the edge" in notes
    assert "1 pick lay so far outside" in notes


@pytest.mark.parametrize("at_random", [False, True])
def test_the_number_of_crops_can_be_limited(project, at_random):
    made = make(most=3, at_random=at_random)
    assert len(stack()) == 3
    if not at_random:
        assert made.picks["score"].tolist() == [0.9] * 3


def test_box_follows_from_the_diameter(project):
    made = make(diameter=60.0, box=None, groups=0)
    assert made.inputs.box == 46  # 1.5 × 60 Å at 2 Å, even
    assert make(diameter=None, box=30, groups=0).inputs.diameter == pytest.approx(40)


def test_lengths_that_cannot_be_known_are_asked_for(project):
    with pytest.raises(InputError, match="--diameter"):
        make(diameter=None, box=None)


def test_micrographs_that_are_not_there_are_asked_for(project):
    Path("elsewhere.csv").write_text("micrograph,x,y,score\nother/z.mrc,10,10,0.5\n")
    with pytest.raises(InputError, match="--micrographs"):
        make(picks="elsewhere.csv")


def test_coordinates_that_are_no_numbers_are_refused(project):
    Path("nan.csv").write_text("micrograph,x,y,score\nmics/a.mrc,nan,10,0.5\n")
    with pytest.raises(CryomaeError, match=r"nan\.csv"):
        make(picks="nan.csv")


def test_picks_that_lie_mirrored_are_noticed(project):
    rng = np.random.default_rng(5)
    places = rng.integers(12, np.array(SHAPE) - 12, (40, 2))
    pixels = rng.normal(500, 1, SHAPE) - sum(spot(x, y, 20) for y, x in places)
    with mrcfile.new("mics/many.mrc") as file:
        file.set_data(pixels.astype(np.float32))
        file.voxel_size = 2.0
    rows = "".join(f"mics/many.mrc,{x},{SHAPE[0] - 1 - y},0.5\n" for y, x in places)
    Path("mirrored.csv").write_text("micrograph,x,y,score\n" + rows)
    made = make(picks="mirrored.csv", groups=0)
    assert any("--flip-y" in note for note in made.notes)
    assert len(stack()) == 40


def test_ctf_and_optics_of_the_micrographs_reach_the_particles(project):
    Path("ctf.star").write_text(
        "\ndata_optics\n\nloop_\n_rlnOpticsGroupName #1\n_rlnOpticsGroup #2\n"
        "_rlnMicrographOriginalPixelSize #3\n_rlnVoltage #4\n_rlnSphericalAberration #5\n"
        "_rlnAmplitudeContrast #6\n_rlnMicrographPixelSize #7\n"
        "night 1 2.0 200 1.4 0.07 2.0\nday 2 2.0 300 2.7 0.1 2.0\n\n"
        "data_micrographs\n\nloop_\n_rlnMicrographName #1\n_rlnOpticsGroup #2\n"
        "_rlnDefocusU #3\n_rlnDefocusV #4\n_rlnDefocusAngle #5\n"
        "mics/a.mrc 2 15000 14800 30\nmics/b.mrc 1 21000 20500 60\n\n"
    )
    made = make(micrographs="ctf.star", groups=0)
    assert not any("rlnVoltage" in note for note in made.notes)
    written = starfile.read("out/particles.star")
    both = written["particles"].merge(written["optics"], on="rlnOpticsGroup")
    by = both.groupby(both["rlnMicrographName"].map(lambda name: Path(name).name)).first()
    assert by.loc["a.mrc", ["rlnVoltage", "rlnDefocusU"]].tolist() == [300, 15000]
    assert by.loc["b.mrc", ["rlnVoltage", "rlnDefocusU"]].tolist() == [200, 21000]


def test_pictures_are_drawn(project):
    from PIL import Image

    files = make().files
    for key in ("montage", "groups"):
        with Image.open(files[key]) as picture:
            assert np.asarray(picture.convert("L")).std() > 10


def test_crops_that_all_look_the_same_make_one_group(project):
    def alike(micrograph, xy):
        return np.zeros((len(xy), 4), np.float32)

    assert make(embed=alike).groups["count"].tolist() == [9]


def test_command_says_where_everything_is(project):
    words = ["crops", "picks.csv", "--diameter", "36", "--box", "32", "--groups", "0"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "9 particles" in done.output
    assert Path("cryomae_crops/montage.png").is_file()
    for bad in (["--box", "33"], ["--drop-groups", "one"], ["--random"]):
        assert CliRunner().invoke(app, [*words, *bad]).exit_code == 2


def test_exit_code_says_that_a_micrograph_failed(project):
    Path("mics/a.mrc").write_bytes(b"no micrograph")
    words = ["crops", "picks.csv", "--diameter", "36", "--groups", "0"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1
    assert "a.mrc" in done.output


@pytest.mark.relion
def test_boxes_are_those_of_relion(need_relion, project):
    """RELION's own extraction of the same picks gives the same boxes in the same order."""
    Path("mics.star").write_text(
        "\ndata_optics\n\nloop_\n_rlnOpticsGroupName #1\n_rlnOpticsGroup #2\n"
        "_rlnMicrographOriginalPixelSize #3\n_rlnVoltage #4\n_rlnSphericalAberration #5\n"
        "_rlnAmplitudeContrast #6\n_rlnMicrographPixelSize #7\n"
        "opticsGroup1 1 2.0 300 2.7 0.1 2.0\n\n"
        "data_micrographs\n\nloop_\n_rlnMicrographName #1\n_rlnOpticsGroup #2\n"
        "mics/a.mrc 1\nmics/b.mrc 1\n\n"
    )
    for name in DARK:
        places = DARK[name] + JUNK[name]
        picks = Picks.from_arrays(f"mics/{name}", places, [0.5] * len(places), 36.0)
        Path("coords/mics").mkdir(parents=True, exist_ok=True)
        write_picks(f"coords/mics/{Path(name).stem}_pick.star", picks)
    run(
        *("relion_preprocess", "--i", "mics.star", "--coord_dir", "coords/"),
        *("--coord_suffix", "_pick.star", "--part_dir", "extract/", "--part_star", "theirs.star"),
        *("--extract", "--extract_size", str(BOX), "--norm", "--invert_contrast"),
        *("--bg_radius", "12", "--white_dust", "-1", "--black_dust", "-1"),
    )
    make(groups=0)
    theirs = starfile.read("theirs.star")["particles"]
    ours = starfile.read("out/particles.star")["particles"]
    both = ours.assign(mic=ours["rlnMicrographName"].map(lambda n: Path(n).name)).merge(
        theirs.assign(mic=theirs["rlnMicrographName"].map(lambda n: Path(n).name)),
        on=["mic", "rlnCoordinateX", "rlnCoordinateY"],
    )
    assert len(both) == 9
    for a, b in zip(both["rlnImageName_x"], both["rlnImageName_y"], strict=True):
        (i, ours_in), (j, theirs_in) = a.split("@"), b.split("@")
        box, other = stack(ours_in)[int(i) - 1], stack(theirs_in)[int(j) - 1]
        assert np.corrcoef(box.ravel(), other.ravel())[0, 1] > 0.9999
        assert np.abs(box - other).max() < 0.02 * np.abs(other).max()


@pytest.mark.relion
def test_relion_reads_stack_and_star(need_relion, project):
    make(scale_to=16, groups=0)
    run("relion_star_handler", "--i", "out/particles.star", "--o", "copy.star")
    assert len(starfile.read("copy.star")["particles"]) == 9
    words = ("--i", "out/particles.star", "--o", "double", "--multiply_constant", "2")
    run("relion_image_handler", *words)
    assert run("relion_image_handler", "--i", "out/particles.mrcs", "--stats")


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("places", [1, 1e9])
def test_the_model_tells_particles_from_background_by_windows_and_on_the_grid(places):
    data = Path(str(files("cryomae"))) / "data"
    micrograph = read_micrograph(MicrographRef("demo", data / "demo_micrograph.mrc"), 3.0)
    particles = read_picks(data / "demo_truth.star").xy
    sides = np.array(micrograph.pixels.shape[::-1])
    ground = np.random.default_rng(1).uniform(60, sides - 60, (600, 2))
    ground = ground[cKDTree(particles).query(ground)[0] > 40][: len(particles)]
    embed = make_embedder("default", "cpu", 168.9, places)
    latents = embed(micrograph, np.concatenate([particles, ground]))
    groups = find_groups(latents, np.ones(len(latents)), 4, 0)
    assert not set(groups[: len(particles)]) & set(groups[len(particles) :])


def test_crops_that_fail_midway_leave_what_was_there(project, monkeypatch):
    make(output="out")
    before = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    monkeypatch.setattr("cryomae.crops.run.draw_montage", lambda *words, **more: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        make(output="out", threshold=0.5)
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == before
