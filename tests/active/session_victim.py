"""A process that works on a session until it is killed, and tells what was acknowledged."""

from __future__ import annotations

import random
from dataclasses import astuple
from multiprocessing.connection import Connection
from pathlib import Path

from session_helpers import PER, SIDE, is_particle, keep_made

from cryomae.active.journal import Answer, Entry
from cryomae.active.session import Session

MANY = 20
"""Answers that are given together."""


def work(folder: Path, seed: int, tell: Connection) -> None:
    """Do what users do, in an order drawn from a seed, and tell each thing after it was done."""
    draw = random.Random(seed)
    with Session.open(folder, annotator=f"seed {seed}") as session:
        tell.send(("open", len(session.journal)))
        while True:
            tell.send(_act(session, draw))


def _act(session: Session, draw: random.Random) -> tuple[str, object]:
    """One action, and what to tell of it."""
    chance = draw.random()
    if chance < 0.55:
        queue = session.queue or session.propose(5)
        if not queue:
            return _told([draw.choice([session.exclude, session.include])(0)])
        kind = "confirm" if is_particle(queue[0].candidate) else "reject"
        return _told([session.answer(queue[0], kind)])
    if chance < 0.65:
        candidate = draw.randrange(2 * PER)
        return _told([session.answer(candidate, draw.choice(["skip", "reject", "confirm"]))])
    if chance < 0.75:
        xy = draw.uniform(0, SIDE - 1), draw.uniform(0, SIDE - 1)
        return _told([session.answer(draw.randrange(2 * PER), "move", xy)])
    if chance < 0.8:
        many = [Answer("confirm", draw.randrange(2 * PER)) for _ in range(MANY)]
        return _told(session.answer_many(many))
    if chance < 0.9:
        step = draw.choice([session.undo, session.redo])
        # What is told is the entry that the step wrote, not the one that it was about.
        return _told([] if step() is None else [session.journal[-1]])
    if chance < 0.95:
        waiting = [m for m in session.micrographs if m.state == "waiting"]
        if not waiting:
            return _told([])
        keep_made(session, waiting[0])
        return "encoded", waiting[0].id
    if not len(session.labels.rows):
        return _told([])
    return "version", session.train().version


def _told(entries: list[Entry]) -> tuple[str, object]:
    return "entries", [astuple(entry) for entry in entries]
