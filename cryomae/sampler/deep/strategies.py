"""Strategies that need a network. Torch is imported when one runs, not before."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cryomae.sampler import checks
from cryomae.sampler.errors import SamplerError
from cryomae.sampler.guards import Mask
from cryomae.sampler.pool import Need, PoolView
from cryomae.sampler.registry import create_strategy, register
from cryomae.sampler.selection import Picked
from cryomae.sampler.strategy import ScoreStrategy, Strategy

Scores = NDArray[np.float64]
Attack = Callable[..., Any]


def draw_seed(rng: np.random.Generator) -> int:
    """A seed for torch."""
    return int(rng.integers(2**31))


@register("mc_dropout")
@dataclass(frozen=True)
class MCDropout(Strategy):
    """Pass the pool through the task model with dropout on, then choose by disagreement.

    Gal and Ghahramani, ICML 2016; Gal, Islam and Ghahramani, ICML 2017. Only layers that
    drop are switched on: batch normalisation keeps its statistics. (DeepAL+'s networks
    hold no dropout at all.) A model without dropout is an error. The model is
    ``pool.model`` if that is a torch one, else it is trained on what is labelled, of which
    two classes are needed.

    Attributes
    ----------
    then : str
        Name of a strategy that reads stochastic passes, such as ``bald``.
    passes : int
        T.
    """

    then: str = "bald"
    passes: int = 20

    needs: ClassVar[Need] = Need.FEATURES | Need.LABELLED
    deterministic: ClassVar[bool] = False

    def __post_init__(self) -> None:
        checks.whole("passes", self.passes, 2)
        if Need.STOCHASTIC not in create_strategy(self.then).required():
            raise SamplerError(f"{self.then} does not read stochastic passes: take 'bald'")

    def required(self) -> Need:
        """Features and labels, and what the strategy behind reads beside the passes."""
        return self.needs | (create_strategy(self.then).required() & ~Need.STOCHASTIC)

    def pick(self, pool: PoolView, k: int, rng: np.random.Generator, mask: Mask) -> Picked:
        """What the strategy behind chooses, given the passes."""
        from cryomae.sampler.deep.infer import stochastic_probabilities
        from cryomae.sampler.deep.model import ready_model

        model = ready_model(pool, self.name, draw_seed(rng))
        passes = stochastic_probabilities(
            model.net, model.rows, model.count, passes=self.passes, seed=draw_seed(rng)
        )
        view = replace(pool, stochastic=passes.astype(np.float32))
        return create_strategy(self.then).pick(view, k, rng, mask)


@dataclass(frozen=True)
class _Adversarial(ScoreStrategy):
    """Take what an attack moves over a decision boundary with the shortest step.

    Ducoffe and Precioso, *Adversarial Active Learning for Deep Networks*, 2018. The score
    is ``1 / (1 + distance)``, 0 for a row that resists. Distances are in standardised
    features, or in features as they are if ``pool.model`` is a torch module. Without such
    a model one is trained, which needs labels of two classes.
    """

    needs: ClassVar[Need] = Need.FEATURES | Need.LABELLED
    deterministic: ClassVar[bool] = False
    reason: ClassVar[str] = "near boundary"

    def score(self, pool: PoolView, rng: np.random.Generator) -> Scores:
        """Nearness of the boundary, shape (N,)."""
        from cryomae.sampler.deep import adversarial
        from cryomae.sampler.deep.model import ready_model

        model = ready_model(pool, self.name, draw_seed(rng))
        distance = adversarial.in_chunks(model.net, model.rows, model.count, self._attack())
        return 1.0 / (1.0 + distance)

    @abstractmethod
    def _attack(self) -> Attack:
        """Distances (b,) of inputs, given a function that gives their logits."""


@register("adversarial_bim")
@dataclass(frozen=True)
class AdversarialBIM(_Adversarial):
    """Take what small steps along the gradient's sign bring over a boundary first.

    See `_Adversarial` and `cryomae.sampler.deep.adversarial.bim_distance`. Bounded and
    batched, where DeepAL+ loops row by row without end.

    Attributes
    ----------
    step : float
        Change of every feature in one step.
    steps : int
        Bound on the number of steps.
    """

    step: float = 0.05
    steps: int = 100

    def __post_init__(self) -> None:
        checks.above("step", self.step)
        checks.whole("steps", self.steps)

    def _attack(self) -> Attack:
        from cryomae.sampler.deep.adversarial import bim_distance

        return partial(bim_distance, step=self.step, steps=self.steps)


@register("adversarial_deepfool")
@dataclass(frozen=True)
class AdversarialDeepFool(_Adversarial):
    """Take what is nearest to a boundary by DeepFool's linearisations.

    See `_Adversarial` and `cryomae.sampler.deep.adversarial.deepfool_distance`.

    Attributes
    ----------
    steps : int
        Bound on the number of linearisations.
    """

    steps: int = 50

    def __post_init__(self) -> None:
        checks.whole("steps", self.steps)

    def _attack(self) -> Attack:
        from cryomae.sampler.deep.adversarial import deepfool_distance

        return partial(deepfool_distance, steps=self.steps)


@register("learning_loss")
@dataclass(frozen=True)
class LearningLoss(ScoreStrategy):
    """Take what a module trained beside the task network expects the greatest loss of (LPL).

    Yoo and Kweon, CVPR 2019; see `cryomae.sampler.deep.learning_loss`. Labels of two
    classes are needed. The score is the predicted loss, of which only the order means
    anything.

    Attributes
    ----------
    epochs : int
        Passes over the labels.
    weight : float
        λ, of the ranking loss against cross-entropy.
    joint : float
        Share of the epochs in which the ranking loss moves the network too.
    """

    epochs: int = 100
    weight: float = 1.0
    joint: float = 0.6

    needs: ClassVar[Need] = Need.FEATURES | Need.LABELLED
    deterministic: ClassVar[bool] = False
    reason: ClassVar[str] = "great loss"

    def __post_init__(self) -> None:
        checks.whole("epochs", self.epochs)
        checks.above("weight", self.weight)
        checks.within("joint", self.joint, 0, 1)

    def score(self, pool: PoolView, rng: np.random.Generator) -> Scores:
        """Predicted loss, shape (N,)."""
        from cryomae.sampler.deep.learning_loss import predicted_loss
        from cryomae.sampler.deep.model import task_of

        task = task_of(pool, self.name)
        return predicted_loss(
            task, draw_seed(rng), epochs=self.epochs, weight=self.weight, joint=self.joint
        )


@register("vaal")
@dataclass(frozen=True)
class VAAL(ScoreStrategy):
    """Take what a discriminator, on the code of an autoencoder, tells from the labelled.

    Sinha, Ebrahimi and Darrell, ICCV 2019; see `cryomae.sampler.deep.vaal`. Classes play
    no part: one labelled class is enough, but something must be labelled. The score is
    the probability of not being labelled.

    Attributes
    ----------
    latent : int
        Length of the code.
    steps : int
        Steps of training.
    adversarial : float
        Weight of fooling the discriminator against reconstruction.
    """

    latent: int = 16
    steps: int = 500
    adversarial: float = 1.0

    needs: ClassVar[Need] = Need.FEATURES | Need.LABELLED
    deterministic: ClassVar[bool] = False
    reason: ClassVar[str] = "unlike labelled"

    def __post_init__(self) -> None:
        checks.whole("latent", self.latent)
        checks.whole("steps", self.steps)
        checks.within("adversarial", self.adversarial, 0)

    def score(self, pool: PoolView, rng: np.random.Generator) -> Scores:
        """Probability of not being labelled, shape (N,)."""
        from cryomae.sampler.deep.model import task_of
        from cryomae.sampler.deep.vaal import unlabelled_probability

        task = task_of(pool, self.name, classify=False)
        return unlabelled_probability(
            task,
            draw_seed(rng),
            latent=self.latent,
            steps=self.steps,
            adversarial=self.adversarial,
        )


@register("waal")
@dataclass(frozen=True)
class WAAL(ScoreStrategy):
    """Take what the model is unsure of and a Wasserstein critic finds far from the labelled.

    Shui, Zhou, Gagné and Wang, AISTATS 2020; see `cryomae.sampler.deep.waal`. Labels of
    two classes are needed.

    Attributes
    ----------
    diversity : float
        Weight of the critic against the bound on the loss.
    transport : float
        μ, weight of the Wasserstein distance in training the classifier.
    steps : int
        Steps of training.
    """

    diversity: float = 10.0
    transport: float = 0.01
    steps: int = 300

    needs: ClassVar[Need] = Need.FEATURES | Need.LABELLED
    deterministic: ClassVar[bool] = False
    reason: ClassVar[str] = "unsure and unlike"

    def __post_init__(self) -> None:
        checks.within("diversity", self.diversity, 0)
        checks.within("transport", self.transport, 0)
        checks.whole("steps", self.steps)

    def score(self, pool: PoolView, rng: np.random.Generator) -> Scores:
        """Unsureness and distance together, shape (N,)."""
        from cryomae.sampler.deep.model import task_of
        from cryomae.sampler.deep.waal import unsure_and_unlike

        task = task_of(pool, self.name)
        return unsure_and_unlike(
            task,
            draw_seed(rng),
            steps=self.steps,
            transport=self.transport,
            diversity=self.diversity,
        )
