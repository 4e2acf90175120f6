"""Working images in eight bits, as pools and shards keep them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cryomae.prepare import CLIP

STEP = CLIP / 127
"""Of a stored level, in units of the noise: a twentieth of it."""

MASKED = -128
"""Level of a pixel that is not valid; image values end at ±127."""


def to_levels(image: NDArray[np.float32]) -> NDArray[np.int8]:
    """Nearest levels of an image in units of the noise, within ±`CLIP`."""
    return np.rint(image / STEP).astype(np.int8)


def from_levels(levels: NDArray[np.int8]) -> NDArray[np.float32]:
    """Image in units of the noise."""
    return levels.astype(np.float32) * np.float32(STEP)


def with_mask(image: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Levels of an image and its mask in one array."""
    return np.where(valid, to_levels(image), np.int8(MASKED))


def without_mask(levels: NDArray[np.int8]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Image, 0 where not valid, and mask of what `with_mask` made."""
    valid = levels != MASKED
    return from_levels(np.where(valid, levels, np.int8(0))), valid
