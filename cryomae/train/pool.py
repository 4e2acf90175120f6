"""A pool of fields on disk, and the endless windows that training draws from it.

::

    POOL/
      fields_000000.npz    the fields of one particle or of one micrograph, in eight bits
      fields_000001.npz

Drawing a field costs a hundred times as much as reading one, and a window is hardly ever
drawn twice: so fields are made once and every run takes its windows from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cryomae.atomic import atomic_path
from cryomae.errors import InputError
from cryomae.prepare import WORKING_DIAMETER
from cryomae.sizes import STRIDE
from cryomae.train.fields import Field, simulate_fields
from cryomae.train.levels import from_levels, to_levels

TARGET_WIDTH = 0.1
"""Standard deviation of a target's Gaussian in diameters: ours; a score peaks within it."""


def write_fields(path: Path, fields: Iterable[Field]) -> None:
    """Write fields in eight bits."""
    arrays: dict[str, NDArray[np.generic]] = {}
    for i, field in enumerate(fields):
        arrays[f"image_{i}"] = to_levels(field.image)
        arrays[f"valid_{i}"] = field.valid
        if field.clean is not None:
            arrays[f"clean_{i}"] = to_levels(field.clean)
        if field.centres is not None:
            arrays[f"centres_{i}"] = field.centres
        if field.ignore is not None:
            arrays[f"ignore_{i}"] = field.ignore
    with atomic_path(path) as part:
        np.savez(part, **arrays)  # type: ignore[arg-type]


def make_pool(
    folder: Path,
    particles: int,
    *,
    seed: int,
    jobs: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Simulate the fields of many particles, or go on where an earlier call stopped.

    Parameters
    ----------
    folder : Path
    particles : int
    seed : int
        Same seed, same fields, however many processes work.
    jobs : int
        Processes.
    on_progress : callable, optional
        Called with the number of particles done and of all.
    """
    files = [folder / f"fields_{i:06d}.npz" for i in range(particles)]
    todo = [i for i, file in enumerate(files) if not file.exists()]
    done = particles - len(todo)
    work = partial(_simulate, folder, seed)
    with ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as processes:
        for _ in processes.map(work, todo, chunksize=4):
            done += 1
            if on_progress is not None:
                on_progress(done, particles)


def _simulate(folder: Path, seed: int, index: int) -> None:
    write_fields(folder / f"fields_{index:06d}.npz", simulate_fields(seed, index))


@dataclass(frozen=True)
class Pool:
    """Fields in memory, as stored.

    Attributes
    ----------
    images, cleans : list of ndarray, int8
        ``cleans`` is empty where what lies under the noise is not known.
    valids, ignores : list of ndarray, bool
    centres : list of ndarray, float32, shape (n, 2)
        Empty lists where truth is not known.
    """

    images: list[NDArray[np.int8]]
    cleans: list[NDArray[np.int8]]
    valids: list[NDArray[np.bool_]]
    ignores: list[NDArray[np.bool_]]
    centres: list[NDArray[np.float32]]

    def __len__(self) -> int:
        return len(self.images)


def load_pool(folder: Path, particles: int | None = None) -> Pool:
    """Read a pool.

    Parameters
    ----------
    folder : Path
    particles : int, optional
        Files to read at most, in the order of their names.

    Raises
    ------
    InputError
        If there are none.
    """
    files = sorted(folder.glob("fields_*.npz"))[:particles]
    if not files:
        raise InputError("holds no fields", "make them first, see scripts/train_default.py", folder)
    pool = Pool([], [], [], [], [])
    into = {"image": pool.images, "clean": pool.cleans, "valid": pool.valids,
            "ignore": pool.ignores, "centres": pool.centres}  # fmt: skip
    for file in files:
        with np.load(file) as arrays:
            for name in arrays.files:
                into[name.rsplit("_", 1)[0]].append(arrays[name])  # type: ignore[attr-defined]
    return pool


def target_map(centres: NDArray[np.floating], side: int) -> NDArray[np.float32]:
    """Gaussians of height 1 at the true centres, sampled every `STRIDE` pixels.

    Parameters
    ----------
    centres : ndarray, shape (n, 2)
        x, y in pixels of the window.
    side : int
        Of the window in pixels.

    Returns
    -------
    ndarray, float32, shape (side / STRIDE, side / STRIDE)
    """
    grid = np.arange(side // STRIDE, dtype=np.float32) * STRIDE + (STRIDE - 1) / 2
    sigma = TARGET_WIDTH * WORKING_DIAMETER
    out = np.zeros((len(grid), len(grid)), np.float32)
    near = ((centres > -4 * sigma) & (centres < side + 4 * sigma)).all(axis=1)
    for x, y in centres[near]:
        gx = np.exp(-((grid - x) ** 2) / (2 * sigma**2))
        gy = np.exp(-((grid - y) ** 2) / (2 * sigma**2))
        np.maximum(out, gy[:, None] * gx[None], out=out)
    return out


def draw_turn(rng: np.random.Generator) -> Callable[[NDArray[np.generic]], torch.Tensor]:
    """Draw a way to turn and mirror images of a window, which become tensors (1, side, side)."""
    turn, mirror = int(rng.integers(4)), bool(rng.integers(2))

    def turned(part: NDArray[np.generic]) -> torch.Tensor:
        part = np.rot90(part[:, ::-1] if mirror else part, turn)
        return torch.from_numpy(np.ascontiguousarray(part))[None]

    return turned


def maybe_noisier(
    image: NDArray[np.float32], valid: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Give a third of the windows some more noise, of unit strength again afterwards."""
    if rng.random() >= 0.33:
        return image
    more = rng.uniform(0, 0.8)
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    noise *= np.float32(more)
    noise += image
    noise /= np.float32(np.hypot(1, more))
    noise *= valid
    return noise


class Windows(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """Random windows of a pool, turned and mirrored; window i depends on the seed and i only.

    So a run that goes on after an interruption, with however many processes, sees what it
    would have seen. Half of the windows of a field with truth lie round a particle, so that
    sparse fields teach as much as full ones. A third gets some more noise, which also keeps
    any noise from being seen twice.

    Parameters
    ----------
    pool : Pool
    window : int
        Side in working pixels.
    seed : int

    Notes
    -----
    Each is a dict of tensors: ``image`` (1, window, window) and ``valid`` likewise, 1 or 0;
    with truth also ``clean`` likewise and ``target``, ``weight`` (1, window / STRIDE,
    window / STRIDE).
    """

    def __init__(self, pool: Pool, window: int, seed: int) -> None:
        self.pool, self.window, self.seed = pool, window, seed

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """Draw window ``index``; there is no last one."""
        return self._draw(np.random.default_rng([self.seed, index]))

    def _corner(self, index: int, rng: np.random.Generator) -> tuple[int, int]:
        """First row and column of a window, even."""
        last = np.array(self.pool.images[index].shape) - self.window
        corner = rng.integers(0, last + 1)
        if self.pool.centres and len(self.pool.centres[index]) and rng.random() < 0.5:
            x, y = self.pool.centres[index][rng.integers(len(self.pool.centres[index]))]
            away = rng.uniform(0.15, 0.85, 2) * self.window
            corner = np.clip(np.array([y, x]) - away, 0, last).astype(int)
        return int(corner[0]) // 2 * 2, int(corner[1]) // 2 * 2

    def _draw(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        pool, side = self.pool, self.window
        index = int(rng.integers(len(pool)))
        row, column = self._corner(index, rng)
        turned = draw_turn(rng)
        cut = np.s_[row : row + side, column : column + side]
        valid = pool.valids[index][cut]
        image = maybe_noisier(from_levels(pool.images[index][cut]), valid, rng)
        out = {"image": turned(image), "valid": turned(valid.astype(np.float32))}
        if pool.cleans:
            out["clean"] = turned(from_levels(pool.cleans[index][cut]))
        if pool.centres:
            target = target_map(pool.centres[index] - np.array([column, row]), side)
            known = (valid & ~pool.ignores[index][cut])[::STRIDE, ::STRIDE]
            out["target"] = turned(target)
            out["weight"] = turned(known.astype(np.float32))
        return out
