"""Clocked pdits: Potts cells of k states, heat bath colour by colour.

E(s) = -sum_{i<j} J_ij [s_i = s_j] - sum_i h_{i, s_i} in kT at T = 1, so P(s_i = a | rest) ~ exp(I_ia / T) with the local field
I_ia = h_ia + sum_j J_ij [s_j = a] (Potts, Proc. Camb. Phil. Soc. 48, 1952, 106). A pdit of two states is a p-bit whose coupling
is J_ij / 2 and whose bias is (h_i1 - h_i0) / 2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_emu.jit import inner, kernel
from tsu_emu.noise.functions import exponential
from tsu_emu.noise.threefry import threefry

U = np.uint32
Q = np.uint64
STEP = 1.0 / 4294967296.0
VISIT_SHIFT = 16
"""Bits of the noise counter's plane word that the plane may use."""
CHROMATIC, PALINDROMIC = 0, 1


class Bank(NamedTuple):
    """Cells of all planes; bit k of word b is plane 64 b + k.

    states, pinned : (planes, cells) uint8, 0 .. k - 1; pinned is the state of a clamped cell
    clamp_mask : (blocks, cells) uint64; enabled : (blocks,) uint64; temperature : (planes,) float64
    """

    states: NDArray[np.uint8]
    clamp_mask: NDArray[np.uint64]
    pinned: NDArray[np.uint8]
    enabled: NDArray[np.uint64]
    temperature: NDArray[np.float64]


@inner
def _is_set(word, plane):  # type: ignore[no-untyped-def]
    return (word >> Q(plane & 63)) & Q(1) != Q(0)


@inner
def _draw(cumulative, temperature, uniform):  # type: ignore[no-untyped-def]
    """State from the fields in `cumulative` (k,), overwritten by running sums of exp((I_a - max I) / T)."""
    top = cumulative[0]
    for a in range(1, cumulative.size):
        top = max(top, cumulative[a])
    total = 0.0
    for a in range(cumulative.size):
        total += exponential((cumulative[a] - top) / temperature)
        cumulative[a] = total
    threshold, a = uniform * total, 0
    while threshold >= cumulative[a]:
        a += 1
    return a


@inner
def _update_plane(net, J, h, bank, plane, low, high, visit, tick, key):  # type: ignore[no-untyped-def]
    """`update_colour` in one plane."""
    order, row, source = net
    states, k = bank.states[plane], h.size // bank.states.shape[1]
    fields, t0, t1 = np.empty(k), U(tick & 0xFFFFFFFF), U(tick >> 32)
    words = (U(0), U(0), U(0), U(0))
    for rank in range(low, high):
        if rank == low or rank & 3 == 0:
            words = threefry(U(rank >> 2), U(plane + (visit << VISIT_SHIFT)), t0, t1, key[0], key[1], key[2], U(0))
        i = np.int64(order[rank])
        if _is_set(bank.clamp_mask[plane >> 6, i], plane):
            continue
        for a in range(k):
            fields[a] = h[i * k + a]
        for e in range(row[i], row[i + 1]):
            fields[states[source[e]]] += J[e]
        states[i] = _draw(fields, bank.temperature[plane], (np.float64(words[rank & 3]) + 0.5) * STEP)


@kernel
def update_colour(net, J, h, bank, low, high, visit, tick, key):  # type: ignore[no-untyped-def]
    """Update the free cells of ranks low .. high - 1, all of one colour, in the enabled planes.

    net = (order, row, source): order (cells,) cells by rank, row (cells + 1,) int64, source (couplers,) uint32
    J : (couplers,) float64; h : (cells * k,) float64, element i * k + a; in kT at T = 1
    visit : tells the updates of a cell within one sweep apart
    key : (4,) uint32, stream PDIT; counter (rank >> 2, plane + (visit << 16), tick low, tick high), word rank & 3
    """
    for plane in range(bank.states.shape[0]):
        if _is_set(bank.enabled[plane >> 6], plane):
            _update_plane(net, J, h, bank, plane, low, high, visit, tick, key)


@kernel
def drive_clamps(bank):  # type: ignore[no-untyped-def]
    """Clamped cells of enabled planes take their pinned state."""
    for plane in range(bank.states.shape[0]):
        if _is_set(bank.enabled[plane >> 6], plane):
            for i in range(bank.states.shape[1]):
                if _is_set(bank.clamp_mask[plane >> 6, i], plane):
                    bank.states[plane, i] = bank.pinned[plane, i]


@kernel
def scan(order: int, colours: int, first_tick: int, sweeps: int) -> NDArray[np.int64]:
    """(sweeps, colours) int64: colour of each phase; PALINDROMIC takes them in descending order in odd ticks."""
    phases = np.empty((sweeps, colours), np.int64)
    for n in range(sweeps):
        down = order == PALINDROMIC and (first_tick + n) & 1 == 1
        for c in range(colours):
            phases[n, c] = colours - 1 - c if down else c
    return phases


@kernel
def sweep(net, J, h, bank, bounds, phases, first_tick, key):  # type: ignore[no-untyped-def]
    """Drive the clamps, then sweep once per row of `phases`, one tick each. Arguments as in `update_colour`.

    bounds : (colours + 1,) int64, ranks bounds[c] .. bounds[c + 1] - 1 have colour c
    phases : (sweeps, phases) int64, the colours to update, as from `scan`; the number of the phase is the visit
    """
    drive_clamps(bank)
    for n in range(phases.shape[0]):
        for visit in range(phases.shape[1]):
            colour = phases[n, visit]
            update_colour(net, J, h, bank, bounds[colour], bounds[colour + 1], visit, first_tick + n, key)
