"""Shards on disk.

::

    PACK/
      pack.yaml            settings and command
      shard_00000.tar      working images of up to 128 micrographs, one .npy each
      shard_00000.json     what lies where in it, its sha256, what could not be used and why
      index.json           all shards, written when the last of them is there

A tar because any tool reads it (also the package webdataset), and because its files lie in it
as they are: a window is one read at a known place. An image is int8, shape (h, w), in levels
of `cryomae.train.levels`.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import tarfile
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cryomae import __version__
from cryomae.atomic import atomic_path, write_text
from cryomae.errors import CryomaeError, InputError, MicrographError

INDEX = "index.json"

PER_SHARD = 128
"""Most micrographs in a shard: some 70 MB; ours."""

_OPEN = 32  # shards that a reader keeps open


@dataclass(frozen=True)
class Shard:
    """What is known of a shard without opening it.

    Attributes
    ----------
    path : Path
        The tar.
    micrographs : int
    size : int
        Bytes.
    sha256 : str
    """

    path: Path
    micrographs: int
    size: int
    sha256: str


def shard_path(folder: Path, number: int) -> Path:
    """Tar of a shard."""
    return folder / f"shard_{number:05d}.tar"


class ShardWriter:
    """Writes one shard; it is there when all its places are filled, and not before.

    Parameters
    ----------
    path : Path
        Of the tar.
    places : int
        Micrographs that it is made of, usable or not.
    """

    def __init__(self, path: Path, places: int) -> None:
        self._path, self._places = path, places
        self._stack = ExitStack()
        self._part = self._stack.enter_context(atomic_path(path))
        tar = tarfile.open(self._part, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
        self._tar = self._stack.enter_context(tar)
        self._early: dict[int, tuple[str, NDArray[np.int8] | MicrographError]] = {}
        self._next = 0
        self._table: list[tuple[str, int, int, int]] = []
        self._failed: list[MicrographError] = []

    def add(self, place: int, name: str, image: NDArray[np.int8] | MicrographError) -> bool:
        """Fill a place; they come in any order and are written in one. True with the last."""
        self._early[place] = (name, image)
        try:
            while self._next in self._early:
                self._append(*self._early.pop(self._next))
                self._next += 1
            if self._next == self._places:
                self._finish()
        except BaseException:
            self._stack.__exit__(*sys.exc_info())  # says in words what the disk refused
            raise
        return self._next == self._places

    def _append(self, name: str, image: NDArray[np.int8] | MicrographError) -> None:
        if isinstance(image, MicrographError):
            self._failed.append(image)
            return
        content = io.BytesIO()
        np.lib.format.write_array(content, np.ascontiguousarray(image), allow_pickle=False)
        member = tarfile.TarInfo(f"{self._path.stem}_{self._next:03d}.npy")
        member.size = content.tell()
        pixels = self._tar.offset + tarfile.BLOCKSIZE + content.tell() - image.nbytes
        content.seek(0)
        self._tar.addfile(member, content)
        self._table.append((name, pixels, *image.shape))

    def _finish(self) -> None:
        if not self._table:
            raise InputError(
                f"none of {self._places} micrographs in a row can be used; the first: "
                f"{self._failed[0]}",
                "put it right and run the same command again: it goes on from here",
            )
        self._tar.close()
        with open(self._part, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = self._part.stat().st_size
        self._stack.close()
        content = {
            "sha256": digest, "bytes": size, "micrographs": self._table,
            "failed": [[e.cause, e.remedy, e.path] for e in self._failed],
        }  # fmt: skip
        write_text(self._path.with_suffix(".json"), json.dumps(content) + "\n")

    def close(self) -> None:
        """Give up what is not finished; nothing is left of it."""
        self._stack.__exit__(GeneratorExit, GeneratorExit(), None)


def read_shard(path: Path) -> tuple[Shard, list[MicrographError]] | None:
    """A shard that is there, and what could not be used; None if it is not there as a whole."""
    try:
        content = _read_json(path.with_suffix(".json"))
        shard = Shard(path, len(content["micrographs"]), content["bytes"], content["sha256"])
        failed = [MicrographError(*error) for error in content["failed"]]
        return (shard, failed) if path.stat().st_size == shard.size else None
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path.with_suffix(".json")) from error


def write_index(
    folder: Path,
    settings: dict[str, Any],
    shards: Sequence[Shard],
    failed: Sequence[MicrographError],
) -> None:
    """Write the index of all shards; with it a folder can be learnt from."""
    content = {
        "cryomae": __version__,
        "settings": settings,
        "shards": [[s.path.name, s.micrographs, s.size, s.sha256] for s in shards],
        "failed": [[e.cause, e.remedy, e.path] for e in failed],
    }
    write_text(folder / INDEX, json.dumps(content, indent=1) + "\n")


def open_packs(folders: Sequence[Path], window: int) -> list[Shard]:
    """Shards of folders that `cryomae pack` made, in the order of the folders.

    Parameters
    ----------
    folders : sequence of Path
    window : int
        Side of the windows that will be drawn, in working pixels.

    Raises
    ------
    InputError
        If a folder is none, is not finished, or has micrographs too small for the windows.
    """
    shards: list[Shard] = []
    for folder in folders:
        path = folder / INDEX
        try:
            content = _read_json(path)
            smallest = int(content["settings"]["window"])
            rows = content["shards"]
            shards += [Shard(folder / n, int(m), int(b), str(h)) for n, m, b, h in rows]
        except FileNotFoundError as error:
            raise InputError(
                f"this folder has no {INDEX}: it is not packed, or not to the end",
                "run the same cryomae pack again, without --shard: it makes what is missing",
                folder,
            ) from error
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(path) from error
        if smallest < window:
            raise InputError(
                f"its micrographs are only sure to hold windows of {smallest} working pixels, "
                f"and this encoder's are of {window}",
                "use another --encoder, or pack the micrographs anew",
                folder,
            )
    return shards


def digest_of(shards: Sequence[Shard]) -> str:
    """Hash of all shards and their order, wherever they lie."""
    whole = hashlib.sha256()
    for shard in shards:
        whole.update(shard.sha256.encode())
    return whole.hexdigest()[:16]


class Reader:
    """Reads windows; it holds the tables of a few shards and no image.

    Parameters
    ----------
    shards : sequence of Shard
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._shards = shards
        self._open: OrderedDict[int, tuple[int, NDArray[np.int64]]] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        """Leave open files to the process that opened them."""
        return {**self.__dict__, "_open": OrderedDict()}

    def shape(self, shard: int, micrograph: int) -> tuple[int, int]:
        """Rows and columns of a working image."""
        _, height, width = self._table(shard)[1][micrograph]
        return int(height), int(width)

    def read(
        self, shard: int, micrograph: int, row: int, column: int, side: int
    ) -> NDArray[np.int8]:
        """Levels of a window, shape (side, side).

        Raises
        ------
        CryomaeError
            If the shard is not as long as it was, or cannot be read.
        """
        file, table = self._table(shard)
        offset, _, width = (int(n) for n in table[micrograph])
        length = (side - 1) * width + side
        try:
            content = os.pread(file, length, offset + row * width + column)
        except OSError as error:
            raise CryomaeError(
                f"cannot be read: {error.strerror or error}",
                "check the disk, then run the same command again: it goes on from here",
                self._shards[shard].path,
            ) from error
        if len(content) < length:
            raise _damaged(self._shards[shard].path)
        flat = np.frombuffer(content, np.int8)
        return np.lib.stride_tricks.as_strided(flat, (side, side), (width, 1), writeable=False)

    def _table(self, number: int) -> tuple[int, NDArray[np.int64]]:
        found = self._open.get(number)
        if found is not None:
            self._open.move_to_end(number)
            return found
        while len(self._open) >= _OPEN:
            os.close(self._open.popitem(last=False)[1][0])
        shard = self._shards[number]
        beside = shard.path.with_suffix(".json")
        try:
            content = _read_json(beside)
            table = np.array([row[1:] for row in content["micrographs"]], dtype=np.int64)
            same = content["sha256"] == shard.sha256 and shard.path.stat().st_size == shard.size
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(beside) from error
        except OSError as error:
            raise CryomaeError(
                f"cannot be read: {error.strerror or error}",
                "give --shards the folder as cryomae pack wrote it",
                error.filename or shard.path,
            ) from error
        if not same:
            raise _damaged(shard.path)
        found = self._open[number] = (os.open(shard.path, os.O_RDONLY), table)
        return found

    def close(self) -> None:
        """Close all files."""
        while self._open:
            os.close(self._open.popitem()[1][0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _damaged(path: Path) -> InputError:
    return InputError(
        "this is not as cryomae pack wrote it: it is damaged, or was copied in part",
        "copy it again, or delete it and run cryomae pack as before",
        path,
    )
