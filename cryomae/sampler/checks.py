"""Checks of arrays and parameters, each with an error that names what is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cryomae.sampler.errors import SamplerError

CHUNK = 65_536
"""Rows that are worked on at a time where a whole pool would need too much memory."""

SUM_TOLERANCE = 1e-4
"""How far from 1 the probabilities of a row may add up to."""


def chunks(count: int, size: int = CHUNK) -> Iterable[slice]:
    """Slices of at most ``size`` rows that cover ``count`` rows in order."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """View of an array that cannot be written to."""
    view = array.view()
    view.flags.writeable = False
    return view


def ids_array(name: str, ids: ArrayLike) -> NDArray[Any]:
    """Ids as a read-only array of integers or strings, shape (n,), each there once.

    Raises
    ------
    SamplerError
        If the ids are of another kind, not one-dimensional or not unique.
    """
    array = np.asarray(ids)
    if array.dtype == object and all(isinstance(i, str) for i in array.ravel()):
        array = array.astype(str)
    if array.size == 0:
        array = array.astype(np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iuU":
        raise SamplerError(f"{name} must be one row of integers or strings")
    # Sorted ids, the usual case, need no second sort to be known as unique.
    if not bool(np.all(array[:-1] < array[1:])):
        unique, counts = np.unique(array, return_counts=True)
        if len(unique) < len(array):
            raise SamplerError(f"{name} must be unique: {unique[counts > 1][0]} is there twice")
    return frozen(array)


def among(ids: NDArray[Any], others: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each id is one of the others, shape (n,).

    Raises
    ------
    SamplerError
        If one holds integers and the other strings.
    """
    if not len(ids) or not len(others):
        return np.zeros(len(ids), dtype=np.bool_)
    if (ids.dtype.kind == "U") != (others.dtype.kind == "U"):
        raise SamplerError("ids must be all integers or all strings")
    return np.isin(ids, others)


def rows_array(name: str, values: ArrayLike, count: int, ndim: int, axis: int = 0) -> NDArray[Any]:
    """A read-only array of finite floats with ``count`` entries along ``axis``.

    Floating-point arrays keep their precision and are not copied.

    Raises
    ------
    SamplerError
        If the shape does not fit or a value is NaN or infinite.
    """
    array = np.asarray(values)
    if array.dtype.kind in "biu":
        array = array.astype(np.float64)
    if array.dtype.kind != "f":
        raise SamplerError(f"{name} must hold numbers")
    if array.ndim != ndim:
        raise SamplerError(f"{name} must have {ndim} axes and has {array.ndim}")
    if array.shape[axis] != count:
        raise SamplerError(f"{name} has {array.shape[axis]} rows for {count} ids")
    if not all(np.isfinite(array[part]).all() for part in chunks(len(array))):
        raise SamplerError(f"{name} holds NaN or infinite values")
    return frozen(array)


def probabilities(name: str, proba: NDArray[Any]) -> None:
    """Check that the last axis holds probabilities.

    Raises
    ------
    SamplerError
        If a value is below 0 or a row does not add up to 1 within `SUM_TOLERANCE`.
    """
    if proba.size and float(proba.min()) < 0:
        raise SamplerError(f"{name} holds a negative probability")
    off = np.abs(proba.sum(axis=-1, dtype=np.float64) - 1)
    if proba.shape[-1] == 0 or (off.size and float(off.max()) > SUM_TOLERANCE):
        raise SamplerError(
            f"rows of {name} must add up to 1 (within {SUM_TOLERANCE:g}): "
            "pass probabilities, such as a softmax, not scores"
        )


def whole(name: str, value: object, least: int = 1) -> int:
    """A whole number of at least ``least``.

    Raises
    ------
    SamplerError
        If it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise SamplerError(f"{name} must be a whole number of at least {least}, not {value!r}")
    return int(value)


def within(name: str, value: float, low: float, high: float = np.inf) -> None:
    """Check that a number lies in [low, high].

    Raises
    ------
    SamplerError
        If it does not, or is NaN.
    """
    if not low <= value <= high or not np.isfinite(value):
        raise SamplerError(f"{name} must be from {low:g} to {high:g}, not {value!r}")


def above(name: str, value: float, low: float = 0.0) -> None:
    """Check that a finite number is greater than ``low``.

    Raises
    ------
    SamplerError
        If it is not.
    """
    if not value > low or not np.isfinite(value):
        raise SamplerError(f"{name} must be greater than {low:g}, not {value!r}")


def one_of(name: str, value: str, choices: Iterable[str]) -> None:
    """Check that a word is one of the choices.

    Raises
    ------
    SamplerError
        If it is not.
    """
    known = tuple(choices)
    if value not in known:
        raise SamplerError(f"{name} must be one of {', '.join(known)}, not {value!r}")
