"""Evaluate files and write the report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryomae.evaluate.evaluation import Evaluation, evaluate
from cryomae.evaluate.inputs import Inputs, Options, gather
from cryomae.evaluate.page import write_page
from cryomae.evaluate.write import write_curve, write_json, write_micrographs


@dataclass(frozen=True)
class Report:
    """An evaluation and where it was written.

    Attributes
    ----------
    evaluation : Evaluation
    inputs : Inputs
        What was read.
    files : dict of str to Path
        Files written, by what they are.
    """

    evaluation: Evaluation
    inputs: Inputs
    files: dict[str, Path]


def evaluate_files(
    picks: Path,
    truth: Path,
    output: Path,
    options: Options,
    *,
    tolerance: float = 0.5,
    draws: int = 1000,
    seed: int = 0,
) -> Report:
    """Judge the picks of files against the truth of files, and write the report.

    Parameters
    ----------
    picks, truth : Path
        What the user names.
    output : Path
        Folder for everything that is written.
    options : Options
        What the user says beside.
    tolerance : float
        Largest distance of a pick from its particle, as a fraction of the diameter.
    draws, seed : int
        Of the bootstrap over micrographs.

    Returns
    -------
    Report
    """
    inputs = gather(picks, truth, options)
    evaluation = evaluate(
        inputs.picks,
        inputs.truth,
        diameter=inputs.diameter,
        pixel_size=inputs.pixel_size,
        tolerance=tolerance,
        threshold=inputs.threshold,
        shapes=inputs.shapes,
        draws=draws,
        seed=seed,
    )
    files = {
        "page": output / "evaluation.html",
        "figures": output / "evaluation.json",
        "curve": output / "precision_recall.csv",
        "micrographs": output / "micrographs.csv",
    }
    write_json(files["figures"], evaluation, inputs)
    write_curve(files["curve"], evaluation)
    write_micrographs(files["micrographs"], evaluation)
    write_page(files["page"], evaluation, inputs)
    return Report(evaluation, inputs, files)
