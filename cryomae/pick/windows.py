"""Dense scores of a working image from overlapping windows.

Attention spans one window, so a score depends on which window it was computed in. The
windows therefore lie where the size of the image says and are blended with fixed weights; how
many of them are computed at a time changes nothing but memory.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cryomae.model.detector import ParticleDetector
from cryomae.sizes import CELL, COARSE, STRIDE

OVERLAP = 32
"""Working pixels that neighbouring windows share at least: one particle diameter."""


def window_origins(side: int, window: int) -> NDArray[np.int64]:
    """First pixel of each window along one side: as few windows as cover it, evenly spread.

    Parameters
    ----------
    side, window : int
        Working pixels.

    Returns
    -------
    ndarray of int, shape (n,)
        Multiples of `CELL`, so that the cells of all windows lie on one grid. A window that is
        longer than the side begins before it.
    """
    count = max(1, -(-(side - OVERLAP) // (window - OVERLAP)))
    if count == 1:
        return np.array([-((window - side) // 2 // CELL) * CELL])
    return np.ceil(np.linspace(0, side - window, count) / CELL).astype(np.int64) * CELL


def count_windows(shape: tuple[int, int], window: int) -> int:
    """Windows that cover an image of this shape."""
    return len(window_origins(shape[0], window)) * len(window_origins(shape[1], window))


def score_logits(
    image: NDArray[np.float32],
    model: ParticleDetector,
    *,
    device: torch.device,
    dtype: torch.dtype,
    batch: int,
) -> NDArray[np.float32]:
    """Logits that a particle is centred at each position.

    Parameters
    ----------
    image : ndarray, float32, shape (h, w)
        Working image.
    model : ParticleDetector
        On ``device``.
    device : torch.device
    dtype : torch.dtype
        ``torch.bfloat16`` runs under autocast, ``torch.float32`` as it is.
    batch : int
        Windows computed at a time. Changes memory, not scores.

    Returns
    -------
    ndarray, float32, shape (ceil(h / STRIDE), ceil(w / STRIDE))
        Logit (i, j) belongs to working pixel ``y = i * STRIDE + (STRIDE - 1) / 2`` and
        likewise x.
    """
    frame = _Frame(image, model.config.window)
    logits = frame.blend(1, STRIDE)
    for place, (found,) in frame.through(lambda w: (model(w),), device, dtype, batch):
        logits.add(place, found)
    return logits.result()[0]


def score_and_describe(
    image: NDArray[np.float32],
    model: ParticleDetector,
    *,
    device: torch.device,
    dtype: torch.dtype,
    batch: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits as `score_logits` gives them, and the model's latents.

    Returns
    -------
    logits : ndarray, float32, shape (ceil(h / STRIDE), ceil(w / STRIDE))
    latents : ndarray, float32, shape (COARSE, ceil(h / CELL), ceil(w / CELL))
        Latent (i, j) belongs to working pixel ``y = i * CELL + (CELL - 1) / 2`` and likewise x.
    """
    frame = _Frame(image, model.config.window)
    logits, latents = frame.blend(1, STRIDE), frame.blend(COARSE, CELL)
    for place, (found, coarse) in frame.through(model.answer, device, dtype, batch):
        logits.add(place, found)
        latents.add(place, coarse)
    return logits.result()[0], latents.result()


class _Frame:
    """An image with room for the windows that reach over its edges."""

    def __init__(self, image: NDArray[np.float32], window: int) -> None:
        self.shape, self.window = image.shape, window
        rows, cols = (window_origins(side, window) for side in image.shape)
        self.before = (-int(rows[0]), -int(cols[0]))
        self.corners = [(int(y), int(x)) for y in rows - rows[0] for x in cols - cols[0]]
        self.size = (self.corners[-1][0] + window, self.corners[-1][1] + window)
        self.canvas = torch.zeros(self.size)
        (top, left), (h, w) = self.before, image.shape
        self.canvas[top : top + h, left : left + w] = torch.from_numpy(image)

    def blend(self, channels: int, stride: int) -> "_Blend":
        """An empty map with one place for every ``stride`` pixels."""
        return _Blend(self, channels, stride)

    def through(
        self,
        network: Callable[[Tensor], tuple[Tensor, ...]],
        device: torch.device,
        dtype: torch.dtype,
        batch: int,
    ) -> Iterator[tuple[tuple[int, int], tuple[Tensor, ...]]]:
        """Corner of each window, and what a network makes of it."""
        side, canvas = self.window, self.canvas.to(device)  # once: windows overlap

        def work(part: list[tuple[int, int]]) -> list[Tensor]:
            stack = torch.stack([canvas[y : y + side, x : x + side] for y, x in part])[:, None]
            # Both hold for one thread only.
            with (
                torch.inference_mode(),
                torch.autocast(device.type, dtype, enabled=dtype != torch.float32),
            ):
                return [found.float().cpu() for found in network(stack)]

        parts = [self.corners[at : at + batch] for at in range(0, len(self.corners), batch)]
        for part, found in zip(parts, _each(work, parts, device), strict=True):
            yield from zip(part, zip(*found, strict=True), strict=True)


def _each(
    work: Callable[[list[tuple[int, int]]], list[Tensor]],
    parts: list[list[tuple[int, int]]],
    device: torch.device,
) -> Iterator[list[Tensor]]:
    """Answers to all parts, in their order; on a CPU each thread works on parts of its own.

    Threads that share one product would split its sums, so that scores would depend on how many
    there are; and they would wait for each other.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        yield from map(work, parts)
        return
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield from pool.map(work, parts)
    finally:
        torch.set_num_threads(threads)  # the last call counts for threads that begin later


class _Blend:
    """A map that windows are added to with weights that fall towards their edges."""

    def __init__(self, frame: _Frame, channels: int, stride: int) -> None:
        self.frame, self.stride, self.size = frame, stride, frame.window // stride
        tall, wide = (n // stride for n in frame.size)
        self.total = torch.zeros(channels, tall, wide)
        self.weight = torch.zeros(tall, wide)
        place = (torch.arange(self.size) + 0.5) * stride
        rise = (place / OVERLAP).clamp(max=1)
        ramp = torch.minimum(rise, rise.flip(0))
        self.ramp = ramp[:, None] * ramp[None]

    def add(self, place: tuple[int, int], found: Tensor) -> None:
        """Add what was found in the window with this corner, shape (channels, size, size)."""
        y, x = (n // self.stride for n in place)
        self.total[:, y : y + self.size, x : x + self.size] += found * self.ramp
        self.weight[y : y + self.size, x : x + self.size] += self.ramp

    def result(self) -> NDArray[np.float32]:
        """The part of the map that lies on the image, shape (channels, h, w)."""
        h, w = (-(-side // self.stride) for side in self.frame.shape)
        top, left = (before // self.stride for before in self.frame.before)
        inner = np.s_[..., top : top + h, left : left + w]
        blended: NDArray[np.float32] = (self.total / self.weight.clamp(min=1e-6))[inner].numpy()
        return blended
