"""What a user does to a session: each action is in the journal before the call returns."""

from __future__ import annotations

from collections.abc import Sequence

from cryomae.active import tables
from cryomae.active.answering import write_down
from cryomae.active.journal import Answer, Entry
from cryomae.active.records import Proposal
from cryomae.active.view import SessionView


class Answering(SessionView):
    """A session that can be answered to; see `cryomae.active.session.Session`."""

    def answer(
        self,
        candidate: int | Proposal,
        kind: str,
        xy: tuple[float, float] | None = None,
    ) -> Entry:
        """Answer on a candidate, proposed or not.

        Parameters
        ----------
        candidate : int or Proposal
            Row of the pool, or for a placed particle ``Entry.places``, which stays the same
            when more micrographs are encoded.
        kind : str
            ``confirm``, ``reject``, ``skip`` or ``move``.
        xy : tuple of float, optional
            Where to, for a move: pixels of the file.

        Raises
        ------
        InputError
            If there is no such candidate or answer.
        OutputError
            If it cannot be written; it does not count then.
        """
        id_ = candidate.candidate if isinstance(candidate, Proposal) else int(candidate)
        return self.answer_many([Answer(kind, id_, xy=xy)])[0]

    def add(self, micrograph: int | str, x: float, y: float) -> Entry:
        """Place a particle that nobody proposed; pixels of the file."""
        return self.answer_many([Answer("add", micrograph=micrograph, xy=(x, y))])[0]

    def remove(self, candidate: int | Proposal) -> Entry:
        """Reject a pick that was not proposed."""
        return self.answer(candidate, "reject")

    def exclude(self, micrograph: int | str) -> Entry:
        """Leave a micrograph out: no proposals in it, and no picks."""
        return self.answer_many([Answer("exclude", micrograph=micrograph)])[0]

    def include(self, micrograph: int | str) -> Entry:
        """Take a micrograph in again."""
        return self.answer_many([Answer("include", micrograph=micrograph)])[0]

    def set_threshold(self, value: float | None, micrograph: int | str | None = None) -> Entry:
        """Choose the score that picks must reach.

        Parameters
        ----------
        value : float or None
            0 to 1. None goes back: for all, to the one that the newest training chose; for
            one micrograph, to that of all.
        micrograph : int or str, optional
            The only one that it is for.
        """
        return self.answer_many([Answer("threshold", micrograph=micrograph, value=value)])[0]

    def answer_many(self, answers: Sequence[Answer]) -> list[Entry]:
        """Write down several answers, all or none.

        Raises
        ------
        InputError
            If one of them names what is not there; none is written then.
        """
        with self._guard:
            known, when = self._content.known, tables.now()
            first = self._next_entry
            return self._write(
                [
                    write_down(answer, known, first + i, when, self.annotator)
                    for i, answer in enumerate(answers)
                ]
            )

    def undo(self) -> Entry | None:
        """Take back what was done last.

        Returns
        -------
        Entry or None
            What was taken back; None if there is nothing.
        """
        with self._guard:
            return self._step("undo", self._content.state.next_undo)

    def redo(self) -> Entry | None:
        """Do again what was taken back last, unless something else was done since.

        Returns
        -------
        Entry or None
            What is done again; None if there is nothing.
        """
        with self._guard:
            return self._step("redo", self._content.state.next_redo)

    @property
    def _next_entry(self) -> int:
        entries = self._content.entries
        return entries[-1].id + 1 if entries else 1

    def _write(self, entries: list[Entry]) -> list[Entry]:
        with self._content.store.writing() as connection:
            for entry in entries:
                tables.write_entry(connection, entry)
        self._content.add_entries(entries)
        return entries

    def _step(self, kind: str, target: Entry | None) -> Entry | None:
        if target is not None:
            now = tables.now()
            step = Entry(self._next_entry, now, self.annotator, kind, target=target.id)
            self._write([step])
        return target
