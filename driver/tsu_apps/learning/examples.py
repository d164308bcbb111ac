"""Examples: from arrays of pixels and labels to spins and clamp words."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_apps.learning.masters import Floats
from tsu_contract.bits import pack_spins


class Layout:
    """Which cells hold pixels, and which hold labels, one for each class.

    visible : (pixels,) cell numbers
    labels : (classes,) cell numbers, none for data without labels
    """

    def __init__(self, cells: int, visible: ArrayLike, labels: ArrayLike) -> None:
        """ValueError names a cell that is used twice or that a chip of `cells` cells lacks."""
        self.cells = cells
        self.visible = _cells(visible, "visible", cells)
        self.labels = _cells(labels, "labels", cells)
        self.clamped = np.concatenate([self.visible, self.labels])
        if len(self.visible) == 0:
            raise ValueError("visible names no cell; at least one is needed")
        numbers, counts = np.unique(self.clamped, return_counts=True)
        if (counts > 1).any():
            raise ValueError(f"cell {numbers[np.argmax(counts > 1)]} is named twice among visible and labels")

    def pixels(self, X: ArrayLike) -> NDArray[np.int8]:
        """(n, pixels) spins; ValueError says which value or shape of X is wrong."""
        values = np.asarray(X)
        if values.ndim != 2 or values.shape[1] != len(self.visible):
            raise ValueError(
                f"X has shape {values.shape}; (examples, {len(self.visible)}) is expected, one spin per visible cell"
            )
        if len(values) == 0:
            raise ValueError("X holds no example")
        wrong = (values != 1) & (values != -1)
        if wrong.any():
            at = tuple(int(k) for k in np.argwhere(wrong)[0])
            raise ValueError(f"X{list(at)} is {values[at]}; spins are -1 and +1")
        return values.astype(np.int8)

    def classes(self, y: ArrayLike, examples: int) -> NDArray[np.int64]:
        """(examples,) class numbers; ValueError says which value or shape of y is wrong."""
        values = np.asarray(y)
        if not len(self.labels):
            raise ValueError("y is given, but no cell holds labels; name them when the estimator is made")
        if values.shape != (examples,) or values.dtype.kind not in "iu":
            given = f"{values.dtype} of shape {values.shape}"
            raise ValueError(f"y is {given}; integers of shape ({examples},) are expected, one for each example")
        wrong = (values < 0) | (values >= len(self.labels))
        if wrong.any():
            at = int(np.argmax(wrong))
            raise ValueError(f"y[{at}] is {values[at]}; classes are 0 .. {len(self.labels) - 1}, one for each label cell")
        return values.astype(np.int64)

    def one_hot(self, classes: NDArray[np.int64]) -> NDArray[np.int8]:
        """(n, label cells) spins: +1 at the class, -1 elsewhere."""
        spins: NDArray[np.int8] = np.where(classes[:, None] == np.arange(len(self.labels)), 1, -1).astype(np.int8)
        return spins

    def examples(self, X: ArrayLike, y: ArrayLike | None) -> NDArray[np.int8]:
        """(n, clamped cells) spins of pixels and labels, in the order of `clamped`."""
        pixels = self.pixels(X)
        if y is None:
            if len(self.labels):
                raise ValueError(f"y is missing; {len(self.labels)} cells hold labels")
            return pixels
        return np.concatenate([pixels, self.one_hot(self.classes(y, len(pixels)))], axis=1)

    def clamp_words(self, examples: NDArray[np.int8]) -> NDArray[np.uint32]:
        """(n, cell words) rows of CLAMP_VALUE that hold (n, clamped cells) examples."""
        up = np.zeros((len(examples), self.cells), bool)
        up[:, self.clamped] = examples > 0
        return pack_spins(up)

    def means(self, examples: NDArray[np.int8]) -> Floats:
        """(cells,) mean spins over (n, clamped cells) examples; 0 for hidden cells."""
        out = np.zeros(self.cells)
        out[self.clamped] = examples.mean(axis=0)
        return out


class Draw:
    """Examples at random: `words()` are those of a tick.

    planes : how many; dwell : ticks for which they stay
    """

    def __init__(self, words: NDArray[np.uint32], planes: int, rng: np.random.Generator, dwell: int = 1) -> None:
        """words : (n, cell words) rows of CLAMP_VALUE, one an example"""
        self._words, self._planes, self._rng, self._dwell = words, planes, rng, dwell
        self._left = 0

    def words(self) -> NDArray[np.uint32]:
        """(planes, cell words), drawn with replacement."""
        if not self._left:
            self._now = self._words[self._rng.integers(len(self._words), size=self._planes)]
            self._left = self._dwell
        self._left -= 1
        return self._now


def _cells(numbers: ArrayLike, what: str, total: int) -> NDArray[np.int64]:
    out = np.asarray(numbers)
    if out.size == 0:
        return np.empty(0, np.int64)
    if out.ndim != 1 or out.dtype.kind not in "iu":
        raise ValueError(f"{what} is {out.dtype} of shape {out.shape}; a list of cell numbers is expected")
    wrong = (out < 0) | (out >= total)
    if wrong.any():
        raise ValueError(f"{what} names cell {out[np.argmax(wrong)]}; the chip has cells 0 .. {total - 1}")
    return out.astype(np.int64)
