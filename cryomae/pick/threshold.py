"""The automatic threshold: where the scores of a data set part into background and particles."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FALLBACK = 0.5
"""Threshold of a data set with too few candidates to tell: a score is a probability."""

FEWEST = 20
"""Candidates below which `FALLBACK` is used."""

CREDIBLE = 0.3
"""Mean score below which a group of candidates is not taken for particles."""

_APART = 1.0  # in logits; nearer means cannot be told apart by people
_BINS = 512
_ROUNDS = 200
_STARTS = ((0.05, 0.5), (0.25, 0.9), (0.5, 0.97))  # quantiles; the likeliest fit is taken


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

    Two answers are averaged (as log-odds, our choice). One asks where the scores part: the
    logits of all candidates are described by two Gaussians of equal width, fitted by
    expectation maximisation, and cut where both are equally likely (the minimum-error
    threshold of Kittler and Illingworth, *Pattern Recognition* 19, 1986). It follows data
    sets whose scores are low or high as a whole. The other takes the scores at their word
    and maximises the F1 that they promise, which holds where the scores do not part. Where
    the better of the Gaussians has a mean score below `CREDIBLE`, as in empty micrographs,
    the threshold stays at `FALLBACK`, unless the user has shown particles. On simulated data
    sets the average is ahead of either answer (``scripts/compare_thresholds.py``).

    Parameters
    ----------
    scores : sequence of ndarray
        Candidate scores of each micrograph, 0 to 1.
    shown : bool
        Whether the model was made from exemplars of these data: there are particles then.

    Returns
    -------
    Threshold
    """
    every = np.concatenate([np.asarray(s, dtype=np.float64) for s in scores] or [np.zeros(0)])
    if len(every) < FEWEST:
        return Threshold(
            FALLBACK, f"Stays at {FALLBACK}, because there are only {len(every)} candidates."
        )
    p = np.clip(every, 1e-4, 1 - 1e-4)
    logits = np.log(p / (1 - p))
    if np.ptp(logits) < 1e-6:
        return Threshold(FALLBACK, f"Stays at {FALLBACK}, because all candidates score alike.")
    low, high, between = _two_gaussians(logits)
    background, particles = (float(1 / (1 + np.exp(-x))) for x in (low, high))
    if particles < CREDIBLE and not shown:
        return Threshold(
            FALLBACK,
            f"Stays at {FALLBACK}, because no group of the {len(every):,} candidates stands out "
            "as particles. Is there anything to pick?",
        )
    promised = float(np.clip(best_promised(p), 0.01, 0.99))
    middle = (between + np.log(promised / (1 - promised))) / 2
    parts = f"part into background (around {background:.2f}) and particles"
    if high - low < _APART:
        parts = "do not part into background and particles, but lie together"
    return Threshold(
        float(1 / (1 + np.exp(-middle))),
        f"Chosen automatically: the scores of all {len(every):,} candidates {parts} "
        f"(around {particles:.2f}).",
    )


def best_promised(p: NDArray[np.float64]) -> float:
    """Score at which F1 is highest if every score is the probability that it claims to be."""
    best_first = np.sort(p)[::-1]
    found = np.cumsum(best_first)
    f1 = 2 * found / (np.arange(1, len(p) + 1) + found[-1])
    return float(best_first[np.argmax(f1)])


def _two_gaussians(x: NDArray[np.float64]) -> tuple[float, float, float]:
    """Lower and upper mean of two Gaussians of equal width, and where they are equally likely.

    Works on a histogram, so that ten million candidates cost no more than ten thousand.
    """
    count, edges = np.histogram(x, bins=_BINS)
    centre = (edges[1:] + edges[:-1]) / 2
    # No narrower than the histogram can tell, or one value repeated would become a spike.
    narrowest = 0.1 + float(edges[1] - edges[0])
    fits = [
        _expectation_maximisation(centre, count, np.quantile(x, start), narrowest)
        for start in _STARTS
    ]
    _, mean, share, width = max(fits, key=lambda fit: fit[0])
    order = np.argsort(mean)
    (low, high), share = mean[order], share[order]
    between = (low + high) / 2 + width**2 * np.log(share[0] / share[1]) / max(high - low, 1e-6)
    return float(low), float(high), float(np.clip(between, low, high))


def _expectation_maximisation(
    centre: NDArray[np.float64],
    count: NDArray[np.int64],
    mean: NDArray[np.float64],
    narrowest: float,
) -> tuple[float, NDArray[np.float64], NDArray[np.float64], float]:
    """Log-likelihood, means, shares and common width of two Gaussians fitted to a histogram."""
    total = count.sum()
    share = np.array([0.6, 0.4])
    spread = np.average((centre - np.average(centre, weights=count)) ** 2, weights=count)
    width = float(np.sqrt(spread)) / 2 + narrowest
    likelihood = -np.inf
    for _ in range(_ROUNDS):
        squared = (centre[:, None] - mean) ** 2
        density = share * np.exp(-0.5 * squared / width**2) / width + 1e-300
        likelihood = float(count @ np.log(density.sum(axis=1)))
        weight = density * (count / density.sum(axis=1))[:, None]
        each = weight.sum(axis=0) + 1e-9
        mean, share = (weight * centre[:, None]).sum(axis=0) / each, each / each.sum()
        spread = (weight * (centre[:, None] - mean) ** 2).sum() / total
        width = float(np.sqrt(spread)) + narrowest
    return likelihood, mean, share, width
