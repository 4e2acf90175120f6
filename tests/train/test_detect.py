"""The particle loss looks only where truth is known."""

import torch

from cryomae.train.detect import particle_loss


def test_where_truth_is_unknown_nothing_is_learned():
    logits = torch.randn(1, 1, 4, 4, requires_grad=True)
    weight = torch.zeros(1, 1, 4, 4)
    weight[..., :2] = 1
    particle_loss(logits, torch.rand(1, 1, 4, 4), weight).backward()
    assert (logits.grad[..., 2:] == 0).all()
    assert (logits.grad[..., :2] != 0).all()


def test_the_best_score_is_the_target():
    target = torch.full((1, 1, 2, 2), 0.3)
    known = torch.ones_like(target)
    losses = [particle_loss(torch.logit(torch.full_like(target, p)), target, known) for p in
              (0.2, 0.3, 0.4)]  # fmt: skip
    assert losses[1] < min(losses[0], losses[2])
