"""Windows for training, read from shards as they are needed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from cryomae.shards.order import Order
from cryomae.shards.store import Reader, Shard
from cryomae.train.levels import without_mask
from cryomae.train.pool import draw_turn, maybe_noisier


class ShardWindows(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """Windows of shards, turned and mirrored; window i depends on the seed and i only.

    What is in memory does not grow with the number of micrographs: the tables of a few open
    shards, and the order of the windows of a few thousand micrographs.

    Parameters
    ----------
    shards : sequence of Shard
    window : int
        Side in working pixels.
    seed : int

    Notes
    -----
    Each is a dict of tensors: ``image`` (1, window, window) and ``valid`` likewise, 1 or 0.
    """

    def __init__(self, shards: Sequence[Shard], window: int, seed: int) -> None:
        self.reader = Reader(shards)
        self.order = Order([shard.micrographs for shard in shards], seed)
        self.window, self.seed = window, seed

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """Draw window ``index``; there is no last one."""
        rng, place = np.random.default_rng([self.seed, index]), self.order[index]
        shape = self.reader.shape(place.shard, place.micrograph)
        row, column = (int(n) for n in rng.integers(0, np.array(shape) - self.window + 1))
        turned = draw_turn(rng)
        levels = self.reader.read(place.shard, place.micrograph, row, column, self.window)
        image, valid = without_mask(levels)
        image = maybe_noisier(image, valid, rng)
        return {"image": turned(image), "valid": turned(valid.astype(np.float32))}
