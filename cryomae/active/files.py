"""Whether micrograph files of a session are still where, and what, they were.

Size and time of change are compared first, which costs nothing; only where they differ is the
file read and its checksum compared.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from cryomae.active.records import SessionMicrograph
from cryomae.errors import MicrographError
from cryomae.io.files import from_os_error

FileState = Literal["same", "touched", "changed", "missing"]


@dataclass(frozen=True)
class Problem:
    """A micrograph that is not what it was.

    Attributes
    ----------
    micrograph : int
        Id.
    name : str
    cause, remedy : str
        What to tell the user.
    """

    micrograph: int
    name: str
    cause: str
    remedy: str


def checksum(path: Path) -> str:
    """BLAKE2b of a file, 128 bits in hexadecimal.

    Raises
    ------
    MicrographError
        If it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise from_os_error(error, path) from error


def stamp(path: Path) -> tuple[int | None, int | None]:
    """Size in bytes and time of change in ns; None where there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None, None
    return found.st_size, found.st_mtime_ns


def look(micrograph: SessionMicrograph) -> FileState:
    """Compare a file with what is known of it, without reading it.

    ``touched`` may be the same content with another time, as after a copy.
    """
    size, mtime = stamp(micrograph.path)
    if size is None:
        return "missing"
    if micrograph.size is None or not micrograph.checksum:
        return "same"  # never encoded: whatever is there will be
    if size != micrograph.size:
        return "changed"
    return "same" if mtime == micrograph.mtime_ns else "touched"


def verify(micrograph: SessionMicrograph, session: Path) -> SessionMicrograph:
    """Make sure that a file is the one that was encoded.

    Returns
    -------
    SessionMicrograph
        With today's time of change, so that the file need not be read again.

    Raises
    ------
    MicrographError
        If it is not; says how to relink.
    """
    state = look(micrograph)
    if state == "touched":
        size, mtime = stamp(micrograph.path)
        if checksum(micrograph.path) == micrograph.checksum:
            return replace(micrograph, size=size, mtime_ns=mtime)
        state = "changed"
    if state == "same":
        return micrograph
    cause, remedy = explain(state, session)
    raise MicrographError(cause, remedy, micrograph.path)


def explain(state: FileState, session: Path) -> tuple[str, str]:
    """Cause and remedy of a file that is missing or changed."""
    relink = f"cryomae active relink {session} FOLDER"
    if state == "missing":
        return (
            "is no longer where it was when the session began",
            f"if it was moved: `{relink}`, with the folder that it is in now",
        )
    return (
        "has changed since the session encoded it",
        f"put the file back as it was, or `{relink}` with the folder that holds it; changed "
        "micrographs need a session of their own",
    )


def problems(
    micrographs: list[SessionMicrograph], session: Path, deep: bool = False
) -> list[Problem]:
    """Micrographs that are missing or changed.

    Parameters
    ----------
    micrographs : list of SessionMicrograph
    session : Path
        Folder of the session, for the remedy.
    deep : bool
        Read files whose time of change differs; else these are trusted.
    """
    found = []
    for micrograph in micrographs:
        state = look(micrograph)
        if state == "touched" and deep:
            try:
                verify(micrograph, session)
                continue
            except MicrographError as error:
                found.append(Problem(micrograph.id, micrograph.name, error.cause, error.remedy))
        elif state in ("missing", "changed"):
            cause, remedy = explain(state, session)
            found.append(Problem(micrograph.id, micrograph.name, cause, remedy))
    return found
