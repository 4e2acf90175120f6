"""What each part of few-shot training gives: terms of the loss, likeness, held-out exemplars.

    export CRYOMAE_DATA=/folder    # structures/3pqr.pdb, 8zpm.cif, 5n92.pdb in it
    cryomae simulate configs/fewshot.yaml --output runs/fewshot
    python scripts/ablate_fewshot.py runs/fewshot --output runs/ablate_fewshot
    python scripts/ablate_fewshot.py runs/fewshot --variants "as shipped" --seeds 0 \
        --output runs/ablate_fewshot

For every set and seed, 15 particles of a random micrograph are the exemplars, and the other
micrographs are tested, at the automatic threshold, which is found without labels. Every
variant is `cryomae.train.fewshot.FewShot` with some of its numbers changed. Figures are
differences to the model that few-shot training starts from, mean over sets and seeds, with
the standard deviation of their means over seeds, and the worst set (mean over seeds).

Aggregation rules are compared apart from training: the likeness of a candidate to the
exemplars, cosines of coarse latents aggregated by a rule, is added to the score of the
starting model, one standard deviation of it counting one logit.

Every result is kept in OUTPUT/kept.json, and used again when the command is repeated; kept
results do not notice changed code. The whole takes about four hours on two CPU cores.
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
from _bench.inprocess import judge_candidates, pick_set, read
from _bench.sets import LabelledSet, find_sets
from numpy.typing import NDArray

from cryomae.atomic import write_text
from cryomae.errors import InputError
from cryomae.pick import load_detector
from cryomae.pick.pipeline import Detector
from cryomae.picks import Picks
from cryomae.prepare import prepare
from cryomae.train.exemplars import Exemplars
from cryomae.train.fewshot import FewShot, adapt
from cryomae.train.scene import latents_at

SHOWN = {"f1": "F1, own threshold", "best_f1": "F1, best threshold", "average_precision": "AP"}

VARIANTS: dict[str, dict[str, Any]] = {
    "as shipped": {},
    "likeness alone": {"steps": 0},
    "no likeness": {"likeness": 0.0},
    "exemplars and unlabelled places alone": {"alike": 0, "apart": 0, "mass": 0, "likeness": 0.0},
    "+ self": {"apart": 0, "mass": 0, "likeness": 0.0},
    "+ self and cross": {"mass": 0, "likeness": 0.0},
    "no mass": {"mass": 0},
    "no weights for unlabelled places": {"believe": 0.0},
    "exemplars at full weight": {"exemplars": 1.0},
    "all steps, nothing held out": {"folds": 0},
    "student not averaged with teacher": {"average": 1.0},
    "encoder learns too": {"encoder": True},
}
"""What differs from the shipped `FewShot`."""

RULES: dict[str, Callable[[NDArray], NDArray]] = {
    "mean": lambda alike: alike.mean(axis=1),
    "median": lambda alike: np.median(alike, axis=1),
    "maximum": lambda alike: alike.max(axis=1),
    "mean of the best three": lambda alike: np.sort(alike, axis=1)[:, -3:].mean(axis=1),
}
"""From cosines (candidates, exemplars) to the likeness of each candidate."""


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("sets", nargs="+", metavar="FOLDER[:DIAMETER[:PIXEL_SIZE]]", help="sets or suites")
    add("--output", type=Path, required=True, help="folder for everything that is written")
    add("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="default: all")
    add("--no-rules", action="store_true", help="do not compare aggregation rules")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2], help="default 0 1 2")
    add("--exemplars", type=int, default=15, help="particles that are shown (default 15)")
    add("--model", default="default", help="to start from (default: the shipped one)")
    return parser.parse_args(argv)


@dataclass(frozen=True)
class Scene:
    """A set and the exemplars of one seed."""

    data: LabelledSet
    seed: int
    exemplars: int

    @property
    def name(self) -> str:
        """For people, and of kept results."""
        return f"{self.data.name} seed {self.seed}"

    def shown(self) -> Exemplars:
        """The exemplars, as few-shot training takes them."""
        drawn = draw_exemplars(self.data, self.seed, self.exemplars)
        micrograph = read(self.data, drawn.micrograph)
        working = prepare(micrograph.pixels, micrograph.pixel_size, self.data.diameter)
        xy = drawn.picks.xy / np.array(working.spacing[::-1])
        return Exemplars(
            drawn.micrograph, micrograph.path, working, micrograph.pixel_size, xy, np.zeros((0, 2))
        )

    def judge(self, candidates: Picks, *, shown: bool) -> dict[str, float]:
        """Figures on the micrographs that the exemplars are not from."""
        drawn = draw_exemplars(self.data, self.seed, self.exemplars)
        found = judge_candidates(self.data, candidates, {self.seed: drawn}, shown=shown)
        return {name: found[name] for name in SHOWN}


def candidates_of(scene: Scene, detector: Detector) -> Picks:
    """Pick all micrographs of a set."""
    return Picks.concat([one.candidates for one in pick_set(scene.data, detector)])


def variant(scene: Scene, detector: Detector, changes: dict[str, Any]) -> dict[str, float]:
    """Figures of a variant."""
    settings = replace(FewShot(seed=scene.seed), **changes)
    adapted = adapt(detector, [scene.shown()], settings)
    trained = replace(detector, model=adapted.model.to(detector.torch_device))
    return scene.judge(candidates_of(scene, trained), shown=trained.shown) | {
        "steps": adapted.steps
    }


def rules(scene: Scene, detector: Detector) -> dict[str, dict[str, float]]:
    """Figures of each aggregation rule, without training."""
    shown = scene.shown()
    picked = pick_set(scene.data, detector)
    latents = [
        latents_at(detector, one.image, one.candidates.xy / np.array(one.spacing[::-1]))
        for one in picked
    ]
    latents = [part for part in latents if len(part)]
    centre = np.concatenate(latents).mean(axis=0)

    def unit(z: NDArray) -> NDArray:
        return (z - centre) / np.linalg.norm(z - centre, axis=1, keepdims=True)

    mine = unit(latents_at(detector, shown.working.image, shown.xy))
    cosines = unit(np.concatenate(latents)) @ mine.T
    every = Picks.concat([one.candidates for one in picked])
    p = every.score.clip(1e-6, 1 - 1e-6)
    found = {}
    for name, rule in RULES.items():
        alike = rule(cosines)
        logit = np.log(p / (1 - p)) + (alike - alike.mean()) / alike.std()
        found[name] = scene.judge(
            Picks(every.table.assign(score=1 / (1 + np.exp(-logit)))), shown=True
        )
    return found


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

    def get(self, scene: Scene, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
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
    """Mean difference, spread over seeds and worst set of each figure."""
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
        cells += [f"{statistics.mean(means):+.3f}{spread}", f"{worst:+.3f}"]
    steps = [figures["steps"] for figures in found.values() if "steps" in figures]
    return (name, *cells, f"{statistics.mean(steps):.0f}" if steps else "–")


def main(argv: Sequence[str] | None = None) -> None:
    """Run what is not kept yet, and show all of it."""
    given = arguments(argv)
    given.output.mkdir(parents=True, exist_ok=True)
    detector = load_detector(given.model)
    conditions = {"weights": detector.sha256, "exemplars": given.exemplars}
    kept = Kept(given.output / "kept.json", conditions | {"shipped": asdict(FewShot())})
    scenes = [
        Scene(data, seed, given.exemplars)
        for seed in given.seeds
        for spec in given.sets
        for data in find_sets(spec)
    ]
    trained: Differences = {name: {} for name in given.variants}
    ruled: Differences = {} if given.no_rules else {name: {} for name in RULES}
    for scene in scenes:
        key = (scene.data.name, scene.seed)
        start = kept.get(scene, "start", partial(start_of, scene, detector))
        for name in given.variants:
            make = partial(variant, scene, detector, VARIANTS[name])
            trained[name][key] = less(kept.get(scene, name, make), start)
        if ruled:
            found = kept.get(scene, "rules", partial(rules, scene, detector))
            for name in RULES:
                ruled[name][key] = less(found[name], start)
    head = [""]
    for words in SHOWN.values():
        head += [words, "worst set"]
    tables = {"Few-shot training": [(*head, "steps")]}
    tables["Few-shot training"] += [row(name, found) for name, found in trained.items()]
    if ruled:
        title = "Aggregation of likeness, without training"
        tables[title] = [(*head, "steps"), *(row(name, found) for name, found in ruled.items())]
    names = sorted({scene.data.name for scene in scenes})
    notes = [
        f"{len(names)} sets: {', '.join(names)}; seeds {', '.join(map(str, given.seeds))}; "
        f"up to {given.exemplars} exemplars; differences to {detector.name}",
    ]
    results = {"machine": report.machine(), "notes": notes, "results": kept.results}
    report.write(given.output, results, tables, title="Few-shot training, part by part")


def start_of(scene: Scene, detector: Detector) -> dict[str, float]:
    """Figures of the model that training starts from."""
    return scene.judge(candidates_of(scene, detector), shown=detector.shown)


def less(figures: dict[str, float], start: dict[str, float]) -> dict[str, float]:
    """Differences to the start; what it does not have stays."""
    return {name: value - start.get(name, 0.0) for name, value in figures.items()}


if __name__ == "__main__":
    main()
