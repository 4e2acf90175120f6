"""Measure how long ``cryomae export`` takes for a large data set, and how much memory.

    python scripts/benchmark_export.py --output runs/benchmark_export

By default 1,000 micrographs with 500 picks each, in a RELION folder as ``cryomae pick`` writes
it. Each run is the whole command as a user types it, start-up included, reading one STAR file a
micrograph. The micrographs themselves are not there, so nothing is compared with them.
"""

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from _bench.measure import measure
from _bench.ours import cryomae_command, environment
from _bench.report import machine, spread

from cryomae.exchange import save
from cryomae.formats import Context, format_named
from cryomae.picks import Picks

PROGRAMS = {"relion": [], "cryosparc": [], "eman": ["--box", "256"], "eman2": [],
            "cryolo": ["--box", "256"], "topaz": []}  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--output", type=Path, required=True, help="folder for everything that is written")
    add("--micrographs", type=int, default=1000, help="how many (default 1000)")
    add("--picks", type=int, default=500, help="of each (default 500)")
    add("--repeats", type=int, default=3, help="runs (default 3)")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=given.output) as scratch:
        found = _measure(given, Path(scratch))
    result = {"machine": machine(), "micrographs": given.micrographs, "picks": given.picks}
    (given.output / "results.json").write_text(json.dumps(result | {"found": found}, indent=1))


def _measure(given: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    source = scratch / "picks"
    rng = np.random.default_rng(0)
    picks = Picks.concat(
        Picks.from_arrays(
            f"MotionCorr/job002/mics/m{number:05d}.mrc",
            rng.uniform(0, 4000, (given.picks, 2)),
            rng.random(given.picks),
            150,
        )
        for number in range(given.micrographs)
    )
    save(picks, source, format_named("relion"), Context())
    found = {}
    for program, options in PROGRAMS.items():
        runs = []
        for number in range(given.repeats):
            folder = scratch / f"{program}_{number}"
            command = [*cryomae_command(), "export", str(source), "--to", program]
            command += ["--output", str(folder), *options]
            runs.append(measure(command, given.output, f"{program}_{number}", env=environment()))
        wall, peak = [run.wall for run in runs], max(run.peak for run in runs)
        cpu = [run.cpu for run in runs]  # says what a machine with other work would do alone
        found[program] = {"wall_s": wall, "cpu_s": cpu, "peak_mb": peak}
        print(f"{program}: {spread(wall)}, CPU {spread(cpu)}, peak {peak:.0f} MB", flush=True)
    return found


if __name__ == "__main__":
    main()
