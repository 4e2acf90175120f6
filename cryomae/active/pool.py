"""The pool of a session: places that may hold a particle, and what the model knows of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cryomae.sizes import LATENT

KINDS = ("peak", "grid", "background", "placed")
"""Where a candidate comes from: a peak of the score map; a thin grid between the peaks, so that
what the model misses can be asked for; a random place; a user's click."""


@dataclass(frozen=True, eq=False)
class Pool:
    """Candidates of many micrographs; row i of every array belongs to candidate i.

    Attributes
    ----------
    micrograph : ndarray, int32, shape (n,)
        Index of the micrograph, 0 to m - 1.
    xy : ndarray, float32, shape (n, 2)
        x, y in pixels of the file, as in `cryomae.picks.Picks`.
    kind : ndarray, uint8, shape (n,)
        Index into `KINDS`.
    logit : ndarray, float32, shape (n,)
        Of the model that the session started from.
    latents : ndarray, float16, shape (n, LATENT)
        What that model knows of the place; may be a memory map.
    pixel_size : ndarray, float64, shape (m,)
        Å per pixel of each micrograph.
    defocus : ndarray, float64, shape (m,)
        µm, NaN where it is not known.
    diameter : float
        Particle diameter in Å.
    """

    micrograph: NDArray[np.int32]
    xy: NDArray[np.float32]
    kind: NDArray[np.uint8]
    logit: NDArray[np.float32]
    latents: NDArray[np.float16]
    pixel_size: NDArray[np.float64]
    defocus: NDArray[np.float64]
    diameter: float

    def __post_init__(self) -> None:
        count = len(self.micrograph)
        shapes = {
            "xy": (count, 2), "kind": (count,), "logit": (count,), "latents": (count, LATENT),
        }  # fmt: skip
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must have the shape {shape}")

    def __len__(self) -> int:
        return len(self.micrograph)

    def angstrom(self) -> NDArray[np.float64]:
        """Positions in Å, shape (n, 2)."""
        return self.xy * self.pixel_size[self.micrograph][:, None]

    def take(self, rows: NDArray[np.intp] | Sequence[int]) -> Pool:
        """The pool of some rows, in that order."""
        return Pool(
            self.micrograph[rows],
            self.xy[rows],
            self.kind[rows],
            self.logit[rows],
            self.latents[rows],
            self.pixel_size,
            self.defocus,
            self.diameter,
        )
