"""Read a micrograph, or just its header."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cryomae.errors import MicrographError
from cryomae.io.files import TIFF_SUFFIXES, size_of_file, suffix_of, unsupported
from cryomae.io.header import Header
from cryomae.io.mrc import inspect_mrc, read_mrc
from cryomae.io.pixel_size import checked_option, choose
from cryomae.io.tiff import inspect_tiff, read_tiff
from cryomae.micrograph import Micrograph, MicrographRef

MAX_NONFINITE = 0.5
"""Largest share of NaN and infinite pixels that is repaired rather than refused."""


def read_header(path: str | Path) -> Header:
    """Say what a micrograph's file holds, without reading its pixels.

    Parameters
    ----------
    path : str or Path
        An MRC or TIFF file.

    Returns
    -------
    Header
        Its `problem` says why the pixels could not be used; pixels themselves are not
        looked at, and neither is how much a compressed file holds.

    Raises
    ------
    MicrographError
        If the file cannot be opened, or is no MRC or TIFF file.
    """
    path = Path(path)
    byte_size = size_of_file(path)
    suffix = suffix_of(path)
    if not suffix:
        raise unsupported(path)
    if suffix in TIFF_SUFFIXES:
        return inspect_tiff(path, byte_size)
    return inspect_mrc(path, byte_size)[0]


def read_micrograph(ref: MicrographRef, pixel_size: float | None = None) -> Micrograph:
    """Read the pixels of a micrograph and settle its pixel size.

    NaN and infinite pixels, if at most half, are replaced by the median of the others.
    At its peak little more than one float32 array is in memory.

    Parameters
    ----------
    ref : MicrographRef
        What to read, from `find_micrographs`.
    pixel_size : float, optional
        Å per pixel; overrides what the STAR file and the header say.

    Returns
    -------
    Micrograph
        Pixels are float32 and C-contiguous.

    Raises
    ------
    MicrographError
        If the file cannot be used, or no pixel size can be trusted.
    InputError
        If `pixel_size` makes no sense.
    """
    option = checked_option(pixel_size)
    path = ref.path
    byte_size = size_of_file(path)
    suffix = suffix_of(path)
    if not suffix:
        raise unsupported(path)
    layout = None
    if suffix in TIFF_SUFFIXES:
        header = inspect_tiff(path, byte_size)
    else:
        header, layout = inspect_mrc(path, byte_size)
    if header.problem is not None:
        raise header.problem
    angstrom, source = choose(
        option, ref.pixel_size, header.pixel_size, header.pixel_size_problem, path
    )
    pixels = read_tiff(path, header.shape) if layout is None else read_mrc(path, layout)
    _repair(pixels, path)
    return Micrograph(ref.name, path, pixels, angstrom, source)


def _repair(pixels: NDArray[np.float32], path: Path) -> None:
    """Replace non-finite pixels in place; refuse an image that holds nothing."""
    low, high = _extremes(pixels)
    if not (np.isfinite(low) and np.isfinite(high)):
        finite = np.isfinite(pixels)
        bad = 1.0 - np.count_nonzero(finite) / finite.size
        if bad > MAX_NONFINITE:
            raise MicrographError(
                f"{100 * bad:.0f} % of the pixels are NaN or infinite",
                "process the movie again; the gain reference or the motion correction failed",
                path,
            )
        pixels[~finite] = np.median(pixels[finite], overwrite_input=True)
        low, high = _extremes(pixels)
    if low == high:
        raise MicrographError(
            f"every pixel is {low:g}", "leave this micrograph out, or process it again", path
        )


def _extremes(pixels: NDArray[np.float32]) -> tuple[float, float]:
    with np.errstate(invalid="ignore"):
        return float(pixels.min()), float(pixels.max())
