"""Fields: what training sees of a micrograph, simulated or real, at the working scale.

A simulated field is a small micrograph of `cryomae.simulate` with one procedural particle,
drawn from the whole variety of what can happen (`draw_settings`), then treated as people
treat their files (`degrade`: denoised, stored in eight bits, enlarged), then prepared as
`cryomae pick` prepares every micrograph. No known structure and no real micrograph is used.

All ranges below are ours: as wide as what the field meets, so that real data lie inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal
from skimage import exposure, restoration

from cryomae.prepare import flatten, fourier_resample, prepare
from cryomae.simulate.micrograph import SimulatedMicrograph, Simulator
from cryomae.simulate.settings import SimulationSettings, make_settings

PIXELS_PER_DIAMETER = 40
"""Pixels of a simulated micrograph in one diameter: a little more than the model sees."""

SIZE = 680
"""Side of a simulated micrograph in pixels: 17 diameters."""

MICROGRAPHS_PER_PARTICLE = 3
"""Making a particle costs about as much as a micrograph of it."""


@dataclass(frozen=True)
class Field:
    """A piece of working image with what is known of it.

    Attributes
    ----------
    image : ndarray, float32, shape (h, w)
        What the model sees: background near 0, noise of unit strength, protein dark.
    valid : ndarray, bool, shape (h, w)
        False where `cryomae.prepare` masks.
    clean : ndarray, float32, shape (h, w), optional
        The same without noise; known for simulated fields only.
    centres : ndarray, float32, shape (n, 2), optional
        Particles, x then y, also those that the border cuts; None where not known.
    ignore : ndarray, bool, shape (h, w), optional
        Where truth is undefined: inside aggregates.
    snr : float
        Signal-to-noise ratio as `cryomae.simulate.settings` defines it, at
        `PIXELS_PER_DIAMETER`; NaN where not known.
    """

    image: NDArray[np.float32]
    valid: NDArray[np.bool_]
    clean: NDArray[np.float32] | None = None
    centres: NDArray[np.float32] | None = None
    ignore: NDArray[np.bool_] | None = None
    snr: float = float("nan")


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def draw_settings(rng: np.random.Generator) -> SimulationSettings:
    """Draw everything about a few simulated micrographs of one new procedural particle."""
    diameter = _log_uniform(rng, 70, 420)
    area = (SIZE / PIXELS_PER_DIAMETER) ** 2  # in square diameters
    density = _log_uniform(rng, 0.04, 0.9)
    defocus = _log_uniform(rng, 0.4, 3.5)
    thickness = _log_uniform(rng, 150, 900)
    dirty = rng.random() < 0.75
    # Contaminants have sizes in Å: a field of small particles shows a small piece of the film.
    side = diameter * SIZE / PIXELS_PER_DIAMETER
    many = min(4.0, (side / 3000) ** 2) * rng.uniform(0, 2.5)
    content = {
        "seed": int(rng.integers(2**31)),
        "micrographs": MICROGRAPHS_PER_PARTICLE,
        "size": SIZE,
        "pixel_size": diameter / PIXELS_PER_DIAMETER,
        "snr": _log_uniform(rng, 0.012, 1.5),
        "particle": {
            "diameter": diameter,
            "count": [0.6 * density * area, density * area],
            "spacing": float(rng.uniform(0.55, 1.1)),
            "views": int(rng.integers(1, 4)) if rng.random() < 0.15 else 0,
        },
        "optics": {
            "voltage": float(rng.choice([200, 300])),
            "spherical_aberration": float(rng.choice([0.01, 2.0, 2.7])),
            "amplitude_contrast": float(rng.uniform(0.06, 0.12)),
            "defocus": [0.7 * defocus, 1.3 * defocus],
            "astigmatism": [0.0, 0.08],
            "phase_shift": [60, 120] if rng.random() < 0.07 else [0, 0],
            "b_factor": [20, 300],
        },
        "ice": {"thickness": [0.8 * thickness, 1.2 * thickness], "gradient": [0.0, 0.4]},
        "detector": {
            "dose": _log_uniform(rng, 12, 80),
            "mtf": float(rng.uniform(0.3, 0.9)),
            "stripes": 0.1,
        },
    }
    if dirty:
        content["contaminants"] = {
            "carbon": 0.25,
            "crystal": 0.06,
            "empty": 0.06,
            "ice": 1.0 * many + 0.2,
            "ethane": 0.8 * many + 0.2,
            "gold": 0.5 * many + 0.1,
            "aggregate": 0.3,
            "broken": _log_uniform(rng, 0.2, 30),
        }
    return make_settings(content)


def degrade(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Treat a micrograph as files are that reach a picker: two of five not at all.

    Denoised or low-passed upstream, enlarged from a coarser file, contrast-equalised, stored
    in eight bits.

    Parameters
    ----------
    image : ndarray, float32, shape (h, w)
    rng : Generator
    """
    if rng.random() < 0.35:
        image = ndimage.gaussian_filter(image, rng.uniform(0.6, 4.0))
    if rng.random() < 0.2:
        image = _denoise(image, rng)
    if rng.random() < 0.2:
        low, high = np.quantile(image, [0.001, 0.999])
        levels = np.round((image - low) / (high - low + 1e-9) * 255)
        image = np.clip(levels, 0, 255).astype(np.float32)
    return image.astype(np.float32, copy=False)


def _denoise(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    low, high = np.quantile(image, [0.0005, 0.9995])
    unit = np.clip((image - low) / (high - low + 1e-9), 0, 1).astype(np.float32)
    kind = rng.choice(["wiener", "median", "total variation", "equalised"])
    if kind == "wiener":
        return np.asarray(signal.wiener(unit, int(rng.integers(3, 10))), np.float32)
    if kind == "median":
        return np.asarray(ndimage.median_filter(unit, int(rng.integers(3, 6))), np.float32)
    soft = ndimage.gaussian_filter(unit, rng.uniform(0.5, 2.0))
    if kind == "total variation":
        weight = float(soft.std() * rng.uniform(0.2, 1.0))
        return np.asarray(restoration.denoise_tv_chambolle(soft, weight, max_num_iter=30))
    tiles = int(rng.integers(4, 17))
    return np.asarray(
        exposure.equalize_adapthist(
            soft, kernel_size=image.shape[0] // tiles, clip_limit=rng.uniform(0.005, 0.03)
        ),
        np.float32,
    )


def field_of(
    made: SimulatedMicrograph, pixel_size: float, diameter: float, rng: np.random.Generator
) -> Field:
    """The field of a simulated micrograph.

    Parameters
    ----------
    made : SimulatedMicrograph
    pixel_size : float
        Å.
    diameter : float
        Longest dimension of the particle in Å. What a user gives for it is off by -12 to
        +28 %, since people measure particles including their halo: so is the scale here.
    rng : Generator
    """
    told = diameter / rng.uniform(0.78, 1.12)
    working = prepare(degrade(made.image, rng), pixel_size, told)
    shape = working.image.shape
    clean, _ = flatten(fourier_resample(made.clean, (shape[0], shape[1])), working.valid)
    edge = [(r.x, r.y) for r in made.regions if r.kind == "edge"]
    xy = np.concatenate([made.particles.xy, np.reshape(edge, (-1, 2))])
    spacing = np.array(working.spacing[::-1])
    ignore = np.zeros(shape, bool)
    yy, xx = np.ogrid[: shape[0], : shape[1]]
    for region in made.regions:
        if region.kind == "aggregate":
            x, y = np.array([region.x, region.y]) / spacing
            ignore |= np.hypot(xx - x, yy - y) < region.radius / spacing[0]
    centres = (xy / spacing).astype(np.float32)
    return Field(working.image, working.valid, clean, centres, ignore, made.snr)


def simulate_fields(seed: int, index: int) -> list[Field]:
    """The fields of one new particle; equal for equal ``seed`` and ``index``."""
    rng = np.random.default_rng([seed, index])
    settings = draw_settings(rng)
    simulator = Simulator(settings)
    return [
        field_of(simulator.micrograph(i), settings.pixel_size, simulator.diameter, rng)
        for i in range(settings.micrographs)
    ]
