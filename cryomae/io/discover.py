"""From what a user names to a list of micrographs."""

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from cryomae.errors import InputError, MicrographError
from cryomae.io.files import (
    SUFFIXES,
    from_os_error,
    is_sibling,
    missing,
    natural_key,
    suffix_of,
    unsupported,
)
from cryomae.io.star_list import read_star_list, resolve
from cryomae.micrograph import MicrographRef

_Found = Iterator[MicrographRef | MicrographError]


def find_micrographs(
    inputs: Sequence[str | Path],
) -> tuple[list[MicrographRef], list[MicrographError]]:
    """List the micrographs that a user names.

    Parameters
    ----------
    inputs : sequence of str or Path
        Each a file, a glob, a folder, ``@list.txt`` (a path a line, ``#`` starts a
        comment) or a RELION STAR file of micrographs. Of a folder the direct children
        are taken, in natural order. Folders and globs leave out hidden files, files that
        are no micrographs and siblings of a micrograph (stems that end in ``_PS``,
        ``_noDW``, ``_EVN`` or ``_ODD``, unless the glob itself asks for them); a file that
        is named is always taken.

    Returns
    -------
    refs : list of MicrographRef
        In the order given, every name once. The name is the path as given (``./`` and
        doubled slashes removed), or ``rlnMicrographName`` verbatim. Files are not opened.
    errors : list of MicrographError
        What was named and is not there or not readable by its suffix.

    Raises
    ------
    InputError
        If nothing is named at all, or a list file cannot be read.
    FormatError
        If a STAR file cannot be read or lacks a column.
    """
    if isinstance(inputs, str | Path):
        inputs = [inputs]
    refs: dict[str, MicrographRef] = {}
    errors: dict[str, MicrographError] = {}
    for item in inputs:
        for found in _expand(str(item)):
            if isinstance(found, MicrographRef):
                refs.setdefault(found.name, found)
            else:
                errors.setdefault(str(found), found)
    if not refs and not errors:
        raise InputError(
            "no micrographs named", "pass files, a folder, a glob, @list.txt or a STAR file"
        )
    return list(refs.values()), list(errors.values())


def _expand(text: str) -> _Found:
    if text.startswith("@") and not os.path.exists(text):
        return _from_list(Path(text[1:]))
    if text.lower().endswith(".star") and not glob.has_magic(text):
        return _from_star(Path(text))
    if os.path.isdir(text):
        return _from_folder(Path(text))
    if glob.has_magic(text) and not os.path.lexists(text):
        return _from_glob(text)
    return iter([_named(Path(text).as_posix(), Path(text))])


def _named(
    name: str, path: Path, pixel_size: float | None = None
) -> MicrographRef | MicrographError:
    """Take a file that the user named, unless it is missing or of an unknown kind."""
    if os.path.isdir(path):
        return MicrographError("is a folder, not a micrograph", "name a file inside it", path)
    if not os.path.exists(path):
        return missing(path)
    if not suffix_of(path):
        return unsupported(path)
    return MicrographRef(name, path, pixel_size)


def _from_folder(folder: Path) -> _Found:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if not entry.is_dir()]
    except OSError as error:
        yield from_os_error(error, folder)
        return
    taken = sorted(filter(_is_wanted, names), key=natural_key)
    if not taken:
        yield MicrographError(
            "the folder holds no micrographs",
            f"folders inside it are not searched; read are {', '.join(SUFFIXES)}",
            folder,
        )
    for name in taken:
        path = folder / name
        yield MicrographRef(path.as_posix(), path)


def _from_glob(pattern: str) -> _Found:
    matches = [m for m in glob.glob(pattern, recursive=True) if not os.path.isdir(m)]
    asks_for_siblings = is_sibling(pattern)
    taken = [m for m in matches if _is_wanted(os.path.basename(m), asks_for_siblings)]
    if not taken:
        cause = f"none of the {len(matches)} matches is a micrograph" if matches else "no match"
        yield MicrographError(cause, f"check the pattern; read are {', '.join(SUFFIXES)}", pattern)
    for match in sorted(taken, key=natural_key):
        yield MicrographRef(Path(match).as_posix(), Path(match))


def _is_wanted(name: str, siblings: bool = False) -> bool:
    hidden = name.startswith(".")
    return bool(suffix_of(name)) and not hidden and (siblings or not is_sibling(name))


def _from_list(listing: Path) -> _Found:
    try:
        lines = listing.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or "not a text file"
        raise InputError(
            f"the list cannot be read: {cause}", "after @ goes a text file, a path a line", listing
        ) from error
    for line in lines:
        name = line.strip()
        if not name or name.startswith("#"):
            continue
        path = Path(name)
        if not os.path.exists(path) and os.path.exists(listing.parent / path):
            path = listing.parent / path
        yield _named(Path(name).as_posix(), path)


def _from_star(star: Path) -> _Found:
    for name, pixel_size in read_star_list(star):
        yield _named(name, resolve(name, star), pixel_size)
