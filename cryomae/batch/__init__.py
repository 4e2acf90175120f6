"""Picking many micrographs: resumable, one failure never stops the others."""

from cryomae.batch.engine import Engine
from cryomae.batch.result import Outcome, Progress, RunResult
from cryomae.batch.run import run_pick

__all__ = ["Engine", "Outcome", "Progress", "RunResult", "run_pick"]
