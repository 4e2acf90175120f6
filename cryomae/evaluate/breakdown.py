"""Where picks land on their particles, and which particles are found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

OVERLAP_EDGES = np.array([0.0, 0.05, 0.2, 0.4, 0.6, 1.0])
"""Bounds of the groups of particles by the share of their disc that others cover."""


@dataclass(frozen=True)
class Localisation:
    """Distances of right picks from their particles, all in pixels.

    Attributes
    ----------
    median, ninetieth : float
        Of the distance: the median, and what 90 % of the picks stay within.
    mean_dx, mean_dy : float
        Mean of pick minus particle; a constant offset is a mistake of some program.
    shifted : bool
        Whether that offset is large and beyond chance.
    """

    median: float
    ninetieth: float
    mean_dx: float
    mean_dy: float
    shifted: bool


def localise(
    dx: NDArray[np.float64], dy: NDArray[np.float64], diameter: float
) -> Localisation | None:
    """Sum up where right picks land; None if there is none.

    Parameters
    ----------
    dx, dy : ndarray, shape (n,)
        Pick minus particle, in pixels.
    diameter : float
        Of the particle, in pixels: an offset is large from a twentieth of it, and 1.5 px.
    """
    if not len(dx):
        return None
    distance = np.hypot(dx, dy)
    offset = float(np.hypot(dx.mean(), dy.mean()))
    error = float(np.hypot(dx.std(), dy.std())) / np.sqrt(len(dx))
    return Localisation(
        float(np.median(distance)),
        float(np.quantile(distance, 0.9)),
        float(dx.mean()),
        float(dy.mean()),
        len(dx) >= 10 and offset > max(1.5, diameter / 20) and offset > 5 * error,
    )


def recall_by(
    values: NDArray[np.float64], found: NDArray[np.bool_], edges: NDArray[np.float64]
) -> pd.DataFrame:
    """Recall of groups of particles.

    Parameters
    ----------
    values : ndarray, shape (n,)
        What to group by; NaN belongs to no group.
    found : ndarray, bool, shape (n,)
        Which particles are found.
    edges : ndarray, shape (k + 1,)
        Bounds of the groups; the last group holds its upper bound.

    Returns
    -------
    DataFrame
        ``low``, ``high``, ``particles``, ``recall``: a row for each group with particles.
    """
    which = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    inside = (values >= edges[0]) & (values <= edges[-1])
    rows = []
    for group in range(len(edges) - 1):
        own = inside & (which == group)
        if own.any():
            rows.append((edges[group], edges[group + 1], int(own.sum()), float(found[own].mean())))
    return pd.DataFrame(rows, columns=["low", "high", "particles", "recall"])


def equal_groups(values: NDArray[np.float64], groups: int = 5) -> NDArray[np.float64]:
    """Bounds that part finite values into about equal groups; few different values stay apart."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return np.zeros(0)
    different = np.unique(finite)
    if len(different) <= groups:
        between = (different[1:] + different[:-1]) / 2
        return np.concatenate([different[:1], between, different[-1:]])
    return np.unique(np.quantile(finite, np.linspace(0, 1, groups + 1)))
