"""Hierarchical sampling: a cluster tree, pruned where labels agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage

from cryomae.sampler import checks
from cryomae.sampler.guards import Mask
from cryomae.sampler.pool import Need, PoolView
from cryomae.sampler.registry import register
from cryomae.sampler.select.clusters import kmeans
from cryomae.sampler.selection import Picked
from cryomae.sampler.strategy import BatchStrategy

Floats = NDArray[np.float64]

LEAVES = 2000
"""Leaves of the tree; more rows than that are first put together by k-means."""


@dataclass(frozen=True, eq=False)
class Tree:
    """A binary tree; nodes below m are leaves, the last is the root.

    Attributes
    ----------
    children : ndarray, intp, shape (m - 1, 2)
        Of node m + i.
    leaf : ndarray, intp, shape (n,)
        Leaf of each row.
    """

    children: NDArray[np.intp]
    leaf: NDArray[np.intp]

    @property
    def leaves(self) -> int:
        """Number of leaves, m."""
        return len(self.children) + 1

    def sums(self, rows: NDArray[np.intp], columns: NDArray[np.intp], width: int) -> Floats:
        """Number of the given rows below each node, for each column, shape (2m - 1, width)."""
        total = np.zeros((2 * self.leaves - 1, width))
        np.add.at(total, (self.leaf[rows], columns), 1)
        for i, (a, b) in enumerate(self.children):
            total[self.leaves + i] = total[a] + total[b]
        return total

    def below(self, node: int) -> NDArray[np.intp]:
        """Leaves below a node."""
        stack, found = [node], []
        while stack:
            this = stack.pop()
            if this < self.leaves:
                found.append(this)
            else:
                stack.extend(self.children[this - self.leaves])
        return np.array(found)


def ward_tree(x: NDArray[np.float64], rng: np.random.Generator) -> Tree:
    """Ward's tree over rows, shape (n, d)."""
    leaf = np.arange(len(x))
    if len(x) > LEAVES:
        cluster, centres = kmeans(x, LEAVES, rng)
        used, leaf = np.unique(cluster, return_inverse=True)
        x = centres[used]
    if len(x) == 1:
        return Tree(np.zeros((0, 2), dtype=np.intp), leaf)
    return Tree(linkage(x, "ward")[:, :2].astype(np.intp), leaf)


def bounds(counts: Floats) -> tuple[Floats, Floats]:
    """Lower and upper bounds of the class shares of each node, shapes (v, C).

    ``p ± (1/n + √(p(1-p)/n))``; from 0 to 1 where nothing is labelled.
    """
    n = counts.sum(axis=1, keepdims=True)
    p = counts / np.maximum(n, 1)
    wide = 1 / np.maximum(n, 1) + np.sqrt(p * (1 - p) / np.maximum(n, 1))
    wide[n[:, 0] == 0] = 1
    return np.maximum(p - wide, 0), np.minimum(p + wide, 1)


def node_errors(counts: Floats, beta: float) -> Floats:
    """Estimated error of giving each node one label, shape (v,); 1 where no label will do.

    A label will do if its error is surely below ``beta`` times that of any other.
    """
    low, high = bounds(counts)
    n = counts.sum(axis=1, keepdims=True)
    others = np.empty_like(high)
    for c in range(counts.shape[1]):
        rest = np.delete(1 - high, c, axis=1)
        others[:, c] = rest.min(axis=1) if rest.shape[1] else 1.0
    fits = (n > 0) & (1 - low < beta * others)
    return np.where(fits, 1 - counts / np.maximum(n, 1), 1.0).min(axis=1)


def best_pruning(tree: Tree, error: Floats, size: Floats) -> list[int]:
    """Nodes that cover all rows with the least error, as coarse as that allows.

    Parameters
    ----------
    tree : Tree
    error : ndarray, shape (2m - 1,)
        Of each node.
    size : ndarray, shape (2m - 1,)
        Rows below each node.
    """
    best = error.copy()
    split = np.zeros(len(error), dtype=np.bool_)
    for i, pair in enumerate(tree.children):
        node = tree.leaves + i
        apart = float(np.average(best[pair], weights=size[pair]))
        # More than rounding: a split that gains nothing would only scatter the samples.
        if apart < best[node] - 1e-12:
            best[node], split[node] = apart, True
    stack, pruning = [len(error) - 1], []
    while stack:
        node = stack.pop()
        if split[node]:
            stack.extend(int(child) for child in tree.children[node - tree.leaves])
        else:
            pruning.append(node)
    return sorted(pruning)


@register("hierarchical")
@dataclass(frozen=True)
class Hierarchical(BatchStrategy):
    """Sample where clusters are not known to be pure (Dasgupta and Hsu 2008).

    A Ward tree over pool and labels is cut into the clusters whose majority labels have the
    least estimated error; a cluster is drawn in proportion to its unlabelled rows times the
    share it may have of other classes, and a row in it at random. Scores are those upper
    bounds. Without labels the choice is random.

    Differences to the paper: the cut is made anew from the root with the labels at hand, not
    only ever refined, so that nothing need be kept between rounds; labels that other
    strategies bought count like random ones; the rows of a batch are drawn from one cut.
    Cost: O(n²) of n ≤ 2000 leaves, and k-means above that.

    Attributes
    ----------
    beta : float
        Above 1; larger gives labels to clusters earlier.
    """

    beta: float = 2.0

    needs: ClassVar[Need] = Need.EMBED
    deterministic: ClassVar[bool] = False

    def __post_init__(self) -> None:
        checks.above("beta", self.beta, 1)

    def pick(self, pool: PoolView, k: int, rng: np.random.Generator, mask: Mask) -> Picked:
        """Random rows of clusters that are drawn by their impurity."""
        assert pool.embed is not None
        known = pool.labelled_rows("embed")
        tree = ward_tree(np.concatenate([pool.embed, known]).astype(np.float64), rng)
        every = np.arange(len(pool) + len(known))
        size = tree.sums(every, np.zeros(len(every), dtype=np.intp), 1)[:, 0]
        y = np.zeros(0, dtype=np.intp)
        if pool.labelled is not None and len(pool.labelled):
            y = np.unique(pool.labelled.y, return_inverse=True)[1]
        # One more class that nothing has, so that a single class has another to be unsure of.
        counts = tree.sums(every[len(pool) :], y, int(y.max(initial=0)) + 2)
        pruning = best_pruning(tree, node_errors(counts, self.beta), size)
        impure = 1 - bounds(counts[pruning])[0].max(axis=1)
        cluster = np.empty(tree.leaves, dtype=np.intp)
        for number, node in enumerate(pruning):
            cluster[tree.below(node)] = number
        return _draw(cluster[tree.leaf[: len(pool)]], impure, k, rng, mask)


def _draw(
    cluster: NDArray[np.intp], impure: Floats, k: int, rng: np.random.Generator, mask: Mask
) -> Picked:
    """Draw rows by the impurity of their clusters, one after the other."""
    chosen: list[int] = []
    while len(chosen) < k and mask.allowed().any():
        free = np.flatnonzero(mask.allowed())
        # A row of a cluster drawn by rows × impurity is a row drawn by impurity.
        weight = np.maximum(impure[cluster[free]], 1e-12)
        row = int(rng.choice(free, p=weight / weight.sum()))
        mask.take(row)
        chosen.append(row)
    return Picked.of(chosen, impure[cluster[chosen]], "impure")
