"""The ledger of a run: what was begun, and what became of it, whichever process did it.

Every process appends lines to a file of its own, and whoever wants to know reads all of them.
So nothing is ever locked: locks, and SQLite with them, cannot be relied on over NFS, Lustre
and GPFS, where a folder of micrographs commonly lies. A process that is killed leaves at most
one unfinished line, its last, which is left out. No two clocks are compared to decide
anything: a micrograph is done if any file holds a record of its present state, and has ended
a process if it was begun there and nothing came after.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from cryomae import __version__
from cryomae.atomic import OutputError
from cryomae.batch.log import logger
from cryomae.batch.record import Record

DEADLY = 2
"""Processes that a micrograph may end before it is left alone."""


class LedgerWriter:
    """The lines of this process; the file is made with the first of them.

    Parameters
    ----------
    folder : Path
        Folder of the ledger.
    device : str
        Where this process computes, for people.
    """

    def __init__(self, folder: Path, device: str = "") -> None:
        self._folder, self._device = folder, device
        self._file: int | None = None
        self._path = folder

    def begin(self, name: str) -> None:
        """Say that a micrograph is begun; without an end it is taken for what ended the process."""
        self._append({"event": "begin", "name": name})

    def picked(self, name: str, record: Record) -> None:
        """Say that the candidates of a micrograph are written; notes the memory in MiB, too."""
        memory = psutil.Process().memory_info().rss >> 20
        self._append({"event": "picked", "name": name, "record": asdict(record), "rss": memory})

    def failed(self, name: str, cause: str, remedy: str, seconds: float = 0.0) -> None:
        """Say why a micrograph has no picks, and after how many seconds that was known."""
        found = {"cause": cause, "remedy": remedy, "seconds": round(seconds, 3)}
        self._append({"event": "failed", "name": name, **found})

    def stopped(self, name: str) -> None:
        """Say that a micrograph was given up for a reason that is not its own."""
        self._append({"event": "stopped", "name": name})

    def _append(self, line: dict[str, Any]) -> None:
        try:
            if self._file is None:
                self._file = self._open()
            self._write({"at": round(time.time(), 3), **line})
        except OSError as error:
            raise OutputError.from_os_error(error, self._path) from error

    def _open(self) -> int:
        self._folder.mkdir(parents=True, exist_ok=True)
        host, pid = socket.gethostname().split(".")[0], os.getpid()
        self._path = self._folder / f"{host}-{pid}-{secrets.token_hex(3)}.jsonl"
        # In append mode a number that another process wrote meanwhile cannot be overwritten.
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        about = {"host": host, "pid": pid, "version": __version__, "device": self._device}
        self._write({"at": round(time.time(), 3), "event": "process", **about})
        return self._file

    def _write(self, line: dict[str, Any]) -> None:
        assert self._file is not None
        before = os.fstat(self._file).st_size
        data = (json.dumps(line) + "\n").encode()
        try:
            if os.write(self._file, data) < len(data):
                raise OSError(28, "No space left on device")
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, before)  # half a line would spoil the next one
            raise


@dataclass
class History:
    """What is known of one micrograph.

    Attributes
    ----------
    records : dict of str to Record
        Of each state of file and settings that it was picked in, by their key.
    attempts : int
        How often it was begun.
    deaths : int
        How often nothing came after that: the process was killed, or is still at it.
    event : str
        The latest: ``"begin"``, ``"picked"``, ``"failed"`` or ``"stopped"``.
    at : float
        When that was, in seconds since the epoch, by the clock of its machine.
    cause, remedy : str
        Of the latest failure.
    seconds : float
        That the latest attempt took.
    where : str
        Process of the latest event, as ``host-pid``.
    """

    records: dict[str, Record] = field(default_factory=dict)
    attempts: int = 0
    deaths: int = 0
    event: str = ""
    at: float = 0.0
    cause: str = ""
    remedy: str = ""
    seconds: float = 0.0
    where: str = ""


@dataclass
class Ledger:
    """Everything that the processes of a run wrote down.

    Attributes
    ----------
    histories : dict of str to History
        By the name of the micrograph.
    processes : list of dict
        Host, pid, version and device of each process, and its first and last time.
    """

    histories: dict[str, History] = field(default_factory=dict)
    processes: list[dict[str, Any]] = field(default_factory=list)

    def of(self, name: str) -> History:
        """History of a micrograph; an empty one where nothing is known."""
        return self.histories.get(name) or History()


def read_ledger(folder: Path, only: str | None = None) -> Ledger:
    """Merge the files of all processes.

    Parameters
    ----------
    folder : Path
        Folder of the ledger; it need not exist.
    only : str, optional
        The one micrograph that is wanted, which is quicker.
    """
    ledger = Ledger()
    for path in sorted(folder.glob("*.jsonl")):
        about: dict[str, Any] = {}
        open_names: list[str] = []
        for line in _lines(path, only):
            try:
                _take(ledger, line, about, open_names)
            except (KeyError, TypeError, ValueError):
                logger.warning("%s holds a line that is not understood; left out", path)
        for name in open_names:
            ledger.histories[name].deaths += 1
        if about:
            ledger.processes.append(about)
    return ledger


def _lines(path: Path, only: str | None) -> Iterator[dict[str, Any]]:
    """Whole lines; the last one of a killed process may be a part."""
    wanted = None if only is None else json.dumps(only)
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise OutputError(f"the ledger cannot be read: {error.strerror}", "", path) from error
    for number, line in enumerate(text.split("\n")[:-1]):
        if wanted is not None and number and wanted not in line:
            continue
        try:
            content = json.loads(line)
        except ValueError:
            logger.warning("%s holds a damaged line, which is left out", path)
            continue
        if isinstance(content, dict):
            yield content


def _take(
    ledger: Ledger, line: dict[str, Any], about: dict[str, Any], open_names: list[str]
) -> None:
    event, at = line["event"], float(line["at"])
    if event == "process":
        about.update(line, first=at, picked=0, failed=0)
        return
    about["last"] = at
    name = line["name"]
    history = ledger.histories.setdefault(name, History())
    if event == "begin":
        history.attempts += 1
        open_names.append(name)
    elif name in open_names:
        open_names.remove(name)
    if event == "picked":
        record = Record.of(line["record"])
        history.records[record.key] = record
    if event in ("picked", "failed"):
        about[event] = about.get(event, 0) + 1
    if at >= history.at:
        history.event, history.at = event, at
        history.where = f"{about.get('host', '?')}-{about.get('pid', '?')}"
        history.cause, history.remedy = line.get("cause", ""), line.get("remedy", "")
        seconds = line["record"]["seconds"] if event == "picked" else line.get("seconds", 0.0)
        history.seconds = float(seconds)
