"""MRC files of every mode that is read."""

import bz2
import gzip
import tracemalloc
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from io_helpers import MARK, SHAPE, WriteMrc, mrc_bytes, read
from numpy.typing import NDArray

from cryomae.io import read_header
from cryomae.io.mrc import unpack_4bit


def check(path: Path, image: NDArray) -> None:
    mic = read(path, 1.5)
    assert mic.pixels.dtype == np.float32
    assert mic.pixels.flags.c_contiguous
    assert np.unravel_index(mic.pixels.argmax(), SHAPE) == MARK
    np.testing.assert_array_equal(mic.pixels, image)


def pack_4bit(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pack as IMOD does: first pixel in the low bits, rows padded to whole bytes."""
    padded = np.pad(pixels, ((0, 0), (0, pixels.shape[1] % 2)))
    return padded[:, 0::2] | (padded[:, 1::2] << 4)


@pytest.mark.parametrize("dtype", ["i1", "i2", "f4", "u2", "f2"])
def test_modes_written_by_mrcfile(tmp_path: Path, image: NDArray, dtype: str) -> None:
    path = tmp_path / "mic.mrc"
    with mrcfile.new(path) as mrc:
        mrc.set_data(image.astype(dtype))
        mrc.voxel_size = 1.5
    check(path, image)
    header = read_header(path)
    assert (header.shape, header.pixel_size, header.n_images) == (SHAPE, 1.5, 1)
    assert np.dtype(dtype).name in header.mode
    assert header.problem is None


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("mode", [0, 1, 2, 6, 12])
def test_modes_written_by_hand(write_mrc: WriteMrc, image: NDArray, mode: int, order: str) -> None:
    check(write_mrc(image.astype("i2"), mode, order=order), image)


def test_one_image_stacks(write_mrc: WriteMrc, image: NDArray) -> None:
    check(write_mrc(image, name="mic.mrcs"), image)


def test_extended_header_is_skipped(write_mrc: WriteMrc, image: NDArray) -> None:
    check(write_mrc(image, extended=b"\x7f" * 333), image)


def test_many_blocks(write_mrc: WriteMrc) -> None:
    pixels = np.arange(2100 * 1031, dtype="f4").reshape(2100, 1031)
    np.testing.assert_array_equal(read(write_mrc(pixels)).pixels, pixels)


@pytest.mark.parametrize("order", ["<", ">"])
def test_missing_map_stamp(write_mrc: WriteMrc, image: NDArray, order: str) -> None:
    path = write_mrc(image, stamp=False, order=order)
    check(path, image)
    assert any("MAP" in note for note in read_header(path).notes)


def test_axes_left_at_zero(write_mrc: WriteMrc, image: NDArray) -> None:
    check(write_mrc(image, stamp=False, axes=(0, 0, 0)), image)


def test_machine_stamp_that_lies(write_mrc: WriteMrc, image: NDArray) -> None:
    path = write_mrc(image, order=">", machine=b"\x44\x44\0\0")
    check(path, image)
    assert any("contradicts" in note for note in read_header(path).notes)


@pytest.mark.parametrize(
    ("flags", "kind"), [(None, "i1"), (1, "i1"), (13, "i1"), (0, "u1"), (12, "u1")]
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_sign_of_bytes(tmp_path: Path, flags: int | None, kind: str, order: str) -> None:
    stored = np.arange(70 * 64, dtype="u1").reshape(70, 64)
    path = tmp_path / "mic.mrc"
    path.write_bytes(mrc_bytes(stored.tobytes(), 64, 70, 0, imod_flags=flags, order=order))
    np.testing.assert_array_equal(read(path).pixels, stored.view(kind))
    assert any("signed" in note for note in read_header(path).notes)


@given(
    hnp.arrays(
        np.uint8, st.tuples(st.integers(1, 7), st.integers(1, 9)), elements=st.integers(0, 15)
    )
)
def test_4bit_unpacks_what_was_packed(pixels: NDArray[np.uint8]) -> None:
    out = np.full(pixels.shape, np.nan, np.float32)
    unpack_4bit(pack_4bit(pixels), out)
    np.testing.assert_array_equal(out, pixels)


@pytest.mark.parametrize("nx", [82, 83])
def test_4bit_file(tmp_path: Path, image: NDArray, nx: int) -> None:
    path = tmp_path / "mic.mrc"
    data = pack_4bit(image[:, :nx]).tobytes()
    assert len(data) == 65 * ((nx + 1) // 2)
    path.write_bytes(mrc_bytes(data, nx, 65, 101))
    np.testing.assert_array_equal(read(path).pixels, image[:, :nx])
    assert read_header(path).mode == "101 (4-bit)"


@pytest.mark.parametrize("name", ["mic.mrc.gz", "mic.mrc.bz2", "mic.mrc"])
@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, bytes])
def test_compression_is_told_by_content(
    write_mrc: WriteMrc, tmp_path: Path, image: NDArray, name: str, pack: object
) -> None:
    plain = write_mrc(image, name="plain.mrc").read_bytes()
    path = tmp_path / name
    path.write_bytes(pack(plain))  # type: ignore[operator]
    check(path, image)
    header = read_header(path)
    assert header.shape == SHAPE
    assert header.byte_size == path.stat().st_size


def test_upper_case_suffix(write_mrc: WriteMrc, image: NDArray) -> None:
    check(write_mrc(image, name="MIC.MRC"), image)


def test_bytes_after_the_data_are_noted(write_mrc: WriteMrc, image: NDArray) -> None:
    path = write_mrc(image)
    path.write_bytes(path.read_bytes() + b"\0" * 12)
    check(path, image)
    assert "12 bytes more than the header says" in read_header(path).notes


def test_memory_stays_near_one_array(write_mrc: WriteMrc) -> None:
    pixels = np.random.default_rng(0).normal(size=(2048, 3000)).astype("f4")
    path = write_mrc(pixels)
    tracemalloc.start()
    read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < pixels.nbytes + 3 * 2**22
