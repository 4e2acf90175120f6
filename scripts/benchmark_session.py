r"""Measure an active-learning session of a large data set, command by command.

    python scripts/benchmark_session.py --output runs/benchmark_session

A session of 1,000 micrographs with 1,000 candidates each is made, of latents drawn at random
(particles around one mean, background around another, so that there is something to learn). Its
candidates are stored as ``cryomae active new`` stores them; the encoding itself, which is that
of ``cryomae pick``, is left out. Then the commands are run as a user runs them, each a process
of its own that opens the session: wall time and peak memory, median and range.
"""

import argparse
import csv
import os
import shutil
import statistics
import sys
from dataclasses import replace
from pathlib import Path

import mrcfile
import numpy as np
from _bench.measure import Measured, measure

from cryomae.active.candidates import Candidates
from cryomae.active.encode import Encoded
from cryomae.active.journal import Answer
from cryomae.active.records import SessionMicrograph
from cryomae.active.session import Session
from cryomae.active.settings import SessionSettings
from cryomae.atomic import write_text
from cryomae.micrograph import MicrographRef
from cryomae.model.registry import model_card
from cryomae.sizes import LATENT

SIDE = 4096
PIXEL_SIZE = 1.2
DIAMETER = 150.0
PARTICLES = 0.2
"""Share of the candidates that are particles."""


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--micrographs", type=int, default=1000)
    add("--candidates", type=int, default=1000, help="of each micrograph (default 1000)")
    add("--repeats", type=int, default=3)
    add("--output", type=Path, default=Path("runs/benchmark_session"))
    return parser.parse_args()


def make_session(folder: Path, micrographs: int, candidates: int) -> None:
    """Make the session, with 20 answers."""
    rng = np.random.default_rng(1)
    folder.parent.mkdir(parents=True, exist_ok=True)
    movies = folder.parent / "micrographs"
    movies.mkdir(exist_ok=True)
    refs = [_empty(movies / f"{i:05d}.mrc") for i in range(micrographs)]
    settings = SessionSettings(diameter=DIAMETER, model_sha256=model_card("default").sha256)
    means = rng.normal(0, 0.5, (2, LATENT))
    with Session.create(folder, settings, refs) as session:
        for micrograph in session.micrographs:
            session.keep_encoded(_encoded(micrograph, candidates, means, rng))
        chosen = rng.choice(micrographs * candidates, 20, replace=False)
        session.answer_many(
            [Answer("confirm" if i % 2 else "reject", int(c)) for i, c in enumerate(chosen)]
        )


def _empty(path: Path) -> MicrographRef:
    """A micrograph of which only the header is ever read: a sparse file."""
    if not path.is_file():
        with mrcfile.new_mmap(path, (SIDE, SIDE), mrc_mode=0) as mrc:
            mrc.voxel_size = PIXEL_SIZE
    return MicrographRef(path.stem, path)


def _encoded(
    micrograph: SessionMicrograph, count: int, means: np.ndarray, rng: np.random.Generator
) -> Encoded:
    particle = (rng.random(count) < PARTICLES).astype(np.intp)
    found = Candidates(
        rng.uniform(0, SIDE, (count, 2)).astype(np.float32),
        np.zeros(count, np.uint8),
        (rng.normal(size=count) * 1.5 + 3 * particle - 2).astype(np.float32),
        (means[particle] + rng.normal(size=(count, LATENT))).astype(np.float16),
        (SIDE, SIDE),
        (4.0, 4.0),
        0.0,
    )
    size, mtime = micrograph.path.stat().st_size, micrograph.path.stat().st_mtime_ns
    ready = replace(
        micrograph, state="ready", pixel_size=PIXEL_SIZE, shape=(SIDE, SIDE), count=count,
        masked=0.0, size=size, mtime_ns=mtime, checksum="none",
    )  # fmt: skip
    return Encoded(ready, found)


def main() -> None:
    """Make the session, run the commands, print the table."""
    given = parse()
    folder = given.output / "session"
    shutil.rmtree(folder, ignore_errors=True)
    make_session(folder, given.micrographs, given.candidates)
    taken: dict[str, list[Measured]] = {}
    program = [str(Path(sys.executable).with_name("cryomae")), "active"]
    for repeat in range(given.repeats):
        answers = given.output / f"answers_{repeat}.csv"
        steps = {
            "propose 10": ["propose", str(folder), "--csv", str(answers)],
            "answer 10": ["answer", str(folder), "--csv", str(answers)],
            "train": ["train", str(folder)],
            "status": ["status", str(folder)],
        }
        for name, words in steps.items():
            if name == "answer 10":
                _fill(answers)
            log = f"{name.replace(' ', '_')}_{repeat}"
            taken.setdefault(name, []).append(measure([*program, *words], given.output, log))
    text = table(taken, given.micrographs, given.candidates)
    print(text)
    write_text(given.output / "session.md", text + "\n")


def _fill(path: Path) -> None:
    """Answer every row of the table, yes and no by turns."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for i, row in enumerate(rows):
        row["answer"] = "yn"[i % 2]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def table(taken: dict[str, list[Measured]], micrographs: int, candidates: int) -> str:
    """Markdown of what was measured."""
    lines = [
        f"{micrographs:,} micrographs, {micrographs * candidates:,} candidates, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end; whole processes",
        "",
        "| command | seconds, median (range) | peak memory, MB |",
        "|---|---|---|",
    ]
    for name, runs in taken.items():
        wall = [run.wall for run in runs]
        lines.append(
            f"| {name} | {statistics.median(wall):.2f} ({min(wall):.2f} to {max(wall):.2f}) "
            f"| {max(run.peak for run in runs):.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
