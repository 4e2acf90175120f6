"""What few-shot training looks like: each exemplar with its scores, and the gain, as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from numpy.typing import NDArray
from scipy import ndimage

from cryomae.prepare import WORKING_DIAMETER
from cryomae.train.exemplars import Exemplars
from cryomae.train.fewshot import Adapted
from cryomae.train.pictures import save_figure

_ACROSS, _MOST_TILES = 6, 30
_GOOD, _ODD = "#ffd24d", "#c0392b"


def draw_exemplars(
    path: Path, parts: Sequence[Exemplars], adapted: Adapted, odd: Sequence[int]
) -> None:
    """Draw each exemplar with its scores before and after training, and how training went.

    Parameters
    ----------
    path : Path
        PNG to write.
    parts : sequence of Exemplars
    adapted : Adapted
    odd : sequence of int
        Exemplars to frame, counted through all parts.
    """
    tiles = [_tile(part.working.image, xy) for part in parts for xy in part.xy][:_MOST_TILES]
    rows = -(-len(tiles) // _ACROSS)
    figure = Figure(figsize=(9, 1.75 * rows + 0.6 + 2.6), layout="constrained")
    heights = [1.75 * rows + 0.6, 2.6]
    above, below = figure.subfigures(2, 1, height_ratios=heights, squeeze=False)[:, 0]
    held = ", by models that had not seen it" if adapted.held_out else ""
    above.suptitle(f"exemplars: score before → after{held}", fontsize=10)
    grid = above.subplots(rows, _ACROSS, squeeze=False).ravel()
    for axes in grid:
        axes.axis("off")
    for i, (axes, tile) in enumerate(zip(grid, tiles, strict=False)):
        low, high = np.percentile(tile, (1, 99))
        axes.imshow(tile, cmap="gray", vmin=low, vmax=high)
        middle = (len(tile) - 1) / 2
        color = _ODD if i in odd else _GOOD
        axes.add_patch(Circle((middle, middle), WORKING_DIAMETER / 2, fill=False, color=color))
        title = f"{i + 1}: {adapted.before[i]:.2f} → {adapted.after[i]:.2f}"
        axes.set_title(title, fontsize=8, color=_ODD if i in odd else "black")
    _draw_scores(below.subplots(), adapted)
    save_figure(figure, path, 110)


def _draw_scores(axes: Axes, adapted: Adapted) -> None:
    """How the scores of exemplars moved."""
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=0.8)
    axes.plot(adapted.before, adapted.after, "o", color="black" if adapted.helped else "0.6")
    axes.set_title("" if adapted.helped else "the model is left as it was", fontsize=9)
    axes.set_xlabel("score before")
    axes.set_ylabel("score after")
    axes.spines[["top", "right"]].set_visible(False)


def _tile(image: NDArray[np.float32], xy: NDArray[np.float64]) -> NDArray[np.float32]:
    """Two diameters round a place, smoothed a little, for the eye."""
    x, y = np.rint(xy).astype(int)
    half = WORKING_DIAMETER
    padded = np.pad(image, half)
    cut: NDArray[np.float32] = ndimage.gaussian_filter(
        padded[y : y + 2 * half + 1, x : x + 2 * half + 1], 1.0
    )
    return cut
