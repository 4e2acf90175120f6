"""Groups of crops that look alike: a class view without any alignment.

A crop is described by what the detector knows of the place: the coarse latent at the pick,
averaged over the image and its mirror image, so that views which differ by a turn come
nearer to each other. K-means groups these.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from cryomae.atomic import atomic_path
from cryomae.errors import FormatError, InputError
from cryomae.micrograph import Micrograph
from cryomae.sizes import CELL

Embed = Callable[[Micrograph, NDArray[np.float64]], NDArray[np.float32]]
"""Latents, shape (n, d), of places (n, 2) in pixels of a micrograph."""

FILE = "groups.csv"
COLUMNS = ("micrograph", "x", "y", "score", "group", "group_size")

_SAMPLE = 20_000  # crops that the groups are found from; the others join the nearest
_STARTS = 8


def make_embedder(model: str, device: str, diameter: float, places: float) -> Embed:
    """Describe crops by the latents of a model.

    Parameters
    ----------
    model, device : str
        As `cryomae.pick.load_detector` takes them.
    diameter : float
        Particle diameter in Å.
    places : float
        Crops of a micrograph, on average. If they are few, the model sees a window round each;
        else the windows that cover the micrograph, as in picking, which then are fewer. The
        first micrograph decides for all, so that their crops can be compared.
    """
    from cryomae.pick import load_detector
    from cryomae.pick.windows import count_windows
    from cryomae.prepare import prepare
    from cryomae.train.places import latents_at

    detector = load_detector(model, device)
    on_grid: bool | None = None

    def describe(image: NDArray[np.float32], xy: NDArray[np.float64]) -> NDArray[np.float32]:
        if not on_grid:
            return latents_at(detector, image, xy)
        _, latents = detector.logits_and_latents(image)
        cell = (xy[:, ::-1].T - (CELL - 1) / 2) / CELL
        found = [map_coordinates(part, cell, order=1, mode="nearest") for part in latents]
        return np.stack(found, axis=1).astype(np.float32)

    def embed(micrograph: Micrograph, xy: NDArray[np.float64]) -> NDArray[np.float32]:
        nonlocal on_grid
        working = prepare(micrograph.pixels, micrograph.pixel_size, diameter)
        h, w = working.image.shape
        if on_grid is None:
            window = detector.model.config.window
            on_grid = places > count_windows((h, w), window)
        inside = np.clip(xy / working.spacing[::-1], 0, (w - 1, h - 1))
        mirrored = np.ascontiguousarray(working.image.T)
        seen = describe(working.image, inside) + describe(mirrored, inside[:, ::-1])
        return seen / np.float32(2)

    return embed


def find_groups(
    latents: NDArray[np.float32], scores: NDArray[np.float64], count: int, seed: int
) -> NDArray[np.int64]:
    """Group crops; group 1 has the highest mean score, of equal ones the largest is first.

    Parameters
    ----------
    latents : ndarray, shape (n, d)
    scores : ndarray, shape (n,)
    count : int
        Groups, at most n of which are made.
    seed : int

    Returns
    -------
    ndarray of int, shape (n,)
        Numbers from 1.
    """
    from sklearn.cluster import KMeans

    sample = np.random.default_rng(seed).permutation(len(latents))[:_SAMPLE]
    different = len(np.unique(latents[sample], axis=0))
    means = KMeans(min(count, different), n_init=_STARTS, random_state=seed)
    means.fit(latents[np.sort(sample)])
    found = means.predict(latents)
    order = sorted(
        np.unique(found),
        key=lambda g: (-round(float(scores[found == g].mean()), 6), -int((found == g).sum())),
    )
    number = {group: i for i, group in enumerate(order, start=1)}
    return np.array([number[group] for group in found], dtype=np.int64)


def write_groups(path: Path, picks: pd.DataFrame, groups: NDArray[np.int64]) -> None:
    """Write the group of every pick; 0 where no box could be cut."""
    table = picks[["micrograph", "x", "y", "score"]].assign(group=groups)
    sizes = table.groupby("group")["group"].transform("size")
    with atomic_path(path) as temporary:
        table.assign(group_size=sizes).to_csv(temporary, index=False)


def read_groups(path: Path, picks: pd.DataFrame, drop: tuple[int, ...]) -> NDArray[np.int64]:
    """Groups of an earlier run, if they are of exactly these picks.

    Parameters
    ----------
    path : Path
        File that `write_groups` wrote.
    picks : DataFrame, n rows
        Picks of now.
    drop : tuple of int
        Groups that must be there.

    Returns
    -------
    ndarray of int, shape (n,)

    Raises
    ------
    InputError
        If there is no such file, the picks are not those of the file, or a group is missing.
    FormatError
        If the file is damaged.
    """
    first = "run the same command without --drop-groups first, and look at groups.png"
    if not path.is_file():
        raise InputError("there are no groups yet to drop some of", first, path)
    try:
        table = pd.read_csv(path, dtype={"micrograph": str}, keep_default_na=False)
        before = table[["micrograph", "x", "y"]]
        groups = table["group"].to_numpy(dtype=np.int64)
    except (ValueError, KeyError) as error:
        raise FormatError("is not a table of groups", first, path) from error
    same = len(before) == len(picks) and bool(
        (before.to_numpy(dtype=object) == picks[list(before)].to_numpy(dtype=object)).all()
    )
    if not same:
        raise InputError(
            f"these groups are of other picks ({len(before):,} then, {len(picks):,} now)",
            "use the picks and options of that run, or run without --drop-groups to group anew",
            path,
        )
    unknown = sorted(set(drop) - set(groups[groups > 0].tolist()))
    if unknown:
        raise InputError(
            f"there is no group {', '.join(map(str, unknown))}",
            f"groups are numbered from 1 to {groups.max()}: look at groups.png",
            path,
        )
    if set(groups[groups > 0].tolist()) <= set(drop):
        raise InputError("all groups would be dropped", "keep at least one", path)
    return groups
