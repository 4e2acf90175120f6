"""Particles that a user placed, as rows of the pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryomae.active.journal import Entry
from cryomae.active.labels import SAME
from cryomae.active.pool import KINDS, Pool
from cryomae.active.records import SessionMicrograph
from cryomae.active.tables import Descriptors
from cryomae.sizes import LATENT


@dataclass(frozen=True, eq=False)
class PlacedRows:
    """Rows of placed particles.

    Attributes
    ----------
    values : dict
        ``xy`` (p, 2), ``kind`` (p,), ``logit`` (p,) and ``latents`` (p, LATENT).
    micrograph : ndarray, int32, shape (p,)
    described : ndarray of bool, shape (p,)
        False where the descriptor only stands in, until the place itself is described.
    """

    values: dict[str, NDArray[Any]]
    micrograph: NDArray[np.int32]
    described: NDArray[np.bool_]


NOTHING = PlacedRows(
    {
        "xy": np.zeros((0, 2), np.float32),
        "kind": np.zeros(0, np.uint8),
        "logit": np.zeros(0, np.float32),
        "latents": np.zeros((0, LATENT), np.float16),
    },
    np.zeros(0, np.int32),
    np.zeros(0, bool),
)
"""No placed particles."""


def placed_rows(
    placed: Sequence[Entry],
    candidates: Pool,
    micrographs: Sequence[SessionMicrograph],
    descriptors: Descriptors,
    diameter: float,
) -> PlacedRows:
    """Give placed particles a descriptor without running the network.

    It is the one stored for it, else that of the nearest candidate, which is as good within
    `SAME` diameters and only stands in where it lies farther away.

    Parameters
    ----------
    placed : sequence of Entry
    candidates : Pool
    micrographs : sequence of SessionMicrograph
    descriptors : dict
        What is stored, by entry.
    diameter : float
        Å.
    """
    count = len(placed)
    xy = np.array([p.xy for p in placed], np.float32).reshape(-1, 2)
    micrograph = np.array([p.micrograph for p in placed], np.int32)
    logit, latents = np.zeros(count, np.float32), np.zeros((count, LATENT), np.float16)
    described = np.zeros(count, bool)
    for i, entry in enumerate(placed):
        if entry.id in descriptors:
            logit[i], latents[i] = descriptors[entry.id]
            described[i] = True
            continue
        own = micrographs[micrograph[i]]
        if not own.count:
            continue
        there = candidates.xy[own.first : own.first + own.count]
        away = np.hypot(*(there - xy[i]).T)
        nearest = int(away.argmin())
        row = own.first + nearest
        logit[i], latents[i] = candidates.logit[row], candidates.latents[row]
        described[i] = away[nearest] * (own.pixel_size or np.inf) <= SAME * diameter
    kind = np.full(count, KINDS.index("placed"), np.uint8)
    values: dict[str, NDArray[Any]] = {"xy": xy, "kind": kind, "logit": logit, "latents": latents}
    return PlacedRows(values, micrograph, described)
