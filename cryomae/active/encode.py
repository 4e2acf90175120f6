"""Candidates of a session's micrographs, one micrograph at a time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from cryomae.active.files import checksum, stamp
from cryomae.active.records import SessionMicrograph
from cryomae.active.settings import SessionSettings
from cryomae.errors import CryomaeError, InputError
from cryomae.micrograph import MicrographRef

if TYPE_CHECKING:
    from cryomae.active.candidates import Candidates
    from cryomae.pick.pipeline import Detector

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EncodeProgress:
    """How far encoding is.

    Attributes
    ----------
    done, total : int
        Micrographs of this call.
    micrograph : SessionMicrograph or None
        The one just done; None at the start.
    seconds : float
        Time that it took.
    """

    done: int
    total: int
    micrograph: SessionMicrograph | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class EncodeResult:
    """What encoding did.

    Attributes
    ----------
    encoded, failed : tuple of SessionMicrograph
    """

    encoded: tuple[SessionMicrograph, ...]
    failed: tuple[SessionMicrograph, ...]


@dataclass(frozen=True, eq=False)
class Encoded:
    """What became of a micrograph, to be kept by `cryomae.active.session.Session.keep_encoded`.

    Attributes
    ----------
    micrograph : SessionMicrograph
        Its state is ``ready`` or ``failed``.
    candidates : Candidates or None
    """

    micrograph: SessionMicrograph
    candidates: Candidates | None


def encode_one(
    micrograph: SessionMicrograph, settings: SessionSettings, detector: Detector
) -> Encoded:
    """Read a micrograph and find its candidates.

    The same file gives the same candidates whenever, and in whatever order, it is encoded.
    What is wrong with the file is recorded and not raised.
    """
    from cryomae.active.candidates import find_candidates
    from cryomae.io import read_micrograph

    size, mtime = stamp(micrograph.path)
    ref = MicrographRef(micrograph.name, micrograph.path, micrograph.listed)
    rng = np.random.default_rng([settings.seed, micrograph.id])
    try:
        pixels = read_micrograph(ref, settings.pixel_size)
        found = find_candidates(pixels, detector, settings.diameter, rng)
        content = checksum(micrograph.path)
    except CryomaeError as error:
        remedy = f" ({error.remedy})" if error.remedy else ""
        return _failed(micrograph, error.cause + remedy)
    except MemoryError:
        return _failed(micrograph, "not enough memory for this micrograph")
    except OSError as error:
        return _failed(micrograph, f"cannot be read: {error.strerror or error}")
    except Exception as error:
        logger.exception("%s: unexpected error", micrograph.name)
        return _failed(micrograph, f"unexpected {type(error).__name__}: {error}")
    if stamp(micrograph.path) != (size, mtime):
        return _failed(micrograph, "changed while it was read (encode again when it is complete)")
    ready = replace(
        micrograph,
        state="ready",
        cause="",
        pixel_size=pixels.pixel_size,
        shape=pixels.shape,
        count=len(found),
        masked=found.masked,
        size=size,
        mtime_ns=mtime,
        checksum=content,
    )
    return Encoded(ready, found)


def encode_all(
    micrographs: Sequence[SessionMicrograph],
    settings: SessionSettings,
    detector: Detector | None,
    device: str,
    keep: Callable[[Encoded], SessionMicrograph],
    tell: Callable[[EncodeProgress], None],
) -> EncodeResult:
    """Encode one micrograph after the other, and keep each before the next is begun."""
    if not micrographs:
        return EncodeResult((), ())
    model = detector_of(settings, detector, device)
    done: list[SessionMicrograph] = []
    tell(EncodeProgress(0, len(micrographs)))
    for micrograph in micrographs:
        begin = time.perf_counter()
        done.append(keep(encode_one(micrograph, settings, model)))
        seconds = time.perf_counter() - begin
        tell(EncodeProgress(len(done), len(micrographs), done[-1], seconds))
    return EncodeResult(
        tuple(m for m in done if m.state == "ready"),
        tuple(m for m in done if m.state == "failed"),
    )


def detector_of(settings: SessionSettings, detector: Detector | None, device: str) -> Detector:
    """The session's model, loaded unless it is given.

    Raises
    ------
    InputError
        If it is another model than the session began with.
    WeightsError
        If it cannot be loaded.
    """
    if detector is None:
        from cryomae.pick.pipeline import load_detector

        detector = load_detector(settings.model, device)
    if detector.sha256 != settings.model_sha256:
        raise InputError(
            f"the model '{settings.model}' is not the one that the session began with "
            f"({detector.sha256[:10]}… instead of {settings.model_sha256[:10]}…)",
            "put that model file back, or begin a new session with this one",
        )
    return detector


def _failed(micrograph: SessionMicrograph, cause: str) -> Encoded:
    return Encoded(replace(micrograph, state="failed", cause=cause), None)
