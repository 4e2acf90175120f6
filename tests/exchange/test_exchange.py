"""Picks go from program to program and stay where they are."""

import shutil
import subprocess
import sys
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import starfile
from cryosparc.dataset import Dataset
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from cryomae.cli import app
from cryomae.errors import FormatError, InputError
from cryomae.exchange import Change, apply, load, save, save_for
from cryomae.formats import Context, format_named, list_formats, read_picks, write_picks
from cryomae.io import find_micrographs
from cryomae.picks import Picks

SHAPE = (96, 160)
NAMES = ("MotionCorr/job002/day1/a.mrc", "MotionCorr/job002/day2/b.mrc")


def make(name, xy, score=None):
    score = np.full(len(xy), 0.5) if score is None else score
    return Picks.from_arrays(name, xy, score, 20.0, "test")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Two micrographs in two folders of a RELION project."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        Path(name).parent.mkdir(parents=True)
        with mrcfile.new(name) as file:
            file.set_data(np.random.default_rng(1).normal(size=SHAPE).astype(np.float32))
            file.voxel_size = 2.0
    rows = "".join(f"{name} 1\n" for name in NAMES)
    Path("micrographs.star").write_text(
        "data_optics\n\nloop_\n_rlnOpticsGroup #1\n_rlnMicrographPixelSize #2\n1 2.0\n\n"
        f"data_micrographs\n\nloop_\n_rlnMicrographName #1\n_rlnOpticsGroup #2\n{rows}\n"
    )
    picks = [make(NAMES[0], [[10, 20], [150, 90]], [0.9, 0.3]), make(NAMES[1], [[33, 44]])]
    write_picks("picks.csv", Picks.concat(picks))
    return tmp_path


def run(*words):
    done = CliRunner().invoke(app, [str(word) for word in words], terminal_width=200)
    return done, " ".join(done.output.split())


PROGRAMS = ("relion", "cryosparc", "eman", "eman2", "cryolo", "topaz")


@pytest.mark.parametrize("program", PROGRAMS)
def test_export_and_back(project, program):
    done, said = run("export", "picks.csv", "--to", program, "--box", 32)
    assert done.exit_code == 0, said
    assert "3 picks of 2 micrographs" in said
    folder = Path(f"for_{program}")
    source = folder / "picks.star" if program == "cryosparc" else folder
    back = load(source, "micrographs.star").picks
    assert back.table["micrograph"].tolist() == [NAMES[0], NAMES[0], NAMES[1]]
    assert back.xy.tolist() == [[10, 20], [150, 90], [33, 44]]


def test_relion_gets_a_file_a_micrograph_in_its_folder_and_both_lists(project):
    done, said = run("export", "picks.csv", "--to", "relion", "--micrographs", "micrographs.star")
    assert done.exit_code == 0, said
    table = starfile.read("for_relion/autopick.star")
    assert table["rlnMicrographName"].tolist() == list(NAMES)
    assert table["rlnMicrographCoordinates"].tolist() == [
        "for_relion/picks/day1/a_cryomae.star",
        "for_relion/picks/day2/b_cryomae.star",
    ]
    listed = Path("for_relion/picks/coords_suffix_cryomae.star").read_text()
    assert listed == "micrographs.star\n"
    assert not Path("for_relion/micrographs.star").exists()


def test_relion_31_gets_a_list_of_micrographs_where_there_is_none(project):
    done, said = run("export", "picks.csv", "--to", "relion")
    assert done.exit_code == 0, said
    assert "(RELION 3.1: for_relion/picks/coords_suffix_cryomae.star)" in said
    listed = Path("for_relion/picks/coords_suffix_cryomae.star").read_text()
    assert listed == "for_relion/micrographs.star\n"
    refs, errors = find_micrographs([listed.strip()])
    assert [(ref.name, ref.pixel_size) for ref in refs] == [(name, 2.0) for name in NAMES]
    assert not errors


def test_cryosparc_gets_one_file_with_bare_names_and_what_to_do(project):
    done, said = run("export", "picks.csv", "--to", "cryosparc")
    assert done.exit_code == 0, said
    table = starfile.read("for_cryosparc/picks.star")
    assert table["rlnMicrographName"].tolist() == ["a.mrc", "a.mrc", "b.mrc"]
    assert table["rlnCoordinateY"].tolist() == [20, 90, 44]
    assert "Ignore pose data" in said


def test_names_of_two_folders_stay_apart(project):
    Path("MotionCorr/job002/day2/b.mrc").rename("MotionCorr/job002/day2/a.mrc")
    names = [NAMES[0], "MotionCorr/job002/day2/a.mrc"]
    write_picks("two.csv", Picks.concat([make(n, [[i, 5]]) for i, n in enumerate(names)]))
    done, said = run("export", "two.csv", "--to", "eman", "--box", 10)
    assert done.exit_code == 0, said
    found = sorted(p.relative_to("for_eman").as_posix() for p in Path("for_eman").rglob("*.box"))
    assert found == ["day1/a.box", "day2/a.box"]
    done, said = run("export", "two.csv", "--to", "topaz")
    assert done.exit_code == 2
    assert "knows no folders" in said
    write_picks("bare.csv", make("a.mrc", [[1, 1]]))
    with pytest.raises(InputError, match=r"'a\.mrc' may mean"):
        load(Path("bare.csv"), "MotionCorr/job002/*/*.mrc")


def test_picks_of_binned_micrographs_are_scaled(project):
    Path("topaz.txt").write_text("image_name\tx_coord\ty_coord\tscore\na\t5\t6\t1\nb\t7\t8\t-3\n")
    done, said = run(
        "convert", "topaz.txt", "out.star", "--scale", 4, "--threshold", 0,
        "--micrographs", "micrographs.star",
    )  # fmt: skip
    assert done.exit_code == 0, said
    assert "1 of 2 picks are below the threshold" in said
    back = read_picks("out.star")
    assert back.xy.tolist() == [[20, 24]]
    assert back.table["micrograph"].tolist() == [NAMES[0]]


def test_mirrors_are_about_the_micrographs_middle(project):
    write_picks("one.csv", make(NAMES[0], [[0, 0], [159, 95], [10, 20]]))
    for flag, expected in (
        ("--flip-y", [[0, 95], [159, 0], [10, 75]]),
        ("--flip-x", [[159, 0], [0, 95], [149, 20]]),
        ("--transpose", [[0, 0], [95, 95], [20, 10]]),
    ):
        done, said = run("convert", "one.csv", "out.csv", flag)
        assert done.exit_code == 0, said
        assert read_picks("out.csv").xy.tolist() == expected
    assert "1 of 3 picks lay outside" in said


def test_mirroring_asks_for_the_micrographs(tmp_path):
    write_picks(tmp_path / "one.csv", make("gone.mrc", [[1, 2]]))
    done, said = run("convert", tmp_path / "one.csv", tmp_path / "out.csv", "--flip-y")
    assert done.exit_code == 2
    assert "size of micrograph 'gone.mrc'" in said
    assert "--micrographs" in said
    assert not (tmp_path / "out.csv").exists()


def test_one_micrograph_in_two_files_is_refused(project):
    Path("both").mkdir()
    for name in ("one.csv", "two.csv"):
        write_picks(Path("both") / name, make(NAMES[0], [[1, 2]]))
    done, said = run("convert", "both", "out.csv")
    assert done.exit_code == 2
    assert "and so does both/one.csv" in said


def test_micrographs_that_are_not_there_are_counted(project):
    write_picks("more.csv", Picks.concat([make(NAMES[0], [[1, 2]]), make("gone.mrc", [[3, 4]])]))
    done, said = run("convert", "more.csv", "out.csv", "--micrographs", "micrographs.star")
    assert done.exit_code == 0, said
    assert "1 micrograph of the picks was not found" in said
    assert "gone.mrc" in said
    assert read_picks("out.csv").table["micrograph"].tolist() == [NAMES[0], "gone.mrc"]
    write_picks("none.csv", make("gone.mrc", [[3, 4]]))
    done, said = run("convert", "none.csv", "out2.csv", "--micrographs", "micrographs.star")
    assert done.exit_code == 2
    assert "none of the micrographs of the picks is there (gone.mrc)" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("convert", "picks.csv", "out.box", "--box", "32"), "into a folder"),
        (("convert", "picks.csv", "out", "--to", "box"), "give --box"),
        (("convert", "picks.csv", "out.docx"), "not a known coordinate format"),
        (("convert", "picks.csv", "out", "--to", "word"), "use one of: box, coords, "),
        (("convert", "picks.csv", "out.csv", "--scale", "0"), "above 0"),
        (("convert", "picks.csv", "out", "--to", "box", "--box", "33"), "even"),
        (("convert", "nothing.csv", "out.csv"), "no such file"),
    ],
)
def test_mistakes_are_told_and_leave_nothing(project, words, message):
    done, said = run(*words)
    assert done.exit_code != 0
    assert message in said
    assert not list(project.glob("out*"))


@given(
    st.lists(st.tuples(st.integers(0, 159), st.integers(0, 95)), min_size=1, max_size=20),
    st.booleans(),
    st.booleans(),
)
def test_mirroring_twice_changes_nothing(xy, flip_x, flip_y):
    picks, context = make("m", np.array(xy, float)), Context({"m": SHAPE})
    change = Change(flip_x=flip_x, flip_y=flip_y)
    once, _ = apply(picks, change, context, Path("p"))
    twice, notes = apply(once, change, context, Path("p"))
    assert np.array_equal(twice.xy, picks.xy)
    assert not notes


def test_every_format_can_be_written_to_a_folder(project):
    loaded = load(Path("picks.csv"), "micrographs.star", box=20)
    for form in list_formats():
        saved = save(loaded.picks, Path("out") / form.key, format_named(form.key), loaded.context)
        assert saved.count >= 1
        back = load(Path("out") / form.key, "micrographs.star").picks
        assert sorted(back.table["micrograph"]) == sorted(loaded.picks.table["micrograph"])


def test_files_called_alike_in_two_folders_come_back(project):
    second = "MotionCorr/job002/day2/a.mrc"
    Path(NAMES[1]).rename(second)
    write_picks("two.csv", Picks.concat([make(NAMES[0], [[1, 5]]), make(second, [[2, 6]])]))
    for program in ("eman", "eman2", "cryolo"):
        done, said = run("export", "two.csv", "--to", program, "--box", 10)
        assert done.exit_code == 0, said
        folder = Path(f"for_{program}")
        alone = load(folder).picks.table
        assert alone["micrograph"].tolist() == ["day1/a", "day2/a"]
        back = load(folder, "MotionCorr/job002/*/*.mrc").picks
        assert back.table["micrograph"].tolist() == [NAMES[0], second]
        assert back.xy.tolist() == [[1, 5], [2, 6]]


def test_picks_of_two_micrographs_never_become_those_of_one(project):
    other = "MotionCorr/job002/day2/a.mrc"
    write_picks("two.csv", Picks.concat([make(NAMES[0], [[1, 5]]), make(other, [[2, 6]])]))
    done, said = run("convert", "two.csv", "out.csv", "--micrographs", "micrographs.star")
    assert done.exit_code == 2
    assert f"would both be {NAMES[0]}" in said
    assert not Path("out.csv").exists()


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("b.box", "1 2 3\n", "row 1 has fewer"),
        ("b_info.json", '{"boxes": [[1, 2', "is not JSON"),
        ("b.cs", "\x95CSDAT", "is not a dataset"),
        ("b.star", "data_\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n1 x\n", "row 1"),
        ("b.cbox", "data_other\n\n_a 1\n", "no block data_cryolo"),
    ],
)
def test_a_damaged_file_of_a_folder_is_named_and_not_passed_over(project, name, content, cause):
    Path("boxes").mkdir()
    Path("boxes/a.box").write_text("1 2 20 20\n")
    Path("boxes", name).write_text(content, encoding="latin1")
    done, said = run("convert", "boxes", "out.csv")
    assert done.exit_code == 1
    assert f"boxes/{name}: " in said
    assert cause in said
    assert not Path("out.csv").exists()


def test_other_files_of_a_folder_are_passed_over_and_empty_ones_told(project):
    Path("job").mkdir()
    for name, content in {
        "a.box": "1 2 20 20\n",
        "b.box": "",
        ".a.0f3a5b7c9d1e.box": "1 2 3",  # a program was stopped in writing it
        "job.star": "data_job\n\n_rlnJobType 3\n",
        "coords_suffix_x.star": "micrographs.star\n",
        "defocus_info.json": '{"ctf": [1]}',
        "notes.txt": "beautiful ice\n",
        "table.csv": "a,b\n1,2\n",
    }.items():
        Path("job", name).write_text(content)
    done, said = run("convert", "job", "out.csv")
    assert done.exit_code == 0, said
    assert "1 file is empty: job/b.box" in said
    assert read_picks("out.csv").xy.tolist() == [[11, 12]]


def test_micrographs_that_picks_name_and_are_not_there_are_counted(project):
    write_picks("more.csv", Picks.concat([make(NAMES[0], [[1, 2]]), make("gone.mrc", [[3, 4]])]))
    done, said = run("convert", "more.csv", "out.star")
    assert done.exit_code == 0, said
    assert "1 micrograph that the picks name is not there" in said
    assert "gone.mrc" in said


def test_each_micrograph_keeps_the_pixel_size_of_its_optics_group(project):
    Path("particles.star").write_text(
        "data_optics\n\nloop_\n_rlnOpticsGroup #1\n_rlnMicrographPixelSize #2\n1 2.0\n2 3.0\n\n"
        "data_particles\n\nloop_\n_rlnMicrographName #1\n_rlnCoordinateX #2\n_rlnCoordinateY #3\n"
        "_rlnOpticsGroup #4\nx/a.mrc 1 2 1\nx/b.mrc 3 4 2\nx/b.mrc 5 6 2\n"
    )
    loaded = load(Path("particles.star"))
    assert loaded.context.pixel_sizes == {"x/a.mrc": 2.0, "x/b.mrc": 3.0}
    assert len(loaded.picks) == 3
    text = Path("particles.star").read_text().replace("5 6 2", "5 6 1")
    Path("particles.star").write_text(text)
    with pytest.raises(InputError, match="pixel sizes from 2 to 3"):
        load(Path("particles.star"))


def files_of(folder):
    return {p.relative_to(folder).as_posix() for p in Path(folder).rglob("*") if p.is_file()}


@pytest.mark.parametrize("program", ["relion", "eman", "cryosparc"])
def test_a_folder_of_picks_appears_whole_or_not_at_all(project, monkeypatch, program):
    """The second micrograph fails: of the first nothing must be seen."""
    before = files_of(".")
    bad = Picks.concat([make(NAMES[0], [[1, 2]]), make(NAMES[1], [[3, np.nan]])])
    context = load(Path("picks.csv"), "micrographs.star", box=20).context
    with pytest.raises(FormatError, match="not a number") as caught:
        save_for(program, bad, Path("out"), context)
    assert caught.value.path.startswith("out/"), "the user knows no temporary folder"
    assert files_of(".") == before
    assert not Path("out").exists()
    save_for(program, load(Path("picks.csv")).picks, Path("out"), context)
    old = {name: Path("out", name).read_bytes() for name in files_of("out")}
    with pytest.raises(FormatError):
        save_for(program, bad, Path("out"), context)
    assert {name: Path("out", name).read_bytes() for name in files_of("out")} == old


@pytest.mark.slow
@pytest.mark.parametrize("there", [False, True])
def test_an_export_that_is_killed_leaves_no_part_of_it(project, there):
    names = [f"m{i:03d}.mrc" for i in range(300)]
    write_picks("many.csv", Picks.concat(make(name, [[i, 5]]) for i, name in enumerate(names)))
    old = {f"m{i:03d}.box" for i in range(300)}
    if there:
        run("export", "many.csv", "--to", "eman", "--box", 10)
        assert files_of("for_eman") == old
    program = "from cryomae.cli import main; main()"
    words = ["export", "many.csv", "--to", "eman", "--box", "20"]
    command = [sys.executable, "-c", program, *words]
    killed = 0
    for wait in np.linspace(1, 6, 6):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(wait)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed += 1
        visible = {name for name in files_of("for_eman") if not name.startswith(".")}
        assert visible in (set(), old)
        assert len(load(Path("for_eman")).picks) == 300 if visible else not there
    assert killed


def test_picks_of_an_earlier_export_are_told(project):
    write_picks("one.csv", make(NAMES[0], [[1, 2]]))
    for program in ("relion", "eman"):
        words = ("--to", program, "--box", 10)
        done, said = run("export", "picks.csv", *words)
        assert "Other picks" not in said
        done, said = run("export", "picks.csv", *words)
        assert "Other picks" not in said
        done, said = run("export", "one.csv", *words)
        assert done.exit_code == 0, said
        assert "Other picks are there, too, in 1 file (" in said
        assert "day2/b" in said


def test_what_stands_in_the_way_of_a_folder_is_told(project):
    Path("taken").write_text("x")
    done, said = run("export", "picks.csv", "--to", "eman", "--box", 10, "-o", "taken")
    assert done.exit_code == 1
    assert "taken: cannot be written: Not a directory" in said
    assert Path("taken").read_text() == "x"


def exposures(paths, shape=SHAPE):
    data = Dataset.allocate(
        len(paths),
        [
            ("micrograph_blob/path", "O"),
            ("micrograph_blob/shape", "u4", (2,)),
            ("micrograph_blob/psize_A", "f4"),
            ("mscope_params/exp_group_id", "u4"),
        ],
    )
    data["micrograph_blob/path"] = paths
    data["micrograph_blob/shape"] = shape
    data["micrograph_blob/psize_A"] = 2.0
    data["mscope_params/exp_group_id"] = 7
    data.save("exposures.cs")
    return data


def test_cryosparc_gets_the_numbers_of_its_own_exposures(project):
    paths = ["J2/mc/000111111111111111111_b.mrc", "J2/mc/000222222222222222222_a.mrc"]
    known = exposures(paths)
    for folder in ("day1", "day2"):  # the files need not be here
        shutil.rmtree(f"MotionCorr/job002/{folder}")
    words = ("--to", "cryosparc", "--exposures", "exposures.cs")
    done, said = run("export", "picks.csv", *words)
    assert done.exit_code == 0, said
    assert "Import Result Group: give for_cryosparc/picks.csg" in said
    data = Dataset.load("for_cryosparc/picks.cs")
    uid = dict(zip(paths, known["uid"], strict=True))
    assert data["location/micrograph_path"].tolist() == [paths[1], paths[1], paths[0]]
    assert data["location/micrograph_uid"].tolist() == [
        uid[p] for p in (paths[1], paths[1], paths[0])
    ]
    assert set(data["location/exp_group_id"]) == {7}
    assert np.allclose(data["location/center_x_frac"] * SHAPE[1], [10, 150, 33])
    assert np.allclose(data["location/center_y_frac"] * SHAPE[0], [20, 90, 44])
    star = starfile.read("for_cryosparc/picks.star")
    assert set(star["rlnMicrographName"]) == {Path(path).name for path in paths}
    done, said = run("convert", "picks.csv", "one.cs", "--exposures", "exposures.cs")
    assert done.exit_code == 0, said
    assert Dataset.load("one.cs")["location/micrograph_uid"].tolist() == list(
        data["location/micrograph_uid"]
    )


def test_picks_of_no_exposure_are_counted_and_left_out(project):
    exposures(["S1/a.mrc"])
    done, said = run("export", "picks.csv", "--to", "cryosparc", "--exposures", "exposures.cs")
    assert done.exit_code == 0, said
    assert "1 micrograph is no exposure of cryoSPARC" in said
    assert NAMES[1] in said
    assert len(Dataset.load("for_cryosparc/picks.cs")) == 2
    exposures(["S1/other.mrc"])
    done, said = run("export", "picks.csv", "--to", "cryosparc", "--exposures", "exposures.cs")
    assert done.exit_code == 2
    assert "none of the exposures has the name" in said


def test_exposures_of_another_binning_are_refused(project):
    exposures(["S1/a.mrc", "S1/b.mrc"], shape=(192, 320))
    done, said = run("export", "picks.csv", "--to", "cryosparc", "--exposures", "exposures.cs")
    assert done.exit_code == 2
    assert "has 160 × 96 pixels, and 320 × 192 in cryoSPARC" in said
    assert not Path("for_cryosparc").exists()
    done, said = run("export", "picks.csv", "--to", "eman", "--exposures", "exposures.cs")
    assert done.exit_code == 2
    assert "for cryoSPARC only" in said


def test_cryosparc_without_sizes_gets_no_dataset_and_is_told(project):
    write_picks("more.csv", make("gone.mrc", [[1, 2]]))
    done, said = run("export", "picks.csv", "--to", "cryosparc")
    assert Path("for_cryosparc/picks.cs").is_file()
    done, said = run("export", "more.csv", "--to", "cryosparc")
    assert done.exit_code == 0, said
    assert "picks.cs was not written: the size or pixel size of 1 of 1 micrographs" in said
    assert "Of earlier picks, and still there: picks.cs" in said


def test_mixed_pixel_sizes_are_told_and_each_micrograph_keeps_its_own(project):
    with mrcfile.open(NAMES[1], "r+") as file:
        file.voxel_size = 3.0
    done, said = run("export", "picks.csv", "--to", "cryosparc")
    assert done.exit_code == 0, said
    assert "2 micrographs have pixel sizes from 2 to 3 Å" in said
    sizes = Dataset.load("for_cryosparc/picks.cs")["location/micrograph_psize_A"]
    assert sizes.tolist() == [2, 2, 3]
