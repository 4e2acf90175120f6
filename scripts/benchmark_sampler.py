r"""Measure how fast the strategies of ``cryomae.sampler`` choose, beside scikit-activeml.

    python scripts/benchmark_sampler.py --output runs/benchmark_sampler
    python scripts/benchmark_sampler.py --output runs/million --candidates 1000000 \
        --features 256 --no-peers

Each selection runs in a fresh process on the same data: descriptors (float32) in 50 clusters,
two classes, 20 labels. Only the selection is timed, with probabilities and descriptors at
hand; "extra" is the memory it took beyond them. "CPU" is the time of all cores, which other
programs on the machine change little, and the most it takes on an idle machine. Of several
repeats the median is given. A peer that exceeds the limit of time or memory runs again on a
tenth of the candidates, and so does cryomae, for the comparison, which is of CPU times.
scikit-activeml's BADGE 1.0.1 has a known defect (it draws by the smaller of the distance and
the length); it is here for its speed alone.
"""

import argparse
import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median

import psutil
from _bench.sampler_jobs import Job, Outcome, run

MEANT = (100_000, 192, 50)
"""Candidates, features and batch that the targets are for."""

TARGETS = {"uncertainty": 0.1, "kcenter": 10.0, "badge": 30.0, "kdpp": 10.0, "typiclust": 60.0}
"""Seconds that a selection may take on 2 cores."""

PEERS = ("uncertainty", "kcenter", "badge", "typiclust", "probcover", "random")
"""Strategies that scikit-activeml has too."""

OTHERS = (
    "random",
    "top_score",
    "power",
    "bald",
    "mean_std",
    "var_ratio",
    "kmeans",
    "probcover",
    "cluster_margin",
    "graph_density",
    "information_diversity",
    "mcm",
    "noise_stability",
    "poal",
    "mix",
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--output", type=Path, required=True, help="folder for results.json")
    add("--candidates", type=int, default=100_000, help="in the pool (default 100000)")
    add("--features", type=int, default=192, help="of each (default 192)")
    add("--batch", type=int, default=50, help="to choose (default 50)")
    add("--repeats", type=int, default=3, help="of cryomae (default 3; peers run once)")
    add("--limit", type=float, default=300.0, help="seconds of one selection (default 300)")
    add("--only", nargs="+", default=[*TARGETS, *OTHERS], help="strategies (default all)")
    add("--no-peers", action="store_true", help="measure cryomae alone")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    meant = (given.candidates, given.features, given.batch) == MEANT
    memory = int(psutil.virtual_memory().available * 0.6)
    rows = []
    print(
        f"{'strategy':22}{'seconds':>9}{'CPU s':>9}{'extra MB':>10}{'at most':>9}  scikit-activeml"
    )
    for name in given.only:
        target = TARGETS.get(name, "") if meant else ""
        job = Job("cryomae", name, given.candidates, given.features, given.batch)
        ours = [run(replace(job, seed=s), given.limit, memory) for s in range(given.repeats)]
        row = {
            "strategy": name,
            "cryomae": [asdict(o) for o in ours],
            "target_s": target or None,
        }
        beside = ""
        if name in PEERS and not given.no_peers:
            beside = compare(job, ours, given.limit, memory, row)
        print(f"{name:22}{show(ours)}{target:>9}  {beside}", flush=True)
        rows.append(row)
    result = {"cores": len(os.sched_getaffinity(0)), **vars(given), "rows": rows}
    (given.output / "results.json").write_text(json.dumps(result, indent=1, default=str))


def compare(job: Job, ours: list[Outcome], limit: float, memory: int, row: dict) -> str:
    """Time the peer, on a tenth if it cannot do all, and say how it went."""
    peer = run(replace(job, who="scikit-activeml"), limit, memory)
    row["scikit-activeml"] = asdict(peer)
    if peer.seconds is not None:
        return f"{peer.seconds:.2f} s, CPU {peer.cpu_seconds:.2f} s ({ratio(peer, ours)})"
    tenth = replace(job, candidates=job.candidates // 10)
    less = run(replace(tenth, who="scikit-activeml"), limit, memory)
    mine = [run(tenth, limit, memory)]
    row["tenth"] = {"cryomae": asdict(mine[0]), "scikit-activeml": asdict(less)}
    if less.seconds is None:
        return f"{peer.reason}; a tenth: {less.reason}"
    return f"{peer.reason}; a tenth: CPU {less.cpu_seconds:.2f} s ({ratio(less, mine)})"


def ratio(peer: Outcome, ours: list[Outcome]) -> str:
    """How many times our CPU time the peer's is."""
    times = [o.cpu_seconds for o in ours if o.cpu_seconds is not None]
    if not times or peer.cpu_seconds is None:
        return "no comparison"
    return f"{peer.cpu_seconds / median(times):.1f} times ours"


def show(ours: list[Outcome]) -> str:
    """Median seconds and memory, or why there are none."""
    failed = [o.reason for o in ours if o.seconds is None]
    if failed:
        return f"{failed[0]:>28}"
    times = [median(getattr(o, key) for o in ours) for key in ("seconds", "cpu_seconds")]
    return f"{times[0]:9.3f}{times[1]:9.3f}{max(o.extra_mb or 0 for o in ours):10.0f}"


if __name__ == "__main__":
    main()
