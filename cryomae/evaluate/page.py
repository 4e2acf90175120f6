"""The page that shows an evaluation to a person, one file that needs no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from markupsafe import Markup

from cryomae.atomic import write_text
from cryomae.evaluate.charts import (
    curve_chart,
    kinds_chart,
    offset_chart,
    recall_chart,
    reliability_chart,
    score_chart,
)
from cryomae.evaluate.evaluation import Evaluation
from cryomae.evaluate.figures import Figure
from cryomae.evaluate.gallery import draw_galleries
from cryomae.evaluate.inputs import Inputs
from cryomae.evaluate.write import MASK_NOTE, MAXIMUM_NOTE, mask_figures, worst_first
from cryomae.report.page import render

ROWS = (
    ("precision", "precision", "macro_precision"),
    ("recall", "recall", "macro_recall"),
    ("F1", "f1", "macro_f1"),
    ("average precision (AP)", "average_precision", "macro_average_precision"),
    ("best F1, at a threshold chosen on this truth", "best_f1", ""),
)
"""Title, figure of all micrographs together, and mean over micrographs."""

FEW = 8
"""Micrographs below which a bootstrap says little."""


def write_page(path: Path, evaluation: Evaluation, inputs: Inputs) -> None:
    """Write ``evaluation.html``.

    Parameters
    ----------
    path : Path
        File to write.
    evaluation : Evaluation
    inputs : Inputs
        What was evaluated.
    """
    html = render(
        "evaluate/evaluation.html.j2",
        e=evaluation,
        inputs=inputs,
        rows=[(title, words(evaluation, a), words(evaluation, b)) for title, a, b in ROWS],
        cards=[(title, evaluation.figures[name]) for title, name in _CARDS],
        charts=draw_charts(evaluation),
        galleries=draw_galleries(evaluation, inputs.micrographs),
        each=worst_first(evaluation).to_dict("records"),
        masks=mask_figures(evaluation),
        mask_note=MASK_NOTE,
        maximum_note=MAXIMUM_NOTE,
        reasons=reasons(evaluation),
        few=len(evaluation.each) < FEW,
        number=number,
        isnan=np.isnan,
    )
    write_text(path, html)


_CARDS = (
    ("F1", "f1"),
    ("precision", "precision"),
    ("recall", "recall"),
    ("average precision", "average_precision"),
)


def words(evaluation: Evaluation, name: str) -> str:
    """Figure with its interval; "" for no name."""
    if not name:
        return ""
    figure = evaluation.figures[name]
    return number(figure) + _brackets(figure)


def reasons(evaluation: Evaluation) -> list[str]:
    """Say why figures have no value, those with the same reason together."""
    titles: dict[str, list[str]] = {}
    for title, name, _ in ROWS:
        figure = evaluation.figures[name]
        if figure.value is None:
            titles.setdefault(figure.reason, []).append(title.split(",")[0])
    return [f"No {' and no '.join(names)}: {reason}." for reason, names in titles.items()]


def number(figure: Figure) -> str:
    """Value alone, for a headline."""
    return "–" if figure.value is None else f"{figure.value:.3f}"


def _brackets(figure: Figure) -> str:
    return "" if figure.interval is None else " [{:.3f}, {:.3f}]".format(*figure.interval)


def draw_charts(evaluation: Evaluation) -> list[tuple[str, Markup, str]]:
    """Title, chart and caption of all that the data allow."""
    return [made for make in _CHARTS if (made := make(evaluation)) is not None]


def _curve(e: Evaluation) -> tuple[str, Markup, str] | None:
    if e.curve is None:
        return None
    precision, recall = e.figures["precision"].value, e.figures["recall"].value
    point = None if precision is None or recall is None else (recall, precision)
    caption = "All candidates, best score first; the curve ends where they do."
    return "Precision and recall", curve_chart(e.curve, point), caption


def _scores(e: Evaluation) -> tuple[str, Markup, str] | None:
    if e.curve is None:
        return None
    judged = e.judged.picks[e.judged.picks["verdict"] != "ignored"]
    hits = (judged["verdict"] == "right").to_numpy()
    chart = score_chart(judged["score"].to_numpy(dtype=float), hits, e.threshold)
    line = "" if e.threshold is None else " Dashed: the threshold."
    return "Scores of right and wrong candidates", chart, f"Stacked.{line}"


def _reliability(e: Evaluation) -> tuple[str, Markup, str] | None:
    if e.reliability is None:
        return None
    error = e.reliability.error
    caption = (
        f"On the line, a score is the chance of being right. Below it, scores promise too much. "
        f"Expected calibration error (ECE) {error:.3f}."
    )
    return "Are scores probabilities?", reliability_chart(e.reliability), caption


def _kinds(e: Evaluation) -> tuple[str, Markup, str] | None:
    counts = {kind: count for kind, count in e.false_positives.items() if count}
    if not counts:
        return None
    caption = (
        "Duplicate: within reach of a particle that a better pick took. Background: on nothing "
        "that the truth names."
    )
    return "What wrong picks lie on", kinds_chart(counts), caption


def _offsets(e: Evaluation) -> tuple[str, Markup, str] | None:
    spot = e.localisation
    if spot is None:
        return None
    right = e.chosen[e.chosen["verdict"] == "right"]
    chart = offset_chart(right["dx"].to_numpy(), right["dy"].to_numpy(), e.radius)
    size = e.pixel_size
    caption = (
        f"Median distance {spot.median:.1f} px ({spot.median * size:.1f} Å), 90 % within "
        f"{spot.ninetieth:.1f} px ({spot.ninetieth * size:.1f} Å). Mean offset (red) "
        f"{spot.mean_dx:+.2f} px ({spot.mean_dx * size:+.1f} Å) in x, {spot.mean_dy:+.2f} px "
        f"({spot.mean_dy * size:+.1f} Å) in y. Circle: the tolerance."
    )
    return "Where right picks land", chart, caption


def _overlap(e: Evaluation) -> tuple[str, Markup, str] | None:
    groups = e.recall_by("overlap")
    if groups is None or groups.empty:
        return None
    label = "share of the particle's disc covered by others"
    caption = "Numbers: particles in each group."
    return "Recall and overlap", recall_chart(groups, label, 2), caption


def _defocus(e: Evaluation) -> tuple[str, Markup, str] | None:
    groups = e.recall_by("defocus")
    if groups is None or groups.empty:
        return None
    caption = "Groups of about as many particles each; numbers: how many."
    return "Recall and defocus", recall_chart(groups, "defocus (µm)", 2), caption


_CHARTS: tuple[Callable[[Evaluation], tuple[str, Markup, str] | None], ...] = (
    _curve,
    _scores,
    _kinds,
    _reliability,
    _offsets,
    _overlap,
    _defocus,
)
