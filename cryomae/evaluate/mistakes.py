"""Finding coordinates that are mirrored, turned, scaled or shifted against the truth.

Each suspected mistake is undone and the picks are matched again. What counts is how many
more particles they reach than the same picks do when pushed aside by a diameter or two:
that difference is nil for picks at random, and for picks that only crowd where particles
crowd, so that such picks are never called mirrored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cryomae.evaluate.judge import Judged
from cryomae.transforms import SQUARES, Transform

_MICROGRAPHS, _PICKS = 12, 400  # enough to tell, and quick
_FACTORS = (1.0, 2.0, 4.0, 0.5, 0.25)
_GOOD = 0.3  # share of the picks beyond chance above which nothing is suspected
_SIGMA = 8.0  # hundreds of transforms are tried, and picks are not quite independent
_LEAST = 8  # matches beyond chance
_SHARE = 0.15  # of the picks or of the particles, whichever are fewer, likewise
_TIMES = 2.0  # as many matches beyond chance as the picks have as given


@dataclass(frozen=True)
class Mistake:
    """Coordinates that match much better after a change.

    Attributes
    ----------
    transform : Transform
        The change.
    as_given, changed : int
        Particles reached by the picks looked at, before and after it.
    picks : int
        Picks looked at.
    """

    transform: Transform
    as_given: int
    changed: int
    picks: int

    @property
    def cause(self) -> str:
        """What seems wrong."""
        return (
            f"the coordinates of the picks look {self.transform.words}: as given, "
            f"{self.as_given:,} of {self.picks:,} picks looked at reach a particle; after "
            f"{self.transform.formula}, {self.changed:,} would"
        )

    @property
    def remedy(self) -> str:
        """What to do."""
        t = self.transform
        if not t.turns and not any(t.shift):
            return f"if so, evaluate again with --scale {t.scale:.5g}"
        if not t.turns:
            return (
                "a corner of the box may have been taken for its centre: correct the picks, "
                "then evaluate again"
            )
        return (
            "programs differ in where the first row lies and in the order of x and y: correct "
            "the picks or the truth, then evaluate again"
        )


def find_mistake(
    judged: Judged, radius: float, shapes: Mapping[str, tuple[int, int]] | None = None
) -> Mistake | None:
    """Say how the picks' coordinates seem wrong, if they do.

    Parameters
    ----------
    judged : Judged
        Picks and true particles.
    radius : float
        Largest distance of a pick from its particle, in pixels.
    shapes : mapping of str to (int, int), optional
        Rows and columns of micrographs, by stem; else the reach of the true particles
        stands for all.

    Returns
    -------
    Mistake or None
        None when the picks are fine as given, or when no change makes them so.
    """
    scene = _Scene.of(judged, radius, shapes or {})
    if scene is None:
        return None
    plain = Transform()
    given, chance = scene.reached(plain), scene.chance(plain)
    beyond = given - chance
    if beyond >= _GOOD * scene.possible:
        return None

    def gain(transform: Transform) -> float:
        """Matches beyond chance of a change that explains the picks, else -1."""
        hits = scene.reached(transform)
        if hits <= given:
            return -1.0
        expected = scene.chance(transform)
        extra = hits - expected
        enough = max(_LEAST, _SHARE * scene.possible, _TIMES * beyond)
        return extra if extra >= enough and extra >= _SIGMA * np.sqrt(expected + 1) else -1.0

    for group in (_plain_changes(), scene.mirrors(), scene.shifts(), scene.scales()):
        best = _best(group, gain, scene.reached)
        if best is not None:
            refined = scene.refine(best)
            return Mistake(refined, given, scene.reached(refined), len(scene.xy))
    return None


def _plain_changes() -> Iterator[Transform]:
    for factor in _FACTORS:
        for swap, mirror_x, mirror_y in SQUARES:
            if factor != 1 or swap or mirror_x or mirror_y:
                yield Transform(factor, swap, mirror_x, mirror_y)


def _best(
    transforms: Iterable[Transform],
    gain: Callable[[Transform], float],
    reached: Callable[[Transform], int],
) -> Transform | None:
    """Change with the largest gain among the three that reach most particles."""
    likely = sorted(transforms, key=reached, reverse=True)[:3]
    best = max(likely, key=gain, default=None)
    return best if best is not None and gain(best) > 0 else None


@dataclass(frozen=True)
class _Scene:
    """Picks and particles of some micrographs, laid out side by side for one fast search.

    Attributes
    ----------
    xy, size, place : ndarray, shape (n, 2)
        Picks; width and height of each one's micrograph; its offset in the layout.
    truth : ndarray, shape (m, 2)
        True particles.
    tree : cKDTree
        The same in the layout.
    radius : float
    """

    xy: NDArray[np.float64]
    size: NDArray[np.float64]
    place: NDArray[np.float64]
    truth: NDArray[np.float64]
    tree: cKDTree
    radius: float

    @classmethod
    def of(
        cls, judged: Judged, radius: float, shapes: Mapping[str, tuple[int, int]]
    ) -> _Scene | None:
        if not len(judged.picks) or not len(judged.particles):
            return None
        picks = dict(iter(judged.picks.groupby("micrograph")))
        counts = judged.particles["micrograph"].value_counts()
        names = [str(n) for n in counts.index if n in picks][:_MICROGRAPHS]
        if not names:
            return None
        every = judged.particles[["x", "y"]].to_numpy(dtype=np.float64)
        reach = every.max(axis=0) + np.maximum(every.min(axis=0), 0) + 1
        step = 10 * float(reach.max()) + 1e6
        xy, size, place, truth, laid_out = [], [], [], [], []
        for number, name in enumerate(names):
            own = picks[name][["x", "y"]].to_numpy(dtype=np.float64)[:_PICKS]
            known = shapes.get(name)
            true = every[(judged.particles["micrograph"] == name).to_numpy()]
            offset = np.array([number * step, 0.0])
            xy.append(own)
            size.append(np.tile(reach if known is None else known[::-1], (len(own), 1)))
            place.append(np.tile(offset, (len(own), 1)))
            truth.append(true)
            laid_out.append(true + offset)
        return cls(
            np.concatenate(xy),
            np.concatenate(size),
            np.concatenate(place),
            np.concatenate(truth),
            cKDTree(np.concatenate(laid_out)),
            radius,
        )

    @property
    def possible(self) -> int:
        """Most particles that the picks could reach."""
        return min(len(self.xy), self.tree.n)

    def reached(self, transform: Transform) -> int:
        """Particles that are the nearest of a pick within the radius."""
        return self._count(transform.apply(self.xy, self.size))

    def chance(self, transform: Transform) -> float:
        """Particles reached on average when the changed picks are pushed aside."""
        moved = transform.apply(self.xy, self.size)
        angles = np.arange(8) * (np.pi / 4)
        pushes = [
            length * self.radius * np.array([np.cos(a), np.sin(a)])
            for length in (3.0, 4.5)
            for a in angles
        ]
        return float(np.mean([self._count((moved + push) % self.size) for push in pushes]))

    def mirrors(self) -> Iterator[Transform]:
        """Mirrors about another middle, for micrographs whose size is only guessed."""
        steps = np.arange(-6, 7) * self.radius
        for swap, mirror_x, mirror_y in SQUARES:
            for x in steps if mirror_x else (0.0,):
                for y in steps if mirror_y else (0.0,):
                    if x or y:
                        yield Transform(1.0, swap, mirror_x, mirror_y, (float(x), float(y)))

    def shifts(self) -> Iterator[Transform]:
        """Shifts by up to a box of three radii, in steps of half a radius."""
        steps = np.arange(-6, 7) * (self.radius / 2)
        for x in steps:
            for y in steps:
                if x or y:
                    yield Transform(shift=(float(x), float(y)))

    def scales(self) -> Iterator[Transform]:
        """Factors about the one that stretches the picks' reach to the particles'."""
        want = np.quantile(self.truth, 0.99, axis=0)
        have = np.quantile(self.xy, 0.99, axis=0)
        if (have <= 0).any() or (want <= 0).any():
            return
        for swap, mirror_x, mirror_y in SQUARES:
            ratio = want / (have[::-1] if swap else have)
            if abs(np.log(ratio[0] / ratio[1])) > 0.2:
                continue
            middle, step = float(np.sqrt(ratio.prod())), self.radius / float(want.max())
            for factor in middle * np.exp(np.arange(-0.1, 0.1, step)):
                yield Transform(float(factor), swap, mirror_x, mirror_y)

    def _count(self, xy: NDArray[np.float64]) -> int:
        _, nearest = self.tree.query(xy + self.place, distance_upper_bound=self.radius)
        return len(np.unique(nearest[nearest < self.tree.n]))

    def refine(self, transform: Transform) -> Transform:
        """Fit factor and shift of a change found on a grid to the particles reached."""
        moved = transform.apply(self.xy, self.size)
        near, nearest = self.tree.query(moved + self.place, distance_upper_bound=self.radius)
        use = np.isfinite(near)
        moved, target, size = moved[use], self.truth[nearest[use]], self.size[use]
        if any(transform.shift):
            more = np.median(target - moved, axis=0)
            x, y = transform.shift
            return replace(transform, shift=(x + float(more[0]), y + float(more[1])))
        if transform.scale in _FACTORS:
            return transform
        unmirror = replace(transform, scale=1.0, swap=False)
        target, moved = unmirror.apply(target, size), unmirror.apply(moved, size)
        better = float((target * moved).sum() / (moved * moved).sum())
        return replace(transform, scale=transform.scale * better)
