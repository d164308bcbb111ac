"""Drift as a pure function of chip time: Ornstein-Uhlenbeck, random walk and 1/f.

A value at an epoch is found by bisection between normal deviates that are keyed by (element, epoch), as in Levy and Ciesielski's
construction of Brownian motion, so it does not depend on which epochs were asked for before. An epoch's number names its node of
the dyadic tree: the trailing zeros are the level. Midway between a and b, h epochs from each, an OU value has mean
rho (a + b) / (1 + rho^2) and variance (1 - rho^2) / (1 + rho^2) = tanh(h / tau), with rho = exp(-h / tau).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_emu.jit import inner, kernel
from tsu_emu.noise.functions import exponential, polynomial
from tsu_emu.noise.normal import A, B, normal_of
from tsu_emu.noise.threefry import threefry

U = np.uint32
LAST_EPOCH_BITS = 46
LAST_EPOCH = 1 << LAST_EPOCH_BITS
TAU_MIN, TAU_MAX = 0.01, float(1 << 40)
"""Correlation times, epochs."""
INDEPENDENT = 40.0
"""Correlation times after which values count as independent: e^-40 is below the resolution of float64."""
SPAN = 64
"""Elements drawn side by side."""
BLOCK = 8192
"""Elements whose values are found in one go, some 10 ms where none of their nodes is known yet."""
CERTAINLY_MIDDLE = 0.4249 * 4294967296.0
"""Words a this near to 2^31 give deviates by the middle formula of AS 241 (|q| <= .425)."""
ROOT_10 = 3.1622776601683795


class Tree(NamedTuple):
    """The law of a process. Level k has nodes at odd multiples of 2^k epochs, the top nodes stand at multiples of 2^levels.

    weight : (levels,) float64, factor of the sum of a node's two neighbours; sigma : (levels,) float64, of what is added
    top : sigma of the top nodes; origin : sigma of the top node at epoch 0
    """

    weight: NDArray[np.float64]
    sigma: NDArray[np.float64]
    top: float
    origin: float


class Cache(NamedTuple):
    """The nodes last used: one per level, then two top nodes, an even and an odd one. It saves draws and changes no value.

    position : (levels + 2,) int64 epoch of each node, -1 for none; value : (levels + 2, n) float64
    """

    position: NDArray[np.int64]
    value: NDArray[np.float64]


def ou_tree(tau: float) -> Tree:
    """Stationary Ornstein-Uhlenbeck process of unit variance, correlation exp(-D / tau); tau in epochs, .01 .. 2^40."""
    if not TAU_MIN <= tau <= TAU_MAX:
        raise ValueError(f"correlation time {tau} epochs is outside {TAU_MIN} .. {TAU_MAX:.0f}")
    levels = 0
    while (1 << levels) < INDEPENDENT * tau:
        levels += 1
    intervals = [(1 << k) / tau for k in range(levels)]
    rho = [exponential(-x) for x in intervals]
    weight = np.array([r / (1.0 + r * r) for r in rho], np.float64)
    return Tree(weight, np.sqrt(np.array([_tanh(x) for x in intervals], np.float64)), 1.0, 1.0)


def _tanh(x: float) -> float:
    """tanh of 0 < x <= 40 by Lambert's continued fraction, which cancels nothing; relative error about 1e-16."""
    t = 0.0
    for k in range(241, 0, -2):
        t = x * x / (k + t)
    return t / x


def walk_tree() -> Tree:
    """Wiener process of unit variance per epoch that is 0 at epoch 0, bisected from 0 to 2^46."""
    half = np.array([(1 << k) / 2.0 for k in range(LAST_EPOCH_BITS)])
    return Tree(np.full(LAST_EPOCH_BITS, 0.5), np.sqrt(half), math.sqrt(LAST_EPOCH), 0.0)


def corner_times(f_low: float, f_high: float) -> list[float]:
    """Correlation times 1 / (2 pi f), epochs, of corners f_low 10^(k/2) up to the first that reaches f_high; f in 1/epoch."""
    if not 0.0 < f_low <= f_high:
        raise ValueError(f"no band from {f_low} to {f_high} per epoch")
    corners = [f_low]
    while corners[-1] < f_high * (1.0 - 1e-9):
        corners.append(corners[-1] * ROOT_10)
    return [1.0 / (6.283185307179586 * f) for f in corners]


def empty_cache(tree: Tree, n: int) -> Cache:
    """Of n elements: 8 n (levels + 2) bytes."""
    slots = len(tree.weight) + 2
    return Cache(np.full(slots, -1, np.int64), np.empty((slots, n), np.float64))


@inner
def _slot(position, levels):  # type: ignore[no-untyped-def]
    """Where the cache keeps the node at an epoch."""
    for k in range(levels):
        if position >> k & 1:
            return k
    return levels + (position >> levels & 1)


@inner
def _deviates(a, b, width, out):  # type: ignore[no-untyped-def]
    """out[k] = normal_of(a[k], b[k]) for k < width: the middle of the law side by side, then the tails one by one."""
    for k in range(width):
        m = (np.uint64(a[k]) << np.uint64(20)) | (np.uint64(b[k]) >> np.uint64(12))
        q = (2.0 * np.float64(m) + 1.0) * (1.0 / 9007199254740992.0) - 0.5
        r = 0.180625 - q * q
        out[k] = (q * polynomial(A, r)) / polynomial(B, r)
    for k in range(width):
        if abs(np.float64(a[k]) - 2147483648.0) > CERTAINLY_MIDDLE:
            out[k] = normal_of(a[k], b[k])


@inner
def _draw(key, first, position, sigma, value):  # type: ignore[no-untyped-def]
    """value (n,) += sigma times the deviates of elements first .. at a node."""
    low, high = U(position & 0xFFFFFFFF), U(position >> 32)
    a, b, xi = np.empty(SPAN, U), np.empty(SPAN, U), np.empty(SPAN, np.float64)
    for base in range(0, value.size, SPAN):
        width = min(SPAN, value.size - base)
        for k in range(width):
            a[k], b[k], _, _ = threefry(U(first + base + k), U(0), low, high, key[0], key[1], key[2], key[3])
        _deviates(a, b, width, xi)
        for k in range(width):
            value[base + k] = value[base + k] + sigma * xi[k]


@kernel
def value_at(key, first, epoch, tree, cache, out):  # type: ignore[no-untyped-def]
    """out (n,) float64: the process `tree` of elements first .. first + n - 1 at an epoch.

    key : (4,) uint32, the last word the component; cache : of this key, first and tree alone, with n elements
    """
    position, value = cache
    levels = tree.weight.size
    block = epoch >> levels
    inside = epoch != block << levels
    for top in range(block, block + 2 if inside else block + 1):
        at, slot = top << levels, levels + (top & 1)
        if position[slot] != at:
            value[slot] = 0.0
            _draw(key, first, at, tree.origin if at == 0 else tree.top, value[slot])
            position[slot] = at
    level = levels
    middle = epoch if not inside else np.int64(-1)
    while middle != epoch:
        level -= 1
        left = epoch >> (level + 1) << (level + 1)
        middle = left + (1 << level)
        if position[level] != middle:
            a, b = value[_slot(left, levels)], value[_slot(middle + (1 << level), levels)]
            for k in range(out.size):
                value[level, k] = tree.weight[level] * (a[k] + b[k])
            _draw(key, first, middle, tree.sigma[level], value[level])
            position[level] = middle
    out[:] = value[_slot(epoch, levels)]


def nothing() -> None:
    """Nobody looks."""


class Process:
    """n independent elements, numbers 0 .. n - 1, of one law; an element's value depends on key, number, law and epoch alone.

    key : (4,) uint32: seed, seed >> 32, stream, component. Processes that share a key share their draws.
    """

    def __init__(self, key: NDArray[np.uint32], n: int, tree: Tree) -> None:
        self._key, self._n, self._tree = key.copy(), n, tree
        self._blocks = [(first, empty_cache(tree, min(BLOCK, n - first))) for first in range(0, n, BLOCK)]

    def at(self, epoch: int, pause: Callable[[], None] = nothing) -> NDArray[np.float64]:
        """(n,) values at an epoch of 0 .. 2^46; pause : called after each BLOCK of them."""
        if not 0 <= epoch <= LAST_EPOCH:
            raise ValueError(f"epoch {epoch} is outside 0 .. 2^{LAST_EPOCH_BITS}")
        out = np.empty(self._n, np.float64)
        for first, cache in self._blocks:
            value_at(self._key, first, epoch, self._tree, cache, out[first : first + BLOCK])
            pause()
        return out


class Ou(Process):
    """Stationary Ornstein-Uhlenbeck processes of unit variance, correlation time tau epochs."""

    def __init__(self, key: NDArray[np.uint32], n: int, tau: float) -> None:
        super().__init__(key, n, ou_tree(tau))


class Walk(Process):
    """Wiener processes of unit variance per epoch, 0 at epoch 0."""

    def __init__(self, key: NDArray[np.uint32], n: int) -> None:
        super().__init__(key, n, walk_tree())


class Flicker:
    """1/f noise of unit total variance between f_low and f_high, 1/epoch: the mean of K OUs, two per decade, times sqrt(K).

    A sum of Lorentzians of equal variance, evenly spaced in ln f (van der Ziel, Physica 16, 1950, 359). In the band the one-sided
    density is h / f with h = 2 / (K ln 10): ripple .003 dB, less .15 dB a decade inside the band's ends and 1.7 dB at them.
    It takes components key[3] .. key[3] + K - 1.
    """

    def __init__(self, key: NDArray[np.uint32], n: int, f_low: float, f_high: float) -> None:
        self.parts: list[Ou] = []
        for k, tau in enumerate(corner_times(f_low, f_high)):
            self.parts.append(Ou(np.array([*key[:3], int(key[3]) + k], np.uint32), n, tau))

    def at(self, epoch: int, pause: Callable[[], None] = nothing) -> NDArray[np.float64]:
        """As `Process.at`."""
        total = self.parts[0].at(epoch, pause)
        for part in self.parts[1:]:
            total += part.at(epoch, pause)
        return total / math.sqrt(len(self.parts))
