"""Rows of a session's tables as records, and back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cryomae.active.estimate import Estimate
from cryomae.active.journal import Entry
from cryomae.active.records import Proposal, SessionMicrograph, TrainedVersion
from cryomae.active.settings import SessionSettings
from cryomae.errors import FormatError

_MICROGRAPH = (
    "id, name, path, listed, pixel_size, defocus, ny, nx, state, cause, first, count, masked, "
    "size, mtime_ns, checksum"
)
_ENTRY = "id, time, annotator, kind, candidate, micrograph, x, y, proposal, target, value"
_PROPOSAL = "id, time, version, candidate, micrograph, x, y, strategy, reason, score"
_VERSION = "version, time, journal, positives, negatives, estimate, changed, seconds, remarks"

Descriptors = dict[int, tuple[float, NDArray[np.float16]]]
"""Logit and latents of placed particles, by the entry that placed them."""


def now() -> str:
    """UTC as ISO 8601, in milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def write_settings(connection: sqlite3.Connection, settings: SessionSettings) -> None:
    """Store the settings of a new session."""
    connection.execute("INSERT INTO settings VALUES ('settings', ?)", (settings.model_dump_json(),))


def read_settings(connection: sqlite3.Connection, path: Path) -> SessionSettings:
    """Read the settings.

    Raises
    ------
    FormatError
        If they are damaged.
    """
    row = connection.execute("SELECT value FROM settings WHERE key = 'settings'").fetchone()
    try:
        return SessionSettings.model_validate_json(row[0])
    except (TypeError, ValueError) as error:
        raise FormatError("its settings are damaged", "go back to a copy of it", path) from error


def write_micrographs(connection: sqlite3.Connection, many: Iterable[SessionMicrograph]) -> None:
    """Store micrographs; one that is there already is replaced."""
    marks = ", ".join("?" * len(_MICROGRAPH.split(", ")))
    connection.executemany(
        f"INSERT OR REPLACE INTO micrographs ({_MICROGRAPH}) VALUES ({marks})",
        [
            (
                m.id, m.name, str(m.path), m.listed, m.pixel_size, m.defocus,
                *(m.shape or (None, None)), m.state, m.cause, m.first, m.count, m.masked,
                m.size, m.mtime_ns, m.checksum,
            )
            for m in many
        ],
    )  # fmt: skip


def read_micrographs(connection: sqlite3.Connection) -> list[SessionMicrograph]:
    """Read all micrographs, in order of their ids."""
    found = []
    for row in connection.execute(f"SELECT {_MICROGRAPH} FROM micrographs ORDER BY id"):
        (id_, name, path, listed, pixel_size, defocus, ny, nx, state, cause, first, count,
         masked, size, mtime_ns, checksum) = row  # fmt: skip
        shape = None if ny is None else (ny, nx)
        found.append(
            SessionMicrograph(
                id_, name, Path(path), listed, pixel_size, defocus, shape, state, cause, first,
                count, masked, size, mtime_ns, checksum,
            )
        )  # fmt: skip
    return found


def write_entry(connection: sqlite3.Connection, entry: Entry) -> None:
    """Append to the journal."""
    marks = ", ".join("?" * len(fields(Entry)))
    values = tuple(getattr(entry, field.name) for field in fields(Entry))
    connection.execute(f"INSERT INTO journal ({_ENTRY}) VALUES ({marks})", values)


def read_journal(connection: sqlite3.Connection) -> list[Entry]:
    """Read the journal from the start."""
    return [Entry(*row) for row in connection.execute(f"SELECT {_ENTRY} FROM journal ORDER BY id")]


def write_proposals(connection: sqlite3.Connection, proposals: Sequence[Proposal]) -> None:
    """Append proposals."""
    marks = ", ".join("?" * len(fields(Proposal)))
    connection.executemany(
        f"INSERT INTO proposals ({_PROPOSAL}) VALUES ({marks})",
        [tuple(getattr(p, field.name) for field in fields(Proposal)) for p in proposals],
    )


def read_proposals(connection: sqlite3.Connection) -> list[Proposal]:
    """Read all proposals, in order."""
    found = connection.execute(f"SELECT {_PROPOSAL} FROM proposals ORDER BY id")
    return [Proposal(*row) for row in found]


def write_version(connection: sqlite3.Connection, version: TrainedVersion, head: bytes) -> None:
    """Store what was learnt."""
    v = version
    connection.execute(
        f"INSERT INTO versions ({_VERSION}, head) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            v.version, v.time, v.journal, v.positives, v.negatives,
            json.dumps(asdict(v.estimate)), v.changed, v.seconds, v.remarks, head,
        ),
    )  # fmt: skip


def read_versions(connection: sqlite3.Connection, path: Path) -> list[TrainedVersion]:
    """Read what was learnt, the first training first.

    Raises
    ------
    FormatError
        If an estimate is damaged.
    """
    found = []
    known = {field.name for field in fields(Estimate)}
    for row in connection.execute(f"SELECT {_VERSION} FROM versions ORDER BY version"):
        *before, estimate, changed, seconds, remarks = row
        try:
            values = {k: v for k, v in json.loads(estimate).items() if k in known}
            version, time, journal, positives, negatives = before
            found.append(
                TrainedVersion(
                    version,
                    time,
                    journal,
                    positives,
                    negatives,
                    Estimate(**values),
                    changed,
                    seconds,
                    remarks,
                )
            )
        except (TypeError, ValueError) as error:
            raise FormatError(
                f"what it says of version {before[0]} is damaged", "go back to a copy of it", path
            ) from error
    return found


def read_head(connection: sqlite3.Connection, version: int) -> bytes:
    """Read the stored model of a version."""
    (found,) = connection.execute(
        "SELECT head FROM versions WHERE version = ?", (version,)
    ).fetchone()
    return bytes(found)


def write_descriptors(connection: sqlite3.Connection, found: Descriptors) -> None:
    """Store logit and latents of placed particles."""
    connection.executemany(
        "INSERT OR REPLACE INTO descriptors VALUES (?, ?, ?)",
        [(entry, logit, np.asarray(z, "<f2").tobytes()) for entry, (logit, z) in found.items()],
    )


def read_descriptors(connection: sqlite3.Connection) -> Descriptors:
    """Read logit and latents of placed particles."""
    return {
        entry: (logit, np.frombuffer(latents, "<f2"))
        for entry, logit, latents in connection.execute("SELECT * FROM descriptors")
    }
