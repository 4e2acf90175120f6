"""Names of micrographs, however odd, come back from every format verbatim."""

import itertools
import os
import string
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cryomae.exchange import load, save
from cryomae.formats import Context, format_named, read_picks, write_picks
from cryomae.picks import Picks

NAMED = (".star", ".cs", ".csv")
KEYS = ("relion", "cryosparc", "box", "eman2", "cryolo", "topaz", "coords", "csv")

letters = st.sampled_from(string.ascii_letters + string.digits + " _-.#,;:@%()[]{}='µüé日本+&~!$^")
part = st.text(letters, min_size=1, max_size=12).map(str.strip).filter(lambda p: p.strip("."))
ODD = "grid 1/#2, µ 日本/data_ (a)=[1]{x}.5.mrc"


@st.composite
def micrographs(draw):
    """Files of two or three folders, some called alike."""
    stems = draw(st.lists(part, min_size=1, max_size=3, unique_by=str.lower))
    folders = draw(st.lists(part, min_size=2, max_size=3, unique_by=str.lower))
    return [f"{f}/{s}.mrc" for f, s in itertools.product(folders, stems)]


def make(names):
    rng = np.random.default_rng(0)
    return Picks.concat(
        Picks.from_arrays(name, rng.integers(0, 100, (2, 2)), [0.25, 0.75], 100.0) for name in names
    )


def context(names):
    return Context(dict.fromkeys(names, (120, 110)), dict.fromkeys(names, 1.5), box=20)


@pytest.mark.parametrize("suffix", NAMED)
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@example([ODD, "_a/_b.mrc", "#/#", "'a'/b's.mrc", "null.mrc", "0012", "1e5"])
@given(micrographs())
def test_a_file_of_many_micrographs_keeps_their_names(suffix, names):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"picks{suffix}")
        write_picks(path, make(names), context(names))
        assert read_picks(path).table["micrograph"].tolist() == [n for n in names for _ in "12"]


@pytest.mark.parametrize("key", [key for key in KEYS if key != "topaz"])
@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])
@example([ODD, "other/data_ (a)=[1]{x}.5.mrc", "a/b/c.mrc", "a/c.mrc", "c.mrc"])
@given(micrographs())
def test_a_folder_gives_names_back_with_the_micrographs(key, names):
    """Names that a format cannot hold come from the micrographs, also where two are alike."""
    with tempfile.TemporaryDirectory() as folder:
        before = os.getcwd()
        os.chdir(folder)
        try:
            Path("micrographs.star").write_text(
                "data_micrographs\n\nloop_\n_rlnMicrographName #1\n"
                + "".join(f'"{name}"\n' for name in names)
            )
            for name in names:
                Path(name).parent.mkdir(parents=True, exist_ok=True)
                Path(name).touch()
            picks = make(names)
            save(picks, Path("out"), format_named(key), context(names))
            back = load(Path("out"), "micrographs.star").picks.table
        finally:
            os.chdir(before)
    expected = picks.table.sort_values("micrograph", kind="stable")
    back = back.sort_values("micrograph", kind="stable")
    assert back["micrograph"].tolist() == expected["micrograph"].tolist()
    assert np.allclose(back[["x", "y"]], expected[["x", "y"]], atol=1e-3)


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(KEYS, 2)))
def test_from_any_format_to_any_other_names_and_places_stay(tmp_path, monkeypatch, first, second):
    """What a user does: export, convert with the micrographs, convert back with them."""
    monkeypatch.chdir(tmp_path)
    names = [ODD, "grid 1/b #1.mrc", "grid 2/ü 'c'.mrc"]
    rows = "".join(f'"{name}"\n' for name in names)
    Path("m.star").write_text(f"data_micrographs\n\nloop_\n_rlnMicrographName #1\n{rows}")
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    picks = make(names)
    save(picks, Path("one"), format_named(first), context(names))
    save(load(Path("one"), "m.star").picks, Path("two"), format_named(second), context(names))
    back = load(Path("two"), "m.star").picks.table.sort_values(["micrograph", "x"])
    expected = picks.table.sort_values(["micrograph", "x"])
    assert back["micrograph"].tolist() == expected["micrograph"].tolist()
    assert np.allclose(back[["x", "y"]], expected[["x", "y"]], atol=1e-3)
