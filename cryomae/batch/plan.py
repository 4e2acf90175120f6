"""What there is to do: which micrographs are done, which are left alone, which are picked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cryomae.batch.job import PREVIEW_LIMIT, Job
from cryomae.batch.ledger import DEADLY, History, Ledger
from cryomae.batch.record import Record, file_digest, micrograph_key
from cryomae.batch.result import Outcome
from cryomae.batch.unit import Task, failure, success
from cryomae.errors import InputError
from cryomae.micrograph import MicrographRef


@dataclass(frozen=True)
class Shard:
    """One of several parts that a list of micrographs is cut into.

    Attributes
    ----------
    number, of : int
        Part ``number`` of ``of``, from 1.
    """

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Part that is meant by words such as ``3/8``.

        Raises
        ------
        InputError
            If it makes no sense.
        """
        number, slash, of = text.partition("/")
        if not (slash and number.strip().isdigit() and of.strip().isdigit()):
            raise InputError(f"the shard is '{text}'", "give --shard as I/N, such as 3/8")
        shard = cls(int(number), int(of))
        if not 1 <= shard.number <= shard.of:
            raise InputError(
                f"there is no shard {text}",
                "shards count from 1: for 8 of them, sbatch --array=1-8",
            )
        return shard

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def takes(self, index: int) -> bool:
        """Whether the micrograph at this place of the list belongs to it."""
        return index % self.of == self.number - 1


@dataclass
class Plan:
    """Micrographs of a run, sorted by what is to be done.

    Attributes
    ----------
    settled : list of Outcome
        Those that need nothing: picked in an earlier run, or left alone.
    tasks : list of Task
        Those to pick; last the ones that have ended a process before, which may do it again.
    """

    settled: list[Outcome] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)


def make_plan(
    job: Job, refs: Sequence[MicrographRef], ledger: Ledger, shard: Shard | None, *, retry: bool
) -> Plan:
    """Sort the micrographs of a run.

    Parameters
    ----------
    job : Job
    refs : sequence of MicrographRef
        All micrographs.
    ledger : Ledger
        Of earlier runs into the folder.
    shard : Shard or None
        The part that is wanted.
    retry : bool
        Try again also what has ended its process.
    """
    plan, suspects = Plan(), list[Task]()
    stride = max(1, -(-len(refs) // PREVIEW_LIMIT))
    for index, ref in enumerate(refs):
        if shard is not None and not shard.takes(index):
            continue
        history = ledger.of(ref.name)
        record = None if job.overwrite else _still_holds(job, ref, history)
        if record is not None:
            plan.settled.append(success(ref, "kept", record))
        elif history.deaths >= DEADLY and not (retry or job.overwrite):
            plan.settled.append(deadly(ref))
        else:
            # Workers may run in another folder.
            absolute = replace(ref, path=Path(ref.path).absolute())
            files = replace(job.layout.of(ref.name), root=job.layout.root.absolute())
            task = Task(absolute, files, job.preview and index % stride == 0)
            (suspects if history.deaths else plan.tasks).append(task)
    plan.tasks += suspects
    return plan


def deadly(ref: MicrographRef, how: str = "") -> Outcome:
    """Outcome of a micrograph that is left alone, because processes end when they pick it."""
    words = f" ({how})" if how else ""
    return failure(
        ref,
        f"the process that picked it ended {DEADLY} times{words}, so it is left alone",
        "look at the file (cryomae info), or give the workers more memory; --retry tries it again",
    )


def _still_holds(job: Job, ref: MicrographRef, history: History) -> Record | None:
    """Record of an earlier run, if neither micrograph nor candidates have changed since."""
    if not history.records:
        return None
    record = history.records.get(micrograph_key(job.fingerprint, ref))
    if record is None or file_digest(job.layout.candidates(ref.name)) != record.digest:
        return None
    return record
