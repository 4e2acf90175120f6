"""What is written about a benchmark of strategies: tables, curves, and one page."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from cryomae.atomic import atomic_path, write_text
from cryomae.report.charts import as_svg
from cryomae.report.page import render
from cryomae.sampler.benchmark.figures import draw_curves
from cryomae.sampler.benchmark.grid import Job
from cryomae.sampler.benchmark.statistics import LEVEL, compare_pairs
from cryomae.sampler.benchmark.store import Store
from cryomae.sampler.benchmark.summary import HEADINGS, cells, markdown, overall, summarise


def write_report(store: Store, jobs: list[Job]) -> tuple[pd.DataFrame, dict[str, Path]]:
    """Write tables, curves and the page of all runs that were tried.

    Parameters
    ----------
    store : Store
    jobs : list of Job
        What the benchmark consists of.

    Returns
    -------
    summary : DataFrame
        What `summarise` gives.
    files : dict of str to Path
        ``page``, ``table``, ``pairs`` and ``runs``.
    """
    folder = store.folder
    runs = store.table(jobs)
    summary, pairs = summarise(runs), compare_pairs(runs)
    files = {
        "page": folder / "report.html",
        "table": folder / "table.md",
        "pairs": folder / "pairs.csv",
        "runs": folder / "runs.csv",
    }
    for name, table in (("pairs", pairs), ("runs", runs), ("table", summary)):
        write_text(folder / f"{name}.csv", table.to_csv(index=False, float_format="%.6g"))
    write_text(files["table"], markdown(summary))
    sections = []
    for dataset, own in summary.groupby("dataset", sort=False):
        figure = _curves(store, jobs, str(dataset), list(own["strategy"]))
        with atomic_path(folder / "curves" / f"{dataset}.png") as temporary:
            figure.savefig(temporary, dpi=150)
        sections.append(
            {
                "name": dataset,
                "rows": [cells(row) for _, row in own.iterrows()],
                "failures": own[own["failed"] > 0].to_dict("records"),
                "chart": as_svg(figure),
                "grid": _verdicts(pairs[pairs["dataset"] == dataset], list(own["strategy"])),
            }
        )
    page = render(
        "report/benchmark.html.j2",
        protocol=store.protocol,
        sections=sections,
        headings=HEADINGS,
        overall=overall(summary).to_dict("records"),
        seeds=runs["seed"].nunique(),
        level=LEVEL,
    )
    write_text(files["page"], page)
    return summary, files


def _curves(store: Store, jobs: list[Job], dataset: str, order: list[str]) -> Figure:
    styles = {name: i for i, name in enumerate(dict.fromkeys(job.strategy for job in jobs))}
    found = {
        name: [
            curve
            for job in jobs
            if (job.dataset, job.strategy) == (dataset, name)
            and (curve := store.curve(job)) is not None
        ]
        for name in order
    }
    return draw_curves(found, styles)


def _verdicts(
    pairs: pd.DataFrame, order: list[str]
) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """For each strategy its mean lead over each other one, and the verdict of the test."""
    mirror = {"win": "loss", "loss": "win", "tie": "tie"}
    lead: dict[tuple[str, str], tuple[str, str, str]] = {}
    for row in pairs.to_dict("records"):
        told = f"p {row['p_holm']:.2g}"
        lead[row["a"], row["b"]] = (f"{row['difference']:+.4f}", row["verdict"], told)
        lead[row["b"], row["a"]] = (f"{-row['difference']:+.4f}", mirror[row["verdict"]], told)
    empty = ("", "", "")
    return [(a, [lead.get((a, b), empty) for b in order]) for a in order]
