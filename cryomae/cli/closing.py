"""What a user reads at the end of a run."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cryomae.batch import Outcome, RunResult
from cryomae.batch.tables import project_path

_ROWS = 20


def show_result(result: RunResult) -> None:
    """Print failures, totals, threshold and where the files are."""
    console = Console(highlight=False)
    if result.failed:
        console.print(_failures(result.failed))
        hidden = len(result.failed) - _ROWS
        if hidden > 0 and "table" in result.files:
            console.print(f"… and {hidden} more: see {escape(str(result.files['table']))}")
    done = len(result.done)
    if result.shard:
        _show_shard(console, result)
        return
    total = f"[bold]{result.picks:,} picks[/] in {done:,} micrograph{'s' if done != 1 else ''}"
    kept = sum(o.status == "kept" for o in result.done)
    total += f", {kept:,} of them scored in an earlier run" if kept else ""
    console.print(total + (f", [red]{len(result.failed):,} failed[/]" if result.failed else ""))
    if result.threshold is not None:
        console.print(f"Threshold {result.threshold:.3f}. {escape(result.explanation)}")
    for note in result.notes:
        console.print(escape(note))
    if result.interrupted:
        waiting = sum(o.status == "not reached" for o in result.outcomes)
        console.print(
            f"[yellow]Stopped with {waiting:,} micrographs to go.[/] "
            "Run the same command again to go on."
        )
    if not done:
        return
    console.print()
    where = Table.grid(padding=(0, 2))
    where.add_row("look at it", _path(result, "summary"))
    where.add_row("RELION 4, 5", _path(result, "relion"))
    if "relion31" in result.files:
        where.add_row("RELION 3.1", _path(result, "relion31"))
    where.add_row("cryoSPARC", _path(result, "all picks"))
    console.print(where)


def _show_shard(console: Console, result: RunResult) -> None:
    """Print what a part of a run has done; there are no picks before all parts are."""
    failed = f", [red]{len(result.failed):,} failed[/]" if result.failed else ""
    console.print(f"Shard {result.shard}: [bold]{len(result.done):,} micrographs scored[/]{failed}")
    if result.interrupted:
        console.print("[yellow]Stopped.[/] Run the same command again to go on.")
    else:
        console.print(
            "When all shards are done, the same command without --shard writes the picks."
        )


def show_plan(result: RunResult) -> None:
    """Print what a run would do."""
    console = Console(highlight=False)
    if result.failed:
        console.print(_failures(result.failed))
    plan = [o for o in result.outcomes if o.status != "failed"]
    table = Table(box=None, header_style="bold")
    for heading in ("micrograph", "", "picks file"):
        table.add_column(heading, overflow="fold")
    for outcome in plan[:_ROWS]:
        word = "done" if outcome.status == "kept" else "to score"
        table.add_row(escape(outcome.name), word, escape(str(outcome.picks_file)))
    if plan:
        console.print(table)
    if len(plan) > _ROWS:
        console.print(f"… and {len(plan) - _ROWS:,} more")
    waiting = sum(o.status == "not reached" for o in plan)
    console.print(
        f"{waiting:,} micrographs to score, {len(plan) - waiting:,} done already. "
        "Nothing was written (--dry-run)."
    )


def _failures(failed: list[Outcome]) -> Table:
    table = Table(title="Failed", title_style="bold red", title_justify="left")
    table.add_column("micrograph", overflow="fold", ratio=3)
    table.add_column("cause", ratio=3)
    table.add_column("remedy", ratio=3)
    for outcome in failed[:_ROWS]:
        row = (outcome.name or "(input)", outcome.cause, outcome.remedy)
        table.add_row(*(escape(text) for text in row))
    return table


def _path(result: RunResult, what: str) -> str:
    return escape(project_path(result.files[what]))
