"""Lists of micrographs in RELION's STAR files, of versions 3.0 to 5."""

from pathlib import Path

import pandas as pd

from cryomae.errors import FormatError
from cryomae.io.pixel_size import ALLOWED, is_allowed
from cryomae.io.star_blocks import read_blocks

_MICROMETRE = 1e4  # in Å
_OTHER_LISTS = {
    "rlnMicrographMovieName": ("movies", "run motion correction, then pass its micrographs"),
    "rlnImageName": ("particles", "pass the STAR file of the micrographs"),
    "rlnCoordinateX": ("coordinates", "pass the STAR file of the micrographs"),
    "rlnMicrographCoordinates": ("coordinate files", "pass the STAR file of the micrographs"),
}
_EXAMPLE = "pass a STAR file of micrographs, such as CtfFind/job003/micrographs_ctf.star"


def read_star_list(path: Path) -> list[tuple[str, float | None]]:
    """Read names and pixel sizes of the micrographs in a STAR file.

    RELION 3.1 and later keep the pixel size in ``data_optics``, by optics group; 3.0 has
    one block, with the detector's pixel size and the magnification (or neither).

    Parameters
    ----------
    path : Path
        STAR file, such as ``micrographs_ctf.star``.

    Returns
    -------
    list of (str, float or None)
        Names verbatim, and Å per pixel.

    Raises
    ------
    FormatError
        If the file cannot be read, lists something else or lacks a column.
    """
    blocks = read_blocks(path)
    if not blocks:
        raise FormatError("not a STAR file: it has no data_ block", _EXAMPLE, path)
    table = _micrographs(blocks, path)
    names = [str(name) for name in table["rlnMicrographName"]]
    if "optics" in blocks:
        return list(zip(names, _sizes_of_groups(blocks["optics"], table, path), strict=True))
    return list(zip(names, _sizes_of_rows(table, path), strict=True))


def resolve(name: str, star: Path) -> Path:
    """Find the file that a STAR file names.

    RELION's names are relative to the project's folder, from which it is run. If there is
    no such file seen from the working directory, the folders above the STAR file are
    tried, the nearest first. The name itself is returned if none has it.
    """
    path = Path(name)
    if path.is_absolute() or path.exists():
        return path
    folders = star.resolve().parents
    return next((folder / path for folder in folders if (folder / path).exists()), path)


def _micrographs(blocks: dict[str, pd.DataFrame], path: Path) -> pd.DataFrame:
    tables = [name for name in blocks if name != "optics"]
    name = "micrographs" if "micrographs" in blocks else tables[0] if tables else "optics"
    table = blocks[name]
    for column, (what, remedy) in _OTHER_LISTS.items():
        if column in table:
            raise FormatError(
                f"data_{name} lists {what}, not micrographs (it has {column})", remedy, path
            )
    _require(table, "rlnMicrographName", name, path, _EXAMPLE)
    names = table["rlnMicrographName"]
    if (names.isna() | (names == "")).any():
        raise FormatError(f"a row of data_{name} has no rlnMicrographName", _EXAMPLE, path)
    return table


def _sizes_of_groups(optics: pd.DataFrame, table: pd.DataFrame, path: Path) -> list[float]:
    remedy = "write the file again with RELION, or pass the micrographs and --pixel-size"
    _require(optics, "rlnMicrographPixelSize", "optics", path, remedy)
    sizes = _numbers(optics, "rlnMicrographPixelSize", path)
    if len(sizes) == 1 and "rlnOpticsGroup" not in table:
        return sizes * len(table)
    _require(optics, "rlnOpticsGroup", "optics", path, remedy)
    _require(table, "rlnOpticsGroup", "micrographs", path, remedy)
    by_group = dict(zip(optics["rlnOpticsGroup"], sizes, strict=True))
    unknown = sorted({str(g) for g in table["rlnOpticsGroup"] if g not in by_group})
    if unknown:
        raise FormatError(
            f"data_optics has no rlnOpticsGroup {', '.join(unknown)}, which rows refer to",
            remedy,
            path,
        )
    return [by_group[group] for group in table["rlnOpticsGroup"]]


def _sizes_of_rows(table: pd.DataFrame, path: Path) -> list[float] | list[None]:
    if "rlnMicrographPixelSize" in table:
        return _numbers(table, "rlnMicrographPixelSize", path)
    pair = ("rlnDetectorPixelSize", "rlnMagnification")
    if not any(column in table for column in pair):
        return [None] * len(table)
    for column in pair:
        _require(table, column, "micrographs", path, "upgrade it with relion_convert_star")
    detector, magnification = (pd.to_numeric(table[c], errors="coerce") for c in pair)
    sizes = pd.DataFrame({"pixel size": _MICROMETRE * detector / magnification})
    return _numbers(sizes, "pixel size", path)


def _numbers(table: pd.DataFrame, column: str, path: Path) -> list[float]:
    values = [float(v) for v in pd.to_numeric(table[column], errors="coerce")]
    wrong = [v for v in values if not is_allowed(v)]
    if wrong:
        low, high = ALLOWED
        raise FormatError(
            f"{column} is {wrong[0]:g}, outside {low:g} to {high:g} Å",
            "correct the optics in RELION, or pass the micrographs and --pixel-size",
            path,
        )
    return values


def _require(table: pd.DataFrame, column: str, block: str, path: Path, remedy: str) -> None:
    if column not in table:
        raise FormatError(f"column {column} is missing in data_{block}", remedy, path)
