"""What the answers of a session say about the rows of its pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cryomae.active.journal import Entry, State
from cryomae.active.pool import Pool

SAME = 0.25
"""Diameters within which two places are the same."""


@dataclass(frozen=True)
class Contradiction:
    """Two answers that disagree; the newer one counts.

    Attributes
    ----------
    older, newer : Entry
    """

    older: Entry
    newer: Entry

    def describe(self, micrograph: str) -> str:
        """Say it in a sentence."""
        x, y = self.newer.xy
        before, after = (f"{_SAID[e.kind]} by {e.annotator}" for e in (self.older, self.newer))
        return f"{micrograph}, x {x:.0f}, y {y:.0f}: {before}, then {after} (the newer counts)"


@dataclass(frozen=True, eq=False)
class Labels:
    """Answers, by row of the pool.

    Attributes
    ----------
    rows : ndarray of int, shape (a,)
        What is known, in order of row.
    y : ndarray of int, shape (a,)
        1 for a particle, 0 for none.
    clicked : ndarray of bool, shape (a,)
        Particles that the user pointed out, where the others answer a proposal.
    confirmed : ndarray of int
        Rows that are picked whatever their score, the one confirmed last first.
    refused : ndarray of int
        Rows that are not picked whatever their score.
    asked : ndarray of int
        Rows that need no asking: answered in any way, skipped ones too, or placed.
    contradictions : tuple of Contradiction
    """

    rows: NDArray[np.intp]
    y: NDArray[np.intp]
    clicked: NDArray[np.bool_]
    confirmed: NDArray[np.intp]
    refused: NDArray[np.intp]
    asked: NDArray[np.intp]
    contradictions: tuple[Contradiction, ...]


def label(pool: Pool, state: State, candidates: int) -> Labels:
    """Turn what stands in the journal into labels.

    The newest answer on a candidate counts, and so does the newest of answers on places
    within `SAME` diameters: of two such that disagree, the older is neither learnt from nor
    picked. What was moved no farther than that is the same particle, so its first place is
    not learnt as background.

    Parameters
    ----------
    pool : Pool
        Candidates, then the placed particles of ``state`` in their order.
    state : State
    candidates : int
        Rows of the pool that are no placed particles.
    """
    row_of = {-p.id: candidates + i for i, p in enumerate(state.placed)}
    said: dict[int, tuple[int, Entry]] = {}
    refused: set[int] = {row for id_, row in row_of.items() if id_ not in state.particles}
    for id_, entry in state.answers.items():
        row = row_of.get(id_, id_)
        if row >= len(pool):  # candidates that are not there in this copy
            continue
        if entry.kind == "confirm" and (id_ >= 0 or id_ in state.particles):
            said[row] = (1, entry)
        elif entry.kind in ("reject", "move"):
            refused.add(row)
            said[row] = (0, entry)
    for entry in state.placed:
        if -entry.id in state.particles:
            said.setdefault(row_of[-entry.id], (1, entry))
    rows = np.array(sorted(said), dtype=np.intp)
    y = np.array([said[r][0] for r in rows], dtype=np.intp)
    entries = [said[r][1] for r in rows]
    older, pairs = _disagreeing(pool, rows, y, entries)
    kept = np.ones(len(rows), bool)
    kept[older] = False
    refused.update(int(r) for r in rows[older])
    sure = np.flatnonzero(kept & (y == 1))
    confirmed = rows[sure[np.argsort([-entries[i].id for i in sure], kind="stable")]]
    asked = {row_of.get(id_, id_) for id_ in state.answers} | set(row_of.values())
    return Labels(
        rows[kept],
        y[kept],
        np.array([e.proposal is None for e in entries], bool)[kept] & (y[kept] == 1),
        confirmed,
        np.array(sorted(refused), dtype=np.intp),
        np.array(sorted(r for r in asked if r < len(pool)), dtype=np.intp),
        (*_changed_minds(state.standing), *pairs),
    )


def _disagreeing(
    pool: Pool, rows: NDArray[np.intp], y: NDArray[np.intp], entries: Sequence[Entry]
) -> tuple[list[int], list[Contradiction]]:
    """Indices of answers that a newer one nearby overrules, and such pairs."""
    pairs = near_pairs(pool, rows, SAME)
    overruled: set[int] = set()
    found = []
    for a, b in pairs[y[pairs[:, 0]] != y[pairs[:, 1]]]:
        # Of a move, the place that was left is the one to drop.
        first, second = sorted((int(a), int(b)), key=lambda i: (entries[i].id, y[i]))
        overruled.add(first)
        older, newer = entries[first], entries[second]
        if older is not newer and not _own_click(older, newer.annotator):
            found.append(Contradiction(older, newer))
    return sorted(overruled), found


def _own_click(entry: Entry, annotator: str) -> bool:
    """Whether an answer is about a placed particle and by this annotator: a correction."""
    return entry.about is not None and entry.about < 0 and entry.annotator == annotator


def _changed_minds(standing: Sequence[Entry]) -> list[Contradiction]:
    """Answers on one candidate that disagree with the one before.

    Who takes back a particle that they placed themselves corrects a click.
    """
    last: dict[int, Entry] = {}
    found = []
    for entry in standing:
        if entry.places is not None:
            last[entry.places] = entry
        if entry.about is None or entry.kind == "skip":
            continue
        before = last.get(entry.about)
        disagree = before is not None and (before.kind == "reject") != (entry.kind == "reject")
        if before is not None and disagree and not _own_click(entry, before.annotator):
            found.append(Contradiction(before, entry))
        last[entry.about] = entry
    return found


def near_pairs(pool: Pool, rows: NDArray[np.intp], diameters: float) -> NDArray[np.intp]:
    """Pairs of rows of one micrograph nearer than so many diameters.

    Returns
    -------
    ndarray of int, shape (n, 2)
        Indices into ``rows``.
    """
    if len(rows) < 2:
        return np.zeros((0, 2), np.intp)
    tree = cKDTree(spread_out(pool, rows))
    return tree.query_pairs(diameters * pool.diameter, output_type="ndarray").astype(np.intp)


def spread_out(pool: Pool, rows: NDArray[np.intp] | None = None) -> NDArray[np.float64]:
    """Positions in Å with the micrographs side by side, ten diameters apart; shape (n, 2).

    One search then serves all micrographs, as no place is near one of another micrograph.
    """
    chosen = slice(None) if rows is None else rows
    micrograph = pool.micrograph[chosen]
    xy = pool.xy[chosen] * pool.pixel_size[micrograph][:, None]
    width = np.nanmax(pool.pixel_size) * float(pool.xy[:, 0].max(initial=0)) + 10 * pool.diameter
    xy[:, 0] += micrograph * width
    return xy


_SAID = {
    "confirm": "confirmed",
    "reject": "rejected",
    "move": "moved",
    "add": "added",
    "skip": "skipped",
}
