"""Simulating whole sets with several processes; what is done is kept."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
import yaml

from cryomae.atomic import write_text
from cryomae.errors import CryomaeError, InputError
from cryomae.simulate import files
from cryomae.simulate.micrograph import Simulator
from cryomae.simulate.overview import draw_overview
from cryomae.simulate.settings import SimulationSettings


@dataclass(frozen=True)
class SimulatedSet:
    """A finished set.

    Attributes
    ----------
    folder : Path
    micrographs, particles, contaminants : int
        How many; particles that the border cuts are not counted.
    diameter : float
        Å.
    """

    folder: Path
    micrographs: int
    particles: int
    contaminants: int
    diameter: float


def simulate_set(
    settings: SimulationSettings,
    folder: str | Path,
    *,
    jobs: int = 1,
    overwrite: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> SimulatedSet:
    """Simulate a set of micrographs, or go on with one.

    Parameters
    ----------
    settings : SimulationSettings
    folder : str or Path
        For everything that is written (see `cryomae.simulate.files`).
    jobs : int
        Processes.
    overwrite : bool
        Make everything anew, whatever the folder holds.
    on_progress : callable, optional
        ``on_progress(done, total)``, micrographs found done included.

    Raises
    ------
    InputError
        If the folder holds a set of other settings.
    CryomaeError
        If the particle cannot be made or nothing can be written.
    """
    folder = Path(folder)
    simulator = Simulator(settings)
    text = files.settings_text(settings, simulator.diameter)
    _claim(folder, text, overwrite)
    names = [files.micrograph_name(settings, i) for i in range(settings.micrographs)]
    records: dict[str, dict[str, Any]] = {}
    for name in names if not overwrite else []:
        if record := files.read_record(folder, name):
            records[name] = record
    tell = on_progress or (lambda done, total: None)
    tell(len(records), len(names))
    todo = [i for i, name in enumerate(names) if name not in records]
    for name, record in _make(simulator, folder, todo, jobs):
        records[name] = record
        tell(len(records), len(names))
    ordered = [(name, records[name]) for name in names]
    files.write_tables(folder, settings, ordered)
    draw_overview(folder / "overview.png", folder, ordered, simulator.diameter, settings.pixel_size)
    return SimulatedSet(
        folder,
        len(names),
        sum(len(r["particles"]["x"]) for r in records.values()),
        sum(region["kind"] != "edge" for r in records.values() for region in r["contaminants"]),
        simulator.diameter,
    )


def _claim(folder: Path, text: str, overwrite: bool) -> None:
    """Write simulation.yaml, or refuse a folder that holds something else."""
    path = folder / "simulation.yaml"
    if not path.is_file():
        if (folder / "micrographs").is_dir():
            raise InputError(
                "holds micrographs that were not simulated", "choose another --output", folder
            )
    elif overwrite:
        # Else a shorter set would keep the last micrographs of a longer one.
        for stale in (folder / "parameters").glob("*.yaml"):
            (folder / "micrographs" / f"{stale.stem}.mrc").unlink(missing_ok=True)
            stale.unlink()
    else:
        old = yaml.safe_load(path.read_text(encoding="utf-8"))
        if found := _differing(old, yaml.safe_load(text)):
            raise InputError(
                f"holds a set with other settings ({', '.join(found)})",
                "choose another --output, or pass --overwrite",
                folder,
            )
    write_text(path, text)


def _differing(old: Any, new: dict[str, Any]) -> list[str]:
    if not isinstance(old, dict):
        return ["unreadable"]
    return [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]


def _make(
    simulator: Simulator, folder: Path, todo: list[int], jobs: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    jobs = min(jobs, len(todo))
    if jobs <= 1:
        for index in todo:
            yield _one(simulator, folder, index)
        return
    context = get_context("spawn")
    start = (simulator.settings, str(folder))
    with ProcessPoolExecutor(jobs, context, _start_worker, start) as pool:
        # A short queue, so that a failure does not wait for thousands of micrographs.
        waiting, left = set(), iter(todo)
        try:
            while True:
                for index in left:
                    waiting.add(pool.submit(_work, index))
                    if len(waiting) >= 2 * jobs:
                        break
                if not waiting:
                    return
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        except BrokenProcessPool as error:
            raise CryomaeError(
                "a process died, as one does that gets no memory",
                "run the same command again with fewer --jobs: it goes on from here",
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _one(simulator: Simulator, folder: Path, index: int) -> tuple[str, dict[str, Any]]:
    name = files.micrograph_name(simulator.settings, index)
    made = simulator.micrograph(index)
    return name, files.write_micrograph(folder, name, made, simulator.settings)


_worker: tuple[Simulator, Path] | None = None  # of this process; the pool offers no other place


def _start_worker(settings: SimulationSettings, folder: str) -> None:
    global _worker
    torch.set_num_threads(1)  # a process a core
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops them, without tracebacks
    _worker = (Simulator(settings), Path(folder))


def _work(index: int) -> tuple[str, dict[str, Any]]:
    assert _worker is not None
    return _one(*_worker, index)
