"""Exemplars: the few particles a user would click on, drawn from the truth."""

from dataclasses import dataclass

import numpy as np

from _bench.sets import LabelledSet
from cryomae.picks import Picks


@dataclass(frozen=True)
class Exemplars:
    """What a picker may know of a set, from a micrograph that no picker is tested on.

    Attributes
    ----------
    micrograph : str
        Stem of the micrograph.
    picks : Picks
        The exemplars, score 1.
    expected : int
        Particles in that micrograph.
    """

    micrograph: str
    picks: Picks
    expected: int


def draw_exemplars(data: LabelledSet, seed: int, count: int) -> Exemplars:
    """Draw a micrograph, and particles of it, at random.

    Only particles that lie in the micrograph with all of their diameter are drawn, and only
    micrographs with ``count`` of those. If there is none, all such particles of the
    micrograph with most of them are taken.

    Parameters
    ----------
    data : LabelledSet
    seed : int
        Chooses both.
    count : int
        Number of exemplars.
    """
    rng = np.random.default_rng(seed)
    whole = {}
    for name, part in data.truth.particles.groupby("micrograph"):
        xy = part[["x", "y"]].to_numpy(dtype=np.float64)
        room = np.minimum(xy, np.array(data.shapes[str(name)][::-1]) - 1 - xy).min(axis=1)
        whole[str(name)] = xy[room >= data.radius]
    names = [name for name in data.files if len(whole.get(name, ())) >= count]
    if names:
        name = names[rng.integers(len(names))]
        xy = rng.permutation(whole[name])[:count]
    else:
        name = max(whole, key=lambda n: len(whole[n]))
        xy = whole[name]
    picks = Picks.from_arrays(name, xy, np.ones(len(xy)), data.diameter, "truth")
    return Exemplars(name, picks, int((data.truth.particles["micrograph"] == name).sum()))
