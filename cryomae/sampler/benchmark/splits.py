"""Which rows are labelled at first, which may be asked for, and which test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cryomae.sampler.benchmark.datasets import Dataset, DatasetError

PER_CLASS = 2
"""Labels that every class has at the start, as in the IJCAI-2021 survey."""


@dataclass(frozen=True)
class Split:
    """A data set shared out for one run.

    Attributes
    ----------
    train : ndarray, int64, shape (n,)
        Rows of the data set that are or may be labelled, shuffled. A candidate's id is its
        place in here, so that ties, which go to the lower id, do not follow the file's order.
    initial : ndarray, int64, shape (m,)
        Ids labelled at the start.
    test : ndarray, int64, shape (t,)
        Rows of the data set that test the model.
    """

    train: NDArray[np.int64]
    initial: NDArray[np.int64]
    test: NDArray[np.int64]


def survey_split(
    dataset: Dataset, seed: int, *, test_share: float = 0.4, initial: int = 20
) -> Split:
    """Draw the split of the IJCAI-2021 survey [1]_: 40 % test, 20 labels at the start.

    Each class is labelled at least twice, by taking its first rows after shuffling; with
    more than ten classes there are more than 20 labels for it. The survey draws until that
    holds; taking them has the same result where classes are common and ends where they are
    not.

    Parameters
    ----------
    dataset : Dataset
        Its own test rows are kept where it has some.
    seed : int
        The same seed gives the same split, whatever the strategy.
    test_share : float
        Of all rows.
    initial : int
        Labels at the start.

    Raises
    ------
    DatasetError
        When a class has too few training rows, or nothing is left to ask for.

    References
    ----------
    .. [1] Zhan, Liu, Li, Chan, "A comparative survey: benchmarking for pool-based active
       learning", IJCAI 2021, 634.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(dataset.y))
    if dataset.test is None:
        cut = len(order) - round(test_share * len(order))
        train, test = order[:cut], order[cut:]
    else:
        train, test = order[~np.isin(order, dataset.test)], dataset.test
    classes = dataset.y[train]
    first = []
    for label in range(dataset.classes):
        own = np.flatnonzero(classes == label)[:PER_CLASS]
        if len(own) < PER_CLASS:
            raise DatasetError(
                f"{dataset.name}: class {label} has {len(own)} training rows with seed {seed}; "
                f"at least {PER_CLASS} are needed: merge or leave out rare classes"
            )
        first.append(own)
    chosen = np.concatenate(first)
    others = np.setdiff1d(np.arange(len(train)), chosen)[: max(0, initial - len(chosen))]
    start = np.sort(np.concatenate([chosen, others]))
    if len(start) >= len(train) or not len(test):
        raise DatasetError(f"{dataset.name}: too small: {len(train)} rows to label from")
    return Split(train, start, test)
