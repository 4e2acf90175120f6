"""From what a user names to picks, micrographs and sizes that fit together."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cryomae.batch.record import read_config
from cryomae.errors import InputError, MicrographError
from cryomae.exchange import load
from cryomae.formats.collect import one_pixel_size
from cryomae.io import find_micrographs, read_header
from cryomae.io.pixel_size import checked_option
from cryomae.io.star_list import resolve
from cryomae.micrograph import MicrographRef
from cryomae.names import stem
from cryomae.orientation import Verdict, check
from cryomae.picks import Picks
from cryomae.transforms import Transform

_BOX = 1.5  # diameters: the circle of RELION's normalisation then lies outside the particle
_SHOWN = 5


@dataclass(frozen=True)
class Options:
    """What a user may say beside the picks.

    Attributes
    ----------
    micrographs : str or None
        Folder, glob or STAR file; default the files that the picks name.
    diameter : float or None
        Å; default that of the run of ``cryomae pick``, else two thirds of the box.
    box : int or None
        Side of a box in pixels of the micrograph, even; default 1.5 diameters.
    scale_to : int or None
        Side to which boxes are Fourier-cropped, even.
    pixel_size : float or None
        Å per pixel of the micrographs; default as STAR file or headers say.
    threshold : float or None
        Least score.
    most : int or None
        Number of picks to take at most.
    at_random : bool
        Take these at random, not the best.
    seed : int
        Of that draw, of the groups and of the examples in pictures.
    invert : bool
        Make dark particles white.
    groups : int
        Number of groups; 0 for none.
    drop : tuple of int
        Groups of an earlier run to leave out.
    """

    micrographs: str | None = None
    diameter: float | None = None
    box: int | None = None
    scale_to: int | None = None
    pixel_size: float | None = None
    threshold: float | None = None
    most: int | None = None
    at_random: bool = False
    seed: int = 0
    invert: bool = True
    groups: int = 8
    drop: tuple[int, ...] = ()


@dataclass(frozen=True)
class Inputs:
    """What is to be cut.

    Attributes
    ----------
    picks : DataFrame
        ``micrograph`` (name as its list gives it), ``x`` and ``y`` (whole pixels, truncated as
        RELION does) and ``score``; the picks of a micrograph follow each other.
    refs : dict of str to MicrographRef
        A micrograph each, by name.
    failed : list of MicrographError
        Micrographs of picks that are listed and not there.
    diameter, pixel_size : float
        Å, and Å per pixel.
    fixed_size : float or None
        Å per pixel that overrides what lists and headers say.
    box, side : int
        Pixels of the micrograph in a box, and pixels of the box once scaled.
    notes : tuple of str
        What was assumed or left out, a sentence each.
    """

    picks: pd.DataFrame
    refs: dict[str, MicrographRef]
    failed: list[MicrographError]
    diameter: float
    pixel_size: float
    fixed_size: float | None
    box: int
    side: int
    notes: tuple[str, ...] = field(default=())


def gather(path: Path, options: Options) -> Inputs:
    """Read picks, find their micrographs and settle diameter and sizes.

    Parameters
    ----------
    path : Path
        What `cryomae.exchange.load` reads.
    options : Options

    Raises
    ------
    InputError
        If no micrograph is there, a length cannot be known, or no pick is left.
    FormatError
        If a file cannot be read.
    """
    loaded = load(path, options.micrographs)
    run = read_config(path / "config.yaml") if path.is_dir() else {}
    table = loaded.picks.table.reset_index(drop=True)
    if not np.isfinite(table[["x", "y"]].to_numpy(dtype=np.float64)).all():
        raise InputError("holds coordinates that are no numbers", "correct these rows", path)
    names = table["micrograph"].unique().tolist()
    refs, failed, notes = _find(names, path, options.micrographs)
    table = table[table["micrograph"].isin(refs)]
    fixed = checked_option(options.pixel_size) or (run.get("fingerprint") or {}).get("pixel_size")
    sizes = _sizes(refs, loaded.context.pixel_sizes, fixed)
    refs = {name: replace(ref, pixel_size=sizes.get(name)) for name, ref in refs.items()}
    if not sizes:
        raise InputError(
            "the pixel size is not known: no micrograph states it",
            "pass --pixel-size in Å, or a STAR file with --micrographs",
            path,
        )
    pixel_size = one_pixel_size(list(sizes.values()), path)
    fit = check(Picks(table), Transform(), refs, sizes)
    if fit.verdict is Verdict.WRONG:
        notes.append(f"{fit.words} These are options of cryomae convert.")
    diameter, box, more = _lengths(options, (run.get("settings") or {}).get("diameter"), pixel_size)
    notes += more
    side = options.scale_to or box
    if side > box:
        raise InputError(
            f"--scale-to {side} is more than the box of {box} px", "boxes are only made smaller"
        )
    picks = _choose(table, options, (run.get("threshold") or {}).get("value"), notes)
    if not len(picks):
        raise InputError("no picks are left", "lower --threshold, or check the picks", path)
    return Inputs(picks, refs, failed, diameter, pixel_size, fixed, box, side, tuple(notes))


def _find(
    names: list[str], path: Path, given: str | None
) -> tuple[dict[str, MicrographRef], list[MicrographError], list[str]]:
    """Files of the named micrographs; those listed and not there; notes."""
    failed: list[MicrographError] = []
    notes: list[str] = []
    if given is None:
        refs = {name: MicrographRef(name, _resolve(name, path)) for name in names}
        if not any(ref.path.is_file() for ref in refs.values()):
            raise InputError(
                f"the micrographs of these picks were not found ({', '.join(names[:_SHOWN])})",
                "name them with --micrographs: a folder, a quoted glob or a STAR file",
                path,
            )
        return refs, failed, notes
    listed, errors = find_micrographs([given])
    known = {ref.name: ref for ref in listed}
    gone = {stem(error.path or ""): error for error in errors}
    failed = [gone[stem(name)] for name in names if name not in known and stem(name) in gone]
    others = [name for name in names if name not in known and stem(name) not in gone]
    if others:
        shown = ", ".join(others[:_SHOWN]) + (", …" if len(others) > _SHOWN else "")
        one = len(others) == 1
        notes.append(
            f"{len(others):,} micrograph{' of the picks is' if one else 's of the picks are'} not "
            f"among those of --micrographs and {'is' if one else 'are'} left out: {shown}."
        )
    return {name: known[name] for name in names if name in known}, failed, notes


def _resolve(name: str, path: Path) -> Path:
    """File that picks name, also looked for in a folder ``micrographs`` beside them."""
    found = resolve(name, path)
    neighbour = path.parent / "micrographs" / Path(name).name
    return neighbour if not found.is_file() and neighbour.is_file() else found


def _sizes(refs: dict[str, MicrographRef], stated: Any, fixed: float | None) -> dict[str, float]:
    """Å per pixel by micrograph, where it is known."""
    sizes: dict[str, float] = {}
    for name, ref in refs.items():
        size = fixed or ref.pixel_size or stated.get(name)
        if size is None:
            try:
                size = read_header(ref.path).pixel_size
            except MicrographError:  # is named when its turn comes
                continue
        if size is not None:
            sizes[name] = float(size)
    return sizes


def _lengths(
    options: Options, of_run: float | None, pixel_size: float
) -> tuple[float, int, list[str]]:
    """Diameter in Å, box in pixels, and what was assumed."""
    diameter, box, notes = options.diameter or of_run, options.box, []
    if diameter is None:
        if box is None:
            raise InputError(
                "the particle diameter is not known", "pass --diameter in Å, or --box in pixels"
            )
        diameter = box * pixel_size / _BOX
        notes.append(f"The diameter is taken as {diameter:.4g} Å, two thirds of the box.")
    if box is None:
        box = max(8, 2 * math.ceil(_BOX * diameter / pixel_size / 2))
    elif box * pixel_size < diameter:
        notes.append(
            f"A box of {box} px is {box * pixel_size:.4g} Å wide, less than the particle "
            f"({diameter:g} Å)."
        )
    return float(diameter), box, notes


def _choose(
    table: pd.DataFrame, options: Options, of_run: float | None, notes: list[str]
) -> pd.DataFrame:
    """Picks that are to be cut, in the order they came in."""
    if options.threshold is not None:
        table = table[table["score"] >= options.threshold]
        if of_run is not None and options.threshold < of_run:
            notes.append(
                f"The run of cryomae pick kept scores of {of_run:.3g} and more: for lower ones, "
                f"pick again with --threshold {options.threshold:g}, which is quick."
            )
    if options.most is not None and options.most < len(table):
        if options.at_random:
            chosen = np.random.default_rng(options.seed).permutation(len(table))[: options.most]
        else:
            chosen = np.argsort(-table["score"].to_numpy(), kind="stable")[: options.most]
        table = table.iloc[np.sort(chosen)]
    order = _together(table["micrograph"])
    table = table[["micrograph", "x", "y", "score"]].iloc[order].reset_index(drop=True)
    xy = table[["x", "y"]].to_numpy(dtype=np.float64)
    whole = np.trunc(np.clip(xy, -1e9, 1e9)).astype(np.int64)
    return table.assign(x=whole[:, 0], y=whole[:, 1])


def _together(names: Iterable[str]) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Order in which rows of one micrograph follow each other, by first appearance."""
    codes, _ = pd.factorize(pd.Series(names))
    return np.argsort(codes, kind="stable")
