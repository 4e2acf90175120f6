"""Read picks of any format and find the micrographs they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from cryomae.errors import InputError, MicrographError
from cryomae.formats import Context
from cryomae.formats.collect import SAME, Coordinates, coordinate_files, read_all
from cryomae.formats.exposures import Exposure, load_exposures, match_exposures
from cryomae.io import find_micrographs, read_header
from cryomae.io.star_list import resolve
from cryomae.micrograph import MicrographRef
from cryomae.names import nearest, settle, stem
from cryomae.picks import COLUMNS, Picks

_SHOWN = 5


@dataclass(frozen=True)
class Loaded:
    """Picks as they stand in files, and what is known of their micrographs.

    Attributes
    ----------
    picks : Picks
        With the micrographs' own names where those are known.
    refs : dict of str to MicrographRef
        Micrographs that were found, by name.
    context : Context
        Their sizes and pixel sizes.
    notes : tuple of str
        What a user should know, a sentence each.
    """

    picks: Picks
    refs: dict[str, MicrographRef]
    context: Context
    notes: tuple[str, ...]


def load(
    path: Path,
    micrographs: str | None = None,
    box: int | None = None,
    exposures: Path | None = None,
) -> Loaded:
    """Read picks, and the headers of their micrographs.

    Parameters
    ----------
    path : Path
        A coordinate file of any format, RELION's list of such files, a folder of them or a
        folder of ``cryomae pick``.
    micrographs : str, optional
        Folder, glob or STAR file of the micrographs; default the files that the picks name,
        where they are there.
    box : int, optional
        Side in pixels of boxes to write.
    exposures : Path, optional
        The micrographs as cryoSPARC lists them, a ``.csg`` or ``.cs``.

    Returns
    -------
    Loaded
        Picks of micrographs that were not found keep the name they came with.

    Raises
    ------
    FormatError
        If a file cannot be read.
    InputError
        If it cannot be told which of two micrographs picks belong to.
    """
    files = read_all(path)
    notes = _empty(path)
    if micrographs is None:
        names = [name for file in files if file.named for name in file.table["micrograph"].unique()]
        found = [MicrographRef(name, resolve(name, path)) for name in dict.fromkeys(names)]
        refs = {ref.name: ref for ref in found if ref.path.is_file()}
        same = [{name: name for name in file.table["micrograph"].unique()} for file in files]
        picks = _joined(files, same)
        gone = [ref.name for ref in found if ref.name not in refs]
        if gone:
            notes.append(
                _counted(
                    gone,
                    "micrograph that the picks name is not there, so it is not known whether they "
                    "lie inside",
                    "micrographs that the picks name are not there, so it is not known whether "
                    "they lie inside",
                )
            )
    else:
        listed, failures = find_micrographs([micrographs])
        if not listed:
            raise failures[0]
        refs = {ref.name: ref for ref in listed}
        picks, more = _settle(files, refs, micrographs)
        notes += more
    shapes, sizes, unread = _measure(
        [refs[n] for n in picks.table["micrograph"].unique() if n in refs]
    )
    if unread:
        notes.append(_counted(unread, "micrograph cannot be read", "micrographs cannot be read"))
    stated = {name: size for file in files for name, size in file.pixel_sizes.items()}
    kept = {name: ref for name, ref in refs.items() if name in shapes}
    known: dict[str, Exposure] = {}
    if exposures is not None:
        known, more = _exposures(picks, exposures, shapes)
        notes += more
        shapes = {name: exposure.shape for name, exposure in known.items()} | shapes
        sizes = {name: exposure.pixel_size for name, exposure in known.items()} | sizes
    sizes = stated | sizes
    notes += _mixed([sizes[n] for n in picks.table["micrograph"].unique() if n in sizes])
    return Loaded(picks, kept, Context(shapes, sizes, box, known), tuple(notes))


def _mixed(sizes: Sequence[float]) -> list[str]:
    """Say so if micrographs have different pixel sizes: what is given in pixels holds for all."""
    if not sizes or max(sizes) <= min(sizes) * (1 + SAME):
        return []
    return [
        f"{len(sizes):,} micrographs have pixel sizes from {min(sizes):.4g} to {max(sizes):.4g} Å; "
        "coordinates stay in pixels of each, and --scale and --box are the same for all."
    ]


def _exposures(
    picks: Picks, path: Path, shapes: dict[str, tuple[int, int]]
) -> tuple[dict[str, Exposure], list[str]]:
    """Find the exposures of picks; refuse those whose files have other pixels."""
    names = picks.table["micrograph"].unique().tolist()
    known, missing = match_exposures(names, load_exposures(path), path)
    for name, exposure in known.items():
        if shapes.get(name, exposure.shape) != exposure.shape:
            (ny, nx), (rows, columns) = shapes[name], exposure.shape
            raise InputError(
                f"'{name}' has {nx} × {ny} pixels, and {columns} × {rows} in cryoSPARC",
                "name cryoSPARC's own files with --micrographs, and use --scale",
                path,
            )
    if not missing:
        return known, []
    one = "micrograph is no exposure of cryoSPARC, and its picks are left out of picks.cs"
    many = "micrographs are no exposures of cryoSPARC, and their picks are left out of picks.cs"
    return known, [_counted(missing, one, many)]


def _empty(path: Path) -> list[str]:
    """Say which files have no content at all: perhaps a program was stopped in writing them."""
    files = coordinate_files(path) if path.is_dir() else [path]
    empty = [str(file) for file in files if not file.stat().st_size]
    return [_counted(empty, "file is empty", "files are empty")] if empty else []


def _joined(files: Sequence[Coordinates], names: Sequence[dict[str, str]]) -> Picks:
    """Join files under new names; two files that speak of one micrograph are refused."""
    owner: dict[str, Path] = {}
    parts = []
    for file, new in zip(files, names, strict=True):
        for name in new.values():
            if owner.setdefault(name, file.path) != file.path:
                raise InputError(
                    f"holds picks of '{name}', and so does {owner[name]}",
                    "give one of the two",
                    file.path,
                )
        table = file.table[list(COLUMNS)]
        parts.append(table.assign(micrograph=table["micrograph"].map(new).astype(object)))
    filled = [part for part in parts if len(part)] or parts[:1]
    return Picks(pd.concat(filled, ignore_index=True))


def _settle(
    files: Sequence[Coordinates], refs: dict[str, MicrographRef], given: str
) -> tuple[Picks, list[str]]:
    """Give picks the names of the micrographs, by file name where folders differ."""
    by_stem: dict[str, list[str]] = {}
    for name in refs:
        by_stem.setdefault(stem(name), []).append(name)
    missing: list[str] = []
    renamed = []
    for file in files:
        known: dict[str, str] = {}
        for name in file.table["micrograph"].unique():
            known[name] = _meant(name, file, refs, by_stem)
            if known[name] not in refs:
                missing.append(name)
        _check_distinct(known, file.path)
        renamed.append(known)
    if missing and len(missing) == sum(file.table["micrograph"].nunique() for file in files):
        raise InputError(
            f"none of the micrographs of the picks is there ({', '.join(missing[:_SHOWN])})",
            "compare the file names; only folders and suffixes may differ",
            given,
        )
    notes = []
    if missing:
        notes.append(
            _counted(
                missing,
                "micrograph of the picks was not found and keeps its name",
                "micrographs of the picks were not found and keep their names",
            )
        )
    return _joined(files, renamed), notes


def _meant(
    name: str, file: Coordinates, refs: dict[str, MicrographRef], by_stem: dict[str, list[str]]
) -> str:
    """Name of the micrograph that ``name`` of a file means; itself if there is none."""
    if name in refs:
        return name
    last = PurePosixPath(name).name
    short = stem(name) if file.named else settle(last, by_stem)
    place = name if file.named else file.path.with_name(short).as_posix()
    near = nearest(place, by_stem.get(short, []))
    if len(near) > 1:
        raise InputError(
            f"'{name}' may mean {near[0]} or {near[1]}",
            "give the micrographs of one folder with --micrographs",
            file.path,
        )
    return near[0] if near else name


def _check_distinct(known: dict[str, str], path: Path) -> None:
    """Refuse to take picks of two micrographs for those of one."""
    owner: dict[str, str] = {}
    for name, meant in known.items():
        if owner.setdefault(meant, name) != name:
            raise InputError(
                f"'{owner[meant]}' and '{name}' would both be {meant}",
                "give the micrographs of all folders with --micrographs",
                path,
            )


def _measure(
    refs: Sequence[MicrographRef],
) -> tuple[dict[str, tuple[int, int]], dict[str, float], list[str]]:
    shapes: dict[str, tuple[int, int]] = {}
    sizes: dict[str, float] = {}
    unread = []
    for ref in refs:
        try:
            header = read_header(ref.path)
        except MicrographError:
            unread.append(ref.name)
            continue
        shapes[ref.name] = header.shape
        size = ref.pixel_size or header.pixel_size
        if size is not None:
            sizes[ref.name] = size
    return shapes, sizes, unread


def _counted(names: Sequence[str], one: str, many: str) -> str:
    shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    return f"{len(names):,} {one if len(names) == 1 else many}: {shown}"
