"""What the rows of a table mean in a session."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cryomae.active.answering import find_micrograph
from cryomae.active.answers_file import Row, raise_wrong
from cryomae.active.journal import Answer, Entry
from cryomae.active.labels import SAME
from cryomae.active.pool import KINDS
from cryomae.active.records import Proposal, SessionMicrograph
from cryomae.errors import InputError

if TYPE_CHECKING:
    from cryomae.active.session import Session

_ROUNDED = 0.06  # pixels by which a place that was written with one decimal may be off
_FARTHEST = 1.0  # diameters that a proposal can be moved
_NEAR, _GROUND = 0.5, 0.75  # diameters from a rejected place to a candidate, and to bare ground


@dataclass(frozen=True)
class Settled:
    """Answers that a table holds.

    Attributes
    ----------
    answers : tuple of Answer
        To be written.
    repeated : int
        Rows that say what stands already.
    contradictions : tuple of str
        Rows that disagree with what stands, a sentence each.
    nowhere : int
        Places that were rejected or skipped, and that no candidate lies near.
    """

    answers: tuple[Answer, ...]
    repeated: int
    contradictions: tuple[str, ...]
    nowhere: int


def settle(rows: Sequence[Row], session: Session, path: Path) -> Settled:
    """Find out what rows mean, all of them or none.

    Parameters
    ----------
    rows : sequence of Row
    session : Session
    path : Path
        Where the rows came from, for errors.

    Raises
    ------
    InputError
        That names every wrong row.
    """
    desk = _Desk(session)
    wrong = []
    for row in rows:
        try:
            desk.take(row)
        except InputError as error:
            wrong.append(f"row {row.number}: {error}")
    raise_wrong(path, wrong)
    return Settled(tuple(desk.answers), desk.repeated, tuple(desk.contradictions), desk.nowhere)


@dataclass
class _Desk:
    """Takes rows one after the other."""

    session: Session
    answers: list[Answer] = field(default_factory=list)
    repeated: int = 0
    contradictions: list[str] = field(default_factory=list)
    nowhere: int = 0

    def __post_init__(self) -> None:
        self.micrographs = self.session.micrographs
        self.state = self.session.answers
        self.diameter = self.session.settings.diameter
        self.proposals = {p.id: p for p in self.session.proposals}
        self._by_id: dict[int, Row] = {}
        self._by_place: dict[int, list[tuple[Row, int]]] = {}
        self._placed: dict[int, list[Entry]] = {}
        for entry in self.state.placed:
            self._placed.setdefault(entry.micrograph or 0, []).append(entry)

    def take(self, row: Row) -> None:
        """Take a row; InputError says what is wrong with it."""
        if row.id is None:
            self._take_place(row)
        else:
            self._take_proposal(row, row.id)

    def _take_proposal(self, row: Row, id_: int) -> None:
        proposal = self.proposals.get(id_)
        if proposal is None:
            count = len(self.proposals)
            known = f"those of this session are 1 to {count}" if count else "none was made yet"
            raise InputError(f"there is no proposal {id_}", known)
        own = self.micrographs[proposal.micrograph]
        if row.micrograph and find_micrograph(self.micrographs, row.micrograph).id != own.id:
            raise InputError(f"proposal {id_} lies in {own.name}, not in {row.micrograph}")
        before = self._by_id.get(id_)
        if before is not None:
            if (before.kind, before.xy) != (row.kind, row.xy):
                raise InputError(
                    f"proposal {id_} has another answer in row {before.number}", "keep one of them"
                )
            return
        self._by_id[id_] = row
        xy = self._moved(row, proposal, own)
        self._write(row, proposal.candidate, "confirm" if xy is None else "move", xy, own)

    def _moved(
        self, row: Row, proposal: Proposal, own: SessionMicrograph
    ) -> tuple[float, float] | None:
        """Where a proposal is moved to; None if it is not."""
        if row.xy is None:
            return None
        away = np.subtract(row.xy, (proposal.x, proposal.y))
        if (np.abs(away) <= _ROUNDED).all():
            return None
        if row.kind != "confirm":
            raise InputError(
                f"proposal {row.id} lies at x {proposal.x:.1f}, y {proposal.y:.1f}, not at "
                f"x {row.xy[0]:g}, y {row.xy[1]:g}",
                "only a confirmed particle can be moved",
            )
        far = float(np.hypot(*away)) * (own.pixel_size or 1.0) / self.diameter
        if far > _FARTHEST:
            raise InputError(
                f"proposal {row.id} would be moved by {far:.1f} diameters",
                "are rows mixed up? To add a particle, leave its id empty",
            )
        self._inside(row.xy, own)
        return row.xy

    def _take_place(self, row: Row) -> None:
        assert row.xy is not None
        own = find_micrograph(self.micrographs, row.micrograph)
        if own.shape is None or own.pixel_size is None:
            raise InputError(f"{own.name} could not be read", "see `cryomae active status`")
        self._inside(row.xy, own)
        same = SAME * self.diameter / own.pixel_size
        for other, _ in self._by_place.setdefault(own.id, []):
            if other.xy is not None and np.hypot(*np.subtract(row.xy, other.xy)) <= same:
                if other.kind != row.kind:
                    raise InputError(
                        f"the same place has another answer in row {other.number}",
                        "keep one of them",
                    )
                return
        self._by_place[own.id].append((row, own.id))
        candidate = self._candidate_at(row.xy, own, same)
        if row.kind == "confirm":
            self._add(row, own, candidate)
            return
        if candidate is None and row.kind == "reject":
            candidate = self._ground_at(row.xy, own)
        if candidate is None:
            self.nowhere += 1
        else:
            self._write(row, candidate, "confirm", None, own)

    def _add(self, row: Row, own: SessionMicrograph, candidate: int | None) -> None:
        """A particle stays where it was clicked, even if a candidate is near."""
        assert row.xy is not None
        if self._stands(candidate) == "confirm":
            self.repeated += 1
            return
        if candidate is not None:
            self._note(row, candidate, "confirm", own)
        self.answers.append(Answer("add", micrograph=own.id, xy=row.xy))

    def _candidate_at(
        self, xy: tuple[float, float], own: SessionMicrograph, same: float
    ) -> int | None:
        """Nearest candidate or placed particle at a place, answered ones first."""
        found: list[tuple[bool, float, int]] = []
        there = self.session.pool.xy[own.first : own.first + own.count]
        away = np.hypot(*(there - np.asarray(xy, np.float32)).T)
        for i in np.flatnonzero(away <= same):
            id_ = own.first + int(i)
            found.append((not self._stands(id_), float(away[i]), id_))
        for entry in self._placed.get(own.id, ()):
            far = float(np.hypot(*np.subtract(entry.xy, xy)))
            if far <= same:
                found.append((not self._stands(-entry.id), far, -entry.id))
        return min(found)[2] if found else None

    def _ground_at(self, xy: tuple[float, float], own: SessionMicrograph) -> int | None:
        """Candidate that stands for a place without a particle: near, or bare ground beside it."""
        pool = self.session.pool
        rows = np.arange(own.first, own.first + own.count)
        away = np.hypot(*(pool.xy[rows] - np.asarray(xy, np.float32)).T)
        away *= (own.pixel_size or 1.0) / self.diameter
        near = away <= _NEAR
        near |= (away <= _GROUND) & (pool.kind[rows] != KINDS.index("peak"))
        return int(rows[near][away[near].argmin()]) if near.any() else None

    def _stands(self, candidate: int | None) -> str:
        """What is known of a candidate: confirm, reject, skip or nothing."""
        if candidate is None:
            return ""
        entry = self.state.answers.get(candidate)
        if entry is not None:
            return "reject" if entry.kind == "move" and candidate < 0 else entry.kind
        return "confirm" if candidate in self.state.particles else ""

    def _write(
        self,
        row: Row,
        candidate: int,
        confirm: str,
        xy: tuple[float, float] | None,
        own: SessionMicrograph,
    ) -> None:
        kind = confirm if row.kind == "confirm" else row.kind
        entry = self.state.answers.get(candidate)
        stands = self._stands(candidate)
        moved_there = entry is not None and kind == "move" == entry.kind and _close(entry.xy, xy)
        if (stands == kind and kind != "move") or moved_there:
            self.repeated += 1
            return
        self._note(row, candidate, kind, own)
        self.answers.append(Answer(kind, candidate, xy=xy))

    def _note(self, row: Row, candidate: int, kind: str, own: SessionMicrograph) -> None:
        """Remember a contradiction, if this is one."""
        stands = self._stands(candidate)
        if "skip" in (stands, kind) or not stands:
            return
        if (stands == "reject") != (kind == "reject"):
            entry = self.state.answers.get(candidate)
            who = f" by {entry.annotator}" if entry else ""
            what = f"proposal {row.id}" if row.id is not None else f"a place in {own.name}"
            self.contradictions.append(
                f"row {row.number}: {what} was {_SAID[stands]}{who}, and is {_SAID[kind]} now"
            )

    def _inside(self, xy: tuple[float, float], own: SessionMicrograph) -> None:
        if own.shape is None:
            return
        rows, columns = own.shape
        if not (-0.5 <= xy[0] <= columns - 0.5 and -0.5 <= xy[1] <= rows - 0.5):
            raise InputError(
                f"x {xy[0]:g}, y {xy[1]:g} lies off {own.name}, which has {columns} × {rows} pixels"
            )


def _close(a: Iterable[float], b: tuple[float, float] | None) -> bool:
    return b is not None and bool((np.abs(np.subtract(tuple(a), b)) <= _ROUNDED).all())


_SAID = {"confirm": "confirmed", "reject": "rejected", "move": "confirmed and moved"}
