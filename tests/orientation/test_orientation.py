"""Coordinates that lie wrong are told from those that lie right, and never changed."""

from pathlib import Path

import mrcfile
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter
from typer.testing import CliRunner

from cryomae.cli import app
from cryomae.exchange import load
from cryomae.formats import write_picks
from cryomae.orientation import Verdict, check, draw_check
from cryomae.picks import Picks
from cryomae.transforms import SQUARES, Transform

SHAPE = (360, 480)
COUNT = 60
SIZE = np.array(SHAPE[::-1], dtype=float)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Folder with two noisy micrographs of dark particles at 4 Å, and where these are."""
    folder = tmp_path_factory.mktemp("mics")
    rng, found = np.random.default_rng(3), {}
    for name in ("a.mrc", "b.mrc"):
        xy = rng.uniform(12, SIZE - 12, (COUNT, 2)).round()
        spots = np.zeros(SHAPE)
        np.add.at(spots, tuple(xy[:, ::-1].astype(int).T), 1)
        pixels = rng.normal(0, 1, SHAPE) - 150 * gaussian_filter(spots, 5)
        with mrcfile.new(folder / name) as file:
            file.set_data(pixels.astype(np.float32))
            file.voxel_size = 4.0
        found[str(folder / name)] = xy
    return found


def stored(places, change, diameter=80.0):
    """Picks which the change brings onto the particles."""
    parts = []
    for name, xy in places.items():
        back = np.where([change.mirror_x, change.mirror_y], SIZE - 1 - xy, xy)
        back = (back[:, ::-1] if change.swap else back) / change.scale
        parts.append(Picks.from_arrays(name, back, [0.5] * len(back), diameter))
    return Picks.concat(parts)


def judge(picks, asked, tmp_path):
    write_picks(tmp_path / "picks.csv", picks)
    loaded = load(tmp_path / "picks.csv")
    return check(loaded.picks, asked, loaded.refs, loaded.context.pixel_sizes), loaded


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    turn=st.sampled_from(SQUARES),
    scale=st.sampled_from([1.0, 2.0, 4.0, 0.5]),
    diameter=st.sampled_from([80.0, float("nan")]),
)
def test_the_right_way_is_found_whatever_was_done(places, tmp_path, turn, scale, diameter):
    change = Transform(scale, *turn)
    found, _ = judge(stored(places, change, diameter), Transform(), tmp_path)
    assert found.best == change
    assert found.verdict == (Verdict.RIGHT if change == Transform() else Verdict.WRONG)


@pytest.mark.parametrize("turn", SQUARES)
def test_what_is_asked_for_is_right_if_it_is(places, tmp_path, turn):
    change = Transform(4.0, *turn)
    found, _ = judge(stored(places, change), change, tmp_path)
    assert found.verdict is Verdict.RIGHT


@pytest.mark.parametrize("seed", range(100, 108))
def test_picks_anywhere_say_nothing(places, tmp_path, seed):
    rng = np.random.default_rng(seed)
    anywhere = {name: rng.uniform(0, SIZE - 1, (COUNT, 2)) for name in places}
    found, _ = judge(stored(anywhere, Transform()), Transform(), tmp_path)
    assert found.verdict is Verdict.UNKNOWN


def test_few_picks_say_nothing(places, tmp_path):
    few = {name: xy[:2] for name, xy in places.items()}
    found, _ = judge(stored(few, Transform(1, mirror_y=True)), Transform(), tmp_path)
    assert found.verdict is Verdict.UNKNOWN


def test_a_micrograph_that_cannot_be_read_is_passed_over(places, tmp_path):
    copies = {}
    for name, xy in places.items():
        copy = tmp_path / Path(name).name
        copy.write_bytes(Path(name).read_bytes())
        copies[str(copy)] = xy
    _, loaded = judge(stored(copies, Transform()), Transform(), tmp_path)
    Path(next(iter(copies))).write_bytes(b"gone")
    found = check(loaded.picks, Transform(), loaded.refs, loaded.context.pixel_sizes)
    assert (found.verdict, found.micrographs) == (Verdict.RIGHT, 1)
    assert draw_check(
        tmp_path / "check.png", found, loaded.picks, loaded.refs, loaded.context.pixel_sizes
    )


def test_export_warns_names_the_remedy_and_changes_nothing(places, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wrong = stored(places, Transform(1, mirror_y=True))
    write_picks(tmp_path / "wrong.csv", wrong)
    done = CliRunner().invoke(app, ["export", "wrong.csv", "--to", "topaz"])
    assert done.exit_code == 0, done.output
    assert "warning:" in done.output
    assert "--flip-y" in done.output
    written = load(Path("for_topaz/picks.txt"))
    assert written.picks.xy == pytest.approx(wrong.xy)
    with Image.open("for_topaz/check.png") as picture:
        assert picture.width > 1.8 * picture.height  # both ways, side by side

    done = CliRunner().invoke(app, ["export", "wrong.csv", "--to", "topaz", "--flip-y"])
    assert "warning:" not in done.output
    with Image.open("for_topaz/check.png") as picture:
        assert picture.width < 1.8 * picture.height


def test_convert_warns_and_can_be_told_not_to_look(places, tmp_path):
    path = tmp_path / "wrong.csv"
    write_picks(path, stored(places, Transform(2, swap=True)))
    words = ["convert", str(path), str(tmp_path / "out.star")]
    done = CliRunner().invoke(app, words)
    assert "--scale 2 --transpose" in " ".join(done.output.split())
    assert "warning:" not in CliRunner().invoke(app, [*words, "--no-check"]).output
