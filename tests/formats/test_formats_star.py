"""RELION STAR: what is written is what RELION reads."""

import shlex
import string

import numpy as np
import pytest
import starfile
from hypothesis import given
from hypothesis import strategies as st

from cryomae.errors import FormatError
from cryomae.formats import list_formats, read_picks, register, star, write_picks
from cryomae.picks import Picks


def make(xy, score=None, micrograph="m.mrc"):
    score = np.ones(len(xy)) if score is None else score
    return Picks.from_arrays(micrograph, xy, score, 100.0)


def test_text_is_that_of_relions_autopicker(tmp_path):
    path = tmp_path / "a.star"
    star.write_picks(path, make([[10.4, 20.5]], [0.75]))
    words = [line.split() for line in path.read_text().splitlines() if line.strip()]
    assert words == [
        ["data_"],
        ["loop_"],
        ["_rlnCoordinateX", "#1"],
        ["_rlnCoordinateY", "#2"],
        ["_rlnAutopickFigureOfMerit", "#3"],
        ["_rlnClassNumber", "#4"],
        ["_rlnAnglePsi", "#5"],
        ["10", "21", "0.750000", "0", "0.000000"],
    ]


@given(
    st.lists(
        st.tuples(
            st.floats(-50, 9000, allow_nan=False),
            st.floats(-50, 9000, allow_nan=False),
            st.floats(0, 1),
        ),
        max_size=30,
    )
)
def test_round_trip(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("star") / "x.star"
    rows = np.array(rows).reshape(-1, 3)
    picks = make(rows[:, :2], rows[:, 2])
    star.write_picks(path, picks, shape=(4000, 6000))
    back = read_picks(path)
    assert len(back) == len(picks)
    assert np.array_equal(back.xy, np.round(back.xy))
    inside = np.clip(picks.xy, 0, (5999, 3999))
    assert np.all(np.abs(back.xy - inside) <= 0.5)
    assert np.allclose(back.score, picks.score, atol=1e-6)
    write_picks(path, back)
    assert np.array_equal(read_picks(path).xy, back.xy)


def test_empty_table_is_a_valid_loop(tmp_path):
    write_picks(tmp_path / "x.star", make(np.zeros((0, 2))))
    assert list(starfile.read(tmp_path / "x.star").columns)[:2] == [star.X, star.Y]
    assert len(read_picks(tmp_path / "x.star")) == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused(tmp_path, bad):
    with pytest.raises(FormatError, match="coordinate"):
        write_picks(tmp_path / "x.star", make([[bad, 1]]))
    with pytest.raises(FormatError, match="score"):
        write_picks(tmp_path / "x.star", make([[1, 1]], [bad]))
    assert not (tmp_path / "x.star").exists()


def test_several_micrographs_keep_their_names(tmp_path):
    both = Picks.concat([make([[1, 2]], micrograph="a b.mrc"), make([[3, 4]], micrograph="0012")])
    write_picks(tmp_path / "x.star", both)
    assert read_picks(tmp_path / "x.star").table["micrograph"].tolist() == ["a b.mrc", "0012"]


def test_together_matches_one_by_one(tmp_path):
    parts = [("a.mrc", make([[1, 2]])), ("b.mrc", make([])), ("c.mrc", make([[3, 4], [5, 6]]))]
    star.write_together(tmp_path / "x.star", iter(parts))
    back = read_picks(tmp_path / "x.star")
    assert back.table["micrograph"].tolist() == ["a.mrc", "c.mrc", "c.mrc"]
    assert back.xy.tolist() == [[1, 2], [3, 4], [5, 6]]
    star.write_together(tmp_path / "y.star", iter([]))
    assert len(read_picks(tmp_path / "y.star")) == 0


RELION_30 = """
data_images

loop_
_rlnMicrographName #1
_rlnCoordinateX #2
_rlnCoordinateY #3
mics/a.mrc 12.5 30
"""
RELION_31 = """
# version 30001

data_optics

loop_
_rlnOpticsGroup #1
_rlnMicrographPixelSize #2
1 1.06


# version 30001

data_particles

loop_
_rlnCoordinateX #1
_rlnCoordinateY #2
_rlnOpticsGroup #3
_rlnAutopickFigureOfMerit #4
12.5 30 1 0.25
"""
RELION_5 = """
# version 50001

data_

loop_
_rlnCoordinateX #1
_rlnCoordinateY #2
_rlnParticleSelectionType #3
    12.500000   30.000000   2"""


@pytest.mark.parametrize(
    ("text", "name", "score"),
    [(RELION_30, "mics/a.mrc", 1.0), (RELION_31, "x", 0.25), (RELION_5, "x", 1.0)],
)
def test_reads_files_of_every_relion(tmp_path, text, name, score):
    (tmp_path / "x.star").write_text(text)
    picks = read_picks(tmp_path / "x.star")
    assert picks.xy.tolist() == [[12.5, 30]]
    assert picks.score.tolist() == [score]
    assert picks.table["micrograph"].tolist() == [name]


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "is empty"),
        ("hello\n", "is empty or no STAR file"),
        ("data_\nloop_\n_rlnMicrographName #1\na.mrc\n", "has no columns"),
        (
            "data_\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n1 2\n3 x\n",
            "rlnCoordinateY of row 2 is not a number",
        ),
        ("data_\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n1 2\n3\n", "row 2"),
    ],
)
def test_bad_files_name_file_and_cause(tmp_path, text, cause):
    path = tmp_path / "bad.star"
    path.write_text(text)
    with pytest.raises(FormatError, match=cause) as caught:
        read_picks(path)
    assert caught.value.path == str(path)


def test_missing_file_and_unknown_suffix(tmp_path):
    with pytest.raises(FormatError, match="no such file"):
        read_picks(tmp_path / "gone.star")
    with pytest.raises(FormatError, match=r"\.xyz.*\.star"):
        write_picks(tmp_path / "a.xyz", make([]))


def test_list_copies_names_verbatim(tmp_path):
    rows = [("MotionCorr/job002/m/a.mrc", "P/m/a.star"), ("with space.mrc", "b.star")]
    star.write_list(tmp_path / "autopick.star", rows)
    blocks = starfile.read(tmp_path / "autopick.star", always_dict=True)
    assert list(blocks) == ["coordinate_files"]
    assert blocks["coordinate_files"].to_numpy().tolist() == [list(row) for row in rows]


def test_a_suffix_belongs_to_one_format():
    (form,) = [f for f in list_formats() if ".star" in f.suffixes]
    with pytest.raises(ValueError, match="already belongs"):
        register(form)


@given(st.text(string.ascii_letters + "_-./ ", min_size=1, max_size=30).map(str.strip))
def test_any_name_survives_the_list(tmp_path_factory, name):
    if not name:
        return
    path = tmp_path_factory.mktemp("list") / "l.star"
    star.write_list(path, [(name, "x.star"), ("y", "z")])
    (row,) = [line for line in path.read_text().splitlines() if line.endswith(" x.star")]
    assert shlex.split(row)[0] == name
    if name.lower() != "nan":  # which starfile takes for a missing value, quoted or not
        assert starfile.read(path)["rlnMicrographName"].tolist()[0] == name


def test_a_file_that_changed_is_read_anew(tmp_path, monkeypatch):
    for folder, x in (("one", 10), ("two", 20)):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        star.write_picks("same.star", make([[x, 5]] * (x // 10)))
        assert read_picks("same.star").xy.tolist() == [[x, 5]] * (x // 10)
