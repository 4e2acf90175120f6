"""Picking: windows, scores, peaks and the automatic threshold."""

from cryomae.pick.pipeline import CANDIDATE_FLOOR, Detector, Picked, load_detector, pick
from cryomae.pick.threshold import Threshold, choose_threshold

__all__ = [
    "CANDIDATE_FLOOR",
    "Detector",
    "Picked",
    "Threshold",
    "choose_threshold",
    "load_detector",
    "pick",
]
