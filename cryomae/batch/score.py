"""Picking the micrographs of a plan, wherever that is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing

from cryomae.batch.ledger import DEADLY, Ledger, LedgerWriter, read_ledger
from cryomae.batch.log import logger
from cryomae.batch.plan import deadly
from cryomae.batch.result import Outcome
from cryomae.batch.unit import PickOne, Task, failure
from cryomae.scale import Backend, Lost

_UNLUCKY = 5
"""How often a process may be lost before it began with the micrograph that it was to pick."""


def pick_all(
    backend: Backend, pick_one: PickOne, tasks: Sequence[Task], before: Ledger, *, retry: bool
) -> Generator[Outcome, None, None]:
    """Outcome of every micrograph, as they come.

    A micrograph whose process was lost is tried again, when all others are done. It is left
    alone if it has ended `DEADLY` processes; one that was only waiting in such a process is
    not blamed, which the ledger tells.

    Parameters
    ----------
    backend : Backend
        Where to work.
    pick_one : PickOne
        What to do.
    tasks : sequence of Task
        What to do it to.
    before : Ledger
        As it was before.
    retry : bool
        Forgive what happened before.
    """
    seen = {t.ref.name: before.of(t.ref.name).deaths for t in tasks}
    forgiven = dict(seen) if retry else {}
    unlucky: Counter[str] = Counter()
    writer = LedgerWriter(pick_one.ledger)
    waiting = list(tasks)
    while waiting:
        again = []
        with closing(backend.map_unordered(pick_one, waiting)) as answers:
            for task, answer in answers:
                if not isinstance(answer, Lost):
                    yield answer
                    continue
                name = task.ref.name
                deaths = read_ledger(pick_one.ledger, only=name).of(name).deaths
                unlucky[name] += deaths == seen[name]
                seen[name] = deaths
                logger.warning("%s: its process was lost: %s", name, answer.how)
                if deaths - forgiven.get(name, 0) >= DEADLY:
                    outcome = deadly(task.ref, answer.how)
                elif unlucky[name] >= _UNLUCKY:
                    outcome = failure(
                        task.ref,
                        f"{_UNLUCKY} processes were lost before they began with it ({answer.how})",
                        "look at the machines that work, then run the same command again",
                    )
                else:
                    again.append(task)
                    continue
                writer.failed(name, outcome.cause, outcome.remedy)
                yield outcome
        waiting = again
