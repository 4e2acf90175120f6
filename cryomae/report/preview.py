"""Pictures of micrographs with their picks."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import EllipseCollection
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from cryomae.atomic import atomic_path
from cryomae.picks import Picks
from cryomae.report.thumbnail import COMPRESSION

_SIDE = 1000  # pixels of the picture's longer side
_DPI = 100
_KEY = "cryomae"
_COLOURS = ListedColormap(colormaps["plasma"](np.linspace(0.22, 1, 256)))  # no blue on black
_NANOMETRES = (5, 10, 20, 50, 100, 200, 500, 1000)


def draw_preview(
    path: str | Path,
    thumbnail: str | Path,
    picks: Picks,
    *,
    name: str,
    diameter: float,
    pixel_size: float,
    extent: tuple[float, float],
    spacing: tuple[float, float],
    threshold: float,
) -> bool:
    """Draw circles round the picks of one micrograph.

    A picture that already shows exactly this is left alone.

    Parameters
    ----------
    path : str or Path
        PNG to write.
    thumbnail : str or Path
        Picture made by `cryomae.report.thumbnail.save_thumbnail`.
    picks : Picks
        Coordinates in pixels of the micrograph file.
    name : str
        Micrograph, for the title.
    diameter : float
        Particle diameter in Å.
    pixel_size : float
        Å per pixel of the micrograph file.
    extent : tuple of float
        Height and width of the picture in pixels of the micrograph file.
    spacing : tuple of float
        Micrograph pixels per working pixel, y and x: pixel 0 of one is centred on
        pixel 0 of the other.
    threshold : float
        Lowest score shown.

    Returns
    -------
    bool
        Whether a picture was drawn.
    """
    key = _content_key(picks, name, diameter, pixel_size, extent, threshold, thumbnail)
    if _stored_key(path) == key:
        return False
    with Image.open(thumbnail) as stored:
        grey, alpha = (np.asarray(band) for band in stored.split())
    height, width = extent
    left, top = -0.5 * spacing[1], -0.5 * spacing[0]
    box = (left, left + width, top + height, top)

    figure, axes, bar = _canvas(height, width)
    axes.imshow(grey, cmap="gray", vmin=0, vmax=255, extent=box, interpolation="bilinear")
    masked = alpha < 128
    if masked.any():
        shade = np.zeros((*alpha.shape, 4), dtype=np.uint8)
        shade[masked] = (217, 64, 38, 84)
        axes.imshow(shade, extent=box, interpolation="nearest")
    circles = _circles(axes, picks, diameter / pixel_size, threshold)
    axes.set_xlim(box[0], box[1])
    axes.set_ylim(box[2], box[3])
    _scale_bar(axes, box, pixel_size)
    figure.colorbar(circles, cax=bar).set_label("score", labelpad=2)
    _titles(figure, axes, name, len(picks), diameter, threshold, masked=bool(masked.any()))
    with atomic_path(path) as temporary, warnings.catch_warnings():
        # A name in a script that the font lacks: the picture is wanted all the same.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(
            temporary,
            format="png",
            dpi=_DPI,
            metadata={_KEY: key},
            pil_kwargs={"compress_level": COMPRESSION},
        )
    figure.clear()  # figures hold themselves: without this their pixels stay until a late clean-up
    return True


def _canvas(height: float, width: float) -> tuple[Figure, Axes, Axes]:
    scale = _SIDE / max(height, width)
    picture = (width * scale, height * scale)
    left, right, top, bottom = 14, 86, 62, 14
    size = (left + picture[0] + right, bottom + picture[1] + top)
    figure = Figure(figsize=(size[0] / _DPI, size[1] / _DPI), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes(
        (left / size[0], bottom / size[1], picture[0] / size[0], picture[1] / size[1])
    )
    axes.set_axis_off()
    bar = figure.add_axes(
        (
            (left + picture[0] + 16) / size[0],
            bottom / size[1],
            14 / size[0],
            min(picture[1], 420) / size[1],
        )
    )
    return figure, axes, bar


def _circles(axes: Axes, picks: Picks, diameter: float, threshold: float) -> EllipseCollection:
    circles = EllipseCollection(
        [diameter],
        [diameter],
        [0.0],
        units="xy",
        offsets=picks.xy,
        offset_transform=axes.transData,
        facecolors="none",
        linewidths=1.4,
        cmap=_COLOURS,
    )
    circles.set_array(picks.score)
    circles.set_clim(min(threshold, 0.95), 1.0)
    axes.add_collection(circles, autolim=False)
    return circles


def _scale_bar(axes: Axes, box: tuple[float, float, float, float], pixel_size: float) -> None:
    left, right, bottom, _ = box
    width, height = right - left, bottom - box[3]
    nanometre = 10 / pixel_size
    fitting = [n for n in _NANOMETRES if n * nanometre <= 0.22 * width]
    length = fitting[-1] if fitting else _NANOMETRES[0]
    side = max(width, height)
    x, y = left + 0.03 * side, bottom - 0.03 * side
    axes.add_patch(
        Rectangle(
            (x - 0.012 * side, y - 0.042 * side),
            length * nanometre + 0.024 * side,
            0.056 * side,
            facecolor="black",
            alpha=0.6,
            linewidth=0,
        )
    )
    axes.add_patch(
        Rectangle(
            (x, y - 0.006 * side), length * nanometre, 0.008 * side, facecolor="white", linewidth=0
        )
    )
    axes.text(
        x + length * nanometre / 2,
        y - 0.011 * side,
        f"{length} nm",
        color="white",
        ha="center",
        va="bottom",
        fontsize=11,
    )


def _titles(
    figure: Figure,
    axes: Axes,
    name: str,
    count: int,
    diameter: float,
    threshold: float,
    *,
    masked: bool,
) -> None:
    place = axes.get_position()
    pixels = place.width * figure.get_figwidth() * _DPI
    room = int(pixels / 9)
    shown = name if len(name) <= room else "…" + name[-(room - 1) :]
    line = 1 / (figure.get_figheight() * _DPI)
    figure.text(
        place.x0, place.y1 + 33 * line, shown, fontsize=12, fontweight="bold", parse_math=False
    )
    words = f"{count} {'pick' if count == 1 else 'picks'} with score ≥ {threshold:.2f}"
    words += f", circles {diameter:g} Å"
    if masked:
        words += "; red: left out (edge, carbon, contamination)"
    figure.text(place.x0, place.y1 + 11 * line, words, fontsize=10, color="0.25")


def _content_key(picks: Picks, *what: object) -> str:
    thumbnail = Path(str(what[-1]))
    digest = hashlib.sha256(repr((what, thumbnail.stat().st_mtime_ns)).encode())
    digest.update(picks.xy.tobytes())
    digest.update(picks.score.tobytes())
    return digest.hexdigest()[:32]


def _stored_key(path: str | Path) -> str | None:
    try:
        with Image.open(path) as picture:
            return picture.info.get(_KEY)
    except OSError:
        return None
