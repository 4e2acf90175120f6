"""Asking in a terminal: the loop of showing, reading a key, learning and asking on."""

from __future__ import annotations

import sys
import termios
import tty
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

from cryomae.active.crops import Cutter
from cryomae.active.sitting import Sitting
from cryomae.active.terminal import frame
from cryomae.active.words import reason_in_words
from cryomae.cli.active.common import counted, report_training
from cryomae.errors import CryomaeError

if TYPE_CHECKING:
    from cryomae.active.records import Proposal
    from cryomae.active.session import Session


def sit(session: Session, batch: int | None, train: bool, device: str) -> None:
    """Ask until the user quits or nothing is left.

    Parameters
    ----------
    session : Session
        Open for writing.
    batch : int or None
        Places a batch; default the session's.
    train : bool
        Whether to learn after each batch.
    device : str
        Where to learn.
    """
    console = Console(highlight=False)
    sitting = Sitting(session, session.propose(batch))
    if not sitting.proposals:
        console.print("Nothing is left to ask: all places are answered or skipped.")
        return
    news: list[str] = []
    with (
        _quiet_keys(),
        _Crops(session) as crops,
        console.screen(hide_cursor=True) as screen,
    ):
        crops.prepare(sitting.proposals)
        while not sitting.finished:
            proposal = sitting.current
            if proposal is None:
                if train and session.status().unlearnt and len(session.labels.rows):
                    screen.update(Text("Learning from the answers …"))
                    news, sitting.message = _learn(session, device)
                more = sitting.fetch(batch)
                sitting.finished = not more
                crops.prepare(more)
                continue
            screen.update(
                frame(
                    sitting,
                    crops.crop(proposal),
                    score=float(session.scores[proposal.candidate]),
                    reason=reason_in_words(proposal.reason),
                    micrograph=session.micrographs[proposal.micrograph].name,
                    size=(console.width, console.height),
                )
            )
            sitting.press(_key())
    for line in news:
        console.print(line)
    _close(session, console, sitting.current is None)


def _key() -> str:
    """The next key; those pressed before the place was shown do not count."""
    try:
        return click.getchar()
    except (KeyboardInterrupt, EOFError):
        return "q"


def _learn(session: Session, device: str) -> tuple[list[str], str]:
    """Train; what came of it at length and in short."""
    before = len(session.pick_rows()[0])
    try:
        version = session.train(device=device)
    except CryomaeError as error:  # the answers are kept, and asking goes on
        return [f"Not learnt from the answers: {error}"], f"Not learnt: {error}"
    e = version.estimate
    short = (
        f"Learnt from {counted(version.answers, 'answer')}: precision {e.precision:.2f} "
        f"({e.precision_low:.2f} to {e.precision_high:.2f}), recall {e.recall:.2f} "
        f"({e.recall_low:.2f} to {e.recall_high:.2f}). {session.status().stop}"
    )
    return report_training(session, version, before), short


def _close(session: Session, console: Console, done: bool) -> None:
    status = session.status()
    if done:
        console.print("Nothing is left to ask: all places are answered or skipped.")
    skipped = status.answers["skip"]
    console.print(
        f"{counted(status.positives + status.negatives, 'place')} answered so far: "
        f"{counted(status.positives, 'particle')}, {status.negatives:,} not"
        + (f"; {skipped:,} skipped" if skipped else "")
    )
    if status.unlearnt:
        console.print(f"learn from the last ones with cryomae active train {session.path}")
    console.print(f"write the picks with cryomae active export {session.path} -o FOLDER")


@contextmanager
def _quiet_keys() -> Iterator[None]:
    """Keys that are pressed while nothing is asked leave no traces on the screen."""
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    try:
        tty.setcbreak(keyboard)
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


class _Crops:
    """Crops of proposals, cut in the background ahead of who looks at them."""

    def __init__(self, session: Session) -> None:
        self._cutter = Cutter(session)
        self._worker = ThreadPoolExecutor(1)
        self._cut: dict[int, Future[NDArray[np.float32]]] = {}

    def __enter__(self) -> _Crops:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._worker.shutdown(wait=True, cancel_futures=True)

    def prepare(self, proposals: list[Proposal]) -> None:
        """Begin to cut; the first one first, then micrograph by micrograph."""
        order: dict[int, list[Proposal]] = {}
        for proposal in proposals:
            order.setdefault(proposal.micrograph, []).append(proposal)
        for proposal in (p for group in order.values() for p in group):
            if proposal.id not in self._cut:
                self._cut[proposal.id] = self._worker.submit(self._cutter.crop, proposal)

    def crop(self, proposal: Proposal) -> NDArray[np.float32] | str:
        """A crop, or why there is none."""
        try:
            return self._cut[proposal.id].result()
        except CryomaeError as error:
            return str(error)
