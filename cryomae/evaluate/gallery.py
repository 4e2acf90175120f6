"""Crops of micrographs round the picks and particles that are worth a look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from cryomae.errors import CryomaeError
from cryomae.evaluate.evaluation import Evaluation
from cryomae.evaluate.judge import IGNORED, RIGHT
from cryomae.io import read_micrograph
from cryomae.micrograph import MicrographRef
from cryomae.report.page import jpeg

TILES = 24
"""Crops in a gallery."""

_MICROGRAPHS = 12  # that are read for the missed particles, each of which takes a second or so
_DIAMETERS = 3.0  # side of a crop
_SMOOTH = 24  # a diameter over this is the width of the Gaussian that takes the noise away
_SIDE = 180  # pixels of a crop in the page


@dataclass(frozen=True)
class Tile:
    """One crop.

    Attributes
    ----------
    data : str
        JPEG in base64.
    caption : str
    micrograph : str
        Stem.
    circles : list of (float, float, float, str)
        Centre x and y and radius as shares of the side, and ``particle`` or ``pick``.
    """

    data: str
    caption: str
    micrograph: str
    circles: list[tuple[float, float, float, str]]


@dataclass(frozen=True)
class Galleries:
    """Crops of wrong picks, best score first, and of missed particles, drawn at random."""

    wrong: list[Tile]
    missed: list[Tile]


def crop(
    pixels: NDArray[np.float32], centre: tuple[float, float], diameter: float
) -> Image.Image | None:
    """Cut out a square of three diameters, smoothed and stretched so that a person sees it.

    Parameters
    ----------
    pixels : ndarray, shape (ny, nx)
        Micrograph.
    centre : tuple of float
        x and y in pixels.
    diameter : float
        Of the particle in pixels.

    Returns
    -------
    Image or None
        Grey, mid-grey beyond the micrograph; None where nothing of it is inside.
    """
    half = max(2, round(_DIAMETERS * diameter / 2))
    left, top = round(centre[0]) - half, round(centre[1]) - half
    rows = slice(max(0, top), max(0, top + 2 * half + 1))
    columns = slice(max(0, left), max(0, left + 2 * half + 1))
    part = pixels[rows, columns]
    if not part.size:
        return None
    smooth = gaussian_filter(part, diameter / _SMOOTH)
    y, x = rows.start - top, columns.start - left
    rim = half // 3  # the stretch is for the middle, not for a bright border
    middle = smooth[
        max(0, rim - y) : 2 * half + 1 - rim - y, max(0, rim - x) : 2 * half + 1 - rim - x
    ]
    low, high = np.percentile(middle if middle.size else smooth, (1, 99))
    grey = np.clip((smooth - low) / max(float(high - low), 1e-12), 0, 1)
    canvas = np.full((2 * half + 1, 2 * half + 1), 128, dtype=np.uint8)
    canvas[y : y + part.shape[0], x : x + part.shape[1]] = (255 * grey).astype(np.uint8)
    return Image.fromarray(canvas).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)


def draw_galleries(evaluation: Evaluation, micrographs: Mapping[str, MicrographRef]) -> Galleries:
    """Cut out the best-scored wrong picks and some missed particles.

    Micrographs that cannot be read are left out: the figures do not need them.

    Parameters
    ----------
    evaluation : Evaluation
    micrographs : mapping of str to MicrographRef
        Files by stem.
    """
    wrong = _wrong(evaluation, list(micrographs))
    missed = _missed(evaluation, list(micrographs))
    of_wrong: dict[int, Tile] = {}
    of_missed: dict[int, Tile] = {}
    for name in dict.fromkeys([*wrong["micrograph"], *missed["micrograph"]]):
        try:
            pixels = read_micrograph(micrographs[name], evaluation.pixel_size).pixels
        except CryomaeError:
            continue
        for table, tiles in ((wrong, of_wrong), (missed, of_missed)):
            for index, row in table[table["micrograph"] == name].iterrows():
                tile = _tile(evaluation, pixels, row)
                if tile is not None:
                    tiles[int(str(index))] = tile
    return Galleries(
        [of_wrong[i] for i in wrong.index if i in of_wrong],
        [of_missed[i] for i in missed.index if i in of_missed],
    )


def _wrong(evaluation: Evaluation, names: list[str]) -> pd.DataFrame:
    chosen = evaluation.chosen
    rows = chosen[~chosen["verdict"].isin([RIGHT, IGNORED]) & chosen["micrograph"].isin(names)]
    return rows.sort_values("score", ascending=False, kind="stable")[:TILES]


def _missed(evaluation: Evaluation, names: list[str]) -> pd.DataFrame:
    particles = evaluation.judged.particles
    rows = particles[~evaluation.found & particles["micrograph"].isin(names)]
    rng = np.random.default_rng(evaluation.seed)
    rows = rows[
        rows["micrograph"].isin(rng.permutation(rows["micrograph"].unique())[:_MICROGRAPHS])
    ]
    return rows.iloc[np.sort(rng.permutation(len(rows))[:TILES])]


def _tile(evaluation: Evaluation, pixels: NDArray[np.float32], row: pd.Series) -> Tile | None:
    """Crop round one pick or particle with the picks and particles that lie in it."""
    diameter = evaluation.diameter / evaluation.pixel_size
    picture = crop(pixels, (row["x"], row["y"]), diameter)
    if picture is None:
        return None
    side = _DIAMETERS * diameter
    circles = []
    for kind, table in (("particle", evaluation.judged.particles), ("pick", evaluation.chosen)):
        near = table[table["micrograph"] == row["micrograph"]]
        shares = (near[["x", "y"]].to_numpy() - [row["x"], row["y"]]) / side + 0.5
        inside = ((shares > 0) & (shares < 1)).all(axis=1)
        circles += [(x, y, 0.5 / _DIAMETERS, kind) for x, y in shares[inside]]
    caption = "missed"
    if "verdict" in row:
        caption = f"{row['verdict']}, score {row['score']:.2f}"
    elif np.isfinite(row["score"]):
        caption = f"below the threshold, score {row['score']:.2f}"
    return Tile(jpeg(picture), caption, str(row["micrograph"]), circles)
