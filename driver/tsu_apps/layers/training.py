"""Training on the twin: Adam, and three ways to send gradients through units that draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tsu_apps.layers.laws import Floats, softmax
from tsu_apps.layers.network import Parameter, Part, deploy
from tsu_apps.layers.twin import TwinLayer

ESTIMATORS = ("mean", "straight-through", "reinforce")
REPLICAS = 4
"""Times that REINFORCE draws for an example; the others' mean loss is each one's baseline."""
MOMENTA, FLOOR = (0.9, 0.999), 1e-8
"""Of Adam (arXiv 1412.6980)."""

Loss = Callable[[Floats, Floats], tuple[Floats, Floats]]
"""From outputs and targets, (batch, ..) each, to the losses of the examples, (batch,), and their gradients by the outputs."""


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    estimator : "mean", gradients of the network in which cells give their means; "straight-through", one draw forward and the
        mean's gradient backward; "reinforce", draws weighted by their score
    epochs : passes over the examples; batch : examples of a step; rate : of Adam, falling linearly to 0
    seed : draws the order of the examples, and the twin's outputs
    ValueError names what is out of range.
    """

    estimator: str = "mean"
    epochs: int = 30
    batch: int = 32
    rate: float = 3e-3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.estimator not in ESTIMATORS:
            raise ValueError(f"there is no estimator {self.estimator!r}; there are {', '.join(ESTIMATORS)}")
        for name in ("epochs", "batch", "rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"TrainConfig.{name} = {getattr(self, name)}; it must be above 0")


class Adam:
    """Adam on parameters."""

    def __init__(self, parameters: list[Parameter]) -> None:
        self._parameters = parameters
        self._moments = [(np.zeros_like(p.value), np.zeros_like(p.value)) for p in parameters]
        self._steps = 0

    def step(self, rate: float) -> None:
        """Move all parameters against their gradients."""
        self._steps += 1
        first, second = (1.0 - m**self._steps for m in MOMENTA)
        for p, (mean, square) in zip(self._parameters, self._moments, strict=True):
            mean += (1.0 - MOMENTA[0]) * (p.gradient - mean)
            square += (1.0 - MOMENTA[1]) * (p.gradient**2 - square)
            p.value -= rate * (mean / first) / (np.sqrt(square / second) + FLOOR)


def cross_entropy(logits: Floats, targets: Floats) -> tuple[Floats, Floats]:
    """Loss of (batch, classes) logits against one-hot targets."""
    p = softmax(logits)
    losses: Floats = -np.log(np.maximum((p * targets).sum(axis=-1), 1e-300))
    return losses, p - targets


def squared_error(outputs: Floats, targets: Floats) -> tuple[Floats, Floats]:
    """Half the squared distance of (batch, n) outputs from targets."""
    off = outputs - targets
    losses: Floats = 0.5 * (off**2).sum(axis=-1)
    return losses, off


def train(network: Part, X: Floats, targets: Floats, loss: Loss, config: TrainConfig) -> Floats:
    """Train a network on its twin and leave it exact; returns the mean loss of every epoch, (epochs,).

    X, targets : (examples, ..), the latter as `loss` takes them; ValueError if they differ in number
    """
    if len(X) != len(targets):
        raise ValueError(f"{len(X)} examples and {len(targets)} targets; one target for each example is expected")
    rng = np.random.default_rng(config.seed)
    seeds = iter(rng.integers(1 << 32, size=1 << 10).tolist())
    deploy(network, lambda law: TwinLayer(law, next(seeds)), None if config.estimator == "mean" else 1)
    adam, losses = Adam(list(network.parameters())), np.zeros(config.epochs)
    steps = -(-len(X) // config.batch)
    for epoch in range(config.epochs):
        for k, chosen in enumerate(np.array_split(rng.permutation(len(X)), steps)):
            found = _gradients(network, X[chosen], targets[chosen], loss, config.estimator)
            losses[epoch] += found * len(chosen) / len(X)
            adam.step(config.rate * (1.0 - (epoch * steps + k) / (config.epochs * steps)))
    deploy(network, TwinLayer, None)
    return losses


def _gradients(network: Part, X: Floats, targets: Floats, loss: Loss, estimator: str) -> float:
    """Set the gradients of the mean loss of a batch; returns it."""
    if estimator != "reinforce":
        losses, gradient = loss(network.forward(X), targets)
    else:
        losses, gradient = loss(network.forward(np.tile(X, (REPLICAS, *[1] * (X.ndim - 1)))), np.tile(targets, (REPLICAS, 1)))
        each = losses.reshape(REPLICAS, -1)
        others = (each.sum(axis=0) - each) / (REPLICAS - 1)
        for cells in network.cells():
            cells.advantage = (each - others).reshape(-1) / len(losses)
    network.backward(gradient / len(losses))
    return float(losses.mean())
