"""Pixel masks of discs, the measure that papers on segmentation print."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LARGEST = 20_000  # pixels; no camera has more a side, and a stray coordinate must not fill memory
_FINEST = 40  # pixels of the grid in a diameter; finer ones change nothing but the time it takes


@dataclass(frozen=True)
class Overlap:
    """How two masks of one micrograph agree.

    Attributes
    ----------
    precision : float
        Share of the picked area that is true; NaN if nothing is picked.
    recall : float
        Share of the true area that is picked; NaN if there is none.
    dice : float
        Twice the common area over the sum of both; NaN if both are empty.
    """

    precision: float
    recall: float
    dice: float


def disc_mask(
    xy: NDArray[np.float64], diameter: float, shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Draw discs round points.

    Parameters
    ----------
    xy : ndarray, shape (n, 2)
        Centres, x and y in pixels.
    diameter : float
        Of the discs, in pixels.
    shape : tuple of int
        Rows and columns.

    Returns
    -------
    ndarray, bool, shape ``shape``
    """
    mask = np.zeros(shape, dtype=np.bool_)
    reach = int(np.ceil(diameter / 2))
    at = np.floor(xy + 0.5)[:, :, None] + np.arange(-reach, reach + 1)  # (n, 2, side)
    apart = (at - xy[:, :, None]) ** 2
    drawn = apart[:, 1, :, None] + apart[:, 0, None, :] < (diameter / 2) ** 2
    on = (at >= 0) & (at < np.array(shape[::-1])[:, None])
    point, row, column = np.nonzero(drawn & on[:, 1, :, None] & on[:, 0, None, :])
    mask[at[point, 1, row].astype(np.intp), at[point, 0, column].astype(np.intp)] = True
    return mask


def mask_overlap(
    picks_xy: NDArray[np.float64],
    truth_xy: NDArray[np.float64],
    diameter: float,
    shape: tuple[int, int] | None = None,
) -> Overlap:
    """Agreement of the discs round picks with those round true particles.

    Duplicates and particles inside a cluster are invisible to this measure.

    Parameters
    ----------
    picks_xy, truth_xy : ndarray, shape (n, 2) and (m, 2)
        x and y in pixels.
    diameter : float
        Of the discs, in pixels.
    shape : tuple of int, optional
        Rows and columns of the micrograph, which cuts the discs; without it they are cut
        at row and column 0 only.
    """
    if shape is None:
        ends = np.concatenate([picks_xy, truth_xy, np.zeros((1, 2))]).max(axis=0) + diameter
        width, height = np.minimum(np.ceil(ends), _LARGEST).astype(int)
        shape = (int(height), int(width))
    shrink = min(1.0, _FINEST / diameter)
    picks_xy, truth_xy, diameter = shrink * picks_xy, shrink * truth_xy, shrink * diameter
    shape = (int(np.ceil(shrink * shape[0])), int(np.ceil(shrink * shape[1])))
    picked = disc_mask(picks_xy, diameter, shape)
    true = disc_mask(truth_xy, diameter, shape)
    common, areas = int((picked & true).sum()), (int(picked.sum()), int(true.sum()))
    return Overlap(
        _ratio(common, areas[0]), _ratio(common, areas[1]), _ratio(2 * common, sum(areas))
    )


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
