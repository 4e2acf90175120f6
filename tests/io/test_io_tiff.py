"""TIFF files, whose rows RELION reverses."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from io_helpers import MARK, SHAPE, read
from numpy.typing import NDArray

from cryomae.errors import MicrographError
from cryomae.io import read_header


@pytest.mark.parametrize("compression", [None, "lzw", "zlib"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "f4", ">f4", "f8"])
def test_rows_are_reversed(
    tmp_path: Path, image: NDArray, dtype: str, compression: str | None
) -> None:
    path = tmp_path / "mic.tif"
    order = ">" if dtype.startswith(">") else "<"
    tifffile.imwrite(path, image.astype(dtype), compression=compression, byteorder=order)
    mic = read(path, 1.5)
    assert mic.pixels.dtype == np.float32
    assert mic.pixels.flags.c_contiguous
    marked = (SHAPE[0] - 1 - MARK[0], MARK[1])
    assert np.unravel_index(mic.pixels.argmax(), SHAPE) == marked
    np.testing.assert_array_equal(mic.pixels, image[::-1])


@pytest.mark.parametrize("ny", [64, 511, 512, 513, 1030, 1537])
def test_reversal_in_place(tmp_path: Path, ny: int) -> None:
    pixels = np.arange(ny * 65, dtype="f4").reshape(ny, 65)
    tifffile.imwrite(tmp_path / "mic.tiff", pixels)
    np.testing.assert_array_equal(read(tmp_path / "mic.tiff", 2.0).pixels, pixels[::-1])


def test_header(tmp_path: Path, image: NDArray) -> None:
    path = tmp_path / "mic.tif"
    tifffile.imwrite(
        path,
        image,
        compression="lzw",
        resolution=(1e8 / 1.25, 1e8 / 1.25),
        resolutionunit="CENTIMETER",
    )
    header = read_header(path)
    assert (header.format, header.shape, header.mode) == ("TIFF, LZW", SHAPE, "uint8")
    assert header.pixel_size == pytest.approx(1.25, rel=1e-6)
    assert any("reversed" in note for note in header.notes)
    mic = read(path)
    assert (mic.pixel_size, mic.pixel_size_source) == (header.pixel_size, "header")


@pytest.mark.parametrize(
    ("resolution", "unit"), [(72, "INCH"), (72, "CENTIMETER"), (8e7, "NONE"), (1e8, "CENTIMETER")]
)
def test_resolution_that_is_no_pixel_size(
    tmp_path: Path, image: NDArray, resolution: float, unit: str
) -> None:
    path = tmp_path / "mic.tif"
    tifffile.imwrite(path, image, resolution=(resolution, resolution), resolutionunit=unit)
    assert read_header(path).pixel_size is None
    with pytest.raises(MicrographError, match="--pixel-size"):
        read(path)
