"""One-to-one matching of picks to true particles, and what follows from it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree


def match_picks(
    picks_xy: ArrayLike, scores: ArrayLike, truth_xy: ArrayLike, radius: float
) -> NDArray[np.bool_]:
    """Decide which picks of one micrograph are particles.

    Picks are taken best score first, equal scores in the order given. Each takes the
    nearest true particle within ``radius`` that no better pick has taken.

    Parameters
    ----------
    picks_xy : array_like, shape (n, 2)
        Picks, in pixels.
    scores : array_like, shape (n,)
        Their scores, higher is better.
    truth_xy : array_like, shape (m, 2)
        True particles, in pixels.
    radius : float
        Largest distance of a pick from its particle, in pixels, itself included.

    Returns
    -------
    ndarray, bool, shape (n,)
        True where a pick is a particle, in the order the picks were given.

    Examples
    --------
    >>> match_picks([[10, 10], [12, 10]], [0.4, 0.9], [[11, 10]], radius=5)
    array([False,  True])
    """
    return assign_picks(picks_xy, scores, truth_xy, radius) >= 0


def assign_picks(
    picks_xy: ArrayLike, scores: ArrayLike, truth_xy: ArrayLike, radius: float
) -> NDArray[np.intp]:
    """Say which particle each pick of one micrograph takes, by the rule of `match_picks`.

    Picks below a threshold never change what those above it take, so one assignment
    holds for every threshold.

    Parameters
    ----------
    picks_xy, scores, truth_xy, radius
        As for `match_picks`.

    Returns
    -------
    ndarray, intp, shape (n,)
        Row of ``truth_xy``, or -1 for a pick that takes none.
    """
    picks = _points(picks_xy)
    truth = _points(truth_xy)
    order = np.argsort(-_as_scores(scores, len(picks)), kind="stable")
    taken = np.full(len(picks), -1, dtype=np.intp)
    if not len(picks) or not len(truth):
        return taken
    near = cKDTree(truth).query_ball_point(picks, radius, return_sorted=True)
    free = np.ones(len(truth), dtype=np.bool_)
    for pick in order:
        open_to = np.array([t for t in near[pick] if free[t]], dtype=np.intp)
        if len(open_to):
            step = truth[open_to] - picks[pick]
            taken[pick] = open_to[np.hypot(step[:, 0], step[:, 1]).argmin()]
            free[taken[pick]] = False
    return taken


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision and recall as the score threshold falls.

    Attributes
    ----------
    scores : ndarray, float64, shape (n,)
        Scores of all picks, best first; entry k is the threshold that keeps k + 1 picks.
    precision, recall, f1 : ndarray, float64, shape (n,)
        Reached with the picks up to and including that one.
    average_precision : float
        Mean over all true particles of the precision at which each was found, 0 for
        those never found.
    """

    scores: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    average_precision: float

    @property
    def best(self) -> int:
        """Index of the threshold with the highest F1; there must be a pick."""
        return int(self.f1.argmax())

    @property
    def best_f1(self) -> float:
        """Highest F1 of any threshold, 0 without picks."""
        return float(self.f1[self.best]) if len(self.f1) else 0.0


def precision_recall(
    scores: ArrayLike,
    hits: ArrayLike,
    truth_count: float,
    weights: ArrayLike | None = None,
) -> PrecisionRecall:
    """Precision, recall and F1 at every threshold, over one or many micrographs.

    Parameters
    ----------
    scores : array_like, shape (n,)
        Scores of the picks of all micrographs.
    hits : array_like, bool, shape (n,)
        What `match_picks` says of them.
    truth_count : int
        True particles in all micrographs, those without picks included.
    weights : array_like, shape (n,), optional
        How often each pick counts, as when micrographs are drawn with replacement;
        ``truth_count`` then counts the particles of a micrograph as often.

    Returns
    -------
    PrecisionRecall

    Examples
    --------
    >>> curve = precision_recall([0.9, 0.5, 0.2], [True, False, True], truth_count=2)
    >>> curve.recall.tolist(), round(curve.best_f1, 3)
    ([0.5, 0.5, 1.0], 0.8)
    """
    if truth_count <= 0:
        raise ValueError("precision and recall need at least one true particle")
    hit = np.asarray(hits, dtype=np.bool_).reshape(-1)
    score = _as_scores(scores, len(hit))
    times = np.ones(len(hit)) if weights is None else np.asarray(weights, dtype=np.float64)
    order = np.argsort(-score, kind="stable")
    order = order[times[order] > 0]
    score, hit, times = score[order], hit[order], times[order]
    found = np.cumsum(hit * times)
    precision = found / np.cumsum(times)
    recall = found / truth_count
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
    return PrecisionRecall(
        score, precision, recall, f1, float((precision * hit * times).sum() / truth_count)
    )


def _points(xy: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(xy, dtype=np.float64).reshape(-1, 2)


def _as_scores(scores: ArrayLike, count: int) -> NDArray[np.float64]:
    values = np.asarray(scores, dtype=np.float64).reshape(-1)
    if len(values) != count:
        raise ValueError(f"{count} picks with {len(values)} scores")
    return values
