"""Process variation: how the deviates of a parameter are correlated over a die, and from die to die.

The usual split of mismatch into die-to-die, gradient, spatially correlated and local parts (Pelgrom et al., IEEE JSSC 24, 1989,
1433; Xiong, Zolotov, He, IEEE TCAD 26, 2007, 619), what dies have in common nested by wafer and lot. Shares and length are
assumed; the variogram of many cells on several dies, of several wafers and lots, would settle them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_emu.analog.wafer import bowl, lot_of, wafer_of
from tsu_emu.config import Process
from tsu_emu.jit import inner, kernel
from tsu_emu.noise.functions import exponential
from tsu_emu.noise.normal import normal_of
from tsu_emu.noise.streams import Stream
from tsu_emu.noise.threefry import threefry
from tsu_emu.topology import Topology

U = np.uint32
NODE, COMMON, GRADIENT, BOWL = 0, 1, 2, 3
"""Third counter word of the draws: a node (x, y) of the field's lattice, the deviate common to a die, a wafer or a lot,
a die's two slopes, the depth of a wafer's bowl."""


class _Key(NamedTuple):
    k0: np.uint32
    k1: np.uint32
    k2: np.uint32
    k3: np.uint32


def _key(number: int, stream: Stream, component: int) -> _Key:
    """Of a die, a wafer or a lot by its number."""
    return _Key(U(number & 0xFFFFFFFF), U(number >> 32), U(stream), U(component))


def midway(topology: Topology) -> NDArray[np.float64]:
    """(couplers, 2) where couplers lie: midway between their cells, in cell pitches."""
    place = topology.position.astype(np.float64)
    target = np.repeat(np.arange(len(topology.row) - 1), np.diff(topology.row))
    middle: NDArray[np.float64] = (place[target] + place[topology.source]) / 2
    return middle


def deviates(
    process: Process, white: NDArray[np.float64], position: NDArray[np.generic], die_seed: int, component: int
) -> NDArray[np.float64]:
    """Deviates (n,) float64 of one parameter's n elements: mean 0, variance 1 over dies and elements.

    The field has covariance exp(-(|dx| + |dy|) / L), L = `length` times the larger side of the lattice from (0, 0) to the last
    element.

    white : (n,) float64, the elements' own deviates; with `Process()` the result is these, bit for bit
    position : (n, 2), x and y in cell pitches, not negative; a coupler lies midway between its cells
    component : the parameter's number, fourth key word of streams FIELD, WAFER and LOT
    The plane is centred on the elements' mean position and has variance 1 on their average; where all lie in one place it is 0.
    """
    key = _key(die_seed, Stream.FIELD, component)
    out = np.sqrt(process.white) * white
    place = np.ascontiguousarray(position, np.float64)
    if process.die > 0:
        _add_common(out, np.sqrt(process.die), COMMON, key)
    if process.gradient > 0:
        _add_gradient(out, np.sqrt(process.gradient), place, key)
    if process.field > 0 and len(place):
        width, height = (int(n) + 1 for n in np.ceil(place.max(axis=0)))
        rho = exponential(-1.0 / (process.length * max(width, height)))
        _add_field(out, np.sqrt(process.field), place, _lattice(width, height, rho, key), rho)
    _add_wafer(out, process, die_seed, component)
    return out


def _add_wafer(out: NDArray[np.float64], process: Process, die_seed: int, component: int) -> None:
    """What the die has of its wafer and of its lot."""
    if process.wafer > 0 or process.radial > 0:
        key = _key(wafer_of(process, die_seed), Stream.WAFER, component)
        if process.wafer > 0:
            _add_common(out, np.sqrt(process.wafer), COMMON, key)
        if process.radial > 0:
            _add_common(out, np.sqrt(process.radial) * bowl(process, die_seed), BOWL, key)
    if process.lot > 0:
        _add_common(out, np.sqrt(process.lot), COMMON, _key(lot_of(process, die_seed), Stream.LOT, component))


@inner
def _normals_at(x, y, kind, key):  # type: ignore[no-untyped-def]
    a, b, c, d = threefry(U(x), U(y), U(kind), U(0), key.k0, key.k1, key.k2, key.k3)
    return normal_of(a, b), normal_of(c, d)


@kernel
def _add_common(out, amplitude, kind, key):  # type: ignore[no-untyped-def]
    common = amplitude * _normals_at(0, 0, kind, key)[0]
    for e in range(out.size):
        out[e] = out[e] + common


@kernel
def _add_gradient(out, amplitude, position, key):  # type: ignore[no-untyped-def]
    n = out.size
    x, y, square = 0.0, 0.0, 0.0
    for e in range(n):
        x = x + position[e, 0]
        y = y + position[e, 1]
    x, y = x / n, y / n
    for e in range(n):
        dx, dy = position[e, 0] - x, position[e, 1] - y
        square = square + (dx * dx + dy * dy)
    if square == 0.0:
        return
    gx, gy = _normals_at(0, 0, GRADIENT, key)
    scale = amplitude / np.sqrt(square / n)
    for e in range(n):
        out[e] = out[e] + scale * (gx * (position[e, 0] - x) + gy * (position[e, 1] - y))


@kernel
def _lattice(width, height, rho, key):  # type: ignore[no-untyped-def]
    """The field at the nodes, (height, width) float64.

    The Cholesky factor of the covariance rho^|i-j| is an autoregression of first order, so the Kronecker product of two is one
    along x followed by one along y: exact, and linear in the number of nodes.
    """
    gain = np.sqrt((1.0 - rho) * (1.0 + rho))
    field = np.empty((height, width), np.float64)
    for y in range(height):
        along = 0.0
        for x in range(width):
            xi = _normals_at(x, y, NODE, key)[0]
            along = xi if x == 0 else rho * along + gain * xi
            field[y, x] = along if y == 0 else rho * field[y - 1, x] + gain * along
    return field


@inner
def _between(at, rho):  # type: ignore[no-untyped-def]
    """The node below a coordinate, how far beyond it that is, and the variance that linear interpolation leaves of 1."""
    node = np.int64(np.floor(at))
    a = at - node
    return node, a, (1.0 - a) * (1.0 - a) + a * a + 2.0 * rho * (a * (1.0 - a))


@kernel
def _add_field(out, amplitude, position, field, rho):  # type: ignore[no-untyped-def]
    """Bilinear between nodes, with the variance brought back to 1 at every point."""
    height, width = field.shape
    for e in range(out.size):
        x, a, vx = _between(position[e, 0], rho)
        y, b, vy = _between(position[e, 1], rho)
        x1, y1 = min(x + 1, width - 1), min(y + 1, height - 1)
        low = (1.0 - a) * field[y, x] + a * field[y, x1]
        high = (1.0 - a) * field[y1, x] + a * field[y1, x1]
        out[e] = out[e] + amplitude * (((1.0 - b) * low + b * high) / np.sqrt(vx * vy))
