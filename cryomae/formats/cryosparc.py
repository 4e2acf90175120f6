"""cryoSPARC's ``.cs``, in both forms on disk, by cryosparc-tools.

Positions are fractions of the micrograph: column ``center_x_frac * nx`` and row
``center_y_frac * ny`` of the MRC array as stored, with ``micrograph_shape`` = [ny, nx]. Nothing
is mirrored: cryoSPARC and RELION read MRC files alike. They differ on TIFF, which cryoSPARC does
not turn upside down; for micrographs made by one of them from TIFF movies and picked by the
other, coordinates have to be mirrored (``cryomae convert --flip-y``).
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from cryomae.atomic import atomic_path, write_text
from cryomae.errors import FormatError, InputError, NoCoordinatesError
from cryomae.formats.csdat import check_stream
from cryomae.formats.exposures import Exposure
from cryomae.formats.registry import Context, Format
from cryomae.formats.values import check_finite, numbers
from cryomae.picks import Picks

if TYPE_CHECKING:
    from cryosparc.dataset import Dataset

_PATH, _SHAPE = "location/micrograph_path", "location/micrograph_shape"
_X, _Y = "location/center_x_frac", "location/center_y_frac"
_SCORE, _POWER = "pick_stats/ncc_score", "pick_stats/power"
_FIELDS = [
    ("location/micrograph_uid", "u8"),
    ("location/exp_group_id", "u4"),
    (_PATH, "O"),
    (_SHAPE, "u4", (2,)),
    ("location/micrograph_psize_A", "f4"),
    (_X, "f4"),
    (_Y, "f4"),
    ("location/min_dist_A", "f4"),
    (_SCORE, "f4"),
    (_POWER, "f4"),
]
_PASSTHROUGH = "give the file that holds the slot location (perhaps the passthrough file beside it)"


def read(path: Path) -> Picks:
    """Read the particles of a dataset.

    Parameters
    ----------
    path : Path
        Dataset with the slot ``location``, as picking and extraction jobs write it.

    Returns
    -------
    Picks
        ``pick_stats/ncc_score`` as score, 1 where there is none; ``micrograph_path`` verbatim.

    Raises
    ------
    FormatError
        If the file is no dataset or has no locations.
    InputError
        If cryosparc-tools is not installed.
    """
    data = load_dataset(path)
    fields = data.fields()
    missing = [name for name in (_PATH, _SHAPE, _X, _Y) if name not in fields]
    if missing:
        raise NoCoordinatesError(f"has no field {missing[0]}", _PASSTHROUGH, path)
    shape = np.asarray(data[_SHAPE], dtype=np.float64).reshape(-1, 2)
    if (shape <= 0).any():
        raise FormatError("a micrograph has no size", "write it with cryoSPARC again", path)
    x = numbers(data[_X], _X, path) * shape[:, 1]
    y = numbers(data[_Y], _Y, path) * shape[:, 0]
    score = numbers(data[_SCORE], _SCORE, path) if _SCORE in fields else np.ones(len(x))
    picks = Picks.from_arrays("", np.column_stack([x, y]), score, float("nan"), "cryosparc")
    names = np.array([str(name) for name in data[_PATH]], dtype=object)
    return Picks(picks.table.assign(micrograph=names))


def write(path: Path, picks: Picks, context: Context) -> None:
    """Write picks with all that Inspect Picks and Extract From Micrographs ask for.

    Parameters
    ----------
    path : Path
        File to write.
    picks : Picks
        Their scores become ``pick_stats``, by which Inspect Picks has sliders.
    context : Context
        Size and pixel size of every micrograph.

    Raises
    ------
    InputError
        If a size is missing, or cryosparc-tools is not installed.
    FormatError
        If a coordinate or score is not a number.
    """
    check_finite(picks, path)
    names = picks.table["micrograph"]
    unique = names.unique().tolist()
    shapes = {name: context.shape(name, path) for name in unique}
    unknown = [name for name in unique if name not in context.pixel_sizes]
    if unknown:
        raise InputError(
            f"the pixel size of micrograph '{unknown[0]}' is needed and not known",
            "name the micrographs with --micrographs",
            path,
        )
    exposures = {
        name: context.exposures.get(name)
        or Exposure(uid_of(name), 0, name, shapes[name], context.pixel_sizes[name])
        for name in unique
    }
    with atomic_path(path) as temporary:
        locations(picks, exposures).save(temporary)


def write_group(path: Path, dataset: Path, count: int) -> None:
    """Write the ``.csg`` that cryoSPARC's *Import Result Group* reads.

    Parameters
    ----------
    path : Path
        File to write.
    dataset : Path
        The ``.cs`` beside it, with the slots that `write` writes.
    count : int
        Its rows.
    """
    results = {
        slot: {"metafile": f">{dataset.name}", "num_items": count, "type": f"particle.{slot}"}
        for slot in ("location", "pick_stats")
    }
    group = {"description": "Picks of cryomae", "name": "particles", "title": "Picks"}
    content = {
        "created": datetime.datetime.now().isoformat(" "),
        "group": group | {"type": "particle"},
        "results": results,
        "version": "v4.0.0",
    }
    write_text(path, yaml.safe_dump(content))


def locations(picks: Picks, exposures: Mapping[str, Exposure]) -> Dataset:
    """Make the slots ``location`` and ``pick_stats`` of picks.

    Parameters
    ----------
    picks : Picks, n rows
    exposures : mapping of str to Exposure
        Every micrograph as cryoSPARC knows it, by name.

    Returns
    -------
    Dataset, n rows
    """
    codes, names = pd.factorize(picks.table["micrograph"])
    known = [exposures[name] for name in names]

    def column(values: list[Any], kind: str) -> NDArray[Any]:
        return np.array(values, dtype=kind)[codes]

    shape = np.array([e.shape for e in known], np.uint32).reshape(-1, 2)[codes]
    diameter = np.nan_to_num(picks.table["diameter"].to_numpy(np.float64))
    data = _dataset().allocate(len(picks), _FIELDS)
    data["location/micrograph_uid"] = column([e.uid for e in known], "u8")
    data["location/exp_group_id"] = column([e.group for e in known], "u4")
    data[_PATH] = column([e.path for e in known], "O")
    data[_SHAPE] = shape
    data["location/micrograph_psize_A"] = column([e.pixel_size for e in known], "f4")
    data[_X] = picks.xy[:, 0] / shape[:, 1]
    data[_Y] = picks.xy[:, 1] / shape[:, 0]
    data["location/min_dist_A"] = diameter / 2
    data[_SCORE] = data[_POWER] = picks.score
    return data


def uid_of(name: str) -> int:
    """Give a number for a micrograph that is always the same for one name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")


def _dataset() -> type[Dataset]:
    try:
        from cryosparc.dataset import Dataset
    except ImportError as error:
        raise InputError(
            "cryoSPARC's files need the package cryosparc-tools",
            "pip install 'cryomae[cryosparc]'",
        ) from error
    return Dataset


def load_dataset(path: Path) -> Dataset:
    """Read a dataset of either form, or raise an error that says what is wrong with it."""
    dataset = _dataset()
    from cryosparc.errors import DatasetLoadError

    if not path.is_file():
        raise FormatError("no such file", "check the name", path)
    try:
        check_stream(path)
        return dataset.load(path)
    except (DatasetLoadError, ValueError, KeyError, TypeError, SyntaxError) as error:
        raise FormatError(
            "is not a dataset of cryoSPARC", "check that it is complete", path
        ) from error
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror or error}", "", path) from error


FORMAT = Format("cryoSPARC", "cryosparc", (".cs",), read, write, many=True)
