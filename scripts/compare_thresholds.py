"""Compare rules for the automatic threshold, none of which sees a label.

    export CRYOMAE_DATA=/folder
    cryomae simulate configs/thresholds.yaml --output runs/thresholds
    cryomae simulate configs/fewshot.yaml --output runs/fewshot
    python scripts/compare_thresholds.py runs/thresholds runs/fewshot --output runs/compare

Data sets are simulated fields as in training (other seeds), each alone, the three of a particle
together, and blurred beyond anything in training; and the sets named, each as a whole, its
micrographs one by one, and three neighbouring sets together, as signals differ within a real data
set. Printed for each rule are the mean F1 with its standard error, beside that of the best
threshold which truth could choose, the loss against the best that one data set in ten exceeds, and
the picks in fields without particles. Data sets with fewer than 8 particles or 20 candidates count
for none of these.
"""

import argparse
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _bench import report
from _bench.inprocess import pick_set
from _bench.sets import LabelledSet, find_sets
from _bench.verdict import pool_of
from calibrate import f1_at, peaks_of
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from cryomae.active.estimate import best_promised
from cryomae.evaluate.matching import precision_recall
from cryomae.pick import CANDIDATE_FLOOR, Detector, choose_threshold, load_detector
from cryomae.pick.pipeline import probability
from cryomae.picks import Picks
from cryomae.prepare import flatten
from cryomae.train.fields import Field, simulate_fields

SEED = 20_000_000  # neither training's nor that of scripts/calibrate.py
LEAST_TRUTH, LEAST_CANDIDATES = 8, 20


@dataclass(frozen=True)
class Scores:
    """Candidates of a data set: scores, which are right, and how many particles there are."""

    p: NDArray[np.float64]
    hit: NDArray[np.bool_]
    truth: int


def otsu(p: NDArray) -> float:
    """Otsu's threshold on the logits."""
    return float(probability(np.array(threshold_otsu(np.log(p / (1 - p))))))


RULES: dict[str, Callable[[NDArray], float]] = {
    "0.3": lambda p: 0.3,
    "0.5": lambda p: 0.5,
    "promised F1": lambda p: best_promised(p, p),
    "Otsu": otsu,
    "cryomae": lambda p: choose_threshold([p]).value,
}


def blurred(field: Field, rng: np.random.Generator) -> Field:
    """A field blurred by 2 to 4.5 working pixels more."""
    smooth = ndimage.gaussian_filter(field.image, rng.uniform(2, 4.5))
    image, _ = flatten(smooth, field.valid)
    return dataclasses.replace(field, image=image)


def of_field(detector: Detector, field: Field) -> Scores:
    """Pick a field."""
    found = peaks_of(detector, field)
    p = probability(found.logit)
    kept = p >= CANDIDATE_FLOOR
    return Scores(np.clip(p[kept], 0, 1 - 1e-4), found.hit[kept], found.truth)


def of_set(detector: Detector, data: LabelledSet) -> list[Scores]:
    """Pick each micrograph of a set."""
    picks = Picks.concat([found.candidates for found in pick_set(data, detector)])
    pool = pool_of(picks, data, 0)
    p = np.clip(pool.scores, 0, 1 - 1e-4)
    return [
        Scores(p[pool.owner == i], pool.hits[pool.owner == i], int(truth))
        for i, truth in enumerate(pool.truth)
    ]


def together(parts: Sequence[Scores]) -> Scores:
    """All of them as one data set."""
    p, hit = (np.concatenate([getattr(s, name) for s in parts]) for name in ("p", "hit"))
    return Scores(p, hit, sum(s.truth for s in parts))


def by_threes(parts: list[Scores]) -> Iterator[Scores]:
    """Three neighbours at a time as one data set."""
    for i in range(0, len(parts) - 2, 3):
        yield together(parts[i : i + 3])


def row(name: str, kinds: dict[str, list[Scores]], empty: list[Scores]) -> report.Row:
    """What a rule reaches on each kind of data set."""
    cells = []
    for sets in kinds.values():
        best = np.array([precision_recall(s.p, s.hit, s.truth).best_f1 for s in sets])
        f1 = best
        if name in RULES:
            f1 = np.array([f1_at(s.p, s.hit, s.truth, RULES[name](s.p)) for s in sets])
        error = f1.std(ddof=1) / len(f1) ** 0.5 if len(f1) > 1 else 0.0
        cells.append(f"{f1.mean():.3f} ± {error:.3f} ({np.quantile(best - f1, 0.9):.2f})")
    picked = [int((s.p >= RULES[name](s.p)).sum()) for s in empty] if name in RULES else []
    return (name, *cells, f"{np.mean(picked):.1f}" if picked else "")


def main() -> None:
    """Simulate, pick, compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("sets", nargs="*", metavar="FOLDER[:DIAMETER[:PIXEL_SIZE]]", help="sets or suites")
    add("--particles", type=int, default=30, help="each has three fields (default 30)")
    add("--model", default="default", help="to pick with (default: the shipped one)")
    add("--output", type=Path, required=True, help="folder for what is written")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    detector = load_detector(given.model)
    rng = np.random.default_rng(SEED)
    alone: list[Scores] = []
    blurry: list[Scores] = []
    for i in range(given.particles):
        fields = simulate_fields(SEED, i)
        alone += [of_field(detector, f) for f in fields]
        blurry += [of_field(detector, blurred(f, rng)) for f in fields]
        print(f"particle {i + 1} of {given.particles}", flush=True)
    kinds = {"a field": alone, "three fields": [*by_threes(alone)], "blurred field": blurry}
    for spec in given.sets:
        each = []
        for data in find_sets(spec):
            each.append(of_set(detector, data))
            print(f"{data.group}/{data.name}", flush=True)
        whole = [together(parts) for parts in each]
        kinds[f"{data.group}: set"] = whole
        kinds[f"{data.group}: micrograph"] = [s for parts in each for s in parts]
        kinds[f"{data.group}: three sets"] = [*by_threes(whole)]
    empty = [s for s in alone if not s.truth and len(s.p) >= LEAST_CANDIDATES]
    kinds = {
        kind: [s for s in sets if s.truth >= LEAST_TRUTH and len(s.p) >= LEAST_CANDIDATES]
        for kind, sets in kinds.items()
    }
    kinds = {f"{kind} ({len(sets)})": sets for kind, sets in kinds.items() if sets}
    head = ["rule", *kinds, f"picks in an empty field ({len(empty)})"]
    table = [tuple(head), *(row(name, kinds, empty) for name in [*RULES, "best by truth"])]
    notes = [f"mean F1 ± standard error (loss that one in ten exceeds); {detector.name}"]
    content = {"machine": report.machine(), "notes": notes, "table": table}
    report.write(given.output, content, {"Thresholds": table}, title="Automatic threshold")


if __name__ == "__main__":
    main()
