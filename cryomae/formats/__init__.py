"""Coordinates in and out, one module a format, chosen by the file's suffix."""

from __future__ import annotations

from cryomae.formats import box, cbox, coords, cryosparc, eman2, star, table, topaz
from cryomae.formats.registry import (
    Context,
    Format,
    format_named,
    format_of,
    list_formats,
    read_picks,
    register,
    write_picks,
)

__all__ = [
    "Context",
    "Format",
    "format_named",
    "format_of",
    "list_formats",
    "read_picks",
    "register",
    "write_picks",
]

for _module in (star, cryosparc, box, eman2, cbox, topaz, coords, table):
    register(_module.FORMAT)
