"""The automatic threshold: where the scores of a data set part into background and particles."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_ndtr, logit

CANDIDATE_FLOOR = 0.02
"""Candidates below this score are not kept: nobody would pick them."""

FALLBACK = 0.5
"""Threshold of a data set with too few candidates to tell: a score is a probability."""

FEWEST = 20
"""Candidates below which `FALLBACK` is used."""

CREDIBLE = 0.3
"""Likeliest score of particles below which a group of candidates is not taken for particles."""

_BINS = 512
_FLOOR = float(logit(CANDIDATE_FLOOR))
_APART = 1.0  # in logits; nearer groups cannot be told apart by people
_STARTS = (0.3, 0.6, 0.9)  # quantiles where particles are looked for; the likeliest fit is taken

# What is likely before a data set is seen, as centre and spread of normal distributions, for
# all that can be told from few candidates; our choice, and of little influence from a hundred
# candidates on. Lengths are in logits.
_RISE = (0.0, 1.0)  # of the mode of the background over the floor
_BREADTH = (np.log(1.5), 0.35)  # logarithm of the background's width
_WIDTH = (np.log(0.6), 0.6)  # logarithm of the particles' upper width
_SKEW = (np.log(1.8), 0.3)  # logarithm of how much wider they spread below than above
_BOUNDS = ((0, None), (-2, 2), (_FLOOR, 10), (-2, 2), (0, 2), (-12, 12))


@dataclass(frozen=True)
class Threshold:
    """A score threshold and why it was chosen.

    Attributes
    ----------
    value : float
        Score that a pick must reach.
    explanation : str
        One sentence for people.
    """

    value: float
    explanation: str


def choose_threshold(scores: Sequence[NDArray[np.float64]], *, shown: bool = False) -> Threshold:
    """Choose one threshold for a whole data set from the scores alone, without labels.

    The logits of all candidates are described as a mixture of background and particles, which
    tells how likely each candidate is a particle of *this* data set; the threshold is where the
    F1 that these chances promise is highest. It follows data sets whose scores are low or high
    as a whole. The two shapes, and what is likely before anything is seen, are our choice:
    background is a normal distribution cut off at `CANDIDATE_FLOOR`, as scores of pure noise
    are; particles are a normal distribution that is wider below its mode than above, as there
    are always some that are harder to see. Where the likeliest score of particles is below
    `CREDIBLE`, as in empty micrographs, the threshold stays at `FALLBACK`, unless the user has
    shown particles. ``scripts/compare_thresholds.py`` compares it with other rules.

    Parameters
    ----------
    scores : sequence of ndarray
        Candidate scores of each micrograph, 0 to 1; those below `CANDIDATE_FLOOR` do not count.
    shown : bool
        Whether the model was made from exemplars of these data: there are particles then.

    Returns
    -------
    Threshold
    """
    every = np.concatenate([np.asarray(s, dtype=np.float64) for s in scores] or [np.zeros(0)])
    p = np.clip(every[every >= CANDIDATE_FLOOR - 1e-6], CANDIDATE_FLOOR, 1 - 1e-4)
    if len(p) < FEWEST:
        return Threshold(
            FALLBACK, f"Stays at {FALLBACK}, because there are only {len(p)} candidates."
        )
    logits = logit(p)
    if np.ptp(logits) < 1e-6:
        return Threshold(FALLBACK, f"Stays at {FALLBACK}, because all candidates score alike.")
    count, edges = np.histogram(logits, _BINS, (_FLOOR, max(logits.max(), _FLOOR + 1)))
    x = (edges[1:] + edges[:-1]) / 2
    mode, chance = _part(x, count)
    particles = float(expit(mode))
    if particles < CREDIBLE and not shown:
        return Threshold(
            FALLBACK,
            f"Stays at {FALLBACK}, because no group of the {len(p):,} candidates stands out "
            "as particles. Is there anything to pick?",
        )
    low = float(np.average(x, weights=count * (1 - chance) + 1e-9))
    parts = f"part into background (around {expit(low):.2f}) and particles"
    if mode - low < _APART:
        parts = "do not part into background and particles, but lie together"
    return Threshold(
        float(expit(_best(edges, count, chance))),
        f"Chosen automatically: the scores of all {len(p):,} candidates {parts} "
        f"(around {particles:.2f}).",
    )


def _best(
    edges: NDArray[np.float64], count: NDArray[np.int64], chance: NDArray[np.float64]
) -> float:
    """Logit from which on all candidates together have the highest F1 that can be expected.

    It is in the middle of a gap, so that other micrographs of the data set are parted as well.
    """
    picked = np.cumsum(count[::-1])[::-1]
    right = np.cumsum((count * chance)[::-1])[::-1]
    first = int(np.argmax(2 * right / (picked + right[0])))
    last = first + int(np.argmax(count[first:] > 0))
    return float(edges[first] + edges[last]) / 2


def _part(x: NDArray[np.float64], count: NDArray[np.int64]) -> tuple[float, NDArray[np.float64]]:
    """Fit background and particles to a histogram of logits.

    Working on a histogram, ten million candidates cost no more than ten thousand.

    Parameters
    ----------
    x, count : ndarray, shape (n,)
        Middle of each bin, and candidates in it.

    Returns
    -------
    mode : float
        Likeliest logit of particles.
    chance : ndarray, shape (n,)
        That a candidate of each bin is a particle; it never falls with the score.
    """
    here = count > 0
    start = np.searchsorted(np.cumsum(count), np.array(_STARTS) * count.sum())

    def loss(values: NDArray[np.float64]) -> float:
        background, particles = _log_densities(values, x[here])
        fit = float(np.sum(count[here] * np.logaddexp(background, particles)))
        return -fit - _likely_before(values)

    fits = [
        minimize(
            loss,
            np.array([0.1, _BREADTH[0], x[i], _WIDTH[0], _SKEW[0], 0.0]),
            method="L-BFGS-B",
            bounds=_BOUNDS,
        )
        for i in start
    ]
    values = min(fits, key=lambda fit: fit.fun).x
    background, particles = _log_densities(values, x)
    odds = np.maximum.accumulate(particles - background)
    return float(values[2]), expit(np.clip(odds, -9, 9))


def _log_densities(
    values: NDArray[np.float64], x: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logarithms of how many candidates of each kind there are at x, up to a constant."""
    rise, breadth, mode, width, skew, share = values
    scale = np.exp(breadth)
    background = -0.5 * ((x - _FLOOR - rise) / scale) ** 2 - breadth - log_ndtr(rise / scale)
    above = np.exp(width)
    below = above * np.exp(skew)
    spread = np.where(x < mode, below, above)
    particles = -0.5 * ((x - mode) / spread) ** 2 - np.log((below + above) / 2)
    return background - np.logaddexp(0, share), particles - np.logaddexp(0, -share)


def _likely_before(values: NDArray[np.float64]) -> float:
    """Logarithm of how likely a mixture is before any candidate is seen, up to a constant."""
    rise, breadth, _, width, skew, share = values
    known = ((rise, _RISE), (breadth, _BREADTH), (width, _WIDTH), (skew, _SKEW))
    squared = sum(((value - centre) / spread) ** 2 for value, (centre, spread) in known)
    # Neither kind is absent; as one candidate of each would weigh.
    return float(-0.5 * squared - np.logaddexp(0, share) - np.logaddexp(0, -share))
