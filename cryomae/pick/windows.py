"""Dense scores of a working image from overlapping windows.

Attention spans one window, so a score depends on which window it was computed in. The
windows therefore lie on one fixed grid and are blended with fixed weights; how many of
them are computed at a time changes nothing but memory.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cryomae.model.detector import STRIDE, ParticleDetector

OVERLAP = 32
"""Working pixels that neighbouring windows share: one particle diameter."""


def window_origins(side: int, window: int) -> NDArray[np.int64]:
    """First pixel of each window along one side, the first of them before the edge."""
    step = window - OVERLAP
    return np.arange(-(-side // step)) * step - OVERLAP // 2


def _ramp(window: int) -> Tensor:
    """Blending weight along one side of a window's score map; neighbours add up to 1."""
    place = (torch.arange(window // STRIDE) + 0.5) * STRIDE
    rise = (place / OVERLAP).clamp(max=1)
    return torch.minimum(rise, rise.flip(0))


@torch.inference_mode()
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
    window = model.config.window
    rows, cols = (window_origins(side, window) for side in image.shape)
    before = OVERLAP // 2
    tall = int(rows[-1]) + window + before
    wide = int(cols[-1]) + window + before
    canvas = torch.zeros(tall, wide)
    canvas[before : before + image.shape[0], before : before + image.shape[1]] = torch.from_numpy(
        image
    )
    corners = [(int(y) + before, int(x) + before) for y in rows for x in cols]

    total = torch.zeros(tall // STRIDE, wide // STRIDE)
    weight = torch.zeros_like(total)
    ramp = _ramp(window)
    blend = ramp[:, None] * ramp[None]
    size = window // STRIDE
    for start in range(0, len(corners), batch):
        part = corners[start : start + batch]
        stack = torch.stack([canvas[y : y + window, x : x + window] for y, x in part])[:, None]
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            logits = model(stack.to(device, non_blocking=True))
        for (y, x), tile in zip(part, logits[:, 0].float().cpu(), strict=True):
            place = np.s_[y // STRIDE : y // STRIDE + size, x // STRIDE : x // STRIDE + size]
            total[place] += tile * blend
            weight[place] += blend
    h, w = (-(-side // STRIDE) for side in image.shape)
    skip = before // STRIDE
    inner = np.s_[skip : skip + h, skip : skip + w]
    blended: NDArray[np.float32] = (total[inner] / weight[inner].clamp(min=1e-6)).numpy()
    return blended
