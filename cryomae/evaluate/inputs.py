"""From what a user names to what `evaluate` takes: names settled, lengths known."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryomae.errors import InputError, MicrographError
from cryomae.evaluate.coordinates import join, stems_of
from cryomae.evaluate.sources import (
    PickSource,
    TruthSource,
    as_picks,
    as_truth,
    read_pick_source,
    read_truth_source,
)
from cryomae.evaluate.truth import Truth
from cryomae.formats.collect import SAME, one_pixel_size
from cryomae.io import find_micrographs, read_header
from cryomae.io.star_list import resolve
from cryomae.micrograph import MicrographRef
from cryomae.names import stem
from cryomae.picks import Picks


@dataclass(frozen=True)
class Options:
    """What a user may say beside picks and truth.

    Attributes
    ----------
    diameter, pixel_size : float or None
        Å, and Å per pixel of the truth's micrographs.
    threshold : float or None
        Score of the operating point.
    scale : float or None
        Factor from the picks' pixels to the truth's.
    contaminants : Path or None
        Table of contaminants.
    micrographs : str or None
        Folder, glob or STAR file of micrographs.
    """

    diameter: float | None = None
    pixel_size: float | None = None
    threshold: float | None = None
    scale: float | None = None
    contaminants: Path | None = None
    micrographs: str | None = None


@dataclass(frozen=True)
class Inputs:
    """What `evaluate` takes, and where it came from.

    Attributes
    ----------
    picks_path, truth_path : Path
        Files or folders.
    picks : Picks
    truth : Truth
    diameter, pixel_size : float
        Å, and Å per pixel.
    threshold : float or None
    scale : float
        The picks' coordinates have been multiplied by it.
    origins : dict of str to str
        Where diameter, pixel size and threshold came from, in words.
    micrographs : dict of str to MicrographRef
        Files of labelled micrographs that are there, by stem.
    shapes : dict of str to (int, int)
        Their rows and columns.
    notes : tuple of str
        What was assumed, for people.
    """

    picks_path: Path
    truth_path: Path
    picks: Picks
    truth: Truth
    diameter: float
    pixel_size: float
    threshold: float | None
    scale: float
    origins: dict[str, str]
    micrographs: dict[str, MicrographRef]
    shapes: dict[str, tuple[int, int]]
    notes: tuple[str, ...]


def gather(picks_path: Path, truth_path: Path, options: Options) -> Inputs:
    """Read picks and truth and settle names, diameter, pixel size and threshold.

    Raises
    ------
    InputError
        If a length cannot be known, or picks and truth contradict each other.
    FormatError
        If a file cannot be read or lacks a column.
    """
    source = read_pick_source(picks_path)
    known = read_truth_source(truth_path, options.contaminants)
    notes = [*known.notes, *source.notes]
    of_truth = join(known.files, stems_of(source.files))
    truth = as_truth(known, of_truth)
    scale = 1.0 if options.scale is None else options.scale
    picks = as_picks(join(source.files, truth.micrographs), scale)
    if source.asked is not None:
        asked = {stem(name) for name in source.asked}
        others = len(set(truth.micrographs) - asked)
        if others and asked & set(truth.micrographs):
            truth = truth.only(asked)
            notes.append(
                f"{others:,} of {others + len(truth.micrographs):,} labelled micrographs were not "
                "part of the run and are left out."
            )
    micrographs = _locate(source, known, truth, options.micrographs)
    shapes, header_size = _look_at(micrographs)
    pixel_size, size_from = _pixel_size(source, known, options, header_size)
    diameter, diameter_from = _diameter(source, known, options)
    threshold, threshold_from = options.threshold, "--threshold"
    if threshold is None:
        threshold = source.threshold
        threshold_from = "the run" if threshold is not None else "all picks given"
    return Inputs(
        picks_path,
        known.path,
        picks,
        truth,
        diameter,
        pixel_size,
        threshold,
        scale,
        {"diameter": diameter_from, "pixel_size": size_from, "threshold": threshold_from},
        micrographs,
        shapes,
        tuple(notes),
    )


def _diameter(source: PickSource, known: TruthSource, options: Options) -> tuple[float, str]:
    for value, origin in (
        (options.diameter, "--diameter"),
        (known.diameter, "simulation.yaml"),
        (source.diameter, "the run of cryomae pick"),
    ):
        if value is not None:
            return value, origin
    raise InputError(
        "the particle diameter is not known", "pass --diameter in Å, such as --diameter 180"
    )


def _pixel_size(
    source: PickSource, known: TruthSource, options: Options, header: float | None
) -> tuple[float, str]:
    stated = next((file.pixel_size for file in known.files if file.pixel_size), None)
    of_truth = [
        (stated, f"the optics of {known.path.name}"),
        (known.pixel_size, "simulation.yaml"),
        (header, "the micrographs"),
    ]
    if options.pixel_size is not None:
        return options.pixel_size, "--pixel-size"
    for value, origin in of_truth:
        if value is None:
            continue
        ratio = 1.0 if source.pixel_size is None else source.pixel_size / value
        if options.scale is None and abs(ratio - 1) > SAME:
            raise InputError(
                f"the picks are of {source.pixel_size:.4g} Å per pixel, the truth is of "
                f"{value:.4g} Å ({origin})",
                f"pass --scale {ratio:.5g} if the picks were made on binned micrographs, or "
                "--pixel-size if both are of the same files",
                source.path,
            )
        return value, origin
    if source.pixel_size is not None:
        return source.pixel_size / (options.scale or 1.0), "the picks"
    raise InputError(
        "the pixel size is not known: neither the truth nor a micrograph states it",
        "pass --pixel-size in Å, or the micrographs with --micrographs",
        known.path,
    )


def _locate(
    source: PickSource, known: TruthSource, truth: Truth, given: str | None
) -> dict[str, MicrographRef]:
    """Files of labelled micrographs, by stem; what the user names must be there."""
    if given is not None:
        refs, errors = find_micrographs([given])
        if not refs:
            raise errors[0]
    elif known.micrographs_star is not None:
        refs, _ = find_micrographs([known.micrographs_star])
    else:
        names = [n for f in (*known.files, *source.files) for n in f.table["micrograph"].unique()]
        refs = _existing(names, known.path)
    wanted = set(truth.micrographs)
    found = {stem(ref.name): ref for ref in reversed(refs) if stem(ref.name) in wanted}
    if given is not None and not found:
        raise InputError(
            "none of these micrographs is one that the truth names",
            "check --micrographs; it is not needed but for the pictures",
            given,
        )
    return found


def _existing(names: Iterable[str], beside: Path) -> list[MicrographRef]:
    """Files of these names, also looked for in a folder ``micrographs`` beside the truth."""
    refs = []
    for name in names:
        path = resolve(name, beside)
        neighbour = beside.parent / "micrographs" / Path(name).name
        path = path if os.path.isfile(path) else neighbour
        if os.path.isfile(path):
            refs.append(MicrographRef(name, path))
    return refs


def _look_at(
    micrographs: dict[str, MicrographRef],
) -> tuple[dict[str, tuple[int, int]], float | None]:
    """Shapes of micrographs, and the pixel size that STAR file or headers state."""
    shapes, sizes = {}, []
    for name, ref in micrographs.items():
        try:
            header = read_header(ref.path)
        except MicrographError:  # only pictures and sizes are lost; figures do not need it
            continue
        shapes[name] = header.shape
        size = ref.pixel_size or header.pixel_size
        if size is not None:
            sizes.append(size)
    first = next(iter(micrographs.values()), None)
    return shapes, one_pixel_size(sizes, first.path) if first and sizes else None
