"""BADGE: k-means++ on gradient embeddings that are never written out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cryomae.sampler.guards import Mask
from cryomae.sampler.pool import Need, PoolView
from cryomae.sampler.registry import register
from cryomae.sampler.select.chance import draw
from cryomae.sampler.select.distances import best_allowed
from cryomae.sampler.selection import Picked
from cryomae.sampler.strategy import BatchStrategy


@dataclass(frozen=True)
class Gradients:
    """Last-layer gradients ``g = u ⊗ h`` of the cross-entropy, kept as their two factors.

    Attributes
    ----------
    u : ndarray, shape (N, C)
        Probabilities less 1 for the most probable class.
    h : ndarray, shape (N, d)
        Descriptors.
    norm : ndarray, shape (N,)
        Squared lengths of g.
    """

    u: NDArray[Any]
    h: NDArray[Any]
    norm: NDArray[np.float64]

    @classmethod
    def of(cls, proba: NDArray[Any], embed: NDArray[Any]) -> Gradients:
        """Gradients for the label that the model itself would give."""
        u = np.array(proba)
        u[np.arange(len(u)), u.argmax(axis=1)] -= 1
        lengths = [np.einsum("ij,ij->i", part, part) for part in (u, embed)]
        return cls(u, embed, lengths[0].astype(np.float64) * lengths[1])

    def squared_to(self, row: int) -> NDArray[np.float64]:
        """Squared distances to one row's gradient, shape (N,), exactly 0 for that row."""
        inner = (self.u @ self.u[row]).astype(np.float64) * (self.h @ self.h[row])
        gap = np.maximum(self.norm + self.norm[row] - 2 * inner, 0)
        gap[row] = 0
        return gap


@register("badge")
@dataclass(frozen=True)
class Badge(BatchStrategy):
    """Diverse and uncertain at once (Ash et al. 2020).

    The longest gradient first; then each with a probability in proportion to its squared
    distance to the nearest gradient taken so far, which is the score. If all distances are 0
    (a model that is certain of everything), the draw is uniform. Labels have no influence.
    Cost: O(N·k·(C + d)) time and O(N·C) memory instead of O(N·C·d), by
    ``|g_i - g_j|² = |g_i|² + |g_j|² - 2⟨u_i, u_j⟩⟨h_i, h_j⟩``.
    """

    needs: ClassVar[Need] = Need.PROBA | Need.EMBED
    deterministic: ClassVar[bool] = False

    def pick(self, pool: PoolView, k: int, rng: np.random.Generator, mask: Mask) -> Picked:
        """Rows drawn as k-means++ draws its centres."""
        assert pool.proba is not None
        assert pool.embed is not None
        gradients = Gradients.of(pool.proba, pool.embed)
        row = best_allowed(gradients.norm, mask.allowed())
        chosen, worth = [row], [float(gradients.norm[row])]
        mask.take(row)
        gap = gradients.squared_to(row)
        while len(chosen) < k and mask.allowed().any():
            row = draw(np.where(mask.allowed(), gap, 0), mask.allowed(), rng)
            mask.take(row)
            chosen.append(row)
            worth.append(float(gap[row]))
            np.minimum(gap, gradients.squared_to(row), out=gap)
        return Picked.of(chosen, worth, "diverse")
