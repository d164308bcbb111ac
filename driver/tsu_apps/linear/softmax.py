"""Softmax regression, its gradient and its Fisher matrix, and descent by any rule that makes directions of these two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_apps.linear.averages import Floats

Rule = Callable[[Floats, Floats], Floats]
"""From the Fisher matrix (n, n) and the gradient (n,) to a direction (n,) that is stepped against."""


@dataclass(frozen=True)
class Softmax:
    """log p(class) = w_class . x + const, the last class's weights being 0, so that no direction is without effect.

    features : columns of X; classes : at least 2. Parameters: (classes - 1) x features, flat.
    """

    features: int
    classes: int

    @property
    def parameters(self) -> int:
        """How many there are."""
        return (self.classes - 1) * self.features

    def probabilities(self, w: Floats, X: Floats) -> Floats:
        """(n, classes) of X, (n, features)."""
        logits = np.zeros((len(X), self.classes))
        logits[:, :-1] = X @ w.reshape(self.classes - 1, self.features).T
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(p / p.sum(axis=1, keepdims=True))

    def loss(self, w: Floats, X: Floats, y: NDArray[np.int64]) -> float:
        """Mean of -ln p(y), nats."""
        return float(-np.log(self.probabilities(w, X)[np.arange(len(y)), y]).mean())

    def gradient(self, w: Floats, X: Floats, y: NDArray[np.int64]) -> Floats:
        """(parameters,) of `loss`."""
        wrong = self.probabilities(w, X)
        wrong[np.arange(len(y)), y] -= 1.0
        return np.asarray((wrong[:, :-1].T @ X / len(y)).ravel())

    def fisher(self, w: Floats, X: Floats) -> Floats:
        """(parameters, parameters) mean over X of (diag p - p p^T) x (x x^T): Fisher matrix and Hessian of `loss`."""
        p = self.probabilities(w, X)[:, :-1]
        inner = p[:, :, None] * (np.eye(self.classes - 1) - p[:, None, :])
        whole = np.einsum("nab,ni,nj->aibj", inner, X, X, optimize=True) / len(X)
        return np.asarray(whole.reshape(self.parameters, self.parameters))


def train(
    model: Softmax, X: ArrayLike, y: ArrayLike, rule: Rule, *, rate: float, steps: int, batch: int, seed: int
) -> tuple[Floats, Floats]:
    """((parameters,) weights, (steps + 1,) losses on all of X before the first and after each step), from weights of 0.

    X : (n, features); y : (n,) classes; batch : examples drawn for a step, with replacement, by a generator of `seed`
    rule : gives the direction; the weights move by -rate times it
    ValueError says what is wrong with X or y.
    """
    inputs, classes = np.asarray(X, np.float64), np.asarray(y)
    if inputs.ndim != 2 or inputs.shape[1] != model.features or classes.shape != inputs.shape[:1]:
        raise ValueError(f"X has shape {inputs.shape} and y {classes.shape}; (n, {model.features}) and (n,) are expected")
    if classes.dtype.kind not in "iu" or not ((classes >= 0) & (classes < model.classes)).all():
        raise ValueError(f"y holds something else than the classes 0 .. {model.classes - 1}")
    rng, w = np.random.default_rng(seed), np.zeros(model.parameters)
    losses = [model.loss(w, inputs, classes)]
    for _ in range(steps):
        drawn = rng.integers(len(inputs), size=batch)
        some, theirs = inputs[drawn], classes[drawn]
        w = w - rate * rule(model.fisher(w, some), model.gradient(w, some, theirs))
        losses.append(model.loss(w, inputs, classes))
    return w, np.array(losses)
