"""Fixed-size determinantal point process: informative, representative and diverse at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics.pairwise import euclidean_distances

from cryomae.sampler import checks
from cryomae.sampler.guards import Mask, only
from cryomae.sampler.pool import Need, PoolView
from cryomae.sampler.registry import register
from cryomae.sampler.scores.uncertainty import KINDS
from cryomae.sampler.select.distances import best_allowed, squared_to
from cryomae.sampler.select.kdpp_sampling import sample
from cryomae.sampler.selection import Picked
from cryomae.sampler.strategy import BatchStrategy, best_rows, fill

MOST = 2000
"""Candidates beyond which no matrix of all pairs is made."""

FLAT = 1e-12
"""Variance left at which a candidate adds nothing to what was taken."""


class Kernel:
    """``L_ij = q_i q_j exp(-|h_i - h_j|² / 2σ²)`` with σ² the median squared distance.

    Attributes
    ----------
    quality : ndarray, shape (M,)
        q, scaled to a maximum of 1, which does not change what is chosen.
    """

    def __init__(self, h: NDArray[Any], info: NDArray[np.float64], alpha: float) -> None:
        self._h = np.asarray(h, dtype=np.float64)
        some = self._h[:: -(-len(h) // MOST)]
        gaps = euclidean_distances(some, squared=True)
        middle = float(np.median(gaps[np.triu_indices(len(some), 1)])) if len(some) > 1 else 0.0
        self._width = 2 * middle if middle > 0 else 2.0
        # For more than MOST rows, density is measured against an even share of them.
        density = np.concatenate(
            [self._like(self._h[part], some).mean(axis=1) for part in checks.chunks(len(h), MOST)]
        )
        quality = np.maximum(info, 0) ** alpha * density ** (1 - alpha)
        self.quality = quality / quality.max() if quality.max() > 0 else quality

    def _like(self, a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.exp(-euclidean_distances(a, b, squared=True) / self._width)

    def row(self, index: int) -> NDArray[np.float64]:
        """One row of L, shape (M,)."""
        like = np.exp(-squared_to(self._h, self._h[index]) / self._width)
        return self.quality * self.quality[index] * like

    def matrix(self) -> NDArray[np.float64]:
        """L, shape (M, M)."""
        return np.outer(self.quality, self.quality) * self._like(self._h, self._h)


def greedy_map(
    kernel: Kernel, rows: NDArray[np.intp], k: int, mask: Mask
) -> tuple[list[int], list[float]]:
    """Rows that each raise the determinant of the kernel of the batch most.

    The incremental Cholesky method of Chen, Zhang and Zhou (2018), O(M·k²). Stops when no
    row adds more than `FLAT` to the volume.

    Parameters
    ----------
    kernel : Kernel
        Of M candidates.
    rows : ndarray, shape (M,)
        Their rows in the pool.
    k : int
    mask : Mask

    Returns
    -------
    rows : list of int
    gains : list of float
        Factor by which each multiplied the determinant.
    """
    left = kernel.quality**2
    factor = np.zeros((k, len(rows)))
    chosen: list[int] = []
    gains: list[float] = []
    for step in range(k):
        allowed = mask.allowed()[rows]
        best = best_allowed(left, allowed)
        if not allowed[best] or left[best] < FLAT:
            break
        mask.take(int(rows[best]))
        chosen.append(int(rows[best]))
        gains.append(float(left[best]))
        seen = factor[:step]
        factor[step] = (kernel.row(best) - seen[:, best] @ seen) / np.sqrt(left[best])
        left = np.maximum(left - factor[step] ** 2, 0)
    return chosen, gains


@register("kdpp")
@dataclass(frozen=True)
class Kdpp(BatchStrategy):
    """Batch of a fixed-size determinantal point process over several criteria.

    After Zhan, Li and Chan (2021), Multiple-criteria Based Active Learning with Fixed-size
    Determinantal Point Processes. The paper's kernel is not public: this one is ours. The
    probability of a batch is in proportion to ``det(L_S)``, with the L of `Kernel`, quality
    ``q = info^alpha * repr^(1 - alpha)``, info the uncertainty of the model (or, after
    `compose`, any score: a committee, for one) and repr the mean similarity to the other
    candidates that were kept. Only the ``prefilter * k`` most informative candidates are
    kept, at most 2,000 or ``k``. What the process cannot fill, because the rest adds no
    volume, is filled by information. Labels have no influence.
    Cost: O(M·k·(d + k)) for M kept candidates; sampling O(M³).

    Attributes
    ----------
    method : {'map', 'sample'}
        The most probable batch found greedily, or an exact random draw (with guards no
        longer exact, as they forbid batches). A draw considers at most 2,000 candidates.
    alpha : float
        Weight of information against representativeness, 0 to 1.
    prefilter : int
    kind : str
        Uncertainty that is the information, as in `Uncertainty`.
    """

    method: str = "map"
    alpha: float = 0.5
    prefilter: int = 20
    kind: str = "margin"

    needs: ClassVar[Need] = Need.PROBA | Need.EMBED
    deterministic: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checks.one_of("method", self.method, ("map", "sample"))
        checks.within("alpha", self.alpha, 0, 1)
        checks.whole("prefilter", self.prefilter)
        checks.one_of("kind", self.kind, KINDS)

    def pick(self, pool: PoolView, k: int, rng: np.random.Generator, mask: Mask) -> Picked:
        """A diverse batch of uncertain candidates."""
        assert pool.proba is not None
        return self.take(pool, KINDS[self.kind](pool.proba), k, rng, mask)

    def take(
        self,
        pool: PoolView,
        score: NDArray[np.float64],
        k: int,
        rng: np.random.Generator,
        mask: Mask,
    ) -> Picked:
        """A diverse batch of candidates with high scores, which are taken to be 0 or more."""
        assert pool.embed is not None
        keep = min(self.prefilter * k, MOST)
        if self.method == "map":
            keep = max(keep, k)
        rows = best_rows(score, mask.allowed(), keep)
        kernel = Kernel(pool.embed[rows], score[rows], self.alpha)
        inner = only(mask, rows)
        if self.method == "map":
            found = greedy_map(kernel, rows, k, inner)
        else:
            found = sample(kernel.matrix(), rows, k, rng, inner)
        return fill(Picked.of(*found, "diverse"), score, k, mask)
