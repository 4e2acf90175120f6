"""Results as a table on the screen, as JSON and as markdown."""

import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

Row = tuple[str, ...]


def machine() -> dict[str, str]:
    """Describe what the figures were measured on."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        models = [s for s in info.read_text().splitlines() if s.startswith("model name")]
        cpu = models[0].split(":", 1)[1].strip() if models else cpu
    load = os.getloadavg()[0]
    return {
        "date": datetime.now().astimezone().isoformat(timespec="minutes"),
        "CPU": f"{cpu}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1e9:.0f} GB",
        "load before the run": f"{load:.1f}",
        "system": platform.platform(),
        "Python": platform.python_version(),
        "torch": _version("torch"),
        "cryomae": _commit(),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    here = Path(__file__).parent
    git = ["git", "-C", str(here), "describe", "--always", "--dirty"]
    done = subprocess.run(git, capture_output=True, text=True)
    return done.stdout.strip() or "unknown commit"


def spread(values: Iterable[float], unit: str = "s") -> str:
    """Median with least and largest."""
    v = sorted(values)
    middle = (v[(len(v) - 1) // 2] + v[len(v) // 2]) / 2
    if len(v) == 1:
        return f"{middle:.1f} {unit} (one run)"
    return f"{middle:.1f} {unit} ({v[0]:.1f}–{v[-1]:.1f})"


def figure(value: float, bounds: list[float]) -> str:
    """Give a value with its interval, if it has one."""
    if bounds[0] == bounds[1]:
        return f"{value:.3f}"
    return f"{value:.3f} [{bounds[0]:.3f}, {bounds[1]:.3f}]"


def verdict(reached: bool) -> str:
    """Say whether a target is reached."""
    return "yes" if reached else "NO"


def write(
    output: Path,
    results: dict[str, Any],
    tables: dict[str, list[Row]],
    title: str = "Benchmark of `cryomae pick`",
) -> None:
    """Print the tables and write ``results.json`` and ``results.md``.

    Parameters
    ----------
    output : Path
        Folder of both files.
    results : dict
        Everything measured.
    tables : dict of str to list of tuple
        Title and rows of each table; the first row is its head.
    title : str
        Of ``results.md``.
    """
    command = shlex.join(["python", *sys.argv])
    results = {"command": command, **results}
    (output / "results.json").write_text(json.dumps(results, indent=2, default=str) + "\n")
    lines = [f"# {title}", "", f"    {command}", ""]
    lines += [f"- {key}: {value}" for key, value in results["machine"].items()]
    lines += [f"- {note}" for note in results.get("notes", [])]
    console = Console()
    if not console.is_terminal:
        console.width = 200  # a log file can be wide
    for name, (head, *rows) in tables.items():
        lines += ["", f"## {name}", "", _line(head), _line(["---"] * len(head))]
        lines += [_line(row) for row in rows]
        table = Table(*head, title=name, title_justify="left")
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for note in results.get("notes", []):
        console.print(f"[dim]{note}[/]", highlight=False)
    (output / "results.md").write_text("\n".join(lines) + "\n")
    console.print(f"{output / 'results.md'}  {output / 'results.json'}", highlight=False)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
