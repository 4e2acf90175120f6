"""Training patches with truth, simulated at the working scale.

Each field is a small micrograph: one procedural particle in random orientations,
what ruins picks in real life (ice, gold, carbon, aggregates, other proteins), the
contrast transfer function, structural noise before it and shot noise after it. It
then goes through the very `cryomae.prepare.flatten` that real micrographs go through.

The signal-to-noise ratio is the variance of the noise-free image inside the
particles' discs over the variance of all noise, at the working pixel size.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft, ndimage
from scipy.spatial.transform import Rotation

from cryomae.prepare import CLIP, WORKING_DIAMETER, flatten
from cryomae.simulate.place import scatter
from cryomae.simulate.shapes import Cloud, random_particle

D = WORKING_DIAMETER


@dataclass(frozen=True)
class Field:
    """A simulated field at the working scale.

    Attributes
    ----------
    image : ndarray, float32, shape (size, size)
        What the model sees.
    clean : ndarray, float32, shape (size, size)
        The same without noise, on the same scale.
    valid : ndarray, bool, shape (size, size)
    centres : ndarray, float32, shape (n, 2)
        True centres of particles, x then y.
    ignore : ndarray, bool, shape (size, size)
        Where truth is undefined (inside aggregates).
    snr : float
        Signal-to-noise ratio as defined in the module's docstring.
    """

    image: NDArray[np.float32]
    clean: NDArray[np.float32]
    valid: NDArray[np.bool_]
    centres: NDArray[np.float32]
    ignore: NDArray[np.bool_]
    snr: float


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def project(
    cloud: Cloud, centres: NDArray[np.floating], rotations: Rotation, diameter: float, size: int
) -> NDArray[np.float32]:
    """Sum of the projections of one cloud at many places.

    Parameters
    ----------
    cloud : ndarray, shape (n, 3)
        Points in units of the diameter.
    centres : ndarray, shape (m, 2)
        x, y of each copy in pixels.
    rotations : Rotation
        m rotations.
    diameter : float
        Diameter in pixels.
    size : int
        Side of the image in pixels.

    Returns
    -------
    ndarray, float32, shape (size, size)
        Projected mass; one copy sums to ``diameter**2``.
    """
    matrices = rotations.as_matrix().astype(np.float32)
    points = np.einsum("mij,nj->mni", matrices[:, :2], cloud) * diameter
    points += np.asarray(centres, dtype=np.float32)[:, None, :]
    return _splat(points.reshape(-1, 2), size) * np.float32(diameter**2 / len(cloud))


def _splat(points: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Add points (n, 2), x then y, to an image with bilinear weights."""
    corner = np.floor(points).astype(np.int64)
    frac = points - corner
    image = np.zeros(size * size)
    for dx in (0, 1):
        for dy in (0, 1):
            x, y = corner[:, 0] + dx, corner[:, 1] + dy
            weight = np.abs(1 - dx - frac[:, 0]) * np.abs(1 - dy - frac[:, 1])
            keep = (x >= 0) & (x < size) & (y >= 0) & (y < size)
            image += np.bincount((y * size + x)[keep], weights=weight[keep], minlength=size * size)
    return image.reshape(size, size).astype(np.float32)


def _rotations(count: int, preferred: bool, rng: np.random.Generator) -> Rotation:
    if not preferred:
        return Rotation.random(count, rng=rng)
    spin = Rotation.from_euler("z", rng.uniform(0, 360, (count, 1)), degrees=True)
    tilt = Rotation.from_euler("xy", rng.normal(0, 15, (count, 2)), degrees=True)
    return spin * tilt * Rotation.random(rng=rng)


def _smooth_noise(size: int, sigma: float, rng: np.random.Generator) -> NDArray[np.float32]:
    step = max(1, int(sigma / 2))
    small = rng.normal(size=(size // step + 3,) * 2).astype(np.float32)
    small = ndimage.gaussian_filter(small, sigma / step)
    small = ndimage.zoom(small, step, order=1)[:size, :size]
    return ((small - small.mean()) / (small.std() + 1e-6)).astype(np.float32)


def _disc(
    size: int, centre: NDArray[np.floating], radius: float, edge: float
) -> NDArray[np.float32]:
    yy, xx = np.mgrid[:size, :size].astype(np.float32)
    distance = np.hypot(xx - centre[0], yy - centre[1])
    return (1 / (1 + np.exp(np.clip((distance - radius) / edge, -30, 30)))).astype(np.float32)


def _contaminants(
    size: int, mass: float, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Projected mass of what is not a particle, and where truth is undefined.

    ``mass`` is the typical projected mass per pixel inside a particle.
    """
    extra = np.zeros((size, size), np.float32)
    ignore = np.zeros((size, size), bool)

    def point() -> NDArray[np.float64]:
        return rng.uniform(-0.5 * D, size + 0.5 * D, size=2)

    if rng.random() < 0.3:  # ice crystals and ethane: round, smooth or faceted, often dark
        for _ in range(rng.integers(1, 4)):
            radius = _log_uniform(rng, 0.25, 3) * D
            body = _disc(size, point(), radius, rng.uniform(0.5, 0.15 * radius + 0.6))
            ripple = 1 + rng.uniform(0, 0.4) * _smooth_noise(size, rng.uniform(2, 8), rng)
            extra += body * ripple * mass * _log_uniform(rng, 0.7, 12)
    if rng.random() < 0.2:  # gold beads and dark specks
        radius = rng.uniform(0.04, 0.4) * D
        for _ in range(rng.integers(1, 8)):
            extra += _disc(size, point(), radius, 0.5) * mass * rng.uniform(2, 15)
    if rng.random() < 0.15:  # carbon: an edge, and film with its own texture behind it
        angle, offset = rng.uniform(0, 2 * np.pi), rng.uniform(-0.3, 0.3) * size
        yy, xx = np.mgrid[:size, :size].astype(np.float32) - size / 2
        bend = rng.uniform(-1, 1) / (4 * size) * (xx * np.sin(angle) - yy * np.cos(angle)) ** 2
        depth = xx * np.cos(angle) + yy * np.sin(angle) + bend - offset
        film = 1 / (1 + np.exp(-np.clip(depth / rng.uniform(0.5, 4), -30, 30)))
        grain = rng.normal(size=(size, size)).astype(np.float32)
        grain = ndimage.gaussian_filter(grain, rng.uniform(0.6, 2))
        grain *= rng.uniform(0.2, 1.2) / grain.std()
        extra += (film * (rng.uniform(0.5, 6) + grain) * mass).astype(np.float32)
    if rng.random() < 0.35:  # other molecules: too small, too large, or fragments
        cloud = random_particle(rng)
        if rng.random() < 0.4:
            cloud = cloud[cloud @ rng.normal(size=3) > 0.1]
        scale = D * (_log_uniform(rng, 0.25, 0.5) if rng.random() < 0.7 else rng.uniform(1.8, 3))
        count = int(rng.integers(1, 25))
        if len(cloud) > 20:
            spots = rng.uniform(0, size, size=(count, 2))
            other = project(cloud, spots, _rotations(count, False, rng), scale, size)
            extra += other * mass * rng.uniform(0.5, 1.5) * (D / scale if scale > D else 1.0)
    if rng.random() < 0.15:  # an aggregate: many molecules on one heap
        cloud, count, spread = (
            random_particle(rng),
            int(rng.integers(8, 40)),
            rng.uniform(0.5, 1.5) * D,
        )
        heart = point()
        spots = heart + rng.normal(0, spread, size=(count, 2))
        extra += project(cloud, spots, _rotations(count, False, rng), D, size) * mass
        ignore |= _disc(size, heart, 1.5 * spread, 0.5) > 0.5
    return extra, ignore


def _noise(size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """White noise with a random fall-off, unit variance: shot noise and detector."""
    noise = rng.normal(size=(size, size)).astype(np.float32)
    if rng.random() < 0.7:
        f = np.hypot(fft.fftfreq(size)[:, None], fft.rfftfreq(size)[None]).astype(np.float32)
        colour = (f + 0.02) ** (-rng.uniform(0, 0.8)) * np.exp(-((f / rng.uniform(0.3, 1.2)) ** 2))
        noise = fft.irfft2(fft.rfft2(noise) * colour, s=(size, size)).astype(np.float32)
    return noise / noise.std()


def _transfer(size: int, pixel_size: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Contrast transfer function times envelope on the half spectrum; protein comes out dark."""
    from torch_ctf import calculate_ctf_2d

    voltage = float(rng.choice([200.0, 300.0]))
    ctf = calculate_ctf_2d(
        defocus=_log_uniform(rng, 0.4, 4.0),
        astigmatism=rng.uniform(0, 0.08),
        astigmatism_angle=rng.uniform(0, 180),
        voltage=voltage,
        spherical_aberration=float(rng.choice([0.01, 2.0, 2.7])),
        amplitude_contrast=rng.uniform(0.06, 0.12),
        phase_shift=float(rng.uniform(60, 120)) if rng.random() < 0.07 else 0.0,
        pixel_size=pixel_size,
        image_shape=(size, size),
        rfft=True,
        fftshift=False,
    ).numpy()
    f2 = (fft.fftfreq(size)[:, None] ** 2 + fft.rfftfreq(size)[None] ** 2) / pixel_size**2
    return (-ctf * np.exp(-rng.uniform(20, 300) * f2 / 4)).astype(np.float32)


def simulate_field(size: int, rng: np.random.Generator, max_blur: float = 4.0) -> Field:
    """Simulate one field.

    Parameters
    ----------
    size : int
        Side in working pixels; 160 at least.
    rng : Generator
    max_blur : float
        A third of the fields is blurred, as micrographs are that were denoised,
        low-passed or enlarged: by a Gaussian of at most this standard deviation, in
        working pixels.

    Returns
    -------
    Field
    """
    pixel_size = _log_uniform(rng, 70, 400) / D
    cloud = random_particle(rng) * rng.uniform(0.78, 1.12)
    spacing = rng.uniform(0.55, 1.1) * D
    density = _log_uniform(rng, 0.03, 0.8) / D**2
    count = 0 if rng.random() < 0.06 else rng.poisson(density * (size + D) ** 2)
    centres = scatter(int(count), spacing, -0.5 * D, size + 0.5 * D, rng)

    body = project(cloud, centres, _rotations(len(centres), rng.random() < 0.15, rng), D, size)
    # A fixed 'typical' mass keeps contaminants meaningful in an empty field.
    mass = float(body[body > 0.3].mean()) if (body > 0.3).any() else 1.5
    extra, ignore = (
        _contaminants(size, mass, rng)
        if rng.random() < 0.7
        else (np.zeros_like(body), np.zeros(body.shape, bool))
    )

    transfer = _transfer(size, pixel_size, rng)

    def image_of(mass_map: NDArray[np.float32]) -> NDArray[np.float32]:
        pad = ndimage.gaussian_filter(mass_map, 0.5)
        out: NDArray[np.float32] = fft.irfft2(fft.rfft2(pad) * transfer, s=(size, size))
        return out.astype(np.float32, copy=False)

    clean = image_of(body + extra)
    reference = image_of(body) if len(centres) else np.full_like(body, 0.0)
    discs = np.zeros((size, size), np.float32)
    inside = centres[((centres >= 0) & (centres < size)).all(1)]
    discs[inside[:, 1].astype(int), inside[:, 0].astype(int)] = 1
    near = ndimage.distance_transform_edt(discs == 0) < D / 2 if len(inside) else discs > 0
    strength = float(reference[near].std()) if near.any() else 0.15 * mass
    snr = _log_uniform(rng, 0.05, 2.0)

    structural = rng.uniform(0, 0.7) if rng.random() < 0.6 else 0.0
    through = fft.irfft2(
        fft.rfft2(rng.normal(size=(size, size)).astype(np.float32)) * transfer, s=(size, size)
    )
    noise = (
        np.sqrt(1 - structural) * _noise(size, rng) + np.sqrt(structural) * through / through.std()
    )
    sigma = (strength + 1e-6) / np.sqrt(snr)
    thickness = 1 + rng.uniform(0, 0.3) * _smooth_noise(size, rng.uniform(2, 6) * D, rng)
    slow = rng.uniform(0, 3) * sigma * _smooth_noise(size, rng.uniform(2, 6) * D, rng)
    image = clean + sigma * noise * np.maximum(thickness, 0.3) + slow

    if rng.random() < 0.35:  # denoised upstream, or enlarged from a coarser file
        blur = rng.uniform(0.5, max_blur)
        image, clean = ndimage.gaussian_filter(image, blur), ndimage.gaussian_filter(clean, blur)
    valid = np.ones((size, size), bool)
    if rng.random() < 0.12:
        cut = int(rng.integers(4, size // 3))
        valid[:cut] = False
        valid = np.ascontiguousarray(np.rot90(valid, int(rng.integers(4))))
    image = image.astype(np.float32)
    if rng.random() < 0.2:  # stored in 8 bits
        low, high = np.quantile(image, [0.001, 0.999])
        image = np.clip(np.round((image - low) / (high - low + 1e-9) * 255), 0, 255).astype(
            np.float32
        )
        clean = clean / (high - low + 1e-9) * 255

    flat, scale = flatten(image, valid)
    shown = np.clip((clean - clean[valid].mean()) / scale, -CLIP, CLIP) * valid
    return Field(flat, shown.astype(np.float32), valid, centres, ignore, snr)


def target_map(field: Field, stride: int, sigma: float) -> NDArray[np.float32]:
    """Gaussians of height 1 at the true centres, sampled every ``stride`` pixels.

    Parameters
    ----------
    field : Field
    stride : int
        Working pixels between samples; sample 0 lies at ``(stride - 1) / 2``.
    sigma : float
        Standard deviation in working pixels.
    """
    size = field.image.shape[0] // stride
    grid = np.arange(size, dtype=np.float32) * stride + (stride - 1) / 2
    out = np.zeros((size, size), np.float32)
    for x, y in field.centres:
        gx = np.exp(-((grid - x) ** 2) / (2 * sigma**2))
        gy = np.exp(-((grid - y) ** 2) / (2 * sigma**2))
        np.maximum(out, gy[:, None] * gx[None], out=out)
    return out


class PatchStream(torch.utils.data.IterableDataset[dict[str, torch.Tensor]]):
    """Endless stream of simulated windows, reproducible from its seed.

    Yields
    ------
    dict of Tensor
        ``image``, ``clean`` (1, window, window); ``target``, ``weight``
        (1, window / stride, window / stride).
    """

    def __init__(
        self, window: int, stride: int, seed: int, per_field: int = 4, max_blur: float = 4.0
    ) -> None:
        self.window, self.stride, self.seed = window, stride, seed
        self.per_field, self.max_blur = per_field, max_blur

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        """Iterate; each loader worker draws its own numbers."""
        info = torch.utils.data.get_worker_info()
        rng = np.random.default_rng([self.seed, info.id if info else 0])
        while True:
            yield from self._windows(rng)

    def _windows(self, rng: np.random.Generator) -> Iterator[dict[str, torch.Tensor]]:
        size = 2 * self.window + self.window // 2
        field = simulate_field(size, rng, self.max_blur)
        target = target_map(field, self.stride, sigma=0.12 * D)
        weight = (field.valid & ~field.ignore)[:: self.stride, :: self.stride].astype(np.float32)
        for _ in range(self.per_field):
            y, x = (rng.integers(0, (size - self.window) // self.stride, size=2)) * self.stride
            turn, flip = int(rng.integers(4)), bool(rng.integers(2))

            def cut(
                a: NDArray[np.float32],
                step: int,
                y: int = y,
                x: int = x,
                turn: int = turn,
                flip: bool = flip,
            ) -> torch.Tensor:
                part = a[
                    y // step : (y + self.window) // step, x // step : (x + self.window) // step
                ]
                part = np.rot90(part[:, ::-1] if flip else part, turn)
                return torch.from_numpy(np.ascontiguousarray(part))[None]

            yield {
                "image": cut(field.image, 1),
                "clean": cut(field.clean, 1),
                "target": cut(target, self.stride),
                "weight": cut(weight, self.stride),
            }
