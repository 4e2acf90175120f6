"""Packing micrographs into shards, wherever that is done."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from cryomae.atomic import remove_leftovers
from cryomae.batch.plan import Shard as Part
from cryomae.errors import CryomaeError, MicrographError
from cryomae.micrograph import MicrographRef
from cryomae.scale import Backend, Lost
from cryomae.shards.store import (
    INDEX,
    PER_SHARD,
    Shard,
    ShardWriter,
    read_shard,
    shard_path,
    write_index,
)
from cryomae.train.levels import with_mask
from cryomae.train.settings import keep_settings
from cryomae.train.working import usable_image

SETTINGS = "pack.yaml"

_ROUND = 32  # micrographs a worker gets between two moments at which all wait for the last one


class PackSettings(BaseModel):
    """Everything that the bytes of the shards depend on.

    Attributes
    ----------
    diameter : float
        Of the particle in Å.
    pixel_size : float or None
        Å per pixel where given as an option.
    window : int
        Side of the windows that will be drawn, in working pixels.
    micrographs : int
    list_sha256 : str
        Hash of names, files and pixel sizes of the list.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    diameter: float
    pixel_size: float | None
    window: int
    micrographs: int
    list_sha256: str

    @classmethod
    def of(
        cls, refs: Sequence[MicrographRef], diameter: float, pixel_size: float | None, window: int
    ) -> PackSettings:
        """Settings for a list of micrographs."""
        whole = hashlib.sha256()
        for ref in refs:
            whole.update(f"{ref.name}\n{Path(ref.path).absolute()}\n{ref.pixel_size}\n".encode())
        return cls(
            diameter=diameter, pixel_size=pixel_size, window=window,
            micrographs=len(refs), list_sha256=whole.hexdigest()[:16],
        )  # fmt: skip


@dataclass
class Packed:
    """What is in a folder of shards.

    Attributes
    ----------
    folder : Path
    shards : list of Shard
        Those that there are.
    failed : list of MicrographError
        Micrographs that could not be used.
    missing : int
        Shards that are still to be made.
    """

    folder: Path
    shards: list[Shard] = field(default_factory=list)
    failed: list[MicrographError] = field(default_factory=list)
    missing: int = 0

    @property
    def micrographs(self) -> int:
        """Micrographs that can be learnt from."""
        return sum(shard.micrographs for shard in self.shards)

    @property
    def size(self) -> int:
        """Bytes of the shards."""
        return sum(shard.size for shard in self.shards)


@dataclass(frozen=True)
class _Item:
    """A micrograph and its place in a shard."""

    shard: int
    place: int
    ref: MicrographRef


class _PackOne:
    """Working image of one micrograph in levels, or why there is none."""

    def __init__(self, settings: PackSettings) -> None:
        self.settings = settings

    def open(self, place: int) -> None:
        """Nothing is to be loaded."""

    def __call__(self, item: _Item) -> NDArray[np.int8] | MicrographError:
        """Read and prepare; an error is the answer, so that the others go on."""
        wanted, path = self.settings, item.ref.path
        try:
            working = usable_image(item.ref, wanted.diameter, wanted.window, wanted.pixel_size)
        except CryomaeError as error:
            return MicrographError(error.cause, error.remedy, path)
        except MemoryError:
            return MicrographError("not enough memory for it", "use fewer --processes", path)
        except Exception as error:  # noqa: BLE001 - named; one micrograph never stops the others
            cause = f"unexpected {type(error).__name__}: {error}"
            return MicrographError(cause, "check the file with cryomae info", path)
        return with_mask(working.image, working.valid)


def pack_micrographs(
    refs: Sequence[MicrographRef],
    folder: Path,
    settings: PackSettings,
    *,
    backend: Backend,
    part: Part | None = None,
    command: Sequence[str] = (),
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Packed:
    """Make the shards that are not there yet, and their index when all are.

    The same micrographs and settings give the same bytes, in whatever processes.

    Parameters
    ----------
    refs : sequence of MicrographRef
        All micrographs, in the same order at every call.
    folder : Path
        To write to.
    settings : PackSettings
        `PackSettings.of` the micrographs.
    backend : Backend
        Where to prepare them. It has been opened.
    part : Part, optional
        Make only this part of the shards, as a job of an array does.
    command : sequence of str
        Command line, for the record.
    on_progress : callable
        ``on_progress(done, total)`` in micrographs.

    Raises
    ------
    InputError
        If the folder holds shards of other micrographs or settings, or of a whole shard no
        micrograph can be used.
    OutputError
        If shards cannot be written.
    """
    keep_settings(folder / SETTINGS, settings, list(command))
    bounds = _bounds(len(refs))
    numbers = [n for n in range(len(bounds) - 1) if part is None or part.takes(n)]
    todo = [n for n in numbers if read_shard(shard_path(folder, n)) is None]
    sizes = {n: bounds[n + 1] - bounds[n] for n in numbers}
    total = sum(sizes.values())
    done = total - sum(sizes[n] for n in todo)
    on_progress(done, total)
    work = _PackOne(settings)
    at_once = max(1, _ROUND * backend.workers // PER_SHARD)
    for begin in range(0, len(todo), at_once):
        chosen = todo[begin : begin + at_once]
        items = (
            _Item(n, place, _absolute(refs[bounds[n] + place]))
            for n in chosen
            for place in range(sizes[n])
        )
        with ExitStack() as stack:
            writers: dict[int, ShardWriter] = {}
            for item, answer in _answers(backend, work, items):
                n = item.shard
                if n not in writers:
                    remove_leftovers(shard_path(folder, n))
                    writers[n] = ShardWriter(shard_path(folder, n), sizes[n])
                    stack.callback(writers[n].close)
                writers[n].add(item.place, item.ref.name, answer)
                done += 1
                on_progress(done, total)
    packed = _look(folder, len(bounds) - 1)
    if not packed.missing and not (folder / INDEX).exists():
        write_index(folder, settings.model_dump(), packed.shards, packed.failed)
    return packed


def _answers(
    backend: Backend, work: _PackOne, items: Iterator[_Item]
) -> Iterator[tuple[_Item, NDArray[np.int8] | MicrographError]]:
    """Every item with its answer; what was lost with a process is tried once more, alone."""
    lost: list[_Item] = []
    with closing(backend.map_unordered(work, items)) as coming:
        for item, answer in coming:
            if isinstance(answer, Lost):
                lost.append(item)
            else:
                yield item, answer
    for again in lost:
        for item, answer in backend.map_unordered(work, [again]):
            if isinstance(answer, Lost):  # nobody else was in that process: it is to blame
                cause = f"the process that prepared it ended twice ({answer.how})"
                remedy = "look at the file (cryomae info), or use fewer --processes"
                yield item, MicrographError(cause, remedy, item.ref.path)
            else:
                yield item, answer


def _bounds(count: int) -> list[int]:
    """Where shards begin in the list, and the end: shards of nearly equal size."""
    shards = -(-count // PER_SHARD)
    return [count * n // shards for n in range(shards + 1)]


def _absolute(ref: MicrographRef) -> MicrographRef:
    """The same for workers, which may run in another folder."""
    return MicrographRef(ref.name, Path(ref.path).absolute(), ref.pixel_size)


def _look(folder: Path, count: int) -> Packed:
    packed = Packed(folder)
    for number in range(count):
        found = read_shard(shard_path(folder, number))
        if found is None:
            packed.missing += 1
        else:
            packed.shards.append(found[0])
            packed.failed += found[1]
    return packed


def clear(folder: Path) -> None:
    """Remove all shards, the index first and the settings last."""
    (folder / INDEX).unlink(missing_ok=True)
    for path in folder.glob("shard_*"):
        path.unlink(missing_ok=True)
    (folder / SETTINGS).unlink(missing_ok=True)
