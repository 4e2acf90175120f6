"""The command ``cryomae bench-al``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd

    from cryomae.sampler.benchmark.grid import Job
    from cryomae.sampler.benchmark.store import Store

DEFAULT = "random,uncertainty,kcenter,badge,kdpp,typiclust,kmeans,graph_density,cluster_margin,qbc"

_SHOWN = (0, 1, 2, 6, 7)
"""Columns of the tables that fit on a screen; the files have all."""


def bench_al(
    datasets: Annotated[
        list[str],
        typer.Argument(
            metavar="DATASETS",
            help="Labelled data sets: svmlight files (.svm), image sets (.npz with x and y, or "
            "MedMNIST's), folders of these, or sklearn:iris, sklearn:wine, "
            "sklearn:breast_cancer, sklearn:digits.",
            show_default=False,
        ),
    ],
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            "--strategy",
            "-s",
            metavar="NAMES",
            help="Strategies to compare, with commas between names; parameters as "
            "name:parameter=value. May be given more than once; 'all' is all that the task "
            "model can serve.",
            show_default=DEFAULT.replace(",", ", "),
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=1, metavar="N", help="Splits of each data set; below 20 says little.")
    ] = 20,
    batch: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Labels bought at a time.", show_default="50 rounds at most"
        ),
    ] = None,
    budget: Annotated[
        float,
        typer.Option(
            min=0.001,
            max=1,
            metavar="SHARE",
            help="Share of the pool that is labelled in the end. With 1 all strategies end alike.",
        ),
    ] = 0.5,
    initial: Annotated[
        int,
        typer.Option(min=2, metavar="N", help="Labels at the start; at least two of each class."),
    ] = 20,
    test: Annotated[
        float,
        typer.Option(min=0.01, max=0.9, metavar="SHARE", help="Share of the rows that test."),
    ] = 0.4,
    task: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Model that is taught: svm (RBF kernel), logistic, or network (a small one with "
            "dropout, convolutional for images).",
        ),
    ] = "svm",
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="Folder for everything that is written."
        ),
    ] = Path("cryomae_bench_al"),
    jobs: Annotated[int, typer.Option(min=1, metavar="N", help="Processes.")] = 2,
    time_limit: Annotated[
        float, typer.Option(min=1, metavar="SECONDS", help="Most time for one run.")
    ] = 600,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only list what would be run; write nothing."),
    ] = False,
) -> None:
    """Compare strategies of active learning on labelled data.

    Each strategy buys labels, batch by batch, for a model that is fitted anew and tested
    after each. All have the same splits and the same labels at the start. If a run is
    stopped, the same command goes on where it was; more seeds, data sets or strategies are
    added to what is there. Open report.html in the output folder for curves and tests.

    For example:
      Five small sets, ten strategies, 20 seeds, on two processes:
        cryomae bench-al heart.svm sonar.svm sklearn:iris sklearn:wine sklearn:breast_cancer

      The protocol of the IJCAI-2021 survey, one label at a time until none is left:
        cryomae bench-al sonar.svm -s random,uncertainty,kcenter --batch 1 --budget 1 --seeds 100

      One strategy with other parameters beside its default:
        cryomae bench-al sklearn:digits -s random,qbc -s qbc:disagreement=kl

    Exit code 1 if a strategy failed; the others are compared all the same.
    """
    from cryomae.errors import CryomaeError, InputError
    from cryomae.sampler.benchmark.datasets import DatasetError, find_datasets
    from cryomae.sampler.benchmark.grid import plan
    from cryomae.sampler.benchmark.protocol import Protocol
    from cryomae.sampler.benchmark.store import Store
    from cryomae.sampler.errors import SamplerError

    try:
        protocol = Protocol(task, test, initial, batch, budget)
        grid = plan(find_datasets(datasets), _names(strategy or [DEFAULT], task), range(seeds))
        store = Store(output, protocol)
    except (SamplerError, DatasetError) as error:
        raise InputError(str(error)) from None
    if dry_run:
        _show_plan(grid, store)
        return
    try:
        store.open()
        _run(grid, store, jobs, time_limit)
        from cryomae.report.benchmark import write_report

        summary, files = write_report(store, grid)
    except KeyboardInterrupt:
        typer.secho("Stopped. Run the same command again to go on.", fg="yellow", err=True)
        raise typer.Exit(130) from None
    except OSError as error:
        raise CryomaeError(f"cannot be written: {error}", "check the --output folder") from error
    _show(summary, files)
    raise typer.Exit(1 if summary["failed"].any() else 0)


def _names(wanted: list[str], task: str) -> list[str]:
    """Split at commas between strategies, not at those between parameters."""
    from cryomae.sampler import create_strategy, list_strategies
    from cryomae.sampler.benchmark.tasks import offered

    names: list[str] = []
    for text in wanted:
        for part in text.split(","):
            if "=" in part and ":" not in part and names:
                names[-1] += f",{part}"
            elif part.strip() == "all":
                served = offered(task)
                names += [n for n in list_strategies() if create_strategy(n).required() in served]
            elif part.strip():
                names.append(part.strip())
    return names


def _run(grid: list[Job], store: Store, jobs: int, time_limit: float) -> None:
    from cryomae.cli.progress import show_count
    from cryomae.sampler.benchmark.runner import run_grid

    done = sum(store.done(job) for job in grid)
    told: set[tuple[str, str]] = set()
    with show_count("Comparing", "runs") as tell:
        tell(done, len(grid))

        def on_done(job: Job, error: str) -> None:
            nonlocal done
            done += 1
            what = (job.dataset, job.strategy)
            if error and what not in told:  # a strategy that fails often fails the same way
                told.add(what)
                line = f"failed: {job.strategy} on {job.dataset}, seed {job.seed}: {error}"
                typer.secho(line, fg="red", err=True)
            tell(done, len(grid))

        run_grid(grid, store, workers=jobs, time_limit=time_limit, on_done=on_done)


def _show_plan(grid: list[Job], store: Store) -> None:
    waiting = sum(not store.done(job) for job in grid)
    for title, names in (
        ("data sets", dict.fromkeys(job.dataset for job in grid)),
        ("strategies", dict.fromkeys(job.strategy for job in grid)),
    ):
        typer.echo(f"{title} ({len(names)}): {', '.join(names)}")
    typer.echo(
        f"{waiting:,} runs to do, {len(grid) - waiting:,} done already. "
        "Nothing was written (--dry-run)."
    )


def _show(summary: pd.DataFrame, files: dict[str, Path]) -> None:
    """Print a table a data set, then where the files are."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from cryomae.sampler.benchmark.summary import HEADINGS, cells

    console = Console(highlight=False)
    for dataset, own in summary.groupby("dataset", sort=False):
        table = Table(title=escape(str(dataset)), title_justify="left", box=None, pad_edge=False)
        for heading in (HEADINGS[i] for i in _SHOWN):
            table.add_column(heading, overflow="fold", no_wrap=heading != HEADINGS[0])
        for _, row in own.iterrows():
            texts = cells(row)
            table.add_row(*(escape(texts[i]) for i in _SHOWN))
        console.print(table, "")
        for bad in own[own["failed"] > 0].to_dict("records"):
            runs = f"{bad['failed']} of {bad['failed'] + bad['done']} runs"
            name, error = escape(bad["strategy"]), escape(bad["error"])
            console.print(f"[red]{name} failed in {runs}:[/] {error}")
    where = Table.grid(padding=(0, 2))
    for title, name in (("look at it", "page"), ("tables", "table"), ("tests", "pairs")):
        where.add_row(title, escape(str(files[name])))
    console.print(where)
