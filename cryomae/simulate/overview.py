"""A picture of a simulated set: its first micrographs, with their truth and without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from scipy import ndimage

from cryomae.atomic import atomic_path

COLOURS = {
    "particle": "#35c9ff",
    "edge": "#8fa3ad",
    "carbon": "#ffb000",
    "crystal": "#ff6d00",
    "ice": "#ff4f4f",
    "ethane": "#ff7bd5",
    "gold": "#ffe600",
    "aggregate": "#b388ff",
    "broken": "#7bd88f",
}
"""Colour of each kind in pictures."""

_SHOWN = 3
_SIDE = 900  # pixels of a micrograph in the picture


def draw_overview(
    path: Path,
    folder: Path,
    records: list[tuple[str, dict[str, Any]]],
    diameter: float,
    pixel_size: float,
) -> None:
    """Draw the first three micrographs, below them the same with their truth.

    Parameters
    ----------
    path : Path
        PNG to write.
    folder : Path
        The set.
    records : list of (str, dict)
        Names and records of its micrographs.
    diameter, pixel_size : float
        Å, and Å per pixel.
    """
    shown = records[:_SHOWN]
    figure = Figure(figsize=(6 * len(shown), 12.6), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(2, len(shown), squeeze=False)
    for column, (name, record) in enumerate(shown):
        with mrcfile.open(folder / "micrographs" / f"{name}.mrc") as mrc:
            image = np.asarray(mrc.data)
        rows, columns = image.shape
        step = max(1, round(max(image.shape) / _SIDE))
        smooth = ndimage.gaussian_filter(image, max(0.6 * step, diameter / pixel_size / 40))
        small = smooth[::step, ::step]
        low, high = np.percentile(small, (3, 99.8))
        for axes in grid[:, column]:
            extent = (-0.5, columns - 0.5, rows - 0.5, -0.5)
            axes.imshow(small, cmap="gray", vmin=low, vmax=high, extent=extent)
            axes.set_axis_off()
        words = f"{record['ctf']['defocus']:.2f} µm, ice {record['ice_thickness'] / 10:.0f} nm"
        if record["snr"] is not None:
            words += f", signal to noise {record['snr']:.3f}"
        grid[0, column].set_title(f"{name}\n{words}", fontsize=12)
        _truth(grid[1, column], record, diameter / pixel_size)
    kinds = ["particle", *dict.fromkeys(r["kind"] for _, x in shown for r in x["contaminants"])]
    names = {"edge": "cut by the border"}
    handles = [
        Line2D([], [], marker="o", linestyle="", fillstyle="none", markersize=10,
               color=COLOURS[kind], label=names.get(kind, kind))
        for kind in kinds
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=len(kinds), fontsize=12)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=75, metadata={"Software": None})


def _truth(axes: Axes, record: dict[str, Any], diameter: float) -> None:
    particles = record["particles"]
    for x, y in zip(particles["x"], particles["y"], strict=True):
        _circle(axes, x, y, diameter / 2, "particle", 1.0)
    for region in record["contaminants"]:
        width = 0.8 if region["kind"] == "edge" else 2.0
        _circle(axes, region["x"], region["y"], region["radius"], region["kind"], width)


def _circle(axes: Axes, x: float, y: float, radius: float, kind: str, width: float) -> None:
    axes.add_patch(Circle((x, y), radius, fill=False, color=COLOURS[kind], linewidth=width))
