"""One simulated micrograph: electrons through particles, ice and contaminants.

The steps are those of the microscope: potential of all that lies in the beam, phase of the
electron wave, transfer function, loss of electrons in thick matter, counting, camera. The
solvent's structural noise is drawn before the transfer function, shot noise after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage
from scipy.spatial.transform import Rotation

from cryomae.simulate.optics import Optics, interaction_constant, spatial_frequency, transfer
from cryomae.simulate.place import Poses, overlaps, place_particles
from cryomae.simulate.potential import VOLT_PER_DENSITY, Specimen, fragment, make_specimen
from cryomae.simulate.projector import Projector
from cryomae.simulate.scene import Region, Scene, add_contaminants, smooth_noise
from cryomae.simulate.settings import IceSettings, SimulationSettings

_WATER, _SCATTERING = 0.0314, 3.04  # molecules per Å³ of ice; Å of scattering length of each
_ICE_PATH = 4000.0  # Å: mean free path in ice, for electrons that do not reach the camera
_DARKEST = 0.02  # of the mean: where strong objects leave the weak-phase approximation

_SPECIMEN, _VIEWS, _MICROGRAPH = range(3)  # streams of random numbers


@dataclass(frozen=True)
class SimulatedMicrograph:
    """A micrograph and all that is known of it.

    Attributes
    ----------
    image : ndarray, float32, shape (rows, columns)
        Electrons per pixel.
    particles : Poses
        Whole particles only: what a picker should find.
    overlap : ndarray, shape (n,)
        Share of each particle's disc that other particles cover.
    regions : list of Region
        Contaminants, and particles that the border cuts (kind ``edge``).
    optics : Optics
    thickness : float
        Mean ice thickness in Å.
    snr : float
        As `SimulationSettings` defines it; NaN without particles.
    contrast : float
        What the particles' potential was multiplied by to get that.
    clean : ndarray, float32, shape (rows, columns)
        What the particles and contaminants do to the wave, without noise: relative
        contrast, protein below zero.
    """

    image: NDArray[np.float32]
    particles: Poses
    overlap: NDArray[np.float64]
    regions: list[Region]
    optics: Optics
    thickness: float
    snr: float
    contrast: float
    clean: NDArray[np.float32]


class Simulator:
    """Makes the micrographs of one set, in any order.

    Parameters
    ----------
    settings : SimulationSettings

    Attributes
    ----------
    specimen : Specimen
        The particle.
    """

    def __init__(self, settings: SimulationSettings) -> None:
        self.settings = settings
        self._rng = np.random.default_rng([settings.seed, _SPECIMEN])
        self.specimen = make_specimen(settings.particle, settings.pixel_size, self._rng)
        views = settings.particle.views
        rng = np.random.default_rng([settings.seed, _VIEWS])
        self._views = Rotation.random(views, rng=rng) if views else None

    @cached_property
    def _projector(self) -> Projector:
        return Projector(self.specimen, self.settings.pixel_size)

    @cached_property
    def _pieces(self) -> list[tuple[Specimen, Projector]]:
        """Two pieces of the particle, drawn with what made the particle."""
        pieces = [fragment(self.specimen, self._rng) for _ in range(2)]
        return [(piece, Projector(piece, self.settings.pixel_size)) for piece in pieces]

    @property
    def diameter(self) -> float:
        """Longest dimension of the particle in Å."""
        return self.specimen.diameter

    def micrograph(self, index: int) -> SimulatedMicrograph:
        """Simulate one micrograph.

        Parameters
        ----------
        index : int
            Which one; its random numbers depend on nothing else but the seed.
        """
        settings = self.settings
        rng = np.random.default_rng([settings.seed, _MICROGRAPH, index])
        optics = _draw_optics(settings, rng)
        thickness = float(rng.uniform(*settings.ice.thickness))
        across = self.diameter / settings.pixel_size
        scene = Scene.empty(settings.size, _margin(settings.size, across), settings.pixel_size)
        add_contaminants(scene, settings.contaminants, rng)
        junk = self._junk(scene, across, rng)
        depth = max(0.0, thickness - self.diameter)
        poses = place_particles(
            settings.particle, self._views, settings.size, across,
            (depth, settings.ice.slab), scene.regions, rng,
        )  # fmt: skip
        if rng.random() < settings.contaminants.empty:
            poses = _some(poses, np.zeros(len(poses), bool))

        frequency = spatial_frequency(scene.potential.shape, settings.pixel_size)
        strength = 2 * interaction_constant(optics.voltage)
        middle = transfer(optics, scene.potential.shape, settings.pixel_size)
        body = self._image_of(poses, scene, optics) * np.float32(strength)
        noise, power = _solvent(thickness, frequency, settings.pixel_size, rng)
        relief = _relief(scene.potential.shape, settings.ice, rng)
        arrive = settings.detector.dose * settings.pixel_size**2 * np.exp(-thickness / _ICE_PATH)
        floor = float(strength**2 * (power * middle**2).mean() + 1 / arrive)
        snr, contrast = _contrast(body, poses.xy + scene.margin, across, floor, settings.snr)

        rest = scene.potential + contrast * junk
        optical = middle * np.float32(strength)
        clean = contrast * body + fft.irfft2(fft.rfft2(rest) * optical, s=rest.shape)
        grain = fft.rfft2(noise * scene.grain * np.sqrt(relief)) * optical
        wave = clean + fft.irfft2(grain, s=rest.shape)
        lost = scene.depth + (relief - 1) * np.float32(thickness / _ICE_PATH)
        rate = arrive * np.exp(-lost) * np.maximum(1 - wave, _DARKEST)
        cut = slice(scene.margin, -scene.margin)
        image = _detect(rate[cut, cut], settings, rng)

        whole = _whole(poses.xy, settings.size, across)
        cut_off = _some(poses, ~whole)
        edge = [Region("edge", float(x), float(y), across / 2) for x, y in cut_off.xy]
        return SimulatedMicrograph(
            image, _some(poses, whole), overlaps(poses.xy, across)[whole],
            scene.regions + edge, optics, thickness, snr, contrast, -clean[cut, cut],
        )  # fmt: skip

    def _junk(self, scene: Scene, across: float, rng: np.random.Generator) -> NDArray[np.float32]:
        """Potential of aggregates and pieces; adds their regions to the scene."""
        settings = self.settings
        canvas = np.zeros_like(scene.potential)
        for _ in range(rng.poisson(settings.contaminants.aggregate)):
            x, y = scene.point(rng)
            spread, count = rng.uniform(0.6, 1.6) * across, int(rng.integers(8, 40))
            spots = rng.normal((x, y), spread, (count, 2))
            self._projector.add(canvas, spots + scene.margin, Rotation.random(count, rng=rng))
            scene.regions.append(Region("aggregate", x, y, 1.6 * spread + across / 2))
        for _ in range(rng.poisson(settings.contaminants.broken)):
            piece, projector = self._pieces[int(rng.integers(len(self._pieces)))]
            x, y = scene.point(rng)
            spot = np.array([[x, y]]) + scene.margin
            projector.add(canvas, spot, Rotation.random(1, rng=rng))
            radius = piece.diameter / settings.pixel_size / 2
            scene.regions.append(Region("broken", x, y, radius))
        return canvas

    def _image_of(self, poses: Poses, scene: Scene, optics: Optics) -> NDArray[np.float32]:
        """Particles through the transfer function, each slab with its own defocus."""
        total = np.zeros(
            (scene.potential.shape[0], scene.potential.shape[1] // 2 + 1), np.complex64
        )
        for deeper, chosen in _slabs(poses):
            canvas = np.zeros_like(scene.potential)
            self._projector.add(canvas, poses.xy[chosen] + scene.margin, poses.rotations[chosen])
            total += fft.rfft2(canvas) * transfer(
                optics, canvas.shape, self.settings.pixel_size, deeper * 1e-4
            )
        return np.asarray(fft.irfft2(total, s=scene.potential.shape), dtype=np.float32)


def _some(poses: Poses, chosen: NDArray[np.bool_]) -> Poses:
    # An empty Rotation cannot be indexed out of another in every version of scipy.
    turned = poses.rotations[chosen] if chosen.any() else Rotation.random(0)
    return Poses(poses.xy[chosen], turned, poses.deeper[chosen])


def _whole(xy: NDArray[np.float64], shape: tuple[int, int], across: float) -> NDArray[np.bool_]:
    """Whether all of a particle's disc lies in the micrograph."""
    last = np.array(shape[::-1]) - 1
    inside = (xy >= across / 2) & (xy <= last - across / 2)
    return np.asarray(inside.all(axis=1), dtype=np.bool_)


def _slabs(poses: Poses) -> Iterator[tuple[float, NDArray[np.bool_]]]:
    for deeper in np.unique(poses.deeper):
        yield float(deeper), poses.deeper == deeper


def _margin(shape: tuple[int, int], across: float) -> int:
    """Pixels round the micrograph, so that what lies just outside reaches into it."""
    least = int(max(64, across))
    sides = [(fft.next_fast_len(n + 2 * least, real=True) - n + 1) // 2 for n in shape]
    return max(sides)


def _draw_optics(settings: SimulationSettings, rng: np.random.Generator) -> Optics:
    given = settings.optics
    return Optics(
        voltage=given.voltage,
        spherical_aberration=given.spherical_aberration,
        amplitude_contrast=given.amplitude_contrast,
        defocus=float(rng.uniform(*given.defocus)),
        astigmatism=float(rng.uniform(*given.astigmatism)),
        astigmatism_angle=float(rng.uniform(0, 180)),
        phase_shift=float(rng.uniform(*given.phase_shift)),
        b_factor=float(rng.uniform(*given.b_factor)),
    )


def _solvent(
    thickness: float, frequency: NDArray[np.float32], pixel_size: float, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Structural noise of the ice in V·Å, and its power spectrum (half, per pixel).

    Independent water molecules would give white noise; that water is hard to compress
    leaves 6 % of it below the structure peak near 1/4 Å⁻¹ (structure factor of water).
    """
    structure = 0.06 + 0.94 / (1 + np.exp((0.22 - frequency) / 0.02))
    weight = _WATER * thickness * (VOLT_PER_DENSITY * _SCATTERING / pixel_size) ** 2
    power = (weight * structure * np.exp(-5 * frequency**2)).astype(np.float32)
    rows = frequency.shape[0]
    shape = (rows, 2 * (frequency.shape[1] - 1))
    white = rng.standard_normal(shape, dtype=np.float32)
    return np.asarray(fft.irfft2(fft.rfft2(white) * np.sqrt(power), s=shape), np.float32), power


def _relief(
    shape: tuple[int, int], ice: IceSettings, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Thickness of the ice over its mean: a slope and gentle waves."""
    gradient, angle = rng.uniform(*ice.gradient), rng.uniform(0, 2 * np.pi)
    yy, xx = (np.linspace(-0.5, 0.5, n, dtype=np.float32) for n in shape)
    slope = np.cos(angle) * xx[None] + np.sin(angle) * yy[:, None]
    waves = 0.1 * gradient * smooth_noise(shape, max(shape) / 8, rng)
    return np.maximum(1 + np.float32(gradient) * slope + waves, 0.2).astype(np.float32)


def _contrast(
    body: NDArray[np.float32],
    xy: NDArray[np.float64],
    across: float,
    floor: float,
    wanted: float | None,
) -> tuple[float, float]:
    """Signal-to-noise ratio, and the factor on the particles that gives it.

    ``floor`` is the variance of the noise, as a share of the mean intensity.
    """
    if not len(xy):
        return float("nan"), 1.0
    inside = np.zeros(body.shape, bool)
    reach = int(across / 2) + 1
    grid = np.arange(-reach, reach + 1)
    rows, columns = np.nonzero(np.hypot(grid[:, None], grid[None]) <= across / 2)
    for x, y in np.rint(xy).astype(int):
        r, c = rows + y - reach, columns + x - reach
        keep = (r >= 0) & (c >= 0) & (r < body.shape[0]) & (c < body.shape[1])
        inside[r[keep], c[keep]] = True
    snr = float(body[inside].var()) / floor
    if wanted is None:
        return snr, 1.0
    return wanted, float(np.sqrt(wanted / snr))


def _detect(
    rate: NDArray[np.float32], settings: SimulationSettings, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Count electrons, blur by the camera, apply a gain reference that may not fit."""
    counts = rng.poisson(rate).astype(np.float32)
    shape = rate.shape
    nyquist = np.minimum(spatial_frequency(shape, 1.0) / 0.5, 1.42)
    blurred = fft.irfft2(fft.rfft2(counts) * settings.detector.mtf**nyquist, s=shape)
    image = np.asarray(blurred, dtype=np.float32)
    if rng.random() < settings.detector.stripes:
        image *= _gain(shape, 0.08 / np.sqrt(float(rate.mean())), rng)
    return image


def _gain(shape: tuple[int, int], size: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Factors of columns, some in blocks as amplifiers are, and of the two halves."""
    columns = ndimage.uniform_filter1d(rng.normal(size=shape[1]), int(rng.integers(1, 24)))
    columns = size * columns / (columns.std() + 1e-9)
    halves = rng.normal(0, size) * (np.arange(shape[0]) > shape[0] / 2)
    gain = (1 + columns[None] + halves[:, None]).astype(np.float32)
    return np.ascontiguousarray(gain if rng.random() < 0.5 else gain[::-1, ::-1])
