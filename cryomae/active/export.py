"""What comes of a session: picks for other programs, its answers, and its model."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING

from cryomae.atomic import write_text
from cryomae.exchange import Saved, save_for
from cryomae.formats import Context

if TYPE_CHECKING:
    from cryomae.active.journal import Entry
    from cryomae.active.session import Session
    from cryomae.picks import Picks

ANSWERS = "answers.csv"
"""Name of the table of answers in an export."""

_BOX = 1.5  # diameters: side of the boxes that EMAN and crYOLO draw
_COLUMNS = ("micrograph", "x", "y", "answer", "annotator", "time")


def export_picks(
    session: Session, folder: Path, program: str, threshold: float | None = None
) -> tuple[Picks, Saved]:
    """Write the picks of a session the way a program reads them.

    Parameters
    ----------
    session : Session
    folder : Path
    program : str
        See `cryomae.exchange.save_for`.
    threshold : float, optional
        Score that a pick must reach; default that of the newest version. What was confirmed
        is picked in any case, and what was rejected is not.

    Raises
    ------
    InputError
        If the format needs something that is not known.
    OutputError
        If a file cannot be written.
    """
    picks = session.picks(threshold)
    return picks, save_for(program, picks, folder, context_of(session))


def context_of(session: Session) -> Context:
    """Sizes of the micrographs, and of boxes round the particle."""
    known = [m for m in session.micrographs if m.shape and m.pixel_size]
    sizes = {m.name: m.pixel_size for m in known if m.pixel_size}
    box = None
    if sizes:
        # One box for all: micrographs of a session hardly differ, and boxes must not be small.
        box = 2 * math.ceil(_BOX * session.settings.diameter / min(sizes.values()) / 2)
    return Context({m.name: m.shape for m in known if m.shape}, sizes, box)


def export_answers(session: Session, path: Path) -> int:
    """Write what stands of the answers, as ``cryomae active answer --csv`` reads it.

    Parameters
    ----------
    session : Session
    path : Path
        CSV to write.

    Returns
    -------
    int
        Number of answers.
    """
    names = [m.name for m in session.micrographs]
    state = session.answers
    clicks = [
        e
        for e in state.placed
        if e.kind == "add" and -e.id in state.particles and -e.id not in state.answers
    ]
    # Of a move, its new place is a particle, unless that was answered again since.
    given = [
        e
        for e in state.answers.values()
        if e.kind != "move" or (-e.id in state.particles and -e.id not in state.answers)
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    rows = sorted([*clicks, *given], key=lambda e: e.id)
    for entry in rows:
        writer.writerow(_row(entry, names))
    write_text(path, text.getvalue())
    return len(rows)


def _row(entry: Entry, names: list[str]) -> tuple[str, ...]:
    x, y = entry.xy
    word = "confirm" if entry.kind in ("add", "move") else entry.kind
    return (
        names[entry.micrograph or 0], f"{x:.2f}", f"{y:.2f}", word, entry.annotator, entry.time,
    )  # fmt: skip
