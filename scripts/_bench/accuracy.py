"""Scoring a whole data set: pooled figures with bootstrap intervals over micrographs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import starfile
from numpy.typing import NDArray

from cryomae.evaluate import match_picks, precision_recall

Table = NDArray[np.float64]
"""Picks of one micrograph, shape (n, 3): x, y, score."""

_IMAGE_ENDINGS = {".mrc", ".mrcs", ".tif", ".tiff", ".png", ".jpg", ".star", ".gz", ".bz2"}


def stem(name: str) -> str:
    """File name without folder and image ending; dots inside the name stay."""
    path = Path(name)
    return path.stem if path.suffix.lower() in _IMAGE_ENDINGS else path.name


def read_truth(path: Path) -> dict[str, Table]:
    """Read the true particles of each micrograph stem; their scores are 1."""
    table = starfile.read(path)
    if isinstance(table, dict):
        table = table.get("particles", next(iter(table.values())))
    table = table.assign(stem=[stem(n) for n in table["rlnMicrographName"]], score=1.0)
    return {
        str(name): part[["rlnCoordinateX", "rlnCoordinateY", "score"]].to_numpy(np.float64)
        for name, part in table.groupby("stem")
    }


def read_star_folder(folder: Path, suffix: str = "_cryomae") -> dict[str, Table]:
    """Read the picks of each micrograph stem from a folder of RELION coordinate files."""
    found = {}
    for path in sorted(folder.rglob(f"*{suffix}.star")):
        table = starfile.read(path)
        columns = ["rlnCoordinateX", "rlnCoordinateY", "rlnAutopickFigureOfMerit"]
        rows = pd.DataFrame(table, columns=columns) if len(table) else pd.DataFrame(columns=columns)
        found[path.stem.removesuffix(suffix)] = rows.to_numpy(np.float64).reshape(-1, 3)
    return found


def read_topaz(path: Path) -> dict[str, Table]:
    """Read a Topaz table: image_name, x_coord, y_coord, score."""
    table = pd.read_csv(path, sep="\t", dtype={"image_name": str})
    return {
        stem(str(name)): part[["x_coord", "y_coord", "score"]].to_numpy(np.float64)
        for name, part in table.groupby("image_name")
    }


@dataclass(frozen=True)
class Matched:
    """Picks of one micrograph after matching: scores, hits and number of true particles."""

    scores: NDArray[np.float64]
    hits: NDArray[np.bool_]
    truth: int


def match_all(
    picks: Mapping[str, Table], truth: Mapping[str, Table], names: list[str], radius: float
) -> list[Matched]:
    """Match every micrograph of ``names``; one without picks counts with all its truth."""
    matched = []
    for name in names:
        rows = picks.get(name, np.zeros((0, 3)))
        hits = match_picks(rows[:, :2], rows[:, 2], truth[name][:, :2], radius)
        matched.append(Matched(rows[:, 2], hits, len(truth[name])))
    return matched


def at_operating_point(many: list[Matched]) -> dict[str, float]:
    """Pooled precision, recall and F1 of all picks."""
    hits = sum(int(m.hits.sum()) for m in many)
    picks, truth = sum(len(m.hits) for m in many), sum(m.truth for m in many)
    precision = hits / picks if picks else 0.0
    recall = hits / truth
    f1 = 2 * hits / (picks + truth)
    return {"f1": f1, "precision": precision, "recall": recall, "picks": float(picks)}


def over_thresholds(many: list[Matched]) -> dict[str, float]:
    """Pooled average precision, best F1 and the threshold of that F1."""
    curve = precision_recall(
        np.concatenate([m.scores for m in many]),
        np.concatenate([m.hits for m in many]),
        sum(m.truth for m in many),
    )
    best = float(curve.scores[curve.best]) if len(curve.scores) else float("nan")
    return {
        "ap": curve.average_precision,
        "best_f1": curve.best_f1,
        "best_threshold": best,
        "candidates": float(len(curve.scores)),
    }


def bootstrap(
    many: list[Matched],
    figures: Callable[[list[Matched]], dict[str, float]],
    *,
    draws: int,
    seed: int,
) -> dict[str, NDArray[np.float64]]:
    """Figures of data sets drawn with replacement from the micrographs.

    The same seed draws the same micrographs, so that two programs can be compared draw by draw.
    """
    rng = np.random.default_rng(seed)
    rows = [figures([many[i] for i in rng.integers(0, len(many), len(many))]) for _ in range(draws)]
    return {key: np.array([row[key] for row in rows]) for key in rows[0]}


def interval(values: NDArray[np.float64]) -> list[float]:
    """95 % interval."""
    return [float(v) for v in np.quantile(values, [0.025, 0.975])]


def darkness(
    picks: Mapping[str, Table], micrographs: Mapping[str, Path], radius: float
) -> dict[str, float]:
    """How much darker the picks are than the micrograph, in its standard deviations.

    Parameters
    ----------
    picks : mapping of str to ndarray
        Picks of each micrograph stem.
    micrographs : mapping of str to Path
        MRC files.
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
    for name, rows in picks.items():
        with mrcfile.open(micrographs[name]) as mrc:
            image = np.asarray(mrc.data, dtype=np.float32)
        height, width = image.shape
        image = (image - image.mean()) / image.std()
        for key, y in (("as_given", rows[:, 1]), ("y_flipped", height - 1 - rows[:, 1])):
            spots = zip(np.rint(rows[:, 0]).astype(int), np.rint(y).astype(int), strict=True)
            values[key] += [
                float(image[v - half : v + half + 1, u - half : u + half + 1].mean())
                for u, v in spots
                if half <= u < width - half and half <= v < height - half
            ]
    return {key: float(np.mean(v)) if v else float("nan") for key, v in values.items()}
