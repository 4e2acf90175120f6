"""What can be asked about in one micrograph, with what the model knows of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from cryomae.active.pool import KINDS
from cryomae.micrograph import Micrograph
from cryomae.pick.peaks import find_peaks, look_up, room, suppress
from cryomae.pick.pipeline import Detector
from cryomae.prepare import WORKING_DIAMETER, WorkingImage, prepare
from cryomae.sizes import CELL, LATENT, STRIDE

LOWEST = -7.0
"""Logit of a peak below which it is no candidate: on hard data particles score that low."""

BACKGROUND = 10
"""Random places of each micrograph."""

_GRID = 1.0  # diameters between places of the grid, and that they stay away from peaks
_CLEAR = 0.5  # diameters that random places stay away from peaks


@dataclass(frozen=True, eq=False)
class Candidates:
    """Candidates of one micrograph.

    Attributes
    ----------
    xy : ndarray, float32, shape (n, 2)
        x, y in pixels of the file.
    kind : ndarray, uint8, shape (n,)
        Index into `cryomae.active.pool.KINDS`.
    logit : ndarray, float32, shape (n,)
    latents : ndarray, float16, shape (n, LATENT)
    shape : tuple of int
        Rows and columns of the file.
    spacing : tuple of float
        Pixels of the file in one working pixel, along y and x.
    masked : float
        Share of the area in which nothing is looked for.
    """

    xy: NDArray[np.float32]
    kind: NDArray[np.uint8]
    logit: NDArray[np.float32]
    latents: NDArray[np.float16]
    shape: tuple[int, int]
    spacing: tuple[float, float]
    masked: float

    def __len__(self) -> int:
        return len(self.xy)


def find_candidates(
    micrograph: Micrograph, detector: Detector, diameter: float, rng: np.random.Generator
) -> Candidates:
    """Find the candidates of a micrograph.

    These are the peaks of the score map at least half a diameter apart, a thin grid of
    places between them, and a few places at random. All of a particle's diameter lies on
    usable pixels.

    Parameters
    ----------
    micrograph : Micrograph
    detector : Detector
    diameter : float
        Å.
    rng : Generator
        Draws the random places.

    Raises
    ------
    MicrographError
        If the particle is too small or too large for this micrograph.
    """
    working = prepare(micrograph.pixels, micrograph.pixel_size, diameter)
    logits, latents = detector.logits_and_latents(working.image)
    usable = room(working.valid, WORKING_DIAMETER / 2)
    on_map, height = find_peaks(logits, LOWEST)
    peaks = on_map * STRIDE + (STRIDE - 1) / 2
    whole = look_up(usable, peaks)
    peaks, height = peaks[whole], height[whole]
    peaks = peaks[suppress(peaks, WORKING_DIAMETER / 2)]
    grid = _away(_grid(usable), peaks, _GRID)
    background = _away(_random(usable, 4 * BACKGROUND, rng), peaks, _CLEAR)[:BACKGROUND]
    groups = (peaks, grid, background)
    xy = np.concatenate(groups)
    kind = np.repeat(np.arange(len(groups)), [len(g) for g in groups]).astype(np.uint8)
    assert KINDS[:3] == ("peak", "grid", "background")
    logit, described = _look(logits, latents, xy)
    return Candidates(
        working.to_file(xy).astype(np.float32),
        kind,
        logit,
        described,
        micrograph.shape,
        working.spacing,
        float(1 - working.valid.mean()),
    )


def describe(
    micrograph: Micrograph, detector: Detector, diameter: float, xy: NDArray[np.floating]
) -> tuple[NDArray[np.float32], NDArray[np.float16]]:
    """Describe any places of a micrograph, such as particles that a user placed.

    Parameters
    ----------
    micrograph : Micrograph
    detector : Detector
    diameter : float
        Å.
    xy : ndarray, shape (n, 2)
        x, y in pixels of the file.

    Returns
    -------
    logit : ndarray, float32, shape (n,)
    latents : ndarray, float16, shape (n, LATENT)
    """
    working = prepare(micrograph.pixels, micrograph.pixel_size, diameter)
    logits, latents = detector.logits_and_latents(working.image)
    return _look(logits, latents, np.asarray(xy, dtype=np.float64) / working.spacing[::-1])


def working_image(micrograph: Micrograph, diameter: float) -> WorkingImage:
    """The image that candidates were found in, for pictures of them."""
    return prepare(micrograph.pixels, micrograph.pixel_size, diameter)


def _look(
    logits: NDArray[np.float32], latents: NDArray[np.float32], xy: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float16]]:
    """Values of the maps at working pixels (n, 2), between the places of the maps."""
    if not len(xy):
        return np.zeros(0, np.float32), np.zeros((0, LATENT), np.float16)
    near = ndimage.uniform_filter(latents, (1, 3, 3), mode="nearest")
    cell = (xy[:, ::-1].T - (CELL - 1) / 2) / CELL
    described = [
        ndimage.map_coordinates(part, cell, order=1, mode="nearest")
        for part in np.concatenate([latents, near])
    ]
    place = (xy[:, ::-1].T - (STRIDE - 1) / 2) / STRIDE
    logit = ndimage.map_coordinates(logits, place, order=1, mode="nearest")
    return logit.astype(np.float32), np.stack(described, axis=1).astype(np.float16)


def _grid(usable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Usable places of a square grid, (n, 2)."""
    step = _GRID * WORKING_DIAMETER
    rows, columns = (np.arange(step / 2, n, step) for n in usable.shape)
    xy = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
    return xy[look_up(usable, xy)]


def _random(usable: NDArray[np.bool_], count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Random usable places, (n, 2)."""
    xy = rng.uniform(0, 1, (count, 2)) * usable.shape[::-1]
    return xy[look_up(usable, xy)]


def _away(
    xy: NDArray[np.float64], peaks: NDArray[np.float64], diameters: float
) -> NDArray[np.float64]:
    """Places at least so many diameters from all peaks."""
    if not len(peaks) or not len(xy):
        return xy
    nearest, _ = cKDTree(peaks).query(xy)
    return xy[nearest >= diameters * WORKING_DIAMETER]
