"""A micrograph with exemplars, as few-shot training sees it, and how models are judged on it.

Judging looks at windows centred on the exemplars and at tiles of the micrograph, at most
`TILES` of them, so that its cost does not grow with the micrograph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from cryomae.pick.peaks import find_peaks, look_up, room, suppress
from cryomae.pick.pipeline import Detector, probability
from cryomae.prepare import WORKING_DIAMETER
from cryomae.sizes import COARSE, STRIDE
from cryomae.train.exemplars import Exemplars
from cryomae.train.pool import target_map

KNOWN = 0.5
"""Radius round an exemplar or a negative, in diameters, within which the truth is known: no
second particle is centred there."""

TILES = 64
"""Tiles of three diameters a side: about 600 square diameters, as a small micrograph has."""

_TILE = 3 * WORKING_DIAMETER  # windows reach half a diameter further, so that all is seen whole
_LOWEST = -6.0  # logit of a peak below which nobody would call it a candidate
_RIVALS = 100  # candidates that the scale of likeness is taken from


@dataclass(frozen=True)
class Scene:
    """A micrograph with exemplars, and what the teacher says of it.

    Attributes
    ----------
    image : ndarray, float32, shape (h, w)
        Working image, at least as large as a window.
    valid, roomy : ndarray, bool, shape (h, w)
        Usable pixels, and those where all of a particle would lie on such.
    xy, negatives : ndarray, shapes (m, 2) and (n, 2)
        Exemplars, and places that are no particles; working pixels.
    score : ndarray, float32, shape (h / STRIDE, w / STRIDE)
        Chance that a pixel is a particle's centre, where nothing is known.
    tiles : ndarray, shape (k, 2)
        Centres of the tiles that models are judged on.
    rivals : ndarray, shape (r, 2)
        Some of the teacher's candidates.
    maps : ndarray, float32, shape (4, h / STRIDE, w / STRIDE)
        Target; 1 where the truth is known; 1 where pixels are usable; chance that a particle
        is near.
    """

    image: NDArray[np.float32]
    valid: NDArray[np.bool_]
    roomy: NDArray[np.bool_]
    xy: NDArray[np.float64]
    negatives: NDArray[np.float64]
    score: NDArray[np.float32]
    tiles: NDArray[np.float64]
    rivals: NDArray[np.float64]
    maps: NDArray[np.float32] = field(repr=False)

    def showing(self, chosen: NDArray[np.bool_]) -> Scene:
        """The same with some of the exemplars only."""
        xy = self.xy[chosen]
        return replace(self, xy=xy, maps=_maps(self.score, self.valid, xy, self.negatives))


@dataclass(frozen=True)
class Judgement:
    """What a model says of some scenes, in logits.

    Attributes
    ----------
    exemplars : ndarray, shape (m,)
    candidates : ndarray, shape (n,)
        Peaks on all tiles.
    """

    exemplars: NDArray[np.float64]
    candidates: NDArray[np.float64]

    @property
    def promised(self) -> float:
        """Particles on the tiles, if scores are the probabilities that they claim to be."""
        return float(probability(self.candidates).sum())

    @property
    def share(self) -> NDArray[np.float64]:
        """Log of each exemplar's share of all candidates' scores.

        Exemplars are drawn from the particles: the likelihood that these of all candidates
        were drawn is the product of their shares. Shifting all scores up gains nothing.
        """
        return np.log(probability(self.exemplars) + 1e-9) - np.log(max(self.promised, 1e-3))

    def shifted(self, by: float) -> Judgement:
        """The same with a constant added to all logits."""
        return Judgement(self.exemplars + by, self.candidates + by)


def make_scene(
    detector: Detector, part: Exemplars, *, believe: float, seed: int, among: int
) -> Scene:
    """Score a micrograph with the teacher and lay out everything.

    Parameters
    ----------
    detector : Detector
        The teacher.
    part : Exemplars
    believe : float
        Factor of the teacher's scores.
    seed : int
        Draws tiles and rivals.
    among : int
        Scenes in all, which share `TILES`.
    """
    side = detector.model.config.window
    image, valid = part.working.image, part.working.valid
    short = [(0, max(0, side - n)) for n in image.shape]  # windows must fit
    image, valid = np.pad(image, short), np.pad(valid, short)
    teacher = detector.logits(image)
    score = (believe * probability(teacher)).astype(np.float32)
    rng = np.random.default_rng(seed)
    rows, columns = (np.arange(_TILE / 2, n + _TILE / 2, _TILE) for n in image.shape)
    tiles = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
    tiles = rng.permutation(tiles)[: max(1, TILES // among)]
    roomy = room(valid, WORKING_DIAMETER / 2)
    candidates, _ = _peaks(teacher, np.zeros(2), roomy)
    rivals = rng.permutation(candidates)[: max(1, _RIVALS // among)]
    maps = _maps(score, valid, part.xy, part.negatives)
    return Scene(image, valid, roomy, part.xy, part.negatives, score, tiles, rivals, maps)


def judge(detector: Detector, scenes: Sequence[Scene]) -> Judgement:
    """Look at exemplars and candidates with a model."""
    exemplars, candidates = [np.zeros(0)], [np.zeros(0)]
    side = detector.model.config.window
    middle, reach = side // STRIDE // 2, round(WORKING_DIAMETER / 4 / STRIDE)
    near = slice(middle - reach, middle + reach + 1)
    for scene in scenes:
        here = logits_at(detector, scene.image, scene.xy)[:, near, near]
        exemplars.append(here.max(axis=(1, 2)).astype(np.float64))
        maps = logits_at(detector, scene.image, scene.tiles)
        for centre, logits in zip(scene.tiles, maps, strict=True):
            xy, height = _peaks(logits, centre - side / 2, scene.roomy)
            candidates.append(height[(np.abs(xy - centre) < _TILE / 2).all(axis=1)])
    return Judgement(np.concatenate(exemplars), np.concatenate(candidates))


def logits_at(
    detector: Detector, image: NDArray[np.float32], xy: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Logit maps of windows centred on places, shape (n, window / STRIDE, window / STRIDE)."""
    side = detector.model.config.window // STRIDE
    maps = _through(detector, image, xy, detector.model.forward)
    return maps[:, 0] if len(xy) else np.zeros((0, side, side), np.float32)


def latents_at(
    detector: Detector, image: NDArray[np.float32], xy: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Coarse latent of places, each in a window centred on it.

    Parameters
    ----------
    detector : Detector
    image : ndarray, float32, shape (h, w)
        Working image.
    xy : ndarray, shape (n, 2)
        Working pixels.

    Returns
    -------
    ndarray, float32, shape (n, COARSE)
    """
    middle = detector.model.config.window // 16  # of the coarse grid, with cells of eight pixels

    def at_the_centre(windows: Tensor) -> Tensor:
        coarse, _ = detector.model.features(windows)
        return coarse[:, :, middle - 1 : middle + 1, middle - 1 : middle + 1].mean(dim=(2, 3))

    found = _through(detector, image, xy, at_the_centre)
    return found if len(xy) else np.zeros((0, COARSE), np.float32)


def _through(
    detector: Detector,
    image: NDArray[np.float32],
    xy: NDArray[np.float64],
    network: Callable[[Tensor], Tensor],
) -> NDArray[np.float32]:
    """What a network makes of windows centred on places, in batches."""
    side = detector.model.config.window
    padded = np.pad(image, side)
    found = [np.zeros(0, np.float32)]
    place, dtype = detector.torch_device, detector.dtype
    for start in range(0, len(xy), detector.batch):
        corners = np.rint(xy[start : start + detector.batch]).astype(int) + side // 2
        stack = np.stack([padded[y : y + side, x : x + side] for x, y in corners])[:, None]
        with (
            torch.inference_mode(),
            torch.autocast(place.type, dtype, dtype != torch.float32),
        ):
            out = network(torch.from_numpy(stack).to(place))
        found.append(out.float().cpu().numpy())
    return np.concatenate(found[1:]) if len(found) > 1 else found[0]


def _peaks(
    logits: NDArray[np.float32], corner: NDArray[np.float64], roomy: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Working pixels (n, 2) and logits of the peaks that picking would see.

    ``corner`` is the working pixel that the map begins at.
    """
    on_map, height = find_peaks(logits, _LOWEST)
    xy = corner + on_map * STRIDE + (STRIDE - 1) / 2
    whole = look_up(roomy, xy)
    xy, height = xy[whole], height[whole]
    kept = suppress(xy, WORKING_DIAMETER / 2)
    return xy[kept], height[kept].astype(np.float64)


def _maps(
    score: NDArray[np.float32],
    valid: NDArray[np.bool_],
    xy: NDArray[np.float64],
    negatives: NDArray[np.float64],
) -> NDArray[np.float32]:
    """`Scene.maps`."""
    h, w = score.shape
    truth = target_map(xy, STRIDE * max(h, w))[:h, :w]
    positive, negative = _discs(xy, (h, w)), _discs(negatives, (h, w))
    known = positive | negative
    usable = valid[::STRIDE, ::STRIDE]
    chance = ndimage.maximum_filter(score, round(0.6 * WORKING_DIAMETER / STRIDE))
    chance = np.where(known, positive, chance)
    return np.stack([np.where(known, truth, score), known, usable, chance]).astype(np.float32)


def _discs(xy: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels of a map within `KNOWN` diameters of places."""
    inside_one = np.zeros(shape, dtype=bool)
    rows, columns = (np.arange(n) * STRIDE + (STRIDE - 1) / 2 for n in shape)
    for x, y in xy:
        away = np.hypot(rows[:, None] - y, columns[None] - x)
        inside_one |= away < KNOWN * WORKING_DIAMETER
    return inside_one
