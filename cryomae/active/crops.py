"""Places of a micrograph cut out the way a person can judge them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from cryomae.errors import MicrographError
from cryomae.micrograph import Micrograph
from cryomae.prepare import WORKING_DIAMETER, fourier_resample, moments, working_shape

if TYPE_CHECKING:
    from cryomae.active.records import Proposal
    from cryomae.active.session import Session

ACROSS = 2.5
"""Diameters that a crop is wide: the particle, and enough round it to compare with."""

_SMOOTH = 1 / 20  # diameters: width of the Gaussian that takes the noise away
_GROUND = 3.0  # and of the one whose slow background is taken away
_SPIKE = 8.0  # standard deviations beyond which a raw pixel is an X-ray hit or a dead pixel
_WHITE = 3.5  # standard deviations of the smoothed micrograph
_BLACK = (-9.0, -4.0)  # likewise: where the darkest hundredth lies, but within these


@dataclass(frozen=True, eq=False)
class View:
    """A micrograph made ready to cut crops from.

    All crops share one scale of greys: stretched each on its own, bare ice would look as full
    of things as a particle.

    Attributes
    ----------
    image : ndarray, float32, shape (h, w)
        0 is black and 1 is white.
    diameter : int
        Of a particle in pixels of the image.
    spacing : tuple of float
        Pixels of the file in one pixel of the image, along y and x.
    """

    image: NDArray[np.float32]
    diameter: int
    spacing: tuple[float, float]

    def crop(self, x: float, y: float) -> NDArray[np.float32]:
        """Cut the square round a place.

        Parameters
        ----------
        x, y : float
            Pixels of the file.

        Returns
        -------
        ndarray, float32, shape (s, s)
            `ACROSS` diameters wide, 0 to 1; NaN beyond the micrograph's edge. The place is the
            centre.
        """
        h, w = self.image.shape
        side = round(ACROSS * self.diameter)
        corner = [round(p / s - (side - 1) / 2) for p, s in zip((y, x), self.spacing, strict=True)]
        rows, columns = (np.arange(first, first + side) for first in corner)
        cut = self.image[np.clip(rows, 0, h - 1)[:, None], np.clip(columns, 0, w - 1)].copy()
        cut[(rows < 0) | (rows >= h)] = np.nan
        cut[:, (columns < 0) | (columns >= w)] = np.nan
        return cut


def view(micrograph: Micrograph, diameter: float) -> View:
    """Scale a micrograph, take away noise and slow background, and choose its greys.

    Nothing is masked: carbon and ice are what a person wants to see.

    Parameters
    ----------
    micrograph : Micrograph
    diameter : float
        Of the particle in Å.

    Raises
    ------
    MicrographError
        If the particle is too small or too large for this micrograph.
    """
    try:
        h, w = working_shape(micrograph.shape, micrograph.pixel_size, diameter)
    except MicrographError as error:
        raise MicrographError(error.cause, error.remedy, micrograph.path) from error
    # Twice as fine as the model sees it, unless the file itself is not.
    factor = 2 if 2 * h <= micrograph.shape[0] else 1
    shape, across = (factor * h, factor * w), factor * WORKING_DIAMETER
    mean, std = moments(micrograph.pixels)
    image = fourier_resample(micrograph.pixels, shape, mean, _SPIKE * std)
    image = gaussian_filter(image, _SMOOTH * across, mode="nearest")
    image -= _slow(image, _GROUND * across)
    middle = float(np.median(image))
    spread = 1.4826 * float(np.median(np.abs(image - middle))) + 1e-12
    image = (image - middle) / spread
    low = float(np.clip(np.percentile(image[::4, ::4], 1), *_BLACK))
    image = np.clip((image - low) / (_WHITE - low), 0, 1)
    return View(
        image.astype(np.float32),
        across,
        (micrograph.shape[0] / shape[0], micrograph.shape[1] / shape[1]),
    )


class Cutter:
    """Cuts proposals out of the micrographs of a session; keeps the last micrographs.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._view = lru_cache(maxsize=2)(self._read)

    def crop(self, proposal: Proposal) -> NDArray[np.float32]:
        """The square round a proposal, see `View.crop`.

        Raises
        ------
        MicrographError
            If the micrograph was moved or changed, or cannot be read.
        """
        return self._view(proposal.micrograph).crop(proposal.x, proposal.y)

    def _read(self, micrograph: int) -> View:
        session = self._session
        return view(session.micrograph(micrograph), session.settings.diameter)


def _slow(image: NDArray[np.float32], width: float) -> NDArray[np.float32]:
    """The slow background, from every eighth pixel: it is smooth and that is enough."""
    step = 8
    small = gaussian_filter(image[::step, ::step], width / step, mode="nearest")
    rows, columns = (np.minimum(np.arange(n) / step, m - 1) for n, m in
                     zip(image.shape, small.shape, strict=True))  # fmt: skip
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    down, right = np.minimum(top + 1, len(small) - 1), np.minimum(left + 1, small.shape[1] - 1)
    fy, fx = (rows - top).astype(np.float32)[:, None], (columns - left).astype(np.float32)
    lines = small[top] * (1 - fy) + small[down] * fy
    out: NDArray[np.float32] = lines[:, left] * (1 - fx) + lines[:, right] * fx
    return out
