"""One training of a session: from what stands in it to a new version, nothing written.

It may run in another thread, or in another process that opened the session for reading only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cryomae.active.content import Content, without
from cryomae.active.encode import detector_of
from cryomae.active.estimate import Estimate, choose_operating_point
from cryomae.active.files import verify
from cryomae.active.journal import Entry
from cryomae.active.labels import Labels
from cryomae.active.picking import pick_rows, share_changed
from cryomae.active.pool import Pool
from cryomae.active.records import SessionMicrograph
from cryomae.active.tables import Descriptors
from cryomae.errors import CryomaeError, InputError
from cryomae.micrograph import MicrographRef
from cryomae.train.head import Head, learn

if TYPE_CHECKING:
    from cryomae.pick.pipeline import Detector

OnProgress = Callable[[str, float], None]
"""Called with what is being done and the share that is done, 0 to 1."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a training found, for `cryomae.active.session.Session.keep`.

    Attributes
    ----------
    head : bytes
        The learnt head, see `cryomae.train.head.Head.to_bytes`.
    journal : int
        Newest entry that it knows.
    positives, negatives : int
        Answers that it was learnt from.
    estimate : Estimate
    changed : float
        Share of the picks that differ from the version before.
    seconds : float
    descriptors : dict
        Of placed particles, found on the way.
    remarks : tuple of str
    """

    head: bytes
    journal: int
    positives: int
    negatives: int
    estimate: Estimate
    changed: float
    seconds: float
    descriptors: Descriptors
    remarks: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Round:
    """Everything that a training works on.

    Attributes
    ----------
    pool : Pool
    labels : Labels
    known : ndarray of bool, shape (n,)
        Rows of the pool whose descriptor is their own.
    excluded : frozenset of int
        Micrographs that are left out.
    before : Head
        Of the version before, to start from and to compare with.
    threshold : float
        Of the version before.
    journal : int
        Newest entry.
    seed : int
    """

    pool: Pool
    labels: Labels
    known: NDArray[np.bool_]
    excluded: frozenset[int]
    before: Head
    threshold: float
    journal: int
    seed: int


def fit(
    given: Round,
    descriptors: Descriptors,
    remarks: Sequence[str],
    begin: float,
    tell: OnProgress,
    session: Path,
) -> Fitted:
    """Learn from the answers and choose the threshold.

    Answers on micrographs that are left out still teach; the estimate and the picks are those
    of the others.

    Parameters
    ----------
    given : Round
    descriptors, remarks
        Passed on.
    begin : float
        When the training began, by ``time.perf_counter``.
    tell : callable
    session : Path
        For the message.

    Raises
    ------
    InputError
        If nothing was answered.
    """
    pool, labels = given.pool, given.labels
    usable = given.known[labels.rows]
    rows, y = labels.rows[usable], labels.y[usable]
    if not len(rows):
        raise InputError(
            "there is nothing to learn from: no place was confirmed or rejected",
            "answer some proposals first",
            session,
        )
    tell("learning", 0.3)
    head = learn(pool, rows, y, given.before, clicked=labels.clicked[usable])
    tell("threshold", 0.5)
    part, own, truth = without(pool, given.excluded, rows, y)
    rng = np.random.default_rng([given.seed, given.journal])
    estimate = choose_operating_point(part, head, own, truth, rng)
    tell("comparing", 0.8)
    picked = [
        pick_rows(pool, each.probability(pool), labels, threshold, given.excluded)[0]
        for each, threshold in ((given.before, given.threshold), (head, estimate.threshold))
    ]
    tell("done", 1.0)
    return Fitted(
        head.to_bytes(),
        given.journal,
        int((y == 1).sum()),
        int((y == 0).sum()),
        estimate,
        share_changed(*picked),
        time.perf_counter() - begin,
        descriptors,
        tuple(remarks),
    )


def fit_content(
    content: Content,
    guard: AbstractContextManager[object],
    detector: Detector | None,
    on_progress: OnProgress | None,
    device: str,
) -> Fitted:
    """Train a session, see `cryomae.active.session.Session.fit`.

    Placed particles far from every candidate are described first, for which their micrographs
    are read. What stands is copied under the guard, so that answers can come in meanwhile.
    """
    begin, tell = time.perf_counter(), on_progress or (lambda *_: None)
    tell("reading", 0.0)
    with guard:
        waiting = _undescribed(content)
        micrographs = list(content.micrographs)
    found, remarks = _describe(content, waiting, micrographs, detector, device)
    with guard:
        pool, known = content.pool_with(found)
        estimate = content.estimate
        given = Round(
            pool,
            content.labels,
            known,
            content.state.excluded,
            content.head,
            estimate.threshold if estimate else 0.5,
            content.entries[-1].id if content.entries else 0,
            content.settings.seed,
        )
    return fit(given, found, remarks, begin, tell, content.folder)


def _undescribed(content: Content) -> dict[int, list[Entry]]:
    """Placed particles that count and have no descriptor of their own, by micrograph."""
    found: dict[int, list[Entry]] = {}
    for entry, known in zip(content.state.placed, content.described, strict=True):
        if not known and -entry.id in content.state.particles:
            assert entry.micrograph is not None
            found.setdefault(entry.micrograph, []).append(entry)
    return found


def _describe(
    content: Content,
    waiting: dict[int, list[Entry]],
    micrographs: Sequence[SessionMicrograph],
    detector: Detector | None,
    device: str,
) -> tuple[Descriptors, list[str]]:
    """Descriptors of placed particles, and what could not be described."""
    found: Descriptors = {}
    remarks: list[str] = []
    if not waiting:
        return found, remarks
    from cryomae.io import read_micrograph

    model = detector
    for id_, entries in waiting.items():
        own = micrographs[id_]
        try:
            verify(own, content.folder)
            pixels = read_micrograph(MicrographRef(own.name, own.path, own.pixel_size))
            from cryomae.active.candidates import describe  # with torch, which takes seconds

            model = detector_of(content.settings, model, device)
            xy = np.array([e.xy for e in entries])
            logit, latents = describe(pixels, model, content.settings.diameter, xy)
        except CryomaeError as error:  # the other answers are worth learning from all the same
            remarks.append(f"placed particles that are not learnt from: {len(entries)}; {error}")
            continue
        for entry, value, latent in zip(entries, logit, latents, strict=True):
            found[entry.id] = (float(value), latent)
    return found, remarks
