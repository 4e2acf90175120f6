"""What is drawn on a micrograph: arrays for one Points layer."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from cryomae.napari.state import Display, Found, Standing

YES = (0.20, 0.90, 0.55, 1.0)
NO = (1.0, 0.35, 0.30, 1.0)
ASKED = (1.0, 0.85, 0.20, 1.0)
PLAIN = (1.0, 0.62, 0.25, 1.0)
RULER = (0.35, 0.80, 1.0, 1.0)
"""Confirmed, rejected, asked now, picked, and the circle that measures."""

_FAINT = 0.28  # opacity of what does not reach the threshold
_THIN, _THICK = 0.04, 0.06
_ROOMY = 1.3  # the circle that is asked is larger than the others, so that both are seen


@dataclass(frozen=True, eq=False)
class Marks:
    """Circles.

    Attributes
    ----------
    yx : ndarray, shape (n, 2)
        Pixels of the file.
    colour : ndarray, shape (n, 4)
    width : ndarray, shape (n,)
        Of the line, relative to the circle.
    size : ndarray, shape (n,)
        Diameter relative to that of the particle.
    id : ndarray of int, shape (n,)
        What to name in an answer; 0-based candidates or negative placed particles.
    score : ndarray, shape (n,)
        NaN where there is none.
    state : ndarray of str, shape (n,)
        ``picked``, ``confirmed``, ``rejected``, ``below`` the threshold, or ``asked``.
    """

    yx: NDArray[np.float32]
    colour: NDArray[np.float32]
    width: NDArray[np.float32]
    size: NDArray[np.float32]
    id: NDArray[np.int64]
    score: NDArray[np.float64]
    state: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.yx)

    def scaled(self, factor: float) -> Marks:
        """The same with other sizes."""
        return replace(self, size=self.size * np.float32(factor))

    def inside(self, region: tuple[float, float, float, float]) -> Marks:
        """Those whose centres lie in a region, given as least y and x and greatest."""
        top, left, bottom, right = region
        y, x = self.yx.T
        there = (y >= top) & (y <= bottom) & (x >= left) & (x <= right)
        return Marks(*(getattr(self, f.name)[there] for f in fields(Marks)))

    def same_as(self, other: Marks) -> bool:
        """Whether they look the same."""
        looks = ("yx", "colour", "width", "size")
        return all(np.array_equal(getattr(self, n), getattr(other, n)) for n in looks)


def compose(
    standing: Standing, found: Found, micrograph: int, display: Display, *, asking: bool
) -> Marks:
    """What to draw on a micrograph.

    Parameters
    ----------
    standing : Standing
    found : Found
        Of this micrograph.
    micrograph : int
    display : Display
    asking : bool
        Whether the current proposal and what was rejected are shown.
    """
    answers = {i: e for i, e in standing.answers.items() if e.micrograph == micrograph}
    least = standing.threshold_of(micrograph)
    # What was answered since the picks were put together is drawn by its answer alone.
    mine = np.array([i >= 0 and i not in answers for i in found.id.tolist()], bool)
    picked = found.score >= least
    if display.hide:
        mine &= picked
    colour = _colours(found.score[mine], least, display)
    colour[~picked[mine], 3] = _FAINT
    parts = [
        (
            found.xy[mine],
            colour,
            _THIN,
            found.id[mine],
            found.score[mine],
            np.where(picked[mine], "picked", "below"),
        )
    ]
    sure = [(-e.id, e.xy) for e in standing.placed if e.micrograph == micrograph]
    sure += [(i, e.xy) for i, e in answers.items() if e.kind == "confirm" and i >= 0]
    refused = [(i, e.xy) for i, e in answers.items() if e.kind == "reject"] if asking else []
    current = standing.current
    asked = []
    if asking and current is not None and current.micrograph == micrograph:
        asked = [(current.candidate, (current.x, current.y))]
    for places, shade, width, word in (
        (sure, YES, 1.4 * _THIN, "confirmed"),
        (refused, NO, _THIN, "rejected"),
        (asked, ASKED, _THICK, "asked"),
    ):
        n = len(places)
        parts.append(
            (
                np.array([xy for _, xy in places], np.float32).reshape(-1, 2),
                np.tile(np.array(shade, np.float32), (n, 1)),
                width,
                np.array([i for i, _ in places], np.int64),
                np.full(n, np.nan),
                np.full(n, word),
            )
        )
    counts = [len(p[0]) for p in parts]
    scale = np.repeat([1.0, 1.0, 1.0, _ROOMY], counts)
    return Marks(
        np.concatenate([p[0] for p in parts])[:, ::-1].astype(np.float32),
        np.concatenate([p[1] for p in parts]).astype(np.float32),
        np.repeat([p[2] for p in parts], counts).astype(np.float32),
        scale.astype(np.float32),
        np.concatenate([p[3] for p in parts]),
        np.concatenate([p[4] for p in parts]),
        np.concatenate([p[5] for p in parts]),
    )


def nearest(marks: Marks, yx: tuple[float, float], within: float) -> int | None:
    """Index of the mark whose centre is nearest to a place, if it is near enough."""
    there = np.isin(marks.state, ("picked", "confirmed", "below", "asked"))
    if not there.any():
        return None
    away = np.hypot(*(marks.yx - np.array(yx, np.float32)).T)
    away[~there] = np.inf
    best = int(away.argmin())
    return best if away[best] <= within else None


def _colours(score: NDArray[np.float64], least: float, display: Display) -> NDArray[np.float32]:
    if not display.by_score:
        return np.tile(np.array(PLAIN, np.float32), (len(score), 1))
    top = np.clip((score - least) / max(1 - least, 1e-6), 0, 1)
    # From the second quarter on: the darkest colours are lost on a dark micrograph.
    shades: NDArray[np.float32] = colormaps["plasma"](0.3 + 0.7 * top).astype(np.float32)
    return shades


def in_angstrom(
    marks: Marks | None, diameter: float | None, ruler: tuple[float, float, float] | None
) -> Marks | None:
    """Marks with their sizes in Å, and the circle that measures among them.

    Parameters
    ----------
    marks : Marks or None
    diameter : float or None
        Of the particle, Å.
    ruler : tuple of float, or None
        y, x and diameter in Å.
    """
    sized = None if marks is None else marks.scaled(diameter or 0)
    if ruler is None:
        return sized
    y, x, across = ruler
    own = Marks(
        np.array([[y, x]], np.float32),
        np.array([RULER], np.float32),
        np.array([_THICK], np.float32),
        np.array([across], np.float32),
        np.zeros(1, np.int64),
        np.full(1, np.nan),
        np.array(["ruler"]),
    )
    if sized is None:
        return own
    return Marks(
        *(np.concatenate([getattr(sized, f.name), getattr(own, f.name)]) for f in fields(Marks))
    )
