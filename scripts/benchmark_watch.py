"""How soon arrivals are picked, and whether any is read before it is whole.

Several writers copy micrographs into a watched folder as real programs do: piece by piece,
with pauses, into a file that has its size from the start, or under another name first. A
stand-in for the picker compares every pixel that it is given with what was sent.

    python scripts/benchmark_watch.py --output runs/benchmark_watch
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import mrcfile
import numpy as np

from cryomae.atomic import write_text
from cryomae.batch import Engine
from cryomae.io import read_micrograph
from cryomae.micrograph import Micrograph
from cryomae.picks import Picks
from cryomae.settings import PickSettings
from cryomae.watch import watch

SIDE, PIECES, WRITERS = 512, 16, 4


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("runs/benchmark_watch"))
    parser.add_argument("--arrivals", type=int, default=500)
    parser.add_argument("--per-minute", type=float, default=80.0, help="at most so many arrive")
    options = parser.parse_args()
    shutil.rmtree(options.output, ignore_errors=True)
    folder = options.output / "mics"
    folder.mkdir(parents=True)
    numbers = range(options.arrivals)
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(
            target=write_all,
            args=(folder, list(numbers)[n::WRITERS], n, 60 * WRITERS / options.per_minute),
        )
        for n in range(WRITERS)
    ]
    load = os.getloadavg()[0]
    for writer in writers:
        writer.start()
    checker = Checker()
    detector = SimpleNamespace(name="check", sha256="ab" * 32, device="cpu", shown=False)
    result = watch(
        [str(folder)],
        options.output / "picks",
        PickSettings(diameter=100),
        detector=detector,
        engine=Engine(read_micrograph, checker.pick, checker.choose),
        idle=15.0,
    )
    for writer in writers:
        writer.join()
    delays = measure(options.output, options.arrivals)
    found = {
        "arrivals": options.arrivals,
        "picked": len(result.done),
        "failed": len(result.failed),
        "half_copied_reads": len(checker.half),
        "seconds_to_picks": {
            "median": round(float(np.median(delays)), 2),
            "95 %": round(float(np.quantile(delays, 0.95)), 2),
            "most": round(max(delays), 2),
        },
        "load_before": round(load, 2),
    }
    write_text(options.output / "watch.json", json.dumps(found, indent=1))
    print(json.dumps(found, indent=1))


@dataclass
class Checker:
    """Picks nothing of interest, but looks at every pixel."""

    half: list[str] = field(default_factory=list)

    def pick(self, micrograph: Micrograph, *_: object) -> SimpleNamespace:
        """Compare a micrograph with what was sent under its name."""
        number = int(Path(micrograph.name).stem[1:])
        if not np.array_equal(micrograph.pixels, pixels(number)):
            self.half.append(micrograph.name)
        picks = Picks.from_arrays(micrograph.name, [[9, 9]], [0.9], 100, "check")
        image = np.zeros((64, 64), dtype=np.float32)
        return SimpleNamespace(
            candidates=picks, image=image, valid=image == 0, spacing=(8.0, 8.0), seconds={}
        )

    def choose(self, scores: object) -> SimpleNamespace:
        """Always the same threshold."""
        return SimpleNamespace(value=0.5, explanation="of the benchmark")


def pixels(number: int) -> np.ndarray:
    """Pixels of a micrograph, known from its number."""
    return np.random.default_rng(number).normal(size=(SIDE, SIDE)).astype(np.float32)


def write_all(folder: Path, numbers: list[int], seed: int, every: float) -> None:
    """Copy some micrographs in the ways that there are, and note when each was whole."""
    chance, begin = random.Random(seed), time.monotonic()
    for turn, number in enumerate(numbers):
        time.sleep(max(0.0, begin + turn * every - time.monotonic()))
        source = folder.parent / f"source_{seed}.mrc"
        with mrcfile.new(source, overwrite=True) as file:
            file.set_data(pixels(number))
            file.voxel_size = 1.5
        data, target = source.read_bytes(), folder / f"m{number:05d}.mrc"
        way = chance.choice(["pieces", "pieces", "allocated", "renamed"])
        path = folder / f".m{number:05d}.part" if way == "renamed" else target
        with open(path, "wb", buffering=0) as file:
            if way == "allocated":
                file.truncate(len(data))
            for piece in range(PIECES):
                start, end = (len(data) * n // PIECES for n in (piece, piece + 1))
                file.seek(start)
                file.write(data[start:end])
                time.sleep(chance.choice([0.02, 0.05, 0.1]) if chance.random() > 0.01 else 1.0)
        if way == "renamed":
            os.rename(path, target)
        with open(folder.parent / f"written_{seed}.txt", "a") as log:
            log.write(f"{target.name} {time.time()}\n")


def measure(output: Path, count: int) -> list[float]:
    """Seconds from the last byte of each micrograph to its picks."""
    delays = []
    for log in output.glob("written_*.txt"):
        for line in log.read_text().splitlines():
            name, written = line.split()
            picks = next((output / "picks/picks").rglob(f"{Path(name).stem}_cryomae.star"))
            delays.append(picks.stat().st_mtime - float(written))
    assert len(delays) == count
    return delays


if __name__ == "__main__":
    main()
