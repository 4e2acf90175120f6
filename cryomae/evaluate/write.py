"""The figures of an evaluation as JSON and as tables."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cryomae import __version__
from cryomae.atomic import atomic_path, write_text
from cryomae.evaluate.evaluation import Evaluation, Figure
from cryomae.evaluate.inputs import Inputs

MASK_NOTE = (
    "agreement of discs of the particle's diameter, as papers on segmentation print it; blind to "
    "duplicates and to particles missed inside a cluster"
)
MAXIMUM_NOTE = (
    "CryoSegNet's convention: the best micrograph's precision, recall and Dice, and the F1 of the "
    "first two; only to compare with tables made that way"
)


def as_dict(evaluation: Evaluation, inputs: Inputs) -> dict[str, Any]:
    """Every figure with its unit in its name; what is undefined is None, with a reason.

    Parameters
    ----------
    evaluation : Evaluation
    inputs : Inputs
        What was evaluated.
    """
    e, size = evaluation, evaluation.pixel_size
    counts = e.each[["particles", "picks", "right"]].sum()
    spot, mistake = e.localisation, e.mistake
    point, macro, over = (
        {name: e.figures[name] for name in names}
        for names in (
            ("precision", "recall", "f1"),
            ("macro_precision", "macro_recall", "macro_f1", "macro_average_precision"),
            ("average_precision", "best_f1"),
        )
    )
    return _plain(
        {
            "cryomae": __version__,
            "picks": str(inputs.picks_path),
            "truth": str(inputs.truth_path),
            "settings": {
                "diameter_A": e.diameter,
                "diameter_from": inputs.origins["diameter"],
                "pixel_size_A": size,
                "pixel_size_from": inputs.origins["pixel_size"],
                "tolerance_fraction_of_diameter": e.tolerance,
                "tolerance_px": e.radius,
                "threshold": e.threshold,
                "threshold_from": inputs.origins["threshold"],
                "scale_of_picks": inputs.scale,
                "bootstrap_draws": e.draws,
                "bootstrap_seed": e.seed,
            },
            "warnings": e.warnings,
            "notes": inputs.notes,
            "suspected_mistake": None
            if mistake is None
            else {
                "cause": mistake.cause,
                "remedy": mistake.remedy,
                "scale": mistake.transform.scale,
                "exchange_x_and_y": mistake.transform.swap,
                "mirror_x": mistake.transform.mirror_x,
                "mirror_y": mistake.transform.mirror_y,
                "shift_px": mistake.transform.shift,
                "particles_reached_as_given": mistake.as_given,
                "particles_reached_changed": mistake.changed,
            },
            "counts": {
                "micrographs": len(e.each),
                "particles": counts["particles"],
                "picks": counts["picks"],
                "right": counts["right"],
                "wrong": counts["picks"] - counts["right"],
                "missed": counts["particles"] - counts["right"],
                "ignored_on_cut_particles": e.ignored,
                "candidates": len(e.judged.picks),
                "picks_left_out": len(e.judged.left_out),
                "micrographs_left_out": e.judged.left_out["micrograph"].nunique(),
            },
            "operating_point": _figures(point),
            "over_thresholds": _figures(over)
            | {
                "best_f1_threshold": e.best_threshold,
                "best_f1_note": "at the threshold that is best for this truth; no user knows it",
            },
            "mean_over_micrographs": _figures(macro),
            "localisation": None
            if spot is None
            else {
                f"{name}_{unit}": value * factor
                for unit, factor in (("px", 1.0), ("A", size))
                for name, value in (
                    ("median_distance", spot.median),
                    ("percentile_90_distance", spot.ninetieth),
                    ("mean_dx", spot.mean_dx),
                    ("mean_dy", spot.mean_dy),
                )
            },
            "false_positives": e.false_positives,
            "calibration": _calibration(e),
            "pixel_masks": _masks(e),
            "recall_by_overlap": _groups(e.recall_by("overlap"), ""),
            "recall_by_defocus": _groups(e.recall_by("defocus"), "_um"),
        }
    )


def mask_figures(evaluation: Evaluation) -> dict[str, float | None]:
    """Pixel-mask figures: means over micrographs with particles, and the maxima."""
    each = evaluation.each[evaluation.each["particles"] > 0]
    figures: dict[str, float | None] = {}
    for name in ("precision", "recall", "dice"):
        values = each[f"mask_{name}"].dropna()
        figures[f"{name}_mean"] = float(values.mean()) if len(values) else None
        figures[f"{name}_maximum"] = float(values.max()) if len(values) else None
    precision, recall = figures["precision_maximum"], figures["recall_maximum"]
    figures["f1_of_maxima"] = None
    if precision is not None and recall is not None and precision + recall > 0:
        figures["f1_of_maxima"] = 2 * precision * recall / (precision + recall)
    return figures


def write_json(path: Path, evaluation: Evaluation, inputs: Inputs) -> None:
    """Write ``evaluation.json``."""
    text = json.dumps(as_dict(evaluation, inputs), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def write_curve(path: Path, evaluation: Evaluation) -> None:
    """Write the precision-recall curve, one row a candidate, best first."""
    curve = evaluation.curve
    columns = ["threshold", "picks", "precision", "recall", "f1"]
    table = pd.DataFrame(columns=columns)
    if curve is not None:
        values = (curve.precision, curve.recall, curve.f1)
        picks = np.arange(1, len(curve.scores) + 1)
        table = pd.DataFrame(dict(zip(columns, (curve.scores, picks, *values), strict=True)))
    _write_csv(path, table)


def write_micrographs(path: Path, evaluation: Evaluation) -> None:
    """Write one row a micrograph, worst F1 first."""
    each = worst_first(evaluation)
    each.insert(4, "wrong", each["picks"] - each["right"])
    each.insert(5, "missed", each["particles"] - each["right"])
    each.insert(
        len(each.columns), "median_distance_A", each["median_distance"] * evaluation.pixel_size
    )
    _write_csv(path, each.rename(columns={"median_distance": "median_distance_px"}))


def worst_first(evaluation: Evaluation) -> pd.DataFrame:
    """Micrographs, the lowest F1 first; those without particles by their picks, last."""
    keys = evaluation.each.assign(wrong=-evaluation.each["picks"])
    return keys.sort_values(["f1", "wrong"], kind="stable").drop(columns="wrong")


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")


def _figures(figures: dict[str, Figure]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, figure in figures.items():
        out[name] = figure.value
        out[f"{name}_interval_95"] = figure.interval
        if figure.reason:
            out[f"{name}_undefined_because"] = figure.reason
    return out


def _calibration(evaluation: Evaluation) -> dict[str, Any]:
    found = evaluation.reliability
    if found is None:
        why = "scores are not probabilities from 0 to 1, or all equal"
        return {"expected_calibration_error": None, "undefined_because": why}
    bins = zip(found.score, found.right, found.count, strict=True)
    return {
        "expected_calibration_error": found.error,
        "bins": [{"mean_score": s, "share_right": r, "picks": n} for s, r, n in bins],
    }


def _masks(evaluation: Evaluation) -> dict[str, Any]:
    figures = mask_figures(evaluation)
    maxima = {k: v for k, v in figures.items() if "max" in k}
    means = {k: v for k, v in figures.items() if "max" not in k}
    return means | {"note": MASK_NOTE, "maxima_over_micrographs": maxima | {"note": MAXIMUM_NOTE}}


def _groups(table: pd.DataFrame | None, unit: str) -> list[dict[str, Any]] | None:
    if table is None:
        return None
    names = {"low": f"from{unit}", "high": f"to{unit}"}
    return [
        {str(k): v for k, v in row.items()}
        for row in table.rename(columns=names).to_dict("records")
    ]


def _plain(value: Any) -> Any:
    """Numbers, lists and dicts that JSON knows; NaN becomes None."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
