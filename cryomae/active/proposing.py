"""The next proposals of a session."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cryomae.active import tables
from cryomae.active.content import Content
from cryomae.active.labels import spread_out
from cryomae.active.pool import Pool
from cryomae.active.propose import APART, propose
from cryomae.active.records import Proposal
from cryomae.errors import InputError
from cryomae.sampler import SamplerError


def choose_proposals(content: Content, count: int, strategy: str) -> list[Proposal]:
    """Choose places to ask about, behind those that wait already.

    The same session proposes the same places, however often it was closed in between.

    Parameters
    ----------
    content : Content
    count : int
        How many more are wanted.
    strategy : str

    Raises
    ------
    InputError
        If nothing is encoded, or the strategy is unknown or needs more answers.
    """
    if not content.count:
        raise InputError(
            "there is nothing to propose: no micrograph is encoded yet",
            "`cryomae active new` goes on with encoding where it stopped",
            content.folder,
        )
    pool, labels = content.pool, content.labels
    taken = np.zeros(len(pool), bool)
    taken[labels.asked] = True
    taken[_near(pool, [p.candidate for p in content.queue])] = True
    if content.state.excluded:
        taken |= np.isin(pool.micrograph, list(content.state.excluded))
    made = content.proposals[-1].id if content.proposals else 0
    try:
        choices = propose(
            pool,
            content.head,
            labels.rows,
            labels.y,
            count,
            strategy=strategy,
            taken=np.flatnonzero(taken),
            rng=np.random.default_rng([content.settings.seed, made]),
        )
    except SamplerError as error:
        raise InputError(f"strategy '{strategy}': {error}", "try --strategy mix") from error
    time, version = tables.now(), content.version
    return [
        Proposal(
            made + 1 + i, time, version, c.candidate, int(pool.micrograph[c.candidate]),
            float(pool.xy[c.candidate, 0]), float(pool.xy[c.candidate, 1]),
            c.strategy, c.reason, c.score,
        )
        for i, c in enumerate(choices)
    ]  # fmt: skip


def _near(pool: Pool, waiting: list[int]) -> NDArray[np.intp]:
    """Rows that are, or lie too near to be asked about beside, what waits already."""
    if not waiting:
        return np.zeros(0, np.intp)
    places = spread_out(pool)
    rows = np.flatnonzero(np.isfinite(places).all(axis=1))
    tree = cKDTree(places[np.array(waiting)])
    away, _ = tree.query(places[rows], distance_upper_bound=APART * pool.diameter)
    return rows[np.isfinite(away)]
