"""Procedural particles: clouds of points whose projections look like protein.

A cloud is an array (n, 3) in units of the particle's diameter, centred on its mass.
Points stand for scattering mass; projecting means rotating and dropping z. No known
structure is used, so that a model trained on these has seen none.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.spatial.transform import Rotation

Cloud = NDArray[np.float32]
Maker = Callable[[int, np.random.Generator], Cloud]

_GROUPS = {"C": 0.5, "D": 0.3, "T": 0.06, "O": 0.08, "I": 0.06}
"""Chances of the symmetry groups."""


def _ellipsoid(n: int, axes: NDArray[np.float64], rng: np.random.Generator) -> Cloud:
    direction = rng.normal(size=(n, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return (direction * rng.random((n, 1)) ** (1 / 3) * axes).astype(np.float32)


def _domains(n: int, rng: np.random.Generator) -> Cloud:
    """Compact domains along a random walk, each with its own size and density."""
    count = int(rng.integers(1, 8))
    centre, parts = np.zeros(3), []
    for _ in range(count):
        axes = 0.5 * rng.uniform(0.4, 1.0, size=3)
        part = _ellipsoid(max(8, n // count), axes, rng)
        parts.append(part @ Rotation.random(rng=rng).as_matrix().astype(np.float32) + centre)
        step = rng.normal(size=3)
        centre = centre + step / np.linalg.norm(step) * rng.uniform(0.35, 0.9)
    return np.concatenate(parts).astype(np.float32)


def _chain(n: int, rng: np.random.Generator) -> Cloud:
    """A globule: the compact random walk of a polymer, lumpy inside."""
    steps = rng.normal(size=(n, 3))
    # A leaky sum stays near its start, as a folded chain does.
    keep = 1 - rng.uniform(0.02, 0.2)
    return lfilter([1.0], [1.0, -keep], steps, axis=0).astype(np.float32)


def _shell(n: int, rng: np.random.Generator) -> Cloud:
    """A hollow capsid or ferritin-like shell, smooth or knobbly."""
    direction = rng.normal(size=(n, 3))
    knobs = rng.normal(size=(int(rng.integers(6, 60)), 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    if rng.random() < 0.5:
        knobs /= np.linalg.norm(knobs, axis=1, keepdims=True)
        near = knobs[np.argmax(direction @ knobs.T, axis=1)]
        direction = near + rng.uniform(0.1, 0.4) * direction
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    thickness = rng.uniform(0.03, 0.35)
    radius = 1 - thickness * rng.random((n, 1))
    squash = np.array([1, 1, rng.uniform(0.6, 1)])
    return (direction * radius * squash).astype(np.float32)


def _tube(n: int, rng: np.random.Generator) -> Cloud:
    """A rod, tube or barrel (proteasome-like), open or filled."""
    height, wall = rng.uniform(0.5, 2.5), rng.uniform(0.2, 1.0)
    angle = rng.random(n) * 2 * np.pi
    radius = np.sqrt(1 - wall * rng.random(n))
    z = rng.uniform(-height, height, size=n)
    if rng.random() < 0.5:  # stacked rings
        rings = int(rng.integers(2, 6))
        z = (np.floor((z / height + 1) / 2 * rings) + 0.5 + rng.normal(0, 0.15, n)) / rings
        z = (2 * z - 1) * height
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], 1).astype(np.float32)


def _membrane(n: int, rng: np.random.Generator) -> Cloud:
    """A protein in a micelle or nanodisc: a flat belt with domains above and below."""
    belt = _ellipsoid(n // 2, np.array([0.9, 0.9, 0.35]), rng)
    radius = np.linalg.norm(belt[:, :2], axis=1)
    belt = belt[radius > rng.uniform(0.2, 0.6)]
    top = _domains(n // 2, rng) * rng.uniform(0.4, 0.9) + np.array([0, 0, rng.uniform(0.4, 1.0)])
    return np.concatenate([belt, top]).astype(np.float32)


def _symmetric(make: Maker, points: int, groups: str, rng: np.random.Generator) -> Cloud:
    """Copies of one part under the symmetry of one of the groups, such as CD."""
    chance = np.array([_GROUPS[g] for g in groups])
    kind = str(rng.choice(list(groups), p=chance / chance.sum()))
    order = int(rng.integers(2, 9 if kind == "C" else 6))
    name = f"{kind}{order}" if kind in "CD" else kind
    group = Rotation.create_group(name)
    part = make(max(24, points // len(group)), rng)
    part = part / (np.abs(part).max() + 1e-6)
    offset = rng.normal(size=3)
    part = part + offset / np.linalg.norm(offset) * rng.uniform(0.3, 2.0)
    copies = [part @ matrix.T.astype(np.float32) for matrix in group.as_matrix()]
    return np.concatenate(copies).astype(np.float32)


_PLAIN: dict[str, Maker] = {
    "domains": _domains,
    "chain": _chain,
    "shell": _shell,
    "tube": _tube,
    "membrane": _membrane,
}
_SYMMETRIC = {"cyclic": "C", "dihedral": "D", "cubic": "TOI"}
KINDS = (*_PLAIN, *_SYMMETRIC)


def random_particle(rng: np.random.Generator, kind: str | None = None, points: int = 1600) -> Cloud:
    """Draw a particle.

    Parameters
    ----------
    rng : Generator
    kind : str, optional
        One of `KINDS`; by default any, also symmetric ones. ``cyclic``, ``dihedral`` and
        ``cubic`` (T, O or I) are copies of domains.
    points : int
        About how many points.

    Returns
    -------
    ndarray, float32, shape (n, 3)
        Points within a sphere of diameter 1, centred on their mean. The longest
        dimension (98th percentile of the radius, twice) is 1.
    """
    if kind in _SYMMETRIC:
        cloud = _symmetric(_domains, points, _SYMMETRIC[kind], rng)
    elif kind is not None:
        cloud = _PLAIN[kind](points, rng)
    else:
        name = list(_PLAIN)[int(rng.choice(len(_PLAIN), p=[0.42, 0.25, 0.1, 0.1, 0.13]))]
        if name in ("domains", "chain") and rng.random() < 0.6:
            cloud = _symmetric(_PLAIN[name], points, "CDTOI", rng)
        else:
            cloud = _PLAIN[name](points, rng)
    cloud = cloud - cloud.mean(axis=0)
    radius = np.linalg.norm(cloud, axis=1)
    return (cloud / (2 * np.quantile(radius, 0.98))).astype(np.float32)
