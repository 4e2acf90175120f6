"""Exact draws from a k-DPP (Kulesza and Taskar 2011)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cryomae.sampler.guards import Mask
from cryomae.sampler.select.chance import draw

SMALL = 1e-12
"""Eigenvalues below this share of the greatest are those of a singular kernel."""


def sample(
    kernel: NDArray[np.float64],
    rows: NDArray[np.intp],
    k: int,
    rng: np.random.Generator,
    mask: Mask,
) -> tuple[list[int], list[float]]:
    """Draw rows with a probability in proportion to the determinant of their kernel.

    Parameters
    ----------
    kernel : ndarray, shape (M, M)
        Positive semi-definite.
    rows : ndarray, shape (M,)
        Rows of the pool that the kernel is of.
    k : int
        No more than the rank of the kernel are drawn.
    rng : numpy.random.Generator
    mask : Mask
        Rows it forbids on the way are not drawn, which ends exactness.

    Returns
    -------
    rows : list of int
    probabilities : list of float
        Probability with which each was drawn, given those before it.
    """
    values, vectors = np.linalg.eigh(kernel)
    good = values > SMALL * max(float(values[-1]), 0.0)
    values, vectors = values[good], vectors[:, good]
    k = min(k, len(values))
    basis = vectors[:, _eigenvectors(values, k, rng)]
    left = np.einsum("ij,ij->i", basis, basis)
    factor = np.zeros((k, len(rows)))
    chosen: list[int] = []
    chance: list[float] = []
    for step in range(k):
        allowed = mask.allowed()[rows]
        weight = np.where(allowed, left, 0)
        if weight.sum() <= SMALL:
            break
        best = draw(weight, allowed, rng)
        mask.take(int(rows[best]))
        chosen.append(int(rows[best]))
        chance.append(float(weight[best] / weight.sum()))
        seen = factor[:step]
        factor[step] = (basis @ basis[best] - seen[:, best] @ seen) / np.sqrt(left[best])
        left = np.maximum(left - factor[step] ** 2, 0)
        left[best] = 0
    return chosen, chance


def _eigenvectors(values: NDArray[np.float64], k: int, rng: np.random.Generator) -> list[int]:
    """Which ``k`` eigenvectors span the process, drawn by elementary symmetric polynomials."""
    logs = np.log(values)
    # table[n, l] is the logarithm of the l-th polynomial of the first n eigenvalues: with
    # k in the hundreds the polynomials themselves overflow.
    table = np.full((len(values) + 1, k + 1), -np.inf)
    table[:, 0] = 0
    for n, log in enumerate(logs, start=1):
        table[n, 1:] = np.logaddexp(table[n - 1, 1:], log + table[n - 1, :-1])
    chosen: list[int] = []
    for n in range(len(values), 0, -1):
        left = k - len(chosen)
        if not left:
            break
        if -rng.exponential() < logs[n - 1] + table[n - 1, left - 1] - table[n, left]:
            chosen.append(n - 1)
    return chosen
