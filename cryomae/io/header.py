"""What a micrograph's header says."""

from dataclasses import dataclass
from pathlib import Path

from cryomae.errors import MicrographError


@dataclass(frozen=True)
class Header:
    """What is known of a micrograph before its pixels are read.

    Attributes
    ----------
    path : Path
        The file.
    format : str
        Such as ``"MRC"``, ``"MRC in gzip"`` or ``"TIFF, LZW"``.
    shape : tuple of int
        Rows and columns (ny, nx) of one image.
    mode : str
        How pixels are stored, such as ``"2 (float32)"``.
    pixel_size : float or None
        Å per pixel, or None where the header holds none that can be trusted.
    n_images : int
        Images in the file; a micrograph is one.
    byte_size : int
        Bytes on disk.
    notes : tuple of str
        What a user should know, one line each.
    problem : MicrographError or None
        Why the pixels cannot be used, as far as the header shows.
    pixel_size_problem : str
        Why `pixel_size` is None, else empty.
    """

    path: Path
    format: str
    shape: tuple[int, int]
    mode: str
    pixel_size: float | None
    n_images: int
    byte_size: int
    notes: tuple[str, ...] = ()
    problem: MicrographError | None = None
    pixel_size_problem: str = ""


MIN_SIDE = 64
"""Fewest pixels along a side of a micrograph."""


def shape_problem(path: Path, shape: tuple[int, int], n_images: int) -> MicrographError | None:
    """Return why an image of this shape is no micrograph, or None."""
    ny, nx = shape
    if n_images > 1:
        return MicrographError(
            f"holds {n_images} images, not one",
            "a movie needs motion correction (or averaging) first; "
            "split a stack of micrographs into files",
            path,
        )
    if min(shape) < MIN_SIDE:
        return MicrographError(
            f"image of {nx} x {ny} pixels is too small",
            f"a micrograph has at least {MIN_SIDE} pixels a side; is this a particle?",
            path,
        )
    return None


def truncated(path: Path, expected: int, found: int) -> MicrographError:
    """Build the error for a file that ends early."""
    return MicrographError(
        f"truncated: expected {expected} bytes, found {found}",
        "copy the file again, or wait until it is written",
        path,
    )
