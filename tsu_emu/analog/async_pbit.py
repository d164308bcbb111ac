"""Asynchronous p-bits in continuous time: the jump process itself, event by event, with the delay of the synapses.

Cell i flips to ±1 at rate (1 ± tanh(I_i / T)) / (2 tau_i) (Glauber, J. Math. Phys. 4, 1963, 294) or exp(±I_i / T) / (2 tau_i)
(Arrhenius). It hears x_j of cell j, dx_j/dt = (s_j - x_j) / tau_syn. All synapses share tau_syn, so at time t of a tick

    x_j = s_j + lag_j e^(-t / tau_syn),    I_i = steady_i + fading_i e^(-t / tau_syn):

a flip of j changes steady_i by J_ij times the change of s_j, and fading_i by the opposite at the time's own scale. Events come
from thinning (Lewis and Shedler, Naval Res. Logist. Q. 26, 1979, 403), which is exact for rates that vary with time. Heat baths
without delay are quicker in rounds: `glauber`. What happens in a tick depends on the spins and x at its start alone: its end may
cut a waiting time, since exponential times have no memory.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_emu.analog.choice import choose, find, find_least, fine_uniform, least_up, set_leaf, set_least, sum_up, uniform
from tsu_emu.jit import inner, kernel, unfolded
from tsu_emu.noise.functions import exponential
from tsu_emu.noise.normal import natural_log
from tsu_emu.noise.threefry import threefry

U = np.uint32
Q = np.uint64
GLAUBER, ARRHENIUS = 0, 1
SPAN = 200.0
"""Synapse time constants after which lags get a new origin of time, so that their scale stays finite."""
LIMIT = 12.0
"""Largest |I / T| of an Arrhenius rate: attempts have a frequency, here 160,000 times the rate of a cell without field."""
STEP = 1.0
"""By how much I / T may move before an Arrhenius rate gets a new bound."""


class Bank(NamedTuple):
    """Cells of all planes; bit k of word b is plane 64 b + k.

    spins, clamp_mask, clamp_value : (blocks, cells) uint64; enabled : (blocks,) uint64
    x : (planes, cells) float64, what is heard of each cell; temperature : (planes,) float64
    """

    spins: NDArray[np.uint64]
    clamp_mask: NDArray[np.uint64]
    clamp_value: NDArray[np.uint64]
    enabled: NDArray[np.uint64]
    x: NDArray[np.float64]
    temperature: NDArray[np.float64]


class Work(NamedTuple):
    """One plane, unpacked, as in this module's head. fan_J : (couplers,) float64, J by place.

    tree, due : of `choice`: sums of bounds of rates, 1/s, and the least of the times, s of the tick, until which they hold
    """

    spin: NDArray[np.float64]
    lag: NDArray[np.float64]
    steady: NDArray[np.float64]
    fading: NDArray[np.float64]
    pinned: NDArray[np.bool_]
    fresh: NDArray[np.bool_]
    fan_J: NDArray[np.float64]
    tree: NDArray[np.float64]
    due: NDArray[np.float64]


@unfolded
def _gather(net, J, h, work, i):  # type: ignore[no-untyped-def]
    """Field of cell i from its sources."""
    steady, fading = h[i], 0.0
    for e in range(net.row[i], net.row[i + 1]):
        j = net.source[e]
        steady += J[e] * work.spin[j]
        fading += J[e] * work.lag[j]
    work.steady[i] = steady
    work.fading[i] = fading


@unfolded
def _flip(net, work, i, decay):  # type: ignore[no-untyped-def]
    """Flip cell i and tell those that hear it. decay : e^(-t / tau_syn); 0 without delay."""
    change = -2.0 * work.spin[i]
    late = change / decay if decay > 0.0 else 0.0
    work.spin[i] = -work.spin[i]
    work.lag[i] -= late
    for e in range(net.fan[i], net.fan[i + 1]):
        k = net.target[e]
        work.steady[k] += work.fan_J[e] * change
        work.fading[k] -= work.fan_J[e] * late


@unfolded
def _decay(work, span, tau_syn):  # type: ignore[no-untyped-def]
    """(e^(-span / tau_syn), whether it has become the new origin of time); 0 without delay."""
    if tau_syn == 0.0:
        return 0.0, False
    if span <= SPAN * tau_syn:
        return exponential(-(span / tau_syn)), False
    factor = exponential(-(span / tau_syn))
    for i in range(work.lag.size):
        work.lag[i] *= factor
        work.fading[i] *= factor
    return 1.0, True


@inner
def _glauber(net, J, h, clocks, work, tau_syn, temperature, dt, plane, tick, key):  # type: ignore[no-untyped-def]
    """Heat bath at Poisson times of rate 1/tau_i, for one tick. (time of the lags' origin, events, flips)"""
    t0, t1 = U(tick & 0xFFFFFFFF), U(tick >> 32)
    t, origin, events, flips = 0.0, 0.0, 0, 0
    work.fresh[:] = False
    while True:
        a, b, c, d = threefry(U(events), U(plane), t0, t1, key[0], key[1], key[2], U(0))
        t -= natural_log(uniform(a)) / clocks.rate
        if t >= dt:
            return origin, events, flips
        events += 1
        i = choose(clocks, b, c)
        if work.pinned[i]:
            continue
        decay, moved = _decay(work, t - origin, tau_syn)
        if moved:
            origin = t
        if not work.fresh[i]:
            _gather(net, J, h, work, i)
            work.fresh[i] = True
        field = (work.steady[i] + work.fading[i] * decay) / temperature
        odds = exponential(-2.0 * field)
        if (uniform(d) * (1.0 + odds) < 1.0) != (work.spin[i] > 0.0):
            _flip(net, work, i, decay)
            flips += 1


@unfolded
def _rate(clocks, work, i, decay, temperature):  # type: ignore[no-untyped-def]
    """Arrhenius rate of cell i's flip, 1/s."""
    against = -work.spin[i] * (work.steady[i] + work.fading[i] * decay)
    return exponential(min(max(against / temperature, -LIMIT), LIMIT)) * (0.5 / clocks.tau[i])


@inner
def _limit(end, part, decay, scale, origin, tau_syn):  # type: ignore[no-untyped-def]
    """(upper bound of a rate, until when at most it holds), 1/s and s of the tick; the rate is scale exp(end + part decay).

    While the rate rises, the bound holds until the rate is e times as large.
    """
    now = end + part * decay
    level = max(now, -LIMIT) + STEP
    if part >= 0.0 or end <= level or level >= LIMIT:
        return exponential(min(max(max(now, end), -LIMIT), LIMIT)) * scale, np.inf
    return exponential(level) * scale, origin - tau_syn * natural_log((level - end) / part)


@unfolded
def _bound(clocks, work, i, decay, origin, tau_syn, temperature):  # type: ignore[no-untyped-def]
    """`_limit` of cell i, whose field moves towards `steady` and not beyond, until the next flip that it hears."""
    if work.pinned[i]:
        return 0.0, np.inf
    end, part = -work.spin[i] * work.steady[i] / temperature, -work.spin[i] * work.fading[i] / temperature
    return _limit(end, part, decay, 0.5 / clocks.tau[i], origin, tau_syn)


@unfolded
def _renew(clocks, work, i, decay, origin, tau_syn, temperature):  # type: ignore[no-untyped-def]
    """A new bound for cell i."""
    bound, until = _bound(clocks, work, i, decay, origin, tau_syn, temperature)
    set_leaf(work.tree, i, bound)
    set_least(work.due, i, until)


@inner
def _rebound(net, clocks, work, i, decay, origin, tau_syn, temperature):  # type: ignore[no-untyped-def]
    """New bounds for cell i and those that hear it. With many, summing the whole tree once is cheaper than a path for each."""
    tree, due, first, last = work.tree, work.due, net.fan[i], net.fan[i + 1]
    leaves = tree.size // 2
    if 4 * (last - first) >= leaves:
        tree[leaves + i], due[leaves + i] = _bound(clocks, work, i, decay, origin, tau_syn, temperature)
        for e in range(first, last):
            k = np.int64(net.target[e])
            tree[leaves + k], due[leaves + k] = _bound(clocks, work, k, decay, origin, tau_syn, temperature)
        sum_up(tree)
        least_up(due)
        return
    _renew(clocks, work, i, decay, origin, tau_syn, temperature)
    for e in range(first, last):
        _renew(clocks, work, np.int64(net.target[e]), decay, origin, tau_syn, temperature)


@inner
def _arrhenius(net, J, h, clocks, work, tau_syn, temperature, dt, plane, tick, key):  # type: ignore[no-untyped-def]
    """As `_glauber`: cells chosen by bounds of their rates, accepted by what their rates are.

    A wait is an exponential number of mean 1, used up at the rate of all bounds; those that run out meanwhile are renewed.
    """
    t0, t1, leaves = U(tick & 0xFFFFFFFF), U(tick >> 32), work.tree.size // 2
    t, origin, events, flips = 0.0, 0.0, 0, 0
    decay = 1.0 if tau_syn > 0.0 else 0.0
    for i in range(work.spin.size):
        _gather(net, J, h, work, i)
        work.tree[leaves + i], work.due[leaves + i] = _bound(clocks, work, i, decay, origin, tau_syn, temperature)
    sum_up(work.tree)
    least_up(work.due)
    while True:
        a, b, c, d = threefry(U(events), U(plane), t0, t1, key[0], key[1], key[2], U(0))
        wait = -natural_log(uniform(a))
        while (work.due[1] - t) * work.tree[1] < wait and work.due[1] < dt:
            wait -= (work.due[1] - t) * work.tree[1]
            t = work.due[1]
            decay, moved = _decay(work, t - origin, tau_syn)
            if moved:
                origin = t
            _renew(clocks, work, find_least(work.due), decay, origin, tau_syn, temperature)
        t += wait / work.tree[1]
        if t >= dt:
            return origin, events, flips
        events += 1
        i = find(work.tree, fine_uniform(b, c) * work.tree[1])
        decay, moved = _decay(work, t - origin, tau_syn)
        if moved:
            origin = t
        if uniform(d) * work.tree[leaves + i] < _rate(clocks, work, i, decay, temperature):
            _flip(net, work, i, decay)
            _rebound(net, clocks, work, i, decay, origin, tau_syn, temperature)
            flips += 1
        else:
            _renew(clocks, work, i, decay, origin, tau_syn, temperature)


@inner
def _unpack(bank, plane, work):  # type: ignore[no-untyped-def]
    """One plane's spins, clamped cells at their clamp value."""
    block, bit = plane >> 6, Q(plane & 63)
    for i in range(work.spin.size):
        mask = bank.clamp_mask[block, i]
        word = (bank.spins[block, i] & ~mask) | (bank.clamp_value[block, i] & mask)
        work.spin[i] = 1.0 if (word >> bit) & Q(1) else -1.0
        work.pinned[i] = (mask >> bit) & Q(1) != Q(0)


@inner
def _pack(bank, plane, work):  # type: ignore[no-untyped-def]
    block, bit = plane >> 6, Q(1) << Q(plane & 63)
    for i in range(work.spin.size):
        bank.spins[block, i] = bank.spins[block, i] | bit if work.spin[i] > 0.0 else bank.spins[block, i] & ~bit


@kernel
def live(net, J, h, clocks, tau_syn, kinetics, bank, first_tick, ticks, dt, key):  # type: ignore[no-untyped-def]
    """Let the enabled planes live for ticks first_tick .. first_tick + ticks - 1 of dt seconds. Returns (events, flips), int.

    net : Network; clocks : Clocks; bank : Bank, of which spins and x change; kinetics : GLAUBER or ARRHENIUS
    J : (couplers,) float64, h : (cells,) float64, in kT at T = 1, the cells' slopes and offsets included; tau_syn : float, s
    key : (4,) uint32, stream ASYNCHRONOUS. Counter of an event: (its number in tick and plane, plane, tick low, tick high);
    words: waiting time, two for the cell, decision
    """
    n, leaves, all_events, all_flips = h.size, 1, 0, 0
    while leaves < n:
        leaves *= 2
    work = Work(
        np.empty(n), np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n, np.bool_), np.zeros(n, np.bool_),
        J[net.coupler], np.zeros(2 * leaves), np.full(2 * leaves, np.inf),
    )  # fmt: skip
    for plane in range(bank.x.shape[0]):
        if not (bank.enabled[plane >> 6] >> Q(plane & 63)) & Q(1):
            continue
        _unpack(bank, plane, work)
        x, temperature = bank.x[plane], bank.temperature[plane]
        for tick in range(first_tick, first_tick + ticks):
            if tau_syn > 0.0:
                work.lag[:] = x - work.spin
            if kinetics == GLAUBER:
                origin, events, flips = _glauber(net, J, h, clocks, work, tau_syn, temperature, dt, plane, tick, key)
            else:
                origin, events, flips = _arrhenius(net, J, h, clocks, work, tau_syn, temperature, dt, plane, tick, key)
            if tau_syn > 0.0:
                x[:] = work.spin + work.lag * exponential(-((dt - origin) / tau_syn))
            all_events += events
            all_flips += flips
        if tau_syn == 0.0:
            x[:] = work.spin
        _pack(bank, plane, work)
    return all_events, all_flips
