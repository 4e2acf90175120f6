"""Picks of a session as the table that everything else reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cryomae.active.content import Content

if TYPE_CHECKING:
    from cryomae.picks import Picks


def make_picks(content: Content, rows: NDArray[np.intp], scores: NDArray[np.float64]) -> Picks:
    """Make the table of rows of the pool.

    Parameters
    ----------
    content : Content
    rows : ndarray of int, shape (p,)
        Best first.
    scores : ndarray, shape (p,)

    Returns
    -------
    Picks
        By micrograph, in the session's order, the best of each first. The provenance says
        which model or who made a pick.
    """
    import pandas as pd

    from cryomae.picks import Picks

    pool = content.pool
    order = np.argsort(pool.micrograph[rows], kind="stable")
    rows, scores = rows[order], scores[order]
    names = np.array([m.name for m in content.micrographs], dtype=object)
    model = f"{content.settings.model}, session version {content.version}"
    made = np.full(len(pool), model, dtype=object)
    answers, placed = content.state.answers, content.state.placed
    for row in content.labels.confirmed:
        if row < content.count:
            made[row] = f"confirmed by {answers[int(row)].annotator}"
        else:
            made[row] = f"placed by {placed[row - content.count].annotator}"
    return Picks(
        pd.DataFrame(
            {
                "micrograph": pd.Series(names[pool.micrograph[rows]], dtype=object),
                "x": pool.xy[rows, 0].astype(np.float64),
                "y": pool.xy[rows, 1].astype(np.float64),
                "score": scores,
                "diameter": np.full(len(rows), content.settings.diameter),
                "provenance": pd.Series(made[rows], dtype=object),
            }
        )
    )
