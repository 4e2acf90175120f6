"""What is said when a session's folder cannot be written to."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

from cryomae.atomic import OutputError
from cryomae.errors import CryomaeError, FormatError

_KEPT = "; all that was acknowledged is kept"
_FULL = f"free some disk space or quota, then do it again{_KEPT}"
_RIGHTS = "copy the session's folder to a place that you may write to, and go on there"
_AGAIN = f"check the disk or the network mount, then do it again{_KEPT}"
_REMEDIES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: _FULL,
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: _RIGHTS,
}
_DATABASE = {
    sqlite3.SQLITE_FULL: ("cannot be written: the disk is full", _FULL),
    sqlite3.SQLITE_READONLY: ("cannot be written: it is read-only", _RIGHTS),
    sqlite3.SQLITE_PERM: ("cannot be written: permission denied", _RIGHTS),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", f"{_RIGHTS}; or free some disk space"),
    sqlite3.SQLITE_BUSY: (
        "another program has it open and locked",
        f"close that program, such as a database browser, then do it again{_KEPT}",
    ),
    sqlite3.SQLITE_IOERR: ("the disk does not answer as it should, or is full", _AGAIN),
}
_DAMAGED = (
    "is damaged, or no session of cryomae",
    "name the folder that `cryomae active new` made, or go back to a copy of it",
)


def refused(error: OSError, path: str | Path) -> OutputError:
    """Say in words why a file of a session could not be written."""
    reason = error.strerror or str(error)
    return OutputError(
        f"cannot be written: {reason}", _REMEDIES.get(error.errno or 0, _AGAIN), path
    )


def database_error(error: sqlite3.Error, path: str | Path) -> CryomaeError:
    """Say in words what is wrong with a session's database."""
    code = getattr(error, "sqlite_errorcode", None)
    known = _DATABASE.get(code & 0xFF) if isinstance(code, int) else None
    if known is None:
        return FormatError(f"{_DAMAGED[0]}: {error}", _DAMAGED[1], path)
    return OutputError(*known, path)
