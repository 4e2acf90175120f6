"""How many picks lie on contaminants, of two pickers that find as many particles."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from _bench.outcome import Outcome
from _bench.sets import LabelledSet
from cryomae.evaluate.judge import BACKGROUND, DUPLICATE, IGNORED, RIGHT, judge
from cryomae.picks import Picks

Counts = tuple[int, int]
"""Picks on contaminants, and all picks."""

_OTHERWISE = [RIGHT, DUPLICATE, BACKGROUND, IGNORED]


def at_equal_recall(
    sets: Sequence[LabelledSet], mine: Sequence[Outcome], others: Sequence[Outcome]
) -> tuple[float, Counts, Counts]:
    """Count the picks on contaminants of two pickers at the same recall, set by set.

    The recall is that of the other picker at its own threshold, or, where this one never
    reaches it, the highest that it does reach; the fewest best picks that reach it count.

    Returns
    -------
    float
        Recall, all sets together.
    tuple of int, tuple of int
        Of the first and of the second picker.
    """
    right = particles = 0
    totals = np.zeros((2, 2), dtype=int)
    for data, one, other in zip(sets, mine, others, strict=True):
        if other.picks is None:
            raise ValueError("the other picker has no threshold of its own")
        ours, _ = _ranked(data, one.candidates)
        theirs, _ = _ranked(data, other.candidates)
        own, _ = _ranked(data, other.picks)
        needed = min(int(ours.sum()), int(theirs.sum()), int(own.sum()))
        for place, candidates in enumerate((one.candidates, other.candidates)):
            totals[place] += _until(*_ranked(data, candidates), needed)
        right += needed
        particles += len(data.truth.particles)
    first, second = totals.tolist()
    return right / max(particles, 1), (first[0], first[1]), (second[0], second[1])


def _ranked(data: LabelledSet, picks: Picks) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Of the picks that count, best first: which are right, and which on contaminants."""
    table = judge(picks, data.truth, data.radius).picks
    table = table[table["verdict"] != IGNORED].sort_values("score", ascending=False, kind="stable")
    return (
        (table["verdict"] == RIGHT).to_numpy(dtype=bool),
        ~table["verdict"].isin(_OTHERWISE).to_numpy(dtype=bool),
    )


def _until(right: NDArray[np.bool_], junk: NDArray[np.bool_], needed: int) -> Counts:
    if not needed:
        return 0, 0
    last = int(np.searchsorted(np.cumsum(right), needed))
    return int(junk[: last + 1].sum()), last + 1
