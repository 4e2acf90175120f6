"""The few-shot loss draws exemplars together and leaves hidden particles alone."""

import pytest
import torch

from cryomae.train.losses import cross_similarity_loss, pu_risk, self_similarity_loss

TOGETHER = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.5, 0.0]])
APART = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])


def test_exemplars_alike_cost_nothing_whatever_their_length():
    assert self_similarity_loss(TOGETHER).item() == pytest.approx(0, abs=1e-6)
    assert self_similarity_loss(APART).item() == pytest.approx((1 + 2 + 1) / 3)


def test_one_exemplar_has_no_pair():
    assert self_similarity_loss(TOGETHER[:1]).item() == 0


def test_background_like_exemplars_costs_and_opposite_background_does_not():
    none = torch.zeros(1)
    assert cross_similarity_loss(TOGETHER, TOGETHER[:1], none).item() == pytest.approx(1)
    assert cross_similarity_loss(TOGETHER, -TOGETHER[:1], none).item() == 0


def test_a_crop_that_surely_holds_a_particle_is_not_pushed_away():
    crops = torch.tensor([[1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    cross_similarity_loss(TOGETHER, crops, torch.tensor([1.0, 0.0])).backward()
    assert torch.equal(crops.grad[0], torch.zeros(2))


def test_risk_is_never_negative_and_prefers_the_truth():
    right = pu_risk(torch.full((50,), 4.0), torch.tensor([4.0] * 3 + [-4.0] * 7), 0.3)
    all_particles = pu_risk(torch.full((50,), 4.0), torch.full((10,), 4.0), 0.3)
    assert 0 <= right < all_particles
    assert pu_risk(torch.full((50,), 9.0), torch.full((10,), -9.0), 0.9) >= 0
