"""The automatic threshold: the score at which the expected F1 of a data set is highest."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FALLBACK = 0.5


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


def choose_threshold(scores: Sequence[NDArray[np.float64]]) -> Threshold:
    """Choose one threshold for a whole data set from the scores alone, without labels.

    Scores are probabilities, so the number of true particles among the best k
    candidates is expected to be the sum of their scores, S(k), out of S(n) in all. The
    expected F1 is about 2 S(k) / (k + S(n)), and the k at which it is highest sets the
    threshold. The rule is that of Lipton, Elkan and Naryanaswamy, *Optimal
    Thresholding of Classifiers to Maximize F1 Measure*, 2014: the best threshold is
    half of the best F1.

    Parameters
    ----------
    scores : sequence of ndarray
        Candidate scores of each micrograph.

    Returns
    -------
    Threshold
    """
    every = np.sort(
        np.concatenate([np.asarray(s, dtype=np.float64) for s in scores] or [np.zeros(0)])
    )
    every = every[::-1][: np.count_nonzero(every)]
    if not len(every):
        return Threshold(FALLBACK, "No candidate was found, so the threshold stays at 0.5.")
    found = np.cumsum(every)
    f1 = 2 * found / (np.arange(1, len(every) + 1) + found[-1])
    best = int(np.argmax(f1))
    value = float(every[best])
    return Threshold(
        value,
        f"Chosen automatically at {value:.2f}, where the scores of all {len(every):,} candidates "
        f"promise the best balance of missed and false particles (expected precision "
        f"{found[best] / (best + 1):.2f}, recall {found[best] / found[-1]:.2f}).",
    )
