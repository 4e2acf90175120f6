"""What a network says of many rows: probabilities, stochastic passes, gradients, perturbations.

Every function takes any `torch.nn.Module` that gives logits, evaluates it in chunks of
rows and leaves its parameters, statistics and modes as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from cryomae.sampler.deep.net import TaskNet
from cryomae.sampler.deep.seeds import seeded
from cryomae.sampler.errors import SamplerError

CHUNK = 8192
"""Rows evaluated at once."""

Rows = Callable[[slice], Tensor]
"""Gives the inputs of a slice of rows, as the network reads them."""


def in_chunks(count: int, of_slice: Callable[[slice], Tensor]) -> NDArray[Any]:
    """What ``of_slice`` gives for all of ``count`` rows, joined along its first axis."""
    parts = [of_slice(slice(i, i + CHUNK)).detach() for i in range(0, count, CHUNK)]
    return torch.cat(parts).numpy()


def softmax(logits: Tensor) -> Tensor:
    """Probabilities in float64, whose rows sum to 1 to the last digits."""
    return torch.softmax(logits.double(), dim=-1)


@contextmanager
def evaluating(net: nn.Module, *, dropping: bool = False) -> Iterator[None]:
    """Evaluation mode within, but for dropout layers if ``dropping``; modes as before after it.

    Batch normalisation thus uses its running statistics and does not move them, which
    the benchmark code of DeepAL+ does by putting the whole net in training mode.
    """
    before = [(module, module.training) for module in net.modules()]
    net.eval()
    if dropping:
        for layer in dropout_layers(net):
            layer.train()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in before:
            module.training = training


def dropout_layers(net: nn.Module) -> list[nn.Module]:
    """Layers that drop anything; `torch.nn.functional.dropout` in a forward is not seen."""
    return [m for m in net.modules() if isinstance(m, _DropoutNd) and m.p > 0]


def probabilities(net: nn.Module, rows: Rows, count: int) -> NDArray[np.float64]:
    """Class probabilities, shape (n, C)."""
    with evaluating(net):
        return in_chunks(count, lambda s: softmax(net(rows(s))))


def embeddings(net: TaskNet, rows: Rows, count: int) -> NDArray[np.float32]:
    """What the head reads, shape (n, d)."""
    with evaluating(net):
        return in_chunks(count, lambda s: net.embed(rows(s)))


def stochastic_probabilities(
    net: nn.Module, rows: Rows, count: int, *, passes: int, seed: int
) -> NDArray[np.float64]:
    """Class probabilities of ``passes`` passes with dropout on, shape (T, n, C).

    Gal and Ghahramani, *Dropout as a Bayesian Approximation*, ICML 2016. Each row of
    each pass draws its own mask.

    Raises
    ------
    SamplerError
        If the network has no layer that drops: all passes would be equal.
    """
    if not dropout_layers(net):
        raise SamplerError(
            "MC dropout needs a model with dropout layers (torch.nn.Dropout with p > 0): "
            "this one has none, so that all passes would be equal"
        )
    with evaluating(net, dropping=True), seeded(seed):
        parts = [
            torch.stack([softmax(net(x)) for _ in range(passes)]).numpy()
            for x in (rows(slice(i, i + CHUNK)) for i in range(0, count, CHUNK))
        ]
    return np.concatenate(parts, axis=1)


def gradient_embeddings(net: TaskNet, rows: Rows, count: int) -> NDArray[np.float64]:
    """Gradient of each row's loss, with its own prediction as label, by the head's weights.

    Ash et al., *Deep Batch Active Learning by Diverse, Uncertain Gradient Lower Bounds*
    (BADGE), ICLR 2020: ``(p - onehot(argmax p)) ⊗ h``.

    Returns
    -------
    ndarray, float64, shape (n, C * d)
        Classes outermost, as the head's weight (C, d) is laid out.
    """

    def of_slice(s: slice) -> Tensor:
        h = net.embed(rows(s))
        proba = softmax(net.head(h))
        guess = nn.functional.one_hot(proba.argmax(1), proba.shape[1])
        return ((proba - guess)[:, :, None] * h[:, None, :].double()).flatten(1)

    with evaluating(net):
        return in_chunks(count, of_slice)


def perturber(
    net: nn.Module, rows: Rows, count: int
) -> Callable[[int, float], NDArray[np.float64]]:
    """Callback of noise stability: class probabilities under perturbed parameters.

    Li et al., *Deep Active Learning with Noise Stability*, AAAI 2024: all parameters
    together, as one vector, move by ``scale`` times their norm in a random direction
    (their code moves each layer's weights by its own norm and leaves biases).

    Returns
    -------
    callable
        ``perturb(seed, scale)`` gives probabilities, shape (n, C). The network itself
        does not move; ``scale`` 0 gives what it says unperturbed.
    """

    def perturb(seed: int, scale: float) -> NDArray[np.float64]:
        generator = torch.Generator().manual_seed(seed)
        weights = {k: v.detach() for k, v in net.named_parameters()}
        noise = {k: torch.randn(v.shape, generator=generator) for k, v in weights.items()}
        reach = scale * _norm(weights) / _norm(noise)
        moved = {k: v + reach * noise[k] for k, v in weights.items()}
        with evaluating(net):
            return in_chunks(
                count, lambda s: softmax(torch.func.functional_call(net, moved, (rows(s),)))
            )

    return perturb


def _norm(tensors: dict[str, Tensor]) -> Tensor:
    """Euclidean norm of all of them as one vector."""
    return torch.stack([t.square().sum() for t in tensors.values()]).sum().sqrt()
