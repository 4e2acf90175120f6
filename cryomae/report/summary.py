"""The page a user opens after a run: what was found, why, and what comes next."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from cryomae.atomic import write_text
from cryomae.report.charts import (
    as_svg,
    counts_chart,
    diameter_figure,
    histogram_chart,
    trend_chart,
)
from cryomae.report.pace import Pace, moment
from cryomae.report.page import jpeg, render
from cryomae.settings import PickSettings

if TYPE_CHECKING:
    from cryomae.batch.result import Outcome, RunResult
    from cryomae.diameter import DiameterEstimate

HISTOGRAM_BINS: NDArray[np.float64] = np.linspace(0, 1, 51)
"""Edges of the score histogram."""

_FEWEST, _SHORTEST = 20, 600.0  # micrographs, and seconds between them, that show a trend
_PICTURES = 12
_PICTURE_WIDTH = 560
_ROWS = 500  # of a table that a browser lays out at once


@dataclass(frozen=True)
class Page:
    """What the summary page shows.

    Attributes
    ----------
    result : RunResult
        Outcomes, threshold and notes.
    pace : Pace
        How the run goes, or went.
    histogram : ndarray of int
        Candidates in each of `HISTOGRAM_BINS`.
    settings : PickSettings
        As given.
    min_distance : float
        Å, with its default filled in.
    model, model_sha256, device : str
        What picked, and where.
    pixel_size : float or None
        Å per pixel, the median of all micrographs.
    micrographs_star : str or None
        STAR file the micrographs came from.
    output : str
        Folder of the run, as RELION would name it.
    estimate : DiameterEstimate, optional
        Where the diameter was estimated.
    """

    result: RunResult
    pace: Pace
    histogram: NDArray[np.int64]
    settings: PickSettings
    min_distance: float
    model: str
    model_sha256: str
    device: str
    pixel_size: float | None
    micrographs_star: str | None
    output: str
    estimate: DiameterEstimate | None = None


def write_summary(path: str | Path, page: Page) -> None:
    """Write the summary as one HTML file that needs no other; only links lead to pictures.

    Parameters
    ----------
    path : str or Path
        File to write.
    page : Page
        What it shows.
    """
    result = page.result
    folder = Path(path).parent
    counts = [o.picks for o in result.done]
    rows = [(o, _link(o.preview_file, folder)) for o in result.outcomes]
    html = render(
        "report/summary.html.j2",
        page=page,
        pace=page.pace,
        result=result,
        median=int(np.median(counts)) if counts else 0,
        histogram=histogram_chart(HISTOGRAM_BINS, page.histogram, result.threshold),
        counts=counts_chart(counts),
        trends=trends(result),
        moment=moment,
        rows=_parts(rows),
        failed=_parts(result.failed),
        pictures=_pictures(result.done, folder, latest=page.pace.going_on),
        box=box_size(page),
        commands=relion_commands(page),
        words=settings_in_words(page),
        diameter=None if page.estimate is None else as_svg(diameter_figure(page.estimate)),
    )
    write_text(path, html)


@dataclass(frozen=True)
class Trends:
    """How a data set went, over the time of acquisition or in the order of the list.

    Attributes
    ----------
    heading : str
    sentence : str
        How long it took, and how many micrographs came in an hour.
    picks, scores : Markup
        Charts of the picks of each micrograph, and of their mean score.
    """

    heading: str
    sentence: str
    picks: Markup
    scores: Markup


def trends(result: RunResult) -> Trends | None:
    """Charts over the time of acquisition; None of a few micrographs.

    Where the dates of the files do not tell the time, as those of copies, the charts are in the
    order of the list, which commonly is that of acquisition, too.
    """
    known = [
        (o.record.file_time, o.picks, o.histogram)
        for o in result.done
        if o.record is not None and o.histogram is not None
    ]
    if len(known) < _FEWEST:
        return None
    times = np.array([time for time, _, _ in known])
    dated = np.ptp(times) >= _SHORTEST
    if dated:
        known.sort(key=lambda one: one[0])
        times.sort()
        across, axis = (times - times[0]) / 3600, "hours since the first micrograph"
    else:
        across, axis = np.arange(1.0, len(known) + 1), "number in the list"
    centres = (HISTOGRAM_BINS[1:] + HISTOGRAM_BINS[:-1]) / 2
    limit = 0.0 if result.threshold is None else result.threshold
    weights = np.array([histogram for _, _, histogram in known]) * (centres >= limit)
    total = weights.sum(axis=1)
    score = np.divide(weights @ centres, total, out=np.full(len(known), np.nan), where=total > 0)
    counts = np.array([picks for _, picks, _ in known], dtype=np.float64)
    if dated:
        rate = (len(times) - 1) / across[-1]
        heading = "Over the time of acquisition"
        sentence = (
            f"{len(times):,} micrographs in {across[-1]:.1f} hours, {rate:.0f} an hour, by the "
            "dates of their files."
        )
    else:
        heading = "In the order of the list"
        sentence = "The dates of the files do not tell when they were taken."
    return Trends(
        heading,
        sentence,
        trend_chart(across, counts, axis, "picks"),
        trend_chart(across, score, axis, "mean score of picks", most=1.0),
    )


def settings_in_words(page: Page) -> list[tuple[str, str]]:
    """Say the settings of the run as pairs of a name and its value."""
    settings = page.settings
    most = settings.max_picks
    words = [
        ("Particle diameter", f"{settings.diameter:g} Å{_range(page.estimate)}"),
        ("Least distance between picks", f"{page.min_distance:g} Å"),
        ("Most picks in a micrograph", "no limit" if most is None else str(most)),
        ("Model", f"{page.model} (sha256 {page.model_sha256[:12]}…)"),
        ("Computed on", page.device),
    ]
    if page.pixel_size is not None:
        sources = sorted({o.pixel_size_source for o in page.result.done if o.pixel_size_source})
        named = {
            "option": "your --pixel-size",
            "star": "the micrographs STAR",
            "header": "the file headers",
        }
        origin = " and ".join(named.get(source, source) for source in sources)
        words.insert(1, ("Pixel size", f"{page.pixel_size:.4g} Å, from {origin}"))
    return words


def _range(estimate: DiameterEstimate | None) -> str:
    if estimate is None:
        return ""
    return (
        f", estimated ({estimate.low:.0f} to {estimate.high:.0f} Å, "
        f"confidence {estimate.confidence:.2f})"
    )


def box_size(page: Page) -> int | None:
    """Even box of one and a half diameters in pixels, a common first choice."""
    if page.pixel_size is None:
        return None
    return 2 * math.ceil(0.75 * page.settings.diameter / page.pixel_size)


def relion_commands(page: Page) -> dict[str, str]:
    """Command lines that extract the picks, for RELION 4 and 5 and for RELION 3.1."""
    box = box_size(page)
    micrographs = page.micrographs_star or "micrographs_ctf.star"
    start = ["relion_preprocess", "--i", micrographs]
    end = ["--part_star", "Extract/cryomae/particles.star", "--part_dir", "Extract/cryomae/"]
    end += ["--extract", "--extract_size", "BOX" if box is None else str(box)]
    end += ["--norm", "--bg_radius", "RADIUS" if box is None else str(round(0.375 * box))]
    end += ["--invert_contrast"]
    new = ["--coord_list", f"{page.output}/autopick.star"]
    old = ["--coord_dir", f"{page.output}/picks/", "--coord_suffix", "_cryomae.star"]
    return {"new": shlex.join(start + new + end), "old": shlex.join(start + old + end)}


def _parts(rows: Sequence[Any]) -> list[tuple[str, Sequence[Any]]]:
    """Parts of a table with what they are called; a short one is one without a name."""
    if len(rows) <= _ROWS:
        return [("", rows)] if rows else []
    parts = [rows[start : start + _ROWS] for start in range(0, len(rows), _ROWS)]
    starts = range(1, len(rows) + 1, _ROWS)
    return [
        (f"{start:,} to {start + len(part) - 1:,}", part)
        for start, part in zip(starts, parts, strict=True)
    ]


def _link(path: Path | None, folder: Path) -> str | None:
    """Address of a file as seen from the page; a name may hold what means something in one."""
    if path is None:
        return None
    return quote(os.fsencode(Path(os.path.relpath(path, folder)).as_posix()))


def _pictures(
    outcomes: Sequence[Outcome], folder: Path, *, latest: bool
) -> list[tuple[str, str | None, str]]:
    """Name, link and data of some pictures: the latest, or evenly spread over the run."""
    drawn = [(o.name, o.preview_file) for o in outcomes if o.preview_file is not None]
    if latest:
        shown = drawn[: -_PICTURES - 1 : -1]
    else:
        spread = np.linspace(0, len(drawn) - 1, min(len(drawn), _PICTURES)).round().astype(int)
        shown = [drawn[place] for place in spread]
    return [(name, _link(path, folder), _small(path)) for name, path in shown]


def _small(path: Path) -> str:
    with Image.open(path) as picture:
        small = picture.convert("RGB")
    small.thumbnail((_PICTURE_WIDTH, 2 * _PICTURE_WIDTH))
    return jpeg(small)
