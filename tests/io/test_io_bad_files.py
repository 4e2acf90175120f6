"""Files that are no micrographs: each error names the file, the cause and the remedy."""

import bz2
import gzip
import os
import stat
from pathlib import Path

import numpy as np
import pytest
import tifffile
from io_helpers import SHAPE, WriteMrc, mrc_bytes, read
from numpy.typing import NDArray

from cryomae.errors import MicrographError
from cryomae.io import read_header


def refuses(path: Path, cause: str, remedy: str) -> MicrographError:
    with pytest.raises(MicrographError) as caught:
        read(path, 1.5)
    message = str(caught.value)
    assert path.name in message
    assert cause in caught.value.cause
    assert remedy in caught.value.remedy
    assert "\n" not in message
    return caught.value


def test_missing_file(tmp_path: Path) -> None:
    refuses(tmp_path / "gone.mrc", "no such file", "check the path")


def test_broken_link(tmp_path: Path) -> None:
    (tmp_path / "link.mrc").symlink_to(tmp_path / "gone.mrc")
    refuses(tmp_path / "link.mrc", "broken link", "relink")


def test_folder(tmp_path: Path) -> None:
    (tmp_path / "dir.mrc").mkdir()
    refuses(tmp_path / "dir.mrc", "is a folder", "inside")


def test_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mrc")
    refuses(tmp_path / "pipe.mrc", "not a regular file", "copy")


@pytest.mark.parametrize("name", ["a.mrc", "a.tif", "a.mrc.gz"])
def test_empty(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    refuses(tmp_path / name, "empty (0 bytes)", "copy")


@pytest.mark.parametrize("stamp", [True, False])
def test_truncated(write_mrc: WriteMrc, image: NDArray, stamp: bool) -> None:
    path = write_mrc(image, stamp=stamp)
    whole = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-100])
    refuses(path, f"truncated: expected {whole} bytes, found {whole - 100}", "copy")
    assert read_header(path).problem is not None


def test_truncated_header(write_mrc: WriteMrc, image: NDArray) -> None:
    path = write_mrc(image)
    path.write_bytes(path.read_bytes()[:600])
    refuses(path, "truncated: expected 1024 bytes, found 600", "copy")


def test_truncated_before_it_was_compressed(write_mrc: WriteMrc, image: NDArray) -> None:
    path = write_mrc(image)
    data = path.read_bytes()
    path.write_bytes(gzip.compress(data[:-100]))
    refuses(path, f"truncated: expected {len(data)} bytes, found {len(data) - 100}", "copy")


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"particle picking " * 200, "not an MRC file"),
        (bytes(5000), "not an MRC file"),
        (b"II*\0" + bytes(5000), "looks like a TIFF"),
        (b"\x89PNG\r\n" + bytes(50), "looks like a PNG"),
        (b"<html>404</html>" + b" " * 2000, "looks like an HTML"),
    ],
)
def test_not_mrc(tmp_path: Path, content: bytes, cause: str) -> None:
    path = tmp_path / "fake.mrc"
    path.write_bytes(content)
    refuses(path, cause, "suffix" if "TIFF" in cause else "check the file")
    with pytest.raises(MicrographError, match="not an MRC"):
        read_header(path)


def test_damaged_header(tmp_path: Path) -> None:
    path = tmp_path / "mic.mrc"
    path.write_bytes(mrc_bytes(bytes(100), -5, 80, 2))
    refuses(path, "damaged MRC header: -5 x 80 x 1", "again")


@pytest.mark.parametrize(
    ("mode", "remedy"), [(3, "Fourier"), (4, "Fourier"), (16, "convert"), (7, "convert")]
)
def test_unsupported_mode(write_mrc: WriteMrc, image: NDArray, mode: int, remedy: str) -> None:
    path = write_mrc(image, mode)
    refuses(path, f"MRC mode {mode} ", remedy)
    assert read_header(path).problem is not None


def test_4bit_hidden_in_mode_0(write_mrc: WriteMrc, image: NDArray) -> None:
    refuses(write_mrc(image, 0, imod_flags=16), "4-bit pixels inside mode 0", "newstack")


@pytest.mark.parametrize("stamp", [True, False])
@pytest.mark.parametrize("axes", [(2, 1, 3), (3, 2, 1)])
def test_transposed(write_mrc: WriteMrc, image: NDArray, axes: tuple, stamp: bool) -> None:
    refuses(write_mrc(image, axes=axes, stamp=stamp), "transposed axes", "usual order")


def test_movie(write_mrc: WriteMrc, image: NDArray) -> None:
    path = write_mrc(np.stack([image] * 3), nz=3)
    refuses(path, "holds 3 images", "motion correction")
    header = read_header(path)
    assert header.n_images == 3
    assert header.shape == SHAPE


@pytest.mark.parametrize("shape", [(63, 200), (200, 63)])
def test_too_small(write_mrc: WriteMrc, shape: tuple[int, int]) -> None:
    ny, nx = shape
    refuses(write_mrc(np.ones(shape)), f"{nx} x {ny} pixels is too small", "64 pixels")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_mostly_not_finite(write_mrc: WriteMrc, image: NDArray, value: float) -> None:
    pixels = image.astype("f4")
    pixels[:40] = value
    refuses(write_mrc(pixels), "% of the pixels are NaN or infinite", "again")


def test_a_few_not_finite_become_the_median(write_mrc: WriteMrc, image: NDArray) -> None:
    pixels = image.astype("f4")
    pixels[3, 4:8] = [np.nan, np.inf, -np.inf, np.nan]
    expected = np.median(pixels[np.isfinite(pixels)])
    repaired = read(write_mrc(pixels)).pixels
    np.testing.assert_array_equal(repaired[3, 4:8], expected)
    repaired[3, 4:8] = pixels[3, 4:8]
    np.testing.assert_array_equal(repaired, pixels)


@pytest.mark.parametrize("bad", [False, True])
def test_constant(write_mrc: WriteMrc, bad: bool) -> None:
    pixels = np.full(SHAPE, 7, "f4")
    if bad:
        pixels[0, 0] = np.nan
    refuses(write_mrc(pixels), "every pixel is 7", "leave this micrograph out")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
@pytest.mark.parametrize("damage", ["cut", "flip", "checksum"])
def test_corrupt_archive(write_mrc: WriteMrc, pack: object, damage: str) -> None:
    noise = np.random.default_rng(0).normal(size=(100, 100)).astype("f4")
    path = write_mrc(noise, name="mic.mrc.gz")
    data = bytearray(pack(path.read_bytes()))  # type: ignore[operator]
    if damage == "cut":
        del data[len(data) // 2 :]
    else:
        at = len(data) // 2 if damage == "flip" else len(data) - 6
        data[at] ^= 0xFF
    path.write_bytes(data)
    refuses(path, "corrupt", "again")


def test_truncated_tiff(tmp_path: Path, image: NDArray) -> None:
    path = tmp_path / "mic.tif"
    tifffile.imwrite(path, image, compression="lzw")
    data = path.read_bytes()
    path.write_bytes(data[:-900])
    refuses(path, f"truncated: expected {len(data)} bytes, found {len(data) - 900}", "copy")


def test_corrupt_tiff(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mic.tif"
    noise = np.random.default_rng(0).integers(0, 9999, (100, 100), dtype=np.uint16)
    tifffile.imwrite(path, noise, compression="lzw")
    data = bytearray(path.read_bytes())
    data[9000:12000] = b"\xff" * 3000
    path.write_bytes(data)
    refuses(path, "corrupt", "again")
    path.write_bytes(b"II*\0" + bytes(300))
    refuses(path, "corrupt", "again")
    path.write_bytes(data[:200])
    refuses(path, "truncated: expected", "again")
    path.write_bytes(b"not a tiff at all")
    refuses(path, "not a TIFF file", "again")
    assert capfd.readouterr().err == ""


def test_colour_tiff(tmp_path: Path, image: NDArray) -> None:
    path = tmp_path / "mic.tif"
    tifffile.imwrite(path, np.stack([image] * 3, -1), photometric="rgb")
    refuses(path, "colour image (RGB, 3 samples", "grey")


@pytest.mark.parametrize("imagej", [False, True])
def test_tiff_of_many_pages(tmp_path: Path, image: NDArray, imagej: bool) -> None:
    path = tmp_path / "mic.tif"
    tifffile.imwrite(path, np.stack([image] * 4), photometric="minisblack", imagej=imagej)
    refuses(path, "holds 4 images", "motion correction")


@pytest.mark.parametrize("dtype", ["c8", "?"])
def test_tiff_of_odd_type(tmp_path: Path, image: NDArray, dtype: str) -> None:
    path = tmp_path / "mic.tif"
    tifffile.imwrite(path, image.astype(dtype))
    refuses(path, "pixels of type", "save it as")


def test_small_tiff(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "mic.tif", np.eye(32, dtype="f4"))
    refuses(tmp_path / "mic.tif", "32 x 32 pixels is too small", "64")


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("a.eer", "motion-correct"),
        ("a.dm4", "dm2mrc"),
        ("a.png", "MRC"),
        ("a", ".mrc.gz"),
        ("a.gz", ".mrc.gz"),
    ],
)
def test_unsupported_suffix(tmp_path: Path, name: str, remedy: str) -> None:
    (tmp_path / name).write_bytes(b"data")
    refuses(tmp_path / name, "are not read as micrographs", remedy)
    with pytest.raises(MicrographError, match="not read as"):
        read_header(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", ["a.mrc", "a.tif"])
def test_permission_denied(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"data")
    path.chmod(stat.S_IWUSR)
    refuses(path, "permission denied", "read access")


@pytest.mark.parametrize(
    ("name", "where"),
    [("a.mrc", "builtins.open"), ("a.tif", "tifffile.TiffFile"), ("a.mrc", "os.stat")],
)
def test_permission_denied_simulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, where: str
) -> None:
    path = tmp_path / name
    path.write_bytes(b"data")

    def deny(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(where, deny)
        with pytest.raises(MicrographError) as caught:
            read(path, 1.5)
    error = caught.value
    assert "a." in str(error)
    assert "permission denied" in str(error)
    assert "read access" in error.remedy


def test_failing_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(b"data")

    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", fail)
        with pytest.raises(MicrographError) as caught:
            read(path, 1.5)
    error = caught.value
    assert "Input/output error" in error.cause
    assert "mount" in error.remedy
