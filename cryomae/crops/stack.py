"""A stack of particles on disk, written and read a few boxes at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import mrcfile
import numpy as np
from numpy.typing import NDArray

from cryomae.atomic import atomic_path

_HEADER_BYTES = 1024


class StackWriter:
    """Appends boxes to a file; made by `open_stack`."""

    def __init__(self, out: BinaryIO, header: np.recarray) -> None:
        self._out = out
        self._header = header
        self._sum = self._squares = 0.0
        self._low, self._high = np.inf, -np.inf
        self.count = 0

    def append(self, boxes: NDArray[np.float32]) -> None:
        """Add boxes, shape (n, size, size)."""
        if not len(boxes):
            return
        self._out.write(np.ascontiguousarray(boxes, dtype=np.float32).data)
        self.count += len(boxes)
        self._sum += float(boxes.sum(dtype=np.float64))
        self._squares += float(np.square(boxes, dtype=np.float64).sum())
        self._low = min(self._low, float(boxes.min()))
        self._high = max(self._high, float(boxes.max()))

    def finish(self) -> None:
        """Write the header, now that everything is known."""
        header = self._header
        pixels = max(1, self.count * int(header.nx) * int(header.ny))
        mean = self._sum / pixels
        header.nz = self.count
        header.dmin, header.dmax, header.dmean = self._low, self._high, mean
        header.rms = np.sqrt(max(0.0, self._squares / pixels - mean**2))
        self._out.seek(0)
        self._out.write(header.tobytes())


@contextmanager
def open_stack(path: Path, size: int, pixel_size: float) -> Iterator[StackWriter]:
    """Give a writer whose file becomes ``path`` when the block ends well.

    Parameters
    ----------
    path : Path
        Stack to write, ending in ``.mrcs``.
    size : int
        Side of a box in pixels.
    pixel_size : float
        Å per pixel of the boxes.
    """
    with atomic_path(path) as temporary:
        with mrcfile.new(temporary) as file:
            file.set_data(np.zeros((1, size, size), np.float32))
            file.set_image_stack()
            file.voxel_size = pixel_size
            header = file.header.copy()
        with open(temporary, "r+b") as out:
            out.truncate(_HEADER_BYTES)
            out.seek(_HEADER_BYTES)
            writer = StackWriter(out, header)
            yield writer
            writer.finish()


def read_boxes(path: Path, numbers: Sequence[int] | NDArray[np.intp]) -> NDArray[np.float32]:
    """Read some boxes of a stack, counted from 0; shape (n, size, size)."""
    with mrcfile.mmap(path) as file:
        size = file.data.shape[-1]
        boxes: NDArray[np.float32] = file.data.reshape(-1, size, size)[np.asarray(numbers, int)]
        return np.array(boxes)


def sums(path: Path, labels: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Sum of the boxes of each group, reading a few at a time.

    Parameters
    ----------
    path : Path
        Stack of n boxes.
    labels : ndarray of int, shape (n,)
        Group of each box, from 0.
    count : int
        Groups.

    Returns
    -------
    ndarray, shape (count, size, size)
    """
    with mrcfile.mmap(path) as file:
        size = file.data.shape[-1]
        boxes = file.data.reshape(-1, size, size)
        total = np.zeros((count, size, size))
        for start in range(0, len(boxes), 256):
            part, at = boxes[start : start + 256], labels[start : start + 256]
            for group in np.unique(at):
                total[group] += part[at == group].sum(axis=0, dtype=np.float64)
        return total
