"""The task model: a small network behind scikit-learn's interface, and one from a pool."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_array, check_is_fitted, check_X_y
from torch import Tensor, nn

from cryomae.sampler.deep import infer
from cryomae.sampler.deep.net import Standard, TaskNet
from cryomae.sampler.deep.seeds import seeded
from cryomae.sampler.deep.train import Draw, fit_classifier
from cryomae.sampler.errors import SamplerError
from cryomae.sampler.pool import Labelled, PoolView
from cryomae.sampler.refit import training_set


class TaskModel(ClassifierMixin, BaseEstimator):
    """Classifier on features or embeddings, for hundreds of labels on one core.

    Parameters
    ----------
    hidden : tuple of int
        Widths of the hidden layers; the last one is that of the embedding.
    dropout : float
        Share of hidden units dropped in training and in `predict_stochastic`.
    image : tuple of int, optional
        Channels, height and width, where features are the pixels of an image.
    epochs, batch : int
        Passes over the labels, and labels a step.
    learning_rate, weight_decay : float
        Of AdamW.
    seed : int
        Of initial weights, order and dropout in training; global generators are not
        touched.

    Attributes
    ----------
    classes_ : ndarray, shape (C,)
        Classes among the labels, the columns of probabilities.
    net_ : TaskNet
    standard_ : Standard
        From the labelled features; the network reads standardised ones.
    """

    def __init__(
        self,
        hidden: tuple[int, ...] = (64, 64),
        dropout: float = 0.2,
        image: tuple[int, int, int] | None = None,
        epochs: int = 60,
        batch: int = 64,
        learning_rate: float = 5e-3,
        weight_decay: float = 1e-3,
        seed: int = 0,
    ) -> None:
        self.hidden = hidden
        self.dropout = dropout
        self.image = image
        self.epochs = epochs
        self.batch = batch
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.seed = seed

    def fit(self, X: ArrayLike, y: ArrayLike) -> TaskModel:
        """Train from scratch on features (n, f) and their labels (n,)."""
        features, labels = check_X_y(X, y)
        self.n_features_in_ = features.shape[1]
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise SamplerError("the task model needs labels of two classes: label some of another")
        self.standard_ = Standard.of(features)
        with seeded(self.seed):
            self.net_ = TaskNet(
                features.shape[1], len(self.classes_), self.hidden, self.dropout, self.image
            )
            fit_classifier(
                self.net_,
                self.standard_(features),
                torch.from_numpy(codes),
                epochs=self.epochs,
                batch=self.batch,
                learning_rate=self.learning_rate,
                weight_decay=self.weight_decay,
            )
        return self

    def rows(self, X: ArrayLike) -> tuple[infer.Rows, int]:
        """Inputs of the network as `infer` reads them, and how many there are."""
        check_is_fitted(self)
        features = check_array(X)
        return lambda s: self.standard_(features[s]), len(features)

    def inputs(self, X: ArrayLike) -> Tensor:
        """All rows as the network reads them, float32, shape (n, f)."""
        rows, count = self.rows(X)
        return rows(slice(0, count))

    def codes(self, y: ArrayLike) -> Tensor:
        """Columns of probabilities that labels among `classes_` stand for, shape (n,)."""
        return torch.from_numpy(np.searchsorted(self.classes_, np.asarray(y)))

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Class probabilities, shape (n, C)."""
        return infer.probabilities(self.net_, *self.rows(X))

    def predict(self, X: ArrayLike) -> NDArray:
        """Classes, shape (n,)."""
        classes: NDArray = self.classes_[self.predict_proba(X).argmax(1)]
        return classes

    def embed(self, X: ArrayLike) -> NDArray[np.float32]:
        """Embeddings, shape (n, hidden[-1])."""
        return infer.embeddings(self.net_, *self.rows(X))

    def predict_stochastic(self, X: ArrayLike, passes: int, seed: int) -> NDArray[np.float64]:
        """Class probabilities of passes with dropout, shape (passes, n, C)."""
        return infer.stochastic_probabilities(self.net_, *self.rows(X), passes=passes, seed=seed)

    def gradient_embed(self, X: ArrayLike) -> NDArray[np.float64]:
        """Gradient embeddings of BADGE, shape (n, C * hidden[-1])."""
        return infer.gradient_embeddings(self.net_, *self.rows(X))

    def perturb(self, X: ArrayLike) -> Callable[[int, float], NDArray[np.float64]]:
        """Callback for ``PoolView(perturb=...)``: probabilities (n, C) of (seed, scale)."""
        return infer.perturber(self.net_, *self.rows(X))


@dataclass(frozen=True)
class Ready:
    """A trained network and the pool as it reads it.

    Attributes
    ----------
    net : Module
    rows : callable
        Inputs of a slice of the pool.
    count : int
        Rows of the pool.
    """

    net: nn.Module
    rows: infer.Rows
    count: int


def ready_model(pool: PoolView, name: str, seed: int) -> Ready:
    """The pool's torch model, else a `TaskModel` trained on what is labelled.

    ``pool.model`` is used as it is where it is a torch module, which reads features as
    they are, or a fitted `TaskModel`; an unfitted `TaskModel` is a recipe. Any other model,
    such as a scikit-learn estimator, has no gradients and no dropout and gives way to a
    default `TaskModel`.

    Raises
    ------
    SamplerError
        Without labels of two classes, if a model must be trained.
    """
    features = pool.features
    assert features is not None
    model = pool.model
    if isinstance(model, nn.Module):
        return Ready(
            model,
            lambda s: torch.from_numpy(np.array(features[s], dtype=np.float32)),
            len(pool),
        )
    if not isinstance(model, TaskModel) or not hasattr(model, "net_"):
        training_set(pool, name)
        assert pool.labelled is not None
        model = trained_on(pool, pool.labelled, seed)
    return Ready(model.net_, *model.rows(features))


def trained_on(pool: PoolView, labelled: Labelled, seed: int) -> TaskModel:
    """A new `TaskModel` of the pool's recipe, else the default, trained on labelled features."""
    recipe = pool.model if isinstance(pool.model, TaskModel) else TaskModel()
    model = TaskModel(**(recipe.get_params() | {"seed": seed}))
    # In the order of ids: the same labels in another order give the same model.
    order = np.argsort(labelled.ids)
    assert labelled.features is not None
    return model.fit(labelled.features[order], labelled.y[order])


@dataclass(frozen=True)
class Task:
    """What is labelled and the pool, standardised together, for nets trained on both.

    Attributes
    ----------
    x : Tensor, float32, shape (L, f)
        Labelled rows, in the order of their ids.
    y : Tensor, int64, shape (L,)
    classes : int
        Number of classes, from 0 to the greatest label.
    rows : callable
        Inputs of a slice of the pool.
    draw : callable
        That many rows of the pool, at random.
    count : int
        Rows of the pool.
    """

    x: Tensor
    y: Tensor
    classes: int
    rows: infer.Rows
    draw: Draw
    count: int


def task_of(pool: PoolView, name: str, *, classify: bool = True) -> Task:
    """What a strategy called ``name`` trains its nets on.

    Raises
    ------
    SamplerError
        If nothing is labelled, or ``classify`` and only one class is.
    """
    features, labelled = pool.features, pool.labelled
    assert features is not None
    assert labelled is not None
    if classify:
        training_set(pool, name)
    elif not len(labelled):
        raise SamplerError(f"{name} needs something labelled: begin with random or typiclust")
    own = pool.labelled_rows("features")
    order = np.argsort(labelled.ids)
    standard = Standard.of(own, features)
    y = torch.from_numpy(labelled.y[order].astype(np.int64))
    return Task(
        standard(own[order]),
        y,
        int(y.max()) + 1,
        lambda s: standard(features[s]),
        lambda size: standard(features[torch.randint(len(features), (size,)).numpy()]),
        len(pool),
    )
