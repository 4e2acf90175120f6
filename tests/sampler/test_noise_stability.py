import numpy as np
import pytest
from scipy.stats import spearmanr

from cryomae.sampler import PoolView, SamplerError, create_strategy
from cryomae.sampler.select.noise_stability import deviations

RNG = np.random.default_rng


class Net:
    """Two layers with a softmax: small enough for the Jacobian in all its parameters."""

    def __init__(self, x: np.ndarray, hidden: int = 16, classes: int = 10) -> None:
        rng = RNG(0)
        self.x = x
        self.shapes = [(x.shape[1], hidden), (hidden,), (hidden, classes), (classes,)]
        self.theta = np.concatenate([rng.normal(size=s).ravel() for s in self.shapes])

    def __call__(self, theta: np.ndarray) -> np.ndarray:
        parts, start = [], 0
        for shape in self.shapes:
            parts.append(theta[start : start + np.prod(shape)].reshape(shape))
            start += int(np.prod(shape))
        logits = np.tanh(self.x @ parts[0] + parts[1]) @ parts[2] + parts[3]
        e = np.exp(logits - logits.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    def perturb(self, seed: int, scale: float) -> np.ndarray:
        noise = RNG(seed).normal(size=self.theta.shape)
        noise *= scale * np.linalg.norm(self.theta) / np.linalg.norm(noise)
        return self(self.theta + noise)

    def jacobian_norm(self) -> np.ndarray:
        total = np.zeros(len(self.x))
        for i in range(len(self.theta)):
            step = np.zeros_like(self.theta)
            step[i] = 1e-5
            slope = (self(self.theta + step) - self(self.theta - step)) / 2e-5
            total += np.square(slope).sum(1)
        return np.sqrt(total)


def test_deviation_ranks_as_the_norm_of_the_jacobian() -> None:
    net = Net(RNG(1).normal(size=(300, 6)))
    base = np.linalg.norm(net(net.theta), axis=1)
    z = deviations(net.perturb, np.arange(200), 1e-3)
    size = np.linalg.norm(z, axis=1) * base
    assert spearmanr(size, net.jacobian_norm()).statistic >= 0.99
    expected = net.jacobian_norm() * np.linalg.norm(net.theta) * np.sqrt(200 / len(net.theta))
    np.testing.assert_allclose(np.median(size / expected), 1, atol=0.03)


def test_small_noise_gives_the_same_deviations_at_any_scale() -> None:
    net = Net(RNG(1).normal(size=(40, 6)))
    one, other = (deviations(net.perturb, np.arange(5), s) for s in (1e-3, 1e-4))
    assert np.abs(one - other).max() < 0.01 * np.abs(one).max()


def test_the_first_moves_most_and_a_twin_comes_late() -> None:
    x = RNG(2).normal(size=(50, 6))
    net = Net(x)
    pool = PoolView(ids=np.arange(50), perturb=net.perturb)
    first = create_strategy("noise_stability").select(pool, 1, RNG(5))
    z = deviations(net.perturb, RNG(5).integers(2**31, size=10), 1e-3)
    assert first.ids[0] == np.linalg.norm(z, axis=1).argmax()
    twin = Net(np.concatenate([x, x[first.index]]))
    pool = PoolView(ids=np.arange(51), perturb=twin.perturb)
    many = create_strategy("noise_stability").select(pool, 50, RNG(5)).ids.tolist()
    assert not {50, int(first.ids[0])} <= set(many[:-1])


def test_a_model_that_nothing_moves_still_gives_a_batch() -> None:
    still = PoolView(ids=np.arange(9), perturb=lambda seed, scale: np.full((9, 2), 0.5))
    assert len(create_strategy("noise_stability").select(still, 4, RNG(0))) == 4


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (np.full((9, 2), np.nan), "finite numbers of shape"),
        (np.zeros(9), "finite numbers of shape"),
        (np.zeros((7, 2)), "7 rows for 9 candidates"),
    ],
)
def test_bad_outputs_are_named(output: np.ndarray, message: str) -> None:
    pool = PoolView(ids=np.arange(9), perturb=lambda seed, scale: output)
    with pytest.raises(SamplerError, match=message):
        create_strategy("noise_stability").select(pool, 2, RNG(0))
