"""Which pixel size applies: the option's, the STAR file's or the header's."""

import math
from pathlib import Path

from cryomae.errors import InputError, MicrographError

TRUSTED = (0.2, 10.0)
"""Å per pixel that are believed when they come from a header."""

ALLOWED = (0.1, 20.0)
"""Å per pixel that a user or a STAR file may state."""

ANISOTROPY = 0.01
"""Largest relative difference between x and y."""

DECIMALS = 6  # a header keeps the cell in float32: more digits would be noise


def is_allowed(value: float) -> bool:
    """Tell whether a stated pixel size in Å lies in `ALLOWED`; NaN does not."""
    return ALLOWED[0] <= value <= ALLOWED[1]


def from_header(x: float, y: float) -> tuple[float | None, str]:
    """Judge the pixel sizes of a header.

    Parameters
    ----------
    x, y : float
        Å per pixel along columns and rows; 0 if unset.

    Returns
    -------
    pixel_size : float or None
        Å per pixel, or None if it cannot be trusted.
    problem : str
        Why it cannot be trusted, else empty.
    """
    if not (math.isfinite(x) and math.isfinite(y)) or x <= 0 or y <= 0:
        return None, "pixel size in the header is unset"
    if abs(x - y) > ANISOTROPY * min(x, y):
        return None, f"pixel sizes in the header differ: {x:.4g} Å in x, {y:.4g} Å in y"
    value = round(x, DECIMALS)
    if value == 1.0:
        return None, "pixel size in the header is unset (1.0 Å, the default of many programs)"
    if not TRUSTED[0] <= value <= TRUSTED[1]:
        low, high = TRUSTED
        return None, f"pixel size in the header is {value:.4g} Å, outside {low:g} to {high:g}"
    return value, ""


def checked_option(value: float | None) -> float | None:
    """Return the option as it is, or raise InputError if it makes no sense."""
    if value is not None and not is_allowed(value):
        low, high = ALLOWED
        raise InputError(
            f"--pixel-size {value:g} is outside {low:g} to {high:g} Å",
            "give Å per pixel of the micrograph as it is stored",
        )
    return value


def choose(
    option: float | None,
    listed: float | None,
    header: float | None,
    problem: str,
    path: Path,
) -> tuple[float, str]:
    """Pick the pixel size by trust: option, then STAR file, then header.

    Returns
    -------
    pixel_size : float
        Å per pixel.
    source : str
        ``"option"``, ``"star"`` or ``"header"``.
    """
    if option is not None:
        return option, "option"
    if listed is not None:
        return listed, "star"
    if header is not None:
        return header, "header"
    raise MicrographError(
        problem, "pass --pixel-size, or a STAR file that has rlnMicrographPixelSize", path
    )
