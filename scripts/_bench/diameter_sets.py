"""Simulated sets to fit the diameter estimate on: many sizes, shapes, doses and faults.

No set of ``configs/suite.yaml`` is among them: procedural particles have other seeds, and the
atomic models (3pqr, 5n92, 8zpm) are others. Some sets have no particles at all; some are
blurred and stored in 8 bits, as denoised micrographs are, or have a streaked border.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from cryomae.diameter import measure
from cryomae.simulate.micrograph import Simulator
from cryomae.simulate.settings import SimulationSettings, make_settings

MODELS = {"3pqr.pdb": 110, "5n92.pdb": 150, "8zpm.cif": 200}  # Å: to choose pixel sizes by
KINDS = (None, None, None, "domains", "chain", "shell", "shell", "tube", "membrane", "cyclic",
         "dihedral", "cubic")  # fmt: skip
EMPTY, SMALL = 1000, 2000  # numbers from which sets are empty, or of small particles
MICROGRAPHS = 2


def numbers(main: int, empty: int, small: int) -> list[int]:
    """Numbers of so many sets of each sort."""
    return [*range(main), *range(EMPTY, EMPTY + empty), *range(SMALL, SMALL + small)]


def measured_set(number: int, folder: Path, structures: Path) -> dict[str, Any]:
    """Simulate and measure a set, or read what an earlier call measured.

    Parameters
    ----------
    number : int
        Decides everything about it.
    folder : Path
        For the measurements; micrographs are not kept.
    structures : Path
        Folder with the atomic models.

    Returns
    -------
    dict
        ``X``, measurements of each micrograph; ``d``, true diameter in Å, 0 where there are
        no particles; ``meta``.
    """
    path = folder / f"{number:04d}.npz"
    if not path.is_file():
        _make(number, path, structures)
    with np.load(path, allow_pickle=False) as saved:
        meta = json.loads(str(saved["meta"]))
        return {"X": saved["X"], "d": float(saved["d"]) if max(meta["n"]) else 0.0, "meta": meta}


def _make(number: int, path: Path, structures: Path) -> None:
    rng = np.random.default_rng([987654, number])
    settings, model, contrast = _settings(number, rng, structures)
    simulator = Simulator(settings)
    spoil = _Spoil(rng, settings.pixel_size, simulator.diameter)
    found, count = [], []
    for i in range(MICROGRAPHS):
        micrograph = simulator.micrograph(i)
        count.append(len(micrograph.particles))
        found.append(measure(spoil(micrograph.image), settings.pixel_size))
    meta = {"struct": bool(model), "n": count, "x": contrast, "kind": settings.particle.kind}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, X=np.stack(found), d=simulator.diameter, meta=json.dumps(meta))


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _settings(
    number: int, rng: np.random.Generator, structures: Path
) -> tuple[SimulationSettings, str, float]:
    """Settings, the atomic model if there is one, and the signal at 3 Å a pixel."""
    small = number >= SMALL
    model = list(MODELS)[number // 7 % 3] if number % 7 == 6 and not small else ""
    size = MODELS[model] if model else _log_uniform(rng, *((45, 140) if small else (65, 520)))
    pixel = _log_uniform(rng, max(0.9, size / 110), min(6.5, size / 13))
    side = max(int(rng.integers(700, 1200 if small else 1500)), int(6 * size / pixel))
    side = min(side, 1700) // 2 * 2
    area = (side * pixel) ** 2
    count = max(8.0, _log_uniform(rng, 0.04, 0.6) * area / (np.pi * size**2 / 4))
    signal = _log_uniform(rng, 0.015, 0.3)
    share = area / 6144**2  # of the area of a common micrograph
    particle: dict[str, Any] = {
        "count": [count * 0.7, count * 1.2],
        "spacing": float(rng.uniform(0.65, 1.2)),
    }
    if model:
        particle["source"] = str(structures / model)
    else:
        particle |= {"diameter": size, "kind": KINDS[int(rng.integers(len(KINDS)))]}
    if rng.random() < 0.3:
        particle |= {"views": int(rng.integers(1, 5)), "view_spread": 20}
    content = {
        "name": f"s{number}",
        "seed": 700_000 + number,
        "micrographs": MICROGRAPHS,
        "size": side,
        "pixel_size": pixel,
        "snr": min(signal * (pixel / 3) ** 2, 3.0),
        "particle": particle,
        "optics": {
            "defocus": sorted([float(rng.uniform(0.6, 2)), float(rng.uniform(1.2, 3.5))]),
            "b_factor": [60, float(rng.uniform(100, 500))],
            "phase_shift": [60, 100] if rng.random() < 0.08 else [0, 0],
        },
        "ice": {
            "thickness": [max(250, size * 1.05), max(600, size * 1.3)],
            "gradient": [0, 0.3],
        },
        "detector": {"dose": 40, "stripes": 0.1, "mtf": float(rng.uniform(0.3, 0.9))},
        "contaminants": {
            "carbon": 0.2,
            "crystal": 0.08,
            "empty": 1.0 if EMPTY <= number < SMALL else 0.04,
            "ice": 2 * rng.random() * share,
            "ethane": 1.5 * rng.random() * share,
            "gold": rng.random() * share,
            "aggregate": 0.7 * rng.random() * share,
            "broken": 10 * rng.random() * min(share, 1),
        },
    }
    return make_settings(content), model, signal


class _Spoil:
    """What programs upstream do to micrographs; the same for all of a set."""

    def __init__(self, rng: np.random.Generator, pixel_size: float, diameter: float) -> None:
        self.denoised = rng.random() < 0.35
        finest, coarsest = max(12, 2.5 * pixel_size), max(20, 0.35 * diameter)
        self.limit = _log_uniform(rng, finest, coarsest)
        self.steepness = int(rng.integers(2, 9))
        self.bytes = rng.random() < 0.5
        self.border = int(rng.integers(10, 60)) if rng.random() < 0.2 else 0
        self.pixel_size = pixel_size

    def __call__(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.denoised:
            image = self._low_pass(image)
        if self.denoised and self.bytes:
            low, high = np.percentile(image, [0.05, 99.95])
            image = np.clip(np.round((image - low) / (high - low) * 255) - 128, -128, 127)
        if b := self.border:
            image = np.pad(image[b:-b, b:-b], b, mode="edge")
        return image.astype(np.float32)

    def _low_pass(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        rows = fft.fftfreq(image.shape[0], self.pixel_size)[:, None]
        columns = fft.rfftfreq(image.shape[1], self.pixel_size)[None]
        fall = 1 + (np.hypot(rows, columns) * self.limit) ** self.steepness
        spectrum = fft.rfft2(image - image.mean()) / fall
        return np.asarray(fft.irfft2(spectrum, s=image.shape), dtype=np.float32)
