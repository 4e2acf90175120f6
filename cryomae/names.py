"""Which names mean the same micrograph."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from itertools import takewhile
from pathlib import PurePosixPath

_PACKED = {".gz", ".bz2"}
_IMAGES = {".mrc", ".mrcs", ".tif", ".tiff", ".png", ".jpg", ".star"}
_ENDING = re.compile(r"_[A-Za-z]\w*")


def stem(name: str) -> str:
    """File name without folder and image ending; dots inside the name stay.

    Examples
    --------
    >>> stem("MotionCorr/job002/mics/a.1.mrc"), stem("a.1.mrc.gz"), stem("a.1")
    ('a.1', 'a.1', 'a.1')
    """
    path = PurePosixPath(name)
    if path.suffix.lower() in _PACKED:
        path = path.with_suffix("")
    return path.stem if path.suffix.lower() in _IMAGES else path.name


def find_clash(names: Iterable[str]) -> tuple[str, str] | None:
    """Two different names with one stem, if there are such; they cannot be told apart."""
    seen: dict[str, str] = {}
    for name in names:
        if seen.setdefault(stem(name), name) != name:
            return seen[stem(name)], name
    return None


def settle(name: str, known: Collection[str]) -> str:
    """Stem of the micrograph that a coordinate file belongs to.

    Programs name such a file after the micrograph and add a word: ``_autopick``,
    ``_manualpick``, ``_cryomae``.

    Parameters
    ----------
    name : str
        Stem of the coordinate file.
    known : collection of str
        Stems of the micrographs.

    Returns
    -------
    str
        The longest known stem that ``name`` is, or is but for such a word; else ``name``.

    Examples
    --------
    >>> settle("mic_10_autopick", ["mic_1", "mic_10"]), settle("mic_10", ["mic_1"])
    ('mic_10', 'mic_10')
    """
    if name in known:
        return name
    shorter = [s for s in known if name.startswith(s) and _ENDING.fullmatch(name[len(s) :])]
    return max(shorter, key=len, default=name)


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Of some names, those that share most folders with ``name``, counted from the file.

    Of names that share as many, those win that have no other folders.

    Examples
    --------
    >>> nearest("boxes/day1/a.box", ["MotionCorr/day1/a.mrc", "MotionCorr/day2/a.mrc"])
    ['MotionCorr/day1/a.mrc']
    >>> nearest("boxes/a.box", ["day1/a.mrc", "a.mrc"])
    ['a.mrc']
    """

    def likeness(other: str) -> tuple[int, bool]:
        own = PurePosixPath(other).parent.parts
        pairs = zip(reversed(folders), reversed(own), strict=False)
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        return shared, shared == len(own)

    folders = PurePosixPath(name).parent.parts
    found = {other: likeness(other) for other in known}
    return [other for other, like in found.items() if like == max(found.values())]
