"""The micrograph and the reference to one that has not been read yet."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class MicrographRef:
    """Where a micrograph is, before it is read.

    Attributes
    ----------
    name : str
        Name as the user's list gives it, copied verbatim into every output
        (RELION matches ``rlnMicrographName`` by exact string).
    path : Path
        File to read.
    pixel_size : float or None
        Å per pixel from the list's optics group, if the list has one.
    """

    name: str
    path: Path
    pixel_size: float | None = None


@dataclass(frozen=True)
class Micrograph:
    """A micrograph as stored, with the pixel size that applies to it.

    Attributes
    ----------
    name : str
        Name as the user's list gives it.
    path : Path
        File the pixels came from.
    pixels : ndarray, float32, shape (ny, nx)
        Pixels in the row and column order that RELION's coordinates refer to
        (for TIFF this is the file's rows in reverse, as RELION reads it).
    pixel_size : float
        Å per pixel.
    pixel_size_source : str
        ``"option"``, ``"star"`` or ``"header"``.
    """

    name: str
    path: Path
    pixels: NDArray[np.float32]
    pixel_size: float
    pixel_size_source: str

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns (ny, nx)."""
        return self.pixels.shape[0], self.pixels.shape[1]
