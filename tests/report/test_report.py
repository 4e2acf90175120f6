"""Previews and the summary page: true positions, nothing unescaped, nothing missing."""

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from report_helpers import draw

from cryomae.batch.record import Record
from cryomae.batch.result import Outcome
from cryomae.picks import Picks
from cryomae.report.pace import Pace, clock, span
from cryomae.report.preview import draw_preview
from cryomae.report.summary import (
    HISTOGRAM_BINS,
    box_size,
    relion_commands,
    trends,
    write_summary,
)
from cryomae.report.thumbnail import THUMBNAIL_SIZE, save_thumbnail


def coloured(picture):
    """Rows and columns of coloured pixels inside the micrograph."""
    inside = picture[62:-14, 14:-86]
    return np.nonzero(np.ptp(inside, axis=2) > 60)


@pytest.mark.parametrize("shape", [(200, 300), (300, 200), (256, 256), (1400, 1001)])
def test_circle_is_round_the_pick(tmp_path, shape):
    spacing = (4.0, 4.02)
    x, y = 0.3 * shape[1] * spacing[1], 0.4 * shape[0] * spacing[0]
    _, picture = draw(tmp_path, [[x, y]], shape, spacing)
    rows, columns = coloured(picture)
    scale = 1000 / max(shape[0] * spacing[0], shape[1] * spacing[1])
    assert (rows.min() + rows.max()) / 2 == pytest.approx((y + 2) * scale, abs=1.5)
    assert (columns.min() + columns.max()) / 2 == pytest.approx((x + 2) * scale, abs=1.5)
    assert np.ptp(rows) == pytest.approx(80 * scale, abs=4)


def test_circle_lies_on_the_particle(tmp_path):
    image = np.zeros((200, 300), dtype=np.float32)
    image[46:77, 76:107] = -10
    image += np.random.default_rng(0).normal(size=image.shape).astype(np.float32) * 0.1
    _, bare = draw(tmp_path, [], image=image)
    dark = np.nonzero(bare[62:-14, 14:-86].mean(axis=2)[:600] < 30)
    _, circled = draw(tmp_path, [[91 * 4, 61 * 4]], image=image)
    ring = coloured(circled)
    for spot, circle in zip(dark, ring, strict=True):
        assert spot.mean() == pytest.approx((circle.min() + circle.max()) / 2, abs=2)


def test_masked_area_is_shaded(tmp_path):
    valid = np.ones((200, 300), dtype=bool)
    valid[:, :150] = False
    _, picture = draw(tmp_path, [], valid=valid)
    inside = picture[100:500, 14:-86]
    red = inside[..., 0] - inside[..., 2]
    assert red[:, :480].min() > 20
    assert abs(red[:, 520:]).max() < 5


def test_same_picture_is_not_drawn_twice(tmp_path):
    draw(tmp_path, [[10, 10]])
    keep = {"name": "m.mrc", "diameter": 80.0, "pixel_size": 1.0, "spacing": (4.0, 4.0)}
    keep |= {"extent": (800.0, 1200.0)}
    picks = Picks.from_arrays("m.mrc", [[10, 10]], [0.9], 80.0)
    paths = (tmp_path / "p.png", tmp_path / "t.png", picks)
    assert not draw_preview(*paths, **keep, threshold=0.4)
    assert draw_preview(*paths, **keep, threshold=0.5)


def test_awkward_images(tmp_path):
    draw(tmp_path, [], valid=np.zeros((200, 300), dtype=bool))
    draw(tmp_path, [], name="$x_{1}$ <b>" + "long" * 60)
    draw(tmp_path, [[5, 5]], shape=(40, 2000), threshold=1.0)
    save_thumbnail(
        tmp_path / "big.png", np.zeros((3000, 2001), np.float32), np.ones((3000, 2001), bool)
    )
    with Image.open(tmp_path / "big.png") as picture:
        assert max(picture.size) == THUMBNAIL_SIZE


class Balance(HTMLParser):
    """Checks that every tag is closed."""

    VOID = ("meta", "img", "br", "path", "use", "link")

    def __init__(self):
        super().__init__()
        self.open = []
        self.images = []

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.images.append(dict(attrs))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_summary_tells_everything(tmp_path, page):
    write_summary(tmp_path / "s.html", page)
    text = (tmp_path / "s.html").read_text()
    for words in (
        "Chosen for a reason.",
        "is &lt;truncated&gt; &amp; short",
        "copy it again",
        "&lt;b&gt;.mrc",
        "Picks/autopick.star",
        "1.06 Å, from the micrographs STAR",
        "threshold 0.42",
        'href="p.png"',
    ):
        assert words in text
    assert "<b>.mrc" not in text
    parser = Balance()
    parser.feed(text)
    assert not parser.open
    (image,) = parser.images
    assert base64.b64decode(image["src"].split(",")[1])[:2] == b"\xff\xd8"
    assert not re.search(r'(src|href)="https?:', text)


@pytest.mark.parametrize("count", [0, 1, 2, 5000])
def test_summary_of_any_number(tmp_path, page, count):
    page.result.outcomes[:] = [
        Outcome(f"{i}.mrc", "picked", i, i, 0.0, 1.0, 1.0, "header", picks_file=tmp_path / "x.star")
        for i in range(count)
    ]
    write_summary(tmp_path / "s.html", page)
    assert f"<b>{count:,}</b>micrographs picked" in (tmp_path / "s.html").read_text()


def test_box_is_even_and_larger_than_the_particle(page):
    box = box_size(page)
    assert box % 2 == 0
    assert 1.5 * 180 / 1.06 <= box <= 1.5 * 180 / 1.06 + 2
    assert f"--extract_size {box}" in relion_commands(page)["new"]


def dated(minutes, counts):
    """Outcomes of micrographs with the dates of their files, in another order."""
    outcomes = []
    for minute, count in zip(minutes, counts, strict=True):
        key = f"digest None 100 {int((1.7e9 + 60 * minute) * 1e9)}"
        record = Record(key, (9, 9), 1.0, "star", (1.0, 1.0), (9, 9), 0.0, 1.0, 200, 100, "x")
        histogram = np.zeros(len(HISTOGRAM_BINS) - 1, dtype=np.int64)
        histogram[[5, 45]] = 100, count
        outcome = Outcome(f"{minute}.mrc", "picked", count, record=record, histogram=histogram)
        outcomes.insert(len(outcomes) // 2, outcome)
    return outcomes


def test_trends_follow_the_dates_of_the_files(page):
    """Picks halve after three hours."""
    minutes = range(0, 360, 6)
    outcomes = dated(minutes, [100 if minute < 180 else 50 for minute in minutes])
    found = trends(replace(page.result, outcomes=outcomes))
    assert found is not None
    assert "60 micrographs in 5.9 hours, 10 an hour" in found.sentence
    assert "mean score" in found.scores
    assert trends(replace(page.result, outcomes=outcomes[:10])) is None
    assert trends(page.result) is None


def test_trends_of_copies_follow_the_list(page):
    """All files have the date of the copy."""
    found = trends(replace(page.result, outcomes=dated([0.1] * 30, range(30))))
    assert found is not None
    assert found.heading == "In the order of the list"
    assert "number in the list" in found.picks
    assert "hours" not in found.picks + found.sentence


def test_pace_in_words():
    now = 1.7e9
    pace = Pace("picking", now - 7200, now, 990, 9, 1000, 999, 60.0)
    assert pace.headline == "Picking: 999 of 1,000 micrographs, 99 %."  # not 100
    assert pace.forecast == f"60 an hour; done at about {clock(now + 60, now)}, in 1 min."
    assert replace(pace, per_hour=0.0).forecast == ""
    ended = replace(pace, state="finished", done=991)
    assert ended.closing.endswith("after 2 h 0 min: 999 micrographs scored, 60 an hour.")
    assert replace(ended, scored=0).closing.endswith("nothing had to be scored.")
    assert replace(pace, state="watching", total=999).headline.startswith("Watching: all that")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (3570, "1 h 0 min"), (7e5, "8 days 2 h")],
)
def test_time_in_words(seconds, words):
    assert span(seconds) == words
