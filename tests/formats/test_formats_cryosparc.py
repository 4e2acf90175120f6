"""cryoSPARC's own files, both forms: read, written, and told from damaged ones."""

import contextlib

import numpy as np
import pytest
from cryosparc.dataset import CSDAT_FORMAT, NUMPY_FORMAT, Dataset

from cryomae.errors import FormatError, InputError, NoCoordinatesError
from cryomae.formats import Context, read_picks, write_picks
from cryomae.formats.cryosparc import write_group
from cryomae.formats.exposures import load_exposures, match_exposures
from cryomae.picks import Picks

NAMES = ["J2/imported/day 1/a #1.mrc", "J2/imported/日/µ.mrc"]
SHAPE = (1000, 900)
FORMS = pytest.mark.parametrize("form", [NUMPY_FORMAT, CSDAT_FORMAT])


def picks_of_two():
    rng = np.random.default_rng(0)
    return Picks.concat(
        Picks.from_arrays(name, rng.uniform(0, 900, (30, 2)), rng.random(30), 120) for name in NAMES
    )


def as_cryosparc_saves(path, form, rows=60):
    """Write a file with Dataset alone, as a picking job of cryoSPARC does."""
    data = Dataset.allocate(
        rows,
        [
            ("location/micrograph_path", "O"),
            ("location/micrograph_shape", "u4", (2,)),
            ("location/center_x_frac", "f4"),
            ("location/center_y_frac", "f4"),
            ("pick_stats/ncc_score", "f4"),
        ],
    )
    data["location/micrograph_path"] = [NAMES[i % 2] for i in range(rows)]
    data["location/micrograph_shape"] = SHAPE
    data["location/center_x_frac"] = np.arange(rows) / rows
    data["location/center_y_frac"] = 0.25
    data["pick_stats/ncc_score"] = np.arange(rows) / 100
    data.save(path, format=form)


@FORMS
def test_both_forms_that_cryosparc_saves_are_read(tmp_path, form):
    as_cryosparc_saves(tmp_path / "a.cs", form)
    picks = read_picks(tmp_path / "a.cs")
    assert picks.table["micrograph"].tolist() == NAMES * 30
    assert np.allclose(picks.xy, np.column_stack([np.arange(60) * 15, np.full(60, 250)]), atol=1e-3)
    assert np.allclose(picks.score, np.arange(60) / 100)


@FORMS
@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows_are_read(tmp_path, form, rows):
    as_cryosparc_saves(tmp_path / "a.cs", form, rows)
    assert len(read_picks(tmp_path / "a.cs")) == rows


def test_cryosparc_loads_ours_and_saves_it_in_either_form(tmp_path):
    picks = picks_of_two()
    context = Context(dict.fromkeys(NAMES, SHAPE), dict.fromkeys(NAMES, 1.5))
    write_picks(tmp_path / "ours.cs", picks, context)
    data = Dataset.load(tmp_path / "ours.cs")
    assert set(data["location/micrograph_path"]) == set(NAMES)
    assert (data["location/micrograph_shape"] == SHAPE).all(), "rows, then columns"
    assert np.allclose(data["location/center_x_frac"] * 900, picks.xy[:, 0], atol=1e-3)
    assert np.allclose(data["location/min_dist_A"], 60)
    assert np.allclose(data["pick_stats/ncc_score"], picks.score)
    assert np.array_equal(data["pick_stats/power"], data["pick_stats/ncc_score"])
    assert len(set(data["uid"])) == len(picks)
    for form in (NUMPY_FORMAT, CSDAT_FORMAT):
        data.save(tmp_path / "theirs.cs", format=form)
        back = read_picks(tmp_path / "theirs.cs")
        assert np.allclose(back.xy, picks.xy, rtol=0, atol=1e-3)
        assert back.table["micrograph"].tolist() == picks.table["micrograph"].tolist()


@FORMS
def test_a_file_that_was_cut_short_anywhere_is_refused(tmp_path, form):
    """Of the compressed form, cryosparc-tools alone dies with the whole program."""
    as_cryosparc_saves(tmp_path / "whole.cs", form)
    content = (tmp_path / "whole.cs").read_bytes()
    path = tmp_path / "part.cs"
    for length in [
        *range(1, len(content), len(content) // 40),
        *range(len(content) - 8, len(content)),
    ]:
        path.write_bytes(content[:length])
        with pytest.raises(FormatError, match="is not a dataset"):
            read_picks(path)


@FORMS
def test_damage_never_ends_the_program(tmp_path, form):
    as_cryosparc_saves(tmp_path / "whole.cs", form)
    content = (tmp_path / "whole.cs").read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(content)
        damaged[rng.integers(len(damaged))] ^= 1 << int(rng.integers(8))
        (tmp_path / "part.cs").write_bytes(damaged)
        with contextlib.suppress(FormatError):
            read_picks(tmp_path / "part.cs")


def test_exposures_hold_no_picks(tmp_path):
    Dataset.allocate(2, [("micrograph_blob/path", "O")]).save(tmp_path / "a.cs")
    with pytest.raises(NoCoordinatesError, match="no field location/micrograph_path"):
        read_picks(tmp_path / "a.cs")


def write_exposures(folder, paths, apart=True):
    """Write exposures as a CTF job does: the micrographs in the passthrough file, and a group."""
    blob = Dataset.allocate(
        len(paths),
        [
            ("micrograph_blob/path", "O"),
            ("micrograph_blob/shape", "u4", (2,)),
            ("micrograph_blob/psize_A", "f4"),
        ],
    )
    blob["micrograph_blob/path"] = list(paths)
    blob["micrograph_blob/shape"] = SHAPE
    blob["micrograph_blob/psize_A"] = 1.25
    scope = Dataset.allocate(len(paths), [("mscope_params/exp_group_id", "u4")])
    scope["uid"] = blob["uid"]
    scope["mscope_params/exp_group_id"] = 10 + np.arange(len(paths))
    blob.save(folder / "J3_passthrough_exposures.cs", format=CSDAT_FORMAT)
    order = np.arange(len(paths))[::-1]
    scope.take(order).save(folder / "exposures.cs")
    (folder / "J3_exposures.csg").write_text(
        "created: 2026-01-01 00:00:00\ngroup: {name: exposures, type: exposure}\nresults:\n"
        "  ctf: {metafile: '>gone.cs', num_items: 2, type: exposure.ctf}\n"
        "  micrograph_blob: {metafile: '>J3_passthrough_exposures.cs', num_items: 2}\n"
        "  mscope_params: {metafile: '>exposures.cs', num_items: 2}\nversion: v4.5.3\n"
    )
    return dict(zip(paths, blob["uid"].tolist(), strict=True))


def test_exposures_of_a_group_are_joined_by_number(tmp_path):
    paths = ["J2/mc/000123456789012345678_a #1.mrc", "J2/mc/000123456789012345679_b.mrc"]
    uids = write_exposures(tmp_path, paths)
    exposures = load_exposures(tmp_path / "J3_exposures.csg")
    assert {e.path: e.uid for e in exposures} == uids
    assert {e.path: e.group for e in exposures} == dict(zip(paths, (10, 11), strict=True))
    assert {(e.shape, e.pixel_size) for e in exposures} == {(SHAPE, 1.25)}
    found, missing = match_exposures(["mics/a #1.mrc", "gone.mrc", paths[1]], exposures, tmp_path)
    assert {name: e.path for name, e in found.items()} == {
        "mics/a #1.mrc": paths[0],
        paths[1]: paths[1],
    }
    assert missing == ["gone.mrc"]


def test_exposures_that_cannot_be_told_apart_are_refused(tmp_path):
    write_exposures(tmp_path, ["S1/day1/a.mrc", "S1/day2/a.mrc"])
    exposures = load_exposures(tmp_path / "J3_exposures.csg")
    found, _ = match_exposures(["x/day2/a.mrc", "day1/a.mrc"], exposures, tmp_path)
    assert [e.path for e in found.values()] == ["S1/day2/a.mrc", "S1/day1/a.mrc"]
    with pytest.raises(InputError, match="may mean the exposure S1/day1/a"):
        match_exposures(["a.mrc"], exposures, tmp_path)
    with pytest.raises(InputError, match="mean one exposure"):
        match_exposures(["day1/a.mrc", "x/day1/a.mrc"], exposures, tmp_path)
    with pytest.raises(InputError, match=r"none of the exposures has the name.*\(b\.mrc\)"):
        match_exposures(["b.mrc"], exposures, tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("gone.csg", None, "no such file"),
        ("a.csg", "results: {blob: 1}", "names no files of micrograph_blob and mscope_params"),
        ("a.csg", "a: [", "names no files"),
        ("a.csg", "", "names no files"),
        ("exposures.cs", b"", "is not a dataset"),
    ],
)
def test_bad_exposures_say_what_is_wrong(tmp_path, name, content, cause):
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(FormatError, match=cause) as caught:
        load_exposures(tmp_path / name)
    assert caught.value.path == str(tmp_path / name)
    assert caught.value.remedy


def test_half_of_the_exposures_asks_for_the_group(tmp_path):
    write_exposures(tmp_path, ["a.mrc"])
    with pytest.raises(FormatError, match="holds no field mscope_params/exp_group_id") as caught:
        load_exposures(tmp_path / "J3_passthrough_exposures.cs")
    assert ".csg" in caught.value.remedy


def test_a_group_names_our_slots(tmp_path):
    import yaml

    write_group(tmp_path / "picks.csg", tmp_path / "picks.cs", 60)
    content = yaml.safe_load((tmp_path / "picks.csg").read_text())
    assert content["group"]["type"] == "particle"
    assert content["results"] == {
        slot: {"metafile": ">picks.cs", "num_items": 60, "type": f"particle.{slot}"}
        for slot in ("location", "pick_stats")
    }
