"""Langevin cells: an analog value in a quartic potential, coupled linearly, in steps of Leimkuhler and Matthews.

V_i = 1/2 a x^2 + 1/3 c x^3 + 1/4 b x^4 - h x and tau dx_i = (-V_i'(x_i) + sum_j J_ij x_j) dt + sqrt(2 T tau) dW. A step of h =
dt_micro / tau on a grid fixed in chip time is x += h f(x) + sqrt(2 T h) (xi_n + xi_{n+1}) / 2 (Leimkuhler, Matthews, Applied
Mathematics Research eXpress 2013, 34-56): its stationary law is off by order h^2 and for a harmonic cell not at all. xi_n
is keyed by the number n of the grid point, so that nothing but x is carried from call to call.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_emu.jit import inner, kernel
from tsu_emu.noise.normal import normal_of
from tsu_emu.noise.threefry import threefry

U = np.uint32
LANES = 16
"""Planes stepped side by side."""


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


@inner
def _deviates(out, word, planes, number, key):  # type: ignore[no-untyped-def]
    """out (cells, LANES) float64: xi_number of all cells in `planes`; word : (4, LANES) uint32, scratch."""
    n0, n1 = U(number & 0xFFFFFFFF), U(number >> 32)
    for i in range(0, out.shape[0], 2):
        for r in range(planes.size):
            a, b, c, d = threefry(U(i >> 1), U(planes[r]), n0, n1, key[0], key[1], key[2], U(0))
            word[0, r] = a
            word[1, r] = b
            word[2, r] = c
            word[3, r] = d
        for r in range(planes.size):
            out[i, r] = normal_of(word[0, r], word[1, r])
        if i + 1 < out.shape[0]:
            for r in range(planes.size):
                out[i + 1, r] = normal_of(word[2, r], word[3, r])


@inner
def _forces(force, value, cells, net, lanes):  # type: ignore[no-untyped-def]
    """force (cells, LANES) float64 at `value` (cells, LANES)."""
    row, source, J = net
    for i in range(force.shape[0]):
        a, c, b, h = cells.a[i], cells.c[i], cells.b[i], cells.h[i]
        f, x = force[i], value[i]
        for r in range(lanes):
            f[r] = h - x[r] * (a + x[r] * (c + x[r] * b))
        e = row[i]
        while e + 4 <= row[i + 1]:
            x0, x1, x2, x3 = value[source[e]], value[source[e + 1]], value[source[e + 2]], value[source[e + 3]]
            w0, w1, w2, w3 = J[e], J[e + 1], J[e + 2], J[e + 3]
            for r in range(lanes):
                f[r] += (w0 * x0[r] + w1 * x1[r]) + (w2 * x2[r] + w3 * x3[r])
            e += 4
        while e < row[i + 1]:
            x0, w0 = value[source[e]], J[e]
            for r in range(lanes):
                f[r] += w0 * x0[r]
            e += 1


@inner
def _move(value, force, before, after, held, amplitude, cells, lanes):  # type: ignore[no-untyped-def]
    """One step of all cells; amplitude (LANES,) float64: sqrt(2 T h) / 2 of each plane."""
    for i in range(value.shape[0]):
        if held[i]:
            continue
        x, f, first, second = value[i], force[i], before[i], after[i]
        for r in range(lanes):
            moved = (x[r] + cells.step * f[r]) + amplitude[r] * (first[r] + second[r])
            x[r] = min(max(moved, -cells.rail), cells.rail)


@kernel
def live(x, cells, net, held, temperature, enabled, first_tick, ticks, key):  # type: ignore[no-untyped-def]
    """Let the cells of the enabled planes live for ticks first_tick .. first_tick + ticks - 1.

    x : (planes, cells) float64, changed in place; cells : Quartic; net = (row, source, J); held : (cells,) bool, cells that keep
    their value; temperature : (planes,) float64, >= 0; enabled : (n,) int64, plane numbers; key : first three key words, uint32
    """
    shape = (x.shape[1], LANES)
    value, force, before, after = np.empty(shape), np.empty(shape), np.empty(shape), np.empty(shape)
    word, amplitude = np.empty((4, LANES), np.uint32), np.empty(LANES)
    for first in range(0, enabled.size, LANES):
        planes = enabled[first : first + LANES]
        for r in range(planes.size):
            amplitude[r] = np.sqrt(0.5 * temperature[planes[r]] * cells.step)
            value[:, r] = x[planes[r]]
        _deviates(before, word, planes, first_tick * cells.substeps, key)
        for number in range(first_tick * cells.substeps, (first_tick + ticks) * cells.substeps):
            _deviates(after, word, planes, number + 1, key)
            _forces(force, value, cells, net, planes.size)
            _move(value, force, before, after, held, amplitude, cells, planes.size)
            before, after = after, before
        for r in range(planes.size):
            x[planes[r]] = value[:, r]
