"""Running ``cryomae pick`` and ``cryomae train`` as a user does, and reading what it reports."""

import os
import re
import shutil
import sys
from datetime import datetime
from pathlib import Path

from _bench.measure import Measured, measure

REPOSITORY = Path(__file__).resolve().parents[2]
STAGES = ("start-up", "read", "prepare", "score", "peaks", "write")

_LINE = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) \w+ +(.*)$")
_MICROGRAPH = re.compile(r": \d+ candidates in ([\d.]+) s \((.*)\)$")


def cryomae_command() -> list[str]:
    """Give the ``cryomae`` of this interpreter, or the one of this checkout if not installed."""
    script = Path(sys.executable).parent / "cryomae"
    if script.is_file():
        return [str(script)]
    return [sys.executable, "-c", "from cryomae.cli import main; main()"]


def environment() -> dict[str, str]:
    """Environment in which the checkout is found wherever the command runs."""
    path = os.environ.get("PYTHONPATH")
    both = f"{REPOSITORY}{os.pathsep}{path}" if path else str(REPOSITORY)
    return dict(os.environ) | {"PYTHONPATH": both}


def run_pick(
    inputs: list[str], folder: Path, diameter: float, *, options: list[str]
) -> tuple[Measured, dict[str, float]]:
    """Pick into an empty folder.

    Parameters
    ----------
    inputs : list of str
        Micrographs.
    folder : Path
        Emptied first, when it holds an earlier run.
    diameter : float
        Å.
    options : list of str
        Further options of ``cryomae pick``.

    Returns
    -------
    Measured
        Of the whole command.
    dict of str to float
        Seconds of each of `STAGES`, summed over micrographs.
    """
    empty(folder)
    command = [*cryomae_command(), "pick", *inputs, "--diameter", f"{diameter:g}"]
    command += ["--output", str(folder), *options]
    measured = measure(command, folder.parent, folder.name, env=environment())
    return measured, stage_seconds(folder / "run.log", measured)


def run_train(
    micrograph: str, exemplars: Path, folder: Path, diameter: float, *, options: list[str]
) -> tuple[Measured, Path]:
    """Train on exemplars of a micrograph; an earlier model in the folder is replaced.

    Parameters
    ----------
    micrograph : str
    exemplars : Path
        Coordinates.
    folder : Path
    diameter : float
        Å.
    options : list of str
        Further options of ``cryomae train``.

    Returns
    -------
    Measured
        Of the whole command.
    Path
        The model.
    """
    command = [*cryomae_command(), "train", micrograph, "--exemplars", str(exemplars)]
    command += ["--diameter", f"{diameter:g}", "--output", str(folder), "--overwrite", *options]
    measured = measure(command, folder.parent, folder.name, env=environment())
    return measured, folder / "model.safetensors"


def empty(folder: Path) -> None:
    """Delete an earlier run of ours; refuse to delete anything else."""
    if folder.exists():
        if any(folder.iterdir()) and not (folder / "run.log").is_file():
            raise RuntimeError(f"{folder} holds something else than a cryomae run: move it away")
        shutil.rmtree(folder)


def stage_seconds(log: Path, measured: Measured) -> dict[str, float]:
    """Seconds of each stage from the run's log.

    ``read`` is what a micrograph took beyond its other stages; ``start-up`` lasts until the
    first line of the log (Python, torch, headers, model); ``write`` is everything else: all
    files, the threshold, the summary page, and leaving Python.
    """
    seconds = dict.fromkeys(STAGES, 0.0)
    first = None
    of_micrographs = 0.0
    for line in log.read_text(encoding="utf-8").splitlines():
        parts = _LINE.match(line)
        if not parts:
            continue
        if first is None:
            first = datetime.strptime(parts[1], "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp()
        found = _MICROGRAPH.search(parts[2])
        if not found:
            continue
        total = float(found[1])
        stages = {k: float(v) for k, v in re.findall(r"([\w-]+) ([\d.]+)", found[2])}
        stages.setdefault("read", max(0.0, total - sum(stages.values())))
        for name, value in stages.items():
            seconds[name] = seconds.get(name, 0.0) + value
        of_micrographs += total
    if first is None or not of_micrographs:
        raise RuntimeError(f"{log} names no picked micrograph: has its format changed?")
    seconds["start-up"] = max(0.0, first - measured.started)
    seconds["write"] = max(0.0, measured.wall - seconds["start-up"] - of_micrographs)
    return seconds
