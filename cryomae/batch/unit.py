"""The unit of work: one micrograph, from file to candidates.

It can be done anywhere and as often as one likes: outputs appear whole or not at all, and are
the same bytes each time.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cryomae import __version__
from cryomae.atomic import OutputError
from cryomae.batch.engine import DetectorLike, Engine, PickedLike, default_engine
from cryomae.batch.job import Job
from cryomae.batch.layout import Files
from cryomae.batch.ledger import LedgerWriter
from cryomae.batch.record import Fingerprint, Record, file_digest, micrograph_key
from cryomae.batch.result import Outcome
from cryomae.errors import CryomaeError, InputError
from cryomae.formats import star
from cryomae.micrograph import Micrograph, MicrographRef
from cryomae.report.thumbnail import save_thumbnail
from cryomae.settings import PickSettings

Load = Callable[[int | None], DetectorLike]


@dataclass(frozen=True)
class Task:
    """A micrograph that is to be picked.

    Attributes
    ----------
    ref : MicrographRef
    files : Files
        Where its files go.
    preview : bool
        Whether it gets a picture.
    """

    ref: MicrographRef
    files: Files
    preview: bool


class PickOne:
    """Picks one micrograph: ``pick_one(task) -> outcome``.

    Parameters
    ----------
    settings : PickSettings
    fingerprint : Fingerprint
        Of the run; a worker with another version or model refuses to work.
    pixel_size : float or None
        Å per pixel where given as an option.
    ledger : Path
        Folder of the ledger.
    load : callable
        ``load(place) -> detector``, with the number of the worker on its machine.
    engine : Engine, optional
        Reader and picker; default those of cryomae.
    """

    def __init__(
        self,
        settings: PickSettings,
        fingerprint: Fingerprint,
        pixel_size: float | None,
        ledger: Path,
        load: Load,
        engine: Engine | None = None,
    ) -> None:
        self.settings, self.fingerprint, self.pixel_size = settings, fingerprint, pixel_size
        self.ledger, self.load, self.engine = ledger, load, engine
        self._detector: DetectorLike | None = None
        self._ready: Engine | None = None
        self._writer: LedgerWriter | None = None

    @classmethod
    def of(cls, job: Job, load: Load | None, engine: Engine | None) -> PickOne:
        """The work of a run.

        Parameters
        ----------
        job : Job
        load : callable or None
            None where only this process works: it has the job's detector already.
        engine : Engine or None
            What the run was given; workers that load their model otherwise make their own.
        """
        return cls(
            job.settings,
            job.fingerprint,
            job.pixel_size,
            job.layout.ledger.absolute(),
            load or (lambda place: job.detector),
            engine if load else job.engine,
        )

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what each process makes for itself."""
        return {**self.__dict__, "_detector": None, "_ready": None, "_writer": None}

    def open(self, place: int | None = None) -> None:
        """Load the model.

        Raises
        ------
        InputError
            If this process has another version of cryomae, or another model.
        """
        if self.fingerprint.version != __version__:
            raise InputError(
                f"a worker has cryomae {__version__}, and the run was started with "
                f"{self.fingerprint.version}",
                "use one environment for all of them",
            )
        self._detector = detector = self.load(place)
        if detector.sha256 != self.fingerprint.model_sha256:
            raise InputError(
                "the model of a worker is not the one that the run was started with",
                "give all machines the same file",
                self.settings.model,
            )
        self._ready = self.engine or default_engine(detector.shown)
        self._writer = LedgerWriter(self.ledger, str(detector.device))

    def __call__(self, task: Task) -> Outcome:
        """Pick a micrograph; what is wrong with it is part of the outcome.

        Raises
        ------
        OutputError
            If results cannot be written.
        """
        assert self._writer is not None
        name, begin = task.ref.name, time.perf_counter()
        self._writer.begin(name)
        try:
            outcome = self._try(task, begin)
        except BaseException:
            self._writer.stopped(name)
            raise
        if outcome.record is not None:
            self._writer.picked(name, outcome.record)  # last: it marks the micrograph as done
        else:
            seconds = time.perf_counter() - begin
            self._writer.failed(name, outcome.cause, outcome.remedy, seconds)
        return outcome

    def _try(self, task: Task, begin: float) -> Outcome:
        assert self._ready is not None
        ref, engine = task.ref, self._ready
        key = micrograph_key(self.fingerprint, ref)
        try:
            micrograph = engine.read(ref, self.pixel_size)
            if key and micrograph_key(self.fingerprint, ref) != key:
                remedy = "wait until it is written, then run it again"
                return failure(ref, "changed while it was read", remedy)
            picked = engine.pick(micrograph, self._detector, self.settings)
        except OutputError:
            raise
        except CryomaeError as error:
            return failure(ref, error.cause, error.remedy)
        except MemoryError:
            remedy = "close other programs or use a machine with more memory, then run it again"
            return failure(ref, "not enough memory for this micrograph", remedy)
        except OSError as error:
            remedy = "check that the file and its disk can be read"
            return failure(ref, f"cannot be read: {error.strerror or error}", remedy)
        except Exception as error:  # noqa: BLE001 - logged; one micrograph never stops the others
            remedy = "this looks like a fault of cryomae: please report it with the log of the run"
            cause = f"unexpected {type(error).__name__}: {error}"
            return replace(failure(ref, cause, remedy), details=traceback.format_exc())
        return self._save(task, key, micrograph, picked, begin)

    def _save(
        self, task: Task, key: str, micrograph: Micrograph, picked: PickedLike, begin: float
    ) -> Outcome:
        seconds = time.perf_counter() - begin
        files, found = task.files, picked.candidates
        star.write_picks(files.candidates, found, shape=micrograph.shape)
        if task.preview:
            save_thumbnail(files.thumbnail, picked.image, picked.valid)
        record = Record(
            key,
            micrograph.shape,
            micrograph.pixel_size,
            micrograph.pixel_size_source,
            picked.spacing,
            (picked.image.shape[0], picked.image.shape[1]),
            float(1 - picked.valid.mean()),
            round(seconds, 3),
            len(found),
            int(np.count_nonzero(found.score >= 0.5)),
            file_digest(files.candidates),
        )
        stages = ", ".join(f"{name} {value:.2f}" for name, value in picked.seconds.items())
        return success(task.ref, "picked", record, f"{seconds:.2f} s ({stages})")


def success(ref: MicrographRef, status: str, record: Record, details: str = "") -> Outcome:
    """Outcome of a micrograph that has candidates."""
    return Outcome(
        ref.name,
        "kept" if status == "kept" else "picked",
        candidates=record.candidates,
        masked=record.masked,
        seconds=record.seconds,
        pixel_size=record.pixel_size,
        pixel_size_source=record.pixel_size_source,
        record=record,
        details=details,
    )


def failure(ref: MicrographRef, cause: str, remedy: str) -> Outcome:
    """Outcome of a micrograph that has none."""
    return Outcome(ref.name, "failed", cause=cause, remedy=remedy)
