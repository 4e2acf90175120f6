"""Which micrographs have arrived, and are whole.

Folders are looked at again and again: on network file systems nobody tells that a file has
arrived. A file is whole if its size and date have stood still for a while and its header
promises no more data than there are.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryomae.batch.log import logger
from cryomae.errors import CryomaeError
from cryomae.io import find_micrographs, read_header
from cryomae.micrograph import MicrographRef

SETTLED = 2.0
"""Seconds for which a file must have stood still."""

PATIENCE = 60.0
"""Seconds after which a file that has stood still, but is not whole, is taken for damaged."""

OLD = 600.0
"""Seconds after which a file that was picked is not looked at any more: it will not change."""

State = tuple[int, int]


@dataclass
class _Seen:
    """A file that is watched.

    Attributes
    ----------
    state : (int, int)
        Size in bytes and date in ns.
    since : float
        When it was first seen in this state.
    handed : State or None
        The state in which it was handed on.
    """

    state: State
    since: float
    handed: State | None = None


@dataclass
class Arrivals:
    """Micrographs that arrive in a folder, or in a list that grows.

    Attributes
    ----------
    inputs : sequence of str
        As for `find_micrographs`.
    clock : callable
        Seconds that pass.
    """

    inputs: Sequence[str]
    clock: Callable[[], float] = time.monotonic
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _refs: list[MicrographRef] = field(default_factory=list)
    _listed: tuple[object, ...] = ()
    _complaint: str = ""

    def ready(self, most: int) -> list[MicrographRef]:
        """Micrographs that can be picked, those that have waited longest first.

        One that was handed on comes again if its file has changed since.

        Parameters
        ----------
        most : int
            Give no more than so many; the others come next time.
        """
        self._list()
        now = self.clock()
        whole = []
        for ref in self._refs:
            seen = self._look(ref, now)
            if seen is None or seen.handed == seen.state or now - seen.since < SETTLED:
                continue
            if now - seen.since > PATIENCE or _is_whole(ref.path):
                whole.append((seen.since, ref, seen))
        whole.sort(key=lambda one: one[0])
        for _, _, seen in whole[:most]:
            seen.handed = seen.state
        return [ref for _, ref, _ in whole[:most]]

    @property
    def coming(self) -> int:
        """Micrographs that are there, but were not handed on yet."""
        return sum(seen.handed != seen.state for seen in self._seen.values())

    def _list(self) -> None:
        """Find the micrographs, as far as there are any yet."""
        stars = [Path(text) for text in self.inputs if text.lower().endswith(".star")]
        if len(stars) == len(self.inputs):
            # A long list is read only when it has changed, or names files that were not there.
            listed = tuple(_state(path) for path in stars)
            if listed == self._listed and None not in listed:
                return
            self._listed = listed
        try:
            self._refs, errors = find_micrographs(self.inputs)
        except CryomaeError as error:  # perhaps it is just being written
            self._listed = ()
            self._complain(str(error))
            return
        if errors and stars:
            self._listed = ()
        self._complain("")

    def _complain(self, text: str) -> None:
        if text and text != self._complaint:
            logger.warning("%s; tried again", text)
        self._complaint = text

    def _look(self, ref: MicrographRef, now: float) -> _Seen | None:
        key = str(ref.path)
        before = self._seen.get(key)
        if before is not None and before.handed == before.state and now - before.since > OLD:
            return before
        state = _state(ref.path)
        if state is None:
            self._seen.pop(key, None)
            return None
        if before is None or before.state != state:
            handed = None if before is None else before.handed
            before = self._seen[key] = _Seen(state, now, handed)
        return before


def _state(path: Path) -> State | None:
    """Size and date; the file is opened, because only then network file systems look anew."""
    try:
        file = os.open(path, os.O_RDONLY)
        try:
            found = os.fstat(file)
        finally:
            os.close(file)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _is_whole(path: Path) -> bool:
    """Whether the header can be read and promises no more than there is.

    Of a compressed file the header does not tell; reading it finds out.
    """
    try:
        return read_header(path).problem is None
    except CryomaeError:
        return False
