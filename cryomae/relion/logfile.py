"""The PDF that RELION shows as a job's log: charts, and pictures of micrographs."""

from __future__ import annotations

import datetime
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from PIL import Image

from cryomae import __version__
from cryomae.atomic import atomic_path
from cryomae.batch import Outcome, RunResult
from cryomae.formats import star
from cryomae.report.charts import BLUE, GREY, RED
from cryomae.report.summary import HISTOGRAM_BINS

PREVIEWS = 4
"""Most micrographs that are shown, a page each, evenly spread over those with a picture."""

_READ = 400  # micrographs whose candidates are counted: a chart needs no more
_PAGE = (8.27, 11.69)  # A4 in inches
_TOP, _LINE, _WIDTH = 0.905, 0.018, 78  # of facts: shares of the page, and characters
_PICTURE_SIDE = 900  # pixels


def write_pick_log(path: Path, result: RunResult, facts: Sequence[tuple[str, str]]) -> int:
    """Write charts of scores and picks, and some micrographs with their picks.

    Parameters
    ----------
    path : Path
        PDF to write, whole or not at all.
    result : RunResult
        What was picked.
    facts : sequence of (str, str)
        What to say above the charts: name and value.

    Returns
    -------
    int
        Pages written.
    """
    pictures = [o.preview_file for o in result.done if o.preview_file is not None]
    chosen = [pictures[i] for i in _spread(len(pictures), PREVIEWS)]
    return _write(path, (_charts(result, facts), *map(_picture, chosen)))


def write_training_log(
    path: Path,
    facts: Sequence[tuple[str, str]],
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    picture: Path,
) -> int:
    """Write scores of exemplars before and after training, and their picture.

    Parameters
    ----------
    path : Path
        PDF to write, whole or not at all.
    facts : sequence of (str, str)
        What to say above the chart: name and value.
    before, after : ndarray, shape (m,)
        Scores of the exemplars.
    picture : Path
        PNG of the exemplars.

    Returns
    -------
    int
        Pages written.
    """
    figure, (axes,) = _page("cryomae: few-shot training", facts, 1)
    bins = np.linspace(0, 1, 21).tolist()
    axes.hist(before, bins=bins, color=GREY, label="before")
    axes.hist(after, bins=bins, histtype="step", color=BLUE, linewidth=2, label="after")
    axes.set_xlim(0, 1)
    axes.legend(frameon=False)
    _label(axes, "score", "exemplars")
    return _write(path, (figure, _picture(picture)))


def _charts(result: RunResult, facts: Sequence[tuple[str, str]]) -> Figure:
    figure, (scores, counts) = _page("cryomae: particle picking", facts, 2)
    counted = [result.done[i] for i in _spread(len(result.done), _READ)]
    _score_histogram(scores, _histogram(result.output_dir, counted), result.threshold)
    part = f", in {len(counted)} of them" if len(counted) < len(result.done) else ""
    scores.set_title(f"scores of all candidates{part}", fontsize=10)
    picks = np.array([o.picks for o in result.done])
    most = int(picks.max()) if len(picks) else 1
    edges = np.unique(np.linspace(0, most + 1, min(most + 2, 41)).round()) - 0.5
    counts.hist(picks, bins=edges.tolist(), color=BLUE, rwidth=0.92)
    if len(picks):
        middle = float(np.median(picks))
        counts.axvline(middle, color="0.35", linestyle="--", linewidth=1)
        counts.set_title(f"picks in a micrograph, median {middle:g}", fontsize=10)
    counts.xaxis.set_major_locator(MaxNLocator(integer=True))
    _label(counts, "picks", "micrographs")
    return figure


def _score_histogram(axes: Axes, counts: NDArray[np.int64], threshold: float | None) -> None:
    limit = np.inf if threshold is None else threshold
    middle = (HISTOGRAM_BINS[1:] + HISTOGRAM_BINS[:-1]) / 2
    colours = [BLUE if centre >= limit else GREY for centre in middle]
    axes.bar(middle, counts, width=np.diff(HISTOGRAM_BINS) * 0.92, color=colours)
    if threshold is not None:
        axes.axvline(threshold, color=RED, label=f"threshold {threshold:.3f}")
        axes.legend(frameon=False)
    axes.set_xlim(0, 1)
    _label(axes, "score", "candidates")


def _histogram(folder: Path, outcomes: Iterable[Outcome]) -> NDArray[np.int64]:
    """Candidates in each bin; their files lie below ``candidates`` as the picks do."""
    total = np.zeros(len(HISTOGRAM_BINS) - 1, dtype=np.int64)
    for outcome in outcomes:
        if outcome.picks_file is not None:
            below = outcome.picks_file.relative_to(folder / "picks")
            scores = star.read_picks(folder / "candidates" / below).score
            total += np.histogram(scores, bins=HISTOGRAM_BINS)[0]
    return total


def _page(
    title: str, facts: Sequence[tuple[str, str]], charts: int
) -> tuple[Figure, tuple[Axes, ...]]:
    """Make a page with a title, facts below it, and empty charts below these."""
    figure = Figure(figsize=_PAGE)
    FigureCanvasAgg(figure)
    when = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    figure.text(0.1, 0.95, title, fontsize=15, fontweight="bold")
    figure.text(0.1, 0.932, f"cryomae {__version__}, {when}", fontsize=8, color="0.4")
    lines = [
        (name if i == 0 else "", part)
        for name, value in facts
        for i, part in enumerate(textwrap.wrap(value, _WIDTH) or [""])
    ]
    for row, (name, part) in enumerate(lines):
        y = _TOP - _LINE * row
        figure.text(0.1, y, name, fontsize=9, color="0.35")
        figure.text(0.3, y, part, fontsize=9, parse_math=False)
    top = _TOP - _LINE * len(lines) - 0.04
    grid = figure.add_gridspec(2, 1, left=0.12, right=0.92, top=top, bottom=0.07, hspace=0.32)
    return figure, tuple(figure.add_subplot(grid[i]) for i in range(charts))


def _picture(path: Path) -> Figure:
    figure = Figure(figsize=_PAGE)
    FigureCanvasAgg(figure)
    with Image.open(path) as stored:
        image = stored.convert("RGB")
    image.thumbnail((_PICTURE_SIDE, 2 * _PICTURE_SIDE))
    axes = figure.add_axes((0.05, 0.05, 0.9, 0.9))
    axes.imshow(np.asarray(image), interpolation="none")
    axes.set_axis_off()
    return figure


def _write(path: Path, figures: Iterable[Figure]) -> int:
    pages = 0
    with (
        atomic_path(path) as temporary,
        PdfPages(temporary, metadata={"Creator": "cryomae"}) as pdf,
    ):
        for figure in figures:
            pdf.savefig(figure)
            pages += 1
    return pages


def _label(axes: Axes, horizontal: str, vertical: str) -> None:
    axes.set_xlabel(horizontal)
    axes.set_ylabel(vertical)
    axes.spines[["top", "right"]].set_visible(False)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))


def _spread(count: int, most: int) -> Iterator[int]:
    """Indices, evenly spread, of at most as many as wanted."""
    yield from (int(i) for i in np.unique(np.linspace(0, count - 1, min(count, most)).round()))
