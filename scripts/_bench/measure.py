"""Run a command and report its wall time, CPU time and peak memory.

This file is also the small fresh process that starts the command: Linux counts the memory
of a program's parent into the peak of the program, so the parent has to be tiny. It uses
the standard library alone and is run as

    python -I -S scripts/_bench/measure.py report.json log.txt -- sleep 1
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measured:
    """One run of a command.

    Attributes
    ----------
    command : list of str
    wall : float
        Seconds from start to exit, start-up included.
    cpu : float
        Seconds of user and system time, of all its processes.
    peak : float
        Largest resident memory of its largest process, in MB (1e6 bytes).
    started : float
        Seconds since the epoch.
    """

    command: list[str]
    wall: float
    cpu: float
    peak: float
    started: float


def measure(
    command: Sequence[str],
    folder: Path,
    name: str,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Measured:
    """Run ``command`` in a fresh process; its output goes to ``folder/name.log``.

    Raises
    ------
    RuntimeError
        If the command fails; the message holds the end of its output.
    """
    folder.mkdir(parents=True, exist_ok=True)
    report, log = folder / f"{name}.json", folder / f"{name}.log"
    own = [sys.executable, "-I", "-S", os.path.abspath(__file__)]
    parts = [*own, str(report.absolute()), str(log.absolute()), "--", *command]
    subprocess.run(parts, check=True, env=None if env is None else dict(env), cwd=cwd)
    got = json.loads(report.read_text())
    if got["returncode"]:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise RuntimeError(f"exit code {got['returncode']} of {' '.join(command)}\n{end}")
    return Measured(list(command), got["wall"], got["cpu"], got["peak"], got["started"])


def _main(report: str, log: str, command: list[str]) -> None:
    to_log = [
        (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    started, clock = time.time(), time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ, file_actions=to_log)
    _, status, usage = os.wait4(child, 0)
    wall = time.perf_counter() - clock
    with open(report, "w") as out:
        json.dump(
            {
                "command": command,
                "wall": wall,
                "cpu": usage.ru_utime + usage.ru_stime,
                "peak": usage.ru_maxrss * 1024 / 1e6,
                "started": started,
                "returncode": os.waitstatus_to_exitcode(status),
            },
            out,
            indent=1,
        )


if __name__ == "__main__":
    if len(sys.argv) < 5 or sys.argv[3] != "--":
        sys.exit(__doc__)
    _main(sys.argv[1], sys.argv[2], sys.argv[4:])
