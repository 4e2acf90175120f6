"""Where the files of a run lie.

Folders follow RELION: a micrograph keeps its own folders below the output, less a
leading ``JobType/jobNNN/``, so ``MotionCorr/job002/mics/a.mrc`` becomes ``mics/a``.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

SUFFIX = "cryomae"
_JOB = re.compile(r"^.*?/job\d{3}[^/]*/")
_PACKED = {".gz", ".bz2", ".xz"}


class Layout:
    """Output paths of every micrograph of a run; no two micrographs share one.

    Parameters
    ----------
    output_dir : Path
        Folder of the run.
    names : sequence of str
        Names of its micrographs.
    common : str, optional
        Folder that an earlier run into ``output_dir`` filed absolute names below.
    """

    def __init__(self, output_dir: Path, names: Sequence[str], common: str | None = None) -> None:
        self.root = output_dir
        self.common = common or common_folder(names)
        self._stems = output_stems(names, self.common)
        self.config = output_dir / "config.yaml"
        self.log = output_dir / "run.log"
        self.list = output_dir / "autopick.star"
        self.together = output_dir / "all_picks.star"
        self.table = output_dir / "summary.csv"
        self.html = output_dir / "summary.html"
        self.diameter_chart = output_dir / "diameter.png"
        self.picks_folder = output_dir / "picks"

        self.ledger = output_dir / "ledger"

    def shard_log(self, number: int, of: int) -> Path:
        """Give the log of one of several parts, which may be picked at the same time."""
        return self.root / "logs" / f"shard_{number}_of_{of}.log"

    @property
    def names(self) -> set[str]:
        """Names of the micrographs."""
        return set(self._stems)

    def stem(self, name: str) -> PurePosixPath:
        """Give the folder and stem, below a folder of the output, of a micrograph's files."""
        return self._stems[name]

    def candidates(self, name: str) -> Path:
        """Give the file of all candidates of a micrograph."""
        return self.of(name).candidates

    def picks(self, name: str) -> Path:
        """Give the file of the final picks of a micrograph."""
        return self.of(name).picks

    def of(self, name: str) -> Files:
        """Give the files of a micrograph."""
        return Files(self.root, self._stems[name])


@dataclass(frozen=True)
class Files:
    """Where the files of one micrograph lie.

    Attributes
    ----------
    root : Path
        Folder of the run.
    stem : PurePosixPath
        Folder and stem below each folder of the run.
    """

    root: Path
    stem: PurePosixPath

    @property
    def candidates(self) -> Path:
        """File of all candidates."""
        return self._path("candidates", f"_{SUFFIX}.star")

    @property
    def picks(self) -> Path:
        """File of the final picks."""
        return self._path("picks", f"_{SUFFIX}.star")

    @property
    def preview(self) -> Path:
        """Picture of the micrograph with its picks."""
        return self._path("previews", ".png")

    @property
    def thumbnail(self) -> Path:
        """Small picture from which the preview is drawn."""
        return self._path("previews/.thumbs", ".png")

    def _path(self, kind: str, ending: str) -> Path:
        return self.root / kind / self.stem.parent / f"{self.stem.name}{ending}"


def common_folder(names: Sequence[str]) -> str | None:
    """Folder that all absolute names share; None where there are none.

    A run writes it down, so that files stay where they are when micrographs are added.
    """
    paths = [_tidy(name) for name in names]
    folders = [p.parent for p in paths if p.is_absolute() and not _JOB.match(str(p))]
    return os.path.commonpath(folders) if folders else None


def output_stems(names: Sequence[str], common: str | None = None) -> dict[str, PurePosixPath]:
    """Folder and stem under which the outputs of each micrograph are filed.

    Parameters
    ----------
    names : sequence of str
        Names of micrographs, relative or absolute.
    common : str, optional
        Folder to file absolute names below; default the one they share.

    Returns
    -------
    dict of str to PurePosixPath
        A relative path for every name, all different.
    """
    unique = list(dict.fromkeys(names))
    paths = {name: _tidy(name) for name in unique}
    above = PurePosixPath(common or common_folder(unique) or "/")

    def short(name: str) -> PurePosixPath:
        path = paths[name]
        if _JOB.match(str(path)):
            return _without_suffix(PurePosixPath(_JOB.sub("", str(path), count=1)))
        if path.is_absolute() and not path.is_relative_to(above):
            return long(name)
        return _without_suffix(path.relative_to(above) if path.is_absolute() else path)

    def long(name: str) -> PurePosixPath:
        path = paths[name]
        return _without_suffix(path.relative_to("/") if path.is_absolute() else path)

    def longest(name: str) -> PurePosixPath:
        return long(name).with_name(re.sub(r"\.(?=\w+$)", "_", PurePosixPath(name).name))

    stems = {name: short(name) for name in unique}
    for longer in (long, longest):
        shared = _shared(stems)
        stems = {name: longer(name) if name in shared else stem for name, stem in stems.items()}
    for number, name in enumerate(sorted(_shared(stems)), start=1):
        stems[name] = stems[name].with_name(f"{stems[name].name}_{number}")
    return stems


def _shared(stems: dict[str, PurePosixPath]) -> set[str]:
    counts = Counter(stems.values())
    return {name for name, stem in stems.items() if counts[stem] > 1}


def _tidy(name: str) -> PurePosixPath:
    path = os.path.normpath(name)
    if path.startswith(".."):
        path = os.path.abspath(path)
    return PurePosixPath(path)


def _without_suffix(path: PurePosixPath) -> PurePosixPath:
    if path.suffix.lower() in _PACKED:
        path = path.with_suffix("")
    return path.with_suffix("")
