"""The part of the model that follows a user's exemplars and answers, in well under a second.

What the network knows of each candidate was computed once. From what the user says a correction
of the scores is learnt on top of it::

    logit = slope * logit_0 + offset + weights · z

with ``logit_0`` and the standardised latents ``z`` of the model that the session started from.
With ``u`` the unlabelled places and ``p`` what the starting model believes::

      sum over answered proposals   cross entropy against MISTAKES + (1 - 2 MISTAKES) * chance
    + BELIEF * mean over u          cross entropy against p
    + CLICK  * sum over clicked     -logit
    + CLICK  * clicks / mean(p) * mean over u  softplus(logit)
    + self-cross similarity of clicked and u, in few-shot training: `cryomae.train.losses`
    + quadratic penalty, which makes the starting model the answer where nothing is known

A particle that the user looked for says what particles look like, and not how many of the
places like it are particles: counted as answers, 15 of them would make everything a particle.
They enter by the positive-unlabelled risk (du Plessis, Niu and Sugiyama, *Convex formulation
for learning from positive and unlabeled data*, 2015), where the share of particles is what the
starting model believes. The search always begins there, so the same answers give the same head
whatever the order they came in.

The curvature at the solution gives a Gaussian over heads (Laplace's approximation: MacKay,
*The evidence framework applied to classification networks*, 1992). Draws from it are the
stochastic passes of `cryomae.sampler`, and say how sure precision and recall are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save
from scipy import linalg, optimize

from cryomae.errors import FormatError
from cryomae.sizes import LATENT
from cryomae.train.losses import Value, cross_loss, self_loss

SLOPE_SPREAD, OFFSET_SPREAD, WEIGHT_SPREAD = 0.8, 2.0, 0.6
"""Standard deviations of the prior: of the slope about 1, of the offset, and of each weight."""

BELIEF = 3.0
"""Answers that all unlabelled places together count for."""

CLICK = 0.5
"""Answers that a clicked particle counts for; like the others chosen on simulated sets
(``scripts/benchmark_active.py`` on configs/active.yaml)."""

MISTAKES = 0.08
"""Chance that an answer is wrong, as the model takes it. It keeps one slip from moving the
threshold of everything; the more is assumed, the longer the threshold takes to settle."""

_UNLABELLED = 4000  # places that stand for all of them
_ROWS = 65_536  # candidates that are scored at a time
_MEASURED = 20_000  # candidates that centre and scale of the latents are measured on

Rows = NDArray[np.intp] | None


class Described(Protocol):
    """Candidates of which the model's logits (n,) and latents (n, LATENT) are known."""

    @property
    def logit(self) -> NDArray[np.float32]:
        """Of the starting model, shape (n,)."""

    @property
    def latents(self) -> NDArray[np.float16]:
        """What that model knows of the place, shape (n, LATENT)."""

    def __len__(self) -> int: ...


@dataclass(frozen=True, eq=False)
class Head:
    """A correction of the scores, with its uncertainty.

    Attributes
    ----------
    centre, scale : ndarray, float64, shape (LATENT,)
        ``z = (latents - centre) / scale``.
    mean : ndarray, float64, shape (LATENT + 2,)
        Slope, offset and weights.
    spread : ndarray, float64, shape (LATENT + 2, LATENT + 2)
        Matrix ``S`` of which ``S @ S.T`` is the covariance of `mean`.
    answered : int
        Answers that it was learnt from; 0 is the starting model as it is.
    """

    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    answered: int

    @property
    def change(self) -> tuple[float, float, NDArray[np.float64]]:
        """Slope, offset, and weights (LATENT,) of the latents as they are."""
        weights = self.mean[2:] / self.scale
        return float(self.mean[0]), float(self.mean[1] - weights @ self.centre), weights

    def logits(self, pool: Described, rows: Rows = None) -> NDArray[np.float64]:
        """Logits of candidates, shape (n,).

        Parameters
        ----------
        pool : Described
        rows : ndarray of int, optional
            Which candidates; all by default.
        """
        chosen = _all(pool, rows)
        logits = pool.logit[chosen].astype(np.float64)
        if not self.answered:
            return logits
        slope, offset, weights = self.change
        logits = slope * logits + offset
        narrow = weights.astype(np.float32)
        for start in range(0, len(chosen), _ROWS):
            part = slice(start, start + _ROWS)
            logits[part] += pool.latents[chosen[part]].astype(np.float32) @ narrow
        return logits

    def probability(self, pool: Described, rows: Rows = None) -> NDArray[np.float64]:
        """Chance of candidates to be particles, shape (n,)."""
        return _sigmoid(self.logits(pool, rows))

    def draw(
        self,
        pool: Described,
        count: int,
        rng: np.random.Generator,
        rows: Rows = None,
        widen: float = 1.0,
    ) -> NDArray[np.float64]:
        """Chances by ``count`` heads drawn from the posterior, shape (count, n).

        With ``widen`` the posterior is so many times as wide.
        """
        noise = widen * rng.normal(size=(len(self.mean), count))
        heads = self.mean[:, None] + self.spread @ noise
        found = [_sigmoid(part @ heads) for part in self._parts(pool, rows)]
        return np.concatenate(found).T if found else np.zeros((count, 0))

    def features(self, pool: Described, rows: Rows = None) -> NDArray[np.float32]:
        """What the head sees of candidates: the logit, 1, and z; shape (n, LATENT + 2)."""
        parts = list(self._parts(pool, rows))
        return np.concatenate(parts) if parts else np.zeros((0, len(self.mean)), np.float32)

    def _parts(self, pool: Described, rows: Rows) -> Iterator[NDArray[np.float32]]:
        chosen = _all(pool, rows)
        for start in range(0, len(chosen), _ROWS):
            part = chosen[start : start + _ROWS]
            out = np.empty((len(part), LATENT + 2), np.float32)
            out[:, 0], out[:, 1] = pool.logit[part], 1
            out[:, 2:] = (pool.latents[part] - self.centre.astype(np.float32)) / self.scale.astype(
                np.float32
            )
            yield out

    def to_bytes(self) -> bytes:
        """The head as a safetensors file."""
        return save({name: np.asarray(value) for name, value in vars(self).items()})

    @classmethod
    def from_bytes(cls, data: bytes) -> Head:
        """The head that `to_bytes` stored.

        Raises
        ------
        FormatError
            If it is damaged.
        """
        try:
            stored = load(data)
            answered = int(stored.pop("answered"))
            return cls(**stored, answered=answered)
        except (SafetensorError, KeyError, TypeError) as error:
            raise FormatError(
                "a model of the session is damaged", "train it again: the answers are kept"
            ) from error


def base_head(pool: Described) -> Head:
    """The head without answers: the starting model as it is."""
    some = np.linspace(0, len(pool) - 1, min(len(pool), _MEASURED)).astype(np.intp)
    latents = pool.latents[some].astype(np.float64)
    centre = latents.mean(axis=0) if len(some) else np.zeros(LATENT)
    spread = latents.std(axis=0) if len(some) else np.ones(LATENT)
    # Both halves of the latents weigh as much as one feature of unit variance.
    scale = (spread + 1e-3) * np.sqrt(LATENT / 2)
    return Head(centre, scale, _middle(), np.diag(_prior_spread()), 0)


def learn(
    pool: Described,
    rows: NDArray[np.intp],
    y: NDArray[np.integer],
    start: Head | None = None,
    *,
    clicked: NDArray[np.bool_] | None = None,
    slope_spread: float = SLOPE_SPREAD,
    alike: float = 0.0,
    apart: float = 0.0,
) -> Head:
    """Learn a head from answers.

    Parameters
    ----------
    pool : Described
    rows : ndarray of int, shape (a,)
        Candidates that were answered.
    y : ndarray of int, shape (a,)
        1 for a particle, 0 for none.
    start : Head, optional
        A head of the same pool, whose centre and scale are taken over.
    clicked : ndarray of bool, shape (a,), optional
        Particles that the user looked for, where the others were asked about: what they look
        like is known, and not how often places like them are particles. Default none.
    slope_spread : float
        Standard deviation of the slope's prior.
    alike, apart : float
        Weights of the self-cross similarity: clicked particles drawn together, and pushed apart
        from unlabelled places.
    """
    base = start or base_head(pool)
    if not len(rows):
        return Head(base.centre, base.scale, _middle(), np.diag(_prior_spread()), 0)
    answers = base.features(pool, np.asarray(rows, np.intp)).astype(np.float64)
    truth = np.asarray(y, np.float64)
    free = np.ones(len(pool), bool)
    free[rows] = False
    rest = np.flatnonzero(free)
    rest = rest[np.linspace(0, len(rest) - 1, min(len(rest), _UNLABELLED)).astype(np.intp)]
    others = base.features(pool, rest).astype(np.float64)
    features = np.concatenate([answers, others])
    believed = _sigmoid(others[:, 0])
    weight = np.concatenate([np.ones(len(rows)), np.full(len(rest), BELIEF / max(len(rest), 1))])
    found = np.zeros(len(rows), bool) if clicked is None else np.asarray(clicked, bool)
    pull, push = np.zeros(features.shape[1]), 0.0
    if found.any() and len(rest):
        weight[: len(rows)][found] = 0
        pull = CLICK * answers[found].sum(axis=0)
        push = CLICK * found.sum() / max(believed.sum(), 1)
    prior = _prior_spread()
    prior[0] = slope_spread
    precision = 1 / prior**2
    middle = _middle()

    count = len(rows)
    similar = found.any() and len(rest) and (alike or apart)
    sign, sure = np.where(truth == 1, 1, -1), 1 - 2 * MISTAKES

    def similarity(mean: NDArray[np.float64]) -> Value:
        drawn, by = self_loss(mean, answers[found])
        pushed, along = cross_loss(mean, answers[found], others, believed)
        return alike * drawn + apart * pushed, alike * by + apart * along

    def loss(mean: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = features @ mean
        chance = _sigmoid(z)
        soft = np.logaddexp(0, z[count:])
        said = MISTAKES + sure * _sigmoid(sign * z[:count])
        value = -(weight[:count] * np.log(said)).sum()
        value += (weight[count:] * (soft - believed * z[count:])).sum()
        value += push * soft.sum() - pull @ mean
        value += 0.5 * (precision * (mean - middle) ** 2).sum()
        unlike, likeness = similarity(mean) if similar else (0.0, 0.0)
        value += unlike
        error = weight * chance
        error[:count] *= -sign * sure * (1 - chance[:count]) / said
        error[count:] -= weight[count:] * believed
        error[count:] += push * chance[count:]
        slope = features.T @ error - pull + precision * (mean - middle) + likeness
        return float(value), slope

    solved = optimize.minimize(loss, middle, jac=True, method="L-BFGS-B",
                               options={"maxiter": 500})  # fmt: skip
    chance = _sigmoid(features @ solved.x)
    weight[count:] += push
    curvature = (features * (weight * chance * (1 - chance))[:, None]).T @ features
    curvature[np.diag_indices_from(curvature)] += precision
    lower = linalg.cholesky(curvature, lower=True)
    spread = linalg.solve_triangular(lower, np.eye(len(lower)), lower=True).T
    return Head(base.centre, base.scale, solved.x, spread, len(rows))


def _middle() -> NDArray[np.float64]:
    """Mean of the prior: the starting model."""
    mean = np.zeros(LATENT + 2)
    mean[0] = 1
    return mean


def _prior_spread() -> NDArray[np.float64]:
    spread = np.full(LATENT + 2, WEIGHT_SPREAD)
    spread[:2] = SLOPE_SPREAD, OFFSET_SPREAD
    return spread


def _all(pool: Described, rows: Rows) -> NDArray[np.intp]:
    return np.arange(len(pool)) if rows is None else np.asarray(rows, np.intp)


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    chance: NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(x, -50, 50)))
    return chance
