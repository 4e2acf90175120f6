"""The command ``cryomae status``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cryomae.batch.status import RunStatus

_ROWS = 20


def status(
    run: Annotated[
        Path, typer.Argument(help="Folder that a run writes to (its --output).", metavar="RUN")
    ] = Path("cryomae_picks"),
    json: Annotated[bool, typer.Option("--json", help="Print it for programs.")] = False,
) -> None:
    """Say how far a run is, what failed and why, while it runs or afterwards.

    It reads what the processes of the run have written down, on whichever machines they
    are, and disturbs none of them.

    For example:
      cryomae status cryomae_picks

    Ends with 1 if micrographs have failed.
    """
    from cryomae.batch.status import read_status

    found = read_status(run)
    if json:
        typer.echo(_as_json(found))
    else:
        _show(found)
    raise typer.Exit(1 if found.failed else 0)


def _show(found: RunStatus) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    total = found.total if found.total is not None else "?"
    parts = [f"[bold]{found.picked:,} of {total:,} picked[/]"]
    parts += [f"[red]{len(found.failed):,} failed[/]"] if found.failed else []
    parts += [f"{len(found.going):,} being picked"] if found.going else []
    parts += [f"{found.waiting:,} waiting"] if found.waiting else []
    console.print(", ".join(parts))
    if found.picked:
        line = f"{found.seconds:.1f} s a micrograph (median)"
        if found.per_minute and found.waiting:
            minutes = found.waiting / found.per_minute
            line += f", {found.per_minute:.1f} a minute, {minutes:.0f} minutes left"
        console.print(line)
    if found.again:
        console.print(f"{found.again:,} took more than one attempt")
    for name, history in found.cut_off[:_ROWS]:
        console.print(f"[yellow]cut off:[/] {escape(name)} (the process {history.where} ended)")
    if len(found.by_host) > 1:
        hosts = ", ".join(f"{host} {count:,}" for host, count in sorted(found.by_host.items()))
        console.print(f"by machine: {hosts}")
    if not found.waiting and not found.going and not found.complete:
        console.print("All is scored. Run cryomae pick without --shard to write the picks.")
    if found.failed:
        table = Table(title="Failed", title_style="bold red", title_justify="left")
        for heading in ("micrograph", "cause", "remedy"):
            table.add_column(heading, overflow="fold")
        for name, history in found.failed[:_ROWS]:
            table.add_row(escape(name), escape(history.cause), escape(history.remedy))
        console.print(table)
        if len(found.failed) > _ROWS:
            console.print(f"… and {len(found.failed) - _ROWS:,} more: see --json")


def _as_json(found: RunStatus) -> str:
    import json

    return json.dumps(
        {
            "total": found.total,
            "picked": found.picked,
            "failed": [
                {"name": name, "cause": h.cause, "remedy": h.remedy, "attempts": h.attempts}
                for name, h in found.failed
            ],
            "going": [{"name": name, "where": h.where} for name, h in found.going],
            "cut_off": [{"name": name, "where": h.where} for name, h in found.cut_off],
            "waiting": found.waiting,
            "attempts": found.attempts,
            "tried_again": found.again,
            "seconds": found.seconds,
            "per_minute": round(found.per_minute, 2),
            "complete": found.complete,
            "processes": found.processes,
            "by_host": found.by_host,
        },
        indent=1,
    )
