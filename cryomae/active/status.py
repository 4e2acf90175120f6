"""Where a session stands, for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryomae.active.estimate import Estimate, should_stop
from cryomae.active.files import Problem
from cryomae.active.journal import VERDICTS, Entry, State
from cryomae.active.labels import Labels
from cryomae.active.pool import KINDS, Pool
from cryomae.active.records import Proposal, SessionMicrograph, TrainedVersion

Counts = dict[str, dict[str, int]]
"""How many answers of each kind, by group."""


@dataclass(frozen=True)
class Status:
    """Where a session stands.

    Attributes
    ----------
    path : Path
        Folder of the session.
    micrographs : dict
        How many are ``waiting``, ``ready``, ``failed`` and ``excluded``.
    candidates : int
    queue : int
        Proposals that wait for an answer.
    answers : dict
        How many ``confirm``, ``reject``, ``skip``, ``move`` and ``add`` stand, the newest of
        each place.
    positives, negatives : int
        What can be learnt from them.
    by_annotator, by_kind, by_strategy, by_reason, by_micrograph : dict of dict
        How many of each kind stand, by who gave them; by kind of candidate; by what proposed
        it, and why (``"not proposed"`` if nothing did); by name of micrograph.
    contradictions : tuple of str
        A sentence for each pair of answers that disagree.
    version : int
        Newest trained version; 0 before the first training.
    unlearnt : int
        Entries of the journal since then, thresholds aside.
    estimate : Estimate or None
        Threshold, picks, precision and recall of that version; None before anything is
        encoded.
    changed : tuple of float
        Share of the picks that each training changed.
    stop : str
        Why one may stop; empty while more answers are worth it.
    can_undo, can_redo : str
        Kind of what undo and redo would act on; empty if nothing.
    failed : dict
        Why micrographs failed, by name.
    problems : tuple of Problem
        Micrographs that are missing or changed.
    remarks : tuple of str
        Of the last training.
    """

    path: Path
    micrographs: dict[str, int]
    candidates: int
    queue: int
    answers: dict[str, int]
    positives: int
    negatives: int
    by_annotator: Counts
    by_kind: Counts
    by_strategy: Counts
    by_reason: Counts
    by_micrograph: Counts
    contradictions: tuple[str, ...]
    version: int
    unlearnt: int
    estimate: Estimate | None
    changed: tuple[float, ...]
    stop: str
    can_undo: str
    can_redo: str
    failed: dict[str, str]
    problems: tuple[Problem, ...]
    remarks: tuple[str, ...]


def report(
    path: Path,
    micrographs: Sequence[SessionMicrograph],
    pool: Pool,
    state: State,
    labels: Labels,
    proposals: Sequence[Proposal],
    queue: int,
    versions: Sequence[TrainedVersion],
    estimate: Estimate | None,
    problems: Sequence[Problem],
) -> Status:
    """Put together where a session stands; pure."""
    newest = [*state.answers.values(), *(e for e in state.placed if e.kind == "add")]
    proposed = {p.id: p for p in proposals}
    names = [m.name for m in micrographs]

    def reason(entry: Entry, what: str) -> str:
        found = proposed.get(entry.proposal) if entry.proposal else None
        return str(getattr(found, what)) if found else "not proposed"

    def kind(entry: Entry) -> str:
        if entry.candidate is None or entry.candidate >= len(pool):
            return KINDS[-1]
        return KINDS[pool.kind[entry.candidate]]

    states = Counter(m.state for m in micrographs)
    last = versions[-1] if versions else None
    learnt = last.journal if last else 0
    changed = tuple(v.changed for v in versions)
    return Status(
        path=path,
        micrographs={
            **{s: states.get(s, 0) for s in ("waiting", "ready", "failed")},
            "excluded": len(state.excluded),
        },
        candidates=sum(m.count for m in micrographs),
        queue=queue,
        answers={k: sum(e.kind == k for e in newest) for k in (*VERDICTS, "add")},
        positives=int((labels.y == 1).sum()),
        negatives=int((labels.y == 0).sum()),
        by_annotator=_count((e.annotator, e.kind) for e in state.standing),
        by_kind=_count((kind(e), e.kind) for e in newest),
        by_strategy=_count((reason(e, "strategy"), e.kind) for e in newest),
        by_reason=_count((reason(e, "reason"), e.kind) for e in newest),
        by_micrograph=_count((names[e.micrograph or 0], e.kind) for e in newest),
        contradictions=tuple(
            c.describe(names[c.newer.micrograph or 0]) for c in labels.contradictions
        ),
        version=last.version if last else 0,
        unlearnt=state.unlearnt(learnt),
        estimate=estimate,
        changed=changed,
        stop=should_stop(changed, len(labels.rows)),
        can_undo=state.next_undo.kind if state.next_undo else "",
        can_redo=state.next_redo.kind if state.next_redo else "",
        failed={m.name: m.cause for m in micrographs if m.state == "failed"},
        problems=tuple(problems),
        remarks=tuple(last.remarks.splitlines()) if last else (),
    )


def _count(pairs: Iterable[tuple[str, str]]) -> Counts:
    found: Counts = {}
    for group, kind in pairs:
        own = found.setdefault(group, {})
        own[kind] = own.get(kind, 0) + 1
    return found
