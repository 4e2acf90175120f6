"""A micrograph with its picks, to see with one's own eyes that they lie on particles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from cryomae.atomic import atomic_path
from cryomae.errors import MicrographError
from cryomae.io import read_micrograph
from cryomae.micrograph import MicrographRef
from cryomae.orientation.judge import Judgement, Verdict, options
from cryomae.picks import Picks
from cryomae.transforms import Transform

_SIDE = 900  # pixels of the longer side of a panel
_DPI = 100
_SMOOTH = 0.08  # of the diameter
_PART = 1 / 40  # of the side: circles where the diameter is not known
_AS_ASKED, _INSTEAD = "#ffd24d", "#4dd2ff"


def draw_check(
    path: Path,
    found: Judgement,
    picks: Picks,
    refs: Mapping[str, MicrographRef],
    pixel_sizes: Mapping[str, float],
) -> bool:
    """Draw one micrograph with its picks; beside it how they fit better, if they do.

    The micrograph is that with most picks of those that can be read. Row 0 of the
    file is at the top.

    Parameters
    ----------
    path : Path
        PNG to write.
    found : Judgement
        What `check` says of these picks.
    picks : Picks
        Coordinates as stored.
    refs : mapping of str to MicrographRef
        Micrographs that are there, by name.
    pixel_sizes : mapping of str to float
        Å per pixel, where known.

    Returns
    -------
    bool
        Whether there was a micrograph to draw.
    """
    counts = picks.table["micrograph"].value_counts()
    for name in (str(name) for name in counts.index if name in refs):
        try:
            pixels = read_micrograph(refs[name], pixel_sizes.get(name, 1.0)).pixels
        except MicrographError:
            continue
        part = picks.table[picks.table["micrograph"] == name]
        diameter = float(part["diameter"].median()) / pixel_sizes.get(name, np.nan)
        if not diameter > 0:
            diameter = _PART * max(pixels.shape)
        panels = [(found.asked, "as they are", _AS_ASKED)]
        if found.verdict is Verdict.WRONG:
            better = f"with {options(found.best) or 'no change'}"
            panels = [(found.asked, "as asked for", _AS_ASKED), (found.best, better, _INSTEAD)]
        xy = part[["x", "y"]].to_numpy(np.float64)
        _draw(path, name, pixels, xy, diameter, panels)
        return True
    return False


def _draw(
    path: Path,
    name: str,
    pixels: NDArray[np.float32],
    xy: NDArray[np.float64],
    diameter: float,
    panels: list[tuple[Transform, str, str]],
) -> None:
    ny, nx = pixels.shape
    smooth = gaussian_filter(pixels, _SMOOTH * diameter)
    step = max(1, max(ny, nx) // _SIDE)
    grey = smooth[::step, ::step]
    low, high = np.percentile(grey, (0.5, 99.5))
    scale = _SIDE / max(ny, nx) / _DPI
    figure = Figure((len(panels) * nx * scale, ny * scale + 0.6), dpi=_DPI, layout="constrained")
    figure.suptitle(Path(name).name, fontsize=10)
    every: list[Axes] = list(figure.subplots(1, len(panels), squeeze=False)[0])
    for axes, (change, words, colour) in zip(every, panels, strict=True):
        extent = (-0.5, nx - 0.5, ny - 0.5, -0.5)
        axes.imshow(grey, "gray", vmin=low, vmax=high, origin="upper", extent=extent)
        places = change.apply(xy, np.array([nx, ny], np.float64))
        axes.add_collection(
            EllipseCollection(
                [diameter], [diameter], [0], units="xy", facecolors="none", edgecolors=colour,
                offsets=places, offset_transform=axes.transData, linewidths=1.1,
            )
        )  # fmt: skip
        axes.set_title(f"{len(xy):,} picks {words}", fontsize=11)
        axes.set_xlim(-0.5, nx - 0.5)
        axes.set_ylim(ny - 0.5, -0.5)
        axes.set_xlabel("x (px)")
        axes.set_ylabel("y (px); row 0 of the file is at the top")
    with atomic_path(path) as temporary:
        FigureCanvasAgg(figure).print_figure(temporary, dpi=_DPI, format="png")
    figure.clear()  # figures hold themselves: else their pixels stay until a late clean-up
