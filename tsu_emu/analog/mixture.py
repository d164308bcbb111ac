"""Mixture cells: each cell is in one of k modes and relaxes, with noise, to that mode's mean. No couplings.

At Poisson times of rate 1 / tau_mode the mode is drawn afresh by heat bath, P(mode k) ~ exp(w_k / T). Between these times
tau dx = -a (x - m_mode) dt + sqrt(2 T tau) dW. Both are exact at any length of a tick. With
f = a tau_mode / (a tau_mode + tau) the stationary law has <x> = sum_k P_k m_k and var x = T / a + f Var_P(m); for tau_mode >> tau
it is the Gaussian mixture sum_k P_k N(m_k, T / a). The mode's autocorrelation is exp(-t / tau_mode).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_emu.analog.choice import uniform
from tsu_emu.jit import inner, kernel
from tsu_emu.noise.functions import exponential
from tsu_emu.noise.normal import natural_log, normal_of
from tsu_emu.noise.threefry import threefry

U = np.uint32
VISIT_SHIFT = 16
"""Bits of the noise counter's plane word that the plane may use; the rest counts the mode events of a tick."""


class Mixture(NamedTuple):
    """Cells and their speed.

    weight : (cells, modes) float64, log-weights w in kT at T = 1; mean : (cells, modes) float64
    stiffness : (cells,) float64, > 0
    dt_over_tau, dt_over_tau_mode : float, length of a tick in both time constants; the second at most 10,000
    """

    weight: NDArray[np.float64]
    mean: NDArray[np.float64]
    stiffness: NDArray[np.float64]
    dt_over_tau: float
    dt_over_tau_mode: float


@inner
def _draw_mode(weight, temperature, u):  # type: ignore[no-untyped-def]
    """Mode k with probability ~ exp(weight[k] / temperature), of a uniform deviate u."""
    top = weight[0]
    for k in range(1, weight.size):
        top = max(top, weight[k])
    total = 0.0
    for k in range(weight.size):
        total = total + exponential((weight[k] - top) / temperature)
    mark, below = u * total, 0.0
    for k in range(weight.size - 1):
        below = below + exponential((weight[k] - top) / temperature)
        if mark < below:
            return k
    return weight.size - 1


@inner
def _live_a_tick(value, k, cell, cells, whole, plane, temperature, tick, key):  # type: ignore[no-untyped-def]
    """Value and mode of one cell after a tick, from event to event; whole : exp(-a dt / tau)."""
    t0, t1 = U(tick & 0xFFFFFFFF), U(tick >> 32)
    variance, left, visit = temperature / cells.stiffness[cell], 1.0, 0
    while True:
        a, b, c, d = threefry(U(cell), U(plane + (visit << VISIT_SHIFT)), t0, t1, key[0], key[1], key[2], U(0))
        gap = -natural_log(uniform(a)) / cells.dt_over_tau_mode
        span = min(gap, left)
        rho = whole if span == 1.0 else exponential(-(cells.stiffness[cell] * cells.dt_over_tau) * span)
        mean = cells.mean[cell, k]
        value = (mean + rho * (value - mean)) + np.sqrt(variance * ((1.0 - rho) * (1.0 + rho))) * normal_of(c, d)
        if gap >= left:
            return value, k
        k = _draw_mode(cells.weight[cell], temperature, uniform(b))
        left = left - gap
        visit = visit + 1


@kernel
def live(x, mode, cells, held, temperature, enabled, first_tick, ticks, key):  # type: ignore[no-untyped-def]
    """Let the cells of the enabled planes live for ticks first_tick .. first_tick + ticks - 1.

    x : (planes, cells) float64 and mode : (planes, cells) uint8, changed in place; cells : Mixture; held : (cells,) bool, cells
    that keep x and mode; temperature : (planes,) float64, > 0; enabled : (n,) int64, plane numbers; key : first three key words
    """
    for plane in enabled:
        for i in range(x.shape[1]):
            if held[i]:
                continue
            value, k = x[plane, i], np.int64(mode[plane, i])
            whole = exponential(-(cells.stiffness[i] * cells.dt_over_tau))
            for tick in range(first_tick, first_tick + ticks):
                value, k = _live_a_tick(value, k, i, cells, whole, plane, temperature[plane], tick, key)
            x[plane, i] = value
            mode[plane, i] = k
