"""MRC files, plain or compressed by gzip or bzip2."""

import bz2
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from cryomae.errors import MicrographError
from cryomae.io.files import from_os_error
from cryomae.io.header import Header, shape_problem, truncated
from cryomae.io.mrc_header import (
    HEADER_BYTES,
    MODE_4BIT,
    MrcLayout,
    axes_problem,
    mode_problem,
    parse_header,
)
from cryomae.io.pixel_size import from_header

_BLOCK_BYTES = 1 << 22
_MAGIC = {b"\x1f\x8b": "gzip", b"BZ": "bzip2"}


def inspect_mrc(path: Path, byte_size: int) -> tuple[Header, MrcLayout]:
    """Read the header of an MRC file and say what is wrong with it.

    Parameters
    ----------
    path : Path
        The file, compressed or not: its first bytes tell, not its name.
    byte_size : int
        Its size on disk.

    Returns
    -------
    header : Header
        For the user.
    layout : MrcLayout
        For `read_mrc`.
    """
    with _opened(path) as (stream, packing):
        raw = stream.read(HEADER_BYTES)
        try:
            layout = parse_header(raw, path)
        except MicrographError:
            if packing:  # bzip2 hands out damaged bytes before it compares the checksum
                _skip(stream, None)
            raise
    nz, ny, nx = layout.shape
    problem = (
        mode_problem(layout, path)
        or shape_problem(path, (ny, nx), nz)
        or axes_problem(layout, path)
    )
    if problem is None and not packing and byte_size < layout.expected_bytes:
        problem = truncated(path, layout.expected_bytes, byte_size)
    pixel_size, pixel_size_problem = from_header(*layout.spacing)
    notes = [pixel_size_problem] if pixel_size_problem else []
    notes += _notes(layout)
    if problem is None and not packing and byte_size > layout.expected_bytes:
        notes.append(f"{byte_size - layout.expected_bytes} bytes more than the header says")
    header = Header(
        path=path,
        format=f"MRC in {packing}" if packing else "MRC",
        shape=(ny, nx),
        mode=layout.mode_text,
        pixel_size=pixel_size,
        n_images=nz,
        byte_size=byte_size,
        notes=tuple(notes),
        problem=problem,
        pixel_size_problem=pixel_size_problem,
    )
    return header, layout


def read_mrc(path: Path, layout: MrcLayout) -> NDArray[np.float32]:
    """Read the pixels of an MRC file that holds one image, rows as stored.

    Pixels are converted block by block, so that the result is the only large array.

    Parameters
    ----------
    path : Path
        The file.
    layout : MrcLayout
        What `inspect_mrc` found, without a problem.

    Returns
    -------
    ndarray, float32, shape (ny, nx)
    """
    _, ny, nx = layout.shape
    pixels = np.empty((ny, nx), np.float32)
    rows = max(1, _BLOCK_BYTES // layout.row_bytes)
    with _opened(path) as (stream, packing):
        found = _skip(stream, layout.offset)
        for start in range(0, ny, rows):
            target = pixels[start : start + rows]
            wanted = len(target) * layout.row_bytes
            block = stream.read(wanted)
            found += len(block)
            if len(block) < wanted:
                raise truncated(path, layout.expected_bytes, found)
            stored = np.frombuffer(block, layout.dtype).reshape(len(target), -1)
            if layout.mode == MODE_4BIT:
                unpack_4bit(stored, target)
            else:
                target[:] = stored
        if packing:
            _skip(stream, None)  # checksums are compared at the end
    return pixels


def unpack_4bit(stored: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
    """Unpack the pixels of mode 101.

    Follows IMOD and SerialEM, where the mode comes from: of the two pixels in a byte the
    first is in the low four bits, values are 0 to 15, and a row of odd length is padded
    to a whole byte, so that every row starts on a byte.

    Parameters
    ----------
    stored : ndarray, uint8, shape (ny, (nx + 1) // 2)
        Bytes of the file.
    out : ndarray, float32, shape (ny, nx)
        Filled with the pixels.
    """
    nx = out.shape[1]
    out[:, 0::2] = stored & 0x0F
    out[:, 1::2] = stored[:, : nx // 2] >> 4


def _notes(layout: MrcLayout) -> list[str]:
    notes = []
    if layout.mode == 0 and layout.imod_flags is None:
        notes.append("bytes are read as signed (MRC2014)")
    elif layout.mode == 0:
        sign = "unsigned" if layout.unsigned_bytes else "signed"
        notes.append(f"bytes are read as {sign}, as IMOD's flags say")
    if not layout.has_map_stamp:
        notes.append("no MAP stamp in the header, as in old files; its sizes make sense")
    if layout.byte_order == ">":
        notes.append("big-endian")
    if layout.has_map_stamp and not layout.right_byte_order:
        notes.append("machine stamp contradicts the byte order, which was found from the sizes")
    return notes


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, str]]:
    """Open a file through gzip or bzip2 if its first bytes say so; translate errors."""
    packing = ""
    try:
        with open(path, "rb") as file:
            packing = _MAGIC.get(file.read(2), "")
            file.seek(0)
            if packing == "gzip":
                with gzip.GzipFile(fileobj=file) as unzipped:
                    yield cast(BinaryIO, unzipped), packing
            elif packing == "bzip2":
                with bz2.BZ2File(file) as unzipped:
                    yield cast(BinaryIO, unzipped), packing
            else:
                yield file, packing
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _corrupt(path, packing, error) from error
    except OSError as error:
        if packing and error.errno is None:  # how bz2 reports damaged data
            raise _corrupt(path, packing, error) from error
        raise from_os_error(error, path) from error


def _corrupt(path: Path, packing: str, error: Exception) -> MicrographError:
    cause = str(error).strip().rstrip(".") or "it ends early"
    return MicrographError(
        f"corrupt {packing} data: {cause}", "copy or compress the file again", path
    )


def _skip(stream: BinaryIO, count: int | None) -> int:
    """Read and drop `count` bytes, or all that are left; return how many there were."""
    done = 0
    while count is None or done < count:
        block = stream.read(_BLOCK_BYTES if count is None else min(_BLOCK_BYTES, count - done))
        if not block:
            break
        done += len(block)
    return done
