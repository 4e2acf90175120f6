"""Charts as inline SVG: the parts that all share, and the two of the summary page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from cryomae.atomic import atomic_path

if TYPE_CHECKING:
    from cryomae.diameter import DiameterEstimate

_DOTS, _BARS = 1000, 60  # most dots and bars in a chart
BLUE, GREY, RED = "#2a6f97", "#c3ccd3", "#b3261e"


def histogram_chart(
    edges: NDArray[np.float64], counts: NDArray[np.int64], threshold: float | None
) -> Markup:
    """Histogram of candidate scores with the threshold.

    Parameters
    ----------
    edges : ndarray, shape (n + 1,)
        Edges of the bins.
    counts : ndarray, shape (n,)
        Candidates in each bin.
    threshold : float or None
        Score that picks reach.
    """
    figure, axes = new_axes("score", "candidates")
    middle = (edges[1:] + edges[:-1]) / 2
    limit = np.inf if threshold is None else threshold
    colours = [BLUE if centre >= limit else GREY for centre in middle]
    axes.bar(middle, counts, width=np.diff(edges) * 0.92, color=colours)
    axes.set_xlim(0, 1)
    if threshold is not None:
        axes.axvline(threshold, color=RED, linewidth=1.6)
        right = threshold < 0.6
        axes.annotate(
            f"threshold {threshold:.2f}",
            (threshold, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(5 if right else -5, -10),
            textcoords="offset points",
            ha="left" if right else "right",
            color=RED,
        )
    return as_svg(figure)


def counts_chart(counts: Sequence[int]) -> Markup:
    """Bars of the picks in every micrograph, most first.

    Parameters
    ----------
    counts : sequence of int
        Picks in each micrograph.
    """
    figure, axes = new_axes("micrographs, most picks first", "picks")
    ordered = np.sort(np.asarray(counts, dtype=float))[::-1]
    total = len(ordered)
    if total <= _BARS:
        axes.bar(np.arange(1, total + 1), ordered, width=0.85, color=BLUE)
    else:  # one outline: many bars make a page slow
        shown = ordered[np.linspace(0, total - 1, min(total, 300)).round().astype(int)]
        edges = np.linspace(0.5, total + 0.5, len(shown) + 1)
        axes.stairs(shown, edges, fill=True, color=BLUE)
    if total:
        axes.set_xlim(0.4, total + 0.6)
        middle = float(np.median(ordered))
        axes.axhline(middle, color="0.35", linewidth=1, linestyle="--")
        axes.annotate(
            f"median {middle:g}",
            (1.0, middle),
            xycoords=("axes fraction", "data"),
            xytext=(-4, 4),
            textcoords="offset points",
            ha="right",
            color="0.25",
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return as_svg(figure)


def trend_chart(
    across: NDArray[np.float64],
    values: NDArray[np.float64],
    axis: str,
    name: str,
    *,
    most: float | None = None,
) -> Markup:
    """A number of every micrograph in the order of acquisition, and its running median.

    Parameters
    ----------
    across : ndarray, shape (n,)
        When it was taken, ascending.
    values : ndarray, shape (n,)
        What is shown; NaN is left out.
    axis, name : str
        Names of the axes.
    most : float, optional
        End of the vertical axis.
    """
    figure, axes = new_axes(axis, name)
    if most is not None:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    there = np.isfinite(values)
    across, values = across[there], values[there]
    # Of many thousands a few show as much, and the page stays small.
    shown = np.unique(np.linspace(0, len(across) - 1, min(len(across), _DOTS)).round().astype(int))
    axes.scatter(across[shown], values[shown], s=5, color=GREY, linewidths=0)
    wide = max(5, len(values) // 20)
    middle = [float(np.median(values[max(0, i - wide // 2) : i + wide // 2 + 1])) for i in shown]
    axes.plot(across[shown], middle, color=BLUE, linewidth=1.6)
    axes.set_ylim(0, most)
    return as_svg(figure)


def diameter_figure(estimate: DiameterEstimate) -> Figure:
    """How likely each diameter is, and the one that was taken.

    Parameters
    ----------
    estimate : DiameterEstimate
    """
    figure, axes = new_axes("diameter (Å)", "probability")
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.axvspan(estimate.low, estimate.high, color=GREY, alpha=0.5, linewidth=0)
    axes.plot(estimate.diameters, estimate.curve, color=BLUE, marker="o", markersize=3)
    axes.axvline(estimate.diameter, color=RED, linewidth=1.6)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator([30, 50, 100, 200, 500, 1000]))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(estimate.diameters.min(), estimate.diameters.max())
    axes.set_ylim(bottom=0)
    axes.set_title(
        f"{estimate.diameter:.0f} Å ({estimate.low:.0f} to {estimate.high:.0f} Å), "
        f"confidence {estimate.confidence:.2f}",
        fontsize="medium",
    )
    return figure


def save_png(figure: Figure, path: str | Path) -> None:
    """Write a chart as PNG."""
    with atomic_path(Path(path)) as temporary:
        FigureCanvasAgg(figure).print_figure(temporary, dpi=120, format="png")


def new_axes(horizontal: str, vertical: str) -> tuple[Figure, Axes]:
    """Give an empty chart with the names of its axes."""
    figure = Figure(figsize=(5.4, 2.9), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    axes.set_xlabel(horizontal)
    axes.set_ylabel(vertical)
    axes.spines[["top", "right"]].set_visible(False)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    return figure, axes


def as_svg(figure: Figure) -> Markup:
    """Turn a chart into SVG that stands in a page as it is."""
    buffer = io.StringIO()
    with rc_context({"svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    return Markup(text[text.index("<svg") :])  # made here, from numbers only
