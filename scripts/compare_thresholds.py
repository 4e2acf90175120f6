"""Compare rules for the automatic threshold on simulated fields, without labels to choose by.

Every field is taken for a data set of its own. Prints the mean F1 of each rule, and that of
the best threshold which truth could choose, on fields as in training (other seeds) and on
fields blurred beyond anything in training; and the picks in fields without particles.

    python scripts/compare_thresholds.py --particles 20 --output runs/thresholds
"""

import argparse
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from calibrate import f1_at, peaks_of
from numpy.typing import NDArray
from scipy import ndimage

from cryomae.evaluate.matching import precision_recall
from cryomae.pick import CANDIDATE_FLOOR, choose_threshold, load_detector
from cryomae.pick.pipeline import probability
from cryomae.pick.threshold import best_promised
from cryomae.prepare import flatten
from cryomae.train.fields import Field, simulate_fields

SEED = 20_000_000  # neither training's nor that of scripts/calibrate.py


def blurred(field: Field, rng: np.random.Generator) -> Field:
    """A field blurred by 2 to 4.5 working pixels more."""
    smooth = ndimage.gaussian_filter(field.image, rng.uniform(2, 4.5))
    image, _ = flatten(smooth, field.valid)
    return dataclasses.replace(field, image=image)


def otsu(p: NDArray) -> float:
    """Otsu's threshold on the logits."""
    x = np.sort(np.log(p / (1 - p)))
    below = np.arange(1, len(x))
    total = np.cumsum(x)
    gap = total[:-1] / below - (total[-1] - total[:-1]) / (len(x) - below)
    best = int(np.argmax(below * (len(x) - below) * gap**2))
    return float(1 / (1 + np.exp(-(x[best] + x[best + 1]) / 2)))


RULES: dict[str, Callable[[NDArray], float]] = {
    "0.3": lambda p: 0.3,
    "0.5": lambda p: 0.5,
    "promised F1": best_promised,
    "Otsu": otsu,
    "ours": lambda p: choose_threshold([p]).value,
}


def main() -> None:
    """Simulate, pick, compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--particles", type=int, default=20, help="each has three fields")
    parser.add_argument("--model", default="default")
    parser.add_argument("--output", type=Path, default=Path("runs/thresholds"))
    options = parser.parse_args()
    detector = load_detector(options.model)
    result: dict[str, dict[str, float]] = {}
    rng = np.random.default_rng(SEED)
    plain = [f for i in range(options.particles) for f in simulate_fields(SEED, i)]
    kinds = {"as in training": plain, "blurred more": [blurred(f, rng) for f in plain]}
    for kind, fields in kinds.items():
        f1: dict[str, list[float]] = {name: [] for name in [*RULES, "best"]}
        empty: dict[str, list[int]] = {name: [] for name in RULES}
        for field in fields:
            found = peaks_of(detector, field)
            p = probability(found.logit)
            candidates = np.clip(p[p >= CANDIDATE_FLOOR], 1e-4, 1 - 1e-4)
            if len(candidates) < 5:
                continue
            if 0 < found.truth < 8:
                continue  # too few for an F1, too many for an empty field
            for name, rule in RULES.items():
                value = rule(candidates)
                if found.truth:
                    f1[name].append(f1_at(p, found.hit, found.truth, value))
                else:
                    empty[name].append(int((p >= value).sum()))
            if found.truth:
                curve = precision_recall(p, found.hit, found.truth)
                f1["best"].append(curve.best_f1)
        result[f"F1, {kind}, {len(f1['best'])} fields"] = {
            name: round(float(np.mean(values)), 3) for name, values in f1.items()
        }
        if empty["0.5"]:
            result[f"picks in {len(empty['0.5'])} empty fields, {kind}"] = {
                name: round(float(np.mean(values)), 1) for name, values in empty.items()
            }
    print(json.dumps(result, indent=1))
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "thresholds.json").write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
