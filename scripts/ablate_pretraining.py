"""Which pretraining teaches an encoder most: target, masking ratio, patch size.

    python scripts/ablate_pretraining.py --output runs/ablate
    python scripts/ablate_pretraining.py --targets lowpass raw clean --masks 0.75 0.5 \
        --patches 8 16 --one-at-a-time --minutes 10 --output runs/ablate

Every cell trains one encoder on the same simulated pool, for the same number of steps
(--steps) or about the same time (--minutes: the steps follow from a short trial, and are
recorded). It is judged by two probes: the encoder is frozen, and a linear layer from a token
(--neighbours: from 3 × 3 of them) says which cells of 8 working pixels hold a particle's
centre. Learnt from many particles, its average precision is measured on fields of others; learnt
from 15 exemplars in one field of a particle, its best F1 is measured on the other fields of the
same, and averaged over particles. An encoder of random weights of each patch size is the control.

OUTPUT/cells/NAME/ holds what a cell goes on from and its result; a cell that is done is not
trained again. results.json and results.png are written after every cell.
"""

import argparse
import itertools
import json
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cryomae.atomic import atomic_path, write_text
from cryomae.errors import InputError
from cryomae.model.mae import Encoder, EncoderConfig, MaskedAutoencoder
from cryomae.train.loop import Progress, Schedule, train
from cryomae.train.machine import Precision, make_fabric
from cryomae.train.masked import MaskedTask, Target
from cryomae.train.pool import Pool, Windows, load_pool, make_pool
from cryomae.train.probe import Cells, cut_cells, few_shot_probe, linear_probe

TRIAL = 12  # steps that tell how fast a cell is
JUDGE_SEED = 1000  # of the held-out fields


@dataclass(frozen=True)
class Cell:
    """One encoder of the comparison; without a target it is not trained."""

    target: str | None
    mask: float
    patch: int
    seed: int

    @property
    def kind(self) -> str:
        """What it is, whatever its seed."""
        if self.target is None:
            return f"untrained p{self.patch}"
        return f"{self.target} m{self.mask:g} p{self.patch}"

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.kind} s{self.seed}".replace(" ", "_")


@dataclass(frozen=True)
class Fields:
    """What encoders are judged on.

    Attributes
    ----------
    learn, held_out : Cells
        Of different particles.
    apart : list of (Cells, Cells)
        Of each held-out particle: its first field, and the others.
    """

    learn: Cells
    held_out: Cells
    apart: list[tuple[Cells, Cells]]


Judge = Callable[[Encoder, Fields, argparse.Namespace, int], float]


def probe(encoder: Encoder, fields: Fields, options: argparse.Namespace, seed: int) -> float:
    """Average precision of the linear probe."""
    return linear_probe(
        encoder, fields.learn, fields.held_out,
        neighbours=options.neighbours, epochs=options.epochs, seed=seed,
    )  # fmt: skip


def few_shot(encoder: Encoder, fields: Fields, options: argparse.Namespace, seed: int) -> float:
    """F1 of the few-shot probe, mean over particles."""
    found = [few_shot_probe(encoder, *pair, seed=seed) for pair in fields.apart]
    return statistics.mean(value for value in found if not math.isnan(value))


JUDGES: dict[str, Judge] = {"probe_ap": probe, "few_shot_f1": few_shot}
"""Columns of the table, each a number that is better when higher."""


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--output", type=Path, default=Path("runs/ablate"))
    add("--targets", nargs="+", default=list(Target), choices=list(Target))
    add("--masks", nargs="+", type=float, default=[0.5, 0.75])
    add("--patches", nargs="+", type=int, default=[8, 16], choices=[4, 8, 16, 32])
    add("--one-at-a-time", action="store_true", help="vary one choice, the others the first given")
    add("--seeds", nargs="+", type=int, default=[1, 2, 3])
    add("--steps", type=int, default=1000)
    add("--minutes", type=float, help="of training a cell, in place of --steps")
    add("--batch", type=int, default=64)
    add("--rate", type=float, default=1.5e-3)
    add("--pool", type=Path, help="simulated pool to learn from (default: OUTPUT/pool)")
    add("--particles", type=int, default=300, help="simulated to learn from (default 300)")
    add("--held-out", type=int, default=60, help="particles to judge on (default 60)")
    add("--windows", type=int, default=2000, help="most windows a probe learns from")
    add("--neighbours", action="store_true", help="the probe sees 3 x 3 tokens")
    add("--epochs", type=int, default=20, help="of the probe")
    add("--depth", type=int, default=EncoderConfig.depth, help="blocks of the encoder")
    add("--device", default="auto")
    add("--precision", default="auto", choices=list(Precision))
    add("--jobs", type=int, default=2, help="processes that simulate")
    return parser.parse_args(argv)


def plan(options: argparse.Namespace) -> list[Cell]:
    """All cells, seed by seed, so that a comparison cut short is still one."""
    cells = []
    for seed in options.seeds:
        cells += [Cell(None, 0.0, patch, seed) for patch in options.patches]
        grid = list(itertools.product(options.targets, options.masks, options.patches))
        if options.one_at_a_time:
            grid = [
                one for one in grid if sum(a != b for a, b in zip(one, grid[0], strict=True)) < 2
            ]
        cells += [Cell(str(target), mask, patch, seed) for target, mask, patch in grid]
    return cells


def make_task(cell: Cell, depth: int) -> MaskedTask:
    """Autoencoder of a cell, untrained."""
    torch.manual_seed(cell.seed)
    autoencoder = MaskedAutoencoder(EncoderConfig(patch=cell.patch, depth=depth))
    return MaskedTask(autoencoder, cell.mask, Target(cell.target or "raw"), cell.seed)


def run(
    cell: Cell, pool: Pool, options: argparse.Namespace, steps: int, folder: Path
) -> tuple[Encoder, Progress]:
    """Pretrain the encoder of a cell, or go on."""
    folder.mkdir(parents=True, exist_ok=True)
    task, last = make_task(cell, options.depth), Progress()

    def tell(at: Progress) -> None:
        nonlocal last
        last = at
        if at.step and at.step % 100 == 0:
            print(f"  {cell.name} {at.step}/{at.steps} loss {at.loss:.4f}", flush=True)

    fabric = make_fabric(options.device, precision=Precision(options.precision))
    fabric.launch()
    windows = Windows(pool, task.autoencoder.encoder.config.window, cell.seed)
    schedule = Schedule(steps, options.batch, options.rate, seed=cell.seed)
    train(task, windows, schedule, folder, fabric=fabric, on_start=tell, on_progress=tell)
    return task.autoencoder.encoder, last


def steps_of(cell: Cell, pool: Pool, options: argparse.Namespace, folder: Path) -> int:
    """Steps that a cell is trained for."""
    if options.minutes is None:
        return int(options.steps)
    record = folder / "steps.json"
    if not record.exists():
        with TemporaryDirectory() as trial:
            seconds = run(cell, pool, options, TRIAL, Path(trial))[1].step_seconds
        write_text(record, json.dumps(max(TRIAL, round(60 * options.minutes / seconds))))
    return int(json.loads(record.read_text()))


def do_cell(cell: Cell, pool: Pool, fields: Fields, options: argparse.Namespace) -> dict:
    """Result of a cell: that of an earlier call, or a new one."""
    folder = options.output / "cells" / cell.name
    conditions = {
        "steps": options.steps, "minutes": options.minutes, "batch": options.batch,
        "rate": options.rate, "particles": options.particles, "held_out": options.held_out,
        "windows": options.windows, "neighbours": options.neighbours, "epochs": options.epochs,
        "depth": options.depth,
    }  # fmt: skip
    path = folder / "result.json"
    if path.exists():
        result = json.loads(path.read_text())
        if result["conditions"] != conditions:
            raise InputError(
                "the cell was made under other conditions",
                "use the same options or another --output",
                path,
            )
        return result
    folder.mkdir(parents=True, exist_ok=True)
    print(cell.name, flush=True)
    encoder, at = make_task(cell, options.depth).autoencoder.encoder, Progress()
    if cell.target is not None:
        encoder, at = run(cell, pool, options, steps_of(cell, pool, options, folder), folder)
    judged = {name: judge(encoder, fields, options, cell.seed) for name, judge in JUDGES.items()}
    result = {
        "cell": asdict(cell), "kind": cell.kind, "conditions": conditions, "steps": at.step,
        "seconds": round(at.seconds, 1), **judged,
    }  # fmt: skip
    write_text(path, json.dumps(result, indent=1) + "\n")
    return result


def summarise(results: list[dict]) -> dict[str, dict[str, tuple[float, float, int]]]:
    """Mean, standard deviation over seeds and number of seeds, by kind and judge."""
    table: dict[str, dict[str, tuple[float, float, int]]] = {}
    for kind in dict.fromkeys(result["kind"] for result in results):
        for judge in JUDGES:
            values = [result[judge] for result in results if result["kind"] == kind]
            spread = statistics.stdev(values) if len(values) > 1 else float("nan")
            table.setdefault(kind, {})[judge] = (statistics.mean(values), spread, len(values))
    return table


def show(table: dict[str, dict[str, tuple[float, float, int]]], chance: float) -> None:
    """Print the table, best first."""
    first = next(iter(JUDGES))
    print(f"\n{'encoder':<24}" + "".join(f"{judge:>20}" for judge in JUDGES) + "   seeds")
    for kind, row in sorted(table.items(), key=lambda item: -item[1][first][0]):
        cells = "".join(f"{mean:.3f} ± {sd:.3f}".rjust(20) for mean, sd, _ in row.values())
        print(f"{kind:<24}{cells}{row[first][2]:>8}")
    print(f"{'guessing':<24}{chance:>12.3f}")


def draw(table: dict[str, dict[str, tuple[float, float, int]]], chance: float, path: Path) -> None:
    """Bar chart with the spread over seeds."""
    figure = Figure(figsize=(7, 1.2 + 0.32 * len(table)), layout="constrained")
    axes = figure.add_subplot()
    judge = next(iter(JUDGES))
    rows = sorted(table.items(), key=lambda item: item[1][judge][0])
    means = [row[judge][0] for _, row in rows]
    spreads = [0 if row[judge][2] < 2 else row[judge][1] for _, row in rows]
    colours = ["#999999" if kind.startswith("untrained") else "#3b6ea5" for kind, _ in rows]
    axes.barh([kind for kind, _ in rows], means, xerr=spreads, color=colours, capsize=3)
    axes.axvline(chance, color="black", linestyle=":", linewidth=1)
    axes.set_xlabel("average precision of the linear probe (dotted: guessing)")
    axes.spines[["top", "right"]].set_visible(False)
    with atomic_path(path) as part:
        FigureCanvasAgg(figure).print_figure(part, dpi=110, format="png")


def by_particle(held: Pool, particles: int, window: int) -> list[tuple[Cells, Cells]]:
    """First field of every particle, and its others."""

    def part(begin: int, end: int) -> Cells:
        lists = (held.images, held.cleans, held.valids, held.ignores, held.centres)
        return cut_cells(Pool(*(one[begin:end] for one in lists)), window)

    each = len(held) // particles
    starts = range(0, len(held), each)
    return [(part(start, start + 1), part(start + 1, start + each)) for start in starts]


def main(argv: Sequence[str] | None = None) -> None:
    """Run what is left of the comparison and show all of it."""
    options = arguments(argv)
    pools = []
    place = options.pool or options.output / "pool"
    for folder, count, seed in (
        (place, options.particles, 1),
        (options.output / "held_out", options.held_out, JUDGE_SEED),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        make_pool(folder, count, seed=seed, jobs=options.jobs)
        pools.append(load_pool(folder, count))
    pool, held = pools
    window = EncoderConfig.window
    held_out = cut_cells(held, window)
    apart = by_particle(held, options.held_out, window)
    fields = Fields(cut_cells(pool, window, options.windows), held_out, apart)
    chance = float(held_out.holds[held_out.known].float().mean())
    results: list[dict] = []
    for cell in plan(options):
        results.append(do_cell(cell, pool, fields, options))
        table = summarise(results)
        content = {"guessing": chance, "cells": results}
        write_text(options.output / "results.json", json.dumps(content, indent=1) + "\n")
        draw(table, chance, options.output / "results.png")
    show(table, chance)


if __name__ == "__main__":
    main()
