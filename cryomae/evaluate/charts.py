"""Charts of the evaluation page, as inline SVG."""

from __future__ import annotations

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from cryomae.evaluate.calibration import Reliability
from cryomae.evaluate.matching import PrecisionRecall
from cryomae.report.charts import BLUE, RED, as_svg, new_axes

_POINTS = 400  # of a curve; more would only make the page large
_DOTS = 1500  # of a scatter, likewise


def curve_chart(curve: PrecisionRecall, point: tuple[float, float] | None) -> Markup:
    """Precision against recall.

    Parameters
    ----------
    curve : PrecisionRecall
        Over all candidates; there must be one.
    point : tuple of float, or None
        Recall and precision of the operating point.
    """
    figure, axes = new_axes("recall", "precision")
    last = len(curve.scores) - 1
    shown = np.unique(np.linspace(0, last, min(_POINTS, last + 1)).round().astype(int))
    axes.plot(curve.recall[shown], curve.precision[shown], color=BLUE, linewidth=1.8)
    best = (curve.recall[curve.best], curve.precision[curve.best])
    axes.plot(*best, "o", color="white", markeredgecolor=BLUE, markersize=7)
    marks = [("best F1 (knows the truth)", best, BLUE, -32)]
    if point is not None:
        axes.plot(*point, "o", color=RED, markersize=7)
        marks.append(("operating point", point, RED, -18))
    for text, (x, y), colour, rise in marks:
        right = x < 0.5
        axes.annotate(
            text,
            (x, y),
            xytext=(8 if right else -8, rise),
            textcoords="offset points",
            ha="left" if right else "right",
            color=colour,
        )
    axes.set(xlim=(0, 1.02), ylim=(0, 1.05))
    axes.set_yticks(np.linspace(0, 1, 6))
    return as_svg(figure)


def score_chart(
    scores: NDArray[np.float64], hits: NDArray[np.bool_], threshold: float | None
) -> Markup:
    """Histogram of scores, right picks below and wrong ones on top.

    Parameters
    ----------
    scores : ndarray, shape (n,)
        Of all candidates.
    hits : ndarray, bool, shape (n,)
        Which are right.
    threshold : float or None
        Score of the operating point.
    """
    figure, axes = new_axes("score", "candidates")
    within = scores.min() >= 0 and scores.max() <= 1
    low, high = (0.0, 1.0) if within else (float(scores.min()), float(scores.max()))
    edges = np.linspace(low, high, 41)
    axes.hist(
        [scores[hits], scores[~hits]],
        bins=list(edges),
        stacked=True,
        color=[BLUE, RED],
        label=["right", "wrong"],
        rwidth=0.92,
    )
    if threshold is not None:
        axes.axvline(threshold, color="0.25", linewidth=1.4, linestyle="--")
    axes.set_xlim(low, high)
    axes.legend(frameon=False)
    return as_svg(figure)


def reliability_chart(found: Reliability) -> Markup:
    """Share of right picks against score, the area of a dot by its picks."""
    figure, axes = new_axes("score", "share of right picks")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    axes.plot(found.score, found.right, color=BLUE, linewidth=1.4)
    axes.scatter(found.score, found.right, s=20 + 160 * found.count / found.count.max(), c=BLUE)
    axes.set(xlim=(0, 1), ylim=(0, 1.05))
    axes.set_yticks(np.linspace(0, 1, 6))
    return as_svg(figure)


def offset_chart(dx: NDArray[np.float64], dy: NDArray[np.float64], radius: float) -> Markup:
    """Where right picks lie about their particles; y runs downwards, as rows do.

    Parameters
    ----------
    dx, dy : ndarray, shape (n,)
        Pick minus particle in pixels.
    radius : float
        Largest distance in pixels, drawn as a circle.
    """
    figure, axes = new_axes("pick minus particle, x (px)", "y (px)")
    step = max(1, -(-len(dx) // _DOTS))
    axes.plot(dx[::step], dy[::step], ".", color=BLUE, markersize=2.5, alpha=0.5)
    axes.add_patch(Circle((0, 0), radius, fill=False, color="0.6", linewidth=1))
    axes.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    axes.axvline(0, color="0.8", linewidth=0.8, zorder=0)
    axes.plot(dx.mean(), dy.mean(), "+", color=RED, markersize=12, markeredgewidth=2)
    side = 1.08 * radius
    axes.set(xlim=(-side, side), ylim=(side, -side), aspect="equal")
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 5, 10]))
    return as_svg(figure)


def kinds_chart(counts: dict[str, int]) -> Markup:
    """Bars of the wrong picks by what they lie on, most first."""
    figure, axes = new_axes("wrong picks", "")
    axes.spines["left"].set_visible(False)
    names = list(counts)[::-1]
    bars = axes.barh(range(len(names)), [counts[n] for n in names], color=RED, height=0.7)
    axes.bar_label(bars, fmt="{:,.0f}", padding=4)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.12)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    return as_svg(figure)


def recall_chart(groups: pd.DataFrame, label: str, places: int) -> Markup:
    """Recall of groups of particles, with how many there are in each.

    Parameters
    ----------
    groups : DataFrame
        What `Evaluation.recall_by` gives.
    label : str
        Name and unit of what they are grouped by.
    places : int
        Decimals of the bounds.
    """
    figure, axes = new_axes(label, "recall")
    bars = axes.bar(range(len(groups)), groups["recall"], color=BLUE, width=0.75)
    axes.bar_label(bars, labels=[f"{n:,}" for n in groups["particles"]], padding=2, color="0.35")
    words = [
        f"{low:.{places}f} to {high:.{places}f}"
        for low, high in zip(groups["low"], groups["high"], strict=True)
    ]
    axes.set_xticks(range(len(groups)), words)
    axes.set_ylim(0, 1.12)
    axes.set_yticks(np.linspace(0, 1, 6))
    return as_svg(figure)
