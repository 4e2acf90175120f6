"""A verdict on every pick, and on every true particle the score it was found at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cryomae.evaluate.matching import assign_picks
from cryomae.evaluate.truth import EDGE, Truth
from cryomae.names import stem
from cryomae.picks import Picks

RIGHT, DUPLICATE, BACKGROUND, IGNORED = "right", "duplicate", "background", "ignored"


@dataclass(frozen=True)
class Judged:
    """Picks and true particles after matching.

    Attributes
    ----------
    picks : DataFrame
        Picks of labelled micrographs, best first within each: ``micrograph`` (stem), ``x``,
        ``y``, ``score``, ``verdict``, and ``dx``, ``dy`` (pick minus particle in pixels,
        NaN unless right). The verdict is ``right``; ``ignored`` on a particle cut by the
        border; ``duplicate`` within reach of a particle that a better pick took; the kind
        of the contaminant it lies on; else ``background``.
    particles : DataFrame
        The truth's particles, with ``score``: that of the pick that took it, NaN if none.
    micrographs : tuple of str
        Stems of all labelled micrographs.
    left_out : DataFrame
        Picks of micrographs that are not labelled, as given.
    """

    picks: pd.DataFrame
    particles: pd.DataFrame
    micrographs: tuple[str, ...]
    left_out: pd.DataFrame


def judge(picks: Picks, truth: Truth, radius: float) -> Judged:
    """Match picks with true particles and say what each wrong one is.

    Parameters
    ----------
    picks : Picks
        All candidates; micrographs are matched with the truth's by the stem of their name.
    truth : Truth
        What there is to find.
    radius : float
        Largest distance of a pick from its particle, in pixels.
    """
    table = picks.table[["micrograph", "x", "y", "score"]]
    stems = table["micrograph"].map(stem)
    known = stems.isin(set(truth.micrographs)).to_numpy(dtype=bool)
    particles = truth.particles.assign(score=np.nan)
    rows_of = particles.groupby("micrograph", sort=False).indices
    regions_of = dict(iter(truth.regions.groupby("micrograph", sort=False)))
    taken_at = np.full(len(particles), np.nan)
    where = truth.particles[["x", "y"]].to_numpy(dtype=np.float64)
    parts = []
    # By first appearance and best first: equal scores of a data set keep this order.
    for name, part in _groups(table[known].assign(micrograph=stems[known])):
        part = part.iloc[np.argsort(-part["score"].to_numpy(), kind="stable")]
        xy = part[["x", "y"]].to_numpy(dtype=np.float64)
        score = part["score"].to_numpy(dtype=np.float64)
        rows = rows_of.get(name, np.zeros(0, dtype=np.intp))
        taken = assign_picks(xy, score, where[rows], radius)
        right = taken >= 0
        step = np.full((len(xy), 2), np.nan)
        step[right] = xy[right] - where[rows][taken[right]]
        taken_at[rows[taken[right]]] = score[right]
        verdict = np.where(right, RIGHT, _why_wrong(xy, where[rows], regions_of.get(name), radius))
        parts.append(part.assign(verdict=verdict, dx=step[:, 0], dy=step[:, 1]))
    empty = table[:0].assign(verdict=pd.Series(dtype=object), dx=0.0, dy=0.0)
    return Judged(
        pd.concat(parts, ignore_index=True) if parts else empty,
        particles.assign(score=taken_at),
        truth.micrographs,
        table[~known],
    )


def _groups(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for name, part in table.groupby("micrograph", sort=False):
        yield str(name), part


def _why_wrong(
    xy: NDArray[np.float64],
    truth_xy: NDArray[np.float64],
    regions: pd.DataFrame | None,
    radius: float,
) -> NDArray[np.object_]:
    """Verdict of each pick if it is wrong, shape (n,)."""
    verdict = np.full(len(xy), BACKGROUND, dtype=object)
    cut = np.zeros(len(xy), dtype=bool)
    if regions is not None:
        edge = regions["kind"] == EDGE
        lying_on = kinds_at(xy, regions[~edge])
        verdict = np.where(lying_on == "", verdict, lying_on)
        cut = kinds_at(xy, regions[edge]) != ""
    if len(truth_xy):
        verdict[cKDTree(truth_xy).query(xy)[0] <= radius] = DUPLICATE
    verdict[cut] = IGNORED
    return verdict


def kinds_at(xy: NDArray[np.float64], regions: pd.DataFrame) -> NDArray[np.object_]:
    """Kind of the region that each point lies on.

    Parameters
    ----------
    xy : ndarray, shape (n, 2)
        Points in pixels.
    regions : DataFrame
        Regions of one micrograph, as in `Truth`.

    Returns
    -------
    ndarray of str, shape (n,)
        The kind; of several regions the smallest, since it says most; "" outside all.
    """
    kinds = np.full(len(xy), "", dtype=object)
    ordered = regions.sort_values(["outside", "radius"], ascending=False)
    circles = ordered[["x", "y", "radius"]].to_numpy(dtype=np.float64)
    for (x, y, radius), kind, outside in zip(
        circles, ordered["kind"], ordered["outside"], strict=True
    ):
        inside = np.hypot(xy[:, 0] - x, xy[:, 1] - y) <= radius
        kinds[inside != bool(outside)] = str(kind)
    return kinds
