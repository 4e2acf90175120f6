"""Few-shot training: a model that knows one data set's particle from about 15 exemplars.

The zero-shot model is teacher and starting point. What follows cryoMAE (Xu, Zhan and Xu, 2024,
arXiv 2404.10178) are exemplars against unlabelled places of the same micrograph, with the
self-cross similarity loss of `cryomae.train.losses`; its weights are not public, and the rest
is ours. With the teacher's score ``t`` and the student's score ``s`` of each pixel::

    L = L_unlabelled + w_e L_exemplars + w_s L_self + w_x L_cross + w_m L_mass

    L_unlabelled = mean cross entropy of s against t where nothing is known
    L_exemplars  = mean cross entropy of s against the truth round exemplars and negatives
    L_mass       = (log of the sum of s over the sum of t, where nothing is known) ^ 2

The teacher's scores are what is believed of unlabelled places: a place with a score of 0.3
counts as three tenths of a particle, which is the weight that a positive-unlabelled risk gives
it. ``L_mass`` keeps the share of particles, which exemplars alone would inflate, as all of
them are positive. The encoder stays as it is; head and pyramid learn.

Then likeness to the exemplars is added (`cryomae.model.detector.Query`), and scores are
shifted so that they promise as many particles as the teacher's.

Exemplars held out in turn decide how long to train, whether likeness alone does as well, and
whether the teacher is left as it is: the less is done, unless more tells the exemplars
better from the rest of the micrograph.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage, optimize
from torch import Tensor, nn

from cryomae.errors import CryomaeError
from cryomae.model.detector import STRIDE, ParticleDetector, Query
from cryomae.pick.peaks import find_peaks, inside, suppress
from cryomae.pick.pipeline import Detector, probability
from cryomae.prepare import WORKING_DIAMETER
from cryomae.train.detect import EMPHASIS
from cryomae.train.exemplars import Exemplars
from cryomae.train.losses import cross_similarity_loss, self_similarity_loss, unit
from cryomae.train.pool import target_map

KNOWN = 0.5
"""Radius round an exemplar or a negative, in diameters, within which the truth is known: no
second particle is centred there."""

_LOWEST = -6.0  # logit of a peak below which nobody would call it a candidate
_AWAY = 40.0  # working pixels that a window's centre lies from its exemplar, at most
_LATENTS = 64, 256  # of exemplars and of unlabelled places that are compared in a step
_SAMPLE = 100  # candidates that the scale of likeness is taken from


@dataclass(frozen=True)
class FewShot:
    """Weights and lengths of few-shot training; the defaults were tried on five simulated sets.

    Attributes
    ----------
    exemplars, alike, apart, mass : float
        Weights of the loss: ``w_e``, ``w_s`` (self), ``w_x`` (cross) and ``w_m``.
    believe : float
        Factor of the teacher's scores where nothing is known: 1 weights unlabelled places by
        their chance of holding a particle, 0 takes all of them for background.
    likeness : float
        Logits that one standard deviation of likeness to the exemplars adds.
    least : float
        Gain on held-out exemplars (see `Adapted`) that training must have over likeness alone.
    steps, check : int
        Most updates of the weights, and updates between two checks on held-out exemplars.
    folds : int
        Parts in which exemplars are held out; fewer than two exemplars a part, and none are.
    batch : int
        Windows in an update.
    rate : float
        Peak learning rate of AdamW.
    encoder : bool
        Whether the encoder learns too.
    seed : int
    """

    exemplars: float = 0.05
    alike: float = 0.2
    apart: float = 0.2
    mass: float = 0.3
    believe: float = 1.0
    likeness: float = 1.0
    least: float = 0.02
    steps: int = 80
    check: int = 20
    folds: int = 3
    batch: int = 8
    rate: float = 4e-4
    encoder: bool = False
    seed: int = 1


@dataclass(frozen=True)
class Adapted:
    """A model made for some exemplars.

    Attributes
    ----------
    model : ParticleDetector
        On the CPU, in evaluation mode.
    helped : bool
        False if it is the teacher, because held-out exemplars were not told better.
    steps : int
        Updates that it got; 0 if likeness is all that was added, or nothing.
    gain : list of (int, float)
        Steps, and how much better held-out exemplars are told from the rest of their
        micrograph than by the teacher: the mean log of their share of all candidates'
        scores, against the teacher's. Empty with too few exemplars to hold some out.
    before, after : ndarray, shape (m,)
        Score of each exemplar by the teacher, and by students that have not seen it (with too
        few to hold some out, by the model itself).
    """

    model: ParticleDetector
    helped: bool
    steps: int
    gain: list[tuple[int, float]]
    before: NDArray[np.float64]
    after: NDArray[np.float64]


@dataclass(frozen=True)
class _Scene:
    """A micrograph with exemplars and what the teacher says of it; maps have `STRIDE`.

    ``rivals`` are some of its candidates, and ``promised`` the sum of all their scores.
    """

    image: NDArray[np.float32]
    valid: NDArray[np.bool_]
    xy: NDArray[np.float64]
    negatives: NDArray[np.float64]
    teacher: NDArray[np.float32]
    rivals: NDArray[np.float64]
    promised: float
    believe: float
    maps: NDArray[np.float32] = field(repr=False)  # target, known, usable, chance

    def showing(self, chosen: NDArray[np.bool_]) -> _Scene:
        """The same with some of the exemplars only."""
        xy = self.xy[chosen]
        maps = _maps(self.teacher, self.valid, xy, self.negatives, self.believe)
        return replace(self, xy=xy, maps=maps)


def adapt(
    detector: Detector,
    exemplars: Sequence[Exemplars],
    settings: FewShot | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Adapted:
    """Adapt a model to exemplars.

    Parameters
    ----------
    detector : Detector
        The zero-shot model; it is not changed.
    exemplars : sequence of Exemplars
        Of one micrograph or more.
    settings : FewShot, optional
    on_progress : callable, optional
        ``on_progress(done, total)`` in updates; the total shrinks when training stops early.

    Raises
    ------
    CryomaeError
        If the loss is no longer a number.
    """
    how = settings or FewShot()
    scenes = [_scene(detector, part, how, len(exemplars)) for part in exemplars]
    before = np.concatenate([_at(s.teacher, s.xy) for s in scenes])
    folds = how.folds if len(before) >= 2 * how.folds else 0
    tell = on_progress or (lambda done, total: None)
    trial = _Trial([], probability(before), True, how.steps)
    if folds:
        trial = _hold_out(detector, scenes, how, folds, tell)
    spent = folds * (trial.gain[-1][0] if trial.gain else 0)
    tell(spent, spent + trial.steps)
    after = trial.after
    if trial.helped:
        student = _Student(detector, how, how.seed)
        for _ in range(trial.steps):
            student.learn(scenes)
            tell(spent + student.step, spent + trial.steps)
        made, maps = _liken(student.detector, scenes, how)
        if not folds:
            here = [_at(m, s.xy) for m, s in zip(maps, scenes, strict=True)]
            after = probability(np.concatenate(here))
    else:
        made = detector
    model = copy.deepcopy(made.model).cpu().eval().requires_grad_(False)
    return Adapted(model, trial.helped, trial.steps, trial.gain, probability(before), after)


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
    side = detector.model.config.window
    padded = np.pad(image, side)
    middle = side // 16  # of the coarse grid, whose cells are eight pixels wide
    found = []
    for start in range(0, len(xy), detector.batch):
        corners = np.rint(xy[start : start + detector.batch]).astype(int) + side // 2
        stack = np.stack([padded[y : y + side, x : x + side] for x, y in corners])[:, None]
        with (
            torch.inference_mode(),
            torch.autocast(
                detector.torch_device.type, detector.dtype, detector.dtype != torch.float32
            ),
        ):
            coarse, _ = detector.model.features(torch.from_numpy(stack).to(detector.torch_device))
        near = coarse[:, :, middle - 1 : middle + 1, middle - 1 : middle + 1]
        found.append(near.float().mean(dim=(2, 3)).cpu())
    return torch.cat(found).numpy() if found else np.zeros((0, 0), np.float32)


def _scene(detector: Detector, part: Exemplars, how: FewShot, among: int) -> _Scene:
    side = detector.model.config.window
    image, valid = part.working.image, part.working.valid
    short = [(0, max(0, side - n)) for n in image.shape]  # windows must fit
    image, valid = np.pad(image, short), np.pad(valid, short)
    teacher = detector.logits(image)
    maps = _maps(teacher, valid, part.xy, part.negatives, how.believe)
    candidates, height = _candidates(teacher, valid)
    some = np.random.default_rng(how.seed).permutation(len(candidates))
    rivals = candidates[some[: max(1, _SAMPLE // among)]]
    promised = float(probability(height).sum())
    return _Scene(
        image, valid, part.xy, part.negatives, teacher, rivals, promised, how.believe, maps
    )


def _maps(
    teacher: NDArray[np.float32],
    valid: NDArray[np.bool_],
    xy: NDArray[np.float64],
    negatives: NDArray[np.float64],
    believe: float,
) -> NDArray[np.float32]:
    """Target, known, usable and chance, shape (4, h / STRIDE, w / STRIDE)."""
    h, w = teacher.shape
    score = believe * probability(teacher).astype(np.float32)
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


def _at(logits: NDArray[np.float32], xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Highest logit within a quarter of a diameter of places."""
    reach = 2 * round(WORKING_DIAMETER / 4 / STRIDE) + 1
    highest = ndimage.maximum_filter(logits, reach)
    place = np.rint((xy - (STRIDE - 1) / 2) / STRIDE).astype(int)
    place = np.clip(place, 0, np.array(logits.shape[::-1]) - 1)
    return highest[place[:, 1], place[:, 0]].astype(np.float64)


def _candidates(
    logits: NDArray[np.float32], valid: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Working pixels (n, 2) and logits of the peaks that picking would see."""
    on_map, height = find_peaks(logits, _LOWEST)
    xy = on_map * STRIDE + (STRIDE - 1) / 2
    whole = inside(xy, valid, WORKING_DIAMETER / 2)
    xy, height = xy[whole], height[whole]
    kept = suppress(xy, WORKING_DIAMETER / 2)
    return xy[kept], height[kept].astype(np.float64)


class _Student:
    """A copy of the teacher that learns, one batch at a time."""

    def __init__(self, detector: Detector, how: FewShot, seed: int) -> None:
        self.how, self.step, self.teacher = how, 0, detector
        self.device, self.dtype = detector.torch_device, detector.dtype
        self.model = copy.deepcopy(detector.model).eval()  # batch statistics stay the teacher's
        self.model.requires_grad_(True)
        if self.model.encoder is not None and not how.encoder:
            self.model.encoder.requires_grad_(False)
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=how.rate, weight_decay=0.01)
        self.rng = np.random.default_rng(seed)

    @property
    def detector(self) -> Detector:
        """The student, ready to score."""
        return replace(self.teacher, model=self.model)

    def learn(self, scenes: Sequence[_Scene]) -> None:
        """Update the weights once."""
        how = self.how
        warm = min(1.0, (self.step + 1) / 10)
        for group in self.optimizer.param_groups:
            group["lr"] = how.rate * warm * (0.5 + 0.5 * np.cos(np.pi * self.step / how.steps))
        image, target, known, usable, chance = (
            torch.from_numpy(part).to(self.device) for part in self._draw(scenes)
        )
        with torch.autocast(self.device.type, self.dtype, self.dtype != torch.float32):
            coarse, fine = self.model.features(image)
            logits = self.model.leave(fine)
        loss = self._loss(coarse.float(), logits.float(), target, known, usable, chance)
        if not torch.isfinite(loss):
            raise CryomaeError("the loss is no longer a number", "leave out odd exemplars")
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.step += 1

    def _draw(self, scenes: Sequence[_Scene]) -> list[NDArray[np.float32]]:
        """Image and maps of windows, turned and mirrored: half of them near what is labelled."""
        side, rng = self.model.config.window, self.rng
        places = [np.concatenate([s.xy, s.negatives]) for s in scenes]
        owners = np.repeat(np.arange(len(scenes)), [len(p) for p in places])
        out: list[list[NDArray[np.float32]]] = []
        for i in range(self.how.batch):
            number = int(rng.choice(owners))
            scene = scenes[number]
            h, w = scene.image.shape
            middle = rng.uniform(0, 1, 2) * (w, h)
            if i % 2 == 0:
                near = places[number][rng.integers(len(places[number]))]
                middle = near + rng.uniform(-_AWAY, _AWAY, 2)
            x, y = (np.clip(middle - side / 2, 0, (w - side, h - side)) // 2 * 2).astype(int)
            turn, mirror = int(rng.integers(4)), bool(rng.integers(2))
            u, v, s = x // STRIDE, y // STRIDE, side // STRIDE
            parts = [scene.image[y : y + side, x : x + side]]
            parts += list(scene.maps[:, v : v + s, u : u + s])
            out.append([np.rot90(p[:, ::-1] if mirror else p, turn) for p in parts])
        return [np.ascontiguousarray(np.stack(p)[:, None]) for p in zip(*out, strict=True)]

    def _loss(
        self,
        coarse: Tensor,
        logits: Tensor,
        target: Tensor,
        known: Tensor,
        usable: Tensor,
        chance: Tensor,
    ) -> Tensor:
        how = self.how
        labelled, open_ = known * usable, (1 - known) * usable
        each = nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
        each = each * (1 + EMPHASIS * target)
        loss = (each * open_).sum() / open_.sum().clamp(min=1)
        loss = loss + how.exemplars * (each * labelled).sum() / labelled.sum().clamp(min=1)
        mass = (torch.sigmoid(logits) * open_).sum() / (target * open_).sum().clamp(min=1e-3)
        loss = loss + how.mass * mass.clamp(min=1e-3).log() ** 2
        wide = nn.functional.interpolate(coarse, size=logits.shape[-2:], mode="bilinear")
        latents = wide.permute(0, 2, 3, 1).flatten(0, 2)
        shown = latents[((target > 0.9) * labelled).flatten() > 0]
        if len(shown) < 2:
            return loss
        places = usable.flatten().nonzero()[:, 0]
        some = torch.from_numpy(self.rng.integers(0, len(places), _LATENTS[1]))
        places = places[some.to(places.device)]
        shown = shown[: _LATENTS[0]]
        loss = loss + how.alike * self_similarity_loss(shown)
        return loss + how.apart * cross_similarity_loss(
            shown, latents[places], chance.flatten()[places]
        )


@dataclass(frozen=True)
class _Trial:
    """What held-out exemplars say: see `Adapted`."""

    gain: list[tuple[int, float]]
    after: NDArray[np.float64]
    helped: bool
    steps: int


def _hold_out(
    detector: Detector,
    scenes: Sequence[_Scene],
    how: FewShot,
    folds: int,
    tell: Callable[[int, int], None],
) -> _Trial:
    """Train without some of the exemplars, in turn, and look for them."""
    count = sum(len(s.xy) for s in scenes)
    order = np.random.default_rng(how.seed).permutation(count)
    part_of = np.empty(count, dtype=int)
    part_of[order] = np.arange(count) % folds
    starts = np.cumsum([0, *(len(s.xy) for s in scenes)])
    own = [part_of[a:b] for a, b in pairwise(starts)]
    shown = [
        [s.showing(part != fold) for s, part in zip(scenes, own, strict=True)]
        for fold in range(folds)
    ]
    students = [_Student(detector, how, how.seed + fold) for fold in range(folds)]
    before, share = _judge([s.teacher for s in scenes], scenes)
    gain: list[tuple[int, float]] = []
    best = _Trial(gain, probability(before), False, 0)
    needed = 0.0
    total = (folds + 1) * how.steps
    for step in range(0, how.steps + 1, how.check):
        scores, shares = np.zeros(count), np.zeros(count)
        for fold, student in enumerate(students):
            while student.step < step:
                student.learn(shown[fold])
                tell(sum(s.step for s in students), total)
            _, maps = _liken(student.detector, shown[fold], how)
            out = part_of == fold
            fresh, parts = _judge(maps, scenes)
            scores[out], shares[out] = fresh[out], parts[out]
        better = float(np.mean(shares - share))
        gain.append((step, better))
        if better > needed:
            best = _Trial(gain, probability(scores), True, step)
        if step == 0:
            needed = max(better, 0.0) + how.least
        elif better > needed:
            needed = better
        if step - best.steps >= 2 * how.check:
            break
    return best


def _judge(
    maps: Sequence[NDArray[np.float32]], scenes: Sequence[_Scene]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logit of each exemplar, and log of its share of all candidates' scores.

    Exemplars are drawn from the particles: the likelihood that these of all candidates were
    drawn is the product of their shares. Shifting all scores up gains nothing.
    """
    logits = [_at(m, s.xy) for m, s in zip(maps, scenes, strict=True)]
    peaks = [_candidates(m, s.valid)[1] for m, s in zip(maps, scenes, strict=True)]
    every = probability(np.concatenate(peaks)).sum()
    here = np.concatenate(logits)
    return here, np.log(probability(here) + 1e-9) - np.log(max(float(every), 1e-3))


def _liken(
    detector: Detector, scenes: Sequence[_Scene], how: FewShot
) -> tuple[Detector, list[NDArray[np.float32]]]:
    """The model with a query, promising as many particles as the teacher, and its logits."""
    shown = [latents_at(detector, s.image, s.xy) for s in scenes if len(s.xy)]
    rivals = [latents_at(detector, s.image, s.rivals) for s in scenes if len(s.rivals)]
    mine = torch.from_numpy(np.concatenate(shown))
    rest = torch.from_numpy(np.concatenate(rivals)) if rivals else mine
    query = Query()
    query.centre.copy_(rest.mean(dim=0))
    query.direction.copy_(unit(mine - query.centre).mean(dim=0))
    alike = unit(rest - query.centre) @ query.direction
    spread = float(alike.std()) if len(alike) > 1 else 0.0
    if spread > 1e-6:
        query.slope.fill_(how.likeness / spread)
        query.offset.fill_(-how.likeness * float(alike.mean()) / spread)
    model = copy.deepcopy(detector.model).eval()
    model.query = query.to(detector.torch_device)
    liked = replace(detector, model=model)
    maps = [liked.logits(s.image) for s in scenes]
    shift = _shift(maps, scenes)
    query.offset.add_(shift)
    return liked, [m + np.float32(shift) for m in maps]


def _shift(maps: Sequence[NDArray[np.float32]], scenes: Sequence[_Scene]) -> float:
    """Logits to add, for the sum of the candidates' scores to be the teacher's."""
    now = np.concatenate([_candidates(m, s.valid)[1] for m, s in zip(maps, scenes, strict=True)])
    want = sum(s.promised for s in scenes)

    def surplus(shift: float) -> float:
        return float(probability(now + shift).sum() - want)

    if not len(now) or surplus(-8.0) > 0 or surplus(8.0) < 0:
        return 0.0
    return float(optimize.brentq(surplus, -8.0, 8.0))
