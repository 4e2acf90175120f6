"""The arrays of a session: raw files that only grow, read as memory maps.

The database says how many rows count. What lies behind them is what an interrupted writer
left, or spare room, and is overwritten by the next.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cryomae.active.refusals import refused
from cryomae.errors import FormatError
from cryomae.sizes import LATENT

SPARE = 4096
"""Rows of room behind the candidates, into which placed particles are mapped. A file system
keeps no blocks for them."""


@dataclass(frozen=True)
class _Column:
    file: str
    dtype: str
    width: int

    @property
    def row(self) -> int:
        """Bytes of a row."""
        return np.dtype(self.dtype).itemsize * self.width


_COLUMNS = {
    "xy": _Column("xy.f4", "<f4", 2),
    "kind": _Column("kind.u1", "u1", 1),
    "logit": _Column("logit.f4", "<f4", 1),
    "latents": _Column("latents.f2", "<f2", LATENT),
}


class CandidateArrays:
    """Positions, kinds, logits and latents of the candidates of a session.

    Parameters
    ----------
    folder : Path
        Where the files lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, first: int, values: dict[str, NDArray[np.generic]]) -> None:
        """Write rows from row ``first`` on, down to the disk.

        Parameters
        ----------
        first : int
            Rows that count so far.
        values : dict
            ``xy`` (n, 2), ``kind`` (n,), ``logit`` (n,) and ``latents`` (n, LATENT).

        Raises
        ------
        OutputError
            If the disk is full or refuses; the rows that count are as they were.
        """
        for name, column in _COLUMNS.items():
            path = self.folder / column.file
            data = np.ascontiguousarray(values[name], dtype=column.dtype)
            end = (first + len(data) + SPARE) * column.row
            try:
                self.folder.mkdir(exist_ok=True)
                with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
                    file.seek(first * column.row)
                    file.write(data.tobytes())
                    file.flush()
                    file.truncate(end)
                    os.fsync(file.fileno())
            except OSError as error:
                raise refused(error, path) from error

    def read(
        self, count: int, more: dict[str, NDArray[np.generic]]
    ) -> dict[str, NDArray[np.generic]]:
        """Map rows 0 to ``count`` with more rows behind them, without reading them.

        Parameters
        ----------
        count : int
            Rows that count.
        more : dict
            Rows to put behind, as for `write`; they stay in memory.

        Raises
        ------
        FormatError
            If a file is missing or too short.
        """
        return {name: self._map(column, count, more[name]) for name, column in _COLUMNS.items()}

    def _map(self, column: _Column, count: int, more: NDArray[np.generic]) -> NDArray[np.generic]:
        path = self.folder / column.file
        shape = (count + len(more), column.width)[: 2 if column.width > 1 else 1]
        if not count:
            return np.ascontiguousarray(more, dtype=column.dtype).reshape(shape)
        try:
            size = path.stat().st_size
            fits = size >= (count + len(more)) * column.row
            rows = shape[0] if fits else count
            if size < count * column.row:
                raise FormatError(
                    f"holds {size // column.row} of the session's {count} candidates",
                    "the session was not copied whole: copy its folder again",
                    path,
                )
            # Copy on write: rows put behind the candidates never reach the file.
            found = np.memmap(path, column.dtype, "c", shape=(rows, *shape[1:]))
        except OSError as error:
            raise FormatError(
                f"cannot be read: {error.strerror or error}",
                "the session was not copied whole: copy its folder again",
                path,
            ) from error
        if not len(more):
            return found
        if not fits:
            return np.concatenate([found, more.astype(column.dtype)])
        found[count:] = more
        return found
