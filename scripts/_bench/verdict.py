"""Figures of a picker over seeds and sets, with bootstrap intervals over micrographs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from _bench.exemplars import Exemplars
from _bench.outcome import Outcome
from _bench.sets import LabelledSet
from cryomae.evaluate.figures import Pool, Weights, bootstrap, interval, operating_point, ranking
from cryomae.evaluate.judge import IGNORED, RIGHT, Judged, judge
from cryomae.picks import Picks

FIGURES = ("f1", "precision", "recall", "best_f1", "average_precision")


@dataclass(frozen=True)
class Verdict:
    """One picker on one set.

    Attributes
    ----------
    of_seed : dict of int to dict
        `FIGURES` on the micrographs that the seed tests.
    draws : dict of str to ndarray, shape (draws,)
        Their means over seeds in data sets drawn with replacement from the micrographs.
    made : list of Outcome
        What it was worked out from, one a seed or one for all.
    """

    of_seed: dict[int, dict[str, float]]
    draws: dict[str, NDArray[np.float64]]
    made: list[Outcome]


def judge_picker(
    made: Mapping[int, Outcome],
    data: LabelledSet,
    exemplars: Mapping[int, Exemplars],
    *,
    border: float,
    draws: int,
    seed: int,
) -> Verdict:
    """Judge a picker on one set.

    Whatever it learned from, the micrograph of a seed's exemplars does not count for that
    seed. The same seed draws the same micrographs for every picker.

    Parameters
    ----------
    made : mapping of int to Outcome
        By seed; a picker that learns nothing has the same for each.
    data : LabelledSet
    exemplars : mapping of int to Exemplars
        By seed.
    border : float
        Picks nearer to the edge of the micrograph than this many pixels are not wrong.
    draws, seed : int
        Of the bootstrap.
    """
    names = list(data.files)
    pools: dict[int, tuple[Pool | None, Pool, Weights]] = {}
    for key, result in made.items():
        tested = np.array([n != exemplars[key].micrograph for n in names], dtype=np.int64)
        own = None if result.picks is None else pool_of(result.picks, data, border)
        pools[key] = (own, pool_of(result.candidates, data, border), tested)

    def of_seed(key: int, weights: Weights) -> dict[str, float]:
        own, every, tested = pools[key]
        missing = dict.fromkeys(FIGURES[:3], float("nan"))
        point = missing if own is None else operating_point(own, weights * tested)
        order = ranking(every, weights * tested)
        return {k: (point | order)[k] for k in FIGURES}

    def mean(weights: Weights) -> dict[str, float]:
        rows = [of_seed(key, weights) for key in pools]
        return {k: float(np.mean([row[k] for row in rows])) for k in FIGURES}

    once = np.ones(len(names), dtype=np.int64)
    return Verdict(
        {key: of_seed(key, once) for key in pools},
        bootstrap(mean, len(names), draws=draws, seed=seed),
        list({id(result): result for result in made.values()}.values()),
    )


def pool_of(picks: Picks, data: LabelledSet, border: float) -> Pool:
    """Judged picks of all micrographs; wrong ones at the border, in pixels, are taken out."""
    judged = judge(picks, data.truth, data.radius)
    # The judge names micrographs as the truth does, in the order of their first pick.
    ends = np.array([data.shapes[n][::-1] for n in judged.picks["micrograph"]]).reshape(-1, 2) - 1
    xy = judged.picks[["x", "y"]].to_numpy(dtype=np.float64)
    near = np.minimum(xy, ends - xy).min(axis=1, initial=np.inf) < border
    verdict = judged.picks["verdict"].mask(near & (judged.picks["verdict"] != RIGHT), IGNORED)
    known = judged.picks.assign(verdict=verdict)
    everywhere = tuple(data.files)  # also those that the truth knows no particle of
    return Pool.of(Judged(known, judged.particles, everywhere, judged.left_out))


def summary(verdicts: Sequence[Verdict]) -> dict[str, dict[str, Any]]:
    """Means over sets of each figure, with the 95 % interval and the spread over seeds.

    What is undefined in a set, such as the precision of no picks, is left out of that mean.

    Returns
    -------
    dict
        For each figure ``value``, ``interval_95`` and ``seeds``: least and largest of the
        means over sets of one seed.
    """
    keys = sorted({key for v in verdicts for key in v.of_seed})
    absent = dict.fromkeys(FIGURES, float("nan"))
    found = {}
    for name in FIGURES:
        table = [[v.of_seed.get(key, absent)[name] for key in keys] for v in verdicts]
        of_seed = _mean(np.array(table), axis=0)
        found[name] = {
            "value": float(_mean(_mean(np.array(table), axis=1), axis=0)),
            "interval_95": interval(_mean(np.array([v.draws[name] for v in verdicts]), axis=0)),
            "seeds": (float(of_seed.min()), float(of_seed.max())),
        }
    return found


def lead(
    mine: Sequence[Verdict], others: Sequence[Verdict], name: str = "f1"
) -> tuple[float, tuple[float, float]]:
    """How much larger a figure of ours is, mean over the same sets, and its 95 % interval.

    Parameters
    ----------
    mine, others : sequence of Verdict
        Of two pickers, set by set.
    name : str
        One of `FIGURES`.
    """
    value = summary(mine)[name]["value"] - summary(others)[name]["value"]
    pairs = zip(mine, others, strict=True)
    drawn = _mean(np.array([m.draws[name] - o.draws[name] for m, o in pairs]), axis=0)
    return value, interval(drawn)


def _mean(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Mean of the finite values; NaN where there is none."""
    finite = np.isfinite(values)
    count = finite.sum(axis=axis)
    total = np.where(finite, values, 0.0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
