"""Write picks where another program looks for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from cryomae.batch.layout import Layout
from cryomae.batch.result import Outcome
from cryomae.batch.tables import short_names, write_relion_lists
from cryomae.formats import Context, Format, eman2, format_named, star, write_picks
from cryomae.picks import Picks

_KEYS = {"eman": "box"}  # formats that have not the name of the program


@dataclass(frozen=True)
class Saved:
    """What was written.

    Attributes
    ----------
    files : dict of str to Path
        Files and folders a user needs, by what they are for.
    count : int
        Coordinate files written.
    """

    files: dict[str, Path]
    count: int


def save(
    picks: Picks,
    output: Path,
    form: Format,
    context: Context,
    micrographs_star: Path | None = None,
) -> Saved:
    """Write picks to one file, or to a folder with a file a micrograph.

    Parameters
    ----------
    picks : Picks
        Of any number of micrographs.
    output : Path
        A file if its suffix is one of the format's; else a folder, where the micrographs keep
        their own folders.
    form : Format
        What to write.
    context : Context
        Sizes that some formats need.
    micrographs_star : Path, optional
        STAR file of the micrographs, which RELION up to 3.1 wants named.

    Raises
    ------
    InputError
        If the format needs something that the context lacks.
    OutputError
        If a file cannot be written.
    """
    if output.suffix.lower() in form.suffixes:
        write_picks(output, picks, context)
        return Saved({form.key: output}, 1)
    if form is star.FORMAT:
        return _save_for_relion(picks, output, context, micrographs_star)
    if form.many:
        path = output / f"picks{form.suffixes[0]}"
        write_picks(path, picks, context)
        return Saved({form.key: path}, 1)
    ending = eman2.ENDING if form is eman2.FORMAT else ""
    layout = Layout(output, picks.table["micrograph"].unique().tolist())
    count = 0
    for name, part in _each(picks):
        stem = layout.stem(name)
        write_picks(output / stem.parent / f"{stem.name}{ending}{form.suffixes[0]}", part, context)
        count += 1
    return Saved({form.key: output}, count)


def save_for(
    program: str,
    picks: Picks,
    output: Path,
    context: Context,
    micrographs_star: Path | None = None,
) -> Saved:
    """Write picks to a folder the way a program reads them.

    Parameters
    ----------
    program : str
        ``relion``, ``cryosparc``, ``eman``, ``eman2``, ``cryolo`` or ``topaz``.
    picks, output, context, micrographs_star
        See `save`.
    """
    if program == "cryosparc":
        return save_for_cryosparc(picks, output, context)
    form = format_named(_KEYS.get(program, program))
    return save(picks, output, form, context, micrographs_star)


def save_for_cryosparc(picks: Picks, output: Path, context: Context) -> Saved:
    """Write one STAR file for cryoSPARC's *Import Particle Stack*, and a ``.cs`` if it can be.

    Parameters
    ----------
    picks : Picks
        Of any number of micrographs.
    output : Path
        Folder.
    context : Context
        Sizes and pixel sizes; a ``.cs`` is written if all are known and cryosparc-tools is
        installed.
    """
    short = short_names(picks.table["micrograph"].unique().tolist())
    path = output / "picks.star"
    star.write_together(path, ((short[name], part) for name, part in _each(picks)))
    files = {"import": path}
    known = all(name in context.shapes and name in context.pixel_sizes for name in short)
    if known and find_spec("cryosparc") is not None:
        files["cs"] = output / "picks.cs"
        write_picks(files["cs"], picks, context)
    return Saved(files, len(files))


def _save_for_relion(
    picks: Picks, output: Path, context: Context, micrographs_star: Path | None
) -> Saved:
    names = picks.table["micrograph"].unique().tolist()
    layout = Layout(output, names)
    outcomes = []
    for name, part in _each(picks):
        path = layout.picks(name)
        star.write_picks(path, part, shape=context.shapes.get(name))
        outcomes.append(Outcome(name, "picked", picks=len(part), picks_file=path))
    return Saved(write_relion_lists(layout, outcomes, micrographs_star), len(outcomes))


def _each(picks: Picks) -> Iterator[tuple[str, Picks]]:
    for name, part in picks.table.groupby("micrograph", sort=False):
        yield str(name), Picks(part)
