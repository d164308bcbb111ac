"""Attention whose weights are drawn: one head, each query a pdit that names the token it attends to."""

from __future__ import annotations

import numpy as np

from tsu_apps.layers.laws import Floats, Pdit
from tsu_apps.layers.network import Cells, Dense, Part


class Attention(Part):
    """One head of attention over (batch, tokens, width) inputs.

    The logits of a query, q . k / sqrt(width), drive a pdit with as many states as there are tokens; its one-hot draws, averaged,
    are the weights of the values. So n draws differ from softmax attention by 1 / sqrt(n).
    """

    def __init__(self, tokens: int, width: int, rng: np.random.Generator) -> None:
        self._query, self._key, self._value = (Dense(width, width, rng) for _ in range(3))
        self._weights = Cells(Pdit(tokens))
        self.parts = (self._query, self._key, self._value, self._weights)
        self._scale = width**-0.5

    def forward(self, x: Floats) -> Floats:
        self._q, self._k, self._v = (part.forward(x) for part in (self._query, self._key, self._value))
        self._p = self._weights.forward(self._scale * self._q @ np.swapaxes(self._k, -1, -2))
        y: Floats = self._p @ self._v
        return y

    def backward(self, upstream: Floats) -> Floats:
        logits = self._scale * self._weights.backward(upstream @ np.swapaxes(self._v, -1, -2))
        down: Floats = (
            self._query.backward(logits @ self._k)
            + self._key.backward(np.swapaxes(logits, -1, -2) @ self._q)
            + self._value.backward(np.swapaxes(self._p, -1, -2) @ upstream)
        )
        return down


class Token(Part):
    """One token of (batch, tokens, width) inputs, the last: (batch, width)."""

    def forward(self, x: Floats) -> Floats:
        self._shape = x.shape
        return x[:, -1]

    def backward(self, upstream: Floats) -> Floats:
        down = np.zeros(self._shape)
        down[:, -1] = upstream
        return down


def recall(examples: int, tokens: int, symbols: int, seed: int) -> tuple[Floats, Floats]:
    """Associative recall: tokens - 1 pairs of a key and a value, then a key that was among them; wanted is its value.

    Returns inputs (examples, tokens, 2 symbols + 1), one-hot key, one-hot value, a mark of the question, and one-hot targets
    (examples, symbols). Keys of an example differ.
    """
    if tokens - 1 > symbols:
        raise ValueError(f"{tokens - 1} pairs need as many different keys; there are {symbols} symbols")
    rng = np.random.default_rng(seed)
    keys = np.argsort(rng.random((examples, symbols)), axis=1)[:, : tokens - 1]
    values = rng.integers(symbols, size=(examples, tokens - 1))
    asked = rng.integers(tokens - 1, size=examples)
    row, unit = np.arange(examples), np.eye(symbols)
    inputs = np.zeros((examples, tokens, 2 * symbols + 1))
    inputs[:, :-1, :symbols], inputs[:, :-1, symbols:-1] = unit[keys], unit[values]
    inputs[:, -1, :symbols], inputs[:, -1, -1] = unit[keys[row, asked]], 1.0
    return inputs, unit[values[row, asked]]
