"""Judging two programs on the same draws of micrographs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
from numpy.typing import NDArray

from cryomae.evaluate.figures import (
    Pool,
    Weights,
    bootstrap,
    interval,
    of_each,
    operating_point,
    ranking,
)
from cryomae.evaluate.judge import judge
from cryomae.evaluate.truth import Truth
from cryomae.formats import topaz
from cryomae.names import stem
from cryomae.picks import Picks


def topaz_picks(path: Path) -> Picks:
    """Read a Topaz table as picks."""
    table = topaz.read(path).table
    return Picks(table.assign(micrograph=table["micrograph"].map(stem)))


def score(
    chosen: Picks, candidates: Picks, truth: Truth, radius: float, *, draws: int, seed: int
) -> tuple[dict[str, Any], dict[str, NDArray[np.float64]]]:
    """Figures of one program with 95 % intervals, and the draws these come from.

    Parameters
    ----------
    chosen, candidates : Picks
        Its picks at its own threshold, and everything it found.
    truth : Truth
    radius : float
        Largest distance of a pick from its particle, in pixels.
    draws, seed : int
        Of the bootstrap; the same seed draws the same micrographs for every program.
    """
    at, over = (Pool.of(judge(picks, truth, radius)) for picks in (chosen, candidates))
    figures: dict[str, Any] = {"picks": len(at.scores), "candidates": len(over.scores)}

    def compute(weights: Weights | None = None) -> dict[str, float]:
        return operating_point(at, weights) | ranking(over, weights)

    drawn = bootstrap(compute, len(truth.micrographs), draws=draws, seed=seed)
    figures |= compute()
    figures["interval_95"] = {k: list(interval(v)) for k, v in drawn.items()}
    figures["f1_of_each"] = dict(zip(truth.micrographs, of_each(at)["f1"], strict=True))
    return figures, drawn


def darkness(picks: Picks, micrographs: Mapping[str, Path], radius: float) -> dict[str, float]:
    """How much darker the picks are than the micrograph, in its standard deviations.

    Parameters
    ----------
    picks : Picks
        Picks of all micrographs.
    micrographs : mapping of str to Path
        MRC files by stem.
    radius : float
        Half the side of the square that is averaged, in pixels.

    Returns
    -------
    dict
        ``as_given`` and ``y_flipped``: protein is dark, so the right orientation is well
        below 0 and the wrong one near 0.
    """
    values: dict[str, list[float]] = {"as_given": [], "y_flipped": []}
    half = max(1, round(radius / 2))
    for name, rows in picks.table.groupby(picks.table["micrograph"].map(stem)):
        with mrcfile.open(micrographs[str(name)]) as mrc:
            image = np.asarray(mrc.data, dtype=np.float32)
        height, width = image.shape
        image = (image - image.mean()) / image.std()
        x, y = rows["x"].to_numpy(), rows["y"].to_numpy()
        for key, row in (("as_given", y), ("y_flipped", height - 1 - y)):
            spots = zip(np.rint(x).astype(int), np.rint(row).astype(int), strict=True)
            values[key] += [
                float(image[v - half : v + half + 1, u - half : u + half + 1].mean())
                for u, v in spots
                if half <= u < width - half and half <= v < height - half
            ]
    return {key: float(np.mean(v)) if v else float("nan") for key, v in values.items()}
