"""Specimens: the electrostatic potential of a particle in ice, on a grid.

Everything is the difference from vitreous ice, in volts, so that the ice itself is zero.
An atomic model is the sum of its atoms' potentials (electron form factors of gemmi) minus
the ice that the molecule displaces. A map or a procedural particle has no unit: its mean
inside is set to what proteins have by the same form factors.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gemmi
import mrcfile
import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from cryomae.errors import CryomaeError, InputError
from cryomae.simulate.settings import ParticleSettings
from cryomae.simulate.shapes import Cloud, random_particle

VOLT_PER_DENSITY = 47.87801
"""h²/(2π m e) in V·Å²: turns Å of scattering length per Å³ into volts."""

ICE = 4.57
"""Mean potential of vitreous ice in volts: 0.0314 molecules per Å³ (0.94 g/cm³), each with
the scattering length of O and two H at zero angle, 3.04 Å."""

PROTEIN = 8.1
"""Mean potential of protein in volts: residues of 110 Da in 133 Å³, average composition."""

_HYDROGEN = 1.22  # scattering of protein with hydrogen over that without, same composition
_BODY = 1.0  # volts above ice: less is no part of the particle
_FINE = 1.5  # Å: grid on which atoms are drawn
_LARGEST = 192  # voxels a side of a specimen; its Fourier transform then takes 0.3 GB

_MODELS = (".pdb", ".cif", ".ent", ".mmcif")
_MAPS = (".mrc", ".map", ".ccp4")


class SpecimenError(CryomaeError):
    """A particle that cannot be made."""


@dataclass(frozen=True)
class Specimen:
    """One particle.

    Attributes
    ----------
    potential : ndarray, float32, shape (n, n, n)
        Volts above ice, z, y, x; the centre of mass lies at voxel n // 2.
    voxel_size : float
        Å; a whole multiple of the micrograph's pixel size.
    diameter : float
        Longest dimension in Å: twice the radius that holds 98 % of the mass.
    """

    potential: NDArray[np.float32]
    voxel_size: float
    diameter: float


def make_specimen(
    settings: ParticleSettings, pixel_size: float, rng: np.random.Generator
) -> Specimen:
    """Make the particle of a data set.

    Parameters
    ----------
    settings : ParticleSettings
    pixel_size : float
        Of the micrographs, in Å.
    rng : Generator
        Draws a procedural particle.

    Raises
    ------
    InputError, SpecimenError
        If the file cannot be read, or holds no atoms or an empty map.
    """
    if settings.source == "procedural":
        cloud = random_particle(rng, kind=settings.kind, points=60_000)
        return from_cloud(cloud, settings.diameter or 180.0, pixel_size)
    path = Path(settings.source)
    kinds = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    kind = kinds[-1] if kinds else ""
    if kind not in (*_MODELS, *_MAPS):
        raise InputError(
            f"'{kind}' is no particle that can be simulated",
            f"give procedural, or a file with one of {', '.join((*_MODELS, *_MAPS))}", path,
        )  # fmt: skip
    if not path.is_file():
        raise InputError("no such file", "check the particle's source", path)
    if kind in _MAPS:
        return _from_map(path, settings.diameter, pixel_size)
    if settings.diameter is not None:
        raise InputError(
            "an atomic model has a size of its own", "leave out the particle's diameter", path
        )
    return _from_atoms(path, pixel_size)


def from_cloud(cloud: Cloud, diameter: float, pixel_size: float) -> Specimen:
    """Protein in the shape of a cloud of points.

    Parameters
    ----------
    cloud : ndarray, shape (n, 3)
        Points in any unit.
    diameter : float
        Of the body that comes out, in Å.
    pixel_size : float
        Of the micrographs, in Å.
    """
    # Thin outskirts do not count as body, so how large the body gets is seen only afterwards.
    first = _cloud_body(cloud, diameter, pixel_size)
    return _cloud_body(cloud, diameter * diameter / first.diameter, pixel_size)


def _cloud_body(cloud: Cloud, diameter: float, pixel_size: float) -> Specimen:
    size = float(2 * np.linalg.norm(cloud, axis=1).max() * diameter)
    voxel = _voxel_size(size, pixel_size)
    side = _side(size, voxel)
    edges = [(np.arange(side + 1) - side // 2 - 0.5) * voxel] * 3
    counts = np.histogramdd(cloud[:, ::-1] * diameter, bins=edges)[0]
    # Points are a sample of a smooth body: 6 Å, or a voxel, hides which points were drawn.
    density = ndimage.gaussian_filter(counts.astype(np.float32), max(1.0, 6.0 / voxel))
    return _finish(_as_protein(density), voxel)


def _from_atoms(path: Path, pixel_size: float) -> Specimen:
    try:
        structure = gemmi.read_structure(str(path))
    except (RuntimeError, ValueError, OSError) as error:
        raise SpecimenError(f"cannot be read: {error}", "check the file", path) from error
    structure.setup_entities()
    structure.remove_waters()
    structure.remove_alternative_conformations()
    if not len(structure) or not structure[0].count_atom_sites():
        raise SpecimenError("holds no atoms", "give a complete model", path)
    model = structure[0]
    atoms = [site.atom for site in model.all()]
    places = np.array([atom.pos.tolist() for atom in atoms])
    weights = np.array([atom.element.weight for atom in atoms])
    centre = (places * weights[:, None]).sum(axis=0) / weights.sum()
    size = 2 * float(np.linalg.norm(places - centre, axis=1).max()) + 12
    voxel = _voxel_size(size, pixel_size)
    finer = int(np.ceil(voxel / _FINE))
    side = _side(size, voxel)
    cell = side * voxel

    # Atom positions count from the corner of the box; its voxel n // 2 is the centre.
    shift = side // 2 * voxel - centre
    # As sharp as the grid can hold without ringing; the micrograph's envelope does the rest.
    sharpness = max(20.0, 12 * voxel**2)
    for atom, place in zip(atoms, places + shift, strict=True):
        atom.pos = gemmi.Position(*place)
        atom.b_iso = sharpness
    structure.cell = gemmi.UnitCell(cell, cell, cell, 90, 90, 90)
    structure.spacegroup_hm = "P 1"
    structure.setup_cell_images()
    calculator = gemmi.DensityCalculatorE()
    calculator.d_min = 2 * voxel / finer
    calculator.rate = 1.0
    calculator.grid.set_unit_cell(structure.cell)
    calculator.grid.spacegroup = gemmi.SpaceGroup("P 1")
    calculator.grid.set_size(*(side * finer,) * 3)
    calculator.add_model_density_to_grid(model)
    hydrogens = any(atom.element.is_hydrogen for atom in atoms)
    potential = calculator.grid.array * (VOLT_PER_DENSITY * (1 if hydrogens else _HYDROGEN))

    mask = gemmi.FloatGrid(*potential.shape)
    mask.set_unit_cell(structure.cell)
    mask.spacegroup = gemmi.SpaceGroup("P 1")
    gemmi.SolventMasker(gemmi.AtomicRadiiSet.Cctbx).put_mask_on_float_grid(mask, model)
    displaced = ndimage.gaussian_filter(1 - mask.array, 1.0 * finer / voxel)
    # gemmi's grids run x, y, z.
    body = np.ascontiguousarray((potential - ICE * displaced).transpose(2, 1, 0))
    return _finish(_fourier_bin(body, finer), voxel)


def _from_map(path: Path, diameter: float | None, pixel_size: float) -> Specimen:
    volume, own = _read_map(path)
    volume = volume - np.median(volume)
    # Noise round the particle would become a cube of structured ice: keep what stands out.
    level = 0.25 * float(np.quantile(volume, 0.999))
    if not level > 0:
        raise SpecimenError("holds no density above its surroundings", "check the map", path)
    labels, count = ndimage.label(volume > level)
    largest = labels == 1 + np.argmax(np.bincount(labels.ravel(), minlength=count + 1)[1:])
    near = ndimage.binary_dilation(largest, iterations=2)
    volume = np.where(near, np.maximum(volume, 0), 0)
    middle = np.array(ndimage.center_of_mass(volume))
    radius = _mass_radius(volume, middle)
    scale = 1.0 if diameter is None else diameter / (2 * radius * own)
    points = np.argwhere(near)
    size = 2 * float(np.linalg.norm(points - middle, axis=1).max()) * own * scale + 2 * own
    voxel = _voxel_size(size, pixel_size)
    side = _side(size, voxel)
    step = voxel / (own * scale)  # voxels of the map per voxel of the specimen
    if step > 1:
        volume = ndimage.gaussian_filter(volume, 0.4 * step)
    offset = middle - step * (side // 2)
    body = ndimage.affine_transform(
        volume, np.full(3, step), offset=offset, output_shape=(side,) * 3, order=3
    )
    return _finish(_as_protein(np.maximum(body, 0)), voxel)


def _read_map(path: Path) -> tuple[NDArray[np.float32], float]:
    """Voxels, z, y, x, and their size in Å."""
    try:
        with mrcfile.open(path, permissive=False) as mrc:
            volume = np.asarray(mrc.data, dtype=np.float32)
            sizes = np.array(mrc.voxel_size.tolist(), dtype=float)
    except (OSError, ValueError) as error:
        raise SpecimenError(f"cannot be read: {error}", "check the file", path) from error
    if volume.ndim != 3 or min(volume.shape) < 8 or not np.isfinite(volume).all():
        raise SpecimenError(
            f"is no map: shape {volume.shape}", "give a density map in three dimensions", path
        )
    if not (sizes > 0).all() or np.ptp(sizes) > 0.01 * sizes.max():
        raise SpecimenError(
            f"voxels of {sizes} Å", "give a map whose header has the size of its voxels", path
        )
    return volume, float(sizes.mean())


def _as_protein(density: NDArray[np.floating]) -> NDArray[np.float32]:
    """Scale a density so that its inside has the mean potential of protein in ice.

    Protein is about as dense everywhere: what is denser than most is brought near the rest.
    """
    level = 0.3 * np.quantile(density[density > 0], 0.99)
    even = 1 - np.exp(-density / level)
    return (even * ((PROTEIN - ICE) / even[density > level].mean())).astype(np.float32)


def _finish(potential: NDArray[np.floating], voxel: float) -> Specimen:
    """Move the centre of mass to voxel n // 2 and measure the diameter."""
    mass = np.where(potential > _BODY, potential, 0)
    if not mass.any():
        raise SpecimenError("has no body that differs from ice", "check the particle")
    side = potential.shape[0]
    offset = side // 2 - np.array(ndimage.center_of_mass(mass))
    moved = np.asarray(ndimage.shift(potential, offset, order=3), dtype=np.float32)
    radius = _mass_radius(np.where(moved > _BODY, moved, 0), np.full(3, side // 2))
    return Specimen(moved, voxel, float(2 * radius * voxel))


def _mass_radius(mass: NDArray[np.floating], centre: NDArray[np.floating]) -> float:
    """Radius in voxels that holds 98 % of the mass."""
    grids = np.ogrid[tuple(slice(0, n) for n in mass.shape)]
    distance = np.sqrt(sum((g - c) ** 2 for g, c in zip(grids, centre, strict=True)))
    counts, edges = np.histogram(distance, bins=4 * max(mass.shape), weights=mass)
    total = np.cumsum(counts)
    return float(edges[1:][np.searchsorted(total, 0.98 * total[-1])])


def _voxel_size(size: float, pixel_size: float) -> float:
    """The pixel size, or the least multiple of it at which the specimen is small enough."""
    return pixel_size * max(1, int(np.ceil(size * 1.1 / pixel_size / _LARGEST)))


def _side(size: float, voxel: float) -> int:
    return 2 * int(fft.next_fast_len(int(np.ceil(size * 0.5 * 1.1 / voxel)) + 4))


def _fourier_bin(volume: NDArray[np.floating], factor: int) -> NDArray[np.float32]:
    """Every ``factor``-th voxel of the volume without frequencies that do not fit."""
    if factor == 1:
        return volume.astype(np.float32)
    side = volume.shape[0] // factor
    spectrum = fft.rfftn(volume.astype(np.float32))
    keep = np.r_[0 : side // 2, volume.shape[0] - side // 2 : volume.shape[0]]
    cut = spectrum[np.ix_(keep, keep, np.arange(side // 2 + 1))]
    out = fft.irfftn(cut, s=(side,) * 3) / factor**3
    return np.asarray(out, dtype=np.float32)


def fragment(specimen: Specimen, rng: np.random.Generator) -> Specimen:
    """A piece of a particle, cut off along a plane: a third to two thirds of its mass."""
    side = specimen.potential.shape[0]
    normal = rng.normal(size=3)
    normal /= np.linalg.norm(normal)
    grids = np.ogrid[:side, :side, :side]
    depth = sum((g - side // 2) * n for g, n in zip(grids, normal, strict=True))
    mass = np.maximum(specimen.potential, 0)
    counts, edges = np.histogram(depth, bins=4 * side, weights=mass)
    share = np.cumsum(counts) / counts.sum()
    plane = edges[1:][np.searchsorted(share, rng.uniform(0.33, 0.67))]
    piece = specimen.potential * (1 / (1 + np.exp(np.clip((depth - plane) / 0.7, -30, 30))))
    return _finish(piece, specimen.voxel_size)
