"""Progress of a run: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from cryomae.batch import Progress as Step

if TYPE_CHECKING:
    from cryomae.train.loop import Progress as TrainingStep


@contextmanager
def show_progress(*, quiet: bool = False) -> Iterator[Callable[[Step], None]]:
    """Give a function that shows each step of a run.

    Parameters
    ----------
    quiet : bool
        Show nothing.
    """
    console = Console(stderr=True)
    if quiet:
        yield lambda _: None
    elif console.is_terminal:
        with _bar(console) as bar:
            yield _BarDisplay(bar)
    else:
        yield _print_line


@contextmanager
def show_count(what: str, unit: str, pause: float = 0) -> Iterator[Callable[[int, int], None]]:
    """Give a function of (done, total) that shows how far some work is, and its rate.

    Parameters
    ----------
    what : str
        What is being done.
    unit : str
        What is counted.
    pause : float
        Seconds between two lines, where there is no bar.
    """
    console = Console(stderr=True)
    begin, first, said = time.monotonic(), -1, -float("inf")

    def rate(done: int) -> str:
        nonlocal first
        first = done if first < 0 else first
        minutes = (time.monotonic() - begin) / 60
        return f"{(done - first) / minutes:.1f} {unit}/min" if done > first and minutes else ""

    def line(done: int, total: int) -> None:
        nonlocal said
        news = f"{what}: {done}/{total} {rate(done)}"
        if done == total or time.monotonic() - said >= pause:
            said = time.monotonic()
            typer.echo(news, err=True)

    if not console.is_terminal:
        yield line
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(compact=True),
        console=console,
        expand=True,
        speed_estimate_period=120,
    ) as bar:
        task = bar.add_task(what, total=None, rate="")
        yield lambda done, total: bar.update(task, completed=done, total=total, rate=rate(done))


@contextmanager
def show_training() -> Iterator[Callable[[TrainingStep], None]]:
    """Give a function that shows each step of a training: loss, windows a second, time left."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _TrainingLines()
        return
    bar = Progress(
        TextColumn("Training"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[news]}"),
        console=console,
        expand=True,
    )
    task = bar.add_task("", total=None, news="")

    def tell(at: TrainingStep) -> None:
        bar.start()  # not before the first step: other bars may have the screen until then
        news = f"loss {at.loss:.4f}  {at.windows_per_second:.1f} windows/s  {_left(at)}"
        bar.update(task, completed=at.step, total=at.steps, news=news)

    try:
        yield tell
    finally:
        bar.stop()


class _TrainingLines:
    """A line every ten seconds, and for the last step."""

    def __init__(self) -> None:
        self._said = -float("inf")

    def __call__(self, at: TrainingStep) -> None:
        now = time.monotonic()
        if now - self._said < 10 and at.step < at.steps:
            return
        self._said = now
        typer.echo(
            f"step {at.step}/{at.steps}: loss {at.loss:.4f}, "
            f"{at.windows_per_second:.1f} windows/s, {_left(at)}",
            err=True,
        )


def _left(at: TrainingStep) -> str:
    seconds = (at.steps - at.step) * at.step_seconds
    return f"{seconds // 3600:.0f}:{seconds // 60 % 60:02.0f}:{seconds % 60:02.0f} left"


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[picks]}"),
        console=console,
        expand=True,
        speed_estimate_period=120,
    )


class _BarDisplay:
    """Moves a progress bar; counts the rate over micrographs scored in this run only."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("Picking", total=None, rate="", picks="")
        self._begin = time.monotonic()
        self._scored = 0

    def __call__(self, step: Step) -> None:
        if step.status == "failed":
            self._bar.console.print(f"[red]failed:[/] {_escape(step.name)}: {_escape(step.cause)}")
        if step.status == "kept" and not self._scored:
            self._begin = time.monotonic()
        elif step.done:
            self._scored += 1
        minutes = (time.monotonic() - self._begin) / 60
        speed = self._scored / minutes if minutes > 0 else 0
        rate = f"{speed:.{0 if speed >= 10 else 1}f}/min" if speed else ""
        finished = step.done == step.total
        self._bar.update(
            self._task,
            total=step.total,
            completed=step.done,
            description="Writing picks and pictures" if finished else "Picking",
            rate=rate,
            picks=f"≈ {step.picks:,} picks" if step.picks else "",
        )


def _print_line(step: Step) -> None:
    if not step.done:
        typer.echo(f"picking {step.total} micrograph{'s' if step.total != 1 else ''}", err=True)
        return
    what = {
        "failed": f"failed: {step.cause}",
        "kept": f"{step.candidates} candidates, kept from an earlier run",
    }.get(step.status, f"{step.candidates} candidates, {step.seconds:.1f} s")
    typer.echo(f"[{step.done}/{step.total}] {step.name}: {what}", err=True)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
