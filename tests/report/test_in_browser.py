"""The summary page in a browser: from a file, while a run goes on and after it."""

import os
import shutil
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from selenium.webdriver.common.keys import Keys

from cryomae.batch import Engine, run_pick
from cryomae.batch.result import Outcome
from cryomae.errors import MicrographError
from cryomae.micrograph import Micrograph, MicrographRef
from cryomae.picks import Picks
from cryomae.report.pace import Pace
from cryomae.report.summary import write_summary
from cryomae.settings import PickSettings

AWKWARD = ("a b", "50% #3", "Größe 日本", 'it\'s "q"', "x&y?z=1", "c:d", "<b>", "%41;+")


@dataclass
class Picked:
    candidates: Picks
    image: np.ndarray
    valid: np.ndarray
    spacing: tuple[float, float] = (2.0, 2.0)
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass
class Nothing:
    name: str = "fake"
    sha256: str = "ab" * 32
    device: str = "cpu"
    shown: bool = False


@dataclass
class Level:
    value: float = 0.5
    explanation: str = "Chosen by the test."


def read(ref, pixel_size):
    if "bad" in ref.name:
        raise MicrographError("is truncated", "copy it again", ref.path)
    return Micrograph(ref.name, ref.path, np.zeros((90, 130), np.float32), 1.5, "header")


def pick(micrograph, detector, settings):
    rng = np.random.default_rng(len(micrograph.name))
    picks = Picks.from_arrays(
        micrograph.name, rng.uniform(0, 90, (12, 2)), rng.uniform(size=12), 20.0, "fake"
    )
    image = rng.normal(size=(45, 65)).astype(np.float32)
    return Picked(picks, image, np.ones((45, 65), dtype=bool))


@pytest.fixture
def refs(tmp_path):
    """Micrographs that came in every 100 seconds; the second is damaged."""
    names = [AWKWARD[0], "bad", *AWKWARD[1:], *(f"m{n}" for n in range(16))]
    found = []
    for number, name in enumerate(names):
        path = tmp_path / f"{name}.mrc"
        path.write_text("read by nobody")
        os.utime(path, (1.7e9 + 100 * number,) * 2)
        found.append(MicrographRef(f"mics/{path.name}", path))
    return found


@pytest.fixture
def go(tmp_path, refs):
    def run(**options):
        return run_pick(
            options.pop("refs", refs),
            [],
            tmp_path / "out #1 50% ü",
            PickSettings(diameter=20),
            detector=Nothing(),
            engine=Engine(read, pick, lambda scores: Level()),
            **options,
        )

    return run


@pytest.fixture
def always(monkeypatch):
    """Pages after every micrograph."""
    for name, value in (("FIRST", 0.0), ("EVERY", 0.0), ("SHARE", 1.0)):
        monkeypatch.setattr(f"cryomae.batch.live.{name}", value)


def test_page_of_a_run(browser, go):
    """Awkward names, a failure, trends, pictures; the links are followed."""
    result = go()
    page = result.files["summary"]
    assert browser.troubles(page) == []
    assert len(browser.links()) == 12 + 24  # the pictures at the top, and the table
    text = browser.js("return document.body.innerText")
    for words in ("is truncated", "copy it again", "Over the time of acquisition", "Finished"):
        assert words in text
    for outcome in result.done:
        assert outcome.name in text
    browser.open(page)
    for link in browser.links():
        browser.open(link)
        assert browser.picture_width() > 500


def test_page_by_keyboard(browser, go, refs):
    page = go(refs=refs[:3]).files["summary"]
    browser.open(page)
    assert browser.tab_to(".pictures a")
    browser.press(Keys.ENTER)
    assert browser.picture_width() > 500
    browser.open(page)
    assert browser.tab_to(".scroll")  # tables that are longer than the window can be scrolled


def test_page_while_a_run_goes_on(browser, go, refs, tmp_path, always):
    """It says how far it is, shows what failed and the latest pictures, and is taken back."""
    pages = []

    def keep(progress):
        if (tmp_path / "out #1 50% ü/summary.html").exists():
            pages.append(tmp_path / f"out #1 50% ü/page {progress.done}.html")
            shutil.copy(tmp_path / "out #1 50% ü/summary.html", pages[-1])

    result = go(refs=refs[:9], on_progress=keep)
    # Of the first there is no page when it is told, and the result takes the place of the last.
    assert [page.stem for page in pages] == [f"page {n}" for n in range(2, 10)]
    page = pages[4]
    assert browser.troubles(page) == []
    browser.open(page)
    text = browser.js("return document.body.innerText")
    for words in ("Picking: 5 of 9 micrographs, 55 %.", "an hour; done at about", "is truncated"):
        assert words in text
    assert "autopick.star" not in text  # which is not written yet
    done = browser.js("const p = document.querySelector('progress'); return p.value / p.max")
    assert done == pytest.approx(5 / 9)
    assert browser.driver.title == "cryomae: 55 %, 5 of 9"
    assert len(browser.links()) == 2 * 4  # pictures of all but the damaged one
    assert not browser.js("return document.getElementById('late').checkVisibility()")
    text = result.files["summary"].read_text()
    assert "Picking" not in text
    assert "<script" not in text


def test_page_of_a_run_that_was_killed(browser, tmp_path, page):
    """A page that is old, and should have been written again, says so."""
    pace = Pace("picking", 1.7e9, 1.7e9 + 3600, 60, 1, 100, 61, 61.0)
    write_summary(tmp_path / "s.html", replace(page, pace=pace))
    browser.open(tmp_path / "s.html")
    assert browser.js("return document.getElementById('late').checkVisibility()")
    assert "cryomae status Picks" in browser.js("return document.getElementById('late').innerText")
    assert "min ago" in browser.js("return document.getElementById('now').innerText")


def test_page_of_ten_thousand_micrographs(browser, tmp_path, page):
    """A browser lays out a few of the rows; the others come when they are asked for."""
    (tmp_path / "summary.csv").touch()
    histogram = np.ones(50, dtype=np.int64)
    page.result.outcomes[:] = [
        Outcome(f"mics/FoilHole_{n:05d}.mrc", "picked", n % 300, 300, 0.1, 1.5, 1.06, "star")
        if n % 10
        else Outcome(f"mics/FoilHole_{n:05d}.mrc", "failed", cause="is short", remedy="copy it")
        for n in range(10_000)
    ]
    for outcome in page.result.done:
        outcome.histogram = histogram
    write_summary(tmp_path / "s.html", page)
    assert (tmp_path / "s.html").stat().st_size < 5e6
    assert browser.troubles(tmp_path / "s.html") == []
    shown = "return [...document.querySelectorAll('tr')].filter(r => r.checkVisibility()).length"
    assert browser.js(shown) < 1100
    browser.open(tmp_path / "s.html")
    assert browser.tab_to("details:not([open]) > summary")
    before = browser.js(shown)
    browser.press(Keys.ENTER)
    assert browser.js(shown) > before
    text = browser.js("return document.body.innerText")
    assert "FoilHole_00001.mrc" in text


@pytest.mark.parametrize("state", ["writing", "watching"])
def test_other_states(browser, tmp_path, page, state):
    write_summary(
        tmp_path / "s.html", replace(page, pace=Pace(state, 0.0, 9e3, 99, 1, 100, 100, 61.0, 8e3))
    )
    browser.open(tmp_path / "s.html")
    text = browser.js("return document.body.innerText")
    words = {
        "writing": "All 100 micrographs are scored",
        "watching": "Watching: all that has arrived is picked.",
    }
    assert words[state] in text
    assert ("autopick.star" in text) == (state == "watching")  # where the picks are there already
    assert not browser.js("return document.querySelector('progress') !== null")
