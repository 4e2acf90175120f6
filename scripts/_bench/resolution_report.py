"""Table and chart of the resolution that picks give."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from _bench.operating import OWN
from _bench.report import Row

HALF_MAPS, AGAINST_TRUTH = 0.143, 0.5
"""Thresholds of the correlation between half maps, and of the whole map with the truth: the
same quality of the whole map."""

Result = Mapping[str, Any]
_HEAD = ("picks of", "threshold", "picks", "right", "precision", "recall", "off by, Å")
_HEAD += ("resolution, Å", "against the truth, Å")


def table(results: Sequence[Result]) -> list[Row]:
    """One row a threshold of a picker."""
    rows: list[Row] = [_HEAD]
    for r in results:
        row = [r["name"], r["threshold"], f"{r['picks']}", f"{r['right']}"]
        row += [f"{r['precision']:.2f}", f"{r['recall']:.2f}", f"{r['distance']:.1f}"]
        row += [_seeds(r["resolution"]), _seeds(r["resolution_truth"])]
        rows.append(tuple(row))
    return rows


def _seeds(values: Sequence[float]) -> str:
    if not len(values):
        return "failed"
    least, most = f"{min(values):.1f}", f"{max(values):.1f}"
    mean = f"{np.mean(values):.1f}"
    return mean if least == most else f"{mean} ({least}–{most})"


def draw(path: Path, results: Sequence[Result], extent: float) -> None:
    """Resolution against the number of right picks, and FSC curves at the own thresholds.

    Parameters
    ----------
    path : Path
        PNG to write.
    results : sequence of dict
        As the script writes them to ``results.json``.
    extent : float
        Side of the maps in Å.
    """
    figure = Figure(figsize=(11, 4.8), layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    drawn = [r for r in results if len(r["resolution"])]
    names = list(dict.fromkeys(r["name"] for r in drawn))
    for place, name in enumerate(names):
        colour = "0.15" if not place else f"C{place - 1}"
        own = sorted((r for r in drawn if r["name"] == name), key=lambda r: r["right"])
        count = [r["right"] for r in own]
        middle = np.array([np.mean(r["resolution"]) for r in own])
        reach = [
            middle - [min(r["resolution"]) for r in own],
            [max(r["resolution"]) for r in own] - middle,
        ]
        left.errorbar(count, middle, reach, color=colour, marker=".", capsize=2, lw=1.2, label=name)
        for r in own:
            if r["threshold"] != OWN:
                continue
            left.plot(r["right"], np.mean(r["resolution"]), "o", color=colour, ms=8)
            at = np.arange(len(r["fsc"])) / extent
            right.plot(at, r["fsc"], color=colour, lw=1.4)
    left.plot([], [], "o", color="0.5", ms=8, label="own threshold")
    left.set(xlabel="right picks", ylabel=f"resolution, Å (half maps, FSC {HALF_MAPS})")
    left.invert_yaxis()
    left.legend(frameon=False, fontsize="small")
    right.axhline(HALF_MAPS, color="0.6", lw=0.8)
    right.set(xlabel="resolution, Å", ylabel="FSC of the half maps, own thresholds")
    ticks = [d for d in (40, 20, 12, 10, 8, 7, 6, 5, 4, 3) if d >= 2 * extent / _box(drawn)]
    right.set_xticks([1 / d for d in ticks], [f"{d}" for d in ticks])
    right.set(xlim=(0, None), ylim=(-0.05, 1.02))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def _box(results: Sequence[Result]) -> int:
    """Voxels a side of the maps."""
    return 2 * (len(results[0]["fsc"]) - 1)
