"""Coordinates in and out, one module a format, chosen by the file's suffix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryomae.errors import FormatError
from cryomae.formats import star
from cryomae.picks import Picks

__all__ = ["Format", "list_formats", "read_picks", "register", "write_picks"]


@dataclass(frozen=True)
class Format:
    """One file format of coordinates.

    Attributes
    ----------
    name : str
        What users call it.
    suffixes : tuple of str
        Lower-case file suffixes, with the dot.
    read : callable
        ``read(path) -> Picks``.
    write : callable
        ``write(path, picks)``.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[Path], Picks]
    write: Callable[[Path, Picks], None]


_FORMATS: dict[str, Format] = {}


def register(form: Format) -> Format:
    """Make a format known under each of its suffixes."""
    for suffix in form.suffixes:
        if suffix in _FORMATS:
            raise ValueError(f"suffix {suffix} already belongs to {_FORMATS[suffix].name}")
        _FORMATS[suffix] = form
    return form


def list_formats() -> list[Format]:
    """Known formats, by name."""
    return sorted(set(_FORMATS.values()), key=lambda form: form.name)


def read_picks(path: str | Path) -> Picks:
    """Read a coordinate file; its suffix says which format it has.

    Parameters
    ----------
    path : str or Path
        File to read.

    Returns
    -------
    Picks
        Coordinates in pixels of the micrograph file. What the file does not say is
        filled in: score 1, diameter NaN, the file's stem as micrograph name.
    """
    return _format_of(Path(path)).read(Path(path))


def write_picks(path: str | Path, picks: Picks) -> None:
    """Write a coordinate file, whole or not at all; its suffix says which format."""
    _format_of(Path(path)).write(Path(path), picks)


def _format_of(path: Path) -> Format:
    form = _FORMATS.get(path.suffix.lower())
    if form is None:
        known = ", ".join(sorted(_FORMATS))
        raise FormatError(
            f"'{path.suffix}' is not a known coordinate format", f"use one of: {known}", path
        )
    return form


register(Format("RELION STAR", (".star",), star.read_picks, star.write_picks))
