"""Everything that is known about picks once the truth is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cryomae.errors import InputError
from cryomae.evaluate.breakdown import (
    OVERLAP_EDGES,
    Localisation,
    equal_groups,
    localise,
    recall_by,
)
from cryomae.evaluate.calibration import Reliability, reliability
from cryomae.evaluate.figures import Figure, Pool, all_figures, of_each
from cryomae.evaluate.judge import BACKGROUND, DUPLICATE, IGNORED, RIGHT, Judged, judge
from cryomae.evaluate.masks import mask_overlap
from cryomae.evaluate.matching import PrecisionRecall, precision_recall
from cryomae.evaluate.mistakes import Mistake, find_mistake
from cryomae.evaluate.remarks import remarks_on
from cryomae.evaluate.truth import Truth
from cryomae.names import stem
from cryomae.picks import Picks

Shapes = Mapping[str, tuple[int, int]]
"""Rows and columns of micrographs, by stem."""


@dataclass(frozen=True)
class Evaluation:
    """Picks judged against the truth.

    Attributes
    ----------
    diameter, pixel_size : float
        Å, and Å per pixel.
    tolerance : float
        Largest distance of a pick from its particle, as a fraction of the diameter.
    threshold : float or None
        Score of the operating point; None for all picks.
    draws, seed : int
        Of the bootstrap.
    judged : Judged
        Verdict on every pick and score of every true particle.
    figures : dict of str to Figure
        ``precision``, ``recall``, ``f1`` at the operating point, all micrographs
        together; ``average_precision`` and ``best_f1`` over all candidates (the latter at
        a threshold chosen on this truth); ``macro_…``: means over micrographs.
    best_threshold : float or None
        Threshold of ``best_f1``.
    curve : PrecisionRecall or None
        Over all candidates; None where nothing puts them in an order.
    each : DataFrame
        One row a micrograph: counts, figures, ``mask_…`` of the discs.
    localisation : Localisation or None
        Of the right picks at the operating point.
    reliability : Reliability or None
        Of all candidates, where scores are from 0 to 1.
    mistake : Mistake or None
        How the coordinates seem wrong, if they do.
    warnings : tuple of str
        What the user must know before believing a figure.
    """

    diameter: float
    pixel_size: float
    tolerance: float
    threshold: float | None
    draws: int
    seed: int
    judged: Judged
    figures: dict[str, Figure]
    best_threshold: float | None
    curve: PrecisionRecall | None
    each: pd.DataFrame
    localisation: Localisation | None
    reliability: Reliability | None
    mistake: Mistake | None
    warnings: tuple[str, ...]

    @property
    def radius(self) -> float:
        """Largest distance of a pick from its particle, in pixels."""
        return self.tolerance * self.diameter / self.pixel_size

    @property
    def chosen(self) -> pd.DataFrame:
        """Judged picks at the operating point, the ignored ones too."""
        return _reaching(self.judged.picks, self.threshold)

    @property
    def found(self) -> pd.Series:
        """Whether each true particle is found at the operating point, in the truth's order."""
        score = self.judged.particles["score"]
        return score.notna() if self.threshold is None else score >= self.threshold

    @property
    def false_positives(self) -> dict[str, int]:
        """Wrong picks at the operating point by what they lie on, most first."""
        verdicts = self.chosen["verdict"]
        counts = verdicts[~verdicts.isin([RIGHT, IGNORED])].value_counts()
        some = {str(kind): int(count) for kind, count in counts.items()}
        return some | {kind: 0 for kind in (BACKGROUND, DUPLICATE) if kind not in some}

    @property
    def ignored(self) -> int:
        """Picks at the operating point that are neither right nor wrong."""
        return int((self.chosen["verdict"] == IGNORED).sum())

    def recall_by(self, what: str) -> pd.DataFrame | None:
        """Recall of particles grouped by ``overlap`` or ``defocus``; None if not known."""
        if what not in self.judged.particles or not len(self.judged.particles):
            return None
        values = self.judged.particles[what].to_numpy(dtype=np.float64)
        edges = OVERLAP_EDGES if what == "overlap" else equal_groups(values)
        if not len(edges):
            return None
        return recall_by(values, self.found.to_numpy(dtype=np.bool_), edges)


def evaluate(
    picks: Picks,
    truth: Truth,
    *,
    diameter: float,
    pixel_size: float,
    tolerance: float = 0.5,
    threshold: float | None = None,
    shapes: Shapes | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """Judge picks against known particles.

    Parameters
    ----------
    picks : Picks
        All candidates with their scores; micrographs are matched with the truth's by the
        stem of their name. Picks of other micrographs are left out and counted.
    truth : Truth
        True particles of labelled micrographs.
    diameter, pixel_size : float
        Å, and Å per pixel of the micrographs.
    tolerance : float
        Largest distance of a pick from its particle, as a fraction of the diameter.
    threshold : float, optional
        Score of the operating point; default all picks.
    shapes : mapping of str to (int, int), optional
        Rows and columns of micrographs, by stem.
    draws, seed : int
        Of the bootstrap over micrographs.

    Returns
    -------
    Evaluation

    Raises
    ------
    InputError
        If picks and truth share no micrograph, or a number makes no sense.
    """
    _check(picks, truth, diameter, pixel_size, tolerance, draws)
    shapes = shapes or {}
    radius = tolerance * diameter / pixel_size
    judged = judge(picks, truth, radius)
    pool = Pool.of(judged, threshold)
    right = _reaching(judged.picks, threshold).query("verdict == @RIGHT")
    localisation = localise(right["dx"].to_numpy(), right["dy"].to_numpy(), diameter / pixel_size)
    mistake = find_mistake(judged, radius, shapes)
    each = _each(judged, pool, threshold, diameter / pixel_size, shapes)
    figures, best = all_figures(pool, each, draws=draws, seed=seed)
    ordered = pool.has_ranking and len(pool.scores) > 0
    calibrated = ordered and pool.scores.min() >= 0 and pool.scores.max() <= 1
    return Evaluation(
        diameter=diameter,
        pixel_size=pixel_size,
        tolerance=tolerance,
        threshold=threshold,
        draws=draws,
        seed=seed,
        judged=judged,
        figures=figures,
        best_threshold=best,
        curve=(
            precision_recall(pool.scores, pool.hits, int(pool.truth.sum()))
            if ordered and pool.truth.sum()
            else None
        ),
        each=each,
        localisation=localisation,
        reliability=reliability(pool.scores, pool.hits) if calibrated else None,
        mistake=mistake,
        warnings=remarks_on(judged, threshold, localisation, mistake, shapes),
    )


def _check(
    picks: Picks, truth: Truth, diameter: float, pixel_size: float, tolerance: float, draws: int
) -> None:
    for name, value in (
        ("diameter", diameter),
        ("pixel size", pixel_size),
        ("tolerance", tolerance),
        ("number of draws", draws),
    ):
        if not 0 < value < np.inf:
            raise InputError(f"a {name} of {value:g} makes no sense", "give a number above 0")
    if not truth.micrographs:
        raise InputError("the truth names no micrograph", "give a file with true particles")
    for what, table in (("picks", picks.table), ("truth", truth.particles)):
        numbers = table[["x", "y", "score"] if what == "picks" else ["x", "y"]]
        if not np.isfinite(numbers.to_numpy(dtype=np.float64)).all():
            raise InputError(f"the {what} hold a value that is not a number", "correct that row")
    named = dict.fromkeys(picks.table["micrograph"])
    if named and not {stem(name) for name in named} & set(truth.micrographs):
        raise InputError(
            "picks and truth share no micrograph: picks are of "
            f"{_two(named)}, the truth is of {_two(truth.micrographs)}",
            "names must agree but for folder and image suffix: rename them in one of the two files",
        )


def _two(names: Mapping[str, object] | tuple[str, ...]) -> str:
    shown = [f"'{name}'" for name in list(names)[:2]]
    return " and ".join(shown) + (f" (of {len(names):,})" if len(names) > 2 else "")


def _reaching(table: pd.DataFrame, threshold: float | None) -> pd.DataFrame:
    return table if threshold is None else table[table["score"] >= threshold]


def _xy(table: pd.DataFrame | None) -> np.ndarray:
    return np.zeros((0, 2)) if table is None else table[["x", "y"]].to_numpy(dtype=np.float64)


def _each(
    judged: Judged, pool: Pool, threshold: float | None, diameter: float, shapes: Shapes
) -> pd.DataFrame:
    """One row a micrograph; the diameter is in pixels."""
    each = of_each(pool)
    each.insert(0, "micrograph", list(judged.micrographs))
    chosen = dict(iter(_reaching(judged.picks, threshold).groupby("micrograph")))
    particles = dict(iter(judged.particles.groupby("micrograph")))
    rows = []
    for name in judged.micrographs:
        mine, true = chosen.get(name), particles.get(name)
        xy = [
            np.zeros((0, 2)) if t is None else t[["x", "y"]].to_numpy(float) for t in (mine, true)
        ]
        overlap = mask_overlap(xy[0], xy[1], diameter, shapes.get(name))
        step = np.zeros((0, 2)) if mine is None else mine[["dx", "dy"]].dropna().to_numpy()
        rows.append(
            {
                "ignored": 0 if mine is None else int((mine["verdict"] == IGNORED).sum()),
                "median_distance": float(np.median(np.hypot(*step.T))) if len(step) else np.nan,
                "mask_precision": overlap.precision,
                "mask_recall": overlap.recall,
                "mask_dice": overlap.dice,
            }
        )
    return pd.concat([each, pd.DataFrame(rows)], axis=1)
