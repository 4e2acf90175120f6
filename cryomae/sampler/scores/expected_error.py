"""Expected error reduction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from cryomae.sampler import checks
from cryomae.sampler.guards import Mask
from cryomae.sampler.pool import Need, PoolView
from cryomae.sampler.refit import class_count, estimator, full_probabilities, training_set
from cryomae.sampler.registry import register
from cryomae.sampler.scores.uncertainty import Scores, entropy, least_confidence
from cryomae.sampler.selection import Picked
from cryomae.sampler.strategy import Strategy, top

LOSSES = {"log": entropy, "zero_one": least_confidence}


def expected_error(
    model: Any,
    labelled: tuple[NDArray[Any], NDArray[np.intp]],
    x: NDArray[Any],
    proba: NDArray[Any],
    rows: NDArray[np.intp],
    judged: NDArray[np.intp],
    loss: str,
) -> Scores:
    """Mean loss expected on the pool after each of some candidates is labelled, shape (m,).

    Parameters
    ----------
    model : estimator
        Cloned and fitted to the labels and one candidate, for every class it may have.
    labelled : tuple
        Features (L, f) and classes (L,).
    x : ndarray, shape (N, f)
    proba : ndarray, shape (N, C)
        How likely each class of a candidate is.
    rows : ndarray, shape (m,)
        The candidates.
    judged : ndarray, shape (n,)
        Rows whose loss counts; the candidate itself does not, as it would be known.
    loss : {'log', 'zero_one'}
    """
    classes = proba.shape[1]
    known, y = labelled
    total = np.zeros(len(rows))
    for place, row in enumerate(rows):
        others = judged[judged != row]
        if not len(others):  # the last one: no loss is left
            continue
        with_row = np.concatenate([known, x[row : row + 1]])
        for label in np.flatnonzero(proba[row] > 0):
            fitted = clone(model).fit(with_row, np.append(y, label))
            after = LOSSES[loss](full_probabilities(fitted, x[others], classes))
            total[place] += proba[row, label] * after.mean()
    return total


@register("eer")
@dataclass(frozen=True)
class ExpectedError(Strategy):
    """Take what is expected to leave the least error (Roy and McCallum 2001).

    For each candidate and each class it may have, the model is fitted anew and asked how
    unsure it is of the rest of the pool. Scores are less the mean loss expected. What a
    batch takes together is not foreseen: it holds the best single ones.
    Cost: `candidates` · C fits and predictions of `judged` rows.

    Attributes
    ----------
    loss : {'log', 'zero_one'}
        Entropy, or 1 less the greatest probability.
    candidates : int
        Candidates that are tried, drawn at random if there are more (the paper's own way
        with large pools); never fewer than the batch.
    judged : int
        Rows of the pool on which the error is judged, drawn at random if there are more.
    """

    loss: str = "log"
    candidates: int = 50
    judged: int = 500

    needs: ClassVar[Need] = Need.FEATURES | Need.LABELLED | Need.MODEL | Need.PROBA
    deterministic: ClassVar[bool] = False

    def __post_init__(self) -> None:
        checks.one_of("loss", self.loss, LOSSES)
        checks.whole("candidates", self.candidates)
        checks.whole("judged", self.judged)

    def pick(self, pool: PoolView, k: int, rng: np.random.Generator, mask: Mask) -> Picked:
        """The candidates that leave the least error."""
        labelled = training_set(pool, self.name)
        assert pool.features is not None
        assert pool.proba is not None
        proba = np.zeros((len(pool), class_count(pool, labelled[1])))
        proba[:, : pool.proba.shape[1]] = pool.proba
        rows = _draw(np.flatnonzero(mask.allowed()), max(k, self.candidates), rng)
        judged = _draw(np.arange(len(pool)), self.judged, rng)
        score = np.full(len(pool), -np.inf)
        score[rows] = -expected_error(
            estimator(pool, self.name), labelled, pool.features, proba, rows, judged, self.loss
        )
        return top(score, k, mask, "error")


def _draw(rows: NDArray[np.intp], count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """At most ``count`` of the rows, in order."""
    return rows if len(rows) <= count else np.sort(rng.choice(rows, count, replace=False))
