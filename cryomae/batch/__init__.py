"""Picking many micrographs: resumable, one failure never stops the others."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryomae.batch.engine import Engine
    from cryomae.batch.result import Outcome, Progress, RunResult
    from cryomae.batch.run import run_pick

__all__ = ["Engine", "Outcome", "Progress", "RunResult", "run_pick"]


def __getattr__(name: str) -> Any:
    """Load what is asked for: a worker needs no charts."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from cryomae.batch import engine, result, run

    return getattr({"Engine": engine, "run_pick": run}.get(name, result), name)
