"""Proposals in a terminal: each crop drawn with half blocks, one key an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.color import Color
from rich.console import Group
from rich.style import Style
from rich.text import Text

from cryomae.active.crops import ACROSS
from cryomae.active.words import SAID, describe

if TYPE_CHECKING:
    from cryomae.active.records import Proposal
    from cryomae.active.session import Session

ANSWERS = {"y": "confirm", "n": "reject", "s": "skip"}
"""Keys that answer."""

HELP = "y confirm   n reject   s skip   b back   u undo   r redo   q quit"

_SHOWN = 2.0  # diameters across a picture: a terminal has few pixels
_RING = (255, 200, 60)
_LEAST = 20  # pixels of the side below which nothing can be judged
_PAPER = 0.12  # grey of what lies beyond the micrograph
_ARROWS = {"\x1b[D": "b", "\x1bOD": "b"}
_MARKS = {"confirm": ("●", "green"), "reject": ("×", "red"), "skip": ("–", "yellow")}


def picture(crop: NDArray[np.float32], side: int) -> Text:
    """Draw a crop with two pixels a character, the particle's circle dotted on it.

    Parameters
    ----------
    crop : ndarray, shape (n, n)
        See `cryomae.active.crops.View.crop`.
    side : int
        Pixels of the picture's side, an even number: so many columns, half as many rows.
    """
    grey = np.where(np.isnan(crop), _PAPER, crop)
    cut = round(len(grey) * (1 - _SHOWN / ACROSS) / 2)
    middle = Image.fromarray(grey[cut : len(grey) - cut, cut : len(grey) - cut].astype(np.float32))
    small = np.clip(np.asarray(middle.resize((side, side), Image.Resampling.BOX)), 0, 1)
    rgb = np.repeat((255 * small).astype(np.uint8)[..., None], 3, axis=2)
    centre, radius = (side - 1) / 2, side / _SHOWN / 2
    angle = np.linspace(0, 2 * np.pi, max(12, side // 3), endpoint=False) + 0.13
    row, column = (np.rint(centre + radius * f(angle)).astype(int) for f in (np.sin, np.cos))
    rgb[row, column] = _RING
    text = Text(no_wrap=True)
    for above, below in zip(rgb[::2], rgb[1::2], strict=True):
        for top, bottom in zip(above.tolist(), below.tolist(), strict=True):
            text.append("▀", Style(color=Color.from_rgb(*top), bgcolor=Color.from_rgb(*bottom)))
        text.append("\n")
    return text


def side_for(columns: int, lines: int, besides: int = 7) -> int:
    """Largest even side of a picture that a terminal of this size has room for, or 0.

    Parameters
    ----------
    columns, lines : int
        Of the terminal.
    besides : int
        Lines for the words round the picture.
    """
    side = min(columns - 1, 2 * (lines - besides), 120) // 2 * 2
    return side if side >= _LEAST else 0


@dataclass
class Sitting:
    """Where somebody is in answering proposals; knows keys, and nothing of terminals.

    Attributes
    ----------
    session : Session
    proposals : list of Proposal
        All of this sitting, in order.
    at : int
        Index of the one that is shown; the number of proposals when all are done.
    message : str
        What the last key did.
    finished : bool
        Whether to stop.
    """

    session: Session
    proposals: list[Proposal]
    at: int = 0
    message: str = ""
    finished: bool = False
    _place: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.extend([])

    @property
    def current(self) -> Proposal | None:
        """The proposal that is shown; None when all are done."""
        return self.proposals[self.at] if self.at < len(self.proposals) else None

    def extend(self, more: Sequence[Proposal]) -> None:
        """Put more proposals behind."""
        self.proposals.extend(more)
        self._place = {p.candidate: i for i, p in enumerate(self.proposals)}

    def has(self, proposal: Proposal) -> bool:
        """Whether a proposal is one of this sitting."""
        return proposal.candidate in self._place

    def press(self, key: str) -> None:
        """Do what a key stands for."""
        key = _ARROWS.get(key, key.lower())
        if key in ANSWERS and self.current is not None:
            self._answer(ANSWERS[key])
        elif key == "b":
            self.message = "" if self.at else "This is the first one."
            self.at = max(self.at - 1, 0)
        elif key in ("u", "r"):
            self._turn(back=key == "u")
        elif key in ("q", "\x03", "\x04"):
            self.finished = True
        else:
            self.message = f"The keys are: {HELP}"

    def answer_of(self, proposal: Proposal) -> str:
        """How a proposal is answered now; empty if it is not."""
        entry = self.session.answers.answers.get(proposal.candidate)
        return entry.kind if entry else ""

    def _answer(self, kind: str) -> None:
        assert self.current is not None
        if self.answer_of(self.current) != kind:
            self.session.answer(self.current.candidate, kind)
        self.message = f"{self.current.id} {SAID[kind]}"
        self._go_on(self.at)

    def _turn(self, *, back: bool) -> None:
        """Undo or redo, and show what it was about."""
        entry = self.session.undo() if back else self.session.redo()
        if entry is None:
            self.message = f"There is nothing to {'undo' if back else 'redo'}."
            return
        where = self._place.get(entry.about) if entry.about is not None else None
        self.message = (
            f"{'undone' if back else 'done again'}: {describe(entry, self.session.micrographs)}"
        )
        if where is not None:
            self.at = where
            if not back:
                self._go_on(where)

    def _go_on(self, after: int) -> None:
        """To the next one that has no answer."""
        order = (*range(after + 1, len(self.proposals)), *range(after))
        waiting = (i for i in order if not self.answer_of(self.proposals[i]))
        self.at = next(waiting, len(self.proposals))


def frame(
    sitting: Sitting,
    crop: NDArray[np.float32] | str,
    *,
    score: float,
    reason: str,
    micrograph: str,
    size: tuple[int, int],
) -> Group:
    """Everything that is shown for the current proposal.

    Parameters
    ----------
    sitting : Sitting
        Has a current proposal.
    crop : ndarray or str
        Or why there is none.
    score : float
        Chance that it is a particle.
    reason, micrograph : str
    size : tuple of int
        Columns and lines of the terminal.
    """
    proposal = sitting.current
    assert proposal is not None
    head = Text(no_wrap=True, overflow="ellipsis")
    head.append(f"{proposal.id}", "bold")
    head.append(f"   {reason}, score {score:.2f}")
    before = sitting.answer_of(proposal)
    if before:
        head.append(f"   {SAID.get(before, before)} before", "yellow")
    place = f"{micrograph}   x {proposal.x:.0f}, y {proposal.y:.0f}"
    name = Text(place if len(place) <= size[0] else "…" + place[1 - size[0] :], "bright_black",
                no_wrap=True)  # fmt: skip
    side = side_for(*size)
    shown: Text
    if isinstance(crop, str):
        shown = Text(f"\n{crop}\n", "red")
    elif not side:
        shown = Text("\nThe window is too small for the picture: make it larger.\n", "red")
    else:
        shown = picture(crop, side)
    return Group(head, name, shown, _marks(sitting, size[0]), Text(HELP, no_wrap=True,
                 overflow="ellipsis"), Text(sitting.message, "cyan"))  # fmt: skip


def _marks(sitting: Sitting, columns: int) -> Text:
    """A mark for each proposal, the current one in reverse; the last ones where there are many."""
    text = Text("", no_wrap=True)
    first = max(0, len(sitting.proposals) - (columns - 2) // 2)
    for i, proposal in enumerate(sitting.proposals[first:], first):
        mark, colour = _MARKS.get(sitting.answer_of(proposal), ("·", "white"))
        text.append(mark, f"{colour}{' reverse' if i == sitting.at else ''}")
        text.append(" ")
    return text
