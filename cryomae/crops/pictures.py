"""Contact sheets of crops: the best and the worst, and groups that look alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from cryomae.atomic import atomic_path
from cryomae.crops.stack import read_boxes, sums

_TILE, _GAP = 104, 6
_ACROSS, _ROWS = 12, 4  # of each half of the montage
_EXAMPLES = 9
_MARGIN, _HEAD, _LINE, _CAPTION = 18, 58, 30, 16
_SMOOTH = 20  # a diameter over this is the width of the Gaussian that takes the noise away
_DPI = 100
_RING, _GREY = "#ffd24d", "0.35"
_NANOMETRES = (1, 2, 5, 10, 20, 50, 100, 200)


@dataclass
class _Sheet:
    """A page in pixels from the top left, on which tiles and words are laid."""

    width: int
    height: int
    pixels: NDArray[np.uint8] = field(init=False)
    words: list[tuple[float, float, str, dict[str, Any]]] = field(default_factory=list)
    shapes: list[Circle | Rectangle] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pixels = np.full((self.height, self.width), 255, dtype=np.uint8)

    def tile(self, x: int, y: int, picture: NDArray[np.uint8]) -> None:
        self.pixels[y : y + len(picture), x : x + picture.shape[1]] = picture

    def text(self, x: float, y: float, text: str, **style: Any) -> None:
        self.words.append((x, y, text, style))

    def save(self, path: Path) -> None:
        size = (self.width / _DPI, self.height / _DPI)
        figure = Figure(figsize=size, dpi=_DPI, facecolor="white")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        extent = (0, self.width, self.height, 0)
        axes.imshow(self.pixels, "gray", vmin=0, vmax=255, extent=extent, interpolation="none")
        for x, y, text, style in self.words:
            plain: dict[str, Any] = {"fontsize": 9, "va": "top", "parse_math": False}
            axes.text(x, y, text, **(plain | style))
        for shape in self.shapes:
            axes.add_patch(shape)
        axes.set_xlim(0, self.width)
        axes.set_ylim(self.height, 0)
        with atomic_path(path) as temporary:
            FigureCanvasAgg(figure).print_figure(temporary, dpi=_DPI, format="png")
        figure.clear()  # figures hold themselves: else their pixels stay until a late clean-up


def draw_montage(
    path: Path,
    stack: Path,
    scores: NDArray[np.float64],
    *,
    diameter: float,
    pixel_size: float,
    seed: int,
) -> None:
    """Draw the crops with the best and the worst scores; some at random if all are equal.

    Parameters
    ----------
    path : Path
        PNG to write.
    stack : Path
        Stack of n boxes.
    scores : ndarray, shape (n,)
    diameter, pixel_size : float
        Å, and Å per pixel of the boxes.
    seed : int
        Draws the crops where all scores are equal.
    """
    order = np.argsort(-scores, kind="stable")
    most = _ACROSS * _ROWS
    ranked = bool(np.ptp(scores) > 0)
    parts: list[tuple[str, NDArray[np.intp]]]
    if not ranked:
        drawn = np.sort(np.random.default_rng(seed).permutation(len(scores))[: 2 * most])
        some = f"{len(drawn):,} of {len(scores):,} crops, drawn at random"
        parts = [(some if len(drawn) < len(scores) else _all(len(scores)), drawn)]
    elif len(scores) <= 2 * most:
        parts = [(f"{_all(len(scores))}, best score first", order)]
    else:
        parts = [
            (f"The {most} best of {len(scores):,} crops, by score", order[:most]),
            (f"The {most} worst, the very worst last", order[-most:]),
        ]
    step = _TILE + (_CAPTION if ranked else _GAP)
    rows = [-(-len(chosen) // _ACROSS) for _, chosen in parts]
    across = min(_ACROSS, max(len(parts[0][1]), 6))
    width = 2 * _MARGIN + across * (_TILE + _GAP) - _GAP
    sheet = _Sheet(width, _HEAD + sum(_LINE + n * step for n in rows) + _MARGIN // 2)
    view = _View(diameter, pixel_size)
    boxes = [read_boxes(stack, chosen) for _, chosen in parts]
    view.title(sheet, "Crops", boxes[0].shape[-1])
    top = _HEAD
    for (title, chosen), part, n in zip(parts, boxes, rows, strict=True):
        sheet.text(_MARGIN, top + 4, title, fontsize=11, fontweight="bold")
        for i, (number, box) in enumerate(zip(chosen, part, strict=True)):
            x = _MARGIN + i % _ACROSS * (_TILE + _GAP)
            y = top + _LINE + i // _ACROSS * step
            sheet.tile(x, y, view.grey(box))
            if ranked:
                caption = f"{scores[number]:.2f}"
                sheet.text(x + _TILE / 2, y + _TILE, caption, ha="center", color=_GREY)
        view.ring(sheet, _MARGIN, top + _LINE, part.shape[-1])
        top += _LINE + n * step
    sheet.save(path)


def draw_groups(
    path: Path,
    stack: Path,
    groups: NDArray[np.int64],
    table: pd.DataFrame,
    *,
    diameter: float,
    pixel_size: float,
    seed: int,
) -> None:
    """Draw a row for each group: its average, that average turned round, and some of its crops.

    Parameters
    ----------
    path : Path
        PNG to write.
    stack : Path
        Stack of n boxes.
    groups : ndarray of int, shape (n,)
        Group of each box, from 1.
    table : DataFrame
        ``group``, ``count`` and ``score`` (mean) of each group.
    diameter, pixel_size : float
        Å, and Å per pixel of the boxes.
    seed : int
        Draws the crops that are shown.
    """
    label, gap = 132, 22
    top, step = _HEAD + _LINE, _TILE + 2 * _GAP
    first = _MARGIN + label
    examples = first + 2 * (_TILE + _GAP) + gap
    width = examples + _EXAMPLES * (_TILE + _GAP) - _GAP + _MARGIN
    sheet = _Sheet(width, top + len(table) * step + _MARGIN)
    view = _View(diameter, pixel_size)
    totals = sums(stack, groups - 1, len(table))
    side = totals.shape[-1]
    view.title(sheet, "Groups of crops that look alike", side)
    style: dict[str, Any] = {"color": _GREY, "fontsize": 10}
    sheet.text(first, _HEAD + 6, "average", **style)
    sheet.text(first + _TILE + _GAP, _HEAD + 6, "turned round", **style)
    sheet.text(examples, _HEAD + 6, "some of them, drawn at random", **style)
    rng = np.random.default_rng(seed)
    for row, (group, count, score) in enumerate(table.itertuples(index=False)):
        y = top + row * step
        sheet.text(_MARGIN, y + 16, f"{group}", fontsize=22, fontweight="bold")
        share = f"{count:,} crops, {100 * count / len(groups):.0f} %"
        sheet.text(_MARGIN, y + 54, share)
        sheet.text(_MARGIN, y + 72, f"mean score {score:.2f}")
        mean = totals[row] / count
        sheet.tile(first, y, view.grey(mean, np.sqrt(count)))
        sheet.tile(first + _TILE + _GAP, y, view.grey(turned_round(mean), np.inf))
        members = rng.permutation(np.flatnonzero(groups == group))[:_EXAMPLES]
        for i, box in enumerate(read_boxes(stack, np.sort(members))):
            sheet.tile(examples + i * (_TILE + _GAP), y, view.grey(box))
        view.ring(sheet, examples, y, side)
    sheet.save(path)


def turned_round(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over all turns in the plane about the box centre, shape as given."""
    offsets = np.arange(len(image)) - len(image) // 2
    radius = np.hypot(offsets[:, None], offsets)
    ring = np.rint(radius).astype(int)
    mean = np.bincount(ring.ravel(), image.ravel()) / np.maximum(np.bincount(ring.ravel()), 1)
    out: NDArray[np.float64] = np.interp(radius, np.arange(len(mean)), mean)
    return out


def _all(count: int) -> str:
    return "The only crop" if count == 1 else f"All {count:,} crops"


@dataclass(frozen=True)
class _View:
    """How boxes are shown, and words for it."""

    diameter: float
    pixel_size: float

    def grey(self, box: NDArray[np.floating], averaged: float = 1.0) -> NDArray[np.uint8]:
        """Smooth a box, stretch its contrast and bring it to a tile's size.

        An average of many needs less smoothing: ``averaged`` is by how much noise has gone.
        """
        width = self.diameter / self.pixel_size / _SMOOTH / averaged
        smooth = gaussian_filter(np.asarray(box, dtype=np.float32), width, mode="nearest")
        low, high = np.percentile(smooth, (1, 99.5))
        grey = 255 * np.clip((smooth - low) / max(float(high - low), 1e-9), 0, 1)
        tile = Image.fromarray(grey.astype(np.uint8)).resize(
            (_TILE, _TILE),
            Image.Resampling.LANCZOS if len(box) > _TILE else Image.Resampling.BICUBIC,
        )
        return np.asarray(tile)

    def ring(self, sheet: _Sheet, x: int, y: int, side: int) -> None:
        """Draw the particle's diameter on the tile at (x, y)."""
        pixel = _TILE / side
        middle = (side // 2 + 0.5) * pixel
        radius = self.diameter / self.pixel_size / 2 * pixel
        if radius < _TILE / 2:
            sheet.shapes.append(
                Circle((x + middle, y + middle), radius, fill=False, color=_RING, linewidth=1.1)
            )

    def title(self, sheet: _Sheet, text: str, side: int) -> None:
        """Write the page's title, what the circle is, and a scale bar."""
        sheet.text(_MARGIN, 10, text, fontsize=14, fontweight="bold")
        wide = side * self.pixel_size
        about = f"box {side} px = {wide:.0f} Å; circle {self.diameter:.4g} Å; smoothed for the eye"
        sheet.text(_MARGIN, 35, about, color=_GREY, fontsize=10)
        fitting = [n for n in _NANOMETRES if 10 * n <= wide]
        length = fitting[-1] if fitting else _NANOMETRES[0]
        bar = 10 * length / wide * _TILE
        x = sheet.width - _MARGIN - bar
        sheet.shapes.append(Rectangle((x, 38), bar, 5, color="black", linewidth=0))
        sheet.text(x + bar / 2, 16, f"{length} nm", ha="center", fontsize=10)
