"""Somebody who answers proposals: where they are, and what each key does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryomae.active.words import SAID, describe

if TYPE_CHECKING:
    from cryomae.active.journal import Answer
    from cryomae.active.records import Proposal
    from cryomae.active.session import Session

ANSWERS = {"y": "confirm", "n": "reject", "s": "skip"}
"""Keys that answer."""

HELP = "y confirm   n reject   s skip   b back   u undo   r redo   q quit"

_ARROWS = {"\x1b[D": "b", "\x1bOD": "b"}
_FEW = 3  # waiting proposals at which more are fetched


@dataclass
class Sitting:
    """Where somebody is in answering proposals; knows keys, and nothing of how they are shown.

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

    @property
    def unlearnt(self) -> int:
        """Entries of the journal that no training knows, thresholds aside."""
        versions = self.session.versions
        return self.session.answers.unlearnt(versions[-1].journal if versions else 0)

    @property
    def due(self) -> bool:
        """Whether it is time to learn: a batch was answered since the last training."""
        return len(self.session.labels.rows) > 0 and self.unlearnt >= self.session.settings.batch

    def extend(self, more: Sequence[Proposal]) -> None:
        """Put more proposals behind."""
        self.proposals.extend(more)
        self._place = {p.candidate: i for i, p in enumerate(self.proposals)}

    def fetch(self, count: int | None = None) -> list[Proposal]:
        """Put more proposals behind, up to ``count`` that wait; default the session's batch."""
        queue = self.session.propose(count)
        more = [p for p in queue if p.candidate not in self._place]
        self.extend(more)
        return more

    def top_up(self) -> None:
        """Fetch more, if few are left and there is anything to propose from."""
        left = sum(not self.answer_of(p) for p in self.proposals[self.at :])
        if left < _FEW and len(self.session.pool):
            self.fetch()

    def renew(self) -> None:
        """After a training: what is shown stays, and behind it come those of the new version."""
        del self.proposals[self.at + 1 :]
        self.extend([])
        self.fetch()

    def do(self, answer: Answer) -> None:
        """Write down an answer on anything; on to the next proposal if it was on this one."""
        self.session.answer_many([answer])
        self.message = SAID[answer.kind].capitalize() + "."
        if self.current is not None and self.current.candidate == answer.candidate:
            self._go_on(self.at)

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
        self.message = f"Proposal {self.current.id}: {SAID[kind]}."
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
