"""Micrographs of a cryoSPARC job: what it knows of them, and their files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cryomae.atomic import atomic_path, write_text
from cryomae.errors import FormatError

if TYPE_CHECKING:
    from cryosparc.dataset import Dataset

_PATH, _SHAPE, _SIZE = (f"micrograph_blob/{name}" for name in ("path", "shape", "psize_A"))
_GROUP = "mscope_params/exp_group_id"


@dataclass(frozen=True)
class Exposure:
    """A micrograph as cryoSPARC lists it.

    Attributes
    ----------
    uid, group : int
        Its number, and that of its exposure group.
    path : str
        File inside the project folder.
    shape : tuple of int
        Rows and columns.
    pixel_size : float
        Å per pixel.
    """

    uid: int
    group: int
    path: str
    shape: tuple[int, int]
    pixel_size: float


def read_exposures(data: Dataset) -> list[Exposure]:
    """Read the micrographs of a dataset of exposures.

    Raises
    ------
    FormatError
        If the slot ``micrograph_blob`` is missing, as for movies.
    """
    fields = data.fields()
    missing = [name for name in (_PATH, _SHAPE, _SIZE) if name not in fields]
    if missing:
        raise FormatError(
            f"these exposures have no field {missing[0]}",
            "name a job whose exposures are motion-corrected or imported micrographs",
        )
    groups = data[_GROUP] if _GROUP in fields else np.zeros(len(data), int)
    return [
        Exposure(int(uid), int(group), str(path), (int(shape[0]), int(shape[1])), float(size))
        for uid, group, path, shape, size in zip(
            data["uid"], groups, data[_PATH], data[_SHAPE], data[_SIZE], strict=True
        )
    ]


def place_files(
    exposures: Iterable[Exposure],
    project: Path,
    downloads: Path,
    download: Callable[[str, Path], None],
) -> dict[str, Exposure]:
    """Find the files of micrographs; one that is not on this machine is downloaded.

    Parameters
    ----------
    exposures : iterable of Exposure
    project : Path
        Project folder, where this machine sees it.
    downloads : Path
        Folder for other files; what an earlier run brought is used again.
    download : callable
        ``download(path, target)`` fetches a file of the project.

    Returns
    -------
    dict of str to Exposure
        By absolute path of the file.
    """
    placed = {}
    for exposure in exposures:
        path = project / exposure.path
        if not path.is_file():
            path = downloads / exposure.path
            if not path.is_file():
                path.parent.mkdir(parents=True, exist_ok=True)
                with atomic_path(path) as temporary:
                    download(exposure.path, temporary)
        placed[str(path.absolute())] = exposure
    return placed


def write_star(path: Path, placed: dict[str, Exposure]) -> None:
    """List micrographs with their pixel sizes, one optics group for each size."""
    sizes = sorted({exposure.pixel_size for exposure in placed.values()})
    optics = "".join(f"opticsGroup{i} {i} {size:.6f}\n" for i, size in enumerate(sizes, start=1))
    rows = "".join(f'"{name}" {sizes.index(e.pixel_size) + 1}\n' for name, e in placed.items())
    write_text(
        path,
        "\ndata_optics\n\nloop_\n_rlnOpticsGroupName #1\n_rlnOpticsGroup #2\n"
        f"_rlnMicrographPixelSize #3\n{optics}\n"
        f"data_micrographs\n\nloop_\n_rlnMicrographName #1\n_rlnOpticsGroup #2\n{rows}\n",
    )
