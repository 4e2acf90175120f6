"""Files that appear whole or not at all."""

import errno
import os
import secrets
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


class OutputError(CryomaeError):
    """A result that cannot be written."""

    @classmethod
    def from_os_error(cls, error: OSError, path: str | Path) -> "OutputError":
        """Say in words why ``path`` could not be written."""
        reason = error.strerror or str(error)
        remedy = _REMEDIES.get(error.errno or 0, "check the --output folder")
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
    temporary = target.with_name(f".{target.stem[:100]}.{secrets.token_hex(6)}{target.suffix}")
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


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 ``text`` to ``path``, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # the folder itself may be gone; the first error is the one to report
        return
