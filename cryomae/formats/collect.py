"""Coordinate files, lists of them and folders of them, read with what they state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cryomae.errors import FormatError, InputError
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


@dataclass(frozen=True)
class Coordinates:
    """One coordinate file.

    Attributes
    ----------
    path : Path
        The file.
    table : DataFrame
        The columns of `Picks` (names verbatim), and all columns of a STAR file.
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
    table = picks.table
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
            f"holds pixel sizes from {low:.4g} to {high:.4g} Å, which cannot be taken together",
            "take micrographs of each pixel size on their own",
            path,
        )
    return sizes[0]
