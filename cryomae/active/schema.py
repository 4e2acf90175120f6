"""Tables of a session's database, and how those of older versions become today's.

A new session goes through all steps as well, so there is one way only to today's tables.
A step that was released is never changed: a new one is added.
"""

from __future__ import annotations

import sqlite3

from cryomae.errors import FormatError

APPLICATION = 0x63724D41
"""Marks the file as ours (``PRAGMA application_id``)."""

_V1 = (
    "CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE micrographs (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, path TEXT NOT NULL, listed REAL,
        pixel_size REAL, ny INTEGER, nx INTEGER, state TEXT NOT NULL, cause TEXT NOT NULL,
        first INTEGER NOT NULL, count INTEGER NOT NULL,
        size INTEGER, mtime_ns INTEGER, checksum TEXT NOT NULL)""",
    """CREATE TABLE journal (
        id INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL, annotator TEXT NOT NULL,
        kind TEXT NOT NULL, candidate INTEGER, micrograph INTEGER, x REAL, y REAL,
        proposal INTEGER, target INTEGER)""",
    """CREATE TRIGGER journal_keeps BEFORE UPDATE ON journal
        BEGIN SELECT RAISE(ABORT, 'the journal is never changed'); END""",
    """CREATE TRIGGER journal_grows BEFORE DELETE ON journal
        BEGIN SELECT RAISE(ABORT, 'the journal is never changed'); END""",
    """CREATE TABLE proposals (
        id INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL, version INTEGER NOT NULL,
        candidate INTEGER NOT NULL, micrograph INTEGER NOT NULL, x REAL NOT NULL,
        y REAL NOT NULL, strategy TEXT NOT NULL, reason TEXT NOT NULL, score REAL NOT NULL)""",
    """CREATE TABLE versions (
        version INTEGER PRIMARY KEY, time TEXT NOT NULL, journal INTEGER NOT NULL,
        positives INTEGER NOT NULL, negatives INTEGER NOT NULL, estimate TEXT NOT NULL,
        changed REAL NOT NULL, seconds REAL NOT NULL, head BLOB NOT NULL)""",
    """CREATE TABLE descriptors (
        entry INTEGER PRIMARY KEY, logit REAL NOT NULL, latents BLOB NOT NULL)""",
)
_V2 = (
    "ALTER TABLE micrographs ADD COLUMN defocus REAL",
    "ALTER TABLE micrographs ADD COLUMN masked REAL",
    "ALTER TABLE versions ADD COLUMN remarks TEXT NOT NULL DEFAULT ''",
)
_V3 = ("ALTER TABLE journal ADD COLUMN value REAL",)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_V1, _V2, _V3)
"""Statements that bring version i to version i + 1."""

VERSION = len(MIGRATIONS)
"""Version of today's tables."""


def version_of(connection: sqlite3.Connection) -> int:
    """Version of a database's tables; 0 where there are none."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    return int(found)


def check(connection: sqlite3.Connection, path: str) -> None:
    """Refuse what is no session, or one of a newer version.

    Raises
    ------
    FormatError
    """
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    if mark != APPLICATION:
        raise FormatError(
            "is no session of cryomae", "name one that `cryomae active new` made", path
        )
    found = version_of(connection)
    if found > VERSION:
        raise FormatError(
            f"was written by a newer cryomae (session version {found}, this one knows {VERSION})",
            "update cryomae, or go on where the session was made; nothing was changed",
            path,
        )


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables of an older version to today's, all or nothing."""
    found = version_of(connection)
    if found == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in MIGRATIONS[found:]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
