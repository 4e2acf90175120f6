"""Small pictures that a preview is drawn on later; all that a worker needs to draw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from cryomae.atomic import atomic_path

THUMBNAIL_SIZE = 1024
"""Longest side of a thumbnail in pixels."""

COMPRESSION = 2
"""Of PNG: noise hardly compresses, and a higher level only costs time."""


def save_thumbnail(path: str | Path, image: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
    """Save a small grey picture of a working image, to draw on later.

    Parameters
    ----------
    path : str or Path
        PNG to write.
    image : ndarray, shape (h, w)
        Working image.
    valid : ndarray of bool, shape (h, w)
        False where nothing is picked; kept as transparency.
    """
    smooth = gaussian_filter(np.asarray(image, dtype=np.float32), 1.0)
    inside = smooth[valid] if valid.any() else smooth
    low, high = np.percentile(inside, (0.5, 99.5))
    grey = np.clip((smooth - low) / max(high - low, 1e-6), 0, 1)
    layers = [
        Image.fromarray((255 * grey).astype(np.uint8)),
        Image.fromarray(np.where(valid, 255, 0).astype(np.uint8)),
    ]
    shrink = THUMBNAIL_SIZE / max(image.shape)
    if shrink < 1:
        size = (max(1, round(image.shape[1] * shrink)), max(1, round(image.shape[0] * shrink)))
        layers = [layer.resize(size, Image.Resampling.BOX) for layer in layers]
    with atomic_path(path) as temporary:
        Image.merge("LA", layers).save(temporary, compress_level=COMPRESSION)
