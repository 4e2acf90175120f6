"""The command ``cryomae active status``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cryomae.cli.active.common import SessionFolder, counted, estimate_lines

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from cryomae.active.session import Session
    from cryomae.active.status import Counts, Status

_SHOWN = 10


def status(
    session: SessionFolder,
    json_: Annotated[
        bool, typer.Option("--json", help="Everything, for programs, and nothing else.")
    ] = False,
) -> None:
    """Show how far a session is: answers, picks, precision and recall, and whether to stop.

    It reads only, and works while another program has the session open.

    For example:
      cryomae active status mine
      cryomae active status mine --json | jq .estimate.precision
    """
    from cryomae.active.session import Session

    with Session.open(session, write=False) as opened:
        found, held = opened.status(), _holder(session)
        if json_:
            _print_json(opened, found, held)
        else:
            _print(opened, found, held)


def _holder(folder: Path) -> dict[str, object] | None:
    """Who has the session open for writing; None if nobody has."""
    from filelock import FileLock, Timeout

    from cryomae.active.lock import LOCK, read_owner

    if not (folder / LOCK).is_file():
        return None
    try:
        with FileLock(folder / LOCK, timeout=0):
            return None
    except Timeout:
        return read_owner(folder)
    except OSError:  # a folder that cannot be written to: nobody writes to it
        return None


def _print_json(session: Session, found: Status, held: dict[str, object] | None) -> None:
    import json
    from dataclasses import asdict

    content = asdict(found) | {
        "path": str(found.path),
        "settings": session.settings.model_dump(mode="json"),
        "in_use_by": held,
        "versions": [asdict(version) for version in session.versions],
        "picks": len(session.pick_rows()[0]),
    }
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False))


def _print(session: Session, found: Status, held: dict[str, object] | None) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False, soft_wrap=True)
    settings, many, said = session.settings, found.micrographs, found.answers
    rest = ", ".join(
        f"{many[state]:,} {word}"
        for state, word in (
            ("waiting", "to encode"),
            ("failed", "failed"),
            ("excluded", "left out"),
        )
        if many[state]
    )
    console.print(f"[bold]{escape(str(found.path))}[/]")
    for line in (
        f"particle     {settings.diameter:g} Å, model {escape(settings.model)}",
        f"micrographs  {many['ready']:,} ready" + (f", {rest}" if rest else ""),
        f"places       {found.candidates:,} to ask about, {found.queue:,} wait for an answer",
        f"answers      {said['confirm']:,} confirmed, {said['reject']:,} rejected, "
        f"{said['skip']:,} skipped, {said['move']:,} moved, {said['add']:,} added",
    ):
        console.print(line)
    if held is not None:
        who = ", ".join(f"{what} {value}" for what, value in held.items()) or "another program"
        console.print(f"in use by    {escape(who)}")
    if found.estimate is not None:
        console.print(f"version      {found.version}" + _behind(found))
        console.print(f"picks        {len(session.pick_rows()[0]):,} at score {_least(session)}")
        for line in estimate_lines(found.estimate) if found.version else []:
            console.print(f"{line[:11]}  {line[11:]}")
    for title, counts in (
        ("why asked", found.by_reason),
        ("answered by", found.by_annotator),
        ("micrograph", found.by_micrograph),
    ):
        if counts:
            console.print()
            console.print(_counts(title, counts))
    if session.versions:
        console.print()
        console.print(_versions(session))
    _print_troubles(console, found)
    if found.stop:
        console.print(f"\n[green]{escape(found.stop)}[/]")


def _print_troubles(console: Console, found: Status) -> None:
    from rich.markup import escape

    moved = [f"{p.name}: {p.cause}; {p.remedy}" for p in found.problems]
    troubles = [
        ("answers that disagree", list(found.contradictions)),
        ("failed", [f"{name}: {cause}" for name, cause in found.failed.items()]),
        ("micrographs moved or changed", moved),
        ("last training", list(found.remarks)),
    ]
    for title, lines in troubles:
        if not lines:
            continue
        console.print(f"\n[yellow]{title}: {len(lines):,}[/]")
        for line in lines[:_SHOWN]:
            console.print(f"  {escape(line)}")
        if len(lines) > _SHOWN:
            console.print(f"  … and {len(lines) - _SHOWN:,} more: see --json")


def _least(session: Session) -> str:
    low, high = session.thresholds.min(), session.thresholds.max()
    if low < high:
        return f"{low:.3f} to {high:.3f} or more, by micrograph"
    return f"{low:.3f} or more" + (", as you chose" if session.answers.thresholds else "")


def _behind(found: Status) -> str:
    if not found.unlearnt:
        return "" if found.version else ", not trained yet"
    return f", {counted(found.unlearnt, 'answer')} newer: cryomae active train {found.path}"


def _counts(title: str, counts: Counts) -> Table:
    """A row for each group, those with the most answers first."""
    from rich.markup import escape
    from rich.table import Table

    from cryomae.active.words import SAID, reason_in_words

    kinds = [kind for kind in SAID if any(kind in own for own in counts.values())]
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(title, overflow="fold")
    for kind in kinds:
        table.add_column(SAID[kind], justify="right")
    rows = sorted(counts.items(), key=lambda item: -sum(item[1].values()))
    for name, own in rows[:_SHOWN]:
        shown = (str(own[kind]) if kind in own else "" for kind in kinds)
        table.add_row(escape(reason_in_words(name)), *shown)
    if len(rows) > _SHOWN:
        table.add_row(f"… and {len(rows) - _SHOWN:,} more")
    return table


def _versions(session: Session) -> Table:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("version", "when", "answers", "threshold", "precision", "recall", "changed"):
        table.add_column(heading, justify="left" if heading == "when" else "right")
    for v in session.versions[-_SHOWN:]:
        e = v.estimate
        table.add_row(
            str(v.version),
            v.time[:16].replace("T", " "),
            str(v.answers),
            f"{v.threshold:.3f}",
            f"{e.precision:.2f}",
            f"{e.recall:.2f}",
            f"{100 * v.changed:.1f} %",
        )
    return table
