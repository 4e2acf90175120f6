"""Picks and truth from files of every kind, and what is said when they do not fit."""

import numpy as np
import pandas as pd
import pytest
import starfile
from evaluate_helpers import NAME, SCORE, X, Y, write_set, write_star

from cryomae.errors import CryomaeError, FormatError, InputError
from cryomae.evaluate.inputs import Options, gather
from cryomae.formats.star import write_list
from cryomae.names import find_clash, settle, stem

KNOWN = Options(diameter=40, pixel_size=2)


def counts(inputs):
    return inputs.picks.table["micrograph"].value_counts().to_dict()


@pytest.fixture
def truth(tmp_path):
    rows = [("mics/a_1.mrc", 10, 20), ("mics/a_1.mrc", 30, 40), ("mics/a_10.mrc", 50, 60)]
    return write_star(tmp_path / "truth.star", rows, (NAME, X, Y))


def per_micrograph(folder, **files):
    """Coordinate files of one micrograph each, without names in them."""
    folder.mkdir()
    for name, rows in files.items():
        write_star(folder / f"{name}.star", rows, (X, Y, SCORE))
    return folder


def test_folder_and_suffix_of_a_name_do_not_matter(tmp_path, truth):
    rows = [("Job/job002/a_1.tif", 1, 2, 0.5), ("Job/job002/a_10.tif", 3, 4, 0.25)]
    inputs = gather(write_star(tmp_path / "p.star", rows), truth, KNOWN)
    assert counts(inputs) == {"a_1": 1, "a_10": 1}
    assert inputs.picks.score.tolist() == [0.5, 0.25]
    assert inputs.threshold is None


@pytest.mark.parametrize("word", ["", "_autopick", "_cryomae", "_manualpick", "_topaz_v2"])
def test_coordinate_files_are_known_by_their_own_name(tmp_path, truth, word):
    files = {f"a_1{word}": [(1, 2, 0.5)], f"a_10{word}": [(3, 4, 0.5), (5, 6, 0.5)]}
    folder = per_micrograph(tmp_path / "picks", **files)
    assert counts(gather(folder, truth, KNOWN)) == {"a_1": 1, "a_10": 2}
    assert counts(gather(folder / f"a_10{word}.star", truth, KNOWN)) == {"a_10": 2}


def test_list_of_relion(tmp_path, truth, monkeypatch):
    per_micrograph(tmp_path / "AutoPick", x=[(1, 2, 0.5)], y=[(3, 4, 0.5)])
    rows = [("mics/a_1.mrc", "AutoPick/x.star"), ("mics/a_10.mrc", "AutoPick/y.star")]
    write_list(tmp_path / "AutoPick/autopick.star", rows)
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / "AutoPick/autopick.star", tmp_path / "AutoPick"):
        assert counts(gather(path, truth, KNOWN)) == {"a_1": 1, "a_10": 1}
    (tmp_path / "AutoPick/y.star").unlink()
    with pytest.raises(FormatError, match=r"y\.star: no such file"):
        gather(tmp_path / "AutoPick", truth, KNOWN)


def test_truth_may_be_coordinate_files_too(tmp_path):
    picks = per_micrograph(tmp_path / "p", a_cryomae=[(1, 2, 0.5)], b_cryomae=[(1, 2, 0.5)])
    known = per_micrograph(tmp_path / "t", a_manualpick=[(1, 2, 1)], b_manualpick=[(1, 2, 1)])
    inputs = gather(picks, known, KNOWN)
    assert set(counts(inputs)) == set(inputs.truth.micrographs) == {"a", "b"}


def test_set_knows_what_lies_beside_it(tmp_path):
    true = write_set(tmp_path / "set")
    rows = [(name, x, y, 0.5) for name, xy in true.items() for x, y in xy]
    picks = write_star(tmp_path / "p.star", rows)
    for path in (tmp_path / "set", tmp_path / "set/particles.star"):
        inputs = gather(picks, path, Options())
        assert (inputs.diameter, inputs.pixel_size) == (40, 2)
        assert inputs.truth.micrographs == ("s_0", "s_1", "s_2")  # the last is empty
        assert sorted(inputs.truth.regions["kind"]) == ["edge", "ice"]
        assert inputs.truth.particles["defocus"].unique().tolist() == [1.0, 1.5]
        assert inputs.shapes["s_2"] == (300, 400)
        assert "contaminants.star, micrographs.star, simulation.yaml" in inputs.notes[0]


def test_list_of_micrographs_is_no_truth_without_a_simulation(tmp_path):
    write_set(tmp_path / "set")
    (tmp_path / "set/simulation.yaml").unlink()  # then nobody says that all of them are labelled
    picks = write_star(tmp_path / "p.star", [("s_0.mrc", 1, 2, 0.5)])
    inputs = gather(picks, tmp_path / "set", Options(diameter=40))
    assert inputs.truth.micrographs == ("s_0", "s_1")
    assert inputs.origins["pixel_size"] == "the optics of particles.star"


def test_scale_multiplies_the_picks(tmp_path, truth):
    picks = write_star(tmp_path / "p.star", [("a_1.mrc", 5, 10.5, 1)])
    options = Options(diameter=40, pixel_size=2, scale=2)
    assert gather(picks, truth, options).picks.xy.tolist() == [[10, 21]]


def test_contradicting_pixel_sizes_ask_for_a_scale(tmp_path):
    truth = write_star(tmp_path / "t.star", [("a.mrc", 1, 2)], (NAME, X, Y), pixel_size=1.5)
    picks = write_star(tmp_path / "p.star", [("a.mrc", 1, 2, 1)], pixel_size=3)
    with pytest.raises(InputError, match="--scale 2 "):
        gather(picks, truth, Options(diameter=40))
    assert gather(picks, truth, Options(diameter=40, scale=2)).pixel_size == 1.5
    assert gather(picks, truth, Options(diameter=40, pixel_size=1.4)).pixel_size == 1.4


def test_pixel_size_is_that_of_the_micrographs_or_of_the_picks(tmp_path):
    write_set(tmp_path / "set")
    rows = [("s_0.mrc", 1, 2, 1)]
    truth = write_star(tmp_path / "t.star", rows)
    options = Options(diameter=40, micrographs=str(tmp_path / "set/micrographs"))
    inputs = gather(write_star(tmp_path / "p.star", rows), truth, options)
    assert (inputs.pixel_size, inputs.origins["pixel_size"]) == (2, "the micrographs")
    picks = write_star(tmp_path / "q.star", rows, pixel_size=3)
    inputs = gather(picks, truth, Options(diameter=40, scale=2))
    assert inputs.pixel_size == 1.5


def refusal(picks, truth, options=KNOWN):
    with pytest.raises(CryomaeError) as caught:
        gather(picks, truth, options)
    assert caught.value.remedy
    return str(caught.value)


def test_what_cannot_be_known_is_asked_for(tmp_path, truth):
    picks = write_star(tmp_path / "p.star", [("a_1.mrc", 5, 10.5, 1)])
    assert "--diameter" in refusal(picks, truth, Options(pixel_size=2))
    assert "--pixel-size" in refusal(picks, truth, Options(diameter=40))


def test_bad_files_are_named(tmp_path, truth):
    good = write_star(tmp_path / "p.star", [("a_1.mrc", 5, 10.5, 1)])
    assert "no such file" in refusal(tmp_path / "absent.star", truth)
    assert "no such file" in refusal(good, tmp_path / "absent")
    lacking = write_star(tmp_path / "l.star", [("a_1.mrc", 5)], (NAME, X))
    assert "rlnCoordinateY" in refusal(lacking, truth)
    hole = write_star(tmp_path / "n.star", [("a_1.mrc", 5, np.nan, 1)])
    assert "rlnCoordinateY of row 1 is not a number" in refusal(hole, truth)
    (tmp_path / "text.star").write_text("nothing of the kind\n")
    assert "text.star" in refusal(tmp_path / "text.star", truth)
    (tmp_path / "void").mkdir()
    assert "no coordinate file" in refusal(tmp_path / "void", truth)
    mixed = write_star(tmp_path / "m.star", [("x/a_1.mrc", 1, 2, 1), ("y/a_1.mrc", 1, 2, 1)])
    assert "x/a_1.mrc and y/a_1.mrc" in refusal(mixed, truth)
    twice = per_micrograph(tmp_path / "twice", a_1_topaz=[(1, 2, 1)], a_1_cryomae=[(1, 2, 1)])
    assert "so does" in refusal(twice, truth)


def test_contaminants_without_a_kind_are_refused(tmp_path, truth):
    picks = write_star(tmp_path / "p.star", [("a_1.mrc", 5, 10.5, 1)])
    bad = write_star(tmp_path / "c.star", [("a_1.mrc", 5, 10)], (NAME, X, Y))
    words = refusal(picks, truth, Options(diameter=40, pixel_size=2, contaminants=bad))
    assert "cryomaeKind, cryomaeRadius" in words


def test_several_pixel_sizes_are_refused(tmp_path):
    optics = {"rlnOpticsGroup": [1, 2], "rlnMicrographPixelSize": [1.0, 1.5]}
    rows = [("a.mrc", 1, 2), ("b.mrc", 1, 2)]
    truth = write_star(tmp_path / "t.star", rows, (NAME, X, Y), pixel_size=1)
    blocks = starfile.read(truth, always_dict=True) | {"optics": pd.DataFrame(optics)}
    blocks["particles"]["rlnOpticsGroup"] = [1, 2]
    starfile.write(blocks, truth, overwrite=True)
    picks = write_star(tmp_path / "p.star", [("a.mrc", 1, 2, 1)])
    assert "from 1 to 1.5" in refusal(picks, truth, Options(diameter=40))


def test_micrographs_that_have_nothing_to_do_with_the_truth_are_refused(tmp_path, truth):
    write_set(tmp_path / "set")
    picks = write_star(tmp_path / "p.star", [("a_1.mrc", 5, 10.5, 1)])
    for where in ("set/micrographs", "absent"):
        options = Options(diameter=40, pixel_size=2, micrographs=str(tmp_path / where))
        assert str(tmp_path / where) in refusal(picks, truth, options)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("m/a.b.mrc", "a.b"), ("a.MRC.gz", "a"), ("a.b", "a.b"), ("a_1.tiff", "a_1"), ("x/y", "y")],
)
def test_stem(name, expected):
    assert stem(name) == expected


def test_numbers_are_no_words_at_the_end_of_a_name():
    assert settle("mic_1_2", ["mic_1"]) == "mic_1_2"
    assert settle("mic_1_2_autopick", ["mic_1", "mic_1_2"]) == "mic_1_2"
    assert settle("mic_1autopick", ["mic_1"]) == "mic_1autopick"
    assert find_clash(["a/x.mrc", "a/x.mrc", "y.mrc"]) is None
    assert find_clash(["a/x.mrc", "b/x.mrc"]) == ("a/x.mrc", "b/x.mrc")
