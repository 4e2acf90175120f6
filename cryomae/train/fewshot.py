"""Few-shot training: a model that knows one data set's particle from about 15 exemplars.

The zero-shot model sees the exemplars' micrograph once. On what it knows of each place
(`cryomae.train.scene`) a linear correction of its logits is learnt from exemplars and unlabelled
places, by the positive-unlabelled risk of `cryomae.train.head` and by cryoMAE's self-cross
similarity along the correction (`cryomae.train.losses`). Two things differ from what a session of
active learning does with answers, as there are exemplars only:

* The slope of the logits stays at 1. Of faint particles some exemplars score low, and a free
  slope would conclude that scores say nothing.
* The corrected logits are shifted so that they promise as many particles as before: exemplars
  are particles all of them, and do not say how many there are.

Exemplars held out in turn decide whether the correction is used: their scores must rise by more
than the standard error, while the promise is the same. Else the model is left as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from cryomae.model.detector import ParticleDetector, corrected
from cryomae.pick.pipeline import probability
from cryomae.train.head import learn
from cryomae.train.scene import Scene, promise

Change = tuple[float, float, NDArray[np.float64]]
"""Slope, offset and weights of a correction, see `cryomae.model.detector.corrected`."""


@dataclass(frozen=True)
class FewShot:
    """How few-shot training works; the defaults were chosen on configs/fewshot.yaml.

    Attributes
    ----------
    slope_spread : float
        Standard deviation that the slope's prior has about 1.
    alike, apart : float
        Weights of the self and of the cross term. The more exemplars are drawn together the less
        is gained, and the cross term changes next to nothing (the README has the figures): both
        are as heavy as does no harm.
    keep_promise : bool
        Whether logits are shifted to promise as many particles as before.
    sure : float
        Standard errors by which the scores of held-out exemplars must rise.
    folds : int
        Parts in which exemplars are held out; fewer than two exemplars a part, and none are.
    seed : int
        Draws the parts.
    """

    slope_spread: float = 0.02
    alike: float = 0.1
    apart: float = 1.0
    keep_promise: bool = True
    sure: float = 1.0
    folds: int = 5
    seed: int = 1


@dataclass(frozen=True)
class Adapted:
    """A model made for some exemplars.

    Attributes
    ----------
    model : ParticleDetector
        On the CPU, in evaluation mode.
    change : tuple of (float, float, ndarray) or None
        What was changed; None if it is the starting model, because held-out exemplars did not
        score better.
    held_out : bool
        False with too few exemplars to hold some out.
    gain, error : float
        Mean rise of the exemplars' scores from `before` to `after`, and its standard error.
    before, after : ndarray, shape (m,)
        Score of each exemplar by the starting model, and by models that have not seen it (with
        too few to hold some out, by the model itself).
    """

    model: ParticleDetector
    change: Change | None
    held_out: bool
    gain: float
    error: float
    before: NDArray[np.float64]
    after: NDArray[np.float64]

    @property
    def helped(self) -> bool:
        """Whether the model was changed."""
        return self.change is not None


def adapt(
    model: ParticleDetector,
    scene: Scene,
    settings: FewShot | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Adapted:
    """Adapt a model to exemplars.

    Parameters
    ----------
    model : ParticleDetector
        The zero-shot model; it is not changed.
    scene : Scene
        Micrographs with exemplars, as this model sees them.
    settings : FewShot, optional
    on_progress : callable, optional
        ``on_progress(done, total)`` in corrections that are learnt.
    """
    how = settings or FewShot()
    tell = on_progress or (lambda done, total: None)
    every = np.arange(scene.exemplars)
    before = probability(scene.logit[every])
    folds = how.folds if len(every) >= 2 * how.folds else 0
    tell(0, folds + 1)
    after = before.copy()
    part = np.random.default_rng(how.seed).permutation(len(every)) % max(folds, 1)
    for fold in range(folds):
        out = every[part == fold]
        without = _learn(scene, every[part != fold], how)
        after[out] = probability(apply(scene, without)[out])
        tell(fold + 1, folds + 1)
    rise = after - before
    gain, error = float(rise.mean()), float(rise.std(ddof=1) / np.sqrt(len(rise)))
    change = None
    if not folds or gain > how.sure * error:
        change = _learn(scene, every, how)
    if change is not None and not folds:
        after = probability(apply(scene, change)[every])
    made = copy.deepcopy(model) if change is None else corrected(model, *change)
    tell(folds + 1, folds + 1)
    made = made.cpu().eval().requires_grad_(False)
    return Adapted(made, change, bool(folds), gain, error, before, after)


def apply(scene: Scene, change: Change) -> NDArray[np.float64]:
    """Corrected logits of all places, shape (n,)."""
    slope, offset, weights = change
    logits: NDArray[np.float64] = slope * scene.logit.astype(np.float64) + offset
    return logits + scene.latents.astype(np.float32) @ weights.astype(np.float32)


def _learn(scene: Scene, shown: NDArray[np.intp], how: FewShot) -> Change:
    """Learn from some of the exemplars, and from all negatives."""
    wrong = scene.exemplars + np.arange(scene.negatives)
    rows = np.concatenate([shown, wrong])
    y = np.repeat([1, 0], [len(shown), len(wrong)])
    head = learn(
        scene, rows, y, clicked=y == 1,
        slope_spread=how.slope_spread, alike=how.alike, apart=how.apart,
    )  # fmt: skip
    slope, offset, weights = head.change
    if how.keep_promise:
        logits = apply(scene, (slope, offset, weights))
        offset += _shift(logits[scene.peak], scene.promised)
    return slope, offset, weights


def _shift(logits: NDArray[np.floating], promised: float) -> float:
    """Logits to add for peaks to promise a number of particles."""

    def surplus(shift: float) -> float:
        return promise(logits + shift) - promised

    if surplus(-8.0) > 0 or surplus(8.0) < 0:
        return 0.0
    return float(optimize.brentq(surplus, -8.0, 8.0))
