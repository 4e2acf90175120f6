"""Time of one selection from 100,000 candidates, in seconds of all cores together."""

import time

import numpy as np
import pytest

from cryomae.sampler import PoolView, create_strategy

MOST = {"uncertainty": 0.1, "kcenter": 10, "badge": 30, "kdpp": 10, "typiclust": 60}


@pytest.mark.slow
@pytest.mark.parametrize("name", MOST)
def test_fifty_of_a_hundred_thousand(name: str) -> None:
    rng = np.random.default_rng(0)
    pool = PoolView(
        ids=np.arange(100_000),
        proba=rng.dirichlet([1, 1], 100_000),
        embed=rng.standard_normal((100_000, 192), dtype=np.float32),
    )
    start = time.process_time()
    assert len(create_strategy(name).select(pool, 50, rng)) == 50
    assert time.process_time() - start < MOST[name]
