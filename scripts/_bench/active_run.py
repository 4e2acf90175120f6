"""One simulated user, one strategy, one draw: figures after every batch of answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from _bench.active_sets import CONFIRM, SKIP, PooledSet
from cryomae.active.estimate import choose_operating_point
from cryomae.active.pool import Pool
from cryomae.active.propose import propose
from cryomae.evaluate.matching import assign_picks, precision_recall
from cryomae.train.head import Head, base_head, learn

SECONDS = {"answer": 1.5, "skip": 3.0, "exemplar": 4.0}
"""What a user needs for a key press, for a crop that is hard to judge, and for a click on a
particle in a micrograph: assumed, to compare ways of asking by time."""


@dataclass(frozen=True)
class Job:
    """What is run.

    Attributes
    ----------
    strategy : str
        Of `cryomae.active.propose`; ``all`` answers everything at once.
    seed : int
        Chooses which half of the micrographs is asked about, exemplars, and what is drawn.
    exemplars : int
        Particles of one micrograph that the user clicks first.
    noise : float
        Share of answers that are wrong.
    batch, budget : int
        Answers between two trainings, and in all, exemplars included.
    """

    strategy: str
    seed: int
    exemplars: int
    noise: float
    batch: int
    budget: int


def run(data: PooledSet, job: Job) -> list[dict[str, float]]:
    """Simulate a session on half of the micrographs, and judge it on the other half.

    Returns
    -------
    list of dict
        After each training: ``answers``, ``seconds`` of the user, ``f1`` at the chosen
        threshold and ``ap`` on micrographs that were not asked about, ``positives``, and
        what the session itself believed of the half that it knows (``said_...``) beside
        what is true there (``true_...``).
    """
    rng = np.random.default_rng(job.seed)
    order = rng.permutation(len(data.names))
    asked = np.isin(data.pool.micrograph, order[: len(order) // 2])
    here, there = np.flatnonzero(asked), np.flatnonzero(~asked)
    pool, test = data.pool.take(here), data.pool.take(there)
    truth = data.answers[here]
    said = np.where(rng.random(len(truth)) < job.noise, 1 - truth, truth)
    said[truth == SKIP] = SKIP
    head = base_head(data.pool)
    rows = np.zeros(0, np.intp)
    if job.exemplars:
        rows = _exemplars(pool, truth, job.exemplars, rng)
        said[rows] = CONFIRM
    if job.strategy == "all":
        rows = np.flatnonzero(truth != SKIP)
    skipped: list[int] = []
    seconds = SECONDS["exemplar"] * len(rows)
    found = []
    while True:
        clicked = np.arange(len(rows)) < job.exemplars
        head = learn(pool, rows, said[rows], head, clicked=clicked)
        figures = _figures(data, pool, test, here, there, head, rows, said[rows], rng)
        count = len(rows) + len(skipped)
        figures |= {"answers": count, "seconds": seconds, "positives": int(said[rows].sum())}
        found.append(figures)
        if count >= job.budget or job.strategy == "all":
            return found
        wanted = min(job.batch, job.budget - count)
        chosen = propose(
            pool, head, rows, said[rows], wanted, strategy=job.strategy, taken=skipped, rng=rng
        )
        new = np.array([c.candidate for c in chosen], np.intp)
        if not len(new):
            return found
        hard = said[new] == SKIP
        rows, skipped = np.concatenate([rows, new[~hard]]), skipped + new[hard].tolist()
        seconds += SECONDS["answer"] * (~hard).sum() + SECONDS["skip"] * hard.sum()


def _exemplars(
    pool: Pool, truth: NDArray[np.int64], count: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Particles of the micrograph that has most, or of one drawn from those with enough."""
    confirmed = np.flatnonzero(truth == CONFIRM)
    owners, sizes = np.unique(pool.micrograph[confirmed], return_counts=True)
    enough = owners[sizes >= count]
    owner = rng.choice(enough) if len(enough) else owners[sizes.argmax()]
    own = confirmed[pool.micrograph[confirmed] == owner]
    return rng.permutation(own)[:count]


def _figures(
    data: PooledSet,
    pool: Pool,
    test: Pool,
    here: NDArray[np.intp],
    there: NDArray[np.intp],
    head: Head,
    rows: NDArray[np.intp],
    y: NDArray[np.int64],
    rng: np.random.Generator,
) -> dict[str, float]:
    chosen = choose_operating_point(pool, head, rows, y, rng)
    f1, best, ap = _judge(data, there, head.probability(test), chosen.threshold)
    own = head.probability(pool)
    own[rows] = y
    picked = own >= chosen.threshold
    right = data.answers[here] == CONFIRM
    true = {
        "precision": (picked & right).sum() / max(picked.sum(), 1),
        "recall": (picked & right).sum() / max(right.sum(), 1),
    }
    believed = {f"said_{k}": v for k, v in asdict(chosen).items() if k not in ("f1", "picks")}
    return (
        {"f1": f1, "best_f1": best, "ap": ap}
        | believed
        | {f"true_{k}": float(v) for k, v in true.items()}
    )


def _judge(
    data: PooledSet, rows: NDArray[np.intp], score: NDArray[np.float64], threshold: float
) -> tuple[float, float, float]:
    """F1, that at the best threshold, and average precision on the tested micrographs."""
    own = data.pool.micrograph[rows]
    hit = np.zeros(len(rows), bool)
    every = 0
    for number in np.unique(own):
        here = own == number
        particles = data.particles[number]
        taken = assign_picks(data.pool.xy[rows[here]], score[here], particles, data.radius)
        hit[here] = taken >= 0
        every += len(particles)
    counted = hit | ~data.ignored[rows]
    hit, score = hit[counted], score[counted]
    picked = score >= threshold
    f1 = 2 * int((hit & picked).sum()) / max(int(picked.sum()) + every, 1)
    curve = precision_recall(score, hit, every)
    return f1, curve.best_f1, curve.average_precision
