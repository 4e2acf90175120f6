"""Files of the micrographs of a cryoSPARC job."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from cryomae.atomic import atomic_path, write_text
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
