"""Picking: windows, scores, peaks and the automatic threshold."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryomae.pick.pipeline import Detector, Picked, load_detector, pick
    from cryomae.pick.threshold import CANDIDATE_FLOOR, Threshold, choose_threshold

__all__ = [
    "CANDIDATE_FLOOR",
    "Detector",
    "Picked",
    "Threshold",
    "choose_threshold",
    "load_detector",
    "pick",
]


def __getattr__(name: str) -> Any:
    """Load what is asked for: peaks and thresholds are of use without torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from cryomae.pick import threshold

    if hasattr(threshold, name):
        return getattr(threshold, name)
    from cryomae.pick import pipeline

    return getattr(pipeline, name)
