"""What the commands of ``cryomae active`` share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cryomae.active.estimate import Estimate
    from cryomae.active.records import TrainedVersion
    from cryomae.active.session import Session

SessionFolder = Annotated[
    Path,
    typer.Argument(
        metavar="SESSION",
        help="Folder of the session, made by cryomae active new.",
        show_default=False,
    ),
]
Annotator = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="Who answers, for the record.", show_default="your login name"
    ),
]
Device = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Where to compute: auto (a GPU if there is one), cpu, cuda, cuda:1.",
    ),
]


def warn(text: str) -> None:
    """Print a warning."""
    typer.secho(f"warning: {text}", fg="yellow", err=True)


def counted(count: int, one: str, many: str = "") -> str:
    """A number with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


@contextmanager
def stopping(words: str) -> Iterator[None]:
    """Turn Ctrl-C into a line and exit code 130."""
    try:
        yield
    except KeyboardInterrupt:
        typer.secho(words, fg="yellow", err=True)
        raise typer.Exit(130) from None


def train_and_tell(session: Session, device: str = "auto") -> None:
    """Learn from the answers, and say what came of it."""
    from rich.console import Console

    before = len(session.pick_rows()[0])
    with Console(stderr=True).status("Learning from the answers"):
        version = session.train(device=device)
    for line in report_training(session, version, before):
        typer.echo(line)
    for remark in version.remarks.splitlines():
        warn(remark)


def report_training(session: Session, version: TrainedVersion, before: int) -> list[str]:
    """What a training came to, a line each; ``before`` is the number of picks before it."""
    picks = len(session.pick_rows()[0])
    lines = [
        f"Version {version.version}: learnt from {counted(version.answers, 'answer')} "
        f"({version.positives} particles, {version.negatives} not) in {version.seconds:.1f} s",
        f"threshold  {version.threshold:.3f}",
        f"picks      {picks:,}, {before:,} before; {100 * version.changed:.1f} % of them changed",
        *estimate_lines(version.estimate),
    ]
    stop = session.status().stop
    return [*lines, stop] if stop else lines


def estimate_lines(estimate: Estimate) -> list[str]:
    """Precision and recall with their intervals."""
    e = estimate
    return [
        f"precision  {e.precision:.2f} ({e.precision_low:.2f} to {e.precision_high:.2f}), "
        "estimated, 95 %",
        f"recall     {e.recall:.2f} ({e.recall_low:.2f} to {e.recall_high:.2f})",
    ]
