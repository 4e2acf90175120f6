"""The second half of a run: one threshold for the data set, then every output for people."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from cryomae import __version__
from cryomae.batch.diameter import describe
from cryomae.batch.engine import ThresholdLike
from cryomae.batch.job import PREVIEW_LIMIT, Job
from cryomae.batch.log import logger
from cryomae.batch.record import write_config
from cryomae.batch.result import Outcome, RunResult
from cryomae.batch.tables import (
    project_path,
    short_names,
    write_relion_lists,
    write_summary_csv,
)
from cryomae.diameter import DiameterEstimate
from cryomae.formats import star
from cryomae.picks import Picks
from cryomae.report.charts import diameter_figure, save_png
from cryomae.report.pace import Pace
from cryomae.report.preview import draw_preview
from cryomae.report.summary import HISTOGRAM_BINS, Page, write_summary


def finish(
    job: Job,
    result: RunResult,
    started: float,
    pace: Pace,
    chosen: ThresholdLike | None = None,
    *,
    added: Sequence[Outcome] | None = None,
    previews: bool = True,
) -> None:
    """Choose the threshold and write picks, lists, tables, previews and the summary.

    Parameters
    ----------
    job : Job
        The run.
    result : RunResult
        Outcomes of scoring; filled in here.
    started : float
        When the run began, in seconds since the epoch.
    pace : Pace
        How it went.
    chosen : ThresholdLike, optional
        Threshold to use; default the user's, else one from all scores.
    added : sequence of Outcome, optional
        The only ones that are not in the file of all picks yet, if the others have not changed.
    previews : bool
        Draw pictures that are missing or out of date.
    """
    if chosen is not None:
        result.threshold, result.explanation = float(chosen.value), chosen.explanation
    else:
        _choose_threshold(job, result)
    layout = job.layout
    write = star.write_together if added is None else star.add_together
    write(layout.together, _final_picks(job, result, added, previews))
    result.files = write_relion_lists(layout, result.outcomes, job.micrographs_star)
    write_summary_csv(layout.table, result.outcomes)
    total = len(result.done)
    estimate = _estimate(job)
    without = sum(o.preview_file is None for o in result.done)
    if job.preview and without and total <= PREVIEW_LIMIT:
        result.notes.append(
            f"{without} of {total} micrographs have no preview, as is so after an earlier "
            "run with --no-preview; --overwrite draws them."
        )
    save_config(job, started, result)
    if estimate is not None:
        result.files["diameter"] = layout.diameter_chart
        save_png(diameter_figure(estimate), layout.diameter_chart)
    write_page(job, result, pace)
    result.files |= {
        "summary": layout.html,
        "table": layout.table,
        "all picks": layout.together,
        "config": layout.config,
        "log": layout.log,
        "previews": layout.root / "previews",
    }
    logger.info(
        "%d picks in %d micrographs, %d failed; threshold %s: %s",
        result.picks,
        len(result.done),
        len(result.failed),
        result.threshold,
        result.explanation,
    )


def save_config(job: Job, started: float, result: RunResult | None = None) -> None:
    """Write how the picks are made, at the start of a run and again at its end."""
    settings = job.settings.model_dump()
    settings["min_distance"] = job.settings.least_distance
    when = datetime.datetime.fromtimestamp(started).astimezone().isoformat(timespec="seconds")
    content: dict[str, Any] = {
        "cryomae": __version__,
        "command": list(job.command),
        "started": when,
        "settings": settings,
        "model": {"name": job.detector.name, "sha256": job.detector.sha256},
        "device": job.device,
        "pixel_size_option": job.pixel_size,
        "micrographs": job.total,
    }
    if job.missing:
        content["not_found"] = [
            {"name": o.name, "cause": o.cause, "remedy": o.remedy} for o in job.missing
        ]
    if (estimate := _estimate(job)) is not None:
        content["diameter_estimate"] = describe(estimate)
    if result is not None:
        content["pixel_sizes_used"] = _pixel_sizes(result)
        content["threshold"] = {"value": result.threshold, "explanation": result.explanation}
        content["complete"] = not result.interrupted
        if job.threshold_stays:
            content["threshold_stays"] = True
    content["common_folder"] = job.layout.common
    content["fingerprint"] = vars(job.fingerprint)
    write_config(job.layout.config, content)


def _choose_threshold(job: Job, result: RunResult) -> None:
    if job.settings.threshold is not None:
        result.threshold = job.settings.threshold
        result.explanation = "Set by you with --threshold."
    elif result.done:
        scores = [star.read_picks(job.layout.candidates(o.name)).score for o in result.done]
        chosen = job.engine.choose_threshold(scores)
        result.threshold, result.explanation = float(chosen.value), chosen.explanation
    else:
        result.explanation = "No micrograph could be scored."


def _final_picks(
    job: Job, result: RunResult, added: Sequence[Outcome] | None, previews: bool
) -> Iterator[tuple[str, Picks]]:
    """Write the picks of each micrograph in turn, and pass them on."""
    labels = short_names([o.name for o in result.done])
    threshold = 1.0 if result.threshold is None else result.threshold
    for outcome in result.done if added is None else added:
        picks = publish(job, outcome, threshold)
        if previews:
            draw(job, outcome, picks)
        yield labels[outcome.name], picks


def publish(job: Job, outcome: Outcome, threshold: float) -> Picks:
    """Write the picks of one micrograph, unless they are there already.

    Parameters
    ----------
    job : Job
    outcome : Outcome
        Of a micrograph with candidates; filled in here.
    threshold : float
        Score that a pick must reach.

    Returns
    -------
    Picks
    """
    path = job.layout.picks(outcome.name)
    if outcome.threshold == threshold and outcome.picks_file == path:
        return star.read_picks(path)
    candidates = star.read_picks(job.layout.candidates(outcome.name))
    picks = best(job, candidates, threshold)
    star.write_picks(path, picks)
    outcome.picks, outcome.picks_file, outcome.threshold = len(picks), path, threshold
    outcome.histogram = np.histogram(candidates.score, bins=HISTOGRAM_BINS)[0]
    return picks


def best(job: Job, candidates: Picks, threshold: float) -> Picks:
    """Those of the candidates of one micrograph that are picks."""
    picks = candidates.above(threshold)
    return picks if job.settings.max_picks is None else picks.best(job.settings.max_picks)


def draw(
    job: Job, outcome: Outcome, picks: Picks | None = None, threshold: float | None = None
) -> None:
    """Draw the picture of a micrograph, if it is one that gets one.

    Parameters
    ----------
    job : Job
    outcome : Outcome
        Whose picks are written; filled in here.
    picks : Picks, optional
        Its picks; default those of its file.
    threshold : float, optional
        Score that they reach; default that of the file.
    """
    record, files = outcome.record, job.layout.of(outcome.name)
    thumbnail, path = files.thumbnail, files.preview
    if not job.preview or record is None or not thumbnail.is_file():
        return
    if threshold is None:
        threshold = 1.0 if outcome.threshold is None else outcome.threshold
    picks = star.read_picks(files.picks) if picks is None else picks
    try:
        draw_preview(
            path,
            thumbnail,
            picks,
            name=outcome.name,
            diameter=job.settings.diameter,
            pixel_size=record.pixel_size,
            extent=(
                record.working_shape[0] * record.spacing[0],
                record.working_shape[1] * record.spacing[1],
            ),
            spacing=record.spacing,
            threshold=threshold,
        )
    except OSError as error:  # a damaged thumbnail; the picks matter more
        logger.warning("%s has no preview: %s", outcome.name, error)
    else:
        outcome.preview_file = path


def _estimate(job: Job) -> DiameterEstimate | None:
    return None if job.settled is None else job.settled.estimate


def _pixel_sizes(result: RunResult) -> list[dict[str, Any]]:
    counts = Counter((o.pixel_size, o.pixel_size_source) for o in result.done)
    return [
        {"pixel_size": size, "from": source, "micrographs": count}
        for (size, source), count in sorted(counts.items(), key=lambda item: -item[1])
    ]


def write_page(job: Job, result: RunResult, pace: Pace) -> None:
    """Write the summary page.

    Parameters
    ----------
    job : Job
    result : RunResult
        What was found, so far or in the end.
    pace : Pace
        How it goes, or went.
    """
    sizes = [o.pixel_size for o in result.done if o.pixel_size]
    histogram = np.zeros(len(HISTOGRAM_BINS) - 1, dtype=np.int64)
    for outcome in result.done:
        histogram += 0 if outcome.histogram is None else outcome.histogram
    page = Page(
        result=result,
        pace=pace,
        histogram=histogram,
        settings=job.settings,
        min_distance=job.settings.least_distance,
        model=job.detector.name,
        model_sha256=job.detector.sha256,
        device=job.device,
        pixel_size=float(np.median(sizes)) if sizes else None,
        micrographs_star=(
            None if job.micrographs_star is None else project_path(job.micrographs_star)
        ),
        output=project_path(job.layout.root),
        estimate=_estimate(job),
    )
    write_summary(job.layout.html, page)
