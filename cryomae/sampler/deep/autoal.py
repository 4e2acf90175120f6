"""AutoAL: learns from the labels which of several strategies to trust for which candidate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from cryomae.sampler import checks
from cryomae.sampler.deep.strategies import draw_seed
from cryomae.sampler.errors import SamplerError
from cryomae.sampler.guards import Mask
from cryomae.sampler.meta.mix import Mix
from cryomae.sampler.pool import Labelled, Need, PoolView
from cryomae.sampler.refit import training_set
from cryomae.sampler.registry import create_strategy, register
from cryomae.sampler.selection import Picked
from cryomae.sampler.strategy import Strategy, top

if TYPE_CHECKING:
    from cryomae.sampler.deep.model import TaskModel
    from cryomae.sampler.deep.search import Half

LEAST_LABELS = 100
"""Labels below which halves of them say too little of a strategy."""

LEAST_OF_A_CLASS = 20
"""Labels that each of two classes must have: ten in each half."""

OFFERED = Need.PROBA | Need.STOCHASTIC | Need.EMBED | Need.PERTURB | Need.FEATURES | Need.LABELLED
"""What a candidate may read, because FitNet can say it of labelled rows as well."""

PASSES = 10
"""Stochastic passes for candidates that read them."""


@register("autoal")
@dataclass(frozen=True)
class AutoAL(Strategy):
    """Weigh several strategies by a search over halves of the labels.

    Wang, Zhan and Huang, ICML 2025; what is ours is told in `cryomae.sampler.deep.search`.
    The labels are halved twice over, the candidates rank one half given the other, SearchNet
    learns for which rows whose ranks lead to a high loss of FitNet, and its weights times the
    candidates' ranks of the pool are the score. A reason is the candidate that gave most.

    Candidates see what FitNet, a `TaskModel` trained on features, says of the pool, not the
    pool's own probabilities and embeddings, which nobody has of labelled rows. Below 100
    labels, or without 20 of each of two classes, the batch is a `Mix` of the candidates in
    equal shares, and each reason says so. Labels of two classes are needed in any case.

    Attributes
    ----------
    candidates : tuple of str
        Names of at least two strategies that read no more than features, labels and what a
        model says.
    rounds : int
        Steps of the search.
    share : float
        Share of a half that counts as chosen; a candidate ranks its best ``k / share`` rows
        of the pool, and the others are 0.
    """

    candidates: tuple[str, ...] = ("uncertainty", "badge", "kcenter", "random")
    rounds: int = 200
    share: float = 0.2

    needs: ClassVar[Need] = Need.FEATURES | Need.LABELLED
    deterministic: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if len(set(self.candidates)) < 2:
            raise SamplerError("autoal needs at least two different candidates")
        for name in self.candidates:
            more = create_strategy(name).required() & ~OFFERED
            if more:
                raise SamplerError(f"autoal cannot weigh {name}, which reads {_names(more)}")
        checks.whole("rounds", self.rounds)
        checks.above("share", self.share)
        checks.within("share", self.share, 0, 0.5)

    def pick(self, pool: PoolView, k: int, rng: np.random.Generator, mask: Mask) -> Picked:
        """Rows of the highest weighted ranks, or a mix where labels are few."""
        from cryomae.sampler.deep.model import trained_on

        training_set(pool, self.name)
        assert pool.labelled is not None
        labelled = _rows(pool.labelled, np.argsort(pool.labelled.ids))
        model = trained_on(pool, labelled, draw_seed(rng))
        view = self._view(model, replace(pool, labelled=labelled), draw_seed(rng))
        if too_few(labelled.y):
            mix = Mix(tuple((name, 1.0) for name in self.candidates))
            picked = mix.pick(view, k, rng, mask)
            note = f"mix: {len(labelled)} labels are too few for autoal"
            return replace(picked, reason=tuple(f"{r} ({note})" for r in picked.reason))
        weights = self._weights(pool, labelled, model, rng)
        free = np.flatnonzero(mask.allowed())
        depth = min(len(free), int(np.ceil(k / self.share)))
        # What is not allowed must not use up a candidate's choices.
        asked = view if len(free) == len(pool) else view.take(free)
        worth = np.zeros((len(pool), len(self.candidates)))
        worth[free] = weights[free] * self.ranks(asked, depth, rng)
        picked = top(worth.sum(1), k, mask, "")
        best = worth[picked.index].argmax(1)
        return replace(picked, reason=tuple(self.candidates[i] for i in best))

    def ranks(self, view: PoolView, depth: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Rank of each row by each candidate, 1 for its first choice, shape (n, K).

        Rows beyond the first ``depth`` choices have 0.
        """
        ranks = np.zeros((len(view), len(self.candidates)))
        for column, name in enumerate(self.candidates):
            chosen = create_strategy(name).select(view, depth, rng).index
            ranks[chosen, column] = 1 - np.arange(len(chosen)) / depth
        return ranks

    def _weights(
        self, pool: PoolView, labelled: Labelled, model: TaskModel, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Weights of the candidates for each row of the pool, shape (N, K)."""
        from cryomae.sampler.deep import infer
        from cryomae.sampler.deep.search import SearchNet, search
        from cryomae.sampler.deep.seeds import seeded

        first, second = halves_of(labelled.y, rng)
        halves = [
            self._half(pool, _rows(labelled, known), _rows(labelled, rest), model, rng)
            for known, rest in ((first, second), (second, first))
        ]
        rows, count = model.rows(_features(pool))
        with seeded(draw_seed(rng)):
            net = SearchNet(model.n_features_in_, len(self.candidates))
            search(net, halves, rounds=self.rounds, share=self.share)
        with infer.evaluating(net):
            return infer.in_chunks(count, lambda s: net(rows(s)))

    def _half(
        self,
        pool: PoolView,
        known: Labelled,
        rest: Labelled,
        model: TaskModel,
        rng: np.random.Generator,
    ) -> Half:
        """Candidates' ranks of one half, and a FitNet trained on the other."""
        from cryomae.sampler.deep.model import trained_on
        from cryomae.sampler.deep.search import Half

        fit = trained_on(pool, known, draw_seed(rng))
        # A class with a single label lies in one half alone and has no loss in the other.
        rest = _rows(rest, np.flatnonzero(np.isin(rest.y, fit.classes_)))
        asked = PoolView(ids=rest.ids, features=rest.features, labelled=known, model=pool.model)
        view = self._view(fit, asked, draw_seed(rng))
        return Half(
            fit=fit.net_,
            known_x=fit.inputs(_features(known)),
            known_y=fit.codes(known.y),
            x=fit.inputs(_features(rest)),
            y=fit.codes(rest.y),
            seen=model.inputs(_features(rest)),
            ranks=self.ranks(view, len(rest), rng),
        )

    def _view(self, model: TaskModel, pool: PoolView, seed: int) -> PoolView:
        """The pool as FitNet sees it, with what the candidates read."""
        needs = Need.NONE
        for name in self.candidates:
            needs |= create_strategy(name).required()
        labelled = pool.labelled
        assert labelled is not None
        seen = replace(pool, proba=model.predict_proba(_features(pool)))
        if Need.EMBED in needs:
            known = replace(labelled, embed=model.embed(_features(labelled)))
            seen = replace(seen, embed=model.embed(_features(pool)), labelled=known)
        if Need.STOCHASTIC in needs:
            passes = model.predict_stochastic(_features(pool), PASSES, seed)
            seen = replace(seen, stochastic=passes)
        if Need.PERTURB in needs:
            seen = replace(seen, perturb=model.perturb(_features(pool)))
        return seen


def too_few(y: NDArray[np.intp]) -> bool:
    """Whether labels (L,) are too few for halves of them to tell strategies apart."""
    counts = np.bincount(y)
    return len(y) < LEAST_LABELS or int((counts >= LEAST_OF_A_CLASS).sum()) < 2


def halves_of(
    y: NDArray[np.intp], rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of two random halves, sorted, each with about half of every class."""
    order = rng.permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]
    return np.sort(order[::2]), np.sort(order[1::2])


def _rows(labelled: Labelled, rows: NDArray[np.intp]) -> Labelled:
    """Some of what is labelled, with features alone."""
    return Labelled(labelled.ids[rows], labelled.y[rows], features=_features(labelled)[rows])


def _features(of: PoolView | Labelled) -> NDArray[np.floating]:
    """Features that are known to be there."""
    assert of.features is not None
    return of.features


def _names(needs: Need) -> str:
    return " and ".join(str(need.name).lower() for need in Need if need in needs)
