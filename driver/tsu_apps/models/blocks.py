"""Spins of many chains laid out for block updates: columns sorted by class, so that a class hears one run of columns.

Fields are float32 matrix products: with |I| up to 100 kT they are off by less than 1e-4 kT, a probability by less than 5e-5
(tested).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from tsu_apps.models.boltzmann import Boltzmann, Ints

Reals = NDArray[np.float32]
SIGN, ONE = np.int32(-(1 << 31)), np.float32(1.0).view(np.int32)
"""The sign bit of a float32, and 1.0 as bits."""


class Part(NamedTuple):
    """What a class hears in one model.

    couplings : (cells heard, class) float32, dense or sparse
    biases : (class,) float32, or (chains, class) where fixed cells are heard as well
    """

    couplings: Any
    biases: Reals


class Layout:
    """Columns of the spins of many chains: first the cells that are never updated, then one class after the other.

    order : (n,) the cell of each column
    fixed : slice of the columns that are never updated
    classes : slices of columns, in the order of updates
    heard : slices of columns that the classes hear; all others, fixed ones apart, are not coupled to them
    """

    def __init__(self, model: Boltzmann, classes: Iterable[Ints]) -> None:
        """Classes of cells that are not coupled among themselves; cells in none of them are never updated."""
        groups = list(classes)
        fixed = np.setdiff1d(np.arange(model.cells), np.concatenate([np.empty(0, np.int64), *groups]))
        self.order = np.concatenate([fixed, *groups]).astype(np.int64)
        ends = np.cumsum([len(fixed)] + [len(group) for group in groups]).tolist()
        self.fixed = slice(0, len(fixed))
        self.classes = [slice(*pair) for pair in pairwise(ends)]
        columns = np.argsort(self.order)[model.pairs]
        both = np.concatenate([columns, columns[:, ::-1]])
        both = both[both[:, 1] >= len(fixed)]
        self.heard = [_span(both[(both[:, 0] >= c.start) & (both[:, 0] < c.stop), 1]) for c in self.classes]

    def parts(self, model: Boltzmann, spins: Reals) -> list[Part]:
        """Couplings and biases of every class in a model of this graph; spins (chains, n) of which the fixed ones count."""
        return [self.part(model, *columns, spins) for columns in zip(self.heard, self.classes, strict=True)]

    def part(self, model: Boltzmann, heard: slice, target: slice, spins: Reals) -> Part:
        """What the columns `target` hear of the columns `heard`, and of fixed ones as biases."""
        into = model.couplings[:, self.order[target]]
        biases = model.biases[self.order[target]]
        if self.fixed.stop:
            biases = biases + spins[:, self.fixed] @ into[self.order[self.fixed]]
        return Part(into[self.order[heard]].astype(np.float32), biases.astype(np.float32))


def one_thread() -> Any:
    """A context in which matrix products run in one thread: these are small, and two threads on a busy machine are slower."""
    return _pools().limit(limits=1, user_api="blas")


def draw(spins: Reals, fields: Reals, rng: np.random.Generator) -> None:
    """Draw spins (chains, k) in place, P(s = +1) = 1 / (1 + exp(-2 I)), from fields (chains, k) in kT, which are used up.

    tanh(I) is compared with a uniform number of 24 bits on [-1, 1): probabilities below 1e-7 count as 0.
    """
    uniform = rng.random(fields.shape, dtype=np.float32)
    uniform *= 2
    uniform -= 1
    np.tanh(fields, out=fields)
    fields -= uniform
    # the sign bit of the difference, onto 1.0: a third of the time of np.copysign
    bits = fields.view(np.int32)
    bits &= SIGN
    bits |= ONE
    spins[...] = fields


@cache
def _pools() -> ThreadpoolController:
    return ThreadpoolController()


def _span(columns: Ints) -> slice:
    return slice(int(columns.min()), int(columns.max()) + 1) if len(columns) else slice(0, 0)
