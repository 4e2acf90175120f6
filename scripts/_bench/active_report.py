"""Figures of simulated active-learning sessions: tables and curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from _bench.active_run import Job

Results = Sequence[tuple[str, Job, list[dict[str, float]]]]

GOAL = 0.95
"""Share of the F1 of all answers that is to be reached."""

WORSE = 0.02
_AT = (20, 50, 100)


def summarise(
    results: Results, exemplars: int, noise: float, strategies: Sequence[str]
) -> dict[str, Any]:
    """Figures of each strategy, means over sets and seeds.

    Parameters
    ----------
    results : sequence of (str, Job, list of dict)
        Set, job, and what `_bench.active_run.run` gave.
    exemplars : int
        Only sessions that began with so many.
    noise : float
        Only sessions with this share of wrong answers, for strategies other than ``all``.
    strategies : sequence of str
    """
    best = {(name, job.seed): found[-1] for name, job, found in results if job.strategy == "all"}
    names = sorted({name for name, _ in best})
    rows = {}
    for strategy in strategies:
        draws = [
            (name, job, found)
            for name, job, found in results
            if (job.strategy, job.exemplars, job.noise) == (strategy, exemplars, noise)
        ]
        rows[strategy] = _row(draws, best)
    return {
        "exemplars": exemplars,
        "noise": noise,
        "sets": names,
        "seeds": len({seed for _, seed in best}),
        "all answers": {
            key: float(np.mean([part[key] for part in best.values()])) for key in ("f1", "ap")
        },
        "strategies": rows,
    }


def _row(draws: Results, best: dict[tuple[str, int], dict[str, float]]) -> dict[str, Any]:
    needed: dict[str, list[float]] = {}
    seconds, areas, drops, never = [], {}, [], 0
    at: dict[int, list[float]] = {count: [] for count in _AT}
    ap_at: dict[int, list[float]] = {count: [] for count in _AT}
    inside: dict[str, list[bool]] = {"precision": [], "recall": []}
    for name, job, found in draws:
        count, f1, ap, spent = (_column(found, k) for k in ("answers", "f1", "ap", "seconds"))
        reached = np.flatnonzero(f1 >= GOAL * best[name, job.seed]["f1"])
        never += not len(reached)
        first = int(reached[0]) if len(reached) else len(f1) - 1
        needed.setdefault(name, []).append(float(count[first]))
        seconds.append(float(spent[first]))
        areas.setdefault(job.seed, []).append(float(f1.mean()))
        drops += np.diff(f1).tolist()
        for number in _AT:
            at[number].append(float(np.interp(number, count, f1)))
            ap_at[number].append(float(np.interp(number, count, ap)))
        for part in found[2:]:  # with a few answers at least
            for key, hits in inside.items():
                low, high = part[f"said_{key}_low"], part[f"said_{key}_high"]
                hits.append(low <= part[f"true_{key}"] <= high)
    by_seed = [np.mean(part) for part in areas.values()]
    return {
        "answers to goal": float(np.mean([np.mean(part) for part in needed.values()])),
        "by set": {name: float(np.mean(part)) for name, part in sorted(needed.items())},
        "never": never,
        "draws": len(draws),
        "seconds to goal": float(np.mean(seconds)),
        "aubc": float(np.mean(by_seed)),
        "aubc sd over seeds": float(np.std(by_seed, ddof=1)) if len(by_seed) > 1 else 0.0,
        "f1 at": {number: float(np.mean(part)) for number, part in at.items()},
        "ap at": {number: float(np.mean(part)) for number, part in ap_at.items()},
        "worse": float(np.mean(np.array(drops) < -WORSE)),
        "intervals hold": {key: float(np.mean(hits)) for key, hits in inside.items()},
    }


def table(part: dict[str, Any]) -> str:
    """Markdown of what `summarise` found, best first."""
    lines = [
        f"{len(part['sets'])} sets, {part['seeds']} seeds, {part['exemplars']} exemplars, "
        f"{100 * part['noise']:g} % of the answers wrong; all answers at once: F1 "
        f"{part['all answers']['f1']:.3f}, AP {part['all answers']['ap']:.3f}",
        "",
        "| strategy | to 95 % | never | seconds | AUBC | F1 after "
        + ", ".join(map(str, _AT))
        + " | AP after "
        + ", ".join(map(str, _AT))
        + " | worse | intervals of precision, recall hold |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    rows = sorted(part["strategies"].items(), key=lambda item: item[1]["answers to goal"])
    for name, row in rows:
        f1, ap = (", ".join(f"{v:.3f}" for v in row[k].values()) for k in ("f1 at", "ap at"))
        hold = ", ".join(f"{100 * v:.0f} %" for v in row["intervals hold"].values())
        lines.append(
            f"| {name} | {row['answers to goal']:.0f} | {row['never']} of {row['draws']} "
            f"| {row['seconds to goal']:.0f} | {row['aubc']:.3f} ± "
            f"{row['aubc sd over seeds']:.3f} | {f1} | {ap} | {100 * row['worse']:.1f} % | {hold} |"
        )
    return "\n".join(lines)


def draw_curves(
    path: Path, results: Results, exemplars: Sequence[int], strategies: Sequence[str]
) -> None:
    """Draw F1 over answers and over the user's time, means over sets and seeds.

    Parameters
    ----------
    path : Path
        PNG to write.
    results : sequence
        As for `summarise`.
    exemplars : sequence of int
        A row of curves each.
    strategies : sequence of str
    """
    figure = Figure(figsize=(10, 3.6 * len(exemplars)), layout="constrained")
    grid = figure.subplots(len(exemplars), 2, sharey=True, squeeze=False)
    for line, number in zip(grid, exemplars, strict=True):
        for axes, key in zip(line, ("answers", "seconds"), strict=True):
            for strategy in strategies:
                chosen = [
                    found
                    for _, job, found in results
                    if job.strategy == strategy and job.exemplars == number
                ]
                if not chosen:
                    continue
                x = np.linspace(0, max(part[-1][key] for part in chosen), 60)
                x = x[x >= max(part[0][key] for part in chosen)]
                y = [np.interp(x, _column(p, key), _column(p, "f1")) for p in chosen]
                axes.plot(x, np.mean(y, axis=0), label=strategy)
            axes.set_xlabel("answers" if key == "answers" else "seconds of the user")
            axes.set_ylabel("F1 on other micrographs")
            axes.set_title(
                "from nothing" if not number else f"from {number} exemplars", fontsize=10
            )
            axes.spines[["top", "right"]].set_visible(False)
    grid[0, 0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=110)


def _column(found: list[dict[str, float]], key: str) -> NDArray[np.float64]:
    return np.array([part[key] for part in found], dtype=np.float64)
