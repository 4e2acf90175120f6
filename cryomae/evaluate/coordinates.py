"""Coordinate files of one or many micrographs, and the micrographs they belong to."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cryomae.errors import FormatError, InputError
from cryomae.evaluate.names import find_clash, settle, stem
from cryomae.formats import list_formats, read_picks
from cryomae.formats.star import (
    COORDINATES,
    NAME,
    X,
    coordinate_block,
    picks_of,
    read_blocks,
)
from cryomae.io.star_list import resolve

PIXEL_SIZE = "rlnMicrographPixelSize"
SAME = 0.02
"""Pixel sizes that differ by less than this share are two estimates of the same."""

_LISTS = ("autopick.star", "manualpick.star")
_LAST_WORD = re.compile(r"_[A-Za-z]+$")


@dataclass(frozen=True)
class Coordinates:
    """One coordinate file.

    Attributes
    ----------
    path : Path
        The file.
    table : DataFrame
        ``micrograph`` (verbatim), ``x``, ``y``, ``score``, and all columns of a STAR file.
    named : bool
        Whether the file names micrographs; else its own stem stands for the name.
    pixel_size : float or None
        Å per pixel that the file states for the micrographs.
    """

    path: Path
    table: pd.DataFrame
    named: bool
    pixel_size: float | None


def read_coordinates(path: Path, name: str | None = None) -> Coordinates:
    """Read one file; ``name`` is its micrograph if a list says so."""
    own, size = pd.DataFrame(), None
    if path.suffix.lower() == ".star":
        blocks = read_blocks(path)
        own = coordinate_block(blocks, path).reset_index(drop=True)
        picks = picks_of(own, path)
        size = _stated_pixel_size([blocks.get("optics", own), own], path)
    else:
        picks = read_picks(path)
    table = picks.table.drop(columns=["diameter", "provenance"])
    named = name is not None or NAME in own or bool((table["micrograph"] != path.stem).any())
    if name is not None:
        table = table.assign(micrograph=name)
    return Coordinates(path, pd.concat([table, own], axis=1), named, size)


def read_all(path: Path) -> list[Coordinates]:
    """Read a coordinate file, a list of them as RELION writes it, or a folder of them.

    Of a folder that holds such a list, the list is taken; else all coordinate files below.
    """
    if path.is_dir():
        for name in _LISTS:
            if (path / name).is_file():
                return read_all(path / name)
        return _read_folder(path)
    if not path.exists():
        raise InputError("no such file or folder", "check the name", path)
    try:
        return [read_coordinates(path)]
    except FormatError:
        rows = _listed(path)
        if rows is None:
            raise
    return [read_coordinates(resolve(file, path), name) for name, file in rows]


def _read_folder(folder: Path) -> list[Coordinates]:
    suffixes = {suffix for form in list_formats() for suffix in form.suffixes}
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in suffixes and f.is_file())
    found, first = [], None
    for file in files:
        try:
            found.append(read_coordinates(file))
        except FormatError as error:  # lists, jobs and the like lie there too
            if _has_coordinates(file):
                raise
            first = first or error
    if not found:
        raise first or InputError(
            "the folder holds no coordinate file", f"read are {', '.join(sorted(suffixes))}", folder
        )
    return found


def _has_coordinates(path: Path) -> bool:
    with open(path, encoding="utf-8", errors="replace") as lines:
        return any(line.lstrip("_ ").startswith(X) for line in lines)


def _listed(path: Path) -> list[tuple[str, str]] | None:
    """Micrograph and coordinate file of each row of RELION's list; None if it is no such list."""
    try:
        tables = read_blocks(path).values()
    except FormatError:
        return None
    for table in tables:
        if NAME in table and COORDINATES in table:
            return list(zip(table[NAME], table[COORDINATES].astype(str), strict=True))
    return None


def _stated_pixel_size(tables: Iterable[pd.DataFrame], path: Path) -> float | None:
    for table in tables:
        if PIXEL_SIZE in table and len(table):
            sizes = pd.to_numeric(table[PIXEL_SIZE], errors="coerce")
            return one_pixel_size(sizes.tolist(), path)
    return None


def one_pixel_size(sizes: list[float], path: Path) -> float:
    """Give the one pixel size of many; refuse several that are really different."""
    low, high = min(sizes), max(sizes)
    if not low > 0:
        raise FormatError("a pixel size is not a positive number", "correct that row", path)
    if high > low * (1 + SAME):
        raise InputError(
            f"holds pixel sizes from {low:.4g} to {high:.4g} Å, where one radius cannot fit all",
            "evaluate micrographs of each pixel size on their own",
            path,
        )
    return sizes[0]


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
