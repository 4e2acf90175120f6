"""What a run writes down so that it can be resumed and repeated."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from cryomae import __version__
from cryomae.atomic import write_text
from cryomae.batch.engine import DetectorLike
from cryomae.errors import InputError
from cryomae.micrograph import MicrographRef
from cryomae.settings import PickSettings

_WORDS = {
    "model_sha256": "the model",
    "diameter": "--diameter",
    "min_distance": "--min-distance",
    "pixel_size": "--pixel-size",
    "version": "cryomae's version",
}


@dataclass(frozen=True)
class Fingerprint:
    """What the candidates of a run depend on; the threshold is not among it.

    Attributes
    ----------
    model_sha256 : str
        Hash of the weights.
    diameter, min_distance : float
        Å.
    pixel_size : float or None
        Å per pixel where given as an option.
    version : str
        cryomae's version.
    """

    model_sha256: str
    diameter: float
    min_distance: float
    pixel_size: float | None
    version: str = __version__

    @classmethod
    def of(
        cls, detector: DetectorLike, settings: PickSettings, pixel_size: float | None
    ) -> Fingerprint:
        """Fingerprint of a run."""
        return cls(detector.sha256, settings.diameter, settings.least_distance, pixel_size)

    @property
    def digest(self) -> str:
        """Short form, to mark a micrograph with."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def check(self, config: Path) -> None:
        """Refuse to mix with an earlier run that was made otherwise.

        Parameters
        ----------
        config : Path
            ``config.yaml`` of the earlier run, if there was one.
        """
        found = read_config(config).get("fingerprint")
        before = found if isinstance(found, dict) else {}
        now = asdict(self)
        changes = [
            f"{words}: {_show(before[key])} before, {_show(now[key])} now"
            for key, words in _WORDS.items()
            if key in before and before[key] != now[key]
        ]
        if changes:
            raise InputError(
                "holds an earlier run with other settings (" + "; ".join(changes) + ")",
                "repeat those settings, choose another --output, or pass --overwrite to pick anew",
                config.parent,
            )


@dataclass(frozen=True)
class Record:
    """What is known about one micrograph that has been scored.

    Attributes
    ----------
    key : str
        What the candidates depend on; another key means that they are out of date.
    shape : tuple of int
        Rows and columns (ny, nx) of the micrograph.
    pixel_size, pixel_size_source
        Å per pixel and where the number came from.
    spacing : tuple of float
        Original pixels per working pixel, y and x.
    working_shape : tuple of int
        Rows and columns of the working image.
    masked : float
        Share of the area in which nothing is picked.
    seconds : float
        Time to read and score.
    candidates : int
        Candidates found.
    likely : int
        Those with a score of 0.5 or more.
    digest : str
        Of the file of candidates, which tells whether it is whole and belongs to this record.
    """

    key: str
    shape: tuple[int, int]
    pixel_size: float
    pixel_size_source: str
    spacing: tuple[float, float]
    working_shape: tuple[int, int]
    masked: float
    seconds: float
    candidates: int
    likely: int
    digest: str

    @property
    def file_time(self) -> float:
        """Date of the micrograph's file, in seconds since the epoch: about when it was taken."""
        return int(self.key.rpartition(" ")[2]) / 1e9

    @classmethod
    def of(cls, content: dict[str, Any]) -> Record:
        """Record of plain values, as JSON holds them; ValueError or TypeError if it is none."""
        pairs = {name: _pair(content[name]) for name in ("shape", "spacing", "working_shape")}
        return cls(**{**content, **pairs})


def file_digest(path: Path) -> str:
    """Short hash of a file; empty, which equals that of none, where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except OSError:
        return ""


def micrograph_key(fingerprint: Fingerprint, ref: MicrographRef) -> str:
    """Mark of a micrograph's candidates: settings, the list's pixel size, and the file's state.

    Empty when the file cannot be looked at, which equals no mark that was ever saved.
    """
    try:
        state = ref.path.stat()
    except OSError:
        return ""
    given = None if fingerprint.pixel_size is not None else ref.pixel_size
    return f"{fingerprint.digest} {given} {state.st_size} {state.st_mtime_ns}"


def write_config(path: Path, content: dict[str, Any]) -> None:
    """Write ``config.yaml``."""
    head = "# How these picks were made. A later run into this folder compares `fingerprint`.\n"
    write_text(path, head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def read_config(path: Path) -> dict[str, Any]:
    """Read the ``config.yaml`` of an earlier run; empty where there is none."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def _pair(values: Any) -> tuple[Any, Any]:
    first, second = values
    return first, second


def _show(value: object) -> str:
    if isinstance(value, str) and len(value) > 20:
        return value[:10] + "…"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
