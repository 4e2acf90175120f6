"""What stays the same during one run."""

from dataclasses import dataclass
from pathlib import Path

from cryomae.batch.diameter import SettledDiameter
from cryomae.batch.engine import DetectorLike, Engine
from cryomae.batch.layout import Layout
from cryomae.batch.record import Fingerprint
from cryomae.batch.result import Outcome
from cryomae.settings import PickSettings

PREVIEW_LIMIT = 200
"""Most micrographs that get a preview; of more, as many are taken evenly spread."""


@dataclass(frozen=True)
class Job:
    """Settings, model, places and wishes of one run (see ``run_pick``)."""

    settings: PickSettings
    detector: DetectorLike
    engine: Engine
    layout: Layout
    fingerprint: Fingerprint
    pixel_size: float | None
    overwrite: bool
    preview: bool
    command: tuple[str, ...]
    micrographs_star: Path | None
    settled: SettledDiameter | None = None
    workers: str = ""
    total: int = 0
    missing: tuple[Outcome, ...] = ()
    threshold_stays: bool = False

    @property
    def device(self) -> str:
        """Where it computes, in words."""
        return self.workers or str(self.detector.device)
