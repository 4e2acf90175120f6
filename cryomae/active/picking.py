"""Picks of a session: what scores enough, what was confirmed, and nothing that was rejected."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from cryomae.active.labels import Labels, spread_out
from cryomae.active.pool import Pool
from cryomae.pick.peaks import suppress

APART = 0.5
"""Least distance between two picks, in diameters."""


def pick_rows(
    pool: Pool,
    scores: NDArray[np.float64],
    labels: Labels,
    threshold: float | NDArray[np.float64],
    excluded: Collection[int] = (),
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Rows of the pool that are picked.

    Confirmed particles have the score 1 and come before all others where two lie nearer than
    `APART`; of two such the one confirmed last is kept.

    Parameters
    ----------
    pool : Pool
    scores : ndarray, shape (n,)
        Chance of each row to be a particle.
    labels : Labels
    threshold : float or ndarray, shape (n,)
        Score that a row must reach unless it was confirmed.
    excluded : collection of int
        Micrographs without picks.

    Returns
    -------
    rows : ndarray of int, shape (p,)
        Best first.
    scores : ndarray, shape (p,)
    """
    sure = np.zeros(len(pool), bool)
    sure[labels.confirmed] = True
    taken = (scores >= threshold) | sure
    taken[labels.refused] = False
    if excluded:
        taken &= ~np.isin(pool.micrograph, list(excluded))
    likely = np.flatnonzero(taken & ~sure)
    likely = likely[np.argsort(-scores[likely], kind="stable")]
    confirmed = labels.confirmed[taken[labels.confirmed]]
    rows = np.concatenate([confirmed, likely])
    found = np.concatenate([np.ones(len(confirmed)), scores[likely]])
    if not len(rows):
        return rows, found
    kept = suppress(spread_out(pool, rows), APART * pool.diameter)
    return rows[kept], found[kept]


def share_changed(before: NDArray[np.intp], after: NDArray[np.intp]) -> float:
    """Share of the picks of two rounds that only one of them has, 0 to 1."""
    # By marks, as the set operations of numpy take seconds for a million rows.
    marks = np.zeros(1 + max(before.max(initial=-1), after.max(initial=-1)), np.uint8)
    marks[before] = 1
    marks[after] += 1
    either = np.count_nonzero(marks)
    return 1 - np.count_nonzero(marks == 2) / either if either else 0.0
