"""What lies in a micrograph besides intact particles: where, and what it does to electrons.

A scene is drawn on a canvas a little larger than the micrograph, in three maps: projected
potential (phase contrast), optical depth (electrons lost; transmission is ``exp(-depth)``)
and the strength of structural noise (grain). Sizes, thicknesses and depths are ours, chosen
to look like the micrographs that the field shows for each kind.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cryomae.simulate.settings import ContaminantSettings

CARBON, GOLD_DEPTH, ETHANE, FROST = 9.0, 0.02, 1.2, 0.6
"""Volts of carbon film, optical depth per Å of gold, and volts of ethane and of ice crystals
above vitreous ice (most of their volume displaces ice, the rest adds thickness)."""

_CARBON_PATH = 6000.0  # Å: mean free path in carbon, for electrons that the aperture stops
_CARBON_GRAIN = 2.5  # structural noise of carbon film in units of that of the ice


@dataclass(frozen=True)
class Region:
    """Where a contaminant lies.

    Attributes
    ----------
    kind : str
    x, y : float
        Centre of a circle in pixels of the micrograph.
    radius : float
        Pixels.
    outside : bool
        True if the contaminant is everything outside the circle.
    """

    kind: str
    x: float
    y: float
    radius: float
    outside: bool = False

    def distance(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distance of points (n, 2) from the region in pixels, negative inside."""
        away = np.hypot(xy[:, 0] - self.x, xy[:, 1] - self.y) - self.radius
        return -away if self.outside else away


@dataclass
class Scene:
    """Maps of one micrograph, and the list of what is in it.

    Attributes
    ----------
    potential, depth, grain : ndarray, float32, shape (rows, columns)
        V·Å, optical depth, and structural noise in units of that of the mean ice.
    margin : int
        Pixels of the canvas outside each side of the micrograph.
    pixel_size : float
        Å.
    regions : list of Region
    """

    potential: NDArray[np.float32]
    depth: NDArray[np.float32]
    grain: NDArray[np.float32]
    margin: int
    pixel_size: float
    regions: list[Region] = field(default_factory=list)

    @classmethod
    def empty(cls, shape: tuple[int, int], margin: int, pixel_size: float) -> Scene:
        """A scene of nothing but even ice round a micrograph of ``shape``."""
        canvas = (shape[0] + 2 * margin, shape[1] + 2 * margin)
        zero = np.zeros(canvas, np.float32)
        return cls(zero, zero.copy(), np.ones(canvas, np.float32), margin, pixel_size)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the micrograph."""
        rows, columns = self.potential.shape
        return rows - 2 * self.margin, columns - 2 * self.margin

    def point(self, rng: np.random.Generator) -> tuple[float, float]:
        """A random place in the micrograph, x and y in its pixels."""
        rows, columns = self.shape
        return float(rng.uniform(0, columns)), float(rng.uniform(0, rows))

    def window(self, x: float, y: float, radius: float) -> tuple[slice, slice, NDArray[np.float32]]:
        """Rows and columns of the canvas round a place, and the offsets (2, h, w), y then x."""
        middle = (y + self.margin, x + self.margin)
        spans = [
            (max(int(m - radius), 0), min(int(m + radius) + 2, n))
            for m, n in zip(middle, self.potential.shape, strict=True)
        ]
        rows, columns = (slice(a, max(a, b)) for a, b in spans)
        grid = np.stack(
            np.meshgrid(
                np.arange(rows.start, rows.stop) - middle[0],
                np.arange(columns.start, columns.stop) - middle[1],
                indexing="ij",
            )
        ).astype(np.float32)
        return rows, columns, grid


def smooth_noise(
    shape: tuple[int, int], sigma: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Random field of unit variance that varies over ``sigma`` pixels."""
    step = max(1, int(sigma / 2))
    small = rng.normal(size=(shape[0] // step + 3, shape[1] // step + 3)).astype(np.float32)
    small = ndimage.gaussian_filter(small, sigma / step)
    large = ndimage.zoom(small, step, order=1)[: shape[0], : shape[1]] if step > 1 else small
    large = large[: shape[0], : shape[1]]
    return np.asarray((large - large.mean()) / (large.std() + 1e-9), dtype=np.float32)


def add_contaminants(scene: Scene, settings: ContaminantSettings, rng: np.random.Generator) -> None:
    """Draw the contaminants that need no particle.

    Parameters
    ----------
    scene : Scene
        Changed in place.
    settings : ContaminantSettings
    rng : Generator
    """
    if rng.random() < settings.carbon:
        _carbon(scene, rng)
    if rng.random() < settings.crystal:
        _crystalline(scene, rng)
    for mean, draw in ((settings.ice, _ice), (settings.ethane, _ethane), (settings.gold, _gold)):
        for _ in range(rng.poisson(mean)):
            draw(scene, rng)


def _step(depth: NDArray[np.floating], softness: float) -> NDArray[np.float32]:
    """From 0 to 1 where ``depth`` passes 0, over about ``softness``."""
    scaled = np.clip(depth / max(softness, 0.3), -30, 30)
    return (1 / (1 + np.exp(-scaled))).astype(np.float32)


def _carbon(scene: Scene, rng: np.random.Generator) -> None:
    """A film with a round hole of 1 to 2 µm; its edge crosses the micrograph."""
    rows, columns = scene.shape
    radius = rng.uniform(5000, 10000) / scene.pixel_size
    angle = rng.uniform(0, 2 * np.pi)
    # Where along the line from the hole's centre the edge lies: most of the view is ice.
    reach = 0.5 * min(rows, columns)
    edge = reach * rng.uniform(0.1, 0.9)
    x = columns / 2 + np.cos(angle) * (edge - radius)
    y = rows / 2 + np.sin(angle) * (edge - radius)
    yy, xx = np.indices(scene.potential.shape, dtype=np.float32) - scene.margin
    bearing = np.arctan2(yy - y, xx - x)
    wobble = np.zeros_like(bearing)
    for n in range(3, 9):
        size = rng.normal(0, 0.002 * radius / n)
        wobble += np.float32(size) * np.cos(n * bearing + np.float32(rng.uniform(0, 2 * np.pi)))
    film = _step(np.hypot(xx - x, yy - y) - radius - wobble, 12 / scene.pixel_size)
    thickness = rng.uniform(100, 220)
    # Ice in the hole makes up for most of the film: grain and rim tell it more than its shade.
    seen = thickness * rng.uniform(0.02, 0.4)
    away = (np.hypot(xx - x, yy - y) - radius - wobble) * scene.pixel_size
    rim = thickness * rng.uniform(0, 0.6) * np.exp(-((away / rng.uniform(20, 60)) ** 2))
    scene.potential += ((film * seen + rim) * CARBON).astype(np.float32)
    scene.depth += film * np.float32(seen / _CARBON_PATH)
    scene.grain *= 1 + film * np.float32(_CARBON_GRAIN * np.sqrt(thickness / 150) - 1)
    scene.regions.append(Region("carbon", float(x), float(y), float(radius), outside=True))


def _crystalline(scene: Scene, rng: np.random.Generator) -> None:
    """Ice that has crystallised: grains that diffract to a different degree, dark borders."""
    radius = rng.uniform(0.35, 1.2) * min(scene.shape)
    x, y = scene.point(rng)
    yy, xx = np.indices(scene.potential.shape, dtype=np.float32) - scene.margin
    inside = _step(radius - np.hypot(xx - x, yy - y), 150 / scene.pixel_size)
    grain = rng.uniform(40, 130) / scene.pixel_size
    blotch = smooth_noise(scene.potential.shape, grain, rng)
    blotch = blotch + np.float32(0.25) * np.sign(blotch) * blotch**2
    lines = np.abs(smooth_noise(scene.potential.shape, 0.6 * grain, rng)) < 0.06
    scene.depth += inside * np.maximum(0, 0.03 + rng.uniform(0.008, 0.025) * blotch).astype(
        np.float32
    )
    scene.potential += inside * lines * np.float32(40)
    scene.grain *= 1 + 0.6 * inside
    scene.regions.append(Region("crystal", x, y, float(radius)))


def _ice(scene: Scene, rng: np.random.Generator) -> None:
    """A faceted crystal that fell onto the film: thick and dark, sharp edges."""
    size = float(np.exp(rng.uniform(np.log(100), np.log(900)))) / scene.pixel_size
    x, y = scene.point(rng)
    rows, columns, (dy, dx) = scene.window(x, y, 1.4 * size)
    sides = int(rng.integers(5, 9))
    turn = rng.uniform(0, 2 * np.pi) + np.arange(sides) * 2 * np.pi / sides
    reach = size * rng.uniform(0.7, 1.0, sides)
    # A convex polygon: the least distance to any of its sides.
    depth = np.min(
        [r - dx * np.cos(t) - dy * np.sin(t) for t, r in zip(turn, reach, strict=True)], axis=0
    )
    body = _step(depth, rng.uniform(4, 25) / scene.pixel_size)
    body = ndimage.gaussian_filter(body, rng.uniform(0, 0.12) * size)
    relief = 1 + 0.25 * smooth_noise(body.shape, max(2.0, 0.4 * size), rng)
    thick = body * relief * np.clip(depth / (0.3 * size) + 0.5, 0, 1)
    _lay(
        scene, rows, columns, thick, 1.2 * size * scene.pixel_size * FROST, rng.uniform(0.03, 0.45)
    )
    scene.regions.append(Region("ice", x, y, float(reach.max())))


def _ethane(scene: Scene, rng: np.random.Generator) -> None:
    """A round, smooth drop."""
    size = float(np.exp(rng.uniform(np.log(60), np.log(700)))) / scene.pixel_size
    x, y = scene.point(rng)
    rows, columns, (dy, dx) = scene.window(x, y, 1.6 * size)
    squash, turn = rng.uniform(0.75, 1.0), rng.uniform(0, np.pi)
    along = dx * np.cos(turn) + dy * np.sin(turn)
    across = (dy * np.cos(turn) - dx * np.sin(turn)) / squash
    body = ndimage.gaussian_filter(
        np.sqrt(np.clip(1 - (along**2 + across**2) / size**2, 0, 1)),
        rng.uniform(3, 12) / scene.pixel_size,
    )
    _lay(scene, rows, columns, body, size * scene.pixel_size * ETHANE, rng.uniform(0.01, 0.12))
    scene.regions.append(Region("ethane", x, y, size))


def _gold(scene: Scene, rng: np.random.Generator) -> None:
    """A few beads of 5 to 15 nm, almost opaque."""
    x, y = scene.point(rng)
    for _ in range(int(rng.integers(1, 6))):
        size = rng.uniform(25, 75) / scene.pixel_size
        u, v = x + rng.normal(0, 3 * size), y + rng.normal(0, 3 * size)
        rows, columns, (dy, dx) = scene.window(u, v, size + 3)
        thick = 2 * np.sqrt(np.clip(size**2 - dx**2 - dy**2, 0, None)) * scene.pixel_size
        scene.depth[rows, columns] += (thick * GOLD_DEPTH).astype(np.float32)
        scene.regions.append(Region("gold", float(u), float(v), float(size)))


def _lay(
    scene: Scene,
    rows: slice,
    columns: slice,
    body: NDArray[np.floating],
    potential: float,
    depth: float,
) -> None:
    scene.potential[rows, columns] += (body * potential).astype(np.float32)
    scene.depth[rows, columns] += (body * depth).astype(np.float32)
