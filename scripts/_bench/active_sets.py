"""Labelled sets as pools of candidates, and a user who knows the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from _bench.sets import LabelledSet
from cryomae.active.candidates import find_candidates
from cryomae.active.pool import Pool
from cryomae.evaluate import Truth
from cryomae.evaluate.judge import kinds_at
from cryomae.evaluate.truth import EDGE
from cryomae.io import read_micrograph
from cryomae.micrograph import MicrographRef
from cryomae.pick.pipeline import Detector

CONFIRM, REJECT, SKIP = 1, 0, -1


@dataclass(frozen=True)
class PooledSet:
    """A labelled set whose candidates are known.

    Attributes
    ----------
    name : str
    names : tuple of str
        Stems of its micrographs, in the order of the pool.
    pool : Pool
    particles : tuple of ndarray, shape (k, 2)
        True x, y in pixels of the file, of each micrograph.
    radius : float
        Half the diameter, in pixels.
    answers : ndarray of int, shape (n,)
        What a user who knows the truth says of each candidate: `CONFIRM` of the candidate
        nearest to a particle within half a diameter, `SKIP` of others as near, else `REJECT`.
    ignored : ndarray, bool, shape (n,)
        On a particle that the border cuts: neither right nor wrong.
    """

    name: str
    names: tuple[str, ...]
    pool: Pool
    particles: tuple[NDArray[np.float64], ...]
    radius: float
    answers: NDArray[np.int64]
    ignored: NDArray[np.bool_]


def read_pool(data: LabelledSet, detector: Detector, cache: Path) -> PooledSet:
    """Encode a set, or take what an earlier run with the same weights kept.

    Parameters
    ----------
    data : LabelledSet
    detector : Detector
    cache : Path
        Folder.
    """
    path = cache / f"{data.group}-{data.name}-{detector.sha256[:12]}.npz"
    if not path.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        np.savez(path, **_encode(data, detector))
    kept = dict(np.load(path))
    count = len(data.files)
    pool = Pool(
        **kept, pixel_size=np.full(count, data.pixel_size), defocus=np.full(count, np.nan),
        diameter=data.diameter,
    )  # fmt: skip
    names = tuple(data.files)
    name = f"{data.group}/{data.name}" if data.group != data.name else data.name
    table = data.truth.particles
    particles = tuple(
        table.loc[table["micrograph"] == own, ["x", "y"]].to_numpy(dtype=np.float64)
        for own in names
    )
    answers = _true_answers(pool, particles, data.radius)
    ignored = _cut(pool, names, data.truth)
    return PooledSet(name, names, pool, particles, data.radius, answers, ignored)


def _encode(data: LabelledSet, detector: Detector) -> dict[str, NDArray[np.generic]]:
    found = []
    for number, (name, path) in enumerate(data.files.items()):
        micrograph = read_micrograph(MicrographRef(name, path), data.pixel_size)
        rng = np.random.default_rng(number)
        found.append(find_candidates(micrograph, detector, data.diameter, rng))
    owner = np.repeat(np.arange(len(found), dtype=np.int32), [len(f) for f in found])
    arrays = {
        field: np.concatenate([getattr(f, field) for f in found])
        for field in ("xy", "kind", "logit", "latents")
    }
    return {"micrograph": owner} | arrays


def _true_answers(
    pool: Pool, particles: Sequence[NDArray[np.float64]], radius: float
) -> NDArray[np.int64]:
    answers = np.full(len(pool), REJECT)
    for number, own in enumerate(particles):
        rows = np.flatnonzero(pool.micrograph == number)
        if not len(own) or not len(rows):
            continue
        away, _ = cKDTree(own).query(pool.xy[rows])
        answers[rows[away <= radius]] = SKIP
        gap, nearest = cKDTree(pool.xy[rows]).query(own)
        answers[rows[nearest[gap <= radius]]] = CONFIRM
    return answers


def _cut(pool: Pool, names: tuple[str, ...], truth: Truth) -> NDArray[np.bool_]:
    cut = np.zeros(len(pool), bool)
    edges = truth.regions[truth.regions["kind"] == EDGE]
    for number, name in enumerate(names):
        rows = np.flatnonzero(pool.micrograph == number)
        cut[rows] = kinds_at(pool.xy[rows], edges[edges["micrograph"] == name]) != ""
    return cut
