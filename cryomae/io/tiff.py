"""TIFF files of one image, with their rows reversed as RELION does."""

import logging
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from cryomae.errors import MicrographError
from cryomae.io.files import from_os_error
from cryomae.io.header import Header, shape_problem, truncated
from cryomae.io.pixel_size import from_header

# Damage is told by our own error; without a handler tifffile prints a line per broken tag.
tifffile.logger().addHandler(logging.NullHandler())

_ANGSTROM_PER_CM = 1e8
_FLIP_ROWS = 256
_COLOUR = {"RGB", "PALETTE", "SEPARATED", "YCBCR", "CIELAB"}
_DECODING_ERRORS = (
    tifffile.TiffFileError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    RuntimeError,  # what imagecodecs raises for damaged data
    EOFError,
    struct.error,
    zlib.error,
)


def inspect_tiff(path: Path, byte_size: int) -> Header:
    """Read the tags of a TIFF file and say what is wrong with it."""
    with _opened(path) as tiff:
        page = tiff.pages.first
        shape = (int(page.imagelength), int(page.imagewidth))
        pages = _count_images(tiff)
        expected = _data_end(page)
        pixel_size, pixel_size_problem = from_header(*_spacing(page))
        dtype = page.dtype
        problem = (
            _type_problem(page, path)
            or shape_problem(path, shape, pages)
            or (truncated(path, expected, byte_size) if expected > byte_size else None)
        )
        packing = getattr(page.compression, "name", str(page.compression))
    notes = [pixel_size_problem] if pixel_size_problem else []
    notes.append("rows are reversed on reading, as RELION does")
    return Header(
        path=path,
        format="TIFF" if packing == "NONE" else f"TIFF, {packing}",
        shape=shape,
        mode=str(dtype),
        pixel_size=pixel_size,
        n_images=pages,
        byte_size=byte_size,
        notes=tuple(notes),
        problem=problem,
        pixel_size_problem=pixel_size_problem,
    )


def read_tiff(path: Path, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Read the pixels of a TIFF file of one grey image, the last stored row first.

    RELION reads TIFF rows in reverse; coordinates in a STAR file refer to what it shows.

    Parameters
    ----------
    path : Path
        The file.
    shape : tuple of int
        Rows and columns that its tags promise.

    Returns
    -------
    ndarray, float32, shape (ny, nx)
    """
    with _opened(path) as tiff:
        stored = tiff.pages.first.asarray()
    if stored.size != shape[0] * shape[1]:
        raise _corrupt(path, f"{stored.size} pixels, not {shape[0] * shape[1]}")
    stored = stored.reshape(shape)
    if stored.dtype == np.float32 and stored.dtype.isnative and stored.flags.writeable:
        pixels = np.ascontiguousarray(stored)
        _reverse_rows(pixels)
        return pixels
    return np.ascontiguousarray(stored[::-1], dtype=np.float32)


def _reverse_rows(pixels: NDArray[np.float32]) -> None:
    """Reverse the rows in place, a block at a time: no second large array."""
    ny = len(pixels)
    for start in range(0, ny // 2, _FLIP_ROWS):
        stop = min(start + _FLIP_ROWS, ny // 2)
        upper = pixels[start:stop].copy()
        pixels[start:stop] = pixels[ny - stop : ny - start][::-1]
        pixels[ny - stop : ny - start] = upper[::-1]


def _count_images(tiff: tifffile.TiffFile) -> int:
    images = len(tiff.pages)
    if tiff.is_imagej and tiff.imagej_metadata:  # ImageJ may hide a stack behind one page
        images = max(images, int(tiff.imagej_metadata.get("images", 1)))
    return images


def _data_end(page: tifffile.TiffPage) -> int:
    pieces = zip(page.dataoffsets, page.databytecounts, strict=False)
    return max((offset + count for offset, count in pieces), default=0)


def _spacing(page: tifffile.TiffPage) -> tuple[float, float]:
    """Return Å per pixel in x and y, or 0 unless resolution is per centimetre."""
    unit = page.tags.get("ResolutionUnit")
    if unit is None or int(unit.value) != int(tifffile.RESUNIT.CENTIMETER):
        return 0.0, 0.0
    return _per_pixel(page, "XResolution"), _per_pixel(page, "YResolution")


def _per_pixel(page: tifffile.TiffPage, tag: str) -> float:
    if tag not in page.tags:
        return 0.0
    pixels, centimetres = page.tags[tag].value
    return _ANGSTROM_PER_CM * centimetres / pixels if pixels else 0.0


def _type_problem(page: tifffile.TiffPage, path: Path) -> MicrographError | None:
    photometric = getattr(page.photometric, "name", str(page.photometric))
    if page.samplesperpixel != 1 or photometric in _COLOUR:
        return MicrographError(
            f"colour image ({photometric}, {page.samplesperpixel} samples a pixel)",
            "pass the grey micrograph it was made from",
            path,
        )
    dtype = page.dtype
    if dtype is None or dtype.kind not in "iuf" or page.bitspersample < 4:
        return MicrographError(
            f"pixels of type {dtype} ({page.bitspersample} bits) are not supported",
            "save it as 8, 16 or 32-bit grey TIFF, or as MRC",
            path,
        )
    return None


@contextmanager
def _opened(path: Path) -> Iterator[tifffile.TiffFile]:
    """Open a TIFF file; translate what tifffile and the codecs raise."""
    try:
        with tifffile.TiffFile(path) as tiff:
            if not len(tiff.pages):
                raise _corrupt(path, "it holds no image")
            yield tiff
    except _DECODING_ERRORS as error:
        raise _corrupt(path, str(error).strip()) from error
    except OSError as error:
        raise from_os_error(error, path) from error


def _corrupt(path: Path, cause: str) -> MicrographError:
    first_line = cause.splitlines()[0] if cause else "it cannot be decoded"
    return MicrographError(
        f"not a TIFF file, or corrupt: {first_line}", "copy or export the file again", path
    )
