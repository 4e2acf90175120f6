"""The pose that each pick gets: its particle's if it is right, any other if it is wrong."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import starfile
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from cryomae.errors import InputError
from cryomae.evaluate.judge import kinds_at
from cryomae.evaluate.matching import assign_picks
from cryomae.evaluate.truth import EDGE, Truth
from cryomae.names import stem
from cryomae.picks import Picks

ANGLES = ["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]
DEFOCUS = ["rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle", "rlnPhaseShift"]
ORIGIN = ["rlnOriginXAngst", "rlnOriginYAngst"]
COORDINATES = ["rlnCoordinateX", "rlnCoordinateY"]
HALF = "rlnRandomSubset"
CUT = -2


@dataclass(frozen=True)
class PosedTruth:
    """What a simulated set knows of its particles and micrographs.

    Attributes
    ----------
    particles : DataFrame
        ``micrograph`` (stem), `COORDINATES` (pixels), `ANGLES` and `DEFOCUS`, as in RELION.
    micrographs : DataFrame
        `DEFOCUS` of each micrograph, by stem.
    """

    particles: pd.DataFrame
    micrographs: pd.DataFrame


def read_posed_truth(folder: Path, micrographs: Collection[str]) -> PosedTruth:
    """Read the truth of a set that ``cryomae simulate`` made.

    Parameters
    ----------
    folder : Path
    micrographs : collection of str
        Stems of those that count.
    """
    tables = []
    for name in ("particles", "micrographs"):
        path = folder / f"{name}.star"
        if not path.is_file():
            raise InputError("no such file", "give a folder of `cryomae simulate`", path)
        table = starfile.read(path, always_dict=True, parse_as_string=["rlnMicrographName"])[name]
        wanted = DEFOCUS + (COORDINATES + ANGLES if name == "particles" else [])
        missing = [column for column in wanted if column not in table]
        if missing:
            hint = "only simulated sets know poses: give a folder of `cryomae simulate`"
            raise InputError(f"lacks the column {missing[0]}", hint, path)
        table = table.assign(micrograph=table["rlnMicrographName"].map(stem))
        tables.append(table[table["micrograph"].isin(set(micrographs))].reset_index(drop=True))
    return PosedTruth(tables[0], tables[1].set_index("micrograph")[DEFOCUS])


def match(picks: Picks, truth: Truth, radius: float) -> NDArray[np.intp]:
    """Say which particle each pick takes.

    Parameters
    ----------
    picks : Picks
        Its micrographs are named by their stems.
    truth : Truth
    radius : float
        Largest distance of a pick from its particle, in pixels.

    Returns
    -------
    ndarray, intp, shape (n,)
        Row of the truth's particles; -1 for a pick that takes none, and `CUT` for one of
        these that lies on a particle cut by the border.
    """
    taken = np.full(len(picks), -1, dtype=np.intp)
    where = truth.particles.groupby("micrograph").indices
    places = truth.particles[["x", "y"]].to_numpy(dtype=np.float64)
    edges = truth.regions[truth.regions["kind"] == EDGE]
    for name, rows in picks.table.groupby("micrograph").indices.items():
        known = where.get(name, np.zeros(0, dtype=np.intp))
        found = assign_picks(picks.xy[rows], picks.score[rows], places[known], radius)
        cut = kinds_at(picks.xy[rows], edges[edges["micrograph"] == name]) != ""
        taken[rows] = np.where(cut, CUT, -1)
        taken[rows[found >= 0]] = known[found[found >= 0]]
    return taken


def pose(
    picks: Picks,
    taken: NDArray[np.intp],
    truth: PosedTruth,
    pixel_size: float,
    seed: int,
    *,
    recentre: bool = True,
    angle_error: float = 0.0,
) -> pd.DataFrame:
    """Columns that a refinement would have found for each pick.

    Parameters
    ----------
    picks : Picks
        Its micrographs are named by their stems.
    taken : ndarray, shape (n,)
        As `match` gives it.
    truth : PosedTruth
        Its particles in the order that ``taken`` counts.
    pixel_size : float
        Å.
    seed : int
        Of the poses of wrong picks and of the errors.
    recentre : bool
        Whether the origin makes up for the pick's distance from its particle.
    angle_error : float
        Standard deviation in degrees of a rotation about each of three axes.

    Returns
    -------
    DataFrame, n rows
        ``micrograph``, `COORDINATES` (whole pixels), `ANGLES`, `ORIGIN` (Å) and `DEFOCUS`.
    """
    rng = np.random.default_rng(seed)
    right = taken >= 0
    found = truth.particles.iloc[taken[right]]
    turns = Rotation.random(len(picks), rng=rng)
    errors = Rotation.from_rotvec(rng.normal(0, angle_error, (len(picks), 3)), degrees=True)
    angles = turns.as_euler("ZYZ", degrees=True)
    if right.any():
        true = Rotation.from_euler("ZYZ", found[ANGLES].to_numpy(dtype=float), degrees=True)
        angles[right] = (errors[right] * true).as_euler("ZYZ", degrees=True)
    names = picks.table["micrograph"]
    defocus = truth.micrographs.loc[names, DEFOCUS].to_numpy(dtype=np.float64)
    defocus[right] = found[DEFOCUS].to_numpy(dtype=np.float64)
    whole = np.floor(picks.xy + 0.5)
    origin = np.zeros((len(picks), 2))
    if recentre:
        # RELION adds the origin to bring the particle into the middle of its box.
        origin[right] = (whole[right] - found[COORDINATES].to_numpy(dtype=float)) * pixel_size
    values = np.hstack([whole, angles, origin, defocus])
    table = pd.DataFrame(values, columns=[*COORDINATES, *ANGLES, *ORIGIN, *DEFOCUS])
    table.insert(0, "micrograph", names.to_numpy(object))
    return table.astype(dict.fromkeys(COORDINATES, int))


def halves(count: int, seed: int) -> NDArray[np.int64]:
    """Half-set, 1 or 2, of each of ``count`` particles: at random, equal in size."""
    order = np.random.default_rng(seed).permutation(count)
    return 1 + order % 2
