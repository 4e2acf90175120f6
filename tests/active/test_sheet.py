import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from session_helpers import make_session

from cryomae.active.crops import ACROSS, view
from cryomae.active.sheet import Tile, draw_sheet
from cryomae.active.sitting import Sitting
from cryomae.active.terminal import frame, picture, side_for
from cryomae.errors import MicrographError
from cryomae.micrograph import Micrograph

PIXEL, DIAMETER = 1.5, 120.0  # Å: a particle is 80 pixels wide
PLACE = (303.0, 187.0)


@pytest.fixture(scope="module")
def micrograph():
    """Noise on a slope, with one dark blob, a third of a diameter wide, at a known place."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:500, :600].astype(np.float32)
    pixels = rng.normal(size=x.shape) + 0.004 * x + 700
    pixels -= 3 * np.exp(-((x - PLACE[0]) ** 2 + (y - PLACE[1]) ** 2) / (2 * 13.0**2))
    return Micrograph("m.mrc", Path("m.mrc"), pixels.astype(np.float32), PIXEL, "header")


def middle_of_mass(crop):
    """Place of what is dark, from the centre of the crop, in diameters."""
    dark = np.clip(np.median(crop) - 0.2 - crop, 0, None)
    offsets = (np.arange(len(crop)) - (len(crop) - 1) / 2) / (len(crop) / ACROSS)
    return (dark.sum(0) @ offsets) / dark.sum(), (dark.sum(1) @ offsets) / dark.sum()


def test_the_place_is_the_centre_of_its_crop(micrograph):
    shown = view(micrograph, DIAMETER)
    assert middle_of_mass(shown.crop(*PLACE)) == pytest.approx((0, 0), abs=0.02)
    # A quarter of a diameter to the right of it, the blob is that far to the left.
    aside = shown.crop(PLACE[0] + 20, PLACE[1])
    assert middle_of_mass(aside) == pytest.approx((-0.25, 0), abs=0.03)


def test_bare_ice_is_shown_paler_than_a_particle(micrograph):
    shown = view(micrograph, DIAMETER)
    particle, ice = shown.crop(*PLACE), shown.crop(450, 380)
    assert particle.min() < 0.05
    assert ice.min() > 0.2
    assert np.median(ice) == pytest.approx(np.median(particle), abs=0.1)


def test_nothing_is_made_up_beyond_the_edge(micrograph):
    crop = view(micrograph, DIAMETER).crop(0, 250)
    gone = np.isnan(crop).all(axis=0)
    assert gone.sum() == pytest.approx(len(crop) / 2, abs=1)
    assert gone[: gone.sum()].all()
    assert not np.isnan(crop[:, ~gone]).any()
    assert np.isnan(view(micrograph, DIAMETER).crop(-500, -500)).all()


def test_a_particle_of_few_pixels_is_not_blown_up(micrograph):
    small = view(micrograph, 45.0)  # 30 pixels
    assert small.image.shape[0] <= 1.1 * micrograph.shape[0]
    assert small.diameter * ACROSS == len(small.crop(*PLACE))
    with pytest.raises(MicrographError, match=r"m\.mrc: a particle of 3 Å"):
        view(micrograph, 3.0)


def test_the_sheet_shows_every_place_and_its_circle(micrograph, tmp_path):
    shown = view(micrograph, DIAMETER)
    tiles = [Tile(str(i), shown.crop(*PLACE), 0.5, "unsure", "m.mrc") for i in range(7)]
    tiles.append(Tile("8", None, 0.5, "unsure", "a/very/long/folder/" * 5 + "m.mrc"))
    draw_sheet(tmp_path / "s.png", tiles, diameter=DIAMETER, title="places")
    page = np.asarray(Image.open(tmp_path / "s.png").convert("RGB")).astype(int)
    yellow = (page[..., 0] > 200) & (page[..., 2] < 140) & (page[..., 1] > 150)
    for i in range(7):
        left, top = 20 + i % 5 * 214, 76 + i // 5 * 256
        assert page[top + 95 : top + 105, left + 95 : left + 105].mean() < 60  # the blob
        rows, columns = np.nonzero(yellow[top : top + 200, left : left + 200])
        radius = np.hypot(rows - 99.5, columns - 99.5)
        assert radius.mean() == pytest.approx(200 / ACROSS / 2, abs=1)
    assert not yellow[332:532, 20 + 2 * 214 : 220 + 2 * 214].any()  # cannot be read


def test_one_place_alone_makes_a_sheet(micrograph, tmp_path):
    crop = view(micrograph, DIAMETER).crop(*PLACE)
    draw_sheet(tmp_path / "s.png", [Tile("1", crop, 1, "unsure", "m")], diameter=1, title="x")
    assert Image.open(tmp_path / "s.png").width > 600


def pixels(text, side):
    """Colours of a picture of half blocks, (side, side, 3)."""
    out = np.zeros((side, side, 3), int)
    row = column = 0
    for segment in text.render(Console()):
        for character in segment.text:
            if character == "\n":
                row, column = row + 2, 0
            else:
                out[row, column] = segment.style.color.triplet
                out[row + 1, column] = segment.style.bgcolor.triplet
                column += 1
    return out


def test_a_crop_in_a_terminal(micrograph):
    shown = pixels(picture(view(micrograph, DIAMETER).crop(*PLACE), 40), 40)
    assert shown[18:22, 18:22].mean() < 40
    ring = shown[..., 0] - shown[..., 2] > 100
    rows, columns = np.nonzero(ring)
    assert np.hypot(rows - 19.5, columns - 19.5) == pytest.approx(np.full(ring.sum(), 10), abs=0.8)
    grey = shown[~ring]
    assert (grey[:, 0] == grey[:, 1]).all()
    assert len(picture(np.full((160, 160), np.nan, np.float32), 20).plain) == 10 * 21


def test_pictures_fit_their_terminal():
    assert side_for(80, 24) == 34
    assert side_for(30, 100) == 28
    assert side_for(300, 200) == 120
    assert side_for(80, 12) == 0


@pytest.fixture
def sitting(tmp_path):
    with make_session(tmp_path / "s") as session:
        yield Sitting(session, session.propose(5))


def test_the_screen_is_no_larger_than_the_terminal(sitting, micrograph):
    sitting.press("y")
    crop = view(micrograph, DIAMETER).crop(*PLACE)
    for crops, size in ((crop, (80, 24)), (crop, (200, 60)), ("gone.mrc: no such file", (80, 24))):
        console = Console(width=size[0], height=size[1], record=True, file=io.StringIO())
        console.print(
            frame(sitting, crops, score=0.5, reason="unsure", micrograph="f/" * 90 + "m.mrc",
                  size=size)
        )  # fmt: skip
        text = console.export_text().splitlines()
        assert len(text) <= size[1]
        assert text[0].startswith("2   unsure, score 0.50")
        assert "m.mrc" in text[1]
        assert any("y confirm" in line for line in text)
