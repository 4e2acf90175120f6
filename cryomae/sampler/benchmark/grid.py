"""What a benchmark consists of: data sets × strategies × seeds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from cryomae.sampler.benchmark.datasets import DatasetError, load_dataset
from cryomae.sampler.errors import SamplerError
from cryomae.sampler.registry import create_strategy
from cryomae.sampler.strategy import Strategy


@dataclass(frozen=True)
class Job:
    """One run.

    Attributes
    ----------
    source : str
        What `load_dataset` reads.
    dataset : str
        Its name.
    strategy : str
        What `parse_strategy` reads.
    seed : int
    """

    source: str
    dataset: str
    strategy: str
    seed: int

    @property
    def file(self) -> str:
        """Where its result lies, below the folder of results."""
        parts = (quote(text, safe="=,:") for text in (self.dataset, self.strategy))
        return "/".join((*parts, f"{self.seed}.json"))


def parse_strategy(text: str) -> Strategy:
    """Strategy from ``name`` or ``name:parameter=value,parameter=value``.

    Values are read as JSON (numbers, true, null) and taken as words where they are not.

    Raises
    ------
    SamplerError
        When there is no such strategy or it does not take these parameters.
    """
    name, _, rest = text.partition(":")
    params: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise SamplerError(f"{text}: write parameters as name:parameter=value")
        try:
            params[key.strip()] = json.loads(value)
        except json.JSONDecodeError:
            params[key.strip()] = value.strip()
    return create_strategy(name.strip(), **params)


def plan(sources: Sequence[str], strategies: Sequence[str], seeds: Sequence[int]) -> list[Job]:
    """All runs, those of one seed together, so that an early stop leaves whole comparisons.

    Raises
    ------
    DatasetError, SamplerError
        When a data set cannot be read, two have one name, or a strategy does not exist.
    """
    names: dict[str, str] = {}
    for source in dict.fromkeys(sources):
        name = load_dataset(source).name
        if name in names:
            raise DatasetError(f"{source} and {names[name]} are both named {name}: rename one")
        names[name] = source
    wanted = list(dict.fromkeys(strategies))
    for text in wanted:
        parse_strategy(text)
    return [
        Job(source, name, text, seed)
        for seed in seeds
        for name, source in names.items()
        for text in wanted
    ]
