"""Proposals in a terminal: each crop drawn with half blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.color import Color
from rich.console import Group
from rich.style import Style
from rich.text import Text

from cryomae.active.crops import ACROSS
from cryomae.active.sitting import HELP
from cryomae.active.words import SAID

if TYPE_CHECKING:
    from cryomae.active.sitting import Sitting

_SHOWN = 2.0  # diameters across a picture: a terminal has few pixels
_RING = (255, 200, 60)
_LEAST = 20  # pixels of the side below which nothing can be judged
_PAPER = 0.12  # grey of what lies beyond the micrograph
_MARKS = {"confirm": ("●", "green"), "reject": ("×", "red"), "skip": ("–", "yellow")}


def picture(crop: NDArray[np.float32], side: int) -> Text:
    """Draw a crop with two pixels a character, the particle's circle dotted on it.

    Parameters
    ----------
    crop : ndarray, shape (n, n)
        See `cryomae.active.crops.View.crop`.
    side : int
        Pixels of the picture's side, an even number: so many columns, half as many rows.
    """
    grey = np.where(np.isnan(crop), _PAPER, crop)
    cut = round(len(grey) * (1 - _SHOWN / ACROSS) / 2)
    middle = Image.fromarray(grey[cut : len(grey) - cut, cut : len(grey) - cut].astype(np.float32))
    small = np.clip(np.asarray(middle.resize((side, side), Image.Resampling.BOX)), 0, 1)
    rgb = np.repeat((255 * small).astype(np.uint8)[..., None], 3, axis=2)
    centre, radius = (side - 1) / 2, side / _SHOWN / 2
    angle = np.linspace(0, 2 * np.pi, max(12, side // 3), endpoint=False) + 0.13
    row, column = (np.rint(centre + radius * f(angle)).astype(int) for f in (np.sin, np.cos))
    rgb[row, column] = _RING
    text = Text(no_wrap=True)
    for above, below in zip(rgb[::2], rgb[1::2], strict=True):
        for top, bottom in zip(above.tolist(), below.tolist(), strict=True):
            text.append("▀", Style(color=Color.from_rgb(*top), bgcolor=Color.from_rgb(*bottom)))
        text.append("\n")
    return text


def side_for(columns: int, lines: int, besides: int = 7) -> int:
    """Largest even side of a picture that a terminal of this size has room for, or 0.

    Parameters
    ----------
    columns, lines : int
        Of the terminal.
    besides : int
        Lines for the words round the picture.
    """
    side = min(columns - 1, 2 * (lines - besides), 120) // 2 * 2
    return side if side >= _LEAST else 0


def frame(
    sitting: Sitting,
    crop: NDArray[np.float32] | str,
    *,
    score: float,
    reason: str,
    micrograph: str,
    size: tuple[int, int],
) -> Group:
    """Everything that is shown for the current proposal.

    Parameters
    ----------
    sitting : Sitting
        Has a current proposal.
    crop : ndarray or str
        Or why there is none.
    score : float
        Chance that it is a particle.
    reason, micrograph : str
    size : tuple of int
        Columns and lines of the terminal.
    """
    proposal = sitting.current
    assert proposal is not None
    head = Text(no_wrap=True, overflow="ellipsis")
    head.append(f"{proposal.id}", "bold")
    head.append(f"   {reason}, score {score:.2f}")
    before = sitting.answer_of(proposal)
    if before:
        head.append(f"   {SAID.get(before, before)} before", "yellow")
    place = f"{micrograph}   x {proposal.x:.0f}, y {proposal.y:.0f}"
    name = Text(place if len(place) <= size[0] else "…" + place[1 - size[0] :], "bright_black",
                no_wrap=True)  # fmt: skip
    side = side_for(*size)
    shown: Text
    if isinstance(crop, str):
        shown = Text(f"\n{crop}\n", "red")
    elif not side:
        shown = Text("\nThe window is too small for the picture: make it larger.\n", "red")
    else:
        shown = picture(crop, side)
    return Group(head, name, shown, _marks(sitting, size[0]), Text(HELP, no_wrap=True,
                 overflow="ellipsis"), Text(sitting.message, "cyan"))  # fmt: skip


def _marks(sitting: Sitting, columns: int) -> Text:
    """A mark for each proposal, the current one in reverse; the last ones where there are many."""
    text = Text("", no_wrap=True)
    first = max(0, len(sitting.proposals) - (columns - 2) // 2)
    for i, proposal in enumerate(sitting.proposals[first:], first):
        mark, colour = _MARKS.get(sitting.answer_of(proposal), ("·", "white"))
        text.append(mark, f"{colour}{' reverse' if i == sitting.at else ''}")
        text.append(" ")
    return text
