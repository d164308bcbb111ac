"""Steps of Langevin cells in a tile of sixteen planes: deviates, forces, moves; docs/arithmetic.md, "Langevin cells".

A tile's arrays have planes innermost, so that a cell's sixteen values are side by side. Values are float64; what others hear of
them is rounded to float32, which halves what a step has to read.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_emu.jit import inner
from tsu_emu.noise.pair import normal_pair
from tsu_emu.noise.threefry import threefry

U = np.uint32
F = np.float32
LANES = 16
"""Planes of a tile."""
BATCH = 16
"""Cells whose deviates are drawn together: four to a block of noise words, so that the loops below have 64 turns."""
DRAWS = BATCH // 4 * LANES


class Quartic(NamedTuple):
    """Cells and their time grid.

    a, c, b, h : (cells,) float64, coefficients of V; rail : float, x is clipped to +-rail after each step
    substeps : int, steps in a tick, the same for all of a chip's life; step : float, dt_micro / tau
    """

    a: NDArray[np.float64]
    c: NDArray[np.float64]
    b: NDArray[np.float64]
    h: NDArray[np.float64]
    rail: float
    substeps: int
    step: float


class Tile(NamedTuple):
    """What a step reads and writes.

    value : (cells, LANES) float64; heard, next : (cells, LANES) float32, values before the step as others hear them, and after it
    before : (cells, LANES) float32, the last grid point's deviates
    drawn : (4, DRAWS) float32, a batch's deviates: row k, lane r is cell 4 (r / LANES) + k in plane r % LANES; word : uint32
    amplitude : (LANES,) float64, sqrt(2 T h) / 2 of each plane; plane : (DRAWS,) uint32, number of each lane's plane
    """

    value: NDArray[np.float64]
    heard: NDArray[np.float32]
    next: NDArray[np.float32]
    before: NDArray[np.float32]
    drawn: NDArray[np.float32]
    word: NDArray[np.uint32]
    amplitude: NDArray[np.float64]
    plane: NDArray[np.uint32]


@inner
def exchanged(tile):  # type: ignore[no-untyped-def]
    """The tile with `heard` and `next` exchanged."""
    return Tile(tile.value, tile.next, tile.heard, tile.before, tile.drawn, tile.word, tile.amplitude, tile.plane)


@inner
def draw(tile, first, number, key):  # type: ignore[no-untyped-def]
    """Deviates xi_number of cells first .. first + BATCH - 1, first a multiple of BATCH, into `tile.drawn`."""
    word, out, plane = tile.word, tile.drawn, tile.plane
    n0, n1, group = U(number & 0xFFFFFFFF), U(number >> 32), U(first >> 2)
    for r in range(DRAWS):
        a, b, c, d = threefry(U(group + U(r // LANES)), plane[r], n0, n1, key[0], key[1], key[2], U(0))
        word[0, r] = a
        word[1, r] = b
        word[2, r] = c
        word[3, r] = d
    for r in range(DRAWS):
        x, y = normal_pair(word[0, r], word[1, r])
        out[0, r] = x
        out[1, r] = y
    for r in range(DRAWS):
        x, y = normal_pair(word[2, r], word[3, r])
        out[2, r] = x
        out[3, r] = y


@inner
def _hear(out, heard, source, J, first, last, lanes):  # type: ignore[no-untyped-def]
    """out (LANES,) float32: the sum of couplers first .. last - 1, four at a time."""
    for r in range(lanes):
        out[r] = F(0.0)
    e = first
    while e + 4 <= last:
        x0, x1, x2, x3 = heard[source[e]], heard[source[e + 1]], heard[source[e + 2]], heard[source[e + 3]]
        w0, w1, w2, w3 = J[e], J[e + 1], J[e + 2], J[e + 3]
        for r in range(lanes):
            out[r] += (w0 * x0[r] + w1 * x1[r]) + (w2 * x2[r] + w3 * x3[r])
        e += 4
    while e < last:
        x0, w0 = heard[source[e]], J[e]
        for r in range(lanes):
            out[r] += w0 * x0[r]
        e += 1


@inner
def move_cells(tile, cells, net, held, lanes, first, last):  # type: ignore[no-untyped-def]
    """Step the cells first .. last - 1 of a batch whose deviates are drawn; held ones stay.

    cells : Quartic; net = (row (cells + 1,) int64, source (couplers,) uint32, J (couplers,) float32); held : (cells,) bool
    lanes : planes in use
    """
    row, source, J = net
    force, amplitude = np.empty(LANES, F), tile.amplitude
    for i in range(first, last):
        if held[i]:
            continue
        _hear(force, tile.heard, source, J, row[i], row[i + 1], lanes)
        a, c, b, h = cells.a[i], cells.c[i], cells.b[i], cells.h[i]
        value, next, before = tile.value[i], tile.next[i], tile.before[i]
        place = LANES * ((i - first) >> 2)
        after = tile.drawn[(i - first) & 3, place : place + LANES]
        for r in range(lanes):
            x = value[r]
            f = (h - x * (a + x * (c + x * b))) + np.float64(force[r])
            moved = (x + cells.step * f) + amplitude[r] * (np.float64(before[r]) + np.float64(after[r]))
            moved = min(max(moved, -cells.rail), cells.rail)
            value[r] = moved
            next[r] = F(moved)
            before[r] = after[r]
