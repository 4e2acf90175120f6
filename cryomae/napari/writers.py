"""Layers as files that other programs read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cryomae.atomic import atomic_path
from cryomae.formats import Context
from cryomae.formats import write_picks as write_table
from cryomae.picks import Picks


def write_picks(path: str, data: Any, about: dict[str, Any]) -> list[str]:
    """Write a layer of points as picks; the suffix says which format.

    Parameters
    ----------
    path : str
    data : array_like, shape (n, 2)
        Row and column in pixels of the micrograph.
    about : dict
        Of the layer; its features may hold ``micrograph``, ``score`` and ``diameter``.
    """
    yx = np.asarray(data, np.float64).reshape(-1, np.shape(data)[-1] if len(data) else 2)[:, -2:]
    features = about.get("features")
    score: Any = np.ones(len(yx))
    diameter = float("nan")
    names = None
    if features is not None and len(features) == len(yx):
        if "score" in features:
            score = np.nan_to_num(np.asarray(features["score"], np.float64), nan=1.0)
        if "diameter" in features and len(yx):
            diameter = float(features["diameter"].iloc[0])
        names = features.get("micrograph")
    picks = Picks.from_arrays(str(about.get("name", "")), yx[:, ::-1], score, diameter)
    if names is not None:
        picks = Picks(picks.table.assign(micrograph=names.astype(object).to_numpy()))
    size = np.atleast_1d(about.get("size", 0.0))
    box = 2 * int(np.ceil(float(size[0]) / 2)) if len(size) else 0
    write_table(Path(path), picks, Context(box=box or None))
    return [path]


def write_micrograph(path: str, data: Any, about: dict[str, Any]) -> list[str]:
    """Write an image as an MRC micrograph."""
    import mrcfile

    pixels = np.asarray(data)
    if pixels.dtype not in (np.dtype(np.int8), np.dtype(np.int16), np.dtype(np.uint16)):
        pixels = pixels.astype(np.float32)
    size = (about.get("metadata") or {}).get("pixel_size")
    with atomic_path(Path(path)) as temporary, mrcfile.new(temporary, overwrite=True) as file:
        file.set_data(pixels)
        if size:
            file.voxel_size = size
    return [path]
