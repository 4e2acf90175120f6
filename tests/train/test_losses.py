"""The self-cross similarity loss does what it says to exemplars and background."""

import numpy as np
import pytest
from scipy.optimize import check_grad

from cryomae.train.losses import cross_loss, self_loss

RNG = np.random.default_rng(0)
SHOWN, REST, CHANCE = RNG.normal(size=(6, 4)), RNG.normal(size=(30, 4)), RNG.random(30)
W = RNG.normal(size=4)


def test_slopes_are_those_of_the_losses():
    assert check_grad(lambda w: self_loss(w, SHOWN)[0], lambda w: self_loss(w, SHOWN)[1], W) < 1e-5
    cross = [lambda w, n=n: cross_loss(w, SHOWN, REST, CHANCE)[n] for n in (0, 1)]
    assert check_grad(*cross, W) < 1e-5


def test_self_term_is_half_the_mean_square_between_pairs():
    along = SHOWN @ W
    pairs = [(a - b) ** 2 / 2 for i, a in enumerate(along) for b in along[:i]]
    assert self_loss(W, SHOWN)[0] == pytest.approx(np.mean(pairs))
    assert self_loss(W, SHOWN[:1])[0] == 0


def test_places_that_hold_particles_for_sure_are_not_pushed_away():
    sure = np.zeros(len(REST))
    sure[:10] = 1
    moved = REST.copy()
    moved[:10] += 100
    for n in (0, 1):
        same = cross_loss(W, SHOWN, REST, sure)[n], cross_loss(W, SHOWN, moved, sure)[n]
        assert same[0] == pytest.approx(same[1])
    assert cross_loss(W, SHOWN + W, REST, CHANCE)[0] < cross_loss(W, SHOWN, REST, CHANCE)[0]
