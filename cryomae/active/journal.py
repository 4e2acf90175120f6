"""The journal of a session, and what stands when it is read from the start.

Nothing in the journal is ever changed or taken out: undo and redo are entries as well. What
stands follows from the entries alone, so it is the same wherever and whenever it is computed.

Ids: candidate i of the pool is i; a particle that a user placed has the id of the entry that
placed it, negative. Such ids stay what they are whatever is encoded, added or undone later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

Verdict = Literal["confirm", "reject", "skip", "move"]
Kind = Literal[
    "confirm", "reject", "skip", "move", "add", "exclude", "include", "threshold", "undo", "redo"
]

VERDICTS: tuple[str, ...] = get_args(Verdict)
"""Answers on a candidate."""

KINDS: tuple[str, ...] = get_args(Kind)
"""All that a journal can hold."""

PLACES = ("add", "move")
"""Kinds that place a particle."""


@dataclass(frozen=True)
class Answer:
    """What a user does, before it is written down.

    Attributes
    ----------
    kind : str
        Of `KINDS`, but undo and redo.
    candidate : int, optional
        Id, for the `VERDICTS`.
    micrograph : int or str, optional
        Id or name, for add, exclude and include; for a threshold if it is of this one alone.
    xy : tuple of float, optional
        Pixels of the file, for add and move.
    value : float, optional
        Score, for a threshold; None for the one that the training chose, or that of all.
    """

    kind: str
    candidate: int | None = None
    micrograph: int | str | None = None
    xy: tuple[float, float] | None = None
    value: float | None = None


@dataclass(frozen=True)
class Entry:
    """A line of the journal.

    Attributes
    ----------
    id : int
        1, 2, 3 ...
    time : str
        UTC, as ISO 8601.
    annotator : str
        Who did it.
    kind : str
        Of `KINDS`.
    candidate : int or None
        Candidate that was answered, if it is one of the pool's.
    micrograph : int or None
        Id of the micrograph.
    x, y : float or None
        Where, in pixels of the file; for a move, where to.
    proposal : int or None
        Id of the proposal that this answers.
    target : int or None
        Entry that this is about: what is undone or redone, or what placed the particle that
        is answered.
    value : float or None
        Of a threshold.
    """

    id: int
    time: str
    annotator: str
    kind: str
    candidate: int | None = None
    micrograph: int | None = None
    x: float | None = None
    y: float | None = None
    proposal: int | None = None
    target: int | None = None
    value: float | None = None

    @property
    def about(self) -> int | None:
        """Id of the candidate or placed particle that was answered; None for other kinds."""
        if self.kind not in VERDICTS:
            return None
        return -self.target if self.candidate is None and self.target else self.candidate

    @property
    def places(self) -> int | None:
        """Id of the particle that this entry placed, if it did."""
        return -self.id if self.kind in PLACES else None

    @property
    def xy(self) -> tuple[float, float]:
        """Place in pixels of the file."""
        assert self.x is not None
        assert self.y is not None
        return self.x, self.y


@dataclass(frozen=True)
class State:
    """What stands.

    Attributes
    ----------
    standing : tuple of Entry
        All that was done and is not undone, in order.
    undone : tuple of Entry
        What can be redone, the next one last.
    answers : mapping of int to Entry
        Newest answer of every candidate and placed particle.
    placed : tuple of Entry
        Entries that placed a particle, in order, whether it still counts or not.
    particles : frozenset of int
        Those that count: nobody rejected, skipped or moved them since.
    excluded : frozenset of int
        Micrographs that are left out.
    thresholds : mapping of int or None to float
        Scores that picks must reach, by micrograph; that of None is for all others. What is
        not there was not chosen by the user.
    """

    standing: tuple[Entry, ...] = ()
    undone: tuple[Entry, ...] = ()
    answers: Mapping[int, Entry] = field(default_factory=dict)
    placed: tuple[Entry, ...] = ()
    particles: frozenset[int] = frozenset()
    excluded: frozenset[int] = frozenset()
    thresholds: Mapping[int | None, float] = field(default_factory=dict)

    @property
    def next_undo(self) -> Entry | None:
        """What `undo` would take back."""
        return self.standing[-1] if self.standing else None

    def unlearnt(self, learnt: int) -> int:
        """Entries after the entry ``learnt`` that a training would learn from or leave out."""
        return sum(e.id > learnt and e.kind != "threshold" for e in self.standing)

    @property
    def next_redo(self) -> Entry | None:
        """What `redo` would do again."""
        return self.undone[-1] if self.undone else None


def replay(entries: Sequence[Entry]) -> State:
    """Read a journal from the start.

    A new entry after an undo gives up what was undone, as in an editor.
    """
    standing: list[Entry] = []
    undone: list[Entry] = []
    for entry in entries:
        if entry.kind == "undo":
            if standing and standing[-1].id == entry.target:
                undone.append(standing.pop())
        elif entry.kind == "redo":
            if undone and undone[-1].id == entry.target:
                standing.append(undone.pop())
        else:
            standing.append(entry)
            undone.clear()
    answers: dict[int, Entry] = {}
    excluded: set[int] = set()
    thresholds: dict[int | None, float] = {}
    for entry in standing:
        if entry.about is not None:
            answers[entry.about] = entry
        elif entry.kind == "exclude" and entry.micrograph is not None:
            excluded.add(entry.micrograph)
        elif entry.kind == "include" and entry.micrograph is not None:
            excluded.discard(entry.micrograph)
        elif entry.kind == "threshold" and entry.value is not None:
            thresholds[entry.micrograph] = entry.value
        elif entry.kind == "threshold":
            thresholds.pop(entry.micrograph, None)
    placed = tuple(e for e in standing if e.kind in PLACES)
    return State(
        tuple(standing),
        tuple(undone),
        answers,
        placed,
        _particles(placed, answers),
        frozenset(excluded),
        thresholds,
    )


def _particles(placed: Sequence[Entry], answers: Mapping[int, Entry]) -> frozenset[int]:
    """Ids of the placed particles that count.

    One that was moved there counts while the move is the newest answer on what was moved, and
    that itself would be there but for the move.
    """
    there: set[int] = set()
    for entry in placed:
        origin = entry.about
        if origin is None or (answers[origin].id == entry.id and (origin >= 0 or origin in there)):
            there.add(-entry.id)
    return frozenset(p for p in there if p not in answers or answers[p].kind == "confirm")
