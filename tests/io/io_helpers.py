"""MRC files built by hand, and how the tests read them."""

import struct
from collections.abc import Callable
from pathlib import Path

from cryomae.io import read_micrograph
from cryomae.micrograph import Micrograph, MicrographRef

MARK = (10, 70)  # row, column
SHAPE = (65, 83)

WriteMrc = Callable[..., Path]


def mrc_bytes(
    data: bytes,
    nx: int,
    ny: int,
    mode: int,
    *,
    nz: int = 1,
    order: str = "<",
    stamp: bool = True,
    machine: bytes | None = None,
    axes: tuple[int, int, int] = (1, 2, 3),
    spacing: tuple[float, float] = (1.5, 1.5),
    extended: bytes = b"",
    imod_flags: int | None = None,
) -> bytes:
    """Build an MRC file by hand, from the MRC2014 and IMOD descriptions."""
    header = bytearray(1024)
    struct.pack_into(f"{order}4i", header, 0, nx, ny, nz, mode)
    struct.pack_into(f"{order}3i", header, 28, nx, ny, nz)
    struct.pack_into(f"{order}3f", header, 40, nx * spacing[0], ny * spacing[1], nz)
    struct.pack_into(f"{order}3i", header, 64, *axes)
    struct.pack_into(f"{order}i", header, 92, len(extended))
    if imod_flags is not None:
        struct.pack_into(f"{order}2i", header, 152, 1146047817, imod_flags)
    if stamp:
        header[208:212] = b"MAP "
        right = b"\x44\x44\0\0" if order == "<" else b"\x11\x11\0\0"
        header[212:216] = machine or right
    return bytes(header) + extended + data


def read(path: Path, pixel_size: float | None = None) -> Micrograph:
    """Read a file that no list names."""
    return read_micrograph(MicrographRef(path.as_posix(), path), pixel_size)
