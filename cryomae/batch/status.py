"""How far a run is, from what its processes wrote down."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from cryomae.batch.ledger import History, read_ledger
from cryomae.batch.record import read_config
from cryomae.errors import InputError

_RECENT = 600.0  # seconds over which a rate is taken
_SILENT = 3600.0  # seconds after which a process of another machine is taken for dead


@dataclass
class RunStatus:
    """What is done, failed, going on and ahead.

    Attributes
    ----------
    folder : Path
    total : int or None
        Micrographs of the run; None where no run has begun.
    picked : int
    failed : list of (str, History)
        Micrographs that failed, and why.
    going : list of (str, History)
        Micrographs that are being picked.
    cut_off : list of (str, History)
        Micrographs whose process ended with them, and that will be tried again.
    again : int
        Micrographs that took more than one attempt.
    attempts : int
        Of all micrographs.
    seconds : float
        Median time of a micrograph.
    per_minute : float
        Micrographs in a minute, over the last ten.
    complete : bool
        Whether picks and lists are written.
    processes : int
        Processes that took part.
    by_host : dict of str to int
        Micrographs dealt with by each machine.
    """

    folder: Path
    total: int | None = None
    picked: int = 0
    failed: list[tuple[str, History]] = field(default_factory=list)
    going: list[tuple[str, History]] = field(default_factory=list)
    cut_off: list[tuple[str, History]] = field(default_factory=list)
    again: int = 0
    attempts: int = 0
    seconds: float = 0.0
    per_minute: float = 0.0
    complete: bool = False
    processes: int = 0
    by_host: dict[str, int] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """Micrographs that nobody has begun with, and those to be tried again."""
        known = self.picked + len(self.failed) + len(self.going)
        return max(0, (self.total or known) - known)


def read_status(folder: Path, now: float | None = None) -> RunStatus:
    """Read how far a run is; nothing is written, and the run does not notice.

    Parameters
    ----------
    folder : Path
        Output folder of the run.
    now : float, optional
        Seconds since the epoch; default the present.

    Raises
    ------
    InputError
        If the folder holds no run.
    """
    config = read_config(folder / "config.yaml")
    if not config:
        raise InputError("holds no run of cryomae pick", "name its --output folder", folder)
    now = time.time() if now is None else now
    ledger = read_ledger(folder / "ledger")
    total = config.get("micrographs")
    status = RunStatus(folder, total if isinstance(total, int) else None)
    status.complete = config.get("complete") is True
    status.processes = len(ledger.processes)
    times, recent = [], 0
    for name, history in ledger.histories.items():
        status.attempts += history.attempts
        status.again += history.attempts > 1
        if history.event == "picked":
            status.picked += 1
            times.append(history.seconds)
        elif history.event == "failed":
            status.failed.append((name, history))
        elif history.event == "begin":
            alive = _alive(history, now)
            (status.going if alive else status.cut_off).append((name, history))
        recent += history.event in ("picked", "failed") and now - history.at < _RECENT
    # Micrographs that are not there are no part of the ledger, but of the list.
    missing = config.get("not_found")
    if isinstance(missing, list):
        status.failed += [(str(m.get("name")), _missing(m)) for m in missing if isinstance(m, dict)]
    status.seconds = sorted(times)[len(times) // 2] if times else 0.0
    begun = min((p["first"] for p in ledger.processes), default=now)
    status.per_minute = 60 * recent / max(1.0, min(_RECENT, now - begun))
    for process in ledger.processes:
        done = process["picked"] + process["failed"]
        status.by_host[process["host"]] = status.by_host.get(process["host"], 0) + done
    return status


def _missing(content: dict[str, str]) -> History:
    return History(event="failed", cause=content.get("cause", ""), remedy=content.get("remedy", ""))


def _alive(history: History, now: float) -> bool:
    host, _, pid = history.where.rpartition("-")
    if host == socket.gethostname().split(".")[0]:
        return pid.isdigit() and psutil.pid_exists(int(pid))
    return now - history.at < _SILENT
