"""Find the micrographs of a session again after they were moved."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cryomae.active.files import checksum, look, stamp
from cryomae.active.records import SessionMicrograph
from cryomae.errors import CryomaeError, InputError, MicrographError


@dataclass(frozen=True)
class Relinked:
    """What relinking did.

    Attributes
    ----------
    found : tuple of SessionMicrograph
        With their new path.
    kept : int
        Micrographs that were where they should be.
    missing : tuple of str
        Names of those that were not found.
    different : tuple of str
        Paths of files with the right name and other content.
    """

    found: tuple[SessionMicrograph, ...]
    kept: int
    missing: tuple[str, ...]
    different: tuple[str, ...]


def find_again(micrographs: Sequence[SessionMicrograph], inputs: Sequence[str | Path]) -> Relinked:
    """Look for micrographs that are missing or changed.

    A file is accepted if it has the name of the old one, and the checksum of what was
    encoded; where nothing was encoded yet, the size that it had, if that is known.

    Parameters
    ----------
    micrographs : sequence of SessionMicrograph
    inputs : sequence of str or Path
        Folders, which are searched with the folders inside them, or anything that
        `cryomae.io.find_micrographs` takes.

    Raises
    ------
    InputError
        If nothing is named, or nothing of what is named is there.
    """
    if not inputs:
        raise InputError("no folder named", "name the folder that the micrographs are in now")
    lost = [m for m in micrographs if not _is_there(m)]
    wanted = {m.path.name for m in lost}
    files: dict[str, list[Path]] = {}
    for path in _files(inputs):
        if path.name in wanted:
            files.setdefault(path.name, []).append(path)
    found, missing, different = [], [], []
    for micrograph in lost:
        same, others = _choose(micrograph, files.get(micrograph.path.name, []))
        different += others
        if same is None:
            missing.append(micrograph.name)
            continue
        found.append(same)
    return Relinked(tuple(found), len(micrographs) - len(lost), tuple(missing), tuple(different))


def _is_there(micrograph: SessionMicrograph) -> bool:
    state = look(micrograph)
    if state == "touched":
        return checksum(micrograph.path) == micrograph.checksum
    return state == "same"


def _choose(
    micrograph: SessionMicrograph, files: Sequence[Path]
) -> tuple[SessionMicrograph | None, list[str]]:
    """The file that is this micrograph, if one of them is, and those that are not."""
    different = []
    for path in files:
        size, mtime = stamp(path)
        alike = micrograph.size in (None, size)
        if alike and micrograph.checksum:
            try:
                alike = checksum(path) == micrograph.checksum
            except MicrographError:
                alike = False
        if alike:
            state = "waiting" if micrograph.state == "failed" else micrograph.state
            path = Path(os.path.abspath(path))
            return (
                replace(micrograph, path=path, size=size, mtime_ns=mtime, state=state, cause=""),
                [],
            )
        different.append(str(path))
    return None, different


def _files(inputs: Sequence[str | Path]) -> Iterator[Path]:
    errors: list[CryomaeError] = []
    for item in inputs:
        if os.path.isdir(item):
            for folder, _, names in os.walk(item):
                yield from (Path(folder) / name for name in sorted(names))
            continue
        from cryomae.io import find_micrographs

        refs, wrong = find_micrographs([item])
        errors += wrong
        yield from (ref.path for ref in refs)
    if errors:
        raise InputError(errors[0].cause, errors[0].remedy, errors[0].path)
