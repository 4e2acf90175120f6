"""Labelled micrographs to run pickers on: real sets, simulated sets and suites of them."""

import re
from dataclasses import dataclass
from pathlib import Path

import mrcfile

from cryomae.errors import InputError
from cryomae.evaluate import Truth
from cryomae.evaluate.coordinates import join
from cryomae.evaluate.sources import as_truth, read_truth_source
from cryomae.names import stem

_SPEC = re.compile(r"(?P<folder>.*?)(?::(?P<diameter>[\d.]+)(?::(?P<pixel_size>[\d.]+))?)?")


@dataclass(frozen=True)
class LabelledSet:
    """Micrographs of one particle with their truth.

    Attributes
    ----------
    group, name : str
        The folder the user named, and the set's place in it (the same where it is a set).
    files : dict of str to Path
        Labelled micrographs by stem.
    shapes : dict of str to (int, int)
        Their rows and columns.
    truth : Truth
    diameter, pixel_size : float
        Å, and Å per pixel.
    """

    group: str
    name: str
    files: dict[str, Path]
    shapes: dict[str, tuple[int, int]]
    truth: Truth
    diameter: float
    pixel_size: float

    @property
    def radius(self) -> float:
        """Half the particle diameter, in pixels."""
        return 0.5 * self.diameter / self.pixel_size


def find_sets(spec: str, limit: int | None = None) -> list[LabelledSet]:
    """Read the set, or the suite of sets, that the user names.

    Parameters
    ----------
    spec : str
        ``FOLDER``, ``FOLDER:DIAMETER`` or ``FOLDER:DIAMETER:PIXEL_SIZE``, in Å. A set has
        ``particles.star`` and ``micrographs/``; a suite has such folders.
    limit : int, optional
        Only the first micrographs of each set.
    """
    parts = _SPEC.fullmatch(spec)
    assert parts is not None  # every text fits, a folder being any text
    folder = Path(parts["folder"])
    if (folder / "particles.star").is_file():
        folders = [folder]
    else:
        folders = sorted(p.parent for p in folder.glob("*/particles.star"))
    if not folders:
        raise InputError("holds no particles.star, nor does any folder in it", "", folder)
    given = [None if parts[k] is None else float(parts[k]) for k in ("diameter", "pixel_size")]
    group = folder.resolve().name
    return [read_set(f, group, given[0], given[1], limit) for f in folders]


def read_set(
    folder: Path,
    group: str,
    diameter: float | None = None,
    pixel_size: float | None = None,
    limit: int | None = None,
) -> LabelledSet:
    """Read one set.

    Parameters
    ----------
    folder : Path
        Holds ``particles.star`` and ``micrographs/*.mrc``; a simulated set also tells its
        diameter, pixel size, contaminants, and micrographs without particles.
    group : str
        What the set belongs to.
    diameter, pixel_size : float, optional
        Å; default what ``simulation.yaml`` and then the micrographs' header say.
    limit : int, optional
        Only the first micrographs.
    """
    source = read_truth_source(folder)
    truth = as_truth(source, join(source.files))
    paths = {stem(p.name): p for p in sorted((folder / "micrographs").glob("*.mrc"))}
    files = {name: p for name, p in paths.items() if name in set(truth.micrographs)}
    files = dict(list(files.items())[:limit])
    if len(files) < 2:
        raise InputError(
            "one micrograph gives the exemplars, so at least two are needed", "", folder
        )
    shapes = {}
    for name, path in files.items():
        with mrcfile.open(path, header_only=True) as mrc:
            shapes[name] = (int(mrc.header.ny), int(mrc.header.nx))
            in_header = float(mrc.voxel_size.x)
    diameter = diameter or source.diameter
    pixel_size = pixel_size or source.pixel_size or in_header
    if not diameter or not pixel_size:
        raise InputError("diameter or pixel size is not known", "give FOLDER:Å:Å_per_px", folder)
    name = folder.resolve().name
    return LabelledSet(group, name, files, shapes, truth.only(files), diameter, pixel_size)
