"""From files, globs, folders and lists to micrographs."""

from pathlib import Path

import pytest

from cryomae.errors import InputError, MicrographError
from cryomae.io import SUFFIXES, find_micrographs


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder to work in: micrographs, siblings and other things in mics/."""
    mics = tmp_path / "mics"
    (mics / "deeper.mrc").mkdir(parents=True)
    names = ["m_10.mrc", "m_9.mrc", "m_2.tif", "M_1.MRC", "m_3.mrc.gz", "m_4.mrc.bz2", "m_5.mrcs"]
    names += ["m_6.tiff", "m_9_PS.mrc", "m_9_noDW.mrc", "m_9_EVN.mrc", "m_9_ODD.mrc.gz"]
    names += [".m_8.mrc", "m_9.star", "notes.txt", "m_7.eer", "m_11_ps.mrc", "deeper.mrc/in.mrc"]
    for name in names:
        (mics / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


TAKEN = ["M_1.MRC", "m_2.tif", "m_3.mrc.gz", "m_4.mrc.bz2", "m_5.mrcs", "m_6.tiff", "m_9.mrc"]
TAKEN += ["m_10.mrc", "m_11_ps.mrc"]


def names(*inputs: str | Path) -> list[str]:
    refs, errors = find_micrographs(inputs)
    assert not errors, errors
    assert all(ref.path.exists() for ref in refs)
    return [ref.name for ref in refs]


def error(*inputs: str | Path) -> MicrographError:
    refs, errors = find_micrographs(inputs)
    assert not refs
    assert len(errors) == 1
    return errors[0]


@pytest.mark.parametrize("given", ["mics", "mics/", "./mics", Path("mics"), "mics/*"])
def test_folder_and_glob(project: Path, given: str | Path) -> None:
    assert names(given) == [f"mics/{name}" for name in TAKEN]


def test_working_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("mics")
    assert names(".") == TAKEN


def test_absolute_folder(project: Path) -> None:
    assert names(project / "mics")[0] == f"{project}/mics/M_1.MRC"


@pytest.mark.parametrize("name", ["m_9_PS.mrc", "m_9_noDW.mrc", ".m_8.mrc", "m_9_ODD.mrc.gz"])
def test_named_file_is_always_taken(project: Path, name: str) -> None:
    assert names(f"mics/{name}") == [f"mics/{name}"]


def test_globs(project: Path) -> None:
    assert names("mics/m_*.mrc") == ["mics/m_9.mrc", "mics/m_10.mrc", "mics/m_11_ps.mrc"]
    assert names("mics/*_noDW.mrc") == ["mics/m_9_noDW.mrc"]
    assert names("**/in.mrc") == ["mics/deeper.mrc/in.mrc"]


def test_brackets_in_a_name(project: Path) -> None:
    (project / "a[1].mrc").touch()
    assert names("a[1].mrc") == ["a[1].mrc"]


def test_every_name_once_in_the_order_given(project: Path) -> None:
    found = names("mics/m_10.mrc", "./mics/m_10.mrc", "mics/m_[29]*", "mics/m_9.mrc")
    assert found == ["mics/m_10.mrc", "mics/m_2.tif", "mics/m_9.mrc"]
    _, errors = find_micrographs(["gone.mrc", "gone.mrc"])
    assert len(errors) == 1


def test_a_single_string_is_one_input(project: Path) -> None:
    assert len(find_micrographs("mics")[0]) == len(TAKEN)


def test_list(project: Path) -> None:
    lines = [
        "# picked by hand",
        "mics/m_9.mrc",
        "",
        "  m_2.tif  ",
        f"{project}/mics/m_10.mrc",
        "gone.mrc",
    ]
    (project / "mics" / "list.txt").write_text("\n".join(lines))
    refs, errors = find_micrographs(["@mics/list.txt"])
    assert [ref.name for ref in refs] == ["mics/m_9.mrc", "m_2.tif", f"{project}/mics/m_10.mrc"]
    assert [ref.path for ref in refs][:2] == [Path("mics/m_9.mrc"), Path("mics/m_2.tif")]
    assert [e.path for e in errors] == ["gone.mrc"]


@pytest.mark.parametrize(
    ("given", "cause", "remedy"),
    [
        ("gone.mrc", "no such file", "check the path"),
        ("gone/*.mrc", "no match", "check the pattern"),
        ("mics/*.txt", "none of the 1 matches is a micrograph", ".mrc.gz"),
        ("mics/m_7.eer", "'.eer' files are not read", "motion-correct"),
        ("mics/notes.txt", "'.txt' files are not read", "convert"),
        ("mics/deeper.mrc/..", "", ""),
    ],
)
def test_what_is_not_there(project: Path, given: str, cause: str, remedy: str) -> None:
    if not cause:
        assert names(given)
        return
    found = error(given)
    assert given in str(found)
    assert cause in found.cause
    assert remedy in found.remedy


def test_folder_without_micrographs(project: Path) -> None:
    (project / "empty").mkdir()
    found = error("empty")
    assert "empty: the folder holds no micrographs" in str(found)
    assert all(suffix in found.remedy for suffix in SUFFIXES)


def test_one_missing_file_does_not_stop_the_others(project: Path) -> None:
    refs, errors = find_micrographs(["mics/m_9.mrc", "gone.mrc", "mics/m_10.mrc"])
    assert (len(refs), len(errors)) == (2, 1)


def test_broken_link_is_told(project: Path) -> None:
    (project / "link.mrc").symlink_to("gone.mrc")
    assert "broken link to gone.mrc" in str(error("link.mrc"))


def test_nothing_at_all(project: Path) -> None:
    (project / "list.txt").write_text("# nothing\n")
    for inputs in ([], ["@list.txt"]):
        with pytest.raises(InputError, match="no micrographs named"):
            find_micrographs(inputs)


@pytest.mark.parametrize("given", ["@gone.txt", "@mics", "@binary"])
def test_list_that_cannot_be_read(project: Path, given: str) -> None:
    (project / "binary").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(InputError, match="the list cannot be read") as caught:
        find_micrographs([given])
    assert given[1:] in str(caught.value)
