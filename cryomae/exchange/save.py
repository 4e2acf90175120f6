"""Write picks where another program looks for them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from cryomae.atomic import atomic_folder, is_temporary
from cryomae.batch.layout import SUFFIX, output_stems
from cryomae.batch.tables import project_path, short_names
from cryomae.formats import Context, Format, cryosparc, eman2, format_named, star, write_picks
from cryomae.picks import Picks

_KEYS = {"eman": "box"}  # formats that have not the name of the program
_SHOWN = 3


@dataclass(frozen=True)
class Saved:
    """What was written.

    Attributes
    ----------
    files : dict of str to Path
        Files and folders a user needs, by what they are for.
    count : int
        Coordinate files written.
    notes : tuple of str
        What was not written, or lies there besides; a sentence each.
    """

    files: dict[str, Path]
    count: int
    notes: tuple[str, ...] = ()


def save(
    picks: Picks,
    output: Path,
    form: Format,
    context: Context,
    micrographs_star: Path | None = None,
) -> Saved:
    """Write picks to one file, or to a folder with a file a micrograph.

    All files of a folder come there together, once they are complete.

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
        STAR file of the micrographs, which RELION up to 3.1 wants named; default one that is
        written beside the picks, if the pixel sizes are known.

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
    ending = (eman2.ENDING if form is eman2.FORMAT else "") + form.suffixes[0]
    written = _write_each(
        picks, output, PurePosixPath(), ending, lambda path, part: write_picks(path, part, context)
    )
    return Saved({form.key: output}, len(written), _others(output, written.values(), ending))


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
        installed. With exposures it holds the picks of these, and the ``.csg`` for *Import
        Result Group* is written, too.
    """
    names = picks.table["micrograph"].unique().tolist()
    known = context.exposures
    short = short_names([known[name].path if name in known else name for name in names])
    short = {name: short[known[name].path if name in known else name] for name in names}
    unsized = [n for n in names if n not in context.shapes or n not in context.pixel_sizes]
    files = {"import": output / "picks.star"}
    notes: tuple[str, ...] = ()
    with atomic_folder(output) as folder:
        parts = ((short[name], part) for name, part in _each(picks))
        star.write_together(folder / "picks.star", parts)
        if find_spec("cryosparc") is None:
            notes = ("picks.cs was not written: pip install 'cryomae[cryosparc]'.",)
        elif known:
            part = Picks(picks.table[picks.table["micrograph"].isin(list(known))])
            write_picks(folder / "picks.cs", part, context)
            cryosparc.write_group(folder / "picks.csg", output / "picks.cs", len(part))
            files |= {"cs": output / "picks.cs", "group": output / "picks.csg"}
        elif unsized:
            notes = (
                f"picks.cs was not written: the size or pixel size of {len(unsized):,} of "
                f"{len(names):,} micrographs is not known (--micrographs or --exposures).",
            )
        else:
            write_picks(folder / "picks.cs", picks, context)
            files["cs"] = output / "picks.cs"
    left = {"picks.cs", "picks.csg"} - {path.name for path in files.values()}
    old = [name for name in sorted(left) if (output / name).exists()]
    if old:
        notes += (f"Of earlier picks, and still there: {' and '.join(old)}.",)
    return Saved(files, len(files), notes)


def _save_for_relion(
    picks: Picks, output: Path, context: Context, micrographs_star: Path | None
) -> Saved:
    ending, below = f"_{SUFFIX}.star", PurePosixPath("picks")
    names = picks.table["micrograph"].unique().tolist()
    sizes = {name: context.pixel_sizes.get(name) for name in names}
    files = {"relion": output / "autopick.star"}

    def write(path: Path, part: Picks) -> None:
        shape = context.shapes.get(part.table["micrograph"].iloc[0])
        star.write_picks(path, part, shape=shape)

    def write_lists(folder: Path, written: dict[str, PurePosixPath]) -> None:
        rows = [(name, project_path(output / file)) for name, file in written.items()]
        star.write_list(folder / "autopick.star", rows)
        listed = micrographs_star
        known = {name: size for name, size in sizes.items() if size}
        if listed is None and names and len(known) == len(names):
            listed = output / "micrographs.star"
            star.write_micrographs(folder / listed.name, known)
        if listed is not None:
            made = star.write_suffix_file(folder / below, SUFFIX, project_path(listed))
            files["relion31"] = output / below / made.name

    written = _write_each(picks, output, below, ending, write, write_lists)
    ours = [*written.values(), below / f"coords_suffix{ending}"]
    return Saved(files, len(written), _others(output, ours, ending))


def _write_each(
    picks: Picks,
    output: Path,
    below: PurePosixPath,
    ending: str,
    write: Callable[[Path, Picks], None],
    finish: Callable[[Path, dict[str, PurePosixPath]], None] = lambda folder, written: None,
) -> dict[str, PurePosixPath]:
    """Write a file a micrograph; give these, as seen from ``output``, by micrograph."""
    stems = output_stems(picks.table["micrograph"].unique().tolist())
    files = {name: below / f"{stem}{ending}" for name, stem in stems.items()}
    with atomic_folder(output) as folder:
        for name, part in _each(picks):
            write(folder / files[name], part)
        finish(folder, files)
    return files


def _others(output: Path, written: Collection[PurePosixPath], ending: str) -> tuple[str, ...]:
    """Say which files of the same kind lie there and are not of these picks."""
    found = (PurePosixPath(file.relative_to(output)) for file in output.rglob(f"*{ending}"))
    whole = {file for file in found if not any(is_temporary(part) for part in file.parts)}
    others = sorted(str(file) for file in whole - set(written))
    if not others:
        return ()
    shown = ", ".join(others[:_SHOWN]) + (", …" if len(others) > _SHOWN else "")
    return (
        f"Other picks are there, too, in {len(others):,} file{'' if len(others) == 1 else 's'} "
        f"({shown}), and programs may read these as well: remove them, or use another folder.",
    )


def _each(picks: Picks) -> Iterator[tuple[str, Picks]]:
    for name, part in picks.table.groupby("micrograph", sort=False):
        yield str(name), Picks(part)
