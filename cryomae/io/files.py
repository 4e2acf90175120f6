"""File names of micrographs, and what can be wrong with a file before it is opened."""

import os
import re
import stat
from pathlib import Path

from cryomae.errors import MicrographError

SUFFIXES = (".mrc", ".mrcs", ".mrc.gz", ".mrc.bz2", ".tif", ".tiff")
"""Suffixes of the files that can be read, in lower case."""

TIFF_SUFFIXES = (".tif", ".tiff")

SIBLING_ENDINGS = ("_PS", "_noDW", "_EVN", "_ODD")
"""Ends of the stems that RELION and MotionCor write beside a micrograph (case matters)."""

_MOVIE = "motion-correct the movie first and pass the micrograph"
_CONVERT = "convert it to MRC first"
_REMEDIES = {
    ".eer": _MOVIE,
    ".gain": "this is a gain reference, not a micrograph",
    ".dm3": "convert it to MRC first, for example with IMOD's dm2mrc",
    ".dm4": "convert it to MRC first, for example with IMOD's dm2mrc",
    ".png": "pixel values of pictures are not the camera's: use the MRC it was made from",
    ".jpg": "pixel values of pictures are not the camera's: use the MRC it was made from",
    ".jpeg": "pixel values of pictures are not the camera's: use the MRC it was made from",
    ".st": "a tilt series is not a micrograph",
}


def suffix_of(path: str | Path) -> str:
    """Return the suffix in `SUFFIXES` that a file name ends in, or an empty string."""
    name = Path(path).name.lower()
    matches = [s for s in SUFFIXES if name.endswith(s) and len(name) > len(s)]
    return max(matches, key=len, default="")


def is_sibling(path: str | Path) -> bool:
    """Tell whether a name marks a power spectrum, an undosed or a half sum."""
    name = Path(path).name
    suffix = suffix_of(name)
    stem = name[: -len(suffix)] if suffix else name
    return stem.endswith(SIBLING_ENDINGS)


def natural_key(text: str) -> list[str | int]:
    """Return a sorting key that puts ``mic_9`` before ``mic_10``."""
    return [int(part) if part.isdigit() else part for part in re.split("([0-9]+)", text)]


def unsupported(path: str | Path) -> MicrographError:
    """Build the error for a suffix that is not in `SUFFIXES`."""
    suffix = Path(path).suffix.lower()
    named = f"'{suffix}' files" if suffix else "files without a suffix"
    remedy = _REMEDIES.get(suffix, _CONVERT)
    return MicrographError(
        f"{named} are not read as micrographs",
        f"{remedy}; read are {', '.join(SUFFIXES)}",
        path,
    )


def missing(path: str | Path) -> MicrographError:
    """Build the error for a file that is not there."""
    if os.path.islink(path):
        target = os.readlink(path)
        return MicrographError(f"broken link to {target}", "restore the file or relink it", path)
    return MicrographError(
        "no such file", "check the path and the folder the command runs in", path
    )


def from_os_error(error: OSError, path: str | Path) -> MicrographError:
    """Translate an error of the operating system."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return missing(path)
    if isinstance(error, PermissionError):
        return MicrographError(
            "permission denied", "ask for read access to the file and its folder", path
        )
    cause = error.strerror or str(error)
    return MicrographError(
        f"cannot be read: {cause}", "check the disk or the network mount, then try again", path
    )


def size_of_file(path: str | Path) -> int:
    """Return the size in bytes of a file that has a chance of being a micrograph.

    Raises
    ------
    MicrographError
        If there is no such file, or it is a folder, empty, or not a regular file.
    """
    try:
        info = os.stat(path)
    except OSError as error:
        raise from_os_error(error, path) from error
    if stat.S_ISDIR(info.st_mode):
        raise MicrographError("is a folder, not a micrograph", "name a file inside it", path)
    if not stat.S_ISREG(info.st_mode):
        raise MicrographError("is not a regular file", "copy the data into a file", path)
    if info.st_size == 0:
        raise MicrographError("the file is empty (0 bytes)", "copy or process it again", path)
    return info.st_size
