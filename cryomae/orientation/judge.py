"""Compare contrast at picks between all ways to read their coordinates."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from cryomae.errors import MicrographError
from cryomae.io import read_micrograph
from cryomae.micrograph import MicrographRef
from cryomae.orientation.contrast import Contrast, contrast, sizes_to_look_at
from cryomae.picks import Picks
from cryomae.transforms import SQUARES, Transform

_BINNING = (2.0, 3.0, 4.0, 8.0)
_MICROGRAPHS = 6  # those with most picks: a few hundred particles decide clearly
_INSIDE = 0.9  # of the picks have to lie in their micrographs
_FEWEST = 20  # places: fewer may lie on particles by chance
_SURE = 6.0  # standard errors; about a thousand maps are compared
_FAR = 0.5  # of the best contrast: what the coordinates as asked for must fall short of


class Verdict(StrEnum):
    """What contrast at the picks says."""

    RIGHT = "right"
    WRONG = "wrong"
    UNKNOWN = "unknown"
    """Picks too few, particles too faint, or two ways fit alike."""


@dataclass(frozen=True)
class Judgement:
    """How coordinates have to be read.

    Attributes
    ----------
    verdict : Verdict
        Of the coordinates as asked for.
    asked, best : Transform
        From coordinates as stored to pixels: as asked for, and with most contrast.
    contrast_asked, contrast_best : float
        Mean difference at the picks from what is around them, in standard deviations.
    micrographs : int
        Looked at.
    """

    verdict: Verdict
    asked: Transform
    best: Transform
    contrast_asked: float
    contrast_best: float
    micrographs: int

    @property
    def words(self) -> str:
        """The verdict in a sentence or two, with the remedy."""
        if self.verdict is Verdict.RIGHT:
            return f"Contrast at the picks agrees with the micrographs ({self.contrast_asked:.2f})."
        if self.verdict is Verdict.UNKNOWN:
            return "Contrast at the picks does not tell whether they are mirrored or turned."
        way = options(self.best)
        remedy = f"use {way} and no other of these options" if way else "leave them as they are"
        return (
            f"These coordinates do not fit the micrographs: contrast at the picks is "
            f"{self.contrast_asked:.2f}, and {self.contrast_best:.2f} where they would lie with "
            f"{way or 'no change'}. Nothing was changed by itself; look at a picture, and if "
            f"particles are missed, {remedy}."
        )


def options(change: Transform) -> str:
    """Give the options of ``cryomae convert`` that make a change, such as ``--scale 2 --flip-y``.

    Empty for coordinates that stay as they are.
    """
    words = [f"--scale {change.scale:.10g}"] if change.scale != 1 else []
    words += ["--transpose"] if change.swap else []
    words += ["--flip-x"] if change.mirror_x else []
    words += ["--flip-y"] if change.mirror_y else []
    return " ".join(words)


def check(
    picks: Picks,
    asked: Transform,
    refs: Mapping[str, MicrographRef],
    pixel_sizes: Mapping[str, float],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Judgement:
    """Judge coordinates by the contrast of the micrographs with most picks.

    Parameters
    ----------
    picks : Picks
        Coordinates as stored.
    asked : Transform
        How they are to be read.
    refs : mapping of str to MicrographRef
        Micrographs that are there, by name; one that cannot be read is passed over.
    pixel_sizes : mapping of str to float
        Å per pixel, where known.
    on_progress : callable
        Told micrographs done and in all.

    Returns
    -------
    Judgement
        ``UNKNOWN`` if there is no micrograph.
    """
    counts = picks.table["micrograph"].value_counts()
    chosen = [str(name) for name in counts.index if name in refs][:_MICROGRAPHS]
    tallies = {change: _Tally() for change in _all_changes(asked)}
    read = 0
    for number, name in enumerate(chosen, start=1):
        part = picks.table[picks.table["micrograph"] == name]
        diameter = float(part["diameter"].median())
        try:
            pixels = read_micrograph(refs[name], pixel_sizes.get(name, 1.0)).pixels
        except MicrographError:
            continue
        sizes = sizes_to_look_at(
            pixels.shape, pixel_sizes.get(name), diameter if diameter > 0 else None
        )
        maps = contrast(pixels, sizes)
        xy = part[["x", "y"]].to_numpy(np.float64)
        for change, tally in tallies.items():
            tally.add(change.apply(xy, np.array(pixels.shape[::-1], np.float64)), maps)
        read += 1
        on_progress(number, len(chosen))
    return _judge(asked, tallies, read)


def _all_changes(asked: Transform) -> list[Transform]:
    """All that are looked at: the one asked for, its turns and mirrors, then other scales."""
    factors = [1.0, *(f for b in _BINNING for f in (b, 1 / b))]
    kept: list[float] = []
    for scale in (asked.scale, *factors, *(asked.scale * f for f in factors)):
        if not any(math.isclose(scale, other) for other in kept):
            kept.append(scale)
    every = [Transform(scale, *turn) for scale in kept for turn in SQUARES]
    return [asked, *(change for change in every if change != asked)]


@dataclass
class _Tally:
    """Contrast at the picks under one change, by size and kind of contrast."""

    inside: int = 0
    total: int = 0
    sums: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    places: dict[int, int] = field(default_factory=dict)

    def add(self, xy: NDArray[np.float64], maps: list[Contrast]) -> None:
        for i, one in enumerate(maps):
            h, w, kinds = one.maps.shape
            columns, rows = np.rint(xy / one.spacing[::-1]).astype(int).T
            there = (columns >= 0) & (rows >= 0) & (columns < w) & (rows < h)
            rows, columns = rows[there], columns[there]
            if i == 0:
                self.inside += len(rows)
                self.total += len(xy)
            found = one.maps[rows, columns].sum(axis=0, dtype=np.float64)
            self.sums[i] = self.sums.get(i, np.zeros(kinds)) + found
            # Picks nearer than a particle see the same thing: they count once.
            cells = np.unique(np.column_stack([rows, columns]) // max(one.size, 1), axis=0)
            self.places[i] = self.places.get(i, 0) + len(cells)

    def means(self) -> dict[tuple[int, int], float]:
        """Mean contrast by size and kind; empty if picks lie outside or are too few."""
        if not self.total or self.inside < _INSIDE * self.total:
            return {}
        return {
            (i, kind): float(abs(value) / self.inside)
            for i, sums in self.sums.items()
            if self.places[i] >= _FEWEST
            for kind, value in enumerate(sums)
        }

    def best(self) -> tuple[float, tuple[int, int]]:
        """Most standard errors from nothing, and for which size and kind."""
        means = self.means()
        return max(
            ((mean * math.sqrt(self.places[key[0]]), key) for key, mean in means.items()),
            default=(0.0, (0, 0)),
        )


def _judge(asked: Transform, tallies: Mapping[Transform, _Tally], read: int) -> Judgement:
    found = {change: tally.best() for change, tally in tallies.items()}
    best = max(found, key=lambda change: found[change][0])
    errors, key = found[best]
    here = tallies[asked].means().get(key, 0.0)
    there = tallies[best].means().get(key, 0.0)
    if errors < _SURE:
        verdict = Verdict.UNKNOWN
    elif best == asked:
        verdict = Verdict.RIGHT
    else:
        verdict = Verdict.WRONG if here < _FAR * there else Verdict.UNKNOWN
    return Judgement(verdict, asked, best, here, there, read)
