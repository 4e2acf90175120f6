"""Published figures of uncertainty sampling, seed by seed.

`ariapoy/active-learning-benchmark` (MIT) committed the AUBC of each of its runs; ours must be
the same runs, through the same strategy, task model and loop that everything else uses.
"""

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryomae.sampler import create_strategy
from cryomae.sampler.benchmark import Dataset, Protocol, load_dataset, run_experiment
from cryomae.sampler.benchmark.splits import Split

SEEDS = 100


def published_split(dataset: Dataset, seed: int) -> Split:
    """Shuffle all rows, train on the first 60 %, shuffle those with the same seed, label 20."""
    order = np.arange(len(dataset.y))
    np.random.default_rng(seed).shuffle(order)
    cut = int(len(order) * 0.6)
    train = order[:cut].copy()
    np.random.default_rng(seed).shuffle(train)
    return Split(train, np.arange(20), order[cut:])


def published_aubc(file: str, seed: int) -> float:
    """AUBC as that project defines it: without the first point, divided by the points left."""
    data = load_dataset(file)
    curve = run_experiment(
        data,
        create_strategy("uncertainty"),
        Protocol(batch=1, budget=1.0),
        seed,
        split=published_split(data, seed),
    )
    return float(np.trapezoid(curve.accuracy[1:], dx=1) / len(curve.accuracy[1:]))


def differences(data_dir: Path, name: str, seeds: int) -> np.ndarray:
    folder = data_dir / "al"
    if not folder.is_dir():
        pytest.skip(f"no data sets of active learning: {folder} is absent")
    table = pd.read_csv(folder / "reference" / f"{name}-us-svm.csv", index_col="res_expno")
    one = partial(published_aubc, str(folder / "datasets" / f"{name}.svm"))
    if seeds < 10:
        ours = [one(seed) for seed in range(seeds)]
    else:
        with ProcessPoolExecutor(2) as pool:
            ours = list(pool.map(one, range(seeds), chunksize=5))
    return np.abs(np.array(ours) - table.loc[: seeds - 1, "res_tst_score"].to_numpy())


@pytest.mark.parametrize("name", ["appendicitis", "sonar"])
def test_first_seeds_are_the_published_ones(data_dir: Path, name: str):
    assert differences(data_dir, name, 4).max() < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["appendicitis", "sonar"])
def test_all_100_seeds_are_the_published_ones(data_dir: Path, name: str):
    different = differences(data_dir, name, SEEDS)
    assert len(different) == SEEDS
    assert (different < 1e-4).sum() == SEEDS
