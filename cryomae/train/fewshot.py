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
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import optimize
from torch import Tensor, nn

from cryomae.errors import CryomaeError
from cryomae.model.detector import ParticleDetector, Query
from cryomae.pick.pipeline import Detector, probability
from cryomae.sizes import STRIDE
from cryomae.train.detect import EMPHASIS
from cryomae.train.exemplars import Exemplars
from cryomae.train.losses import cross_similarity_loss, self_similarity_loss, unit
from cryomae.train.scene import Judgement, Scene, judge, latents_at, make_scene

_AWAY = 40.0  # working pixels that a window's centre lies from its exemplar, at most
_LATENTS = 64, 256  # of exemplars and of unlabelled places that are compared in a step


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
    average : float
        Share of the student in the weights that are used; the rest is the teacher. An average of
        both holds up better on micrographs that the student has not seen (Wortsman et al., 2022,
        arXiv 2109.01903).
    least : float
        Gain on held-out exemplars (see `Adapted`) that likeness must have over the teacher, and
        training over likeness alone.
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
    average: float = 0.7
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
    scenes = [
        make_scene(detector, part, believe=how.believe, seed=how.seed, among=len(exemplars))
        for part in exemplars
    ]
    teacher = judge(detector, scenes)
    before = probability(teacher.exemplars)
    folds = how.folds if len(before) >= 2 * how.folds else 0
    tell = on_progress or (lambda done, total: None)
    trial = _Trial([], before, True, how.steps)
    if folds:
        trial = _hold_out(detector, scenes, how, folds, teacher, tell)
    spent = folds * (trial.gain[-1][0] if trial.gain else 0)
    tell(spent, spent + trial.steps)
    made, after = detector, trial.after
    if trial.helped:
        student = _Student(detector, how, how.seed)
        for _ in range(trial.steps):
            student.learn(scenes)
            tell(spent + student.step, spent + trial.steps)
        made, said = _liken(student.detector, scenes, scenes, how, teacher.promised)
        if not folds:
            after = probability(said.exemplars)
    model = copy.deepcopy(made.model).cpu().eval().requires_grad_(False)
    return Adapted(model, trial.helped, trial.steps, trial.gain, before, after)


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
        """The student averaged with its teacher, ready to score."""
        model, share = copy.deepcopy(self.teacher.model).eval(), self.how.average
        with torch.no_grad():
            for ours, learnt in zip(model.parameters(), self.model.parameters(), strict=True):
                ours.lerp_(learnt, share)
        return replace(self.teacher, model=model)

    def learn(self, scenes: Sequence[Scene]) -> None:
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

    def _draw(self, scenes: Sequence[Scene]) -> list[NDArray[np.float32]]:
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
    scenes: Sequence[Scene],
    how: FewShot,
    folds: int,
    teacher: Judgement,
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
    gain: list[tuple[int, float]] = []
    best = _Trial(gain, probability(teacher.exemplars), False, 0)
    needed = how.least
    total = (folds + 1) * how.steps
    for step in range(0, how.steps + 1, how.check):
        scores, shares = np.zeros(count), np.zeros(count)
        for fold, student in enumerate(students):
            while student.step < step:
                student.learn(shown[fold])
                tell(sum(s.step for s in students), total)
            _, said = _liken(student.detector, shown[fold], scenes, how, teacher.promised)
            out = part_of == fold
            scores[out], shares[out] = probability(said.exemplars)[out], said.share[out]
        better = float(np.mean(shares - teacher.share))
        gain.append((step, better))
        if better > needed:
            best = _Trial(gain, scores, True, step)
        if step == 0:
            needed = max(better, 0.0) + how.least
        elif better > needed:
            needed = better
    return best


def _liken(
    detector: Detector,
    shown: Sequence[Scene],
    judged: Sequence[Scene],
    how: FewShot,
    promised: float,
) -> tuple[Detector, Judgement]:
    """Add likeness to exemplars and keep the promise; the new model, and what it says."""
    mine = torch.from_numpy(np.concatenate([latents_at(detector, s.image, s.xy) for s in shown]))
    rest = [latents_at(detector, s.image, s.rivals) for s in shown]
    others = torch.from_numpy(np.concatenate(rest)) if any(map(len, rest)) else mine
    query = Query()
    query.centre.copy_(others.mean(dim=0))
    query.direction.copy_(unit(mine - query.centre).mean(dim=0))
    alike = unit(others - query.centre) @ query.direction
    spread = float(alike.std()) if len(alike) > 1 else 0.0
    if spread > 1e-6:
        query.slope.fill_(how.likeness / spread)
        query.offset.fill_(-how.likeness * float(alike.mean()) / spread)
    model = copy.deepcopy(detector.model).eval()
    model.query = query.to(detector.torch_device)
    liked = replace(detector, model=model)
    said = judge(liked, judged)
    shift = _shift(said, promised)
    query.offset.add_(shift)
    return liked, said.shifted(shift)


def _shift(said: Judgement, promised: float) -> float:
    """Logits to add for candidates to promise a number of particles."""

    def surplus(shift: float) -> float:
        return said.shifted(shift).promised - promised

    if surplus(-8.0) > 0 or surplus(8.0) < 0:
        return 0.0
    return float(optimize.brentq(surplus, -8.0, 8.0))
