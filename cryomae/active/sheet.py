"""A contact sheet of proposals: what to answer, on one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from numpy.typing import NDArray
from PIL import Image

from cryomae.active.crops import ACROSS
from cryomae.atomic import atomic_path

_TILE, _GAP, _MARGIN = 200, 14, 20
_ACROSS = 5
_HEAD, _CAPTION = 76, 62
_DPI = 100
_RING, _GREY = "#ffd24d", "0.35"
_PAPER = 255
_NANOMETRES = (1, 2, 5, 10, 20, 50, 100, 200)


@dataclass(frozen=True, eq=False)
class Tile:
    """One crop and what is written below it.

    Attributes
    ----------
    number : str
        What to name in an answer.
    crop : ndarray, shape (s, s)
        0 to 1, NaN beyond the micrograph, see `cryomae.active.crops`; None where the
        micrograph cannot be read.
    score : float
        Chance that it is a particle, as the model sees it.
    reason : str
        Why it is asked.
    micrograph : str
    """

    number: str
    crop: NDArray[np.float32] | None
    score: float
    reason: str
    micrograph: str


def draw_sheet(path: Path, tiles: Sequence[Tile], *, diameter: float, title: str) -> None:
    """Draw crops with their numbers, the particle's circle and a scale bar.

    Parameters
    ----------
    path : Path
        PNG to write.
    tiles : sequence of Tile
        At least one.
    diameter : float
        Of the particle in Å; the circle.
    title : str
    """
    across = min(_ACROSS, max(len(tiles), 3))
    rows = -(-len(tiles) // across)
    width = 2 * _MARGIN + across * (_TILE + _GAP) - _GAP
    height = _HEAD + rows * (_TILE + _CAPTION) + _MARGIN
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    page = np.full((height, width), _PAPER, dtype=np.uint8)
    plain: dict[str, Any] = {"va": "top", "parse_math": False}
    axes.text(_MARGIN, 14, title, fontsize=14, fontweight="bold", **plain)
    words = (
        f"circle {diameter:.4g} Å; smoothed for the eye; below: its score (1 a particle, "
        "0 none) and why it is asked"
    )
    axes.text(_MARGIN, 40, words, fontsize=9.5, color=_GREY, **plain)
    radius = _TILE / ACROSS / 2
    for i, tile in enumerate(tiles):
        x = _MARGIN + i % across * (_TILE + _GAP)
        y = _HEAD + i // across * (_TILE + _CAPTION)
        if tile.crop is None:
            axes.text(x + 14, y + 90, "cannot be read", color="#c0392b", fontsize=11, **plain)
            axes.add_patch(Rectangle((x, y), _TILE, _TILE, fill=False, color=_GREY, linewidth=0.5))
        else:
            page[y : y + _TILE, x : x + _TILE] = _grey(tile.crop)
            middle = _TILE / 2
            axes.add_patch(
                Circle((x + middle, y + middle), radius, fill=False, color=_RING, linewidth=1.3)
            )
        axes.text(x, y + _TILE + 5, tile.number, fontsize=13, fontweight="bold", **plain)
        score = {"fontsize": 10, "ha": "right", **plain}
        axes.text(x + _TILE, y + _TILE + 7, f"{tile.score:.2f}", **score)
        axes.text(x, y + _TILE + 26, tile.reason, fontsize=8, **plain)
        name = _shortened(tile.micrograph, 29)
        axes.text(x, y + _TILE + 40, name, fontsize=8, color=_GREY, **plain)
    _scale_bar(axes, width, diameter)
    axes.imshow(page, "gray", vmin=0, vmax=255, extent=(0, width, height, 0), interpolation="none")
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    with atomic_path(path) as temporary:
        FigureCanvasAgg(figure).print_figure(temporary, dpi=_DPI, format="png")
    figure.clear()  # figures hold themselves: else their pixels stay until a late clean-up


def _grey(crop: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A crop as a tile; what lies beyond the micrograph is paper."""
    outside = np.isnan(crop)
    grey = np.where(outside, 1, crop)
    picture = Image.fromarray((255 * grey).astype(np.uint8))
    tile = np.array(picture.resize((_TILE, _TILE), Image.Resampling.BICUBIC))
    if outside.any():
        mask = Image.fromarray(np.where(outside, 255, 0).astype(np.uint8))
        tile[np.asarray(mask.resize((_TILE, _TILE), Image.Resampling.NEAREST)) > 0] = _PAPER
    return tile


def _scale_bar(axes: Any, width: int, diameter: float) -> None:
    """At the top right: the longest round length that is not wider than a tile's half."""
    wide = ACROSS * diameter  # Å across a tile
    fitting = [n for n in _NANOMETRES if 10 * n <= wide / 2]
    length = fitting[-1] if fitting else _NANOMETRES[0]
    bar = 10 * length / wide * _TILE
    x = width - _MARGIN - bar
    axes.add_patch(Rectangle((x, 36), bar, 5, color="black", linewidth=0))
    axes.text(x + bar / 2, 14, f"{length} nm", ha="center", va="top", fontsize=10)


def _shortened(name: str, most: int) -> str:
    """The end of a name, which tells micrographs apart."""
    return name if len(name) <= most else "…" + name[-(most - 1) :]
