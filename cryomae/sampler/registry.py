"""Strategies by name.

A module registers its strategies when it is imported, and `cryomae.sampler` imports them all;
a module whose strategy needs torch therefore imports torch inside the functions that use it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from cryomae.sampler.errors import SamplerError
from cryomae.sampler.pool import PoolView
from cryomae.sampler.strategy import Strategy

S = TypeVar("S", bound=type[Strategy])


@dataclass(frozen=True)
class _Entry:
    """A class, and the parameters that a name stands for."""

    make: Callable[..., Strategy]
    preset: dict[str, Any]


_ENTRIES: dict[str, _Entry] = {}


def register(name: str, **preset: Any) -> Callable[[S], S]:
    """Decorator that registers a strategy class.

    Parameters
    ----------
    name : str
    **preset
        Parameters that this name stands for. The name without any is the name of the class.

    Raises
    ------
    SamplerError
        If the name is taken.
    """

    def add(cls: S) -> S:
        if name in _ENTRIES:
            raise SamplerError(f"there is a strategy {name!r} already")
        _ENTRIES[name] = _Entry(cls, preset)
        if not preset:
            cls.name = name
        return cls

    return add


def create_strategy(name: str, **params: Any) -> Strategy:
    """Strategy of a name.

    Parameters
    ----------
    name : str
        One of `list_strategies`.
    **params
        Parameters of the strategy; they go before what the name stands for.

    Raises
    ------
    SamplerError
        If there is no such strategy, or it does not take these parameters.
    """
    if name not in _ENTRIES:
        raise SamplerError(f"no strategy {name!r}; there are {', '.join(list_strategies())}")
    entry = _ENTRIES[name]
    try:
        return entry.make(**(entry.preset | params))
    except TypeError as error:
        raise SamplerError(f"{name}: {error}") from error


def list_strategies() -> tuple[str, ...]:
    """Names of all strategies, in alphabetical order."""
    return tuple(sorted(_ENTRIES))


def available(pool: PoolView) -> tuple[str, ...]:
    """Names of the strategies whose needs the pool meets, in alphabetical order."""
    return tuple(
        name for name in list_strategies() if not create_strategy(name).required() & ~pool.has
    )
