"""Memory of one very large micrograph and of many, and the time of ``--help``."""

import os
import subprocess
import time
from pathlib import Path
from statistics import median
from typing import Any

import mrcfile
import numpy as np
import psutil

from _bench.measure import measure
from _bench.ours import cryomae_command, empty, environment, run_pick

LARGE = 8192
LARGE_PIXEL_SIZE = 1.0
LARGE_DIAMETER = 160.0
MANY = 200
CROP = 1024


def large_micrograph(path: Path, seed: int, size: int = LARGE) -> None:
    """Write a float32 MRC of noise with a few dark discs of `LARGE_DIAMETER` in it."""
    rng = np.random.default_rng(seed)
    radius = LARGE_DIAMETER / LARGE_PIXEL_SIZE / 2
    centres = rng.uniform(radius, size - radius, (40, 2))
    x = np.arange(size, dtype=np.float32)
    with mrcfile.new_mmap(path, shape=(size, size), mrc_mode=2, overwrite=True) as mrc:
        for top in range(0, size, 256):  # in strips: this process stays small
            y = np.arange(top, min(size, top + 256), dtype=np.float32)
            strip = rng.standard_normal((len(y), size), dtype=np.float32)
            for cx, cy in centres[np.abs(centres[:, 1] - top) < 256 + radius]:
                strip[(y[:, None] - cy) ** 2 + (x[None] - cx) ** 2 < radius**2] -= 1
            mrc.data[top : top + len(y)] = strip
        mrc.voxel_size = LARGE_PIXEL_SIZE


def peak_memory(output: Path, options: list[str], seed: int) -> dict[str, Any]:
    """Peak memory of picking one micrograph of 8192 x 8192 float32 pixels."""
    folder = output / "memory"
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / "large.mrc"
    large_micrograph(image, seed)
    given = ["--pixel-size", f"{LARGE_PIXEL_SIZE:g}", "--no-preview", *options]
    measured, stages = run_pick([str(image)], folder / "picks", LARGE_DIAMETER, options=given)
    image.unlink()
    return {
        "peak_mb": measured.peak,
        "wall_s": measured.wall,
        "stages_s": stages,
        "command": measured.command,
    }


def many_micrographs(folder: Path, sources: list[Path], count: int) -> list[str]:
    """Write ``count`` crops of 1024 x 1024; no more different ones than quarters in the sources."""
    folder.mkdir(parents=True, exist_ok=True)
    originals: list[Path] = []
    names = []
    for number in range(count):
        path = folder / f"crop_{number:03d}.mrc"
        path.unlink(missing_ok=True)
        source = sources[(number // 4) % len(sources)]
        if number >= 4 * len(sources):
            os.link(originals[number % len(originals)], path)
        else:
            with mrcfile.mmap(source, mode="r") as mrc:
                top, left = (CROP * (number % 4 // 2), CROP * (number % 2))
                with mrcfile.new(path, overwrite=True) as crop:
                    crop.set_data(np.array(mrc.data[top : top + CROP, left : left + CROP]))
                    crop.voxel_size = float(mrc.voxel_size.x)
            originals.append(path)
        names.append(str(path))
    return names


def flat_memory(
    output: Path, sources: list[Path], diameter: float, options: list[str], count: int = MANY
) -> dict[str, Any]:
    """Resident memory of one process after each of many micrographs, seen from outside.

    Previews are on, as they are for a user. Memory is read when the record of a micrograph
    appears, and again whenever a file of final picks does.
    """
    folder = output / "flat_memory"
    names = many_micrographs(folder / "micrographs", sources, count)
    run = folder / "picks"
    empty(run)
    command = [*cryomae_command(), "pick", str(folder / "micrographs"), "--diameter"]
    command += [f"{diameter:g}", "--output", str(run), *options]
    started = time.perf_counter()
    with open(folder / "picks.log", "w") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log, env=environment())
        process = psutil.Process(child.pid)
        scoring: list[float] = []
        writing: list[float] = []
        while child.poll() is None:
            try:
                now = process.memory_info().rss / 1e6
            except psutil.NoSuchProcess:
                break
            for samples, kind, ending in (
                (scoring, "candidates", "*.star"),
                (writing, "picks", "*.star"),
            ):
                done = sum(1 for _ in (run / kind).rglob(ending))
                samples += [now] * (done - len(samples))
            time.sleep(0.02)
    wall = time.perf_counter() - started
    if child.wait() or len(scoring) < min(4, len(names)):
        end = (folder / "picks.log").read_text()[-1500:]
        raise RuntimeError(f"only {len(scoring)} of {len(names)} were scored\n{end}")
    third, later = scoring[2], np.array(scoring[3:])
    return {
        "micrographs": len(names),
        "after_third_mb": third,
        "after_last_mb": scoring[-1],
        "growth_mb": scoring[-1] - third,
        "largest_change_mb": float(later[np.abs(later - third).argmax()] - third),
        "largest_while_writing_mb": max(writing, default=float("nan")),
        "samples_mb": scoring,
        "wall_s": wall,
        "command": command,
    }


def help_time(output: Path, repeats: int = 5) -> dict[str, Any]:
    """Wall time of ``cryomae --help``: the median of five."""
    command = [*cryomae_command(), "--help"]
    walls = [
        measure(command, output / "help", f"help_{i}", env=environment()).wall
        for i in range(repeats)
    ]
    return {"median_s": median(walls), "all_s": walls, "command": command}
