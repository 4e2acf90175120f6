"""One process at a time writes to a session."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from cryomae.active.refusals import refused
from cryomae.atomic import OutputError, write_text
from cryomae.errors import CryomaeError

LOCK, OWNER = "session.lock", "session.owner.json"


class SessionLocked(CryomaeError):
    """Another process has the session open."""


class SessionLock:
    """The right to write to a session.

    It belongs to a process, and the operating system takes it back when that ends, however
    it ends. A file beside it says who has it, for the message to others.

    Parameters
    ----------
    folder : Path
        Of the session.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Not bound to a thread: a window may open a session in one and close it in another.
        self._lock = FileLock(folder / LOCK, timeout=0, thread_local=False)

    def acquire(self) -> None:
        """Take the lock.

        Raises
        ------
        SessionLocked
            If another process has it.
        OutputError
            If the folder cannot be written to.
        """
        try:
            self._lock.acquire()
        except Timeout as error:
            raise self._held() from error
        except OSError as error:
            raise refused(error, self._folder) from error
        owner = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        try:
            write_text(self._folder / OWNER, json.dumps(owner) + "\n")
        except OutputError as error:
            self._lock.release()
            cause = error.__cause__
            raise (refused(cause, self._folder) if isinstance(cause, OSError) else error) from error

    def release(self) -> None:
        """Give the lock back; nothing if it is not held."""
        if not self._lock.is_locked:
            return
        with suppress(OSError):  # it says who held it last; the lock itself is what counts
            (self._folder / OWNER).unlink(missing_ok=True)
        self._lock.release()

    def _held(self) -> SessionLocked:
        owner = read_owner(self._folder)
        who = "another process"
        if owner:
            who = f"process {owner.get('pid')} on {owner.get('host')} since {owner.get('since')}"
        return SessionLocked(
            f"the session is in use by {who}",
            "close that window or wait for that command to end; `cryomae active status` reads "
            "a session that is in use",
            self._folder,
        )


def read_owner(folder: Path) -> dict[str, Any]:
    """Who had the lock last: ``pid``, ``host`` and ``since``; empty if that is not known."""
    try:
        found = json.loads((folder / OWNER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
