"""The network's mean-field twin: what the chip's averages go to, and backpropagation through it.

A cell hears z from the means of the layer before and, from its fluctuating spins, a variance v = sum W^2 (1 - m^2) about it. The
mean of tanh over that noise is about tanh(z / sqrt(1 + pi v / 2)) (MacKay, Neural Computation 4, 720 (1992), eq. 10, with
tanh z = 2 sigma(2 z) - 1). Cells hear no later layer here: the twin is that of a directed network (`back` = 0).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from tsu_apps.feedforward.placement import Floats, shapes

NOISE = np.pi / 2
BATCH = 64
DECAYS, SMALL = (0.9, 0.999), 1e-8
"""Of Adam's averages (Kingma and Ba, arXiv 1412.6980), and what keeps its division from 0."""


def means(weights: Sequence[ArrayLike], biases: Sequence[ArrayLike], eps: float, X: ArrayLike) -> Floats:
    """(n, classes) means of the output cells for inputs (n, inputs); the network as for `FeedForward`."""
    W, B = _arrays(weights), _arrays(biases)
    shapes(W, B)
    return _forward(W, B, eps, np.asarray(X, np.float64))[-1].mean


def loss(
    weights: Sequence[ArrayLike], biases: Sequence[ArrayLike], X: ArrayLike, y: ArrayLike, *, eps: float, looks: int
) -> tuple[float, list[Floats]]:
    """(loss, gradients by the weights and then by the biases) of examples (n, inputs) of classes (n,).

    The loss is the mean cross entropy of softmax(sqrt(looks) m): a mean m over so many sweeps is known to about
    1 / sqrt(looks), so a difference of means counts in that unit.
    """
    W, B, classes, scale = _arrays(weights), _arrays(biases), np.asarray(y), np.sqrt(looks)
    layers = _forward(W, B, eps, np.asarray(X, np.float64))
    logits = scale * layers[-1].mean
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    right = np.arange(len(classes)), classes
    entropy = -float(np.log(p[right]).mean())
    p[right] -= 1.0
    return entropy, _backward(W, eps, layers, scale * p / len(classes))


def _arrays(given: Sequence[ArrayLike]) -> list[Floats]:
    return [np.asarray(array, np.float64) for array in given]


class _Layer:
    """One layer's means and what backpropagation needs of them; arrays (n, units)."""

    def __init__(self, mean: Floats, z: Floats | None = None, shrink: Floats | None = None) -> None:
        self.mean, self.z, self.shrink = mean, z, shrink
        self.variance = 1.0 - mean**2


def _forward(W: list[Floats], B: list[Floats], eps: float, X: Floats) -> list[_Layer]:
    """All layers, inputs first; inputs are clamped and do not fluctuate."""
    layers = [_Layer(X)]
    for k, (w, b) in enumerate(zip(W, B, strict=True)):
        before, gain = layers[-1], eps**k
        z = gain * (before.mean @ w + b)
        v = gain**2 * before.variance @ w**2 if k else np.zeros_like(z)
        shrink = 1 / np.sqrt(1 + NOISE * v)
        layers.append(_Layer(np.tanh(z * shrink), z, shrink))
    return layers


def _backward(W: list[Floats], eps: float, layers: list[_Layer], slope: Floats) -> list[Floats]:
    """Gradients of weights, then of biases, from the gradient (n, classes) of the outputs' means."""
    of_w, of_b = [], []
    for k in reversed(range(len(W))):
        before, after, gain = layers[k], layers[k + 1], eps**k
        assert after.z is not None
        assert after.shrink is not None
        field = slope * after.variance
        dz, dv = field * after.shrink, -0.5 * NOISE * field * after.z * after.shrink**3 if k else np.zeros_like(field)
        of_w.append(gain * before.mean.T @ dz + 2 * gain**2 * W[k] * (before.variance.T @ dv))
        of_b.append(gain * dz.sum(axis=0))
        slope = gain * dz @ W[k].T - 2 * gain**2 * before.mean * (dv @ W[k].T ** 2)
    return of_w[::-1] + of_b[::-1]


def train(
    weights: Sequence[ArrayLike],
    biases: Sequence[ArrayLike],
    X: ArrayLike,
    y: ArrayLike,
    *,
    eps: float,
    looks: int,
    epochs: int = 60,
    rate: float = 2e-3,
    decay: float = 1e-4,
    seed: int = 0,
) -> tuple[list[Floats], list[Floats]]:
    """(weights, biases) tuned by `loss` so that averages over `looks` sweeps tell the classes.

    Adam, mini-batches of 64, the rate falling to 0 in a straight line.

    weights, biases, eps : where to begin, as for `FeedForward`
    X : (n, inputs) of -1 and +1; y : (n,) classes
    decay : of the weights, added to the gradient as decay x W; seed : orders the examples
    ValueError says which array does not fit.
    """
    W, B = [np.array(w, np.float64) for w in weights], [np.array(b, np.float64) for b in biases]
    sizes = shapes(W, B)
    inputs, classes = np.asarray(X, np.float64), np.asarray(y)
    if inputs.ndim != 2 or inputs.shape[1] != sizes[0] or classes.shape != inputs.shape[:1]:
        raise ValueError(f"X has shape {inputs.shape} and y {classes.shape}; (n, {sizes[0]}) and (n,) are expected")
    if classes.dtype.kind not in "iu" or not ((classes >= 0) & (classes < sizes[-1])).all():
        raise ValueError(f"y holds something else than the classes 0 .. {sizes[-1] - 1}")
    if looks < 1 or epochs < 1:
        raise ValueError(f"looks = {looks}, epochs = {epochs}; at least 1 of each is expected")
    rng, adam = np.random.default_rng(seed), _Adam(W + B)
    batches = -(-len(inputs) // BATCH)
    for epoch in range(epochs):
        for drawn in np.array_split(rng.permutation(len(inputs)), batches):
            gradients = loss(W, B, inputs[drawn], classes[drawn], eps=eps, looks=looks)[1]
            for w, gradient in zip(W, gradients, strict=False):
                gradient += decay * w
            adam.step(gradients, rate * (1 - epoch / epochs))
    return W, B


class _Adam:
    """Adam on a list of arrays, which it changes in place."""

    def __init__(self, parameters: list[Floats]) -> None:
        self._parameters = parameters
        self._averages = [(np.zeros_like(p), np.zeros_like(p)) for p in parameters]
        self._steps = 0

    def step(self, gradients: list[Floats], rate: float) -> None:
        """One step."""
        self._steps += 1
        first, second = (1 - d**self._steps for d in DECAYS)
        for parameter, gradient, (m, v) in zip(self._parameters, gradients, self._averages, strict=True):
            m += (1 - DECAYS[0]) * (gradient - m)
            v += (1 - DECAYS[1]) * (gradient**2 - v)
            parameter -= rate * (m / first) / (np.sqrt(v / second) + SMALL)
