"""Small pools and models, made in milliseconds."""

import mrcfile
import numpy as np
import pytest
import torch

from cryomae.model import EncoderConfig, MaskedAutoencoder
from cryomae.train.fields import Field
from cryomae.train.masked import MaskedTask, Target
from cryomae.train.pool import load_pool, write_fields

SMALL = EncoderConfig(window=32, patch=8, dim=24, depth=1, heads=2)


def make_field(seed, side=160, truth=True):
    """A field of noise and dark discs at known centres."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(20, side - 20, (8, 2)).astype(np.float32)
    yy, xx = np.mgrid[:side, :side]
    clean = np.zeros((side, side), np.float32)
    for x, y in centres:
        clean[np.hypot(xx - x, yy - y) < 12] = -2
    image = (clean + rng.standard_normal(clean.shape)).clip(-6, 6).astype(np.float32)
    valid = np.ones(clean.shape, bool)
    if not truth:
        return Field(image, valid)
    return Field(image, valid, clean, centres, np.zeros(clean.shape, bool))


@pytest.fixture
def field():
    return make_field


@pytest.fixture
def pool_folder(tmp_path):
    """Two files of simulated-like fields."""
    folder = tmp_path / "pool"
    for i in range(2):
        write_fields(folder / f"fields_{i:06d}.npz", [make_field(i)])
    return folder


@pytest.fixture
def pool(pool_folder):
    return load_pool(pool_folder)


@pytest.fixture
def make_task():
    """Tiny masked task, equal whenever it is made."""

    def make(target=Target.clean, mask=0.75):
        torch.manual_seed(0)
        return MaskedTask(MaskedAutoencoder(SMALL, 32, 1, 2), mask, target, seed=7)

    return make


@pytest.fixture
def micrographs(tmp_path):
    """Two micrographs of 320 × 320 pixels of 2 Å, and a file that is none."""
    folder = tmp_path / "micrographs"
    folder.mkdir()
    for i in range(2):
        rng = np.random.default_rng(i)
        with mrcfile.new(folder / f"m{i}.mrc") as mrc:
            mrc.set_data(rng.standard_normal((320, 320), dtype=np.float32))
            mrc.voxel_size = 2.0
    (folder / "torn.mrc").write_bytes(b"no micrograph" * 200)
    return folder
