"""What strategies and answers are called when people read of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryomae.active.journal import Entry
    from cryomae.active.records import SessionMicrograph

_REASONS = {
    "top": "likely a particle",
    "uncertain": "unsure",
    "random": "drawn at random",
    "disagreement": "models disagree",
    "variance": "would teach most",
    "diverse": "unlike the others",
    "representative": "stands for many",
    "dense": "unsure, and like many others",
    "near boundary": "nearly changes sides",
    "great loss": "likely judged wrong",
    "unlike labelled": "unlike what is answered",
    "unsure and unlike": "unsure, unlike what is answered",
    "score": "by score",
    "fill": "drawn at random",
}
SAID = {
    "confirm": "confirmed",
    "reject": "rejected",
    "skip": "skipped",
    "move": "moved",
    "add": "added",
    "exclude": "micrograph left out",
    "include": "micrograph taken in",
    "threshold": "threshold chosen",
}
"""What was done, by kind of entry."""


def reason_in_words(reason: str) -> str:
    """Why a place is proposed, for people."""
    return _REASONS.get(reason, reason)


def describe(entry: Entry, micrographs: Sequence[SessionMicrograph]) -> str:
    """One entry of the journal in a line."""
    what = SAID.get(entry.kind, entry.kind)
    which = f" proposal {entry.proposal}" if entry.proposal else ""
    if entry.kind == "threshold":
        which = " by the training" if entry.value is None else f": {entry.value:.2f}"
    where = "all micrographs" if entry.micrograph is None else micrographs[entry.micrograph].name
    place = "" if entry.x is None else f", x {entry.x:.0f}, y {entry.y:.0f}"
    return f"{what}{which} ({where}{place}) by {entry.annotator}"
