"""RELION STAR: coordinates of a micrograph, and the list that names the files.

RELION truncates coordinates at extraction, so whole numbers are written. It reads
only the first block of a coordinate file, so there is one, unnamed and without an
optics block. Columns and their order are those of RELION's own autopicker.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryomae.atomic import atomic_path, write_text
from cryomae.errors import FormatError, NoCoordinatesError
from cryomae.formats.registry import Context, Format
from cryomae.formats.values import check_finite, numbers
from cryomae.io.star_blocks import NAME, read_blocks
from cryomae.picks import Picks

X, Y = "rlnCoordinateX", "rlnCoordinateY"
SCORE = "rlnAutopickFigureOfMerit"
COORDINATES = "rlnMicrographCoordinates"
_COLUMNS = (X, Y, SCORE, "rlnClassNumber", "rlnAnglePsi")


def write_picks(
    path: str | Path,
    picks: Picks,
    *,
    shape: tuple[int, int] | None = None,
    with_names: bool = False,
) -> None:
    """Write picks as RELION's autopicker does.

    Parameters
    ----------
    path : str or Path
        File to write, whole or not at all.
    picks : Picks
        Coordinates in pixels of the micrograph file.
    shape : tuple of int, optional
        Rows and columns (ny, nx) of the micrograph: coordinates are clipped into it,
        because a box wholly outside stops RELION's extraction.
    with_names : bool
        Add the column ``rlnMicrographName``, as programs want that import the picks
        of many micrographs from one file. Always on for several micrographs.
    """
    names = picks.table["micrograph"].tolist()
    rows = _rows(picks, shape, path)
    if with_names or len(set(names)) > 1:
        rows = [f"{row} {_quote(name)}" for row, name in zip(rows, names, strict=True)]
        write_text(path, _loop("", (*_COLUMNS, NAME), rows))
    else:
        write_text(path, _loop("", _COLUMNS, rows))


def write_together(path: str | Path, parts: Iterable[tuple[str, Picks]]) -> None:
    """Write the picks of many micrographs to one file, holding one at a time in memory.

    Parameters
    ----------
    path : str or Path
        File to write, whole or not at all.
    parts : iterable of (str, Picks)
        Name to write in ``rlnMicrographName`` and the picks of that micrograph.
    """
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as out:
        out.write(_loop("", (*_COLUMNS, NAME), [])[:-1])
        for name, picks in parts:
            out.writelines(f"{row} {_quote(name)}\n" for row in _rows(picks, None, path))
        out.write("\n")


def add_together(path: str | Path, parts: Iterable[tuple[str, Picks]]) -> None:
    """Add the picks of more micrographs to a file of `write_together`.

    Parameters
    ----------
    path : str or Path
        The file; it is replaced as a whole, so a reader sees the old one or the new one.
    parts : iterable of (str, Picks)
        As for `write_together`.
    """
    with atomic_path(path) as temporary:
        shutil.copyfile(path, temporary)
        with open(temporary, "r+b") as out:
            out.seek(-1, os.SEEK_END)  # the empty line that ends the table
            for name, picks in parts:
                rows = _rows(picks, None, path)
                out.write("".join(f"{row} {_quote(name)}\n" for row in rows).encode())
            out.write(b"\n")


def whole_pixels(
    picks: Picks, shape: tuple[int, int] | None = None, path: str | Path | None = None
) -> NDArray[np.int64]:
    """Coordinates rounded to whole pixels and clipped into the micrograph.

    Parameters
    ----------
    picks : Picks
        Coordinates in pixels.
    shape : tuple of int, optional
        Rows and columns (ny, nx) of the micrograph.
    path : str or Path, optional
        File to name in an error.

    Returns
    -------
    ndarray, int64, shape (n, 2)
        x and y.
    """
    xy = picks.xy
    if not np.isfinite(xy).all():
        raise FormatError("a pick has a coordinate that is not a number", "leave it out", path)
    points = np.floor(xy + 0.5).astype(np.int64)
    if shape is not None:
        points = np.clip(points, 0, (shape[1] - 1, shape[0] - 1))
    return points


def read_picks(path: str | Path) -> Picks:
    """Read the coordinates of a STAR file of RELION 3.0 to 5, or of one like it.

    Parameters
    ----------
    path : str or Path
        File with ``rlnCoordinateX`` and ``rlnCoordinateY`` in one of its blocks.

    Returns
    -------
    Picks
        Score 1 where the file has none; micrograph from ``rlnMicrographName``, else
        the file's stem; diameter NaN, which a STAR file does not hold.
    """
    return picks_of(coordinate_block(read_blocks(path), path), path)


def picks_of(table: pd.DataFrame, path: str | Path) -> Picks:
    """Picks of the rows of a coordinate block; what `read_picks` gives.

    Parameters
    ----------
    table : DataFrame
        Block with ``rlnCoordinateX`` and ``rlnCoordinateY``.
    path : str or Path
        File it came from, which names a micrograph that the block does not name.
    """
    count = len(table)
    xy = np.column_stack([numbers(table[X], X, path), numbers(table[Y], Y, path)])
    score = numbers(table[SCORE], SCORE, path) if SCORE in table else np.ones(count)
    picks = Picks.from_arrays(Path(path).stem, xy, score, float("nan"), "star")
    if NAME in table and count:
        picks = Picks(picks.table.assign(micrograph=table[NAME].astype(str).to_numpy(object)))
    return picks


def write_list(path: str | Path, rows: Iterable[tuple[str, str | Path]]) -> None:
    """Write the list that RELION 4 and 5 read as *Input coordinates*.

    Parameters
    ----------
    path : str or Path
        File to write, commonly ``autopick.star``.
    rows : iterable of (str, str or Path)
        Micrograph name, verbatim as in the micrographs STAR, and its coordinate file,
        as seen from the RELION project folder.
    """
    lines = [f"{_quote(name)} {_quote(str(coordinates))}" for name, coordinates in rows]
    write_text(path, _loop("coordinate_files", (NAME, COORDINATES), lines))


def write_micrographs(path: str | Path, pixel_sizes: Mapping[str, float]) -> None:
    """List micrographs, with one optics group for each pixel size.

    Parameters
    ----------
    path : str or Path
        File to write.
    pixel_sizes : mapping of str to float
        Å per pixel by name, which is written verbatim.
    """
    sizes = sorted(set(pixel_sizes.values()))
    optics = [f"opticsGroup{i} {i} {size:.6f}" for i, size in enumerate(sizes, start=1)]
    rows = [f"{_quote(name)} {sizes.index(size) + 1}" for name, size in pixel_sizes.items()]
    group = "rlnOpticsGroup"
    columns = ("rlnOpticsGroupName", group, "rlnMicrographPixelSize")
    text = _loop("optics", columns, optics) + _loop("micrographs", (NAME, group), rows)
    write_text(path, text)


def write_suffix_file(folder: str | Path, suffix: str, micrographs_star: str | Path) -> Path:
    """Write the one-line file that RELION up to 3.1 reads as *Input coordinates*.

    Parameters
    ----------
    folder : str or Path
        Folder below which the coordinate files lie.
    suffix : str
        What follows the micrograph's stem and ``_``, without ``.star``.
    micrographs_star : str or Path
        STAR file the micrographs came from.

    Returns
    -------
    Path
        The file written.
    """
    path = Path(folder) / f"coords_suffix_{suffix}.star"
    write_text(path, f"{micrographs_star}\n")
    return path


def _rows(picks: Picks, shape: tuple[int, int] | None, path: str | Path) -> list[str]:
    check_finite(picks, path or "")
    scores = picks.score
    points = whole_pixels(picks, shape, path)
    return [
        f"{x:12d} {y:12d} {score:12.6f} {0:12d} {0.0:12.6f}"
        for (x, y), score in zip(points.tolist(), scores.tolist(), strict=True)
    ]


def _loop(block: str, columns: Iterable[str], rows: list[str]) -> str:
    header = [f"_{column} #{number}" for number, column in enumerate(columns, start=1)]
    return "\n".join(["", f"data_{block}", "", "loop_", *header, *rows, "", ""])


def _quote(text: str) -> str:
    """Quote a name that STAR would take for something else, as RELION does."""
    special = text.startswith(("_", "#", "data_", "loop_", "'", '"')) or not text
    if not special and not any(c.isspace() for c in text):
        return text
    return f"'{text}'" if '"' in text else f'"{text}"'


def coordinate_block(blocks: dict[str, pd.DataFrame], path: str | Path) -> pd.DataFrame:
    """Find the first block with coordinates.

    Parameters
    ----------
    blocks : dict of str to DataFrame
        From `read_blocks`.
    path : str or Path
        File to name in the error.

    Raises
    ------
    FormatError
        If there is none.
    """
    for table in blocks.values():
        if X in table and Y in table:
            return table
    if not blocks:
        raise NoCoordinatesError("is empty or no STAR file", "write it again", path)
    raise NoCoordinatesError(
        f"has no columns {X} and {Y}", "give a coordinate file, not a list of files", path
    )


def _write(path: Path, picks: Picks, context: Context) -> None:
    names = picks.table["micrograph"].unique()
    shape = context.shapes.get(names[0]) if len(names) == 1 else None
    write_picks(path, picks, shape=shape, with_names=True)


FORMAT = Format("RELION STAR", "relion", (".star",), read_picks, _write, many=True)
