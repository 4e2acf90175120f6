"""What each choice of few-shot training gives.

    export CRYOMAE_DATA=/folder    # structures/3pqr.pdb, 8zpm.cif, 5n92.pdb and a map in it
    cryomae simulate configs/fewshot.yaml --output runs/fewshot
    python scripts/ablate_fewshot.py runs/fewshot --output runs/ablate_fewshot

For every set and seed, 15 particles of a random micrograph are the exemplars, and the other
micrographs are tested, at the automatic threshold, which is found without labels. Every
variant is `cryomae.train.fewshot.FewShot` with some of its numbers changed. Figures are
differences to the model that few-shot training starts from, mean over sets and seeds, with
the standard deviation of their means over seeds, the worst set (mean over seeds) and the worst
draw; "used" is the share of draws in which held-out exemplars let the correction be used.

Micrographs are scored once: the correction is linear, so it is applied to the maps. Every result
is kept in OUTPUT/kept.json, and used again when the command is repeated; kept results do not
notice changed code.
"""

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _bench import report
from _bench.exemplars import draw_exemplars
from _bench.inprocess import Scored, judge_candidates, score_set
from _bench.sets import LabelledSet, find_sets

from cryomae.atomic import write_text
from cryomae.errors import InputError
from cryomae.pick import load_detector
from cryomae.pick.peaks import inside
from cryomae.pick.pipeline import Detector
from cryomae.picks import Picks
from cryomae.prepare import WORKING_DIAMETER
from cryomae.train.exemplars import Exemplars
from cryomae.train.fewshot import Change, FewShot, adapt
from cryomae.train.head import SLOPE_SPREAD
from cryomae.train.scene import Scene, make_scene

SHOWN = {"f1": "F1, own threshold", "best_f1": "F1, best threshold", "average_precision": "AP"}

VARIANTS: dict[str, dict[str, Any]] = {
    "as shipped": {},
    "no self term": {"alike": 0.0},
    "no cross term": {"apart": 0.0},
    "neither: positive-unlabelled risk alone": {"alike": 0.0, "apart": 0.0},
    "self term ten times as heavy": {"alike": 1.0},
    "cross term five times as heavy": {"apart": 5.0},
    "always used": {"sure": -np.inf},
    "used for any gain": {"sure": 0.0},
    "used for two standard errors": {"sure": 2.0},
    "slope learnt, always used": {"slope_spread": SLOPE_SPREAD, "sure": -np.inf},
    "promise not kept, always used": {"keep_promise": False, "sure": -np.inf},
}
"""What differs from the shipped `FewShot`."""


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("sets", nargs="+", metavar="FOLDER[:DIAMETER[:PIXEL_SIZE]]", help="sets or suites")
    add("--output", type=Path, required=True, help="folder for everything that is written")
    add("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="default: all")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2], help="default 0 1 2")
    add("--exemplars", type=int, default=15, help="particles that are shown (default 15)")
    add("--model", default="default", help="to start from (default: the shipped one)")
    return parser.parse_args(argv)


@dataclass(frozen=True)
class Draw:
    """A set and the exemplars of one seed."""

    data: LabelledSet
    seed: int
    exemplars: int

    @property
    def name(self) -> str:
        """For people, and of kept results."""
        return f"{self.data.name} seed {self.seed}"

    def scene(self, scored: dict[str, Scored]) -> Scene:
        """The exemplars, as few-shot training takes them."""
        drawn = draw_exemplars(self.data, self.seed, self.exemplars)
        own = scored[drawn.micrograph]
        xy = drawn.picks.xy / np.array(own.working.spacing[::-1])
        xy = xy[inside(xy, own.working.valid, WORKING_DIAMETER / 2)]
        path = self.data.files[drawn.micrograph]
        part = Exemplars(
            drawn.micrograph, path, own.working, self.data.pixel_size, xy, np.zeros((0, 2))
        )
        return make_scene([part], [own.maps], self.seed)

    def judge(self, scored: dict[str, Scored], change: Change | None) -> dict[str, float]:
        """Figures on the micrographs that the exemplars are not from."""
        drawn = draw_exemplars(self.data, self.seed, self.exemplars)
        every = Picks.concat([own.candidates(self.data, change) for own in scored.values()])
        shown = change is not None
        found = judge_candidates(self.data, every, {self.seed: drawn}, shown=shown)
        return {name: found[name] for name in SHOWN}


def variant(
    draw: Draw,
    scored: dict[str, Scored],
    scene: Scene,
    detector: Detector,
    start: dict[str, float],
    changes: dict[str, Any],
) -> dict[str, float]:
    """Figures of a variant; those of the start where the model is left as it was."""
    adapted = adapt(detector.model, scene, replace(FewShot(seed=draw.seed), **changes))
    found = draw.judge(scored, adapted.change) if adapted.helped else start
    return found | {"used": float(adapted.helped)}


class Kept:
    """Results of earlier calls, in one file."""

    def __init__(self, path: Path, conditions: dict[str, Any]) -> None:
        self.path, self.conditions = path, conditions
        self.results: dict[str, dict[str, Any]] = {}
        if path.is_file():
            content = json.loads(path.read_text())
            if content["conditions"] != conditions:
                raise InputError(
                    "holds results made under other conditions", "use another --output", path
                )
            self.results = content["results"]

    def get(self, scene: Draw, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Give what is kept; make it first if there is nothing."""
        key = f"{scene.name}: {name}"
        if key not in self.results:
            self.results[key] = make()
            content = {"conditions": self.conditions, "results": self.results}
            write_text(self.path, json.dumps(content, indent=1) + "\n")
            print(f"{key}: {self.results[key]}", flush=True)
        return self.results[key]


Differences = dict[str, dict[tuple[str, int], dict[str, float]]]
"""By variant, then by set and seed: each figure less that of the starting model."""


def row(name: str, found: dict[tuple[str, int], dict[str, float]]) -> report.Row:
    """Mean difference, spread over seeds, worst set and worst draw of each figure."""
    cells = []
    for key in SHOWN:
        by_set: dict[str, list[float]] = {}
        by_seed: dict[int, list[float]] = {}
        for (of_set, seed), figures in found.items():
            by_set.setdefault(of_set, []).append(figures[key])
            by_seed.setdefault(seed, []).append(figures[key])
        means = [statistics.mean(v) for v in by_seed.values()]
        spread = f" ± {statistics.stdev(means):.3f}" if len(means) > 1 else ""
        worst = min(statistics.mean(v) for v in by_set.values())
        one = min(figures[key] for figures in found.values())
        cells += [f"{statistics.mean(means):+.3f}{spread}", f"{worst:+.3f}; {one:+.3f}"]
    used = statistics.mean(figures["used"] for figures in found.values())
    return (name, *cells, f"{used:.2f}")


def main(argv: Sequence[str] | None = None) -> None:
    """Run what is not kept yet, and show all of it."""
    given = arguments(argv)
    given.output.mkdir(parents=True, exist_ok=True)
    detector = load_detector(given.model)
    conditions = {"weights": detector.sha256, "exemplars": given.exemplars}
    kept = Kept(given.output / "kept.json", conditions | {"shipped": asdict(FewShot())})
    trained: Differences = {name: {} for name in given.variants}
    sets = [data for spec in given.sets for data in find_sets(spec)]
    for data in sets:
        scored = score_set(data, detector)
        for seed in given.seeds:
            draw = Draw(data, seed, given.exemplars)
            start = kept.get(draw, "start", partial(draw.judge, scored, None))
            scene = draw.scene(scored)
            for name in given.variants:
                make = partial(variant, draw, scored, scene, detector, start, VARIANTS[name])
                trained[name][data.name, seed] = less(kept.get(draw, name, make), start)
    head = [""]
    for words in SHOWN.values():
        head += [words, "worst set; draw"]
    tables = {"Few-shot training": [(*head, "used")]}
    tables["Few-shot training"] += [row(name, found) for name, found in trained.items()]
    notes = [
        f"{len(sets)} sets: {', '.join(data.name for data in sets)}; seeds "
        f"{', '.join(map(str, given.seeds))}; up to {given.exemplars} exemplars; differences to "
        f"{detector.name}",
    ]
    results = {"machine": report.machine(), "notes": notes, "results": kept.results}
    report.write(given.output, results, tables, title="Few-shot training, choice by choice")


def less(figures: dict[str, float], start: dict[str, float]) -> dict[str, float]:
    """Differences to the start; what it does not have stays."""
    return {name: value - start.get(name, 0.0) for name, value in figures.items()}


if __name__ == "__main__":
    main()
