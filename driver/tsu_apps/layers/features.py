"""Fixed random features that cells draw, for a linear readout, and the Gaussian process that they tend to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeClassifier

from tsu_apps.layers.laws import Floats, Law
from tsu_apps.layers.twin import Layer

NODES = 64
"""Of Gauss-Hermite quadrature, in each of two dimensions."""


class RandomFeatures:
    """phi(x) = average output of cells whose drives are x W + b, with W and b drawn once and never trained.

    layer : who draws; it may be exchanged
    """

    def __init__(self, layer: Layer, inputs: int, width: int, spread: tuple[float, float], seed: int) -> None:
        """`width` features; spread : standard deviations of the elements of W and of b."""
        rng = np.random.default_rng(seed)
        self.layer = layer
        self._weights = rng.normal(0.0, spread[0], (inputs, width))
        self._biases = rng.normal(0.0, spread[1], width)

    def __call__(self, X: Floats, samples: int | None) -> Floats:
        """(n, width) features of (n, inputs) inputs, averages of so many draws, None for exact ones of a twin."""
        return self.layer.average(X @ self._weights + self._biases, samples)


def readout(features: Floats, classes: NDArray[np.int64], penalty: float) -> RidgeClassifier:
    """A linear classifier of (n, width) features, trained by ridge regression; penalty : of the squared weights."""
    return RidgeClassifier(alpha=penalty).fit(features, classes)


def limit_kernel(law: Law, X: Floats, Z: Floats, spread: tuple[float, float]) -> Floats:
    """(n, m) E[phi(x) phi(z)] over W and b, the kernel that phi . phi / width of exact features tends to.

    The drives u, v of two inputs are jointly normal; the expectation of mean(u) mean(v) is taken by Gauss-Hermite quadrature.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    weights = weights / weights.sum()
    cross = spread[0] ** 2 * X @ Z.T + spread[1] ** 2
    var_x, var_z = (spread[0] ** 2 * (A**2).sum(axis=1) + spread[1] ** 2 for A in (X, Z))
    share = cross / var_x[:, None]
    rest = np.sqrt(np.maximum(var_z - share * cross, 0.0))
    u = np.sqrt(var_x)[:, None] * nodes
    first = law.mean(u) * weights
    kernel = np.empty_like(cross)
    for i in range(len(X)):
        v = share[i, :, None, None] * u[i][:, None] + rest[i, :, None, None] * nodes
        kernel[i] = (law.mean(v) @ weights) @ first[i]
    return kernel
