"""The picks of a picker at several thresholds, and what truth itself is as a picker."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from _bench.poses import CUT
from cryomae.evaluate.truth import Truth
from cryomae.picks import Picks

OWN = "own"


@dataclass(frozen=True)
class Point:
    """What a picker takes at one threshold.

    Attributes
    ----------
    label : str
        ``own``, or ``recall 0.70``.
    picks : Picks
    taken : ndarray, shape (n,)
        Particle of each pick (`poses.match`).
    particles : int
        True particles in all.
    """

    label: str
    picks: Picks
    taken: NDArray[np.intp]
    particles: int

    @property
    def right(self) -> int:
        """Picks that are particles."""
        return int((self.taken >= 0).sum())

    @property
    def precision(self) -> float:
        """Share of the picks that are right; those on cut particles do not count."""
        counted = int((self.taken != CUT).sum())
        return self.right / counted if counted else float("nan")

    @property
    def recall(self) -> float:
        """Share of the particles that are found."""
        return self.right / self.particles


def at_recalls(
    picks: Picks, taken: NDArray[np.intp], particles: int, recalls: Sequence[float]
) -> list[Point]:
    """Highest thresholds at which so many particles are found; unreached ones are left out."""
    points = []
    order = np.argsort(-picks.score, kind="stable")
    found = np.cumsum(taken[order] >= 0)
    for recall in recalls:
        enough = np.flatnonzero(found >= recall * particles)
        if len(enough):
            chosen = np.sort(np.flatnonzero(picks.score >= picks.score[order[enough[0]]]))
            part = Picks(picks.table.iloc[chosen].reset_index(drop=True))
            points.append(Point(f"recall {recall:g}", part, taken[chosen], particles))
    return points


def true_picks(truth: Truth, seed: int) -> Picks:
    """Every particle as a pick; scores are random, so that thresholds keep random ones."""
    rng = np.random.default_rng(seed)
    table = truth.particles[["micrograph", "x", "y"]].assign(
        score=rng.random(len(truth.particles)), diameter=float("nan"), provenance="truth"
    )
    return Picks(table.reset_index(drop=True))


def with_false(truth: Truth, shapes: dict[str, tuple[int, int]], radius: float, seed: int) -> Picks:
    """Truth, and as many wrong picks anywhere in each micrograph but on its particles.

    Parameters
    ----------
    truth : Truth
    shapes : dict of str to (int, int)
        Rows and columns of each micrograph.
    radius : float
        Least distance of a wrong pick from any particle, in pixels.
    seed : int
    """
    rng = np.random.default_rng(seed)
    parts = [true_picks(truth, seed)]
    for name, group in truth.particles.groupby("micrograph"):
        places = group[["x", "y"]].to_numpy(dtype=np.float64)
        trial = rng.random((50 * len(places), 2)) * np.array(shapes[str(name)][::-1])
        apart = np.linalg.norm(trial[:, None] - places[None], axis=2).min(axis=1)
        wrong = trial[apart > radius][: len(places)]
        parts.append(Picks.from_arrays(str(name), wrong, rng.random(len(wrong)), float("nan")))
    return Picks.concat(parts)
