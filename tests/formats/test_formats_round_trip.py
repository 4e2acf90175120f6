"""Every format, and every pair of them: what goes in comes out."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cryomae.errors import FormatError, InputError
from cryomae.formats import Context, format_of, read_picks, write_picks
from cryomae.picks import Picks

NY, NX = 1500, 4000
NAME = "mic 1.a.mrc"
WHOLE = {"a.star", "mic 1.a.box", "a.txt", "mic 1.a.coords"}
SCORED = {"a.star", "a.cs", "mic 1.a_info.json", "mic 1.a.cbox", "a.txt", "a.csv"}
NAMED = {"a.star", "a.cs", "a.csv"}
FILES = ("a.star", "a.cs", "mic 1.a.box", "mic 1.a_info.json", "mic 1.a.cbox", "a.txt",
         "mic 1.a.coords", "a.csv")  # fmt: skip
CONTEXT = Context({NAME: (NY, NX), "mic 1.a": (NY, NX)}, {NAME: 1.5, "mic 1.a": 1.5}, box=64)

points = st.lists(
    st.tuples(st.floats(0, NX - 1), st.floats(0, NY - 1), st.floats(0, 1)), max_size=20
)


def make(rows, name=NAME):
    rows = np.array(rows, dtype=float).reshape(-1, 3)
    return Picks.from_arrays(name, rows[:, :2], rows[:, 2], 100.0, "test")


@pytest.mark.parametrize("first", FILES)
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(rows=points)
def test_round_trip(tmp_path_factory, first, rows):
    path = tmp_path_factory.mktemp("trip") / first
    picks = make(rows)
    write_picks(path, picks, CONTEXT)
    back = read_picks(path)
    assert len(back) == len(picks)
    if first in WHOLE:
        assert np.array_equal(back.xy, np.floor(picks.xy + 0.5))
    else:
        assert np.allclose(back.xy, picks.xy, rtol=0, atol=1e-3)
    expected = picks.score if first in SCORED else np.ones(len(picks))
    assert np.allclose(back.score, expected, rtol=0, atol=1e-6)
    name = NAME if first in NAMED else "mic 1.a"
    assert set(back.table["micrograph"]) <= {name}


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(FILES, 2)))
def test_every_pair(tmp_path, first, second):
    rng = np.random.default_rng(5)
    picks = make(np.column_stack([rng.uniform(0, (NX - 1, NY - 1), (40, 2)), rng.random(40)]))
    write_picks(tmp_path / "one" / first, picks, CONTEXT)
    write_picks(tmp_path / "two" / second, read_picks(tmp_path / "one" / first), CONTEXT)
    back = read_picks(tmp_path / "two" / second)
    exact = first not in WHOLE and second not in WHOLE
    assert np.abs(back.xy - picks.xy).max() <= (1e-3 if exact else 0.501)
    if first in SCORED and second in SCORED:
        assert np.allclose(back.score, picks.score, atol=1e-6)
    if first in NAMED and second in NAMED:
        assert set(back.table["micrograph"]) == {NAME}


def test_a_box_is_around_the_particle_and_starts_at_its_corner(tmp_path):
    write_picks(tmp_path / "m.box", make([[100, 50, 1]]), Context(box=40))
    assert (tmp_path / "m.box").read_text().split() == ["80", "30", "40", "40"]


def test_eman2_wants_centres(tmp_path):
    path = tmp_path / "m_info.json"
    write_picks(path, make([[100.25, 50, 0.5]]))
    assert json.loads(path.read_text())["boxes"] == [[100.25, 50.0, "manual", 0.5]]
    path.write_text('{"boxes": [[7, 8, "manual"]], "ctf": [1, 2]}')
    assert read_picks(path).xy.tolist() == [[7, 8]]
    assert read_picks(path).table["micrograph"].tolist() == ["m"]


CBOX = """
data_global

_cbox_format_version 1.0

data_cryolo

loop_
_CoordinateX #1
_CoordinateY #2
_CoordinateZ #3
_Width #4
_Height #5
_Depth #6
_EstWidth #7
_EstHeight #8
_Confidence #9
_NumBoxes #10
_Angle #11
1012.5 44.0 <NA> 200 200 1 180.0 181.0 0.83 <NA> <NA>

data_cryolo_include

loop_
_slice_index #1

"""


def test_a_file_as_cryolo_writes_it(tmp_path):
    (tmp_path / "m.cbox").write_text(CBOX)
    picks = read_picks(tmp_path / "m.cbox")
    assert picks.xy.tolist() == [[1112.5, 144.0]]
    assert picks.score.tolist() == [0.83]


def test_topaz_tells_micrographs_of_two_folders_not_apart(tmp_path):
    picks = Picks.concat([make([[1, 2, 1]], "a/m.mrc"), make([[1, 2, 1]], "b/m.mrc")])
    with pytest.raises(InputError, match=r"a/m\.mrc and b/m\.mrc"):
        write_picks(tmp_path / "t.txt", picks)
    assert not list(tmp_path.iterdir())


def test_one_micrograph_formats_refuse_several(tmp_path):
    picks = Picks.concat([make([[1, 2, 1]], "a"), make([[1, 2, 1]], "b")])
    with pytest.raises(InputError, match="one micrograph a file, and there are 2"):
        write_picks(tmp_path / "t.box", picks, CONTEXT)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("bad", [[np.nan, 1, 1], [1, np.inf, 1]])
def test_what_is_no_number_is_not_written(tmp_path, name, bad):
    with pytest.raises(FormatError, match="not a number"):
        write_picks(tmp_path / name, make([[1, 1, 1], bad]), CONTEXT)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", sorted(SCORED))
def test_a_score_that_is_no_number_is_not_written(tmp_path, name):
    with pytest.raises(FormatError, match="score that is not a number"):
        write_picks(tmp_path / name, make([[1, 1, np.nan]]), CONTEXT)
    assert not list(tmp_path.iterdir())


BAD = {
    "missing.box": (None, "no such file"),
    "m.box": ("1 2 3\n", "row 1 has fewer"),
    "n.box": ("1 2 3 4\n1 2 x 4\n", "width of row 2"),
    "m.coords": ("x y\n1\n", "row 1 does not hold"),
    "m.json": ("[1, 2]", "no list of boxes"),
    "n.json": ("{", "is not JSON"),
    "m.cbox": ("data_other\n\n_a 1\n", "no block data_cryolo"),
    "m.txt": ("x\ty\n1\t2\n", "no column image_name"),
    "n.txt": ("image_name\tx_coord\ty_coord\na\t1\tnan\n", "y_coord of row 1"),
    "empty.txt": ("", "the file is empty"),
    "empty.cbox": ("", "the file is empty"),
    "m.csv": ("a,b\n1,2\n", "no column x"),
    "n.csv": ("", "the file is empty"),
    "o.csv": ("x,y\n1,\n", "y of row 1"),
    "m.xyz": ("1 2\n", "not a known coordinate format"),
    "noending": ("1 2\n", "has no ending"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_say_what_is_wrong(tmp_path, name):
    text, message = BAD[name]
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(FormatError, match=message) as caught:
        read_picks(tmp_path / name)
    assert caught.value.path == str(tmp_path / name)
    assert caught.value.remedy


@pytest.mark.parametrize("name", ["e.box", "e.coords"])
def test_an_empty_file_holds_no_picks(tmp_path, name):
    (tmp_path / name).write_text("")
    assert len(read_picks(tmp_path / name)) == 0


@pytest.mark.parametrize("name", ["a.cs", "a.box", "a.cbox"])
def test_sizes_that_are_missing_are_asked_for(tmp_path, name):
    with pytest.raises(InputError, match="needed and not known"):
        write_picks(tmp_path / name, make([[1, 1, 1]]))
    assert format_of(tmp_path / name).name
    assert not list(tmp_path.iterdir())
