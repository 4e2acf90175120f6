"""Coordinate files, lists of them and folders of them, read with what they state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from cryomae.atomic import is_temporary
from cryomae.errors import FormatError, InputError, NoCoordinatesError
from cryomae.formats import format_of, list_formats, read_picks
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
GROUP = "rlnOpticsGroup"
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
    pixel_sizes : mapping of str to float
        Å per pixel that the file states, by micrograph.
    """

    path: Path
    table: pd.DataFrame
    named: bool
    pixel_sizes: Mapping[str, float] = field(default_factory=dict)

    @property
    def pixel_size(self) -> float | None:
        """The one pixel size of all micrographs, if any is stated.

        Raises
        ------
        InputError
            If there are several.
        """
        sizes = list(self.pixel_sizes.values())
        return one_pixel_size(sizes, self.path) if sizes else None


def read_coordinates(path: Path, name: str | None = None) -> Coordinates:
    """Read one file; ``name`` is its micrograph if a list says so."""
    own, optics = pd.DataFrame(), None
    if path.suffix.lower() == ".star":
        blocks = read_blocks(path)
        own, optics = coordinate_block(blocks, path).reset_index(drop=True), blocks.get("optics")
        picks = picks_of(own, path)
    else:
        picks = read_picks(path)
    table = picks.table
    spoken = NAME in own or bool((table["micrograph"] != path.stem).any())
    named = name is not None or (spoken and format_of(path).many)
    if name is not None:
        table = table.assign(micrograph=name)
    sizes = _stated_pixel_sizes(optics, own, table["micrograph"], path)
    return Coordinates(path, pd.concat([table, own], axis=1), named, sizes)


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


def coordinate_files(folder: Path) -> list[Path]:
    """Files below a folder whose suffix is one of a format, less those left unfinished."""
    suffixes = {suffix for form in list_formats() for suffix in form.suffixes}
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in suffixes
        and not any(is_temporary(part) for part in file.relative_to(folder).parts)
        and file.is_file()
    )


def _read_folder(folder: Path) -> list[Coordinates]:
    found, first = [], None
    for file in coordinate_files(folder):
        try:
            found.append(read_coordinates(file))
        except NoCoordinatesError as error:  # lists, jobs and the like lie there too
            first = first or error
        except FormatError:
            if file.suffix.lower() != ".star" or _has_coordinates(file):
                raise
    if not found:
        suffixes = sorted({suffix for form in list_formats() for suffix in form.suffixes})
        raise first or InputError(
            "the folder holds no coordinate file", f"read are {', '.join(suffixes)}", folder
        )
    return _tell_apart(found, folder)


def _tell_apart(files: list[Coordinates], folder: Path) -> list[Coordinates]:
    """Put folders before the names of files that are called alike in several folders."""
    kept = {file.path: file for file in files}
    unnamed = [file for file in files if not file.named and len(file.table)]
    places: dict[str, set[Path]] = {}
    for file in unnamed:
        places.setdefault(file.table["micrograph"].iloc[0], set()).add(file.path.parent)
    for file in unnamed:
        name = file.table["micrograph"].iloc[0]
        if len(places[name]) > 1:
            below = (file.path.parent.relative_to(folder) / name).as_posix()
            kept[file.path] = replace(file, table=file.table.assign(micrograph=below))
    return list(kept.values())


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


def _stated_pixel_sizes(
    optics: pd.DataFrame | None, own: pd.DataFrame, names: pd.Series, path: Path
) -> dict[str, float]:
    if not len(own):
        return {}
    if optics is not None and PIXEL_SIZE in optics and len(optics):
        sizes = pd.to_numeric(optics[PIXEL_SIZE], errors="coerce")
        if GROUP in own and GROUP in optics:
            sizes = own[GROUP].map(dict(zip(optics[GROUP], sizes, strict=True)))
        else:
            sizes = pd.Series(one_pixel_size(sizes.tolist(), path), index=own.index)
    elif PIXEL_SIZE in own:
        sizes = pd.to_numeric(own[PIXEL_SIZE], errors="coerce")
    else:
        return {}
    return {
        str(name): one_pixel_size(part.tolist(), path)
        for name, part in sizes.groupby(names.to_numpy(), sort=False)
    }


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
