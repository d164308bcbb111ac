"""Networks on the host whose nonlinearities are cells: matrix products are digital, the cells draw. Backpropagation by hand.

A part takes (..., n) arrays forward and gradients of a loss backward, in this order; it remembers what it needs in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tsu_apps.layers.laws import Floats, Law
from tsu_apps.layers.twin import Layer, TwinLayer


@dataclass
class Parameter:
    """An array that is trained, and the gradient that `backward` left."""

    value: Floats
    gradient: Floats

    @classmethod
    def normal(cls, shape: tuple[int, ...], sigma: float, rng: np.random.Generator) -> Parameter:
        """Normal deviates of standard deviation sigma."""
        return cls(rng.normal(0.0, sigma, shape), np.zeros(shape))


class Part:
    """A part of a network; `parts` are those that it is made of."""

    parts: Sequence[Part] = ()

    def forward(self, x: Floats) -> Floats:
        """Output of an input."""
        raise NotImplementedError

    def backward(self, upstream: Floats) -> Floats:
        """Gradient by the input, given that by the output; sets the gradients of the parameters."""
        raise NotImplementedError

    def parameters(self) -> Iterator[Parameter]:
        """Everything that is trained."""
        for part in self.parts:
            yield from part.parameters()

    def cells(self) -> Iterator[Cells]:
        """Every place where cells draw, in the order of the parts."""
        for part in self.parts:
            yield from part.cells()


class Dense(Part):
    """x W + b over the last axis; ValueError if it is not as long as W has rows."""

    def __init__(self, inputs: int, outputs: int, rng: np.random.Generator) -> None:
        """Weights begin as normal deviates of variance 1 / inputs, biases at 0."""
        self.weights = Parameter.normal((inputs, outputs), inputs**-0.5, rng)
        self.biases = Parameter(np.zeros(outputs), np.zeros(outputs))

    def forward(self, x: Floats) -> Floats:
        if x.shape[-1:] != self.weights.value.shape[:1]:
            raise ValueError(f"inputs of shape {x.shape}; the last axis must be {len(self.weights.value)} long")
        self._x = x
        y: Floats = x @ self.weights.value + self.biases.value
        return y

    def backward(self, upstream: Floats) -> Floats:
        flat = upstream.reshape(-1, upstream.shape[-1])
        self.weights.gradient = self._x.reshape(-1, self._x.shape[-1]).T @ flat
        self.biases.gradient = flat.sum(axis=0)
        down: Floats = upstream @ self.weights.value.T
        return down

    def parameters(self) -> Iterator[Parameter]:
        yield self.weights
        yield self.biases


class Cells(Part):
    """Units whose outputs cells draw: the input is their drives, the output an average of draws.

    layer : who draws, a twin or a chip; samples : how many draws are averaged, None for the twin's exact mean
    advantage : None while gradients go back through the mean of the law, which of sampled outputs is the straight-through
        estimator; else (batch,) losses by which the score of the draws is weighted (REINFORCE), batch being the first axis
    """

    def __init__(self, law: Law) -> None:
        """Cells of a law, exact until told otherwise."""
        self.law = law
        self.layer: Layer = TwinLayer(law)
        self.samples: int | None = None
        self.advantage: Floats | None = None

    def forward(self, x: Floats) -> Floats:
        self._drive, self._output = x, self.layer.average(x, self.samples)
        return self._output

    def backward(self, upstream: Floats) -> Floats:
        if self.advantage is None:
            return self.law.pull(self._drive, upstream)
        score = self.law.score(self._drive, self._output)
        return score * self.advantage.reshape(-1, *[1] * (score.ndim - 1))

    def cells(self) -> Iterator[Cells]:
        yield self


class Chain(Part):
    """Parts one after the other."""

    def __init__(self, *parts: Part) -> None:
        self.parts = parts

    def forward(self, x: Floats) -> Floats:
        for part in self.parts:
            x = part.forward(x)
        return x

    def backward(self, upstream: Floats) -> Floats:
        for part in reversed(self.parts):
            upstream = part.backward(upstream)
        return upstream


class Residual(Part):
    """x + inner(x)."""

    def __init__(self, inner: Part) -> None:
        self.parts = (inner,)

    def forward(self, x: Floats) -> Floats:
        return x + self.parts[0].forward(x)

    def backward(self, upstream: Floats) -> Floats:
        return upstream + self.parts[0].backward(upstream)


def perceptron(widths: Sequence[int], law: Law, seed: int) -> Chain:
    """Dense layers of these widths, from inputs to outputs, with cells in between."""
    rng = np.random.default_rng(seed)
    parts: list[Part] = []
    for inputs, outputs in pairwise(widths):
        parts += [Dense(inputs, outputs, rng), Cells(law)]
    return Chain(*parts[:-1])


def feed_forward(width: int, hidden: int, law: Law, rng: np.random.Generator) -> Residual:
    """The feed-forward block of a transformer with cells in its middle: x + W2 cells(W1 x)."""
    return Residual(Chain(Dense(width, hidden, rng), Cells(law), Dense(hidden, width, rng)))


def deploy(network: Part, layer_of: Callable[[Law], Layer], samples: int | None) -> None:
    """Let all cells of a network be drawn by `layer_of(law)`, so many draws averaged; None for the exact means of twins."""
    for cells in network.cells():
        cells.layer, cells.samples, cells.advantage = layer_of(cells.law), samples, None
