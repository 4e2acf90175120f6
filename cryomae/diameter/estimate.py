"""From measurements at many diameters to one diameter, its range and how sure it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cryomae.diameter.head import Head, load_head
from cryomae.diameter.measure import DIAMETERS, Measurement, measure
from cryomae.errors import InputError

NEAR = 0.2
"""Relative error within which an estimate counts as right: what `confidence` is about."""

DOUBTFUL = 0.6
"""Confidence below which a user should look twice."""

_RANGE = (0.1, 0.9)  # quantiles
_NOTHING = 0.5  # probability of no particles at which no diameter is given
_GUESS = 0.2  # confidence at which no diameter is given
_FINE = 20  # points between two diameters


@dataclass(frozen=True)
class DiameterEstimate:
    """A particle diameter and how sure it is.

    Attributes
    ----------
    diameter : float
        Longest dimension of the particle in Å.
    low, high : float
        Range in Å that holds the truth with a probability of 80 %.
    confidence : float
        Probability, 0 to 1, that the diameter is right within 20 %.
    explanation : str
        For people.
    micrographs : int
        How many it was estimated from.
    diameters, curve : ndarray, shape (n,)
        Diameters in Å that were compared, and the probability of each.
    """

    diameter: float
    low: float
    high: float
    confidence: float
    explanation: str
    micrographs: int
    diameters: NDArray[np.float64]
    curve: NDArray[np.float64]

    @property
    def doubtful(self) -> bool:
        """Whether a user should look twice."""
        return self.confidence < DOUBTFUL


def estimate_diameter(
    images: Iterable[tuple[NDArray[np.float32], float]],
) -> DiameterEstimate:
    """Estimate the diameter of the particles that the micrographs show.

    Parameters
    ----------
    images : iterable of (ndarray, float)
        Micrographs of one data set, shape (ny, nx), protein darker than ice, and their
        pixel sizes in Å. They are looked at one after another, so a generator keeps only
        one in memory.

    Raises
    ------
    InputError
        If there is no micrograph, or none of them shows particles.
    MicrographError
        If one is too small.
    """
    return estimate_from([measure(pixels, pixel_size) for pixels, pixel_size in images])


def estimate_from(
    measurements: Sequence[Measurement], head: Head | None = None
) -> DiameterEstimate:
    """Estimate the diameter from what `measure` found in each micrograph.

    Parameters
    ----------
    measurements : sequence of ndarray
        Of one data set.
    head : Head, optional
        How probabilities follow from them; the shipped one by default.

    Raises
    ------
    InputError
        If there is none, or none of the micrographs shows particles.
    """
    if not measurements:
        raise InputError("there is no micrograph to estimate the diameter from", "give some")
    curve, nothing = (head or load_head()).probabilities(measurements)
    many = f"{len(measurements)} micrograph{'s' if len(measurements) != 1 else ''}"
    found = read_curve(curve, nothing)
    if nothing > _NOTHING or found[3] < _GUESS:
        raise InputError(
            f"the diameter cannot be estimated: no particles stand out in {many}",
            "give --diameter in Å, or more micrographs or such as show particles",
        )
    words = (
        f"Of {len(curve)} diameters, this is the one at which the darkest spots of {many} look "
        "most like particles: their heights above noise, and their mean and varying profiles. "
        f"The range holds the true diameter in 8 of 10 data sets, and the estimate is within "
        f"{100 * NEAR:.0f} % of it with a probability of {found[3]:.2f}."
    )
    return DiameterEstimate(*found, words, len(measurements), DIAMETERS.copy(), curve)


def read_curve(
    curve: NDArray[np.float64], nothing: float = 0.0
) -> tuple[float, float, float, float]:
    """Diameter, lower and upper end of its range, and confidence from probabilities.

    Parameters
    ----------
    curve : ndarray, shape (n,)
        Probability of each of `DIAMETERS`.
    nothing : float
        Probability that there is no particle.
    """
    # Diameters lie evenly on a logarithmic axis; between them the curve is a broken line.
    place = np.log(DIAMETERS)
    fine = np.linspace(place[0], place[-1], _FINE * (len(place) - 1) + 1)
    density = np.interp(fine, place, curve)
    total = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    total /= max(total[-1], 1e-12)

    def within(below: NDArray[np.float64], above: NDArray[np.float64]) -> NDArray[np.float64]:
        share = np.interp(above, fine, total) - np.interp(below, fine, total)
        return np.asarray(share, dtype=np.float64)

    # The diameter most likely to be right within the tolerance, all sides weighed alike.
    centre = fine[np.argmax(within(fine - NEAR, fine + NEAR))]
    near = np.abs(fine - centre) <= NEAR
    centre = float((fine * density)[near].sum() / max(density[near].sum(), 1e-12))
    mid = np.array([centre])
    right = float(within(mid + np.log(1 - NEAR), mid + np.log(1 + NEAR))[0])
    low, high = (float(np.interp(q, total, fine)) for q in _RANGE)
    low, high = min(low, centre), max(high, centre)
    size, bottom, top = (float(np.exp(x)) for x in (centre, low, high))
    return size, bottom, top, right * (1 - nothing)
