"""Sessions whose process is killed at any moment: nothing that was acknowledged is lost."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
import session_victim
from session_helpers import PER, make_candidates, make_session

from cryomae.active.session import Session


def kill_again_and_again(folder: Path, kills: int, seed: int) -> dict[str, int]:
    """Let processes work on a session one after the other, and kill each.

    Every other one is killed at a time, which may be while it opens the session; the rest
    after so many acknowledgements and a few milliseconds, which is while it writes.
    """
    draw = random.Random(seed)
    make_session(folder, 40, encoded=2).close()
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["cryomae.active.session"])
    told: list[tuple[object, ...]] = []
    encoded, version, surplus = {0, 1}, 0, 0
    for number in range(kills):
        hear, tell = processes.Pipe(duplex=False)
        victim = processes.Process(target=session_victim.work, args=(folder, number, tell))
        victim.start()
        tell.close()
        heard: list[tuple[str, object]] = []
        if number % 2:
            time.sleep(draw.uniform(0, 0.3))
        else:
            for _ in range(draw.randrange(1, 40)):
                if not hear.poll(30):
                    break
                heard.append(hear.recv())
            time.sleep(draw.uniform(0, 0.01))
        assert victim.pid is not None
        os.kill(victim.pid, signal.SIGKILL)
        victim.join()
        assert victim.exitcode == -signal.SIGKILL, "the victim fell of its own fault"
        try:
            while True:
                heard.append(hear.recv())
        except (EOFError, OSError):
            pass  # all that it managed to say
        for kind, content in heard:
            if kind == "entries":
                told += content  # type: ignore[arg-type]
        encoded |= {int(str(c)) for kind, c in heard if kind == "encoded"}
        version = max([version, *(int(str(c)) for kind, c in heard if kind == "version")])
        with Session.open(folder) as session:  # the dead process's lock is free
            journal = [astuple(entry) for entry in session.journal]
            assert set(told) <= set(journal), "an acknowledged answer is lost"
            assert [entry[0] for entry in journal] == list(range(1, len(journal) + 1))
            extra = len(journal) - len(told)
            # Of what was being written either all is there or nothing.
            assert extra - surplus in (0, 1, session_victim.MANY)
            surplus = extra
            ready = {m.id for m in session.micrographs if m.state == "ready"}
            assert encoded <= ready
            assert len(session.versions) >= version
            whole(session)
    return {"answers": len(told), "written but not acknowledged": surplus, "encoded": len(encoded)}


def whole(session: Session) -> None:
    """Everything can be read, and the arrays hold what belongs there."""
    session.status()
    session.picks()
    pool = session.pool
    for micrograph in session.micrographs:
        if micrograph.state == "ready":
            rows = slice(micrograph.first, micrograph.first + PER)
            expected = make_candidates(micrograph.id)
            assert (pool.micrograph[rows] == micrograph.id).all()
            assert np.array_equal(pool.xy[rows], expected.xy)
            assert np.array_equal(pool.latents[rows], expected.latents)


def test_nothing_is_lost_when_killed(tmp_path: Path) -> None:
    done = kill_again_and_again(tmp_path / "s", 10, seed=1)
    assert done["answers"] > 20


@pytest.mark.slow
def test_nothing_is_lost_when_killed_200_times(
    tmp_path: Path,
) -> None:
    done = kill_again_and_again(tmp_path / "s", 200, seed=2)
    print(done)
    assert done["answers"] > 1000
