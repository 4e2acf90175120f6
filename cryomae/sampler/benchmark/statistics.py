"""Compare strategies in pairs, seed by seed, with a test for more than chance."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import wilcoxon

LEVEL = 0.05
"""Corrected p below which a difference counts."""

PAIRS = ["dataset", "a", "b", "seeds", "difference", "error", "p", "p_holm", "verdict"]


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """P-values corrected for their number (Holm 1979), shape (m,): no false win with 95 %."""
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values)
    steps = values[order] * np.arange(len(values), 0, -1)
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return corrected


def paired_p(difference: ArrayLike) -> float:
    """Two-sided Wilcoxon signed-rank p-value; 1 if all differences are 0 or there is none.

    Zeros are shared between both sides (Pratt keeps them in the ranking; dropping them, the
    default elsewhere, makes a rare difference look sure).
    """
    values = np.asarray(difference, dtype=np.float64)
    if not values.any():
        return 1.0
    return float(wilcoxon(values, zero_method="zsplit").pvalue)


def compare_pairs(runs: pd.DataFrame, figure: str = "aubc") -> pd.DataFrame:
    """Compare all pairs of strategies on each data set, seed by seed.

    Parameters
    ----------
    runs : DataFrame
        Columns ``dataset``, ``strategy``, ``seed`` and `figure`; undefined figures are left
        out. The same seed must mean the same split.
    figure : str
        What is compared; higher is better.

    Returns
    -------
    DataFrame
        ``dataset``, ``a``, ``b``, ``seeds`` (that both have), ``difference`` (mean of a less
        b) and its standard ``error``, ``p``, ``p_holm`` (corrected within the data set), and
        ``verdict``: ``win`` where a is better at the level of 5 %, ``loss`` where b is, else
        ``tie``.
    """
    rows = []
    for dataset, own in runs.dropna(subset=[figure]).groupby("dataset", sort=False):
        wide = own.pivot(index="seed", columns="strategy", values=figure)
        pairs = []
        for a, b in combinations(dict.fromkeys(own["strategy"]), 2):
            gap = (wide[a] - wide[b]).dropna().to_numpy()
            if len(gap):
                mean, spread = gap.mean(), gap.std(ddof=1) if len(gap) > 1 else np.nan
                error = spread / np.sqrt(len(gap))
                pairs.append([dataset, a, b, len(gap), mean, error, paired_p(gap)])
        corrected = holm([pair[-1] for pair in pairs])
        rows += [[*pair, p, _verdict(pair[4], p)] for pair, p in zip(pairs, corrected, strict=True)]
    return pd.DataFrame(rows, columns=PAIRS)


def tally(pairs: pd.DataFrame) -> pd.DataFrame:
    """Wins, ties and losses of each strategy over all data sets and opponents.

    Parameters
    ----------
    pairs : DataFrame
        What `compare_pairs` gives.

    Returns
    -------
    DataFrame
        Index strategy; columns ``win``, ``tie``, ``loss``.
    """
    mirror = {"win": "loss", "loss": "win", "tie": "tie"}
    theirs = pairs.assign(a=pairs["b"], verdict=pairs["verdict"].map(mirror))
    both = pd.concat([pairs, theirs])
    counts = pd.crosstab(both["a"], both["verdict"])
    return counts.reindex(columns=["win", "tie", "loss"], fill_value=0)


def _verdict(difference: float, p: float) -> str:
    if p >= LEVEL:
        return "tie"
    return "win" if difference > 0 else "loss"
