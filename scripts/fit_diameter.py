"""Fit the weights with which ``cryomae pick --diameter auto`` judges diameters.

    export CRYOMAE_DATA=/folder    # structures/3pqr.pdb, 5n92.pdb, 8zpm.cif in it
    python scripts/fit_diameter.py --output runs/fit_diameter
    python scripts/fit_diameter.py --output runs/fit_diameter --weights cryomae/diameter/weights.npz

Simulates sets of two small micrographs (`scripts/_bench/diameter_sets.py`), measures them
(kept in the output folder, so a second run only fits), and prints what three-fold
cross-validation over sets gives. With --weights the networks are then fitted to all sets and
written. About half an hour on two CPU cores, most of it simulation.
"""

import argparse
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _bench.diameter_sets import measured_set, numbers
from numpy.typing import NDArray

from cryomae.diameter.estimate import NEAR, read_curve
from cryomae.diameter.head import CLIP, Head, combine
from cryomae.diameter.measure import DIAMETERS

REPOSITORY = Path(__file__).resolve().parents[1]
WIDTH = 48  # hidden units
TARGET = 0.1  # width of the target on the logarithmic axis
IMPOSSIBLE = -1e4  # logit where nothing could be measured


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    data = Path(os.environ.get("CRYOMAE_DATA", REPOSITORY.parent / "shared" / "data"))
    add = parser.add_argument
    add("--output", type=Path, required=True, help="folder for the measurements")
    add("--sets", type=int, default=344, help="sets of all sizes (default 344)")
    add("--empty", type=int, default=70, help="sets without particles (default 70)")
    add("--small", type=int, default=160, help="further sets below 140 Å (default 160)")
    add("--structures", type=Path, default=data / "structures", help="folder of the models")
    add("--members", type=int, default=3, help="networks that are averaged (default 3)")
    add("--epochs", type=int, default=60, help="of training (default 60)")
    add("--folds", type=int, default=3, help="of the cross-validation; 0 for none (default 3)")
    add("--jobs", type=int, default=1, help="processes that simulate (default 1)")
    add("--weights", type=Path, help="file to write the fitted weights to")
    return parser.parse_args(argv)


class Examples:
    """Measurements as tensors: each set three times, from both micrographs and from either."""

    def __init__(self, sets: Sequence[dict[str, Any]], mean: NDArray, spread: NDArray) -> None:
        place = np.log(DIAMETERS)
        rows, usable, target = [], [], []
        for one in sets:
            for part in (one["X"], one["X"][:1], one["X"][1:]):
                x = combine(list(part))
                fine = np.isfinite(x).all(axis=1)
                goal = np.zeros(len(DIAMETERS) + 1)
                if one["d"] == 0:
                    goal[-1] = 1
                else:
                    goal[:-1] = np.exp(-0.5 * ((place - np.log(one["d"])) / TARGET) ** 2) * fine
                if goal.sum() < 1e-6:
                    continue
                rows.append(np.clip((np.nan_to_num(x) - mean) / spread, -CLIP, CLIP))
                usable.append(fine)
                target.append(goal / goal.sum())
        self.x = torch.tensor(np.stack(rows), dtype=torch.float32)
        self.usable = torch.tensor(np.stack(usable))
        self.target = torch.tensor(np.stack(target), dtype=torch.float32)


def fit_member(data: Examples, epochs: int, seed: int) -> dict[str, NDArray]:
    """Weights of one network."""
    torch.manual_seed(seed)
    first = torch.nn.Linear(data.x.shape[2], WIDTH)
    last = torch.nn.Linear(WIDTH, 1, bias=False)
    drop = torch.nn.Dropout(0.2)
    nothing = torch.nn.Parameter(torch.zeros(1))
    weights = [*first.parameters(), *last.parameters(), nothing]
    optimiser = torch.optim.AdamW(weights, weight_decay=3e-3)
    steps = epochs * -(-len(data.x) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    for _ in range(epochs):
        for part in torch.randperm(len(data.x)).split(64):
            x = data.x[part]
            x = x + 0.1 * torch.randn_like(x)
            logits = last(drop(first(x).relu()))[..., 0]
            logits = logits.masked_fill(~data.usable[part], IMPOSSIBLE)
            logits = torch.cat([logits, nothing.expand(len(part), 1)], dim=1)
            loss = -(data.target[part] * logits.log_softmax(dim=1)).sum(dim=1).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return {
        "hidden": first.weight.detach().numpy().T,
        "hidden_bias": first.bias.detach().numpy(),
        "out": last.weight.detach().numpy()[0],
        "nothing": nothing.detach().numpy()[0],
    }


def fit(sets: Sequence[dict[str, Any]], members: int, epochs: int) -> Head:
    """Networks fitted to some sets, their probabilities as they come."""
    every = np.concatenate([combine(list(one["X"])) for one in sets])
    every = every[np.isfinite(every).all(axis=1)]
    mean, spread = every.mean(axis=0), every.std(axis=0) + 1e-6
    data = Examples(sets, mean, spread)
    parts = [fit_member(data, epochs, seed) for seed in range(members)]
    stacked = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
    return Head(mean, spread, **stacked, sharpness=1.0)


def likelihood(head: Head, sharpness: float, sets: Sequence[dict[str, Any]]) -> float:
    """Mean logarithm of the probability near the truth."""
    judge = Head(**{**vars(head), "sharpness": sharpness})
    total = []
    for one in sets:
        curve, nothing = judge.probabilities(list(one["X"]))
        near = np.abs(np.log(DIAMETERS / max(one["d"], 1e-9))) < NEAR
        right = nothing if one["d"] == 0 else float(curve[near].sum()) * (1 - nothing)
        total.append(np.log(right + 1e-3))
    return float(np.mean(total))


def show(name: str, sets: Sequence[dict[str, Any]], rows: NDArray) -> None:
    """Print how good estimates are; a row is diameter, range, confidence, nothing."""
    truth = np.array([one["d"] for one in sets])
    some = truth > 0
    if not some.all():
        print(f"without particles, {np.sum(~some)} sets: {np.mean(rows[~some, 4] > 0.5):.2f} "
              f"recognised, mean confidence {rows[~some, 3].mean():.2f}")  # fmt: skip
    if not some.any():
        return
    truth, rows = truth[some], rows[some]
    error = np.abs(rows[:, 0] / truth - 1)
    inside = np.mean((rows[:, 1] <= truth) & (truth <= rows[:, 2]))
    print(f"{name}, {len(truth)} sets: median error {100 * np.median(error):.1f} %, within 10 % "
          f"{np.mean(error <= 0.1):.2f}, within 20 % {np.mean(error <= 0.2):.2f}, inside the "
          f"range {inside:.2f}")  # fmt: skip
    for low, high in ((0, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.01)):
        chosen = (rows[:, 3] >= low) & (rows[:, 3] < high)
        if chosen.any():
            right = np.mean(error[chosen] <= NEAR)
            print(f"  confidence {low:g} to {min(high, 1):g}: {chosen.sum()} sets, said "
                  f"{rows[chosen, 3].mean():.2f}, right {right:.2f}")  # fmt: skip


def cross_validate(sets: Sequence[dict[str, Any]], given: argparse.Namespace) -> float:
    """Print figures of sets that were not fitted; returns the sharpness best for them."""
    heads, held = [], []
    for fold in range(given.folds):
        rest = [one for i, one in enumerate(sets) if i % given.folds != fold]
        heads.append(fit(rest, given.members, given.epochs))
        held.append([one for i, one in enumerate(sets) if i % given.folds == fold])
    grid = np.arange(0.6, 2.01, 0.1)
    scores = [
        np.mean([likelihood(head, s, some) for head, some in zip(heads, held, strict=True)])
        for s in grid
    ]
    sharpness = float(grid[np.argmax(scores)])
    rows = []
    for head, some in zip(heads, held, strict=True):
        judge = Head(**{**vars(head), "sharpness": sharpness})
        for one in some:
            curve, nothing = judge.probabilities(list(one["X"]))
            rows.append([*read_curve(curve, nothing), nothing])
    flat = [one for some in held for one in some]
    table = np.array(rows)
    print(f"cross-validation, {given.folds} folds, sharpness {sharpness:.1f}")
    kinds = np.array([bool(one["meta"]["struct"]) for one in flat])
    for name, chosen in (("procedural particles", ~kinds), ("atomic models", kinds)):
        if chosen.any():
            show(name, [one for one, c in zip(flat, chosen, strict=True) if c], table[chosen])
    return sharpness


def main(argv: Sequence[str] | None = None) -> None:
    """Simulate, measure, validate, fit."""
    given = arguments(argv)
    torch.set_num_threads(1)  # the networks are small
    make = partial(measured_set, folder=given.output, structures=given.structures)
    wanted = numbers(given.sets, given.empty, given.small)
    with ProcessPoolExecutor(given.jobs) as pool:
        sets = list(pool.map(make, wanted))
    print(f"{len(sets)} sets, {sum(one['d'] == 0 for one in sets)} of them without particles")
    sharpness = cross_validate(sets, given) if given.folds else 1.0
    if given.weights is not None:
        head = fit(sets, given.members, given.epochs)
        arrays = {name: np.asarray(value, np.float32) for name, value in vars(head).items()}
        arrays["sharpness"] = np.float32(sharpness)
        np.savez_compressed(given.weights, **arrays)
        print(f"wrote {given.weights}")


if __name__ == "__main__":
    main()
