"""Micrographs and picks as napari layers, for files that are dropped on the window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cryomae.display import limits, sample
from cryomae.errors import CryomaeError
from cryomae.io import read_header, read_micrograph
from cryomae.micrograph import MicrographRef

Layers = list[tuple[Any, dict[str, Any], str]]
Paths = str | Sequence[str]
Reader = Callable[[Paths], Layers]

_SIZE = 40.0  # pixels: of circles whose file says no diameter


def micrograph_reader(path: Paths) -> Reader | None:
    """What reads micrographs, if these files are such."""
    try:
        for each in _listed(path):
            read_header(each)
    except CryomaeError as error:
        _refuse(error)
        return None
    return _micrographs


def picks_reader(path: Paths) -> Reader | None:
    """What reads picks, if these files hold such."""
    from cryomae.formats import read_picks

    try:
        for each in _listed(path):
            read_picks(each)
    except CryomaeError as error:
        _refuse(error)
        return None
    return _picks


def _micrographs(path: Paths) -> Layers:
    layers: Layers = []
    for each in _listed(path):
        # Without a pixel size a micrograph can be looked at all the same.
        size = read_header(each).pixel_size
        micrograph = read_micrograph(MicrographRef(str(each), each), None if size else 1.0)
        pixels = micrograph.pixels
        about = {
            "name": each.name,
            "contrast_limits": limits(sample(pixels), 0.5, 99.5),
            "metadata": {"pixel_size": size, "micrograph": str(each)},
        }
        layers.append((pixels, about, "image"))
    return layers


def _picks(path: Paths) -> Layers:
    from cryomae.formats import read_picks

    layers: Layers = []
    for each in _listed(path):
        table = read_picks(each).table
        about = {
            "name": each.name,
            "features": table[["micrograph", "score", "diameter"]].reset_index(drop=True),
            "size": _SIZE,
            "face_color": "transparent",
            "border_color": "orange",
            "border_width": 0.06,
            "metadata": {"picks": str(each)},
        }
        layers.append((table[["y", "x"]].to_numpy(np.float64), about, "points"))
    return layers


def _listed(path: Paths) -> list[Path]:
    return [Path(p) for p in ([path] if isinstance(path, str) else path)]


def _refuse(error: CryomaeError) -> None:
    from napari.utils.notifications import show_warning

    show_warning(str(error))
