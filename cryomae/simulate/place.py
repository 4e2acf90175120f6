"""Where particles lie in a micrograph, how they are turned, and what covers them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from cryomae.simulate.scene import Region
from cryomae.simulate.settings import ParticleSettings

Corner = float | NDArray[np.float64]


@dataclass(frozen=True)
class Poses:
    """Particles of one micrograph.

    Attributes
    ----------
    xy : ndarray, shape (n, 2)
        Centres in pixels of the micrograph.
    rotations : Rotation
        n rotations that turn the specimen.
    deeper : ndarray, shape (n,)
        Added to the mean defocus, in Å.
    """

    xy: NDArray[np.float64]
    rotations: Rotation
    deeper: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.xy)

    def euler(self) -> NDArray[np.float64]:
        """RELION's rot, tilt and psi in degrees, shape (n, 3).

        RELION's angles take the particle back to the reference (Heymann, Chagoyen and
        Belnap, J. Struct. Biol. 151, 2005).
        """
        if not len(self.xy):
            return np.zeros((0, 3))
        return np.asarray(self.rotations.inv().as_euler("ZYZ", degrees=True))


def scatter(
    count: int, spacing: float, low: Corner, high: Corner, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Up to ``count`` random points, no two nearer than ``spacing``.

    Parameters
    ----------
    count : int
    spacing : float
        Least distance.
    low, high : float or ndarray, shape (2,)
        Corners of the rectangle, x then y.
    rng : Generator

    Returns
    -------
    ndarray, float32, shape (n, 2)
        x, y; fewer than ``count`` where no room was found in three times as many trials.
    """
    trial = rng.uniform(low, high, size=(3 * count, 2)).astype(np.float32)
    kept = np.empty((count, 2), np.float32)
    found = 0
    for point in trial:
        if found == count:
            break
        if not found or ((kept[:found] - point) ** 2).sum(1).min() >= spacing**2:
            kept[found] = point
            found += 1
    return kept[:found]


def place_particles(
    settings: ParticleSettings,
    views: Rotation | None,
    shape: tuple[int, int],
    diameter: float,
    ice: tuple[float, float],
    regions: list[Region],
    rng: np.random.Generator,
) -> Poses:
    """Spread particles over a micrograph, clear of contaminants.

    Parameters
    ----------
    settings : ParticleSettings
    views : Rotation, optional
        Preferred orientations.
    shape : (int, int)
        Rows and columns of the micrograph.
    diameter : float
        Pixels.
    ice : (float, float)
        Depth that the particles' centres are spread over, and thickness of a slab, in Å.
    regions : list of Region
        Where there are no particles.
    rng : Generator

    Returns
    -------
    Poses
        Also of particles whose centre lies up to half a diameter outside.
    """
    half = diameter / 2
    wide = (shape[1] + diameter) * (shape[0] + diameter) / (shape[0] * shape[1])
    count = round(rng.uniform(*settings.count) * wide)
    xy = scatter(
        count, settings.spacing * diameter, -half, np.array(shape[::-1]) + half, rng
    ).astype(np.float64)
    clear = np.ones(len(xy), bool)
    for region in regions:
        clear &= region.distance(xy) > 0.3 * diameter
    xy = xy[clear]
    depth, slab = ice
    deeper = np.round(rng.uniform(-depth / 2, depth / 2, len(xy)) / slab) * slab
    return Poses(xy, turn(len(xy), views, settings.view_spread, rng), deeper)


def turn(count: int, views: Rotation | None, spread: float, rng: np.random.Generator) -> Rotation:
    """Random rotations, all alike or near preferred views.

    Parameters
    ----------
    count : int
    views : Rotation, optional
        Preferred orientations; each particle gets one of them, tilted by a normal
        deviate of ``spread`` degrees about two axes, and a random spin about the beam.
    spread : float
    rng : Generator
    """
    if views is None or not count:
        return Rotation.random(count, rng=rng)
    chosen = views[rng.integers(0, len(views), count)]
    tilt = Rotation.from_euler("xy", rng.normal(0, spread, (count, 2)), degrees=True)
    spin = Rotation.from_euler("z", rng.uniform(0, 360, (count, 1)), degrees=True)
    return spin * tilt * chosen


def overlaps(xy: NDArray[np.float64], diameter: float) -> NDArray[np.float64]:
    """Share of each particle's disc that other particles' discs cover.

    Parameters
    ----------
    xy : ndarray, shape (n, 2)
        Pixels.
    diameter : float
        Pixels.

    Returns
    -------
    ndarray, shape (n,)
        Sum over the neighbours, at most 1.
    """
    covered = np.zeros(len(xy))
    if len(xy) < 2:
        return covered
    pairs = cKDTree(xy).query_pairs(diameter, output_type="ndarray")
    apart = np.linalg.norm(xy[pairs[:, 0]] - xy[pairs[:, 1]], axis=1) / diameter
    lens = 2 / np.pi * (np.arccos(apart) - apart * np.sqrt(1 - apart**2))
    np.add.at(covered, pairs[:, 0], lens)
    np.add.at(covered, pairs[:, 1], lens)
    return np.minimum(covered, 1)
