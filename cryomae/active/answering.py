"""From what a user does to a line of the journal: checked first, so that nothing wrong gets in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from cryomae.active.journal import VERDICTS, Answer, Entry, State
from cryomae.active.records import SessionMicrograph
from cryomae.errors import InputError
from cryomae.names import stem


@dataclass(frozen=True)
class Known:
    """What answers are checked against.

    Attributes
    ----------
    micrographs : sequence of SessionMicrograph
    xy : ndarray, shape (n, 2)
        Candidates and placed particles, in pixels of the file.
    micrograph : ndarray of int, shape (n,)
    candidates : int
        Rows that are no placed particles.
    state : State
    proposals : mapping of int to int
        Newest proposal of a candidate.
    """

    micrographs: Sequence[SessionMicrograph]
    xy: NDArray[Any]
    micrograph: NDArray[Any]
    candidates: int
    state: State
    proposals: Mapping[int, int]


def write_down(answer: Answer, known: Known, id_: int, time: str, annotator: str) -> Entry:
    """Make the entry of an answer.

    Raises
    ------
    InputError
        If it names what is not there, lacks something or has too much; names the id.
    """
    if answer.kind in VERDICTS:
        return _on_candidate(answer, known, Entry(id_, time, annotator, answer.kind))
    if answer.kind == "threshold":
        return _threshold(answer, known, Entry(id_, time, annotator, answer.kind))
    if answer.kind not in ("add", "exclude", "include"):
        words = ", ".join((*VERDICTS, "add", "exclude", "include", "threshold"))
        raise InputError(f"there is no answer '{answer.kind}'", f"answers are {words}")
    if answer.micrograph is None or answer.candidate is not None:
        raise InputError(f"'{answer.kind}' is about a micrograph", "name it, and no candidate")
    own = find_micrograph(known.micrographs, answer.micrograph)
    x = y = None
    if answer.kind == "add":
        x, y = _place(answer, own)
    return Entry(id_, time, annotator, answer.kind, micrograph=own.id, x=x, y=y)


def find_micrograph(
    micrographs: Sequence[SessionMicrograph], which: int | str
) -> SessionMicrograph:
    """Micrograph of an id, a name, or a name without folder and ending if that is one only.

    Raises
    ------
    InputError
        If there is none.
    """
    if isinstance(which, int):
        if 0 <= which < len(micrographs):
            return micrographs[which]
        raise InputError(
            f"there is no micrograph {which} in the session",
            f"they are numbered 0 to {len(micrographs) - 1}",
        )
    found = [m for m in micrographs if m.name == which]
    found = found or [m for m in micrographs if stem(m.name) == stem(which)]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(
            f"'{which}' could be {found[0].name} or {found[1].name}", "give the whole name"
        )
    raise InputError(
        f"there is no micrograph '{which}' in the session",
        f"its names are such as '{micrographs[0].name}'",
    )


def _on_candidate(answer: Answer, known: Known, entry: Entry) -> Entry:
    if answer.candidate is None or answer.micrograph is not None:
        raise InputError(f"'{answer.kind}' is about a candidate", "name it, and no micrograph")
    row, candidate, target = _row(answer.candidate, known)
    own = known.micrographs[int(known.micrograph[row])]
    x, y = (float(v) for v in known.xy[row])
    if answer.kind == "move":
        x, y = _place(answer, own)
    elif answer.xy is not None:
        raise InputError(
            f"'{answer.kind}' of candidate {answer.candidate} has a place of its own",
            "only 'move' and 'add' take x and y",
        )
    proposal = None if candidate is None else known.proposals.get(candidate)
    return Entry(
        entry.id, entry.time, entry.annotator, entry.kind, candidate, own.id, x, y, proposal, target
    )


def _threshold(answer: Answer, known: Known, entry: Entry) -> Entry:
    value, which = answer.value, answer.micrograph
    if value is not None and not 0 <= value <= 1:
        raise InputError(f"a threshold of {value:g}", "scores are from 0 to 1")
    own = None if which is None else find_micrograph(known.micrographs, which).id
    return replace(entry, micrograph=own, value=value)


def _row(id_: int, known: Known) -> tuple[int, int | None, int | None]:
    """Row of an id; the candidate it is, or the entry that placed it."""
    placed = [p.id for p in known.state.placed]
    if 0 <= id_ < known.candidates:
        return id_, id_, None
    if known.candidates <= id_ < known.candidates + len(placed):
        return id_, None, placed[id_ - known.candidates]
    if -id_ in placed:
        return known.candidates + placed.index(-id_), None, -id_
    what = "candidate" if id_ >= 0 else "placed particle"
    raise InputError(
        f"there is no {what} {id_} in the session",
        f"candidates are numbered 0 to {known.candidates - 1}; `cryomae active propose` lists "
        "those that wait for an answer"
        if known.candidates
        else "no micrograph is encoded yet",
    )


def _place(answer: Answer, own: SessionMicrograph) -> tuple[float, float]:
    what = f"'{answer.kind}'" + (
        f" of candidate {answer.candidate}" if answer.candidate is not None else ""
    )
    if answer.xy is None:
        raise InputError(f"{what} needs a place", "give x and y in pixels of the micrograph")
    x, y = (float(v) for v in answer.xy)
    if own.shape is None or own.pixel_size is None:
        raise InputError(
            f"nothing can be placed in {own.name}: its size is not known",
            "see `cryomae active status` for what is wrong with it",
        )
    rows, columns = own.shape
    inside = -0.5 <= x <= columns - 0.5 and -0.5 <= y <= rows - 0.5
    if not (math.isfinite(x) and math.isfinite(y) and inside):
        raise InputError(
            f"{what}: x {x:g}, y {y:g} lies off {own.name}, which has {columns} × {rows} pixels",
            "x is the column and y the row, from 0, in pixels of the file",
        )
    return x, y
