"""One timed selection, by cryomae or by scikit-activeml, in a process of its own."""

import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection

import numpy as np
from numpy.typing import NDArray

LABELLED = 20


@dataclass(frozen=True)
class Job:
    """What to time.

    Attributes
    ----------
    who : {'cryomae', 'scikit-activeml'}
    strategy : str
    candidates, features, batch, seed : int
    """

    who: str
    strategy: str
    candidates: int
    features: int
    batch: int
    seed: int = 0


@dataclass(frozen=True)
class Outcome:
    """Time on the clock and of all cores, and memory beyond the data, or why there are none."""

    seconds: float | None
    cpu_seconds: float | None
    extra_mb: float | None
    reason: str = ""


def run(job: Job, seconds: float, memory: int) -> Outcome:
    """Time a job, which may take so many seconds and so many bytes of memory."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_child, args=(job, memory, theirs))
    child.start()
    theirs.close()
    try:
        if not ours.poll(seconds):
            return Outcome(None, None, None, f"over {seconds:.0f} s")
        outcome: Outcome = ours.recv()
        return outcome
    except EOFError:
        return Outcome(None, None, None, "killed: out of memory")
    finally:
        child.kill()
        child.join()


def _child(job: Job, memory: int, out: Connection) -> None:
    """Do the job and send the outcome."""
    os.environ["PYTHONWARNINGS"] = "ignore"
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    try:
        data = make_data(job)
        prepare = {"cryomae": _ours, "scikit-activeml": _peer}[job.who]
        select = prepare(job, *data)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start, start_cpu = time.perf_counter(), time.process_time()
        chosen = select()
        seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    except MemoryError:
        out.send(Outcome(None, None, None, f"needs more than {memory / 1e9:.0f} GB"))
        return
    assert len(set(np.asarray(chosen).tolist())) == job.batch or job.who != "cryomae"
    out.send(Outcome(seconds, cpu, (after - before) * 1024 / 1e6))


Data = tuple[NDArray[np.float32], NDArray[np.float64]]


def make_data(job: Job) -> Data:
    """Descriptors in 50 clusters and probabilities of two classes, labelled rows first."""
    rng = np.random.default_rng(job.seed)
    count = job.candidates + LABELLED
    centres = 2 * rng.standard_normal((50, job.features), dtype=np.float32)
    x = rng.standard_normal((count, job.features), dtype=np.float32)
    x += centres[rng.integers(50, size=count)]
    p = 1 / (1 + np.exp(-x @ rng.standard_normal(job.features) / np.sqrt(job.features)))
    return x, np.stack([1 - p, p], axis=1)


def _ours(job: Job, x: NDArray[np.float32], proba: NDArray[np.float64]) -> Callable[[], object]:
    """A selection by cryomae."""
    from cryomae.sampler import Labelled, PoolView, create_strategy

    ids = np.arange(len(x))
    rng = np.random.default_rng(job.seed)
    head = np.random.default_rng(1).standard_normal((job.features, 2))

    def perturb(seed: int, scale: float) -> NDArray[np.float64]:
        noise = np.random.default_rng(seed).standard_normal(head.shape)
        noise *= scale * np.linalg.norm(head) / np.linalg.norm(noise)
        logits = x[LABELLED:] @ (head + noise).astype(np.float32)
        e = np.exp((logits - logits.max(axis=1, keepdims=True)).astype(np.float64))
        return e / e.sum(axis=1, keepdims=True)

    pool = PoolView(
        ids=ids[LABELLED:],
        proba=proba[LABELLED:],
        stochastic=np.stack([proba[LABELLED:]] * 5),
        embed=x[LABELLED:],
        id_score=-np.linalg.norm(x[LABELLED:], axis=1),
        labelled=Labelled(ids[:LABELLED], ids[:LABELLED] % 2, embed=x[:LABELLED]),
        perturb=perturb,
    )
    strategy = create_strategy(job.strategy)
    return lambda: strategy.select(pool, job.batch, rng).ids


def _peer(job: Job, x: NDArray[np.float32], proba: NDArray[np.float64]) -> Callable[[], object]:
    """A selection by scikit-activeml; of BADGE and uncertainty without the model's own time."""
    from skactiveml import pool as peer
    from skactiveml.classifier import SklearnClassifier
    from skactiveml.utils import simple_batch
    from sklearn.linear_model import LogisticRegression

    y = np.full(len(x), np.nan)
    y[:LABELLED] = np.arange(LABELLED) % 2

    def uncertainty() -> object:
        scores = peer.uncertainty_scores(proba[LABELLED:], method="margin_sampling")
        return simple_batch(scores, random_state=job.seed, batch_size=job.batch)

    if job.strategy == "uncertainty":
        return uncertainty
    if job.strategy == "badge":
        model = SklearnClassifier(LogisticRegression(), classes=[0, 1]).fit(x, y)
        badge = peer.Badge(random_state=job.seed)
        return partial(badge.query, x, y, clf=model, fit_clf=False, batch_size=job.batch)
    names = {
        "kcenter": peer.CoreSet,
        "typiclust": peer.TypiClust,
        "probcover": peer.ProbCover,
        "random": peer.RandomSampling,
    }
    return partial(names[job.strategy](random_state=job.seed).query, x, y, batch_size=job.batch)
