"""The 1024 bytes at the start of an MRC file.

mrcfile's header type does the parsing; the checks are here, since mrcfile refuses files
that lack the ``MAP`` stamp (as many older ones do) and does not know mode 101.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE

from cryomae.errors import MicrographError
from cryomae.io.header import truncated

HEADER_BYTES = 1024
ByteOrder = Literal["<", ">"]
MODE_4BIT = 101
MODES = {
    0: "int8",
    1: "int16",
    2: "float32",
    6: "uint16",
    12: "float16",
    MODE_4BIT: "4-bit",
}
_OTHER_MODES = {3: "complex int16", 4: "complex float32", 16: "RGB", 17: "RGB"}

# A side below 2**16 read in the wrong byte order is at least 2**16: with this limit
# exactly one byte order makes sense.
_MAX_SIDE = 65535

_IMOD_STAMP = 1146047817
_IMOD_STAMP_AT = 152  # imodFlags follows at 156
_IMOD_SIGNED = 1
_IMOD_NIBBLES = 16


@dataclass(frozen=True)
class MrcLayout:
    """How the data block of an MRC file is laid out.

    Attributes
    ----------
    shape : tuple of int
        Sections, rows and columns (nz, ny, nx).
    mode : int
        MRC mode.
    byte_order : str
        ``"<"`` or ``">"``.
    offset : int
        Bytes before the first pixel.
    axes : tuple of int
        mapc, mapr, maps.
    spacing : tuple of float
        Å per pixel in x and y, 0 if unset.
    imod_flags : int or None
        IMOD's flags where its stamp is present.
    has_map_stamp, right_byte_order : bool
        Whether the ``MAP`` stamp is there, and whether the machine stamp is right.
    """

    shape: tuple[int, int, int]
    mode: int
    byte_order: ByteOrder
    offset: int
    axes: tuple[int, int, int]
    spacing: tuple[float, float]
    imod_flags: int | None
    has_map_stamp: bool
    right_byte_order: bool

    @property
    def unsigned_bytes(self) -> bool:
        """Whether mode 0 holds 0 to 255: only where IMOD's stamp says so (RELION ignores it)."""
        return self.imod_flags is not None and not self.imod_flags & _IMOD_SIGNED

    @property
    def nibbles_in_bytes(self) -> bool:
        """Whether mode 0 hides 4-bit pixels, as old SerialEM files do."""
        return (
            self.mode == 0 and self.imod_flags is not None and bool(self.imod_flags & _IMOD_NIBBLES)
        )

    @property
    def dtype(self) -> np.dtype:
        """Type of a stored element, in the file's byte order (mode 101: a byte)."""
        if self.mode == MODE_4BIT or (self.mode == 0 and self.unsigned_bytes):
            return np.dtype("u1")
        return np.dtype(MODES[self.mode]).newbyteorder(self.byte_order)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row; 4-bit rows are padded to whole bytes."""
        nx = self.shape[2]
        return (nx + 1) // 2 if self.mode == MODE_4BIT else nx * self.dtype.itemsize

    @property
    def expected_bytes(self) -> int:
        """Bytes that the whole file, uncompressed, has at least."""
        return self.offset + self.shape[0] * self.shape[1] * self.row_bytes

    @property
    def mode_text(self) -> str:
        """Mode and its meaning."""
        if self.mode == 0 and self.unsigned_bytes:
            return "0 (uint8)"
        return f"{self.mode} ({MODES.get(self.mode, _OTHER_MODES.get(self.mode, 'unknown'))})"


def parse_header(raw: bytes, path: Path) -> MrcLayout:
    """Read the first 1024 bytes of an MRC file.

    The byte order is the one that makes the sizes sensible; the machine stamp is tried
    first. A file without the ``MAP`` stamp is accepted if its sizes, mode and axes make
    sense.

    Raises
    ------
    MicrographError
        If this is no MRC header.
    """
    if len(raw) < HEADER_BYTES:
        if _looks_like_other(raw):
            raise _not_mrc(path, _looks_like_other(raw))
        raise truncated(path, HEADER_BYTES, len(raw))
    orders: tuple[ByteOrder, ...] = (">", "<") if raw[212:214] == b"\x11\x11" else ("<", ">")
    layouts = [_layout(raw, order, order == orders[0]) for order in orders]
    stamped = layouts[0].has_map_stamp
    for layout in layouts:
        if _sizes_make_sense(layout) and (stamped or _is_plausible(layout)):
            return layout
    if stamped:
        nz, ny, nx = layouts[0].shape
        raise MicrographError(
            f"damaged MRC header: {nx} x {ny} x {nz} pixels, "
            f"extended header of {layouts[0].offset - HEADER_BYTES} bytes",
            "copy or process the file again",
            path,
        )
    raise _not_mrc(path, _looks_like_other(raw))


def mode_problem(layout: MrcLayout, path: Path) -> MicrographError | None:
    """Return why the pixels of this mode cannot be read, or None."""
    if layout.nibbles_in_bytes:
        return MicrographError(
            "4-bit pixels inside mode 0 are not supported",
            "convert it with IMOD: newstack -mode 1 in.mrc out.mrc",
            path,
        )
    if layout.mode in MODES:
        return None
    cause = f"MRC mode {layout.mode_text} is not supported"
    if layout.mode in (3, 4):
        return MicrographError(cause, "this is a Fourier transform: pass the micrograph", path)
    return MicrographError(
        cause, f"convert it to mode 2; read are modes {', '.join(map(str, MODES))}", path
    )


def axes_problem(layout: MrcLayout, path: Path) -> MicrographError | None:
    """Return an error unless columns are x, rows y and sections z (or all are unset)."""
    if layout.axes in ((1, 2, 3), (0, 0, 0)):
        return None
    return MicrographError(
        f"transposed axes: mapc, mapr, maps are {', '.join(map(str, layout.axes))}, not 1, 2, 3",
        "write it again in the usual order, for example with clip or e2proc2d.py",
        path,
    )


def _layout(raw: bytes, order: ByteOrder, right: bool) -> MrcLayout:
    header = np.frombuffer(raw[:HEADER_BYTES], HEADER_DTYPE.newbyteorder(order))[0]
    imod = np.frombuffer(raw, f"{order}i4", count=2, offset=_IMOD_STAMP_AT)
    return MrcLayout(
        shape=(int(header["nz"]), int(header["ny"]), int(header["nx"])),
        mode=int(header["mode"]),
        byte_order=order,
        offset=HEADER_BYTES + int(header["nsymbt"]),
        axes=(int(header["mapc"]), int(header["mapr"]), int(header["maps"])),
        spacing=(
            _ratio(header["cella"]["x"], header["mx"]),
            _ratio(header["cella"]["y"], header["my"]),
        ),
        imod_flags=int(imod[1]) if imod[0] == _IMOD_STAMP else None,
        has_map_stamp=raw[208:211] == b"MAP",
        right_byte_order=right,
    )


def _ratio(length: float, count: int) -> float:
    value = float(length) / int(count) if count else 0.0
    return value if math.isfinite(value) else 0.0


def _sizes_make_sense(layout: MrcLayout) -> bool:
    return all(1 <= n <= _MAX_SIDE for n in layout.shape) and layout.offset >= HEADER_BYTES


def _is_plausible(layout: MrcLayout) -> bool:
    known = layout.mode in MODES or layout.mode in _OTHER_MODES
    return known and sorted(map(abs, layout.axes)) in ([0, 0, 0], [1, 2, 3])


_MAGIC = {
    b"II*\0": "a TIFF file",
    b"MM\0*": "a TIFF file",
    b"II+\0": "a TIFF file",
    b"MM\0+": "a TIFF file",
    b"\x89PNG": "a PNG file",
    b"\xff\xd8\xff": "a JPEG file",
    b"\x89HDF": "an HDF5 file",
    b"PK\x03\x04": "a zip archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"\xfd7zX": "an xz archive",
    b"<": "an HTML or XML page",
}


def _looks_like_other(raw: bytes) -> str:
    return next((what for magic, what in _MAGIC.items() if raw.startswith(magic)), "")


def _not_mrc(path: Path, what: str) -> MicrographError:
    seems = f", it looks like {what}" if what else ""
    remedy = "give the file its right suffix" if what == "a TIFF file" else "check the file"
    return MicrographError(f"not an MRC file{seems}", remedy, path)
