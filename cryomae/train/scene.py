"""Micrographs with exemplars, as few-shot training sees them: places, logits and latents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cryomae.pick.pipeline import probability
from cryomae.prepare import WORKING_DIAMETER
from cryomae.train.exemplars import Exemplars
from cryomae.train.places import Maps, find_places, look_at

SAME = 0.25
"""Diameters between a click and a peak that are one particle: the peak is what picking sees."""


@dataclass(frozen=True, eq=False)
class Scene:
    """Places of micrographs; the exemplars come first, then the negatives.

    Attributes
    ----------
    logit : ndarray, float32, shape (n,)
        Of the model that training starts from.
    latents : ndarray, float16, shape (n, LATENT)
    peak : ndarray, bool, shape (n,)
        What picking sees: peaks of the logits, and exemplars.
    exemplars, negatives : int
        How many there are.
    """

    logit: NDArray[np.float32]
    latents: NDArray[np.float16]
    peak: NDArray[np.bool_]
    exemplars: int
    negatives: int

    def __len__(self) -> int:
        return len(self.logit)

    @property
    def promised(self) -> float:
        """Particles among the peaks, if scores are the probabilities that they claim to be."""
        return promise(self.logit[self.peak])


def promise(logits: NDArray[np.floating]) -> float:
    """Particles among peaks with these logits, if scores are probabilities."""
    return float(probability(logits).sum())


def make_scene(parts: Sequence[Exemplars], maps: Sequence[Maps], seed: int) -> Scene:
    """Lay out what is known of micrographs.

    Parameters
    ----------
    parts : sequence of Exemplars
        A micrograph each.
    maps : sequence of tuple of ndarray
        Logits and latents of each working image.
    seed : int
        Draws the random places.
    """
    groups: list[list[tuple[NDArray[np.float32], NDArray[np.float16]]]] = [[], [], [], []]
    rng = np.random.default_rng(seed)
    for part, own in zip(parts, maps, strict=True):
        found = find_places(own, part.working.valid, rng)
        peaks = found.xy[found.kind == 0]
        shown, taken = _snap(part.xy, peaks)
        free = np.ones(len(found), bool)
        free[np.flatnonzero(found.kind == 0)[taken]] = False
        free[_near(found.xy, part.negatives)] = False
        groups[0].append(look_at(own, shown))
        groups[1].append(look_at(own, part.negatives))
        for group, rows in ((2, free & (found.kind == 0)), (3, free & (found.kind != 0))):
            groups[group].append((found.logit[rows], found.latents[rows]))
    sizes = [sum(len(logit) for logit, _ in group) for group in groups]
    every = [one for group in groups for one in group]
    logit, latents = (np.concatenate(part) for part in zip(*every, strict=True))
    peak = np.repeat([True, False, True, False], sizes)
    return Scene(logit, latents, peak, sizes[0], sizes[1])


def _snap(
    xy: NDArray[np.float64], peaks: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Clicks moved to the nearest peak if it is the same place, and the peaks as near as that."""
    if not len(xy) or not len(peaks):
        return xy, np.zeros(0, np.intp)
    away, nearest = cKDTree(peaks).query(xy)
    same = away <= SAME * WORKING_DIAMETER
    return np.where(same[:, None], peaks[nearest], xy), _near(peaks, xy)


def _near(xy: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices of the points that are the same place as one of some others."""
    if not len(places):
        return np.zeros(0, np.intp)
    away, _ = cKDTree(places).query(xy)
    return np.flatnonzero(away <= SAME * WORKING_DIAMETER)
