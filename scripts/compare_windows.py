"""What the overlap of the windows that a micrograph is scored in costs, and what it gives.

    export CRYOMAE_DATA=/folder
    cryomae simulate configs/fewshot.yaml --output runs/fewshot
    python scripts/compare_windows.py runs/fewshot --output runs/windows

Each set is picked with each overlap. Printed are the windows of all micrographs, the seconds
that scoring them takes (the order of the overlaps changes from set to set), F1 at the automatic
threshold and average precision: the mean over sets, its difference to the overlap that ships
with the standard error over sets, and the set that loses most.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from _bench import report
from _bench.exemplars import Exemplars
from _bench.inprocess import judge_candidates, read
from _bench.sets import LabelledSet, find_sets

from cryomae.pick import load_detector, windows
from cryomae.pick.pipeline import Detector, candidates_of
from cryomae.picks import Picks
from cryomae.prepare import WorkingImage, prepare

SHIPPED = windows.OVERLAP
FIGURES = {"f1": "F1", "average_precision": "average precision"}
NOBODY = Exemplars("", Picks.concat([]), 0)


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("sets", nargs="+", metavar="FOLDER[:DIAMETER[:PIXEL_SIZE]]", help="sets or suites")
    add("--output", type=Path, required=True, help="folder for what is written")
    add("--overlaps", nargs="+", type=int, default=[0, 8, 16, 24, 32, 48], help="working pixels")
    add("--model", default="default", help="to pick with (default: the shipped one)")
    return parser.parse_args(argv)


def prepare_all(data: LabelledSet) -> dict[str, WorkingImage]:
    """Working images of a set, by stem."""
    made = {}
    for name in data.files:
        micrograph = read(data, name)
        made[name] = prepare(micrograph.pixels, micrograph.pixel_size, data.diameter)
    return made


def measure(
    data: LabelledSet, images: dict[str, WorkingImage], detector: Detector, overlap: int
) -> dict[str, float]:
    """Windows, seconds of scoring and figures of one set."""
    windows.OVERLAP = overlap
    found, count, seconds = [], 0, 0.0
    for name, working in images.items():
        h, w = working.image.shape
        count += windows.count_windows((h, w), detector.model.config.window)
        begin = time.perf_counter()
        logits = detector.logits(working.image)
        seconds += time.perf_counter() - begin
        found.append(
            candidates_of(logits, working, name, data.diameter, data.diameter / 2, "compared")
        )
    figures = judge_candidates(data, Picks.concat(found), {0: NOBODY}, shown=False)
    return {"windows": count, "seconds": seconds} | {key: figures[key] for key in FIGURES}


def row(overlap: int, results: dict[str, dict[int, dict[str, float]]]) -> report.Row:
    """Totals and means of one overlap, beside the shipped one."""
    mine = [of_set[overlap] for of_set in results.values()]
    cells = [f"{sum(m['windows'] for m in mine):.0f}", f"{sum(m['seconds'] for m in mine):.1f}"]
    for key in FIGURES:
        less = {name: of[overlap][key] - of[SHIPPED][key] for name, of in results.items()}
        worst = min(less, key=lambda name: less[name])
        error = statistics.stdev(less.values()) / len(less) ** 0.5 if len(less) > 1 else 0.0
        cells += [
            f"{statistics.mean(m[key] for m in mine):.3f}",
            f"{statistics.mean(less.values()):+.4f} ± {error:.4f}",
            f"{less[worst]:+.3f} ({worst})",
        ]
    return (f"{overlap}", *cells)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure all sets and show them."""
    given = arguments(argv)
    given.output.mkdir(parents=True, exist_ok=True)
    detector = load_detector(given.model)
    overlaps = sorted({*given.overlaps, SHIPPED})
    results: dict[str, dict[int, dict[str, float]]] = {}
    for data in (data for spec in given.sets for data in find_sets(spec)):
        overlaps = [*overlaps[1:], overlaps[0]]
        images = prepare_all(data)
        results[data.name] = {n: measure(data, images, detector, n) for n in overlaps}
        print(f"{data.name}: {results[data.name]}", flush=True)
    head = ["overlap", "windows", "scoring, s"]
    for words in FIGURES.values():
        head += [words, "difference", "worst set"]
    table = [tuple(head), *(row(overlap, results) for overlap in sorted(overlaps))]
    notes = [f"{len(results)} sets: {', '.join(results)}; {detector.name}"]
    content = {"machine": report.machine(), "notes": notes, "results": results}
    report.write(given.output, content, {"Windows": table}, title="Overlap of windows")


if __name__ == "__main__":
    main()
