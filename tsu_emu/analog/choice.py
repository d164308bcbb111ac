"""Choosing a cell with a probability proportional to its weight: weights that stay, and weights that change one by one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_emu.jit import inner, kernel

Q = np.uint64
STEP = 1.0 / 4294967296.0


class Clocks(NamedTuple):
    """Time constants, and the choice of a cell with probability ~ 1/tau in constant time.

    tau : (cells,) float64, s; rate : float, sum of 1/tau, 1/s; keep : (cells,) float64; other : (cells,) int64
    """

    tau: NDArray[np.float64]
    rate: float
    keep: NDArray[np.float64]
    other: NDArray[np.int64]


@kernel
def clocks_of(tau: NDArray[np.float64]) -> Clocks:
    """Alias table of 1/tau (Walker, Electron. Lett. 10, 1974, 127)."""
    n = tau.size
    rate = 0.0
    for i in range(n):
        rate += 1.0 / tau[i]
    share = (n / rate) / tau
    keep, other, stack = np.ones(n, np.float64), np.arange(n), np.empty(n, np.int64)
    small, large = 0, n
    for i in range(n):
        if share[i] < 1.0:
            stack[small] = i
            small += 1
        else:
            large -= 1
            stack[large] = i
    while small > 0 and large < n:
        small -= 1
        i, j = stack[small], stack[large]
        keep[i], other[i] = share[i], j
        share[j] = (share[j] + share[i]) - 1.0
        if share[j] < 1.0:
            stack[small] = j
            small += 1
            large += 1
    return Clocks(tau, rate, keep, other)


@inner
def choose(clocks, b, c):  # type: ignore[no-untyped-def]
    """Cell with probability ~ 1/tau from a 64-bit number in two words."""
    n = Q(clocks.tau.size)
    product = Q(b) * n + ((Q(c) * n) >> Q(32))
    i = np.int64(product >> Q(32))
    return i if np.float64(product & Q(0xFFFFFFFF)) * STEP < clocks.keep[i] else clocks.other[i]


@inner
def uniform(word):  # type: ignore[no-untyped-def]
    return (np.float64(word) + 0.5) * STEP


@inner
def fine_uniform(b, c):  # type: ignore[no-untyped-def]
    """Number in (0, 1) with 52 bits, of two words."""
    return (np.float64((Q(b) << Q(20)) | (Q(c) >> Q(12))) + 0.5) * (STEP / 1048576.0)


@inner
def sum_up(tree):  # type: ignore[no-untyped-def]
    for k in range(tree.size // 2 - 1, 0, -1):
        tree[k] = tree[2 * k] + tree[2 * k + 1]


@inner
def set_leaf(tree, i, value):  # type: ignore[no-untyped-def]
    """Binary tree of sums: node k has children 2 k and 2 k + 1, leaf i is node size/2 + i, the total is node 1."""
    k = tree.size // 2 + i
    tree[k] = value
    while k > 1:
        k >>= 1
        tree[k] = tree[2 * k] + tree[2 * k + 1]


@inner
def find(tree, target):  # type: ignore[no-untyped-def]
    """Leaf in which the running sum of leaves passes `target`; never one that is 0."""
    k = 1
    while k < tree.size // 2:
        k *= 2
        if target >= tree[k] and tree[k + 1] > 0.0:
            target -= tree[k]
            k += 1
    return k - tree.size // 2


@inner
def least_up(tree):  # type: ignore[no-untyped-def]
    """As `sum_up`, for a tree of minima."""
    for k in range(tree.size // 2 - 1, 0, -1):
        tree[k] = min(tree[2 * k], tree[2 * k + 1])


@inner
def set_least(tree, i, value):  # type: ignore[no-untyped-def]
    """As `set_leaf`, for a tree of minima."""
    k = tree.size // 2 + i
    tree[k] = value
    while k > 1:
        k >>= 1
        least = min(tree[2 * k], tree[2 * k + 1])
        if tree[k] == least:
            return
        tree[k] = least


@inner
def find_least(tree):  # type: ignore[no-untyped-def]
    """A leaf with the least value."""
    k = 1
    while k < tree.size // 2:
        k = 2 * k if tree[2 * k] == tree[k] else 2 * k + 1
    return k - tree.size // 2
