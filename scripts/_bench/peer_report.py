"""Tables and chart of the comparison with other pickers."""

from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from _bench.junk import at_equal_recall
from _bench.pickers import PICKERS
from _bench.report import Row
from _bench.sets import LabelledSet
from _bench.verdict import Verdict, lead, summary

Verdicts = Mapping[str, Mapping[str, Verdict]]
"""By picker, then by set."""

OURS = "cryomae"
_BAR, _OURS, _MARK = "#9db4c0", "#2a6f97", "#b3261e"


def group_report(
    sets: Sequence[LabelledSet], verdicts: Verdicts, seeds: Sequence[int]
) -> tuple[str, dict[str, dict[str, Any]], dict[str, list[Row]]]:
    """Title, figures and tables of a set or of a suite."""
    names = [data.name for data in sets]
    title = sets[0].group if len(sets) == 1 else f"{sets[0].group}, mean of {len(sets)} sets"
    found = figures_of(verdicts)
    tables = {title: main_table(found, len(sets), len(seeds))}
    if len(sets) > 1:
        for figure, words in (("f1", "F1, own threshold"), ("average_precision", "AP")):
            tables[f"{sets[0].group}, {words} of each set"] = set_table(verdicts, names, figure)
    junk = junk_table(sets, verdicts)
    if len(junk) > 1:
        tables[f"{sets[0].group}, picks on contaminants at the other picker's recall"] = junk
    return title, found, tables


def figures_of(verdicts: Verdicts) -> dict[str, dict[str, Any]]:
    """Everything measured of each picker on a group of sets, means over the sets it ran on."""
    found = {}
    for key, of_set in verdicts.items():
        runs = [result for v in of_set.values() for result in v.made]
        shared = [s for s in of_set if s in verdicts.get(OURS, {})]
        ahead = None
        if key != OURS and shared:
            ahead = lead([verdicts[OURS][s] for s in shared], [of_set[s] for s in shared])
        found[key] = {
            "figures": summary(list(of_set.values())),
            "sets": len(of_set),
            "seconds_a_micrograph": sum(r.pick_s for r in runs) / sum(r.micrographs for r in runs),
            "seconds_of_preparation": sum(r.prepare_s for r in runs) / len(runs),
            "peak_mb": max(r.peak_mb for r in runs),
            "notes": sorted({r.note for r in runs}),
            "lead_of_cryomae_f1": ahead,
        }
    return found


def main_table(found: Mapping[str, Mapping[str, Any]], sets: int, seeds: int) -> list[Row]:
    """One row a picker."""
    head = ["picker", "told of the truth", "F1, own threshold", "precision", "recall"]
    head += ["F1, best threshold (knows the labels)", "average precision", "cryomae's lead in F1"]
    head += ["s a micrograph", "training or tuning, s", "peak memory, MB"]
    if seeds > 1:
        head.insert(3, "F1 of seeds")
    rows: list[Row] = [tuple(head)]
    for key, of_picker in found.items():
        picker, figures = PICKERS[key], of_picker["figures"]
        row = [picker.title + ("" if of_picker["sets"] == sets else f" ({of_picker['sets']} sets)")]
        row += [picker.told, _with_interval(figures["f1"]), _value(figures["precision"])]
        row += [_value(figures["recall"]), _value(figures["best_f1"])]
        row += [_with_interval(figures["average_precision"]), _lead(of_picker)]
        if key.endswith("oracle"):  # its time is that of all it tried
            row += ["–"] * 3
        else:
            prepared = of_picker["seconds_of_preparation"]
            row += [f"{of_picker['seconds_a_micrograph']:.2f}"]
            row += [f"{prepared:.0f}" if prepared else "–", f"{of_picker['peak_mb']:.0f}"]
        if seeds > 1:
            low, high = figures["f1"]["seeds"]
            row.insert(3, f"{low:.3f}–{high:.3f}" if picker.learns else "–")
        rows.append(tuple(row))
    return rows


def set_table(verdicts: Verdicts, sets: Sequence[str], name: str) -> list[Row]:
    """One figure of each picker on each set, a row a set."""
    rows: list[Row] = [("set", *(PICKERS[key].title for key in verdicts))]
    for each in sets:
        cells = []
        for of_set in verdicts.values():
            ran = each in of_set
            cells.append(_value(summary([of_set[each]])[name]) if ran else "failed")
        rows.append((each, *cells))
    return rows


def junk_table(sets: Sequence[LabelledSet], verdicts: Verdicts) -> list[Row]:
    """Picks on contaminants of cryomae and of each picker that learns nothing, at one recall."""
    rows: list[Row] = [("picker", "sets", "recall", "of its picks", "of cryomae's picks")]
    for key, of_set in verdicts.items():
        shared = [d for d in sets if d.name in of_set and d.name in verdicts.get(OURS, {})]
        shared = [d for d in shared if len(d.truth.regions)]
        others = [of_set[d.name].made[0] for d in shared]
        scored = all(r.picks is not None and np.ptp(r.candidates.score) > 0 for r in others)
        if key == OURS or PICKERS[key].learns or not shared or not scored:
            continue
        mine = [verdicts[OURS][d.name].made[0] for d in shared]
        recall, ours, theirs = at_equal_recall(shared, mine, others)
        row = [PICKERS[key].title, f"{len(shared)}", f"{recall:.3f}"]
        rows.append((*row, *(f"{n} of {of} ({n / max(of, 1):.2%})" for n, of in (theirs, ours))))
    return rows


def _value(figure: Mapping[str, Any]) -> str:
    return "–" if isnan(figure["value"]) else f"{figure['value']:.3f}"


def _with_interval(figure: Mapping[str, Any]) -> str:
    low, high = figure["interval_95"]
    return "–" if isnan(figure["value"]) else f"{figure['value']:.3f} [{low:.3f}, {high:.3f}]"


def _lead(of_picker: Mapping[str, Any]) -> str:
    if of_picker["lead_of_cryomae_f1"] is None or isnan(of_picker["lead_of_cryomae_f1"][0]):
        return "–"
    value, (low, high) = of_picker["lead_of_cryomae_f1"]
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"


def draw(path: Path, groups: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """Bars of the F1 of each picker, a panel a group of sets.

    Parameters
    ----------
    path : Path
        PNG to write.
    groups : mapping
        What `figures_of` gives, by the title of the group.
    """
    most = max(len(found) for found in groups.values())
    size = (1.5 + 5.0 * len(groups), 1.4 + 0.42 * most)
    figure = Figure(figsize=size, layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(groups), squeeze=False, sharey=True)[0]
    keys = [key for key in PICKERS if any(key in found for found in groups.values())][::-1]
    for axes, (title, found) in zip(panels, groups.items(), strict=True):
        for place, key in enumerate(keys):
            if key not in found:
                continue
            figures = found[key]["figures"]
            f1, best = figures["f1"], figures["best_f1"]["value"]
            if not isnan(f1["value"]):
                reach = np.abs(np.array(f1["interval_95"]) - f1["value"])[:, None]
                colour = _OURS if key == OURS else _BAR
                axes.barh(place, f1["value"], xerr=reach, color=colour, ecolor="0.3", height=0.7)
            axes.plot(best, place, "D", color=_MARK, markersize=5)
            axes.plot(figures["average_precision"]["value"], place, "o", mfc="white", mec="0.2")
        axes.set(xlim=(0, 1), title=title, xlabel="F1 at the own threshold, 95 % interval")
        axes.spines[["top", "right"]].set_visible(False)
        axes.plot([], [], "D", color=_MARK, label="F1, best threshold (knows the labels)")
        axes.plot([], [], "o", mfc="white", mec="0.2", label="average precision")
    panels[0].set_yticks(range(len(keys)), [PICKERS[key].title for key in keys])
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.savefig(path)
