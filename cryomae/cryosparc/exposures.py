"""Files of the micrographs of a cryoSPARC job."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from cryomae.atomic import atomic_path
from cryomae.formats.exposures import Exposure


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
