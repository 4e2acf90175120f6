"""What runs in a worker process: models, so that the window never waits for them.

It is started as ``python -m cryomae.napari.worker``, reads jobs from its standard input and
writes news to its standard output, both pickled. It ends when its input does, however the
window went away.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace
from typing import IO, TYPE_CHECKING, Any, cast

from cryomae.errors import CryomaeError

if TYPE_CHECKING:
    from cryomae.active.begin import Named
    from cryomae.active.candidates import Candidates
    from cryomae.active.encode import Encoded
    from cryomae.active.records import SessionMicrograph
    from cryomae.active.settings import SessionSettings
    from cryomae.active.training import Fitted
    from cryomae.pick import Detector

Tell = Callable[[Any], None]

_POLITE = 5  # niceness: whoever looks at the window comes first


@dataclass(frozen=True)
class Begin:
    """Make a session, or take more micrographs into it, and close it; the result is `Begun`."""

    named: Named


@dataclass(frozen=True)
class Encode:
    """Find the candidates of micrographs; the news are `Encoded`."""

    micrographs: tuple[SessionMicrograph, ...]
    settings: SessionSettings


@dataclass(frozen=True)
class Train:
    """Learn from the answers of a session and write nothing.

    The news are `Told`, the result is `Fitted`.
    """

    session: Path


@dataclass(frozen=True)
class Export:
    """Write what comes of a session; the result is `Written`."""

    session: Path
    folder: Path
    program: str
    model: bool


@dataclass(frozen=True)
class Begun:
    """A session is there; what the user should know of it."""

    path: Path
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Told:
    """How far a training is."""

    text: str
    share: float


@dataclass(frozen=True)
class Written:
    """What was exported."""

    picks: int
    micrographs: int
    answers: int
    files: dict[str, Path]


@dataclass(frozen=True)
class Finished:
    """A job ended, with its result, or with an error if it failed; the last news of it.

    The result is part of it: told before, the window could give the next job in the meantime,
    and would take the end of this one for the end of that.
    """

    result: Any = None
    error: CryomaeError | None = None


def main() -> None:
    """Do jobs until there are no more."""
    source, sink = _take_streams()
    if hasattr(os, "sched_setscheduler"):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    if hasattr(os, "nice"):
        os.nice(_POLITE)
    jobs: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_listen, args=(source, jobs), daemon=True).start()
    models = _Models()

    def tell(news: Any) -> None:
        pickle.dump(news, sink, pickle.HIGHEST_PROTOCOL)
        sink.flush()

    while True:
        job = jobs.get()
        try:
            result = _WORK[type(job)](job, models, tell)
        except CryomaeError as error:
            tell(Finished(error=error))
        except BrokenPipeError:
            os._exit(0)
        else:
            tell(Finished(result))


def _take_streams() -> tuple[IO[bytes], IO[bytes]]:
    """The pipes to the window; what is printed meanwhile goes to the errors instead."""
    source = os.fdopen(os.dup(0), "rb")
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdin.close()
    return source, sink


def _listen(source: IO[bytes], jobs: SimpleQueue[Any]) -> None:
    while True:
        try:
            jobs.put(pickle.load(source))
        except (EOFError, OSError):
            os._exit(0)  # the window is gone: whatever is being computed is of no use


class _Models:
    """The models that this process has loaded."""

    def __init__(self) -> None:
        self._loaded: dict[str, Detector] = {}

    def get(self, name: str) -> Detector:
        import torch

        from cryomae.pick import load_detector

        if name not in self._loaded:
            torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))  # one is for the window
            self._loaded[name] = load_detector(name, "auto")
        return self._loaded[name]


def _begin(job: Begin, models: _Models, tell: Tell) -> Begun:
    from cryomae.active.begin import begin, check
    from cryomae.model.registry import diameter_remark

    detector = models.get(job.named.model)
    plan = check(job.named, detector)
    begin(plan).close()
    remark = diameter_remark(detector.card, job.named.diameter)
    missing = [str(error) for error in plan.failures]
    return Begun(job.named.path, (*plan.remarks, *([remark] if remark else []), *missing))


def _encode(job: Encode, models: _Models, tell: Tell) -> None:
    from cryomae.active.encode import detector_of, encode_one

    detector = detector_of(job.settings, models.get(job.settings.model), "auto")
    for micrograph in job.micrographs:
        tell(_plain(encode_one(micrograph, job.settings, detector)))


def _plain(encoded: Encoded) -> Encoded:
    """The same without its class, which comes with torch.

    The window must not load torch: that takes seconds, and what comes with it does not go
    together with a software OpenGL in one process.
    """
    found = encoded.candidates
    if found is None:
        return encoded
    names = ("xy", "kind", "logit", "latents")
    bare = SimpleNamespace(**{name: getattr(found, name) for name in names})
    return replace(encoded, candidates=cast("Candidates", bare))


def _train(job: Train, models: _Models, tell: Tell) -> Fitted:
    from cryomae.active.session import Session

    with Session.open(job.session, write=False) as session:
        return session.fit(on_progress=lambda text, share: tell(Told(text, share)))


def _export(job: Export, models: _Models, tell: Tell) -> Written:
    from cryomae.active.export import ANSWERS, export_answers, export_picks
    from cryomae.active.session import Session

    with Session.open(job.session, write=False) as session:
        picks, saved = export_picks(session, job.folder, job.program)
        files = dict(saved.files)
        files["answers"] = job.folder / ANSWERS
        answers = export_answers(session, files["answers"])
        if job.model and session.versions:
            from cryomae.active.model import export_model

            files["model"] = job.folder / "model.safetensors"
            export_model(session, files["model"])
    micrographs = int(picks.table["micrograph"].nunique())
    return Written(len(picks), micrographs, answers, files)


_WORK: dict[type, Callable[[Any, _Models, Tell], Any]] = {
    Begin: _begin,
    Encode: _encode,
    Train: _train,
    Export: _export,
}

if __name__ == "__main__":
    # Under its own name, so that what is pickled here can be read by the window.
    from cryomae.napari.worker import main as run

    run()
