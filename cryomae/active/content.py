"""What a session holds, read from its folder, and what follows from it.

Everything here can be made again from the folder. What is costly is kept until it changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryomae.active import tables
from cryomae.active.answering import Known
from cryomae.active.arrays import CandidateArrays
from cryomae.active.estimate import Estimate, choose_operating_point
from cryomae.active.journal import Entry, State, replay
from cryomae.active.labels import Labels, label
from cryomae.active.placed import NOTHING, PlacedRows, placed_rows
from cryomae.active.pool import Pool
from cryomae.active.records import Proposal, SessionMicrograph, TrainedVersion
from cryomae.active.store import Store
from cryomae.train.head import Head, base_head


class Content:
    """Everything that a session holds.

    Parameters
    ----------
    folder : Path
    store : Store
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder, self.store = folder, store
        self.arrays = CandidateArrays(folder / "candidates")
        self._started: dict[tuple[int, frozenset[int]], Estimate] = {}
        self.reload()

    def reload(self) -> None:
        """Read everything anew, such as after another process wrote to the session."""
        with self.store.reading() as connection:
            # One transaction, so that all parts are of one moment.
            connection.execute("BEGIN")
            try:
                self.settings = tables.read_settings(connection, self.store.path)
                self.micrographs = tables.read_micrographs(connection)
                self.entries = tables.read_journal(connection)
                self.proposals = tables.read_proposals(connection)
                self.versions = tables.read_versions(connection, self.store.path)
                self.descriptors = tables.read_descriptors(connection)
            finally:
                connection.execute("COMMIT")
        self._forget("state", "labels", "candidates", "_placed_rows", "pool", "_base_scores")
        self._forget("head", "known")

    def _forget(self, *names: str) -> None:
        for name in names:
            self.__dict__.pop(name, None)

    # What changes, and what has to be made anew after it.

    def add_entries(self, entries: Sequence[Entry]) -> None:
        """Entries were written."""
        before = self.state.placed
        self.entries += entries
        self._forget("state", "labels", "known")
        if self.state.placed != before:
            self._forget("_placed_rows", "pool")

    def add_proposals(self, proposals: Sequence[Proposal]) -> None:
        """Proposals were written."""
        self.proposals += proposals
        self._forget("known")

    def add_version(self, version: TrainedVersion, found: tables.Descriptors) -> None:
        """A version was written, with descriptors found on the way."""
        self.versions.append(version)
        self.descriptors.update(found)
        self._forget("head", "_base_scores")
        if found:
            self._forget("_placed_rows", "pool")

    def replace_micrographs(self, changed: Sequence[SessionMicrograph]) -> None:
        """Records of micrographs were written, new ones at the end."""
        many = {m.id: m for m in (*self.micrographs, *changed)}
        before = self.count
        self.micrographs = [many[i] for i in sorted(many)]
        self._forget("candidates", "_placed_rows", "pool", "labels", "known")
        if self.count != before:
            self._forget("head", "_base_scores")

    # What follows.

    @property
    def count(self) -> int:
        """Candidates, without placed particles."""
        return sum(m.count for m in self.micrographs)

    @cached_property
    def state(self) -> State:
        """What stands in the journal."""
        return replay(self.entries)

    @cached_property
    def candidates(self) -> Pool:
        """Candidates, without placed particles."""
        return self._pool(NOTHING)

    @cached_property
    def _placed_rows(self) -> PlacedRows:
        return self._place(self.descriptors)

    def _place(self, descriptors: tables.Descriptors) -> PlacedRows:
        return placed_rows(
            self.state.placed,
            self.candidates,
            self.micrographs,
            descriptors,
            self.settings.diameter,
        )

    @cached_property
    def pool(self) -> Pool:
        """Candidates, and placed particles behind them."""
        return self._pool(self._placed_rows) if self.state.placed else self.candidates

    @property
    def described(self) -> NDArray[np.bool_]:
        """Placed particles whose descriptor is their own, in the order of ``state.placed``."""
        return self._placed_rows.described

    def pool_with(self, found: tables.Descriptors) -> tuple[Pool, NDArray[np.bool_]]:
        """The pool with more descriptors, and which of its rows have their own, (n,)."""
        placed = self._place(self.descriptors | found) if found else self._placed_rows
        pool = self._pool(placed) if found else self.pool
        return pool, np.concatenate([np.ones(self.count, bool), placed.described])

    @cached_property
    def labels(self) -> Labels:
        """What the answers say of the pool."""
        return label(self.pool, self.state, self.count)

    @cached_property
    def known(self) -> Known:
        """What answers are checked against."""
        newest = {p.candidate: p.id for p in self.proposals}
        pool = self.pool
        return Known(self.micrographs, pool.xy, pool.micrograph, self.count, self.state, newest)

    @property
    def version(self) -> int:
        """Newest version; 0 before the first training."""
        return self.versions[-1].version if self.versions else 0

    @property
    def queue(self) -> list[Proposal]:
        """Proposals that wait for an answer, in order.

        Those of an older version have had their day, unless an answer to them was undone.
        """
        once = {e.proposal for e in self.entries if e.proposal}
        return [
            p
            for p in self.proposals
            if (p.version == self.version or p.id in once)
            and p.candidate not in self.state.answers
            and p.micrograph not in self.state.excluded
        ]

    @cached_property
    def head(self) -> Head:
        """Model of the newest version."""
        if not self.version:
            return base_head(self.candidates)
        with self.store.reading() as connection:
            return Head.from_bytes(tables.read_head(connection, self.version))

    @cached_property
    def _base_scores(self) -> NDArray[np.float64]:
        return self.head.probability(self.candidates)

    @property
    def scores(self) -> NDArray[np.float64]:
        """Chance of every row of the pool to be a particle, (n,)."""
        if not self.state.placed:
            return self._base_scores
        placed = np.arange(self.count, len(self.pool))
        return np.concatenate([self._base_scores, self.head.probability(self.pool, placed)])

    @property
    def estimate(self) -> Estimate | None:
        """Threshold of the newest version and what to expect at it; None without candidates."""
        if self.versions:
            return self.versions[-1].estimate
        if not self.count:
            return None
        key = self.count, self.state.excluded
        if key not in self._started:
            none = np.zeros(0, np.intp)
            rng = np.random.default_rng(self.settings.seed)
            part, _, _ = without(self.candidates, self.state.excluded, none, none)
            self._started[key] = choose_operating_point(part, self.head, none, none, rng)
        return self._started[key]

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """Scores that picks must reach, by micrograph."""
        chosen = self.state.thresholds
        usual = chosen.get(None, self.estimate.threshold if self.estimate else 1.0)
        return np.array([chosen.get(m.id, usual) for m in self.micrographs], np.float64)

    def _pool(self, placed: PlacedRows) -> Pool:
        ready = sorted((m for m in self.micrographs if m.count), key=lambda m: m.first)
        of = np.array([m.id for m in ready], np.int32)
        counts = np.array([m.count for m in ready], np.intp)
        columns: dict[str, Any] = self.arrays.read(self.count, placed.values)
        return Pool(
            micrograph=np.concatenate([np.repeat(of, counts), placed.micrograph]),
            pixel_size=np.array([m.pixel_size or np.nan for m in self.micrographs]),
            defocus=np.array(
                [np.nan if m.defocus is None else m.defocus for m in self.micrographs]
            ),
            diameter=self.settings.diameter,
            **columns,
        )


def without(
    pool: Pool, excluded: frozenset[int], rows: NDArray[np.intp], y: NDArray[np.intp]
) -> tuple[Pool, NDArray[np.intp], NDArray[np.intp]]:
    """A pool and its answers without some micrographs."""
    if not excluded:
        return pool, rows, y
    left = np.flatnonzero(~np.isin(pool.micrograph, list(excluded)))
    there = np.isin(rows, left)
    return pool.take(left), np.searchsorted(left, rows[there]), y[there]
