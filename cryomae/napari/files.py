"""Files as layers, when they are dropped on the window, and layers as files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np

from cryomae.atomic import atomic_path
from cryomae.display import limits, sample
from cryomae.errors import CryomaeError, InputError
from cryomae.formats import Context, read_picks
from cryomae.formats import write_picks as write_table
from cryomae.io import read_header, read_micrograph
from cryomae.micrograph import MicrographRef
from cryomae.picks import Picks

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
    try:
        for each in _listed(path):
            read_picks(each)
    except CryomaeError as error:
        _refuse(error)
        return None
    return _picks


def bundled() -> Layers:
    """The micrograph that comes with cryomae, as a layer."""
    with as_file(files("cryomae.data") / "demo_micrograph.mrc") as path:
        return _micrographs(str(path))


def write_picks(path: str, data: Any, about: dict[str, Any]) -> list[str]:
    """Write a layer of points as picks; the suffix says which format.

    Parameters
    ----------
    path : str
    data : array_like, shape (n, 2)
        Row and column in pixels of the micrograph.
    about : dict
        Of the layer; its features may hold ``micrograph``, ``score`` and ``diameter``.

    Raises
    ------
    InputError
        If the format needs the micrograph as well.
    """
    return _write(Path(path), data, about, {}, {})


def write_both(path: str, layers: list[tuple[Any, dict[str, Any], str]]) -> list[str]:
    """Write points as picks of the micrograph that is saved with them; see `write_picks`."""
    (pixels, image, _), (data, about, _) = sorted(layers, key=lambda layer: layer[2])
    name = str((image.get("metadata") or {}).get("micrograph") or image.get("name", ""))
    features = about.get("features")
    names = {name}
    if features is not None and "micrograph" in features:
        names |= set(features["micrograph"])
    else:
        about = {**about, "name": name}
    shape, size = np.shape(pixels)[-2:], (image.get("metadata") or {}).get("pixel_size")
    shapes = dict.fromkeys(names, (int(shape[0]), int(shape[1])))
    return _write(Path(path), data, about, shapes, dict.fromkeys(shapes, size) if size else {})


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


def _write(
    path: Path,
    data: Any,
    about: dict[str, Any],
    shapes: dict[str, tuple[int, int]],
    sizes: dict[str, float],
) -> list[str]:
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
    across = np.atleast_1d(about.get("size", 0.0))
    box = 2 * int(np.ceil(float(across[0]) / 2)) if len(across) else 0
    try:
        write_table(path, picks, Context(shapes, sizes, box or None))
    except InputError as error:
        if "size of micrograph" not in error.cause:
            raise
        remedy = "open the micrograph with cryomae, select its layer too, and save both"
        raise InputError(error.cause, remedy, error.path) from error
    return [str(path)]


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
