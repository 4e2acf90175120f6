"""What every back end can do, and the one that needs no other process."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Item_contra = TypeVar("Item_contra", contravariant=True)
Answer_co = TypeVar("Answer_co", covariant=True)


class Work(Protocol[Item_contra, Answer_co]):
    """What is done to each item; it can be pickled."""

    def open(self, place: int) -> None:
        """Get ready, once in each process.

        Parameters
        ----------
        place : int
            Number of the worker on this machine, from 0.
        """

    def __call__(self, item: Item_contra, /) -> Answer_co:
        """Do it. What goes wrong with one item is part of the answer; an error ends the run."""


@dataclass(frozen=True)
class Lost:
    """Instead of an answer: the process that had the item is gone.

    Attributes
    ----------
    how : str
        How it ended, in words.
    """

    how: str


class Backend(Protocol):
    """Somewhere to work. Workers stay between calls, until the block ends.

    Attributes
    ----------
    workers : int
        Items that are worked on at a time.
    words : str
        What it is, for people.
    """

    workers: int
    words: str

    def map_unordered(
        self, work: Work[Item, Answer], items: Iterable[Item]
    ) -> Generator[tuple[Item, Answer | Lost], None, None]:
        """Each item with its answer, as answers come.

        Items are taken as they are needed. What is closed early takes no more of them.

        Raises
        ------
        Exception
            What the work raised, which is no fault of an item.
        """

    def __enter__(self) -> Backend:
        """Begin."""

    def __exit__(self, *_: object) -> None:
        """Stop every worker."""


class Serial:
    """Works in this process, one item after the other."""

    workers = 1
    words = "this process"

    def __init__(self) -> None:
        self._ready: object = None

    def map_unordered(
        self, work: Work[Item, Answer], items: Iterable[Item]
    ) -> Generator[tuple[Item, Answer | Lost], None, None]:
        """See `Backend.map_unordered`."""
        for item in items:
            if self._ready is not work:
                work.open(0)
                self._ready = work
            yield item, work(item)

    def __enter__(self) -> Serial:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left behind."""
