"""Exposures of cryoSPARC: the micrographs as it knows them, and which of them picks are of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from cryomae.errors import FormatError, InputError
from cryomae.names import nearest, stem

if TYPE_CHECKING:
    from cryosparc.dataset import Dataset

_PATH, _SHAPE, _SIZE = (f"micrograph_blob/{name}" for name in ("path", "shape", "psize_A"))
_GROUP = "mscope_params/exp_group_id"
_SLOTS = ("micrograph_blob", "mscope_params")
_NUMBERED = re.compile(r"^\d{15,}_")  # cryoSPARC puts the number of a movie before its name
_SHOWN = 5


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


def load_exposures(path: Path) -> list[Exposure]:
    """Read exposures that a job of cryoSPARC wrote.

    Parameters
    ----------
    path : Path
        ``.csg`` of an output of exposures, which names the files of all its slots, or a ``.cs``
        that holds both slots ``micrograph_blob`` and ``mscope_params``.

    Raises
    ------
    FormatError
        If a file cannot be read, or a slot is missing.
    """
    from cryomae.formats.cryosparc import load_dataset

    if path.suffix.lower() == ".csg":
        first, *others = (load_dataset(file) for file in _files_of(path))
        data = first.innerjoin(*others) if others else first
    else:
        data = load_dataset(path)
    fields = data.fields()
    missing = [name for name in (_PATH, _SHAPE, _SIZE, _GROUP) if name not in fields]
    if missing:
        raise FormatError(
            f"holds no field {missing[0]}",
            "give the .csg file of the job's exposures, which names all their files",
            path,
        )
    return read_exposures(data)


def _files_of(group: Path) -> list[Path]:
    """Files of the slots that are needed, each once."""
    try:
        content: Any = yaml.safe_load(group.read_text(encoding="utf-8"))
        named = [content["results"][slot]["metafile"].lstrip(">") for slot in _SLOTS]
    except FileNotFoundError as error:
        raise FormatError("no such file", "check the name", group) from error
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror or error}", "", group) from error
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(
            f"names no files of {' and '.join(_SLOTS)}", "give the .csg of exposures", group
        ) from error
    return [group.parent / name for name in dict.fromkeys(named)]


def match_exposures(
    names: Iterable[str], exposures: Sequence[Exposure], path: Path
) -> tuple[dict[str, Exposure], list[str]]:
    """Find the exposures that names of micrographs mean.

    Parameters
    ----------
    names : iterable of str
    exposures : sequence of Exposure
    path : Path
        Their file, for errors.

    Returns
    -------
    found : dict of str to Exposure
        By name: that of the same path, else that of the same file name, without the number that
        cryoSPARC puts before it; of several, that which shares most folders.
    missing : list of str
        Names of none.

    Raises
    ------
    InputError
        If a name may mean several, two names mean one, or no name means any.
    """
    by_path = {exposure.path: exposure for exposure in exposures}
    by_stem: dict[str, list[str]] = {}
    for known in by_path:
        by_stem.setdefault(_key(known), []).append(known)
    found: dict[str, Exposure] = {}
    owner: dict[str, str] = {}
    missing = []
    for name in names:
        near = [name] if name in by_path else nearest(name, by_stem.get(_key(name), []))
        if not near:
            missing.append(name)
            continue
        if len(near) > 1:
            raise InputError(
                f"'{name}' may mean the exposure {near[0]} or {near[1]}",
                "give the exposures of one folder, or picks with the paths of cryoSPARC",
                path,
            )
        if owner.setdefault(near[0], name) != name:
            raise InputError(
                f"'{name}' and '{owner[near[0]]}' mean one exposure, {near[0]}",
                "give picks of the micrographs of these exposures only",
                path,
            )
        found[name] = by_path[near[0]]
    if not found and missing:
        raise InputError(
            f"none of the exposures has the name of a micrograph ({', '.join(missing[:_SHOWN])})",
            "compare the file names; only folders and cryoSPARC's leading number may differ",
            path,
        )
    return found, missing


def _key(name: str) -> str:
    return _NUMBERED.sub("", stem(name))
