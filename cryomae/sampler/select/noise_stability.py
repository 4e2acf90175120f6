"""Noise stability: how the output moves when the parameters do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cryomae.sampler import checks
from cryomae.sampler.errors import SamplerError
from cryomae.sampler.guards import Mask
from cryomae.sampler.pool import Need, Perturb, PoolView
from cryomae.sampler.registry import register
from cryomae.sampler.scores.uncertainty import TINY
from cryomae.sampler.select.kcenter import farthest_first
from cryomae.sampler.selection import Picked
from cryomae.sampler.strategy import BatchStrategy


def deviations(perturb: Perturb, seeds: NDArray[np.int64], scale: float) -> NDArray[np.float32]:
    """Relative change of the output under each noise, in units of ``scale``.

    ``z_i = [δ_i(1) … δ_i(K)] / (scale · |f(x_i)|)``, shape (N, K·C).

    Raises
    ------
    SamplerError
        If the model gives NaN or infinite values.
    """
    base = _output(perturb(0, 0.0))
    size = np.maximum(np.linalg.norm(base, axis=1), TINY) * scale
    classes = base.shape[1]
    z = np.empty((len(base), len(seeds) * classes), dtype=np.float32)
    for number, seed in enumerate(seeds):
        moved = _output(perturb(int(seed), scale)) - base
        z[:, number * classes : (number + 1) * classes] = moved / size[:, None]
    return z


@register("noise_stability")
@dataclass(frozen=True)
class NoiseStability(BatchStrategy):
    """Take what moves most, and differently, under noise on the parameters (Li et al. 2024).

    One training, ``1 + draws`` inferences: the noise of each draw has the length
    ``scale`` times that of all parameters together, as in the paper (its code scales each
    layer by itself); that is what ``PoolView.perturb`` has to do. The deviations of the
    output are the features of a greedy k-center that starts from "no deviation" and ignores
    what is labelled; the first has the largest deviation. Its expected size grows with the
    norm of the Jacobian of the output in the parameters. Scores are distances.

    As the paper's code does, deviations are divided by the size of the output.
    Cost: 1 + draws passes and O(N·k·draws·C).

    Attributes
    ----------
    draws : int
        The paper's K, of which it finds 10 enough.
    scale : float
        The paper's ζ.
    """

    draws: int = 10
    scale: float = 1e-3

    needs: ClassVar[Need] = Need.PERTURB
    deterministic: ClassVar[bool] = False

    def __post_init__(self) -> None:
        checks.whole("draws", self.draws)
        checks.above("scale", self.scale)

    def pick(self, pool: PoolView, k: int, rng: np.random.Generator, mask: Mask) -> Picked:
        """Rows of large and different deviations."""
        assert pool.perturb is not None
        seeds = rng.integers(2**31, size=self.draws)
        z = deviations(pool.perturb, seeds, self.scale)
        if len(z) != len(pool):
            raise SamplerError(f"perturb gave {len(z)} rows for {len(pool)} candidates")
        start = np.linalg.norm(z, axis=1).astype(np.float64)
        return Picked.of(*farthest_first(z, start, k, mask), "unstable")


def _output(values: NDArray[Any]) -> NDArray[np.float64]:
    """Output of the model as a matrix of finite numbers."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or not np.isfinite(array).all():
        raise SamplerError("perturb must give finite numbers of shape (N, C)")
    return array
