r"""Measure how many answers a simulated user must give, strategy by strategy.

    cryomae simulate configs/active.yaml --output runs/active
    python scripts/benchmark_active.py runs/active --output runs/benchmark_active
    python scripts/benchmark_active.py $CRYOMAE_DATA/empiar10017:191 runs/suite \
        --strategies badge random --output runs/benchmark_active_test

In each draw half of the micrographs of a set, drawn at random, are asked about, and the model
and threshold that come of the answers are judged on the other half. The user knows the truth,
but for the share of answers that --noise turns round, and skips what lies beside a particle.
From nothing, and from 15 exemplars clicked in one micrograph. Finished draws are kept in
--output and not run again; runs with more strategies or seeds add to them.

Printed, and written to active.md, active.json and curves.png:
  to 95 %   answers until the F1 reaches 95 % of what all answers at once give (a draw that never
            does counts with the whole budget, and is counted as "never"); sets that begin there
            count 0 for every strategy
  seconds   the same in the user's time (1.5 s an answer, 3 s a skip, 4 s a clicked exemplar)
  AUBC      mean F1 over the answers, with its standard deviation over seeds
  worse     share of trainings after which the F1 is more than 0.02 lower than before
"""

import argparse
import json
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a process each, before numpy is loaded

from _bench.active_report import draw_curves, summarise, table
from _bench.active_run import Job, run
from _bench.active_sets import PooledSet, read_pool
from _bench.sets import find_sets

from cryomae.atomic import write_text
from cryomae.pick.pipeline import load_detector

STRATEGIES = ("badge", "random", "uncertainty", "mix")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("sets", nargs="+", help="FOLDER[:DIAMETER[:PIXEL_SIZE]] of a set or a suite")
    add("--strategies", nargs="+", default=list(STRATEGIES))
    add("--seeds", type=int, default=5, help="draws of each set (default 5)")
    add("--budget", type=int, default=200, help="answers in all, exemplars included")
    add("--batch", type=int, default=10, help="answers between two trainings (default 10)")
    add("--exemplars", type=int, nargs="+", default=[0, 15])
    add("--noise", type=float, default=0.0, help="share of answers that are wrong")
    add("--jobs", type=int, default=2, help="processes (default 2)")
    add("--output", type=Path, default=Path("runs/benchmark_active"))
    return parser.parse_args()


def main() -> None:
    """Run what is missing and report."""
    given = parse()
    detector = load_detector()
    pools = [
        read_pool(data, detector, given.output / "encoded")
        for spec in given.sets
        for data in find_sets(spec)
    ]
    del detector
    jobs = [
        (data, Job("all", seed, 0, 0.0, given.batch, given.budget))
        for data in pools
        for seed in range(given.seeds)
    ]
    jobs += [
        (data, Job(strategy, seed, exemplars, given.noise, given.batch, given.budget))
        for data in pools
        for exemplars in given.exemplars
        for strategy in given.strategies
        for seed in range(given.seeds)
    ]
    results = _run_all(jobs, given.output / "draws", given.jobs)
    parts = [
        summarise(results, exemplars, given.noise, given.strategies)
        for exemplars in given.exemplars
    ]
    text = "\n\n".join(table(part) for part in parts)
    print(text)
    write_text(given.output / "active.md", text + "\n")
    write_text(given.output / "active.json", json.dumps(parts, indent=1))
    draw_curves(given.output / "curves.png", results, given.exemplars, given.strategies)


def _run_all(
    jobs: list[tuple[PooledSet, Job]], folder: Path, processes: int
) -> list[tuple[str, Job, list[dict[str, float]]]]:
    """Figures of every job, from the disk where they are there already."""
    folder.mkdir(parents=True, exist_ok=True)
    found, missing = [], []
    for data, job in jobs:
        path = folder / f"{_label(data, job)}.json"
        if path.is_file():
            found.append((data.name, job, json.loads(path.read_text())))
        else:
            missing.append((data, job, path))
    with ProcessPoolExecutor(processes) as pool:
        running = {pool.submit(run, data, job): (data, job, path) for data, job, path in missing}
        for done, future in enumerate(as_completed(running), 1):
            data, job, path = running[future]
            figures = future.result()
            write_text(path, json.dumps(figures))
            found.append((data.name, job, figures))
            if done % 20 == 0 or done == len(running):
                print(f"{done}/{len(running)} draws", flush=True)
    return found


def _label(data: PooledSet, job: Job) -> str:
    return data.name.replace("/", "-") + "-" + "-".join(str(v) for v in asdict(job).values())


if __name__ == "__main__":
    main()
