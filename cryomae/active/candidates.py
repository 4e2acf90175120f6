"""What can be asked about in one micrograph, with what the model knows of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cryomae.active.pool import KINDS
from cryomae.micrograph import Micrograph
from cryomae.pick.pipeline import Detector
from cryomae.prepare import WorkingImage, prepare
from cryomae.train.places import find_places, look_at


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
    found = find_places(detector.logits_and_latents(working.image), working.valid, rng)
    assert KINDS[:3] == ("peak", "grid", "background")  # what the numbers of `Places` mean
    return Candidates(
        working.to_file(found.xy).astype(np.float32),
        found.kind,
        found.logit,
        found.latents,
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
    maps = detector.logits_and_latents(working.image)
    return look_at(maps, np.asarray(xy, dtype=np.float64) / working.spacing[::-1])


def working_image(micrograph: Micrograph, diameter: float) -> WorkingImage:
    """The image that candidates were found in, for pictures of them."""
    return prepare(micrograph.pixels, micrograph.pixel_size, diameter)
