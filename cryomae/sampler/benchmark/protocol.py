"""The pool-based protocol: ask, label, fit, test, until the budget is spent."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import partial
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from cryomae.sampler import checks
from cryomae.sampler.benchmark import tasks
from cryomae.sampler.benchmark.datasets import Dataset
from cryomae.sampler.benchmark.metrics import accuracy, aubc, macro_f1
from cryomae.sampler.benchmark.splits import Split, survey_split
from cryomae.sampler.errors import SamplerError
from cryomae.sampler.meta.albl import Albl
from cryomae.sampler.meta.ceal import Ceal
from cryomae.sampler.pool import Labelled, Need, PoolView
from cryomae.sampler.refit import full_probabilities
from cryomae.sampler.strategy import Strategy

ROUNDS = 50
"""Rounds that the budget is spent in, at most, unless a batch is given."""


class TimeLimitError(SamplerError):
    """A run that took longer than it may."""


Guessed = tuple[NDArray[np.int64], NDArray[np.intp]]
"""Ids that the model labelled itself, and their classes."""


@dataclass(frozen=True)
class Protocol:
    """How a strategy is tried.

    The survey's is ``Protocol(batch=1, budget=1.0)``.

    Attributes
    ----------
    task : str
        One of `tasks.TASKS`: the model that is fitted in every round, on features scaled to
        mean 0 and variance 1 over all training rows, labelled or not.
    test_share : float
        Rows that test, of all.
    initial : int
        Labels at the start; each class has at least two.
    batch : int or None
        Labels bought in a round; None spends the budget in `ROUNDS` rounds at most.
    budget : float
        Share of the pool that is labelled in the end. With all of it the curves of all
        strategies end in the same point.
    """

    task: str = "svm"
    test_share: float = 0.4
    initial: int = 20
    batch: int | None = None
    budget: float = 0.5

    def __post_init__(self) -> None:
        checks.one_of("task", self.task, tasks.TASKS)
        checks.above("test_share", self.test_share)
        checks.within("test_share", self.test_share, 0, 0.9)
        checks.whole("initial", self.initial)
        if self.batch is not None:
            checks.whole("batch", self.batch)
        checks.above("budget", self.budget)
        checks.within("budget", self.budget, 0, 1)

    def batch_for(self, queries: int) -> int:
        """Size of a batch when so many labels are bought in all."""
        return self.batch or max(1, math.ceil(queries / ROUNDS))


@dataclass(frozen=True)
class Curve:
    """What one run learned.

    Attributes
    ----------
    labelled : tuple of int, length r
        Labels known in each round.
    accuracy, macro_f1 : tuple of float, length r
        On the test rows.
    select_seconds : float
        Time in the strategy alone.
    seconds : float
        Time in all.
    """

    labelled: tuple[int, ...]
    accuracy: tuple[float, ...]
    macro_f1: tuple[float, ...]
    select_seconds: float
    seconds: float

    @property
    def aubc(self) -> float:
        """Area under the budget curve of accuracy."""
        return aubc(self.labelled, self.accuracy)


def run_experiment(
    dataset: Dataset,
    strategy: Strategy,
    protocol: Protocol,
    seed: int,
    *,
    split: Split | None = None,
    time_limit: float | None = None,
) -> Curve:
    """Let one strategy spend the budget on one data set.

    Parameters
    ----------
    dataset : Dataset
    strategy : Strategy
        It sees features, predictions of the model, and the labels bought; never others.
    protocol : Protocol
    seed : int
        Of split, initial labels and random draws; strategies with the same seed have the
        same split and start.
    split : Split, optional
        In place of the survey's.
    time_limit : float, optional
        Seconds after which no further round begins.

    Raises
    ------
    TimeLimitError
        When the limit is passed.
    SamplerError
        When the strategy fails, or hands back less than it was asked for.
    DatasetError
        When the data set cannot be split.
    """
    begin = time.monotonic()
    if split is None:
        split = survey_split(
            dataset, seed, test_share=protocol.test_share, initial=protocol.initial
        )
    learner = _Learner(dataset, split, protocol)
    queries = max(1, round(protocol.budget * (len(split.train) - len(split.initial))))
    goal = len(split.initial) + queries
    batch = protocol.batch_for(queries)
    spent = 0.0
    rounds = [learner.test()]
    while len(learner.known) < goal:
        if time_limit is not None and time.monotonic() - begin > time_limit:
            raise TimeLimitError(
                f"took longer than {time_limit:g} s, with {len(learner.known)} of {goal} labels"
            )
        name = strategy.name or type(strategy).__name__
        rng = np.random.default_rng([seed, len(rounds), crc32(name.encode())])
        view = learner.view(strategy.required(), rng)
        asked = min(batch, goal - len(learner.known))
        start = time.monotonic()
        selection = strategy.select(view, asked, rng)
        spent += time.monotonic() - start
        if len(selection) < asked:
            raise SamplerError(f"{asked} asked for and {len(selection)} given: {selection.short}")
        guessed = None
        if isinstance(strategy, Ceal):
            guessed = strategy.pseudo_labels(view, selection, len(rounds) - 1)
        learner.learn(selection.ids, guessed)
        if isinstance(strategy, Albl):
            strategy = strategy.observe(selection, *learner.told())
        rounds.append(learner.test())
    counts, right, f1 = zip(*rounds, strict=True)
    return Curve(counts, right, f1, spent, time.monotonic() - begin)


class _Learner:
    """The model of one run, what it has been told, and what may still be asked."""

    def __init__(self, dataset: Dataset, split: Split, protocol: Protocol) -> None:
        scale = StandardScaler().fit(dataset.x[split.train])
        self.x: NDArray[np.float64] = scale.transform(dataset.x[split.train])
        self.y = dataset.y[split.train]
        self.x_test: NDArray[np.float64] = scale.transform(dataset.x[split.test])
        self.y_test = dataset.y[split.test]
        self.classes = dataset.classes
        self.task = partial(tasks.TASKS[protocol.task], dataset)
        self.known = np.sort(split.initial)
        self._fit()

    def _fit(self, guessed: Guessed | None = None) -> None:
        # The order of rows changes a support-vector machine in its last digits: rows in the
        # order of ids are what the published runs have.
        rows, y = self.known, self.y[self.known]
        if guessed is not None:
            rows, y = np.concatenate([rows, guessed[0]]), np.concatenate([y, guessed[1]])
        self.model: Any = self.task().fit(self.x[rows], y)

    def learn(self, ids: NDArray[np.int64], guessed: Guessed | None) -> None:
        """Take in the labels of these ids, and for this once those that the model guessed."""
        self.known = np.sort(np.concatenate([self.known, ids]))
        self._fit(guessed)

    def told(self) -> tuple[Labelled, NDArray[np.int64]]:
        """What is labelled, and what the model now says of it."""
        return self._labelled(), np.asarray(self.model.predict(self.x[self.known]))

    def _labelled(self) -> Labelled:
        x = self.x[self.known]
        embed = tasks.embedding(self.model, x)
        return Labelled(self.known, self.y[self.known], embed=embed, features=x)

    def test(self) -> tuple[int, float, float]:
        """Labels known, accuracy and macro F1."""
        predicted = np.asarray(self.model.predict(self.x_test))
        return (
            len(self.known),
            accuracy(self.y_test, predicted),
            macro_f1(self.y_test, predicted),
        )

    def view(self, needs: Need, rng: np.random.Generator) -> PoolView:
        """What the strategy sees; costly parts only if it needs them."""
        ids = np.setdiff1d(np.arange(len(self.x)), self.known)
        x, known, y = self.x[ids], self.x[self.known], self.y[self.known]
        passes = None
        if needs & Need.STOCHASTIC:
            passes = tasks.passes(self.model, (known, y), x, self.classes, rng)
        return PoolView(
            ids,
            proba=full_probabilities(self.model, x, self.classes),
            stochastic=passes,
            embed=tasks.embedding(self.model, x),
            features=x,
            labelled=self._labelled(),
            perturb=tasks.perturbation(self.model, x, self.classes),
            model=self.model,
        )
