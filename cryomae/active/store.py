"""The database of a session: SQLite in WAL mode, one transaction a user action."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryomae.active import schema
from cryomae.active.refusals import database_error, refused
from cryomae.errors import InputError

DATABASE = "session.sqlite"

_PATIENCE = 2.0  # seconds to wait for another program that has the database locked


class Store:
    """A connection to the database of a session.

    Parameters
    ----------
    path : Path
        The database.
    connection : Connection
        From `open_store` or `make_store`.
    writable : bool
        Whether `writing` is allowed.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, writable: bool) -> None:
        self.path = path
        self.writable = writable
        self._connection = connection
        self._one_at_a_time = threading.RLock()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read; errors of the database come out as errors that name it."""
        with self._one_at_a_time:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise database_error(error, self.path) from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: when the block ends it is on the disk, or nothing of it is.

        Raises
        ------
        OutputError
            If the disk is full or refuses; the session is as before.
        InputError
            If the session was opened for reading only.
        """
        self.check_writable()
        with self._one_at_a_time:
            connection = self._connection
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._roll_back()
                raise database_error(error, self.path) from error
            except BaseException:
                self._roll_back()
                raise

    def check_writable(self) -> None:
        """Refuse if the session was opened for reading only.

        Raises
        ------
        InputError
        """
        if not self.writable:
            raise InputError(
                "the session is open for reading only",
                "open it with write=True to answer or train",
                self.path.parent,
            )

    def _roll_back(self) -> None:
        if self._connection.in_transaction:  # a full disk may have rolled it back already
            self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close; the write-ahead log is folded into the database, so that one file is left."""
        with self._one_at_a_time:
            try:
                self._connection.close()
            except sqlite3.Error as error:
                raise database_error(error, self.path) from error


def make_store(folder: Path) -> Store:
    """Make the database of a new session in an existing folder."""
    path = folder / DATABASE
    return Store(path, _connect(path, f"{path.absolute().as_uri()}?mode=rwc", durable=True), True)


def open_store(folder: Path, write: bool) -> Store:
    """Open the database of a session, brought up to today's version.

    Raises
    ------
    InputError
        If there is none.
    FormatError
        If it is damaged, of a newer version, or something else.
    OutputError
        If it is to be written to and cannot be.
    """
    path = folder / DATABASE
    if not path.is_file():
        raise InputError(
            "is no session: it holds no session.sqlite",
            "name the folder that `cryomae active new` made",
            folder,
        )
    uri = path.absolute().as_uri()
    if write:
        return Store(path, _connect(path, f"{uri}?mode=rw", durable=True), True)
    try:
        connection = _connect(path, f"{uri}?mode=ro")
    except Exception:
        if os.access(folder, os.W_OK):
            raise
        connection = _connect_copy(path)
    return Store(path, connection, False)


def _connect(path: Path, uri: str, durable: bool = False) -> sqlite3.Connection:
    """Connect, check that it is a session, and bring it up to date."""
    connection = None
    try:
        connection = sqlite3.connect(
            uri, uri=True, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
        )
        new = "mode=rwc" in uri
        if not new:
            schema.check(connection, str(path))
        if durable:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            schema.migrate(connection)
        elif schema.version_of(connection) < schema.VERSION:
            # Who only reads changes nothing: an old session is brought up to date in memory.
            connection = _in_memory(connection)
            schema.migrate(connection)
        return connection
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        raise database_error(error, path) from error
    except BaseException:
        if connection is not None:
            connection.close()
        raise


def _in_memory(connection: sqlite3.Connection) -> sqlite3.Connection:
    copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.backup(copy)
    connection.close()
    return copy


def _connect_copy(path: Path) -> sqlite3.Connection:
    """Read a database whose folder cannot be written to.

    SQLite needs to write beside a database in WAL mode even to read it, so a copy is read.
    """
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / DATABASE
        try:
            shutil.copyfile(path, copy)
            log = path.with_name(f"{DATABASE}-wal")
            if log.exists():
                shutil.copyfile(log, copy.with_name(log.name))
        except OSError as error:
            raise refused(error, copy) from error
        connection = _connect(path, f"{copy.as_uri()}?mode=rw")
        return _in_memory(connection)
