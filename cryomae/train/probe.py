"""How much a frozen encoder knows of particles: two linear probes.

A linear layer on the tokens, and nothing else, learns to say in which cells of a window a
particle's centre lies: from many particles for others, or from a few exemplars of one particle
for the rest of it. Cells measure `CELL` working pixels whatever the size of the encoder's
patches, so that all encoders answer the same question: a token of 16 pixels answers for four
cells, four tokens of 4 pixels are averaged for one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, precision_recall_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from cryomae.errors import InputError
from cryomae.model.mae import Encoder
from cryomae.train.levels import from_levels
from cryomae.train.pool import Pool

CELL = 8
"""Side of a cell in working pixels: a quarter of a particle's diameter."""


@dataclass(frozen=True)
class Cells:
    """Windows of a pool that do not overlap, and what is true of their cells.

    Attributes
    ----------
    windows : Tensor, shape (n, 1, window, window)
    holds, known : Tensor of bool, shape (n, window / CELL, window / CELL)
        Whether a particle's centre lies in a cell, and whether that is known.
    """

    windows: Tensor
    holds: Tensor
    known: Tensor


def cut_cells(pool: Pool, window: int, most: int | None = None) -> Cells:
    """Cut a pool with truth into windows.

    Parameters
    ----------
    pool : Pool
    window : int
        Side in working pixels, a multiple of `CELL`.
    most : int, optional
        Windows at most, evenly spread over the pool.

    Raises
    ------
    InputError
        If the pool has no truth, or no windows fit.
    """
    if not pool.centres:
        raise InputError("a probe needs fields with truth", "simulate them")
    places = [
        (i, row, column)
        for i, image in enumerate(pool.images)
        for row in range(0, image.shape[0] - window + 1, window)
        for column in range(0, image.shape[1] - window + 1, window)
    ]
    if not places:
        raise InputError("the fields are smaller than a window")
    if most is not None and most < len(places):
        places = [places[int(i)] for i in np.linspace(0, len(places) - 1, most).round()]
    cut = [_cut(pool, i, row, column, window) for i, row, column in places]
    windows, holds, known = (np.stack(part) for part in zip(*cut, strict=True))
    return Cells(
        torch.from_numpy(windows)[:, None], torch.from_numpy(holds), torch.from_numpy(known)
    )


def _cut(
    pool: Pool, index: int, row: int, column: int, window: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
    grid = window // CELL
    place = np.s_[row : row + window, column : column + window]
    image = from_levels(pool.images[index][place])
    holds = np.zeros((grid, grid), bool)
    # A pixel's position is its centre: pixel 0 reaches from -0.5 to 0.5.
    cells = np.floor((pool.centres[index] - [column, row] + 0.5) / CELL).astype(int)
    cells = cells[((cells >= 0) & (cells < grid)).all(axis=1)]
    holds[cells[:, 1], cells[:, 0]] = True
    usable = pool.valids[index][place] & ~pool.ignores[index][place]
    known = np.asarray(usable.reshape(grid, CELL, grid, CELL).all(axis=(1, 3)))
    return image.astype(np.float32, copy=False), holds, known


@torch.no_grad()
def token_maps(encoder: Encoder, windows: Tensor, batch: int = 32) -> Tensor:
    """Tokens of windows as maps, half precision, shape (n, dim, grid, grid).

    Grids finer than the cells are averaged to them.
    """
    config, place = encoder.config, next(encoder.parameters()).device
    encoder.eval()
    maps = []
    for part in windows.split(batch):
        tokens = encoder(part.to(place)).float().transpose(1, 2)
        found = tokens.unflatten(2, (config.grid, config.grid))
        if config.patch < CELL:
            found = nn.functional.avg_pool2d(found, CELL // config.patch)
        maps.append(found.half().cpu())
    return torch.cat(maps)


def linear_probe(
    encoder: Encoder,
    learn: Cells,
    judge: Cells,
    *,
    neighbours: bool = False,
    epochs: int = 20,
    seed: int = 1,
) -> float:
    """Average precision of a linear layer on frozen tokens.

    Parameters
    ----------
    encoder : Encoder
    learn, judge : Cells
        Of different particles.
    neighbours : bool
        Whether the layer sees the 3 × 3 neighbourhood of a token, not the token alone.
    epochs : int
    seed : int
        Of the order of the windows.

    Returns
    -------
    float
        Over the known cells of ``judge``; guessing gives the share of cells that hold a centre.
    """
    maps, test = token_maps(encoder, learn.windows), token_maps(encoder, judge.windows)
    # Each channel gets mean 0 and unit strength, so that one rate suits all encoders.
    mean = maps.float().mean(dim=(0, 2, 3), keepdim=True)
    strength = maps.float().std(dim=(0, 2, 3), keepdim=True) + 1e-4
    fine = max(1, encoder.config.patch // CELL)
    size = 3 if neighbours else 1
    layer = nn.Conv2d(maps.shape[1], fine**2, size, padding=size // 2)
    nn.init.zeros_(layer.weight)
    share = float(learn.holds[learn.known].float().mean())
    assert layer.bias is not None
    nn.init.constant_(layer.bias, float(torch.logit(torch.tensor(share), eps=1e-4)))

    def answer(part: Tensor) -> Tensor:
        seen = (part.float() - mean) / strength
        return nn.functional.pixel_shuffle(layer(seen), fine)[:, 0]

    optimizer = torch.optim.AdamW(layer.parameters(), lr=3e-3, weight_decay=1e-2)
    generator = torch.Generator().manual_seed(seed)
    batch = 32
    total = epochs * -(-len(maps) // batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total)
    for _ in range(epochs):
        for chosen in torch.randperm(len(maps), generator=generator).split(batch):
            known = learn.known[chosen].float()
            loss = nn.functional.binary_cross_entropy_with_logits(
                answer(maps[chosen]), learn.holds[chosen].float(), reduction="none"
            )
            optimizer.zero_grad()
            ((loss * known).sum() / known.sum().clamp(min=1)).backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        scores = torch.cat([answer(part) for part in test.split(batch)])
    return float(
        average_precision_score(judge.holds[judge.known].numpy(), scores[judge.known].numpy())
    )


def few_shot_probe(
    encoder: Encoder, shown: Cells, judge: Cells, *, exemplars: int = 15, seed: int = 1
) -> float:
    """F1 of a logistic regression on frozen tokens that knows a few exemplars.

    The exemplars' cells are positive and all others of the same windows, among them the rest of
    the particles, count as negative; both classes weigh the same. The windows are seen in the
    eight ways in which a square can be turned and mirrored.

    Parameters
    ----------
    encoder : Encoder
    shown, judge : Cells
        Of the same particle, and of different micrographs.
    exemplars : int
        At most so many are drawn from ``shown``.
    seed : int
        Draws them.

    Returns
    -------
    float
        Over the known cells of ``judge``, at the threshold that is best there: encoders are
        compared by it, and it promises nothing of picking. NaN where either has no particle.
    """
    places = (shown.holds & shown.known).nonzero()
    if not len(places) or not bool((judge.holds & judge.known).any()):
        return float("nan")
    chosen = torch.randperm(len(places), generator=torch.Generator().manual_seed(seed))
    marked = torch.zeros_like(shown.holds)
    marked[tuple(places[chosen[:exemplars]].T)] = True
    ways = [(turns, flip) for turns in range(4) for flip in (False, True)]
    learn = [_place(encoder, _turned(shown.windows, *way)) for way in ways]
    known = torch.cat([_turned(shown.known, *way) for way in ways]).numpy()
    labels = torch.cat([_turned(marked, *way) for way in ways]).numpy()
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=300)
    )
    model.fit(np.concatenate(learn)[known], labels[known])
    sure = judge.known.numpy()
    scores = model.decision_function(_place(encoder, judge.windows)[sure])
    precision, recall, _ = precision_recall_curve(judge.holds.numpy()[sure], scores)
    return float((2 * precision * recall / np.maximum(precision + recall, 1e-12)).max())


def _turned(maps: Tensor, turns: int, flip: bool) -> Tensor:
    turned = torch.rot90(maps, turns, (-2, -1))
    return turned.flip(-1) if flip else turned


def _place(encoder: Encoder, windows: Tensor) -> NDArray[np.float32]:
    """What the tokens say of every cell, shape (n, grid, grid, length).

    Cells that share a token take a part of the length each, as the linear probe gives each of
    them a layer of its own.
    """
    maps = token_maps(encoder, windows).float().numpy()
    fine = max(1, encoder.config.patch // CELL)
    n, dim, rows, columns = maps.shape
    out = np.zeros((n, rows, fine, columns, fine, fine**2, dim), np.float32)
    for part in range(fine**2):
        row, column = divmod(part, fine)
        out[:, :, row, :, column, part] = np.moveaxis(maps, 1, -1)
    return out.reshape(n, rows * fine, columns * fine, fine**2 * dim)
