"""The diameter of a run whose user asked for ``--diameter auto``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cryomae.batch.record import read_config
from cryomae.diameter import DiameterEstimate, Measurement, estimate_from, measure
from cryomae.errors import CryomaeError, InputError
from cryomae.io import read_micrograph
from cryomae.micrograph import Micrograph, MicrographRef

MICROGRAPHS = 10
"""Micrographs, evenly spread over the list, that an estimate is made from."""

_TRIES = 2 * MICROGRAPHS  # some cannot be read

Reader = Callable[[MicrographRef, float | None], Micrograph]


@dataclass(frozen=True)
class SettledDiameter:
    """The diameter that a run goes on with.

    Attributes
    ----------
    diameter : float
        Å.
    estimate : DiameterEstimate or None
        How it was found; None where an earlier run in the folder was given it.
    kept : bool
        Whether it is that of an earlier run in the folder.
    """

    diameter: float
    estimate: DiameterEstimate | None
    kept: bool = False

    @property
    def sentence(self) -> str:
        """One line for people."""
        if self.estimate is None:
            return f"Diameter {self.diameter:g} Å, as in the earlier run in this folder"
        found = self.estimate
        many = f"{found.micrographs} micrograph{'s' if found.micrographs != 1 else ''}"
        earlier = " in an earlier run" if self.kept else ""
        return (
            f"Diameter {self.diameter:g} Å ({found.low:.0f} to {found.high:.0f} Å, confidence "
            f"{found.confidence:.2f}), estimated from {many}{earlier}; override with --diameter"
        )

    @property
    def warning(self) -> str:
        """What to do about a doubtful estimate; empty where it is a good one."""
        if self.estimate is None or not self.estimate.doubtful:
            return ""
        return (
            "The diameter is uncertain: look at the previews, and if circles and particles differ "
            "in size, run it again with --diameter in Å and --overwrite."
        )


def settle_diameter(
    refs: Sequence[MicrographRef],
    output_dir: str | Path,
    *,
    pixel_size: float | None = None,
    overwrite: bool = False,
    read: Reader = read_micrograph,
    on_progress: Callable[[int, int], None] | None = None,
) -> SettledDiameter:
    """Diameter of an earlier run in the folder, else an estimate from some micrographs.

    A run that goes on must go on with the same diameter, also when micrographs have been
    added to its list meanwhile, which another estimate would depend on.

    Parameters
    ----------
    refs : sequence of MicrographRef
        Micrographs of the run.
    output_dir : str or Path
        Its folder; nothing is written.
    pixel_size : float, optional
        Å per pixel, overriding list and header.
    overwrite : bool
        Whether an earlier run is to be ignored.
    read : callable
        ``read(ref, pixel_size) -> Micrograph``.
    on_progress : callable, optional
        ``on_progress(done, total)`` in micrographs.

    Raises
    ------
    InputError
        If no micrograph can be used, or none of them shows particles.
    """
    earlier = None if overwrite else _earlier(Path(output_dir) / "config.yaml")
    if earlier is not None:
        return earlier
    tell = on_progress or (lambda done, total: None)
    total = min(MICROGRAPHS, len(refs))
    measured: list[Measurement] = []
    trouble: CryomaeError | None = None
    for ref in _spread(refs)[:_TRIES]:
        tell(len(measured), total)
        try:
            micrograph = read(ref, pixel_size)
            measured.append(measure(micrograph.pixels, micrograph.pixel_size))
        except (CryomaeError, OSError) as error:  # the run itself will report it
            if trouble is None and isinstance(error, CryomaeError):
                trouble = error
        if len(measured) == total:
            break
    tell(total, total)
    if not measured:
        why = f": {trouble.cause}" if trouble is not None else ""
        raise InputError(
            f"the diameter cannot be estimated, because no micrograph could be used{why}",
            (trouble.remedy if trouble is not None else "") or "give --diameter in Å",
            trouble.path if trouble is not None else None,
        )
    found = estimate_from(measured)
    # A whole number can be typed; whoever gives it with --diameter repeats the run.
    return SettledDiameter(float(round(found.diameter)), found)


def describe(found: DiameterEstimate) -> dict[str, Any]:
    """Estimate as plain values, for ``config.yaml``."""
    return {
        "diameter": round(found.diameter, 2),
        "low": round(found.low, 2),
        "high": round(found.high, 2),
        "confidence": round(found.confidence, 4),
        "explanation": found.explanation,
        "micrographs": found.micrographs,
        "curve": {
            "diameter": [round(float(x), 2) for x in found.diameters],
            "probability": [round(float(y), 5) for y in found.curve],
        },
    }


def _earlier(config: Path) -> SettledDiameter | None:
    content = read_config(config)
    settings = content.get("settings")
    diameter = settings.get("diameter") if isinstance(settings, dict) else None
    if not isinstance(diameter, int | float) or not diameter > 0:
        return None
    try:
        saved = dict(content["diameter_estimate"])
        curve = saved.pop("curve")
        estimate = DiameterEstimate(
            **saved,
            diameters=np.array(curve["diameter"], dtype=np.float64),
            curve=np.array(curve["probability"], dtype=np.float64),
        )
        estimate = replace(estimate, confidence=float(estimate.confidence))
    except (KeyError, TypeError, ValueError):
        estimate = None
    return SettledDiameter(float(diameter), estimate, kept=True)


def _spread(refs: Sequence[MicrographRef]) -> list[MicrographRef]:
    """All micrographs, first some evenly spread over the list, then those between them."""
    first = np.unique(np.linspace(0, len(refs) - 1, min(MICROGRAPHS, len(refs))).round())
    chosen = [int(i) for i in first]
    rest = sorted(set(range(len(refs))) - set(chosen))
    step = max(1, len(rest) // MICROGRAPHS)
    return [refs[i] for i in chosen + rest[::step]]
