"""Files that appear whole or not at all."""

import errno
import glob
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryomae.errors import CryomaeError

_REMEDIES = {
    errno.ENOSPC: "free some disk space, then run the same command again: it goes on from here",
    errno.EDQUOT: "free some of your quota, then run the same command again: it goes on from here",
    errno.EACCES: "choose an --output folder that you may write to",
    errno.EPERM: "choose an --output folder that you may write to",
    errno.EROFS: "this disk is read-only: choose another --output folder",
    errno.ENOTDIR: "a file stands where a folder is needed: choose another --output folder",
    errno.EEXIST: "a file stands where a folder is needed: choose another --output folder",
    errno.ENAMETOOLONG: "choose an --output folder with a shorter path",
}

_UNFINISHED = re.compile(r"\..*\.[0-9a-f]{12}(\.\w+)?")


class OutputError(CryomaeError):
    """A result that cannot be written."""

    @classmethod
    def from_os_error(cls, error: OSError, path: str | Path) -> "OutputError":
        """Say in words why ``path`` could not be written."""
        reason = error.strerror or str(error)
        remedy = _REMEDIES.get(error.errno or 0, "check the --output folder")
        if error.errno is None:  # numpy writes less than it should and says no more
            remedy = "check the --output folder, and whether its disk is full"
        return cls(f"cannot be written: {reason}", remedy, path)


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path that becomes ``path`` when the block ends well.

    The temporary file lies in the same folder and has the same suffix. A reader sees
    the old file or the new one, never a part of it; after an error nothing is left.

    Parameters
    ----------
    path : str or Path
        File to write; its folder is made if needed.

    Yields
    ------
    Path
        Where to write.

    Raises
    ------
    OutputError
        When the disk is full, read-only or otherwise refuses.
    """
    target = Path(path)
    temporary = target.with_name(f"{_temporary(target.stem)}{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, target)
    except OSError as error:
        _remove(temporary)
        raise OutputError.from_os_error(error, target) from error
    except BaseException:
        _remove(temporary)
        raise


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Give a temporary folder whose files come to ``path`` together when the block ends well.

    A folder that is not there yet appears whole or not at all. In one that is there, files of
    the same names are replaced, and only when all new ones are complete; other files stay.

    Parameters
    ----------
    path : str or Path
        Folder to write; it and those above it are made if needed.

    Yields
    ------
    Path
        Where to write.

    Raises
    ------
    OutputError
        When the disk is full, read-only or otherwise refuses.
    """
    target = Path(path).absolute()
    there = target.is_dir()
    above = target if there else target.parent
    temporary = above / _temporary(target.name)
    try:
        if target.exists() and not there:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        temporary.mkdir(parents=True)
        yield temporary
        if there:
            _move_files(temporary, target)
        else:
            temporary.rename(target)
    except OSError as error:
        raise OutputError.from_os_error(error, path) from error
    except CryomaeError as error:  # of a file in the temporary folder, which no user knows
        if error.path and Path(error.path).is_relative_to(temporary):
            final = Path(path) / Path(error.path).relative_to(temporary)
            raise type(error)(error.cause, error.remedy, final) from error
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def is_temporary(name: str) -> bool:
    """Whether a file or folder is called as those that a killed program leaves unfinished."""
    return bool(_UNFINISHED.fullmatch(name))


def _temporary(name: str) -> str:
    return f".{name[:100]}.{secrets.token_hex(6)}"


def remove_leftovers(path: str | Path) -> None:
    """Remove what processes left that were killed while they wrote ``path``; none may be at it."""
    target = Path(path)
    begin = f".{glob.escape(target.stem[:100])}."
    for leftover in target.parent.glob(f"{begin}{'[0-9a-f]' * 12}{glob.escape(target.suffix)}"):
        _remove(leftover)


def _move_files(source: Path, target: Path) -> None:
    for file in sorted(file for file in source.rglob("*") if file.is_file()):
        final = target / file.relative_to(source)
        final.parent.mkdir(parents=True, exist_ok=True)
        os.replace(file, final)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 ``text`` to ``path``, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # the folder itself may be gone; the first error is the one to report
        return
