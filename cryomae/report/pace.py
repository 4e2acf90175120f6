"""How far a run is, how fast, and until when: in words for a page."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

State = Literal["picking", "writing", "watching", "finished", "stopped", "watched"]


@dataclass(frozen=True)
class Pace:
    """How a run goes, at one moment.

    Attributes
    ----------
    state : str
        ``"picking"``, or ``"writing"`` what follows from it; ``"watching"`` for more to come.
        Then ``"finished"``, ``"stopped"`` before all was picked, or ``"watched"`` to the end.
    began, now : float
        Seconds since the epoch.
    done, failed : int
        Micrographs so far, earlier runs into the same folder included.
    total : int
        All that are known of.
    scored : int
        Micrographs that this run dealt with itself.
    per_hour : float
        Micrographs dealt with in an hour: lately, or in the whole run when it has ended.
    latest : float or None
        When the latest of them was dealt with.
    again : float
        Seconds after which the page is written again, while it goes on.
    """

    state: State
    began: float
    now: float
    done: int
    failed: int
    total: int
    scored: int
    per_hour: float = 0.0
    latest: float | None = None
    again: float = 60.0

    @property
    def going_on(self) -> bool:
        """Whether the page will be written again."""
        return self.state in ("picking", "writing", "watching")

    @property
    def provisional(self) -> bool:
        """Whether picks may still change and are not written yet."""
        return self.state in ("picking", "writing")

    @property
    def dealt_with(self) -> int:
        """Micrographs that need nothing more."""
        return self.done + self.failed

    @property
    def waiting(self) -> int:
        """Micrographs that are still to be picked."""
        return max(0, self.total - self.dealt_with)

    @property
    def seconds_left(self) -> float | None:
        """Time until all is picked, as fast as lately; None if it cannot be said."""
        return 3600 * self.waiting / self.per_hour if self.waiting and self.per_hour else None

    @property
    def rhythm(self) -> str:
        """How often the page is written."""
        return "every minute" if self.again < 90 else f"every {span(self.again)}"

    @property
    def late(self) -> float:
        """Seconds without a new page after which something is wrong."""
        return 600 + 2 * self.again

    @property
    def title(self) -> str:
        """A few words, for the tab of a browser."""
        if self.state in ("picking", "watching") and self.waiting:
            return f"{self.percent} %, {self.dealt_with:,} of {self.total:,}"
        return {"writing": "writing", "watching": f"watching, {self.done:,} picked"}.get(
            self.state, ""
        )

    @property
    def percent(self) -> int:
        """Share that is done; 100 only when all is."""
        return 100 * self.dealt_with // self.total if self.total else 0

    @property
    def headline(self) -> str:
        """What is going on, in one sentence."""
        if self.state == "writing":
            return f"All {self.total:,} micrographs are scored; picks and pictures are written."
        if self.state == "watching" and not self.waiting:
            return "Watching: all that has arrived is picked."
        what = "Watching" if self.state == "watching" else "Picking"
        return f"{what}: {self.dealt_with:,} of {self.total:,} micrographs, {self.percent} %."

    @property
    def forecast(self) -> str:
        """How fast it goes and when it ends, as far as can be told."""
        words = []
        if self.per_hour:
            words.append(f"{self.per_hour:,.0f} an hour")
        if self.latest is not None and self.state == "watching":
            words.append(f"the latest at {clock(self.latest, self.now)}")
        left = self.seconds_left if self.state != "writing" else None
        if left is not None:
            end = clock(self.now + left, self.now)
            what = "caught up" if self.state == "watching" else "done"
            words.append(f"{what} at about {end}, in {span(left)}")
        text = "; ".join(words)
        return text[:1].upper() + text[1:] + "." if text else ""

    @property
    def closing(self) -> str:
        """When it ended and how long it took; of a run that has."""
        what = {"finished": "Finished", "stopped": "Stopped", "watched": "Watched until"}
        text = f"{what.get(self.state, 'Written')} {moment(self.now)}"
        if not self.scored:
            return f"{text}; nothing had to be scored."
        text += f", after {span(self.now - self.began)}: {self.scored:,} micrograph"
        text += "s" if self.scored != 1 else ""
        if self.state != "watched" and self.per_hour and self.scored > 1:
            text += f" scored, {self.per_hour:,.0f} an hour"
        return text + "."


def span(seconds: float) -> str:
    """Length of time in the two units that matter.

    Parameters
    ----------
    seconds : float
    """
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} days {hours % 24} h"


def moment(at: float) -> str:
    """Date and time of this machine's clock."""
    return time.strftime("%-d %B %Y, %H:%M %Z", time.localtime(at)).rstrip()


def clock(at: float, now: float) -> str:
    """Time of day; with the date if it is another day's."""
    there, here = time.localtime(at), time.localtime(now)
    return time.strftime("%H:%M" if there[:3] == here[:3] else "%H:%M on %-d %B", there)
