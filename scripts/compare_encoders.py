"""What the masked autoencoder gives: the picker with it and without, trained for equal time.

    python scripts/compare_encoders.py ../shared/data/empiar10017:191 runs/suite \
        --pool runs/default/pool --output runs/encoders
    python scripts/compare_encoders.py runs/suite --minutes 5 --arms mae cnn --output runs/quick

Three pickers, each trained on the same simulated pool for --minutes in all, with the batches,
rates and shares of time of configs/default.yaml:

- **mae**: as shipped. A masked autoencoder is pretrained, and its time counts; then encoder,
  pyramid and head learn to find particles.
- **scratch**: the same network; its encoder starts from random weights.
- **cnn**: no encoder; pyramid and head alone.

How many steps fit is worked out from the processor time of a short trial: start on an idle
machine, since threads that wait for one another count too. Scores are calibrated on simulated
fields apart from training, as for the shipped weights. Figures are those of ``cryomae pick``
without exemplars, at the automatic threshold. Trainings go on where they stopped; figures are
kept in the output folder.
"""

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import yaml
from _bench import report
from _bench.exemplars import draw_exemplars
from _bench.inprocess import judge_candidates, pick_set
from _bench.sets import find_sets
from calibrate import HELD_OUT, detector_of, load, peaks_of, platt
from train_default import stage

from cryomae.atomic import write_text
from cryomae.model import EncoderConfig, ParticleDetector, create_model
from cryomae.model.mae import MaskedAutoencoder
from cryomae.picks import Picks
from cryomae.train.detect import DetectionTask
from cryomae.train.fields import simulate_fields
from cryomae.train.loop import CHECKPOINT, Task
from cryomae.train.masked import MaskedTask, Target
from cryomae.train.pool import Pool, load_pool, make_pool

TRIAL = 6  # steps that tell what a step costs, after as many to warm up
PRETRAINING = 0.18  # share of the time, as in the shipped recipe
ARMS = {"mae": "as shipped", "scratch": "encoder from scratch", "cnn": "no encoder"}
SHOWN = {"f1": "F1", "best_f1": "best F1", "average_precision": "AP"}


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("sets", nargs="+", metavar="FOLDER[:DIAMETER[:PIXEL_SIZE]]", help="sets or suites")
    add("--output", type=Path, required=True, help="folder for everything that is written")
    add("--minutes", type=float, default=20, help="of training in all (default 20)")
    add("--arms", nargs="+", choices=ARMS, default=list(ARMS), help="default: all")
    add("--seeds", type=int, nargs="+", default=[1], help="of training (default 1)")
    add("--config", type=Path, default=Path("configs/default.yaml"))
    add("--pool", type=Path, help="made by scripts/train_default.py (default: OUTPUT/pool)")
    add("--particles", type=int, default=24, help="to calibrate scores on (default 24)")
    return parser.parse_args(argv)


def steps_in(
    seconds: float, task: Task, pool: Pool, cfg: dict[str, Any], config: EncoderConfig
) -> int:
    """Steps that fit into some seconds of all processor cores."""
    spent = []
    for steps in (TRIAL, 2 * TRIAL):
        with TemporaryDirectory() as trial:
            start = time.process_time()
            stage("trial", task, pool, {**cfg, "steps": steps}, config, Path(trial))
            spent.append(time.process_time() - start)
    step = (spent[1] - spent[0]) / TRIAL
    return max(1, round(seconds * torch.get_num_threads() / step))


def train_arm(arm: str, seed: int, given: argparse.Namespace, pool: Pool, folder: Path) -> None:
    """Train one picker; every stage goes on where it was stopped."""
    cfg = yaml.safe_load(given.config.read_text())
    config = create_model(cfg["architecture"], pretrained=False).config
    record = folder / "steps.json"
    steps = json.loads(record.read_text()) if record.is_file() else {}
    masked_cfg = cfg["pretrain"] | {"seed": cfg["pretrain"]["seed"] + 100 * seed}
    detect_cfg = cfg["detect"] | {"seed": cfg["detect"]["seed"] + 100 * seed}
    mask, target = masked_cfg.pop("mask"), Target(masked_cfg.pop("target"))

    def masked() -> MaskedTask:
        torch.manual_seed(masked_cfg["seed"])
        return MaskedTask(MaskedAutoencoder(config), mask, target, masked_cfg["seed"])

    def detection() -> DetectionTask:
        torch.manual_seed(detect_cfg["seed"])
        return DetectionTask(ParticleDetector(config, tokens=arm != "cnn"))

    if not steps:
        seconds = 60 * given.minutes
        if arm == "mae":
            share = PRETRAINING * seconds
            steps["pretrain"] = steps_in(share, masked(), pool, masked_cfg, config)
            seconds -= share
        steps["detect"] = steps_in(seconds, detection(), pool, detect_cfg, config)
        folder.mkdir(parents=True, exist_ok=True)
        write_text(record, json.dumps(steps))
    task = detection()
    if arm == "mae":
        trained = masked()
        masked_cfg["steps"] = steps["pretrain"]
        stage("pretrain", trained, pool, masked_cfg, config, folder)
        assert task.detector.encoder is not None
        task.detector.encoder.load_state_dict(trained.autoencoder.encoder.state_dict())
    stage("detect", task, pool, detect_cfg | {"steps": steps["detect"]}, config, folder)


def main(argv: Sequence[str] | None = None) -> None:
    """Train, calibrate, pick and show."""
    given = arguments(argv)
    given.output.mkdir(parents=True, exist_ok=True)
    particles = yaml.safe_load(given.config.read_text())["pool"]
    place = given.pool or given.output / "pool"
    place.mkdir(parents=True, exist_ok=True)
    make_pool(place, **particles, jobs=2)
    pool = load_pool(place, particles["particles"])
    sets = [data for spec in given.sets for data in find_sets(spec)]
    fields = []
    found: dict[str, list[dict[str, dict[str, float]]]] = {arm: [] for arm in given.arms}
    for seed in given.seeds:
        for arm in given.arms:
            folder = given.output / f"{arm}_{given.minutes:g}min_seed{seed}"
            kept = folder / "figures.json"
            if not kept.is_file():
                train_arm(arm, seed, given, pool, folder)
                if not fields:
                    fields = [
                        f for i in range(given.particles) for f in simulate_fields(HELD_OUT, i)
                    ]
                model = load(folder / "detect" / CHECKPOINT, tokens=arm != "cnn")
                detector = detector_of(model)
                peaks = [peaks_of(detector, field) for field in fields]
                hits = np.concatenate([p.hit for p in peaks]).astype(float)
                model.calibrate(*platt(np.concatenate([p.logit for p in peaks]), hits))
                figures = {}
                for data in sets:
                    every = Picks.concat([one.candidates for one in pick_set(data, detector)])
                    shown = {s: draw_exemplars(data, s, 15) for s in range(3)}
                    figures[data.name] = judge_candidates(data, every, shown, shown=False)
                    print(f"{arm} seed {seed} {data.name}: {figures[data.name]}", flush=True)
                write_text(kept, json.dumps(figures, indent=1) + "\n")
            found[arm].append(json.loads(kept.read_text()))
    tables: dict[str, list[report.Row]] = {}
    for key, words in SHOWN.items():
        rows: list[report.Row] = [("set", *(ARMS[arm] for arm in given.arms))]
        for name in [data.name for data in sets]:
            cells = [_spread([run[name][key] for run in found[arm]]) for arm in given.arms]
            rows.append((name, *cells))
        means = [
            _spread([statistics.mean(f[key] for f in run.values()) for run in found[arm]])
            for arm in given.arms
        ]
        tables[words] = [*rows, ("mean", *means)]
    steps = {p.parent.name: json.loads(p.read_text()) for p in given.output.glob("*/steps.json")}
    notes = [f"{name}: {of_arm}" for name, of_arm in sorted(steps.items())]
    results = {"machine": report.machine(), "notes": notes, "found": found}
    title = f"With and without the masked autoencoder, {given.minutes:g} minutes of training"
    report.write(given.output, results, tables, title=title)


def _spread(values: list[float]) -> str:
    """Mean, and standard deviation if there are several."""
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"


if __name__ == "__main__":
    main()
