"""Learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from cryomae.sampler.benchmark.protocol import Curve

_STYLES = ("-", "--", ":", "-.")


def draw_curves(curves: Mapping[str, Sequence[Curve]], styles: Mapping[str, int]) -> Figure:
    """Mean accuracy against labels, with a band of two standard errors.

    Parameters
    ----------
    curves : mapping of str to sequence of Curve
        Runs of each strategy on one data set, the best first; all with the same rounds.
    styles : mapping of str to int
        A number for each strategy, so that it looks the same on every data set.
    """
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    axes = figure.add_subplot()
    colours = matplotlib.color_sequences["tab10"]
    for name, runs in curves.items():
        if not runs:
            continue
        values = np.array([run.accuracy for run in runs])
        mean = values.mean(axis=0)
        number = styles[name]
        colour, line = colours[number % 10], _STYLES[number // 10 % 4]
        area = float(np.mean([run.aubc for run in runs]))
        label = f"{name} {area:.4f}"
        axes.plot(runs[0].labelled, mean, line, color=colour, linewidth=1.4, label=label)
        if len(runs) > 1:
            error = values.std(axis=0, ddof=1) / np.sqrt(len(runs))
            axes.fill_between(
                runs[0].labelled,
                mean - 2 * error,
                mean + 2 * error,
                color=colour,
                alpha=0.1,
                linewidth=0,
            )
    axes.set_xlabel("labels")
    axes.set_ylabel("accuracy on test rows")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", title="mean AUBC", fontsize=8, frameon=False)
    return figure
