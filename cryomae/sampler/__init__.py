"""Active learning: strategies that choose which candidates to label next.

Numpy in, numpy out, and usable alone: nothing here imports the rest of cryomae. A `PoolView`
holds what is known of the candidates, a strategy turns it into a `Selection`::

    pool = PoolView(ids=ids, proba=proba, embed=embed)
    batch = create_strategy("badge").select(pool, 20, np.random.default_rng(0))
"""

from cryomae.sampler import deep, meta, scores, select
from cryomae.sampler.errors import MissingNeed, SamplerError
from cryomae.sampler.guards import Exclude, MaxPerGroup, MinDistance
from cryomae.sampler.pool import Labelled, Need, PoolView
from cryomae.sampler.registry import available, create_strategy, list_strategies, register
from cryomae.sampler.selection import Selection
from cryomae.sampler.strategy import Strategy, compose

__all__ = [
    "Exclude",
    "Labelled",
    "MaxPerGroup",
    "MinDistance",
    "MissingNeed",
    "Need",
    "PoolView",
    "SamplerError",
    "Selection",
    "Strategy",
    "available",
    "compose",
    "create_strategy",
    "deep",
    "list_strategies",
    "meta",
    "register",
    "scores",
    "select",
]
