"""A dark particle at a known pixel of a file comes out at that pixel of the STAR file.

The whole path is real (files, working image, windows, peaks, STAR, RELION's extraction);
only the network is replaced, by one that answers with the darkness around a point.
"""

import bz2
import gzip
import subprocess

import mrcfile
import numpy as np
import pytest
import starfile
import tifffile
import torch

from cryomae.batch import run_pick
from cryomae.io import find_micrographs
from cryomae.model import STRIDE, EncoderConfig, ModelCard
from cryomae.pick import Detector
from cryomae.settings import PickSettings

DIAMETER = 90.0  # Å
PIXEL_SIZE = 1.7
PARTICLES = np.array([[120.0, 80.0], [301.0, 222.0], [90.0, 260.0], [330.0, 100.0]])  # x, y


class Darkness(torch.nn.Module):
    """Logit: how dark a disc of half a diameter is, above noise."""

    config = EncoderConfig()
    correction = None  # no exemplars, no answers

    def forward(self, windows):
        r = torch.arange(-12, 13, dtype=torch.float32)
        kernel = torch.exp(-(r[:, None] ** 2 + r[None] ** 2) / (2 * 4.5**2))
        blurred = torch.nn.functional.conv2d(
            -windows, (kernel / kernel.sum())[None, None], padding=12
        )
        return 6 * torch.nn.functional.avg_pool2d(blurred, STRIDE) - 4


def darkness_detector():
    card = ModelCard(
        name="darkness",
        architecture="default",
        description="",
        sha256="0" * 64,
        parameters=0,
        recipe="",
        data="",
    )
    return Detector(Darkness(), card, torch.device("cpu"), torch.float32, 4)


def image_of(shape, particles=PARTICLES, seed=0):
    """Noise around 100 with dark particles of the diameter."""
    yy, xx = np.indices(shape)
    image = 100 + 4 * np.random.default_rng(seed).normal(size=shape)
    for x, y in particles:
        r2 = (xx - x) ** 2 + (yy - y) ** 2
        image -= 25 * np.exp(-r2 / (2 * (0.22 * DIAMETER / PIXEL_SIZE) ** 2))
    return image


def write_mrc(path, pixels):
    with mrcfile.new(path, overwrite=True) as mrc:
        mrc.set_data(pixels)
        mrc.voxel_size = PIXEL_SIZE


def four_bit(path, image):
    """Mode 101: two pixels a byte, the first in the low half (IMOD, SerialEM)."""
    values = np.clip(np.rint((image - 60) / 4), 0, 15).astype(np.uint8)
    ny, nx = values.shape
    padded = np.pad(values, ((0, 0), (0, nx % 2)))
    packed = padded[:, ::2] | (padded[:, 1::2] << 4)
    plain = path.with_suffix(".tmp.mrc")
    write_mrc(plain, np.zeros((ny, nx), np.int8))
    header = bytearray(plain.read_bytes()[:1024])
    header[12:16] = (101).to_bytes(4, "little")
    path.write_bytes(bytes(header) + packed.tobytes())
    plain.unlink()


def write(path, kind, image):
    """Write the image as one of the formats; TIFF rows go in top-down."""
    if kind == "mode 101":
        four_bit(path, image)
    elif kind.startswith("tif"):
        flipped = image[::-1]  # what RELION shows at row y is the file's row ny - 1 - y
        if kind == "tif lzw":
            tifffile.imwrite(path, np.rint(flipped * 10).astype(np.uint16), compression="lzw")
        else:
            tifffile.imwrite(path, flipped.astype(np.float32))
    else:
        dtype = {"0": np.int8, "1": np.int16, "6": np.uint16, "12": np.float16}.get(
            kind.split()[-1], np.float32
        )
        plain = path.parent / "plain.mrc"
        rounded = image if np.issubdtype(dtype, np.floating) else np.rint(image)
        write_mrc(
            plain,
            np.clip(rounded, -128, 127).astype(dtype)
            if "0" in kind.split()
            else rounded.astype(dtype),
        )
        data = plain.read_bytes()
        plain.unlink()
        packer = {".gz": gzip.compress, ".bz2": bz2.compress}.get(path.suffix, bytes)
        path.write_bytes(packer(data))


def pick_file(path, output):
    refs, failures = find_micrographs([str(path)])
    result = run_pick(
        refs,
        failures,
        output,
        PickSettings(diameter=DIAMETER, threshold=0.5),
        detector=darkness_detector(),
        pixel_size=PIXEL_SIZE,
        preview=False,
    )
    assert not result.failed, result.failed
    table = starfile.read(result.done[0].picks_file)
    return table[["rlnCoordinateX", "rlnCoordinateY"]].to_numpy(float)


def same_places(found, want, tolerance=1.5):
    assert len(found) == len(want), found
    distance = np.hypot(*(found[:, None] - want[None]).transpose(2, 0, 1))
    assert distance.min(axis=1).max() <= tolerance
    assert distance.min(axis=0).max() <= tolerance


@pytest.mark.parametrize("shape", [(400, 400), (401, 401), (360, 512), (363, 517), (400, 451)])
def test_particles_come_out_where_they_are_for_every_shape(tmp_path, shape):
    particles = PARTICLES * [shape[1] / 451, shape[0] / 400]
    write_mrc(tmp_path / "a.mrc", image_of(shape, particles).astype(np.float32))
    same_places(pick_file(tmp_path / "a.mrc", tmp_path / "out"), particles)


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        ("mode 0", ".mrc"),
        ("mode 1", ".mrc"),
        ("mode 2", ".mrc"),
        ("mode 6", ".mrc"),
        ("mode 12", ".mrc"),
        ("mode 101", ".mrc"),
        ("mode 2", ".mrc.gz"),
        ("mode 1", ".mrc.bz2"),
        ("tif float", ".tif"),
        ("tif lzw", ".tiff"),
    ],
)
def test_particles_come_out_where_they_are_for_every_format(tmp_path, kind, suffix):
    path = tmp_path / f"micrograph{suffix}"
    write(path, kind, image_of((363, 451)))
    same_places(pick_file(path, tmp_path / "out"), PARTICLES)


@pytest.mark.relion
@pytest.mark.parametrize(("kind", "suffix"), [("mode 2", ".mrc"), ("tif lzw", ".tif")])
def test_relion_extracts_the_particle_in_the_centre_of_the_box(
    tmp_path, monkeypatch, kind, suffix, need_relion
):
    """From a picture to boxes: the mean particle's darkest place is pixel box / 2."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / f"m{suffix}", kind, image_of((363, 451)))
    (tmp_path / "mics.star").write_text(
        "\ndata_optics\n\nloop_\n_rlnOpticsGroupName #1\n_rlnOpticsGroup #2\n"
        "_rlnMicrographPixelSize #3\n_rlnMicrographOriginalPixelSize #4\n_rlnVoltage #5\n"
        "_rlnSphericalAberration #6\n_rlnAmplitudeContrast #7\n"
        f"g 1 {PIXEL_SIZE} {PIXEL_SIZE} 300 2.7 0.1\n\n\ndata_micrographs\n\nloop_\n"
        f"_rlnMicrographName #1\n_rlnOpticsGroup #2\nm{suffix} 1\n\n"
    )
    pick_file("mics.star", "Picks")
    box = 64
    words = "relion_preprocess --i mics.star --coord_dir Picks/picks/ --coord_suffix _cryomae.star"
    words += f" --part_star Ex/p.star --part_dir Ex/ --extract --extract_size {box}"
    done = subprocess.run(words.split(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    table = starfile.read("Ex/p.star")["particles"]
    stack = table["rlnImageName"].str.split("@").str[1].unique()
    with mrcfile.open(stack[0], permissive=True) as mrc:
        mean = mrc.data.astype(float).mean(axis=0)
    dark = np.clip(np.median(mean) - mean, 0, None)
    yy, xx = np.indices(dark.shape)
    near = np.hypot(xx - box / 2, yy - box / 2) < 24
    weight = np.where(near, dark, 0) ** 2
    centre = np.array([(xx * weight).sum(), (yy * weight).sum()]) / weight.sum()
    assert len(table) == len(PARTICLES)
    assert centre == pytest.approx([box / 2, box / 2], abs=1.0)
