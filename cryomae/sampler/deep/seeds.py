"""Random numbers of torch that leave the caller's alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within it torch draws on the CPU from ``seed``; afterwards as if nothing had been drawn.

    Layers initialise themselves and drop from torch's global generator, which takes no
    other. `torch.manual_seed` is avoided because it would reseed GPUs for good.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
