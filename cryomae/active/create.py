"""Begin a session."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cryomae.active import tables
from cryomae.active.files import stamp
from cryomae.active.records import SessionMicrograph
from cryomae.active.refusals import refused
from cryomae.active.settings import SessionSettings
from cryomae.active.store import make_store
from cryomae.errors import CryomaeError, InputError
from cryomae.micrograph import MicrographRef


def create_session(
    path: Path,
    settings: SessionSettings,
    refs: Sequence[MicrographRef],
    defocus: Mapping[str, float],
) -> None:
    """Make the folder of a session, whole or not at all.

    Parameters
    ----------
    path : Path
        Folder to make; it must not be there, unless it is empty.
    settings : SessionSettings
    refs : sequence of MicrographRef
        A name that comes twice counts once.
    defocus : mapping of str to float
        µm, by name, as far as it is known.

    Raises
    ------
    InputError
        If the folder is there, or no micrograph is named.
    OutputError
        If it cannot be written.
    """
    if path.is_dir() and any(path.iterdir()):
        raise InputError(
            "is there already",
            "go on with it, as `cryomae active status` shows it, or choose another name",
            path,
        )
    if path.exists() and not path.is_dir():
        raise InputError("a file of this name is there", "choose another name", path)
    if not refs:
        raise InputError("no micrographs named", "pass files, a folder, a glob or a STAR file")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        (temporary / "candidates").mkdir()
        store = make_store(temporary)
        try:
            with store.writing() as connection:
                tables.write_settings(connection, settings)
                tables.write_micrographs(connection, describe_refs(refs, settings, defocus, ()))
        finally:
            store.close()
        os.rename(temporary, path)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise refused(error, path) from error
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def describe_refs(
    refs: Iterable[MicrographRef],
    settings: SessionSettings,
    defocus: Mapping[str, float],
    before: Sequence[SessionMicrograph],
) -> list[SessionMicrograph]:
    """Records of micrographs that are not among those of before, from their headers."""
    known = {m.name for m in before}
    new = [r for r in {ref.name: ref for ref in refs}.values() if r.name not in known]
    return [
        _describe(len(before) + i, ref, settings, defocus.get(ref.name))
        for i, ref in enumerate(new)
    ]


def _describe(
    id_: int, ref: MicrographRef, settings: SessionSettings, defocus: float | None
) -> SessionMicrograph:
    from cryomae.io import read_header
    from cryomae.io.pixel_size import choose

    size, mtime = stamp(ref.path)
    shape = pixel_size = None
    try:
        header = read_header(ref.path)
        shape = header.shape
        pixel_size, _ = choose(
            settings.pixel_size, ref.pixel_size, header.pixel_size, header.pixel_size_problem,
            ref.path,
        )  # fmt: skip
    except CryomaeError:  # what is wrong with it is said when it is encoded
        pass
    return SessionMicrograph(
        id_,
        ref.name,
        Path(os.path.abspath(ref.path)),
        ref.pixel_size,
        pixel_size,
        defocus,
        shape,
        size=size,
        mtime_ns=mtime,
    )
