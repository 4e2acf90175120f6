"""What a coordinate format is, and which are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryomae.errors import FormatError, InputError, NoCoordinatesError
from cryomae.formats.exposures import Exposure
from cryomae.picks import Picks


@dataclass(frozen=True)
class Context:
    """What some formats write of the micrographs, and picks do not hold.

    Attributes
    ----------
    shapes : mapping of str to (int, int)
        Rows and columns (ny, nx) by micrograph name.
    pixel_sizes : mapping of str to float
        Å per pixel by micrograph name.
    box : int or None
        Side in pixels of the boxes that box formats draw; even.
    exposures : mapping of str to Exposure
        The micrographs as cryoSPARC knows them, by micrograph name.
    """

    shapes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    pixel_sizes: Mapping[str, float] = field(default_factory=dict)
    box: int | None = None
    exposures: Mapping[str, Exposure] = field(default_factory=dict)

    def shape(self, micrograph: str, path: Path) -> tuple[int, int]:
        """Rows and columns of a micrograph; an error that asks for it if unknown."""
        if micrograph not in self.shapes:
            raise InputError(
                f"the size of micrograph '{micrograph}' is needed and not known",
                "name the micrographs with --micrographs",
                path,
            )
        return self.shapes[micrograph]

    def side(self, path: Path) -> int:
        """Side of the boxes; an error that asks for it if unknown."""
        if self.box is None:
            raise InputError("the box size is needed and not known", "give --box, in pixels", path)
        return self.box


@dataclass(frozen=True)
class Format:
    """One file format of coordinates.

    Attributes
    ----------
    name : str
        What users call it.
    key : str
        The word for it on the command line.
    suffixes : tuple of str
        Lower-case file suffixes, with the dot; the first is written.
    read : callable
        ``read(path) -> Picks``.
    write : callable
        ``write(path, picks, context)``.
    many : bool
        Whether one file holds the picks of many micrographs; else the name of the file
        says which micrograph it belongs to.
    header : bool
        Whether a file without picks still has content; else it is empty.
    """

    name: str
    key: str
    suffixes: tuple[str, ...]
    read: Callable[[Path], Picks]
    write: Callable[[Path, Picks, Context], None]
    many: bool
    header: bool = True


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


def format_named(key: str) -> Format:
    """Find a format by its word on the command line."""
    for form in _FORMATS.values():
        if form.key == key:
            return form
    known = ", ".join(sorted(form.key for form in set(_FORMATS.values())))
    raise InputError(f"'{key}' is not a known coordinate format", f"use one of: {known}")


def format_of(path: Path) -> Format:
    """Find the format that a file's suffix stands for."""
    form = _FORMATS.get(path.suffix.lower())
    if form is None:
        known = ", ".join(sorted(_FORMATS))
        cause = f"'{path.suffix}' is not a known coordinate format"
        if not path.suffix:
            cause = "the name has no ending, which says the format"
        raise FormatError(cause, f"use one of: {known}", path)
    return form


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
    form, file = format_of(Path(path)), Path(path)
    if form.header and file.is_file() and not file.stat().st_size:
        raise NoCoordinatesError("the file is empty", "write it again", path)
    return form.read(file)


def write_picks(path: str | Path, picks: Picks, context: Context | None = None) -> None:
    """Write a coordinate file, whole or not at all; its suffix says which format.

    Parameters
    ----------
    path : str or Path
        File to write.
    picks : Picks
        Of one micrograph if the format holds one.
    context : Context, optional
        Sizes that the format may need.

    Raises
    ------
    InputError
        If the format needs a size that the context lacks, or holds one micrograph and
        there are several.
    FormatError
        If the format is unknown, or a coordinate or score is not a number.
    """
    form, path = format_of(Path(path)), Path(path)
    names = picks.table["micrograph"].unique()
    if not form.many and len(names) > 1:
        raise InputError(
            f"{form.name} holds one micrograph a file, and there are {len(names)}",
            "write into a folder, one file a micrograph",
            path,
        )
    form.write(path, picks, context or Context())
