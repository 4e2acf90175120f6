"""The STAR file of a stack, as RELION 3.1 to 5 reads it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import starfile

from cryomae.atomic import atomic_path
from cryomae.errors import FormatError
from cryomae.formats.star import NAME, SCORE, X, Y, read_blocks

_GROUP, _GROUP_NAME = "rlnOpticsGroup", "rlnOpticsGroupName"
_MICROGRAPH_SIZE = "rlnMicrographPixelSize"
_CTF = (
    "rlnDefocusU",
    "rlnDefocusV",
    "rlnDefocusAngle",
    "rlnPhaseShift",
    "rlnCtfBfactor",
    "rlnCtfScalefactor",
    "rlnCtfFigureOfMerit",
    "rlnCtfMaxResolution",
)
_MICROSCOPE = {"rlnVoltage": 300.0, "rlnSphericalAberration": 2.7, "rlnAmplitudeContrast": 0.1}
"""RELION refuses a file without these; the values are those of its own examples."""


@dataclass(frozen=True)
class Optics:
    """What a STAR file of micrographs says of each.

    Attributes
    ----------
    table : DataFrame
        Columns of its optics groups and of CTF estimation, one row a micrograph, by name.
    ctf : tuple of str
        Which of these columns are of the micrograph, not of its optics group.
    """

    table: pd.DataFrame
    ctf: tuple[str, ...] = ()

    @property
    def assumed(self) -> str:
        """What had to be assumed of the microscope, in words; empty if nothing."""
        missing = [column for column in _MICROSCOPE if column not in self.table]
        if not missing:
            return ""
        values = ", ".join(f"{column} {_MICROSCOPE[column]:g}" for column in missing)
        return (
            f"RELION reads no particles without {values.split(' ')[0]} and the like, so {values} "
            "is written: give the STAR file of the micrographs with --micrographs for the true "
            "values."
        )


def read_optics(micrographs: str | None) -> Optics:
    """Read optics and CTF from a STAR file of micrographs; nothing from other inputs."""
    path = Path(micrographs or "")
    if path.suffix.lower() != ".star" or not path.is_file():
        return Optics(pd.DataFrame())
    blocks = read_blocks(path)
    table = next((b for key, b in blocks.items() if key != "optics" and NAME in b), None)
    if table is None:
        raise FormatError(f"has no column {NAME}", "give a STAR file of micrographs", path)
    table = table.drop_duplicates(NAME).reset_index(drop=True)
    ctf = tuple(column for column in _CTF if column in table)
    if "optics" not in blocks:  # RELION 3.0: everything in one table
        own = [column for column in _MICROSCOPE if column in table]
        return Optics(table.set_index(NAME)[[*own, *ctf]], ctf)
    optics = blocks["optics"].drop(columns=[_MICROGRAPH_SIZE], errors="ignore")
    kept = table[[NAME, *ctf]]
    if _GROUP in table and _GROUP in optics:
        groups = optics.drop_duplicates(_GROUP).set_index(_GROUP)
        joined = pd.concat([kept, groups.reindex(table[_GROUP]).reset_index(drop=True)], axis=1)
    else:
        joined = kept.merge(optics.drop(columns=[_GROUP], errors="ignore")[:1], how="cross")
    return Optics(joined.set_index(NAME), ctf)


def write_particles(
    path: Path,
    stack: str,
    picks: pd.DataFrame,
    pixel_sizes: dict[str, float],
    optics: Optics,
    *,
    scaling: float,
    side: int,
) -> None:
    """Write the STAR file of a stack, whole or not at all.

    Parameters
    ----------
    path : Path
        File to write.
    stack : str
        Stack as RELION is to find it.
    picks : DataFrame, n rows
        ``micrograph``, ``x``, ``y`` and ``score`` of each box, in the stack's order.
    pixel_sizes : dict of str to float
        Å per pixel of the micrographs, by name.
    optics : Optics
    scaling : float
        Pixels of the micrograph in one pixel of a box.
    side : int
        Of a box, in pixels.
    """
    names = picks["micrograph"].unique().tolist()
    known = optics.table.reindex(names) if len(optics.table.columns) else pd.DataFrame(index=names)
    for column, value in _MICROSCOPE.items():
        if column not in known:
            known[column] = value
    known[_MICROGRAPH_SIZE] = [pixel_sizes[name] for name in names]
    columns = [column for column in known if column not in optics.ctf]
    numbers = known.groupby(columns, sort=False, dropna=False).ngroup() + 1
    groups = known[columns].drop_duplicates().reset_index(drop=True)
    count = range(1, len(groups) + 1)
    titles = groups.get(_GROUP_NAME, pd.Series([f"opticsGroup{i}" for i in count])).astype(str)
    if titles.duplicated().any():  # one group of the file, two pixel sizes in headers
        titles = titles + [f"_{i}" for i in count]
    groups[_GROUP_NAME], groups[_GROUP] = titles, list(count)
    groups["rlnImagePixelSize"] = groups[_MICROGRAPH_SIZE].astype(float) * scaling
    groups["rlnImageSize"], groups["rlnImageDimensionality"] = side, 2
    first = [_GROUP_NAME, _GROUP]
    groups = groups[[*first, *(column for column in groups if column not in first)]]
    particles = pd.DataFrame(
        {
            X: picks["x"].astype(float),
            Y: picks["y"].astype(float),
            SCORE: picks["score"].astype(float),
            NAME: picks["micrograph"],
            "rlnImageName": [f"{i:06d}@{stack}" for i in range(1, len(picks) + 1)],
            _GROUP: picks["micrograph"].map(numbers),
            **{column: picks["micrograph"].map(known[column]) for column in optics.ctf},
        }
    )
    with atomic_path(path) as temporary:
        starfile.write({"optics": groups, "particles": particles}, temporary)
