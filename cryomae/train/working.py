"""The working image of a real micrograph, if there is something to learn from in it."""

from __future__ import annotations

from cryomae.errors import MicrographError
from cryomae.io import read_micrograph
from cryomae.micrograph import MicrographRef
from cryomae.prepare import WORKING_DIAMETER, WorkingImage, prepare

MIN_VALID = 0.1
"""Least share of a micrograph that must be usable: ours; of less there are no whole windows."""


def usable_image(
    ref: MicrographRef, diameter: float, window: int, pixel_size: float | None = None
) -> WorkingImage:
    """Working image of a micrograph.

    Parameters
    ----------
    ref : MicrographRef
    diameter : float
        Of the particle in Å.
    window : int
        Side of the windows that will be drawn, in working pixels.
    pixel_size : float, optional
        Å per pixel, overriding list and header.

    Raises
    ------
    MicrographError
        If it cannot be read, or there is nothing to learn from in it.
    """
    micrograph = read_micrograph(ref, pixel_size)
    working = prepare(micrograph.pixels, micrograph.pixel_size, diameter)
    if min(working.image.shape) < window:
        raise MicrographError(
            f"it is less than {window / WORKING_DIAMETER:g} diameters wide, the width of a window",
            "check --diameter and --pixel-size, both in Å",
            ref.path,
        )
    if working.valid.mean() < MIN_VALID:
        raise MicrographError(
            "hardly anything in it can be used: carbon, ice or an empty image",
            "leave it out",
            ref.path,
        )
    return working
