"""Measure how fast ``cryomae simulate`` makes micrographs of 2048 × 2048 pixels.

    python scripts/benchmark_simulate.py --output runs/benchmark_simulate
    python scripts/benchmark_simulate.py --output runs/all --micrographs 1000 --repeats 1

The whole command as a user types it, with all contaminants and a process a core: a protein
of 180 Å, 60 to 200 in a micrograph (the defaults), 3 Å a pixel. Start-up is in the total;
the time of 1,000 micrographs is computed from the rate without it, which is the difference
between the run and one of a single micrograph a core. Nothing else should run on the machine.
"""

import argparse
import json
import os
import shutil
from pathlib import Path
from statistics import median

from _bench.measure import measure
from _bench.ours import cryomae_command, environment


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--output", type=Path, required=True, help="folder for everything that is written")
    add("--micrographs", type=int, default=40, help="of each run (default 40)")
    add("--repeats", type=int, default=3, help="runs (default 3)")
    given = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    if given.micrographs <= cores:
        parser.error(f"--micrographs must be more than {cores}")
    runs = []
    for number in range(given.repeats):
        taken = []
        for count in (cores, given.micrographs):
            folder = given.output / "set"
            if (folder / "simulation.yaml").is_file():
                shutil.rmtree(folder)
            command = [*cryomae_command(), "simulate", "--output", str(folder)]
            command += ["--micrographs", str(count), "--seed", str(number), "--jobs", str(cores)]
            taken.append(measure(command, given.output, f"run_{number}_{count}", env=environment()))
        short, long = taken
        each = (long.wall - short.wall) / (given.micrographs - cores)
        runs.append(
            {
                "wall_s": long.wall,
                "start_s": short.wall - each,
                "each_s": each,
                "peak_mb": long.peak,
            }
        )
        print(
            f"run {number + 1}: {long.wall:.1f} s, {each:.2f} s a micrograph after the start",
            flush=True,
        )
    each = [run["each_s"] for run in runs]
    thousand = median(run["start_s"] for run in runs) + 1000 * median(each)
    result = {
        "cores": cores,
        "micrographs": given.micrographs,
        "runs": runs,
        "thousand_s": thousand,
    }
    (given.output / "results.json").write_text(json.dumps(result, indent=1))
    print(
        f"{median(each):.2f} s a micrograph on {cores} cores (range {min(each):.2f} to "
        f"{max(each):.2f}); 1,000 in {thousand / 60:.0f} minutes; peak of the largest process "
        f"{max(run['peak_mb'] for run in runs):.0f} MB"
    )


if __name__ == "__main__":
    main()
