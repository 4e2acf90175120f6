"""Exemplars of a user: found in their micrographs, and checked before anything is learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from cryomae.errors import InputError
from cryomae.evaluate.coordinates import join
from cryomae.formats.collect import read_all, read_coordinates
from cryomae.io import find_micrographs, read_micrograph
from cryomae.micrograph import Micrograph
from cryomae.names import stem
from cryomae.pick.peaks import inside
from cryomae.prepare import WORKING_DIAMETER, WorkingImage, prepare
from cryomae.sizes import STRIDE
from cryomae.transforms import SQUARES, Transform

FEWEST = 3
"""Exemplars without which nothing can be learned: ours; about 15 are best."""

_STANDS_OUT, _BETTER = 0.8, 0.25  # places after a change, and more than as given: ours
_FACTORS = (2.0, 4.0, 0.5, 0.25)


@dataclass(frozen=True)
class Exemplars:
    """Exemplars of one micrograph.

    Attributes
    ----------
    name : str
        Micrograph.
    path : Path
    working : WorkingImage
    pixel_size : float
        Å per pixel of the file.
    xy : ndarray, shape (m, 2)
        Particles: x, y in working pixels.
    negatives : ndarray, shape (k, 2)
        Places that are no particles, likewise.
    """

    name: str
    path: Path
    working: WorkingImage
    pixel_size: float
    xy: NDArray[np.float64]
    negatives: NDArray[np.float64]


def read_exemplars(
    positive: Path,
    inputs: Sequence[str],
    diameter: float,
    *,
    negative: Path | None = None,
    pixel_size: float | None = None,
) -> tuple[list[Exemplars], list[str]]:
    """Read exemplars and the micrographs that they lie in.

    Parameters
    ----------
    positive : Path
        Coordinates of particles, in pixels of the micrograph files.
    inputs : sequence of str
        Micrographs; those without exemplars are not read.
    diameter : float
        Of the particle in Å.
    negative : Path, optional
        Coordinates of places that are no particles.
    pixel_size : float, optional
        Å per pixel, overriding list and header.

    Returns
    -------
    exemplars : list of Exemplars
        A micrograph each; whole particles on usable ground only.
    remarks : list of str
        For the user.

    Raises
    ------
    InputError
        If there are fewer than `FEWEST`, a micrograph is missing, or a place lies off it.
    MicrographError, FormatError
        If a file cannot be read.
    """
    refs = {stem(ref.name): ref for ref in find_micrographs(inputs)[0]}
    good = _places(positive, set(refs))
    bad = _places(negative, set(refs)) if negative is not None else {}
    if sum(map(len, good.values())) < FEWEST:
        raise InputError(
            f"holds {sum(map(len, good.values()))} exemplars, {FEWEST} are the fewest",
            "click some more: about 15 are best",
            positive,
        )
    missing = sorted((good.keys() | bad.keys()) - refs.keys())
    if missing:
        raise InputError(
            f"names micrographs that were not given: {', '.join(missing[:3])}",
            "name them, or the folder that they are in",
            positive if missing[0] in good else negative,
        )
    found, dropped = [], 0
    none = np.zeros((0, 2))
    for name in sorted(good.keys() | bad.keys()):
        micrograph = read_micrograph(refs[name], pixel_size)
        for file, places in ((positive, good), (negative, bad)):
            _check_inside(file, micrograph, places.get(name, none))
        working = prepare(micrograph.pixels, micrograph.pixel_size, diameter)
        xy, wrong = (p.get(name, none) / working.spacing[::-1] for p in (good, bad))
        whole = inside(xy, working.valid, WORKING_DIAMETER / 2)
        dropped += int((~whole).sum())
        xy, wrong = xy[whole], wrong[inside(wrong, working.valid, 1)]
        _check_apart(negative, xy, wrong)
        part = Exemplars(name, refs[name].path, working, micrograph.pixel_size, xy, wrong)
        found.append(part)
    left = sum(len(part.xy) for part in found)
    if left < FEWEST:
        raise InputError(
            f"of its exemplars {dropped} lie within half a diameter of the edge or of carbon and "
            f"ice, and {left} are left; {FEWEST} are the fewest",
            "click particles that lie whole on usable ice, and check --diameter",
            positive,
        )
    remarks = []
    if dropped:
        remarks.append(
            f"{dropped} of {dropped + left} exemplars lie within half a diameter of the edge or "
            "of carbon and ice, and are not used"
        )
    return found, remarks


def check_places(
    exemplars: Sequence[Exemplars], logits: Sequence[NDArray[np.float32]]
) -> list[str]:
    """See whether exemplars lie on particles as given, or would if mirrored or scaled.

    A place stands out by the share of the micrograph's usable ground that scores less: on
    average a half for places at random. A change is suspected when places then stand out by
    more than random ones would even in the best of all changes tried.

    Parameters
    ----------
    exemplars : sequence of Exemplars
    logits : sequence of ndarray
        Map of each working image, see `cryomae.pick.windows.score_logits`.

    Returns
    -------
    list of str
        Remarks for the user.

    Raises
    ------
    InputError
        If a change explains the exemplars much better.
    """
    ranks = [_ranks(part, scores) for part, scores in zip(exemplars, logits, strict=True)]

    def stands_out(change: Transform) -> float:
        shares = []
        for part, rank in zip(exemplars, ranks, strict=True):
            h, w = part.working.image.shape
            xy = change.apply(part.xy, np.array([w, h], dtype=np.float64))
            if ((xy < 0) | (xy > (w - 1, h - 1))).any():
                return 0.0
            column, row = np.clip(np.rint((xy - 0.5) / STRIDE).astype(int).T, 0, None)
            shares.append(rank[np.minimum(row, len(rank) - 1),
                               np.minimum(column, rank.shape[1] - 1)])  # fmt: skip
        return float(np.concatenate(shares).mean())

    changes = [Transform(1.0, *square) for square in SQUARES[1:]]
    changes += [Transform(factor) for factor in _FACTORS]
    given = stands_out(Transform())
    best = max(changes, key=stands_out)
    after = stands_out(best)
    count = sum(len(part.xy) for part in exemplars)
    chance = 0.5 + 3.5 * 0.29 / np.sqrt(count)
    if after > max(_STANDS_OUT, chance) and after - given > _BETTER:
        raise InputError(
            f"the exemplars look {best.words}: as given they score more than "
            f"{100 * given:.0f} % of the micrograph, after {best.formula} more than "
            f"{100 * after:.0f} %",
            "programs differ in where the first row lies and in binning: correct the coordinates",
        )
    if given < 0.6:
        return [
            "the exemplars hardly stand out from the rest of the micrograph: are they centred on "
            "particles, and is --diameter right?"
        ]
    return []


def odd_ones(latents: NDArray[np.floating]) -> list[int]:
    """Exemplars that look unlike the others, such as those of another particle.

    Those whose mean cosine with the others lies four robust standard deviations below the
    median of all, and below half of it (both ours).

    Parameters
    ----------
    latents : ndarray, shape (m, d)

    Returns
    -------
    list of int
        Indices; none of fewer than six exemplars.
    """
    if len(latents) < 6:
        return []
    z = latents / np.maximum(np.linalg.norm(latents, axis=1, keepdims=True), 1e-9)
    alike = ((z @ z.T).sum(axis=1) - 1) / (len(z) - 1)
    middle = float(np.median(alike))
    spread = 1.4826 * float(np.median(np.abs(alike - middle)))
    return [int(i) for i in np.flatnonzero((alike < middle - 4 * spread) & (alike < middle / 2))]


def _places(path: Path | None, known: set[str]) -> dict[str, NDArray[np.float64]]:
    """Coordinates (n, 2) by stem of the micrograph."""
    if path is None:
        return {}
    files = read_all(path)
    if len(files) == len(known) == 1 and not files[0].named:  # what else could it be
        files = [read_coordinates(path, next(iter(known)))] if path.is_file() else files
    table: pd.DataFrame = join(files, known)
    if not np.isfinite(table[["x", "y"]].to_numpy(dtype=np.float64)).all():
        raise InputError("holds coordinates that are no numbers", "correct these rows", path)
    groups = table.groupby("micrograph")
    return {str(name): part[["x", "y"]].to_numpy(dtype=np.float64) for name, part in groups}


def _check_inside(file: Path | None, micrograph: Micrograph, xy: NDArray[np.float64]) -> None:
    rows, columns = micrograph.shape
    off = ((xy < -0.5) | (xy > (columns - 0.5, rows - 0.5))).any(axis=1)
    if not off.any():
        return
    fits = [f for f in (2, 4) if (xy / f <= (columns, rows)).all() and (xy >= 0).all()]
    hint = f"; they would fit if divided by {fits[0]}" if fits else ""
    raise InputError(
        f"{off.sum()} of {len(xy)} coordinates lie off {micrograph.path.name}, which has "
        f"{columns} × {rows} pixels{hint}",
        "give the micrograph that they were picked in, in its binning",
        file,
    )


def _check_apart(
    file: Path | None, xy: NDArray[np.float64], negatives: NDArray[np.float64]
) -> None:
    if not len(xy) or not len(negatives):
        return
    away = np.linalg.norm(xy[:, None] - negatives[None], axis=2)
    if away.min() < WORKING_DIAMETER / 2:
        raise InputError(
            "a place is given as an exemplar and, within half a diameter, as a negative",
            "take one of the two out",
            file,
        )


def _ranks(part: Exemplars, logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """For each place of a map, the share of usable places that score less; 0 where unusable."""
    usable = part.working.valid[::STRIDE, ::STRIDE]
    h, w = usable.shape
    near = ndimage.maximum_filter(logits[:h, :w], 2 * (WORKING_DIAMETER // 4 // STRIDE) + 1)
    every = np.sort(near[usable])
    share = np.searchsorted(every, near) / max(len(every), 1)
    return np.where(usable, share, 0.0)
