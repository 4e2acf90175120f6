"""Coordinates of many files joined into one table, by micrograph."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from cryomae.errors import InputError
from cryomae.formats.collect import Coordinates
from cryomae.names import find_clash, settle, stem

_LAST_WORD = re.compile(r"_[A-Za-z]+$")


def join(files: list[Coordinates], known: Collection[str] = ()) -> pd.DataFrame:
    """Join files into one table whose ``micrograph`` is the stem of the micrograph.

    Parameters
    ----------
    files : list of Coordinates
        Files; none of them may speak of a micrograph that another speaks of.
    known : collection of str
        Stems of micrographs, to tell what a file belongs to that names none.
    """
    owner: dict[str, Path] = {}
    parts = []
    for file in files:
        verbatim = file.table["micrograph"]
        clash = find_clash(verbatim.unique())
        if clash:
            raise InputError(
                f"names two micrographs of one file name: {clash[0]} and {clash[1]}",
                "evaluate each folder of micrographs on its own",
                file.path,
            )
        stems = {n: stem(n) if file.named else settle(n, known) for n in verbatim.unique()}
        for name in stems.values():
            other = owner.setdefault(name, file.path)
            if other != file.path:
                raise InputError(
                    f"holds coordinates of '{name}', and so does {other}",
                    "give one of the two",
                    file.path,
                )
        parts.append(file.table.assign(micrograph=verbatim.map(stems)))
    filled = [part for part in parts if len(part)] or parts[:1]
    return pd.concat(filled, ignore_index=True)


def stems_of(files: list[Coordinates]) -> set[str]:
    """Stems that files may stand for; of a file without names also less its last word."""
    stems: set[str] = set()
    for file in files:
        own = {stem(name) for name in file.table["micrograph"].unique()}
        stems |= own if file.named else own | {_LAST_WORD.sub("", name) for name in own}
    return stems
