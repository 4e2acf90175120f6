"""How picking scales: whether picks stay the same, how much faster it gets, and memory.

Small simulated micrographs are picked by the command line: in one process, in two, and by Dask
on this machine. The bytes of all picks are compared, the seconds from the first micrograph to
the last (and of the whole command) are taken from the ledger, and so is the memory of each
process after its 100th and its last micrograph.

    python scripts/benchmark_scale.py --output runs/benchmark_scale

Simulating takes longest, so each simulated micrograph is used in the eight ways in which a
square can be turned and mirrored. A second run with the same output keeps the micrographs.
"""

import argparse
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import mrcfile
import numpy as np

from cryomae.atomic import atomic_path, write_text
from cryomae.batch.ledger import read_ledger
from cryomae.simulate import make_settings, simulate_set

ARMS: dict[str, list[str]] = {
    "serial": [],
    "serial, 1 thread": [],
    "2 processes": ["--processes", "2"],
    "Dask, 2 workers": ["--dask", "local", "--processes", "2"],
}
SIDE, PIXEL_SIZE, WAYS = 256, 3.0, 8


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("runs/benchmark_scale"))
    parser.add_argument("--micrographs", type=int, default=2000)
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS))
    options = parser.parse_args()
    folder, diameter = make_micrographs(options.output / "set", options.micrographs)
    found = {}
    for arm in options.arms:
        found[arm] = measure(arm, folder, diameter, options.output / arm.replace(" ", "_"))
        print(json.dumps({arm: found[arm]}), flush=True)
        write_text(options.output / "scale.json", json.dumps(found, indent=1))
    show(found)


def make_micrographs(output: Path, count: int) -> tuple[Path, float]:
    """Folder of small micrographs, and the diameter in Å of their particle."""
    settings = make_settings(
        {
            "micrographs": -(-count // WAYS),
            "size": SIDE,
            "pixel_size": PIXEL_SIZE,
            "snr": 0.1,
        }
    )
    made = simulate_set(settings, output / "simulated", jobs=2)
    folder = output / "micrographs"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = folder / f"m{number:05d}.mrc"
        if path.exists():
            continue
        source = sorted((output / "simulated" / "micrographs").glob("*.mrc"))[number // WAYS]
        image = np.rot90(mrcfile.read(source), number % 4)
        image = image.T if number % WAYS >= 4 else image
        with atomic_path(path) as temporary, mrcfile.new(temporary, overwrite=True) as file:
            file.set_data(np.ascontiguousarray(image))
            file.voxel_size = PIXEL_SIZE
    return folder, made.diameter


def measure(arm: str, folder: Path, diameter: float, output: Path) -> dict[str, object]:
    """Pick all micrographs in one way."""
    shutil.rmtree(output, ignore_errors=True)
    command = [sys.executable, "-c", "from cryomae.cli import main; main()", "pick", str(folder)]
    command += ["--diameter", f"{diameter:.1f}", "--no-preview", "-o", str(output), *ARMS[arm]]
    environment = dict(os.environ)
    if arm == "serial, 1 thread":
        environment["OMP_NUM_THREADS"] = "1"
    load, begin, cpu = os.getloadavg()[0], time.perf_counter(), children_cpu()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise SystemExit(f"{arm}: {done.stderr[-2000:]}")
    ledger = read_ledger(output / "ledger")
    first = min(p["first"] for p in ledger.processes)
    last = max(p["last"] for p in ledger.processes)
    return {
        "micrographs": len(ledger.histories),
        "scoring_seconds": round(last - first, 1),
        "command_seconds": round(seconds, 1),
        "cpu_seconds": round(children_cpu() - cpu, 1),
        "memory": [growth(path) for path in sorted((output / "ledger").glob("*.jsonl"))],
        "bytes": digest(output),
        "load_before": round(load, 2),
    }


def children_cpu() -> float:
    """Seconds that cores have worked for processes started here; other load leaves it alone."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def growth(path: Path) -> dict[str, float]:
    """MiB of a process after its 100th and after its last micrograph."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    sizes = [line["rss"] for line in lines if line["event"] == "picked"]
    return {
        "micrographs": len(sizes),
        "after_100": sizes[min(99, len(sizes) - 1)],
        "last": sizes[-1],
    }


def digest(output: Path) -> str:
    """Hash of all candidates and picks."""
    whole = hashlib.sha256()
    for kind in ("candidates", "picks"):
        for path in sorted((output / kind).rglob("*.star")):
            whole.update(path.name.encode() + path.read_bytes())
    whole.update((output / "all_picks.star").read_bytes())
    return whole.hexdigest()[:16]


def show(found: dict[str, dict]) -> None:
    """Print the table."""
    base = found.get("serial", next(iter(found.values())))
    print("| | scoring | command | times serial | core seconds | memory, 100th to last | bytes |")
    print("|---|---|---|---|---|---|---|")
    for arm, one in found.items():
        grown = max(m["last"] - m["after_100"] for m in one["memory"])
        print(
            f"| {arm} | {one['scoring_seconds']} s | {one['command_seconds']} s | "
            f"{base['scoring_seconds'] / one['scoring_seconds']:.2f} "
            f"({base['command_seconds'] / one['command_seconds']:.2f}) | {one['cpu_seconds']} | "
            f"{grown:+.0f} MiB | "
            f"{'as serial' if one['bytes'] == base['bytes'] else 'DIFFERENT'} |"
        )


if __name__ == "__main__":
    main()
