"""Training the particle head together with the encoder, on simulated fields with truth."""

from __future__ import annotations

from torch import Tensor, nn

from cryomae.model.detector import ParticleDetector
from cryomae.train.loop import Batch, Task

EMPHASIS = 4.0
"""How much more a pixel at a particle's centre counts than one of background: ours, because
particles cover a few per cent of the pixels."""


def particle_loss(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Cross entropy with soft targets; at the optimum a score is the target's expectation.

    Parameters
    ----------
    logits, target, weight : Tensor, shape (b, 1, h, w)
        ``target`` as `cryomae.train.pool.target_map` makes it; ``weight`` 0 where truth is
        not known.
    """
    loss = nn.functional.binary_cross_entropy_with_logits(logits.float(), target, reduction="none")
    emphasis = weight * (1 + EMPHASIS * target)
    return (loss * emphasis).sum() / weight.sum().clamp(min=1)


class DetectionTask(Task):
    """A detector that learns where particles are."""

    def __init__(self, detector: ParticleDetector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, batch: Batch, step: int) -> Tensor:
        """Mean loss over the batch."""
        return particle_loss(self.detector(batch["image"]), batch["target"], batch["weight"])
