"""The pool: candidates a strategy may choose from, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Flag, auto
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cryomae.sampler import checks
from cryomae.sampler.errors import MissingNeed, SamplerError

Perturb = Callable[[int, float], NDArray[Any]]
"""Output of the task model after noise on its parameters: (seed, scale) to shape (N, C)."""


class Need(Flag):
    """What a strategy or guard reads; each name in lower case is a field of `PoolView`."""

    NONE = 0
    PROBA = auto()
    STOCHASTIC = auto()
    EMBED = auto()
    FEATURES = auto()
    ID_SCORE = auto()
    XY = auto()
    GROUP = auto()
    LABELLED = auto()
    PERTURB = auto()
    MODEL = auto()


@dataclass(frozen=True, eq=False)
class Labelled:
    """What has been labelled so far; may be empty.

    Attributes
    ----------
    ids : ndarray of int or str, shape (L,)
    y : ndarray, intp, shape (L,)
        Classes, 0 to C - 1.
    embed, features, xy, group : ndarray, optional
        As in `PoolView`, with L rows.
    """

    ids: NDArray[Any]
    y: NDArray[np.intp]
    embed: NDArray[Any] | None = None
    features: NDArray[Any] | None = None
    xy: NDArray[Any] | None = None
    group: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        ids = checks.ids_array("labelled ids", self.ids)
        y = np.asarray(self.y)
        if y.shape != ids.shape or (y.size and y.dtype.kind not in "biu"):
            raise SamplerError("labelled y must be one whole number for each labelled id")
        if y.size and int(y.min()) < 0:
            raise SamplerError("labelled y must be classes from 0 on; leave the skipped ones out")
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "y", checks.frozen(y.astype(np.intp)))
        _set_rows(self, "labelled ", len(ids), {"embed": 2, "features": 2, "xy": 2})
        _set_group(self, "labelled ", len(ids))

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class PoolView:
    """Candidates for labelling; row i of every array belongs to ``ids[i]``.

    Arrays are read-only views of what was passed (copies where a type had to change).
    Probabilities may be exactly 0 or 1.

    Attributes
    ----------
    ids : ndarray of int or str, shape (N,)
        Unique. Ties and random draws follow the order of the ids, not of the rows, so that
        the same candidates in another order give the same selection.
    proba : ndarray, shape (N, C), optional
        Class probabilities; of two classes, 1 is the one looked for.
    stochastic : ndarray, shape (T, N, C), optional
        Class probabilities of T random passes (dropout that drops) or ensemble members.
    embed : ndarray, shape (N, d), optional
        Descriptors, such as the last hidden layer.
    features : ndarray, shape (N, f), optional
        Raw inputs of the task model.
    id_score : ndarray, shape (N,), optional
        Confidence of being in the distribution; higher is more typical.
    xy : ndarray, shape (N, 2), optional
        Positions, in the unit that `MinDistance` is given in.
    group : ndarray of int or str, shape (N,), optional
        What a candidate lies in, such as its micrograph.
    labelled : Labelled, optional
    perturb : callable, optional
        ``perturb(seed, scale)`` gives the (N, C) output of the task model, in the order of
        ``ids``, after noise of that relative size on its parameters; scale 0 is no noise.
    model : object, optional
        The task model: a scikit-learn estimator, or a torch module.

    Raises
    ------
    SamplerError
        If the pool is empty, ids are there twice or already labelled, lengths differ, values
        are not finite, or probabilities are not probabilities. The message names the array.
    """

    ids: NDArray[Any]
    proba: NDArray[Any] | None = None
    stochastic: NDArray[Any] | None = None
    embed: NDArray[Any] | None = None
    features: NDArray[Any] | None = None
    id_score: NDArray[Any] | None = None
    xy: NDArray[Any] | None = None
    group: NDArray[Any] | None = None
    labelled: Labelled | None = None
    perturb: Perturb | None = None
    model: object | None = None

    def __post_init__(self) -> None:
        ids = checks.ids_array("ids", self.ids)
        if not len(ids):
            raise SamplerError("the pool is empty: there is nothing left to label")
        object.__setattr__(self, "ids", ids)
        rows = {"proba": 2, "embed": 2, "features": 2, "id_score": 1, "xy": 2}
        _set_rows(self, "", len(ids), rows)
        _set_group(self, "", len(ids))
        if self.stochastic is not None:
            passes = checks.rows_array("stochastic", self.stochastic, len(ids), 3, axis=1)
            if not len(passes):
                raise SamplerError("stochastic holds no passes")
            object.__setattr__(self, "stochastic", passes)
        for name in ("proba", "stochastic"):
            if getattr(self, name) is not None:
                checks.probabilities(name, getattr(self, name))
        if self.labelled is not None:
            self._check_labelled(self.labelled)

    def _check_labelled(self, labelled: Labelled) -> None:
        both = labelled.ids[checks.among(labelled.ids, self.ids)]
        if len(both):
            raise SamplerError(f"{both[0]} is in the pool and labelled: take it out of the pool")
        for name in ("embed", "features"):
            ours, theirs = getattr(self, name), getattr(labelled, name)
            if ours is not None and theirs is not None and ours.shape[1] != theirs.shape[1]:
                raise SamplerError(
                    f"{name} has {ours.shape[1]} columns and labelled {name} {theirs.shape[1]}"
                )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def has(self) -> Need:
        """What this pool offers."""
        there = Need.NONE
        for need in Need:
            if getattr(self, str(need.name).lower()) is not None:
                there |= need
        return there

    def require(self, needs: Need, name: str) -> None:
        """Check that the pool offers what is needed.

        Raises
        ------
        MissingNeed
            If not; the message says which fields to pass.
        """
        missing = [str(need.name).lower() for need in Need if need in needs & ~self.has]
        if missing:
            fields = ", ".join(f"{field}=..." for field in missing)
            raise MissingNeed(f"{name} needs {' and '.join(missing)}: pass PoolView({fields})")

    def labelled_rows(self, field: str) -> NDArray[Any]:
        """``embed`` or ``features`` of what is labelled, shape (L, d); L = 0 without labels.

        Raises
        ------
        SamplerError
            If something is labelled but its rows were not passed.
        """
        own: NDArray[Any] = getattr(self, field)
        if self.labelled is None or not len(self.labelled):
            return own[:0]
        rows: NDArray[Any] | None = getattr(self.labelled, field)
        if rows is None:
            raise SamplerError(f"the labelled set has no {field}: pass Labelled({field}=...)")
        return rows

    def take(self, rows: NDArray[np.intp]) -> PoolView:
        """The pool of some rows, in that order."""
        changed: dict[str, Any] = {"ids": self.ids[rows]}
        for name in ("proba", "embed", "features", "id_score", "xy", "group"):
            if getattr(self, name) is not None:
                changed[name] = getattr(self, name)[rows]
        if self.stochastic is not None:
            changed["stochastic"] = self.stochastic[:, rows]
        if self.perturb is not None:
            whole = self.perturb
            changed["perturb"] = lambda seed, scale: np.asarray(whole(seed, scale))[rows]
        return replace(self, **changed)

    def in_id_order(self) -> tuple[PoolView, NDArray[np.intp]]:
        """The pool sorted by id, and the row of this pool that each of its rows was.

        Nothing is copied if the ids are sorted already.
        """
        if bool(np.all(self.ids[:-1] < self.ids[1:])):
            return self, np.arange(len(self.ids))
        order = np.argsort(self.ids)
        return self.take(order), order


def _set_rows(owner: object, prefix: str, count: int, axes: dict[str, int]) -> None:
    """Check the fields that are given and replace them with read-only arrays."""
    for name, ndim in axes.items():
        values: ArrayLike | None = getattr(owner, name)
        if values is None:
            continue
        array = checks.rows_array(prefix + name, values, count, ndim)
        if name == "xy" and array.shape[1] != 2:
            raise SamplerError(f"{prefix}xy must have two columns")
        object.__setattr__(owner, name, array)


def _set_group(owner: object, prefix: str, count: int) -> None:
    """Check ``group`` if it is given and replace it with a read-only array."""
    values: ArrayLike | None = getattr(owner, "group", None)
    if values is None:
        return
    group = np.asarray(values)
    if group.shape != (count,):
        raise SamplerError(f"{prefix}group must be one entry for each of {count} ids")
    object.__setattr__(owner, "group", checks.frozen(group))
