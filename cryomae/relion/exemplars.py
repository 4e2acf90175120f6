"""Exemplars from the jobs of RELION: manual picks, and particles of chosen classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cryomae.batch.layout import output_stems
from cryomae.errors import InputError
from cryomae.formats import star
from cryomae.formats.collect import Coordinates, read_all
from cryomae.io.star_list import read_star_list, resolve
from cryomae.picks import Picks

MOST = 100
"""Exemplars that are used at most: a class selection has thousands, and about 15 are enough."""

EXEMPLARS = "exemplars.star"

_SUFFIX = "coords_suffix_"
_FEW = 10  # micrographs that these are taken from


@dataclass(frozen=True)
class Found:
    """Exemplars, as ``cryomae train`` takes them.

    Attributes
    ----------
    exemplars : Path
        File of coordinates, or list of such files.
    micrographs : str
        STAR file of their micrographs.
    note : str
        What was chosen, in words; empty if all are taken.
    """

    exemplars: Path
    micrographs: str
    note: str = ""


def find_exemplars(inputs: dict[str, str], job: Path) -> Found:
    """Find what RELION's input files say about exemplars.

    Parameters
    ----------
    inputs : dict of str to str
        Files of the Input tab: ``in_coords`` or ``in_parts``, and ``in_mics``.
    job : Path
        Folder of the job, for `EXEMPLARS`.

    Raises
    ------
    InputError, FormatError
        If something is missing, or cannot be read.
    """
    named = inputs.get("in_coords") or inputs.get("in_parts")
    if named is None:
        raise InputError(
            "no exemplars are given",
            "on the Input tab, give coordinates of a manual picking job (--in_coords), or "
            "particles of a selection (--in_parts)",
        )
    path = Path(named)
    if not path.exists():
        raise InputError("no such file", "check the Input tab", path)
    beside = path.with_name("micrographs_selected.star")
    micrographs = inputs.get("in_mics") or (str(beside) if beside.exists() else "")
    if path.name.startswith(_SUFFIX):
        listed = path.read_text(encoding="utf-8").strip()
        micrographs = micrographs or listed
        path = _write_list(path, micrographs, job)
    if not micrographs:
        raise InputError(
            "no micrographs are given",
            "name the STAR file that the exemplars were picked in on the Input tab (--in_mics)",
        )
    files = read_all(path)
    count = sum(len(file.table) for file in files)
    if count <= MOST:
        return Found(path, micrographs)
    chosen, sources = _choose(files)
    star.write_picks(job / EXEMPLARS, chosen, with_names=True)
    note = (
        f"Of {count:,} exemplars {len(chosen)} in {sources} micrographs are used, evenly spread: "
        f"see {job / EXEMPLARS}"
    )
    return Found(job / EXEMPLARS, micrographs, note)


def _write_list(suffix_file: Path, micrographs: str, job: Path) -> Path:
    """List the coordinate files that RELION 3.1 finds by folder and suffix."""
    ending = suffix_file.stem.removeprefix(_SUFFIX)
    names = [name for name, _ in read_star_list(resolve(micrographs, suffix_file))]
    rows = []
    for name, below in output_stems(names).items():
        file = suffix_file.parent / below.parent / f"{below.name}_{ending}.star"
        if file.is_file():
            rows.append((name, file))
    if not rows:
        raise InputError(
            f"there are no files that end in _{ending}.star for the micrographs of {micrographs}",
            "pick some particles, and give the micrographs that they were picked in",
            suffix_file,
        )
    star.write_list(job / EXEMPLARS, rows)
    return job / EXEMPLARS


def _choose(files: Sequence[Coordinates]) -> tuple[Picks, int]:
    """Take exemplars evenly from a few micrographs that have many."""
    table = pd.concat([file.table[["micrograph", "x", "y"]] for file in files], ignore_index=True)
    counts = table["micrograph"].value_counts(sort=False)
    rich = sorted(counts.index[counts >= counts.median()])
    names = [rich[i] for i in _spread(len(rich), _FEW)]
    each = -(-MOST // len(names))
    parts = []
    for name in names:
        part = table[table["micrograph"] == name]
        xy = part[["x", "y"]].to_numpy(dtype=np.float64)[_spread(len(part), each)]
        parts.append(Picks.from_arrays(name, xy, np.ones(len(xy)), float("nan")))
    return Picks.concat(parts), len(names)


def _spread(count: int, most: int) -> list[int]:
    """Indices, evenly spread, of at most as many as wanted."""
    return [int(i) for i in np.unique(np.linspace(0, count - 1, min(count, most)).round())]
