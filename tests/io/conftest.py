"""Micrographs to read: rectangular, odd-sized, with one marked pixel."""

from pathlib import Path

import numpy as np
import pytest
from io_helpers import MARK, SHAPE, WriteMrc, mrc_bytes
from numpy.typing import NDArray


@pytest.fixture
def image() -> NDArray[np.uint8]:
    """Values 0 to 9 with the brightest, 15, at MARK: fits every mode."""
    pixels = np.random.default_rng(1).integers(0, 10, SHAPE, dtype=np.uint8)
    pixels[MARK] = 15
    return pixels


@pytest.fixture
def write_mrc(tmp_path: Path) -> WriteMrc:
    """Write an array as an MRC file of some mode; options as for `mrc_bytes`."""
    dtypes = {0: "i1", 1: "i2", 2: "f4", 4: "c8", 6: "u2", 12: "f2"}

    def write(pixels: NDArray, mode: int = 2, name: str = "mic.mrc", **options: object) -> Path:
        order = str(options.get("order", "<"))
        kind = "u1" if mode == 0 and pixels.dtype == np.uint8 else dtypes.get(mode, "u1")
        data = pixels.astype(np.dtype(kind).newbyteorder(order)).tobytes()
        ny, nx = pixels.shape[-2:]
        path = tmp_path / name
        path.write_bytes(mrc_bytes(data, nx, ny, mode, **options))  # type: ignore[arg-type]
        return path

    return write
