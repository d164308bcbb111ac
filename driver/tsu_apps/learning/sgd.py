"""The baseline: a multilayer perceptron of the same size, trained by backpropagation on the host, without a chip."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.neural_network import MLPClassifier
from sklearn.utils.validation import check_is_fitted

from tsu_apps.learning.history import Counters, Listener, Moment
from tsu_apps.learning.masters import Floats
from tsu_apps.learning.progress import Bar


@dataclass(eq=False, repr=False)
class Sgd(BaseEstimator):  # type: ignore[misc]
    """A classifier with tanh hidden layers, trained by stochastic gradient descent with momentum 0.9.

    hidden : (layers,) sizes of the hidden layers
    epochs : passes over the examples
    eta : learning rate
    weathering : L2 penalty
    batch : examples of an update
    seed : draws the weights to begin with, and the order of the examples

    After `fit`: model_, the scikit-learn classifier; history_, a Moment for each epoch, in which a tick is an update and no
    energies exist; counters_, whose chip part is 0.
    """

    hidden: Sequence[int] = (100,)
    _: KW_ONLY
    epochs: int = 100
    eta: float = 0.05
    weathering: float = 1e-3
    batch: int = 32
    seed: int = 0

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        validation: tuple[ArrayLike, ArrayLike] | None = None,
        progress: Listener | bool = True,
    ) -> Self:
        """Train; X (n, pixels) of -1 and +1, y (n,) classes, validation and progress as in `ChipEstimator.fit`."""
        begun = time.perf_counter()
        pixels, classes = np.asarray(X, np.float64), np.asarray(y)
        batch, known = min(self.batch, len(pixels)), np.unique(classes)
        self.model_ = MLPClassifier(
            tuple(self.hidden),
            activation="tanh",
            solver="sgd",
            learning_rate_init=self.eta,
            alpha=self.weathering,
            batch_size=batch,
            random_state=self.seed,
        )
        updates = -(-len(pixels) // batch)
        history: list[Moment] = []
        with ExitStack() as stack:
            listener = stack.enter_context(Bar()) if progress is True else progress or None
            for epoch in range(1, self.epochs + 1):
                before = [w.copy() for w in getattr(self.model_, "coefs_", [])]
                self.model_.partial_fit(pixels, classes, classes=known)
                accuracy = np.nan if validation is None else self.score(*validation)
                moment = _moment(epoch * updates, self.epochs * updates, _change(before, self.model_.coefs_) / updates, accuracy)
                history.append(moment)
                if listener:
                    listener(moment)
        self.history_ = tuple(history)
        done = self.epochs * updates
        operations = self.epochs * len(pixels) * self._per_example() + done * 2 * self._weights()
        self.counters_ = Counters(done, 0, 0.0, 0.0, time.perf_counter() - begun, 0, 0, 0, operations)
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """(n,) classes of (n, pixels) examples."""
        check_is_fitted(self, "model_")
        classes: NDArray[Any] = self.model_.predict(np.asarray(X, np.float64))
        return classes

    def label_means(self, X: ArrayLike) -> Floats:
        """(n, classes) means of label spins in -1 .. 1, as `ChipEstimator.label_means`: 2 P(class) - 1."""
        check_is_fitted(self, "model_")
        means: Floats = 2.0 * self.model_.predict_proba(np.asarray(X, np.float64)) - 1.0
        return means

    def score(self, X: ArrayLike, y: ArrayLike) -> float:
        """Accuracy of `predict`."""
        return float(np.mean(self.predict(X) == np.asarray(y)))

    def _per_example(self) -> int:
        """Multiply-adds of an example: forward, gradient, and errors carried back through all layers but the first."""
        sizes: list[int] = [int(w.size) for w in self.model_.coefs_]
        return 3 * sum(sizes) - sizes[0]

    def _weights(self) -> int:
        """Weights and biases, for each of which an update takes a step and a momentum."""
        return sum(int(w.size) for w in (*self.model_.coefs_, *self.model_.intercepts_))


def _moment(tick: int, ticks: int, change: float, accuracy: float) -> Moment:
    nothing = np.nan
    return Moment(tick, ticks, nothing, nothing, nothing, nothing, change, nothing, nothing, nothing, accuracy)


def _change(before: list[Floats], after: list[Floats]) -> float:
    """Root-mean-square change of the weights; NaN for the first epoch, which has no before."""
    if not before:
        return np.nan
    return float(np.sqrt(np.mean(np.concatenate([(a - b).ravel() for a, b in zip(after, before, strict=True)]) ** 2)))
