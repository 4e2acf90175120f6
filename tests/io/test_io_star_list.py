"""Micrographs listed in RELION's STAR files."""

from pathlib import Path

import pytest

from cryomae.errors import FormatError
from cryomae.io import find_micrographs

OPTICS = """
# version 30001

data_optics

loop_
_rlnOpticsGroupName #1
_rlnOpticsGroup #2
_rlnMicrographOriginalPixelSize #3
_rlnMicrographPixelSize #4
opticsGroup1  1  0.5  1.06
opticsGroup2  2  0.5  0.83

"""
MICROGRAPHS = """
# version 30001

data_micrographs

loop_
_rlnMicrographName #1
_rlnOpticsGroup #2
MotionCorr/job002/./a.mrc  2
MotionCorr/job002//b.mrc  1
MotionCorr/job002/123.mrc  2

"""
NAMES = ["MotionCorr/job002/./a.mrc", "MotionCorr/job002//b.mrc", "MotionCorr/job002/123.mrc"]

RELION_30 = """
data_

loop_
_rlnMicrographName #1
_rlnDetectorPixelSize #2
_rlnMagnification #3
MotionCorr/job002/./a.mrc  5.0  50000
MotionCorr/job002//b.mrc  5.3  50000
MotionCorr/job002/123.mrc  5.0  50000
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project" / "MotionCorr" / "job002"
    folder.mkdir(parents=True)
    for name in ("a.mrc", "b.mrc", "123.mrc"):
        (folder / name).touch()
    (tmp_path / "project" / "CtfFind" / "job003").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def star(project: Path, text: str) -> Path:
    path = project / "CtfFind" / "job003" / "micrographs_ctf.star"
    path.write_text(text)
    return path.relative_to(project)


def test_groups_have_their_own_pixel_size(project: Path) -> None:
    refs, errors = find_micrographs([star(project, OPTICS + MICROGRAPHS)])
    assert not errors
    assert [ref.name for ref in refs] == NAMES
    assert [ref.pixel_size for ref in refs] == [0.83, 1.06, 0.83]
    assert all(ref.path.exists() for ref in refs)


def test_relion_30(project: Path) -> None:
    refs, errors = find_micrographs([star(project, RELION_30)])
    assert not errors
    assert [ref.name for ref in refs] == NAMES
    assert [ref.pixel_size for ref in refs] == pytest.approx([1.0, 1.06, 1.0])


def test_relion_30_without_pixel_size_leaves_it_to_the_header(project: Path) -> None:
    text = "data_\n\nloop_\n_rlnMicrographName #1\nMotionCorr/job002/a.mrc\n"
    refs, _ = find_micrographs([star(project, text)])
    assert [ref.pixel_size for ref in refs] == [None]


def test_blocks_of_one_row_without_loop(project: Path) -> None:
    text = "data_optics\n\n_rlnOpticsGroup 1\n_rlnMicrographPixelSize 1.5\n\n"
    text += "data_micrographs\n\n_rlnMicrographName MotionCorr/job002/a.mrc\n_rlnOpticsGroup 1\n\n"
    refs, _ = find_micrographs([star(project, text)])
    assert [(ref.name, ref.pixel_size) for ref in refs] == [("MotionCorr/job002/a.mrc", 1.5)]


def test_names_of_digits_stay_text(project: Path) -> None:
    text = MICROGRAPHS.replace("MotionCorr/job002/123.mrc", "0123")
    _, errors = find_micrographs([star(project, OPTICS + text)])
    assert [e.path for e in errors] == ["0123"]


def test_paths_are_found_from_outside_the_project(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = star(project, OPTICS + MICROGRAPHS)
    monkeypatch.chdir(project.parent)
    refs, errors = find_micrographs([Path("project") / path])
    assert not errors
    assert [ref.name for ref in refs] == NAMES
    assert all(ref.path.exists() for ref in refs)


def test_a_missing_micrograph_is_told(project: Path) -> None:
    (project / "MotionCorr/job002/b.mrc").unlink()
    refs, errors = find_micrographs([star(project, OPTICS + MICROGRAPHS)])
    assert len(refs) == 2
    assert "b.mrc: no such file" in str(errors[0])


@pytest.mark.parametrize(
    "column", ["rlnMicrographPixelSize", "rlnOpticsGroup", "rlnMicrographName"]
)
def test_missing_column_is_named(project: Path, column: str) -> None:
    text = (OPTICS + MICROGRAPHS).replace(f"_{column} #", "_rlnOther #")
    path = star(project, text)
    with pytest.raises(FormatError, match=f"column {column} is missing in data_") as caught:
        find_micrographs([path])
    assert "micrographs_ctf.star" in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize("column", ["rlnDetectorPixelSize", "rlnMagnification"])
def test_missing_column_of_relion_30(project: Path, column: str) -> None:
    with pytest.raises(FormatError, match=f"column {column} is missing"):
        find_micrographs([star(project, RELION_30.replace(f"_{column}", "_rlnOther"))])


@pytest.mark.parametrize(
    ("block", "column", "what"),
    [
        ("movies", "rlnMicrographMovieName", "movies"),
        ("particles", "rlnImageName", "particles"),
        ("coordinate_files", "rlnMicrographCoordinates", "coordinate files"),
        ("", "rlnCoordinateX", "coordinates"),
    ],
)
def test_list_of_something_else(project: Path, block: str, column: str, what: str) -> None:
    text = f"data_{block}\n\nloop_\n_rlnMicrographName #1\n_{column} #2\na.mrc 1\n"
    with pytest.raises(FormatError, match=f"lists {what}, not micrographs"):
        find_micrographs([star(project, text)])


def test_unknown_optics_group(project: Path) -> None:
    text = (OPTICS + MICROGRAPHS).replace("123.mrc  2", "123.mrc  7")
    with pytest.raises(FormatError, match="no rlnOpticsGroup 7"):
        find_micrographs([star(project, text)])


@pytest.mark.parametrize("value", ["0.0", "-1", "nan", "50", "none"])
def test_absurd_pixel_size(project: Path, value: str) -> None:
    text = (OPTICS + MICROGRAPHS).replace("0.83", value)
    with pytest.raises(FormatError, match="rlnMicrographPixelSize is"):
        find_micrographs([star(project, text)])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello\n",
        "data_\n",
        "data_\nloop_\n",
        "data_\n\nloop_\n_a #1\n_b #2\n1\n1 2 3 4\n",
        "\x00\x01",
    ],
)
def test_not_a_star_file(project: Path, text: str) -> None:
    with pytest.raises(FormatError) as caught:
        find_micrographs([star(project, text)])
    assert "micrographs_ctf.star" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


def test_binary_and_missing(project: Path) -> None:
    path = star(project, "")
    (project / path).write_bytes(b"data_\n\xff\xfe\x81")
    with pytest.raises(FormatError):
        find_micrographs([path])
    with pytest.raises(FormatError, match="no such file"):
        find_micrographs(["gone.star"])
