"""Places of a working image that may hold a particle, and what the model knows of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree
from torch import Tensor

from cryomae.pick.peaks import find_peaks, look_up, room, suppress
from cryomae.pick.pipeline import Detector
from cryomae.prepare import WORKING_DIAMETER
from cryomae.sizes import CELL, COARSE, LATENT, STRIDE

LOWEST = -7.0
"""Logit of a peak below which it is no candidate: on hard data particles score that low."""

BACKGROUND = 10
"""Random places of each micrograph."""

_GRID = 1.0  # diameters between places of the grid, and that they stay away from peaks
_CLEAR = 0.5  # diameters that random places stay away from peaks

Maps = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Logits and latents of an image, see `cryomae.pick.windows.score_and_describe`."""


@dataclass(frozen=True, eq=False)
class Places:
    """Places of one image.

    Attributes
    ----------
    xy : ndarray, float64, shape (n, 2)
        x, y in working pixels.
    kind : ndarray, uint8, shape (n,)
        0 for a peak of the logits, 1 for the grid between the peaks, 2 for a random place.
    logit : ndarray, float32, shape (n,)
    latents : ndarray, float16, shape (n, LATENT)
    """

    xy: NDArray[np.float64]
    kind: NDArray[np.uint8]
    logit: NDArray[np.float32]
    latents: NDArray[np.float16]

    def __len__(self) -> int:
        return len(self.xy)


def find_places(maps: Maps, valid: NDArray[np.bool_], rng: np.random.Generator) -> Places:
    """Peaks at least half a diameter apart, a thin grid between them, and some random places.

    All of a particle's diameter lies on usable pixels.

    Parameters
    ----------
    maps : tuple of ndarray
        Of the image.
    valid : ndarray, bool, shape (h, w)
        Its usable pixels.
    rng : Generator
        Draws the random places.
    """
    usable = room(valid, WORKING_DIAMETER / 2)
    on_map, _ = find_peaks(maps[0], LOWEST)
    peaks = on_map * STRIDE + (STRIDE - 1) / 2
    peaks = peaks[look_up(usable, peaks)]
    peaks = peaks[suppress(peaks, WORKING_DIAMETER / 2)]
    grid = _away(_grid(usable), peaks, _GRID)
    background = _away(_random(usable, 4 * BACKGROUND, rng), peaks, _CLEAR)[:BACKGROUND]
    groups = (peaks, grid, background)
    kind = np.repeat(np.arange(len(groups)), [len(g) for g in groups]).astype(np.uint8)
    xy = np.concatenate(groups)
    return Places(xy, kind, *look_at(maps, xy))


def look_at(maps: Maps, xy: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float16]]:
    """Logits (n,) and latents (n, LATENT) at working pixels (n, 2), between the places of maps."""
    if not len(xy):
        return np.zeros(0, np.float32), np.zeros((0, LATENT), np.float16)
    logits, latents = maps
    near = ndimage.uniform_filter(latents, (1, 3, 3), mode="nearest")
    cell = (xy[:, ::-1].T - (CELL - 1) / 2) / CELL
    described = [
        ndimage.map_coordinates(part, cell, order=1, mode="nearest")
        for part in np.concatenate([latents, near])
    ]
    place = (xy[:, ::-1].T - (STRIDE - 1) / 2) / STRIDE
    logit = ndimage.map_coordinates(logits, place, order=1, mode="nearest")
    return logit.astype(np.float32), np.stack(described, axis=1).astype(np.float16)


def latents_at(
    detector: Detector, image: NDArray[np.float32], xy: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Coarse latent of places, each in a window centred on it.

    Parameters
    ----------
    detector : Detector
    image : ndarray, float32, shape (h, w)
        Working image.
    xy : ndarray, shape (n, 2)
        Working pixels.

    Returns
    -------
    ndarray, float32, shape (n, COARSE)
    """
    middle = detector.model.config.window // 16  # of the coarse grid, with cells of eight pixels

    def at_the_centre(windows: Tensor) -> Tensor:
        coarse, _ = detector.model.features(windows)
        return coarse[:, :, middle - 1 : middle + 1, middle - 1 : middle + 1].mean(dim=(2, 3))

    side = detector.model.config.window
    padded = np.pad(image, side)
    found = [np.zeros((0, COARSE), np.float32)]
    place, dtype = detector.torch_device, detector.dtype
    for start in range(0, len(xy), detector.batch):
        corners = np.rint(xy[start : start + detector.batch]).astype(int) + side // 2
        stack = np.stack([padded[y : y + side, x : x + side] for x, y in corners])[:, None]
        with (
            torch.inference_mode(),
            torch.autocast(place.type, dtype, dtype != torch.float32),
        ):
            out = at_the_centre(torch.from_numpy(stack).to(place))
        found.append(out.float().cpu().numpy())
    return np.concatenate(found)


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
