"""The fitted part of the estimate: how likely each diameter is, given what was measured.

A small network of one hidden layer judges every diameter by what was measured at it, in
units of that diameter, so the same few weights serve all sizes; a softmax over all diameters,
and over "there are no particles", makes probabilities. ``scripts/fit_diameter.py`` fits it on
simulated micrographs and says how well it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from cryomae.diameter.measure import Measurement

_FILE = "weights.npz"
CLIP = 5.0
"""Standard deviations beyond which a measure says no more."""


@dataclass(frozen=True)
class Head:
    """Weights of several small networks, whose logits are averaged.

    Attributes
    ----------
    mean, spread : ndarray, shape (n_measures,)
        Of each measure over the simulated micrographs.
    hidden, hidden_bias : ndarray, shape (members, n_measures, width) and (members, width)
    out : ndarray, shape (members, width)
    nothing : ndarray, shape (members,)
        Logit that there are no particles.
    sharpness : float
        Factor on the logits that makes probabilities honest on sets kept apart.
    """

    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    hidden: NDArray[np.float64]
    hidden_bias: NDArray[np.float64]
    out: NDArray[np.float64]
    nothing: NDArray[np.float64]
    sharpness: float

    def probabilities(
        self, measurements: Sequence[Measurement]
    ) -> tuple[NDArray[np.float64], float]:
        """Probability of each diameter, and that there are no particles.

        Parameters
        ----------
        measurements : sequence of ndarray
            Of micrographs of one data set.

        Returns
        -------
        curve : ndarray, shape (n_diameters,)
            Adds up to 1; 0 where nothing could be measured.
        nothing : float
        """
        x = combine(measurements)
        usable = np.isfinite(x).all(axis=1)
        scaled = np.clip((x[usable] - self.mean) / self.spread, -CLIP, CLIP)
        inner = np.maximum(scaled @ self.hidden + self.hidden_bias[:, None], 0)
        logits = np.full(len(x), -np.inf)
        logits[usable] = (inner @ self.out[:, :, None])[..., 0].mean(axis=0)
        every = self.sharpness * np.append(logits, self.nothing.mean())
        share = np.exp(every - every.max())
        share /= share.sum()
        return share[:-1] / max(float(share[:-1].sum()), 1e-12), float(share[-1])


def combine(measurements: Sequence[Measurement]) -> NDArray[np.float64]:
    """Median over micrographs, so that a few bad ones do not count; NaN where there is none."""
    stack = np.asarray(measurements, dtype=np.float64)
    out = np.full(stack.shape[1:], np.nan)
    some = np.isfinite(stack).all(axis=2).any(axis=0)
    out[some] = np.nanmedian(stack[:, some], axis=0)
    return out


@cache
def load_head() -> Head:
    """Weights that come with the package."""
    with (
        files("cryomae.diameter").joinpath(_FILE).open("rb") as file,
        np.load(file, allow_pickle=False) as saved,
    ):
        return Head(
            **{name: saved[name].astype(np.float64) for name in saved.files if name != "sharpness"},
            sharpness=float(saved["sharpness"]),
        )
