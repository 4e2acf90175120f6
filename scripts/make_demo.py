"""Make the micrograph that ships with cryomae for `make demo`, with its truth.

A procedural particle of D2 symmetry in 1024 × 1024 pixels of 3 Å, 1.6 µm underfocus, with
an ice crystal and the edge of a carbon film. Same seed, same bytes.

    python scripts/make_demo.py --output cryomae/data
"""

import argparse
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import starfile
import yaml
from scipy import fft, ndimage
from scipy.spatial.transform import Rotation
from torch_ctf import calculate_ctf_2d

from cryomae.simulate.patches import project
from cryomae.simulate.place import scatter

SIZE, PIXEL_SIZE, DIAMETER, SNR, SEED = 1024, 3.0, 170.0, 0.12, 7


def particle(rng: np.random.Generator) -> np.ndarray:
    """Four copies of a lumpy, elongated subunit, in units of the diameter."""
    walk = np.cumsum(rng.normal(size=(60, 3)), axis=0)
    lumps = np.repeat((walk - walk.mean(axis=0)) / np.abs(walk).max(), 10, axis=0)
    unit = 0.6 * lumps + rng.normal(0, 0.25, lumps.shape) + [0.3, 0.35, 0.6]
    copies = [unit @ m.T for m in Rotation.create_group("D2").as_matrix()]
    cloud = np.concatenate(copies)
    cloud -= cloud.mean(axis=0)
    return (cloud / (2 * np.quantile(np.linalg.norm(cloud, axis=1), 0.98))).astype(np.float32)


def main() -> None:
    """Simulate and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("cryomae/data"))
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    across = DIAMETER / PIXEL_SIZE
    yy, xx = np.indices((SIZE, SIZE)).astype(np.float32)
    film = xx + 0.6 * yy + 2e-4 * (xx - yy) ** 2 > 1500
    ice = np.hypot(xx - 250, yy - 800) < 1.1 * across
    centres = scatter(130, 0.95 * across, 0, SIZE, rng)
    rows, cols = np.clip(np.rint(centres[:, ::-1]).astype(int), 0, SIZE - 1).T
    room = ndimage.distance_transform_edt(~(film | ice))
    centres = centres[room[rows, cols] > 0.5 * across]

    mass = project(particle(rng), centres, Rotation.random(len(centres), rng=rng), across, SIZE)
    typical = float(mass[mass > 0.3].mean())
    grain = ndimage.gaussian_filter(rng.normal(size=(SIZE, SIZE)), 1.5)
    mass += ndimage.gaussian_filter(film * (3 + 0.8 * grain / grain.std()), 1.5) * typical
    mass += ndimage.gaussian_filter(4.0 * ice, 3) * typical
    ctf = calculate_ctf_2d(
        defocus=1.6, astigmatism=0.02, astigmatism_angle=30.0, voltage=300.0,
        spherical_aberration=2.7, amplitude_contrast=0.1, phase_shift=0.0,
        pixel_size=PIXEL_SIZE, image_shape=(SIZE, SIZE), rfft=True, fftshift=False,
    ).numpy()  # fmt: skip
    f2 = (fft.fftfreq(SIZE)[:, None] ** 2 + fft.rfftfreq(SIZE)[None] ** 2) / PIXEL_SIZE**2
    image = fft.irfft2(fft.rfft2(mass) * -ctf * np.exp(-150 * f2 / 4), s=(SIZE, SIZE))
    disc = np.zeros((SIZE, SIZE), bool)
    disc[tuple(np.clip(np.rint(centres[:, ::-1]).astype(int), 0, SIZE - 1).T)] = True
    disc = ndimage.distance_transform_edt(~disc) < across / 2
    image += rng.normal(size=image.shape) * image[disc].std() / np.sqrt(SNR)
    low, high = np.quantile(image, [0.0005, 0.9995])
    pixels = np.clip(np.rint((image - low) / (high - low) * 255 - 128), -128, 127).astype(np.int8)

    with mrcfile.new(output / "demo_micrograph.mrc", overwrite=True) as mrc:
        mrc.set_data(pixels)
        mrc.voxel_size = PIXEL_SIZE
        mrc.header.label[0] = "cryomae demo: simulated, scripts/make_demo.py"
        mrc.header.nlabl = 1
    whole = ((centres >= across / 2) & (centres <= SIZE - across / 2)).all(axis=1)
    truth = pd.DataFrame(np.round(centres[whole], 2), columns=["rlnCoordinateX", "rlnCoordinateY"])
    truth.insert(0, "rlnMicrographName", "demo_micrograph.mrc")
    starfile.write({"particles": truth}, output / "demo_truth.star", overwrite=True)
    content = {"diameter": DIAMETER, "pixel_size": PIXEL_SIZE, "particles": len(truth)}
    (output / "demo.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    print(f"{len(truth)} particles, {output / 'demo_micrograph.mrc'}")


if __name__ == "__main__":
    main()
