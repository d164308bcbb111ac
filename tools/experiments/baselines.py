"""The comparison that everybody has at hand: scikit-learn's restricted Boltzmann machine on the same digits."""

from __future__ import annotations

from typing import Any

import digits
import numpy as np

from tsu_apps.models import Boltzmann, log_likelihood

BATCH = 32


def scikit_rbm(seed: int, rate: float, epochs: int, hidden: int = 100) -> dict[str, Any]:
    """BernoulliRBM on pixels and labels, judged as `digits.judged` does: nats by annealing, accuracy by the exact free energy."""
    from sklearn.neural_network import BernoulliRBM

    data = digits.load()
    examples, held_out = (_joint(X, y) for X, y in ((data.train, data.train_y), (data.test, data.test_y)))
    machine = BernoulliRBM(hidden, learning_rate=rate, batch_size=BATCH, n_iter=epochs, random_state=seed).fit((examples + 1) / 2)
    model = _as_spins(machine.components_.T, machine.intercept_visible_, machine.intercept_hidden_)
    found = log_likelihood(model, np.arange(examples.shape[1]), held_out)
    scores = [
        log_likelihood(model, np.arange(examples.shape[1]), _joint(data.test, np.full(len(data.test), label)), log_z=0.0).nats
        for label in range(digits.CLASSES)
    ]
    accuracy = float(np.mean(np.argmax(scores, axis=0) == data.test_y))
    return {"nats": found.mean, "accuracy": accuracy, "trusted": float(found.trusted)}


def _joint(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n, pixels and labels) spins."""
    return np.concatenate([X, np.where(y[:, None] == np.arange(digits.CLASSES), 1, -1)], axis=1).astype(np.int8)


def _as_spins(W: np.ndarray, a: np.ndarray, b: np.ndarray) -> Boltzmann:
    """The machine of units that are 0 or 1 in spins: v = (1 + s) / 2; W (visible, hidden)."""
    visible, hidden = W.shape
    pairs = np.stack(np.meshgrid(np.arange(visible), visible + np.arange(hidden), indexing="ij"), axis=-1).reshape(-1, 2)
    biases = np.concatenate([a / 2 + W.sum(axis=1) / 4, b / 2 + W.sum(axis=0) / 4])
    return Boltzmann(pairs, W.ravel() / 4, biases)
