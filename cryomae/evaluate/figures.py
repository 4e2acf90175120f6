"""Precision, recall, F1 and average precision of a data set, and how sure they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryomae.evaluate.judge import IGNORED, RIGHT, Judged
from cryomae.evaluate.matching import precision_recall

Weights = NDArray[np.int64]
"""How often each micrograph counts, shape (m,)."""

NAN = float("nan")


@dataclass(frozen=True)
class Figure:
    """One figure with its 95 % interval, or why it has no value.

    Attributes
    ----------
    value : float or None
    interval : tuple of float, or None
        Bootstrap over micrographs; None with one micrograph.
    reason : str
        Why there is no value, else empty.
    """

    value: float | None
    interval: tuple[float, float] | None = None
    reason: str = ""


@dataclass(frozen=True)
class Pool:
    """Picks of a data set that are right or wrong, best first, and whose micrograph is whose.

    Attributes
    ----------
    scores : ndarray, float64, shape (n,)
    hits : ndarray, bool, shape (n,)
        Whether each pick is right.
    chosen : ndarray, bool, shape (n,)
        Whether its score reaches the threshold.
    owner : ndarray, intp, shape (n,)
        Its micrograph, as an index into `truth`.
    truth : ndarray, int64, shape (m,)
        True particles of each micrograph.
    """

    scores: NDArray[np.float64]
    hits: NDArray[np.bool_]
    chosen: NDArray[np.bool_]
    owner: NDArray[np.intp]
    truth: NDArray[np.int64]

    @classmethod
    def of(cls, judged: Judged, threshold: float | None = None) -> Pool:
        """Pool the picks that count; without a threshold all of them are chosen."""
        picks = judged.picks[judged.picks["verdict"] != IGNORED]
        # Sorted once here, so that sorting again in every draw of a bootstrap takes no time.
        picks = picks.sort_values("score", ascending=False, kind="stable")
        scores = picks["score"].to_numpy(dtype=np.float64)
        place = pd.Index(judged.micrographs)
        counts = judged.particles["micrograph"].value_counts().reindex(place, fill_value=0)
        return cls(
            scores,
            (picks["verdict"] == RIGHT).to_numpy(dtype=np.bool_),
            np.ones(len(scores), dtype=np.bool_) if threshold is None else scores >= threshold,
            place.get_indexer(pd.Index(picks["micrograph"])),
            np.asarray(counts, dtype=np.int64),
        )

    @property
    def has_ranking(self) -> bool:
        """Whether scores put the picks in an order."""
        return len(self.scores) < 2 or bool(np.ptp(self.scores) > 0)


def operating_point(pool: Pool, weights: Weights | None = None) -> dict[str, float]:
    """Precision, recall and F1 of the chosen picks of all micrographs together.

    Undefined ones are NaN: precision without picks, recall and F1 without particles.
    """
    times = np.ones(len(pool.truth), dtype=np.int64) if weights is None else weights
    owner = pool.owner[pool.chosen]
    picks = int(times[owner].sum())
    right = int(times[pool.owner[pool.chosen & pool.hits]].sum())
    truth = int((times * pool.truth).sum())
    precision = right / picks if picks else NAN
    recall = right / truth if truth else NAN
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return {"precision": precision, "recall": recall, "f1": f1 if truth else NAN}


def ranking(pool: Pool, weights: Weights | None = None) -> dict[str, float]:
    """Average precision, and the best F1 of any threshold, of all micrographs together.

    NaN without particles, and where all scores are equal.
    """
    times = np.ones(len(pool.truth), dtype=np.int64) if weights is None else weights
    truth = int((times * pool.truth).sum())
    if not truth or not pool.has_ranking:
        return {"average_precision": NAN, "best_f1": NAN, "best_threshold": NAN}
    curve = precision_recall(pool.scores, pool.hits, truth, times[pool.owner])
    best = float(curve.scores[curve.best]) if len(curve.scores) else NAN
    return {
        "average_precision": curve.average_precision,
        "best_f1": curve.best_f1,
        "best_threshold": best,
    }


def of_each(pool: Pool) -> pd.DataFrame:
    """Counts and figures of each micrograph, shape (m, 8), in the order of `Pool.truth`."""
    rows = []
    for index, truth in enumerate(pool.truth):
        own = pool.owner == index
        alone = Pool(
            pool.scores[own],
            pool.hits[own],
            pool.chosen[own],
            np.zeros(int(own.sum()), dtype=np.intp),
            np.array([truth], dtype=np.int64),
        )
        right = int((alone.hits & alone.chosen).sum())
        counts = {"particles": int(truth), "picks": int(alone.chosen.sum()), "right": right}
        rows.append(counts | operating_point(alone) | {"average_precision": _alone(pool, alone)})
    columns = ["particles", "picks", "right", "precision", "recall", "f1", "average_precision"]
    return pd.DataFrame(rows, columns=columns)


def _alone(pool: Pool, alone: Pool) -> float:
    """Average precision of one micrograph; equal scores there are fine if others differ."""
    if not pool.has_ranking or not alone.truth[0]:
        return NAN
    return precision_recall(alone.scores, alone.hits, int(alone.truth[0])).average_precision


def macro(each: pd.DataFrame, weights: Weights | None = None) -> dict[str, float]:
    """Means over micrographs with particles of what `of_each` gives.

    A micrograph without picks has no precision and is left out of that mean alone.
    """
    times = np.ones(len(each)) if weights is None else weights
    means = {}
    for name in ("precision", "recall", "f1", "average_precision"):
        values = each[name].to_numpy(dtype=np.float64)
        use = np.isfinite(values) & (each["particles"].to_numpy() > 0)
        total = times[use].sum()
        means[name] = float((times[use] * values[use]).sum() / total) if total else NAN
    return means


def bootstrap(
    figures: Callable[[Weights], dict[str, float]], micrographs: int, *, draws: int, seed: int
) -> dict[str, NDArray[np.float64]]:
    """Figures of data sets drawn with replacement from the micrographs.

    The same seed draws the same micrographs, so that two programs can be compared draw
    by draw.

    Parameters
    ----------
    figures : callable
        Figures from how often each micrograph counts.
    micrographs : int
        Number of micrographs.
    draws : int
        Data sets drawn, at least 1.
    seed : int
        Of the random numbers.

    Returns
    -------
    dict of str to ndarray, shape (draws,)
    """
    rng = np.random.default_rng(seed)
    rows = [
        figures(np.bincount(rng.integers(0, micrographs, micrographs), minlength=micrographs))
        for _ in range(draws)
    ]
    return {key: np.array([row[key] for row in rows]) for key in rows[0]}


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """95 % interval of bootstrap draws; undefined ones are left out, NaN if all are."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return NAN, NAN
    low, high = np.quantile(finite, [0.025, 0.975])
    return float(low), float(high)


def all_figures(
    pool: Pool, each: pd.DataFrame, *, draws: int, seed: int
) -> tuple[dict[str, Figure], float | None]:
    """Every figure with its interval, and the threshold of the best F1.

    Parameters
    ----------
    pool : Pool
    each : DataFrame
        What `of_each` gives.
    draws, seed : int
        Of the bootstrap.
    """

    def everything(weights: Weights | None) -> dict[str, float]:
        means = {f"macro_{k}": v for k, v in macro(each, weights).items()}
        return operating_point(pool, weights) | ranking(pool, weights) | means

    values = everything(None)
    count = len(pool.truth)
    drawn = bootstrap(everything, count, draws=draws, seed=seed) if count > 1 else {}
    best = values.pop("best_threshold")
    figures = {}
    for name, value in values.items():
        if np.isnan(value):
            figures[name] = Figure(None, None, _why_undefined(name, pool))
        else:
            figures[name] = Figure(value, interval(drawn[name]) if drawn else None)
    return figures, None if np.isnan(best) else best


def _why_undefined(name: str, pool: Pool) -> str:
    if name.removeprefix("macro_") == "precision":
        return "there are no picks at the operating point"
    if not pool.truth.sum():
        return "the truth holds no particles"
    return "all scores are equal, so that nothing puts the picks in an order"
