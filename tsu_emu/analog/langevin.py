"""Langevin cells: an analog value in a quartic potential, coupled linearly, in steps of Leimkuhler and Matthews.

V_i = 1/2 a x^2 + 1/3 c x^3 + 1/4 b x^4 - h x and tau dx_i = (-V_i'(x_i) + sum_j J_ij x_j) dt + sqrt(2 T tau) dW. A step of h =
dt_micro / tau on a grid fixed in chip time is x += h f(x) + sqrt(2 T h) (xi_n + xi_{n+1}) / 2 (Leimkuhler, Matthews, Applied
Mathematics Research eXpress 2013, 34-56): its stationary law is off by order h^2 and for a harmonic cell not at all. xi_n
is keyed by the number n of the grid point, so that nothing but x is carried from call to call.

Here planes become tiles of sixteen, which threads share; planes know nothing of each other, so no result depends on that.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from tsu_emu.analog.quartic import BATCH, DRAWS, LANES, Quartic, Tile, draw, exchanged
from tsu_emu.jit import inner, kernel, parallel_kernel
from tsu_emu.lanes.target import HAS_VECTORS

if HAS_VECTORS:
    from tsu_emu.analog.quartic512 import move_cells
else:
    from tsu_emu.analog.quartic import move_cells

__all__ = ["LANES", "Quartic", "live", "workspace"]

Floats = NDArray[np.float64]
F = np.float32
U = np.uint32
RUN = 64
"""Values of a plane that are loaded or stored one after the other, before those of the next plane."""
LINE = 64
"""Bytes of a line of the cache."""
PARALLEL_FROM = 1_000_000
"""Cell-steps of a call from which a second thread pays."""


def _aligned(shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
    """Zeros that begin at a line of the cache, so that no vector lies across two."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.zeros(size + LINE, np.uint8)
    first = -room.ctypes.data % LINE
    return room[first : first + size].view(dtype).reshape(shape)


def workspace(cells: int, threads: int) -> Tile:
    """Tiles for as many threads, their arrays with a first axis of threads. Making one takes longer than a step."""
    value, drawn = (threads, cells, LANES), (threads, 4, DRAWS)
    return Tile(
        _aligned(value, np.float64), _aligned(value, F), _aligned(value, F), _aligned(value, F), _aligned(drawn, F),
        _aligned(drawn, U), _aligned((threads, LANES), np.float64), _aligned((threads, DRAWS), U),
    )  # fmt: skip


@inner
def _tile(work, thread):  # type: ignore[no-untyped-def]
    return Tile(
        work.value[thread], work.heard[thread], work.next[thread], work.before[thread], work.drawn[thread], work.word[thread],
        work.amplitude[thread], work.plane[thread],
    )  # fmt: skip


@inner
def _load(tile, x, temperature, planes, step):  # type: ignore[no-untyped-def]
    """The values x of up to LANES planes into a tile."""
    for r in range(planes.size):
        tile.amplitude[r] = np.sqrt(0.5 * temperature[planes[r]] * step)
        for k in range(r, DRAWS, LANES):
            tile.plane[k] = planes[r]
    for first in range(0, x.shape[1], RUN):
        for r in range(planes.size):
            source, target = x[planes[r], first : first + RUN], tile.value[first : first + RUN, r]
            for i in range(source.size):
                target[i] = source[i]
    for i in range(x.shape[1]):
        value, heard, next = tile.value[i], tile.heard[i], tile.next[i]
        for r in range(planes.size):
            heard[r] = next[r] = F(value[r])


@inner
def _store(tile, x, planes):  # type: ignore[no-untyped-def]
    for first in range(0, x.shape[1], RUN):
        for r in range(planes.size):
            source, target = tile.value[first : first + RUN, r], x[planes[r], first : first + RUN]
            for i in range(source.size):
                target[i] = source[i]


@inner
def _begin(tile, number, key):  # type: ignore[no-untyped-def]
    """All deviates of the grid point at which a call begins."""
    before = tile.before
    for first in range(0, before.shape[0], BATCH):
        draw(tile, first, number, key)
        for i in range(first, min(first + BATCH, before.shape[0])):
            place = LANES * ((i - first) >> 2)
            for r in range(LANES):
                before[i, r] = tile.drawn[(i - first) & 3, place + r]


@inner
def _live(x, cells, net, held, temperature, enabled, numbers, key, work, thread):  # type: ignore[no-untyped-def]
    """Steps of a thread's tiles from grid point numbers[0] to numbers[1]."""
    tile = _tile(work, thread)
    for low in range(LANES * thread, enabled.size, LANES * work.value.shape[0]):
        planes = enabled[low : low + LANES]
        _load(tile, x, temperature, planes, cells.step)
        _begin(tile, numbers[0], key)
        for number in range(numbers[0], numbers[1]):
            for first in range(0, held.size, BATCH):
                draw(tile, first, number + 1, key)
                move_cells(tile, cells, net, held, planes.size, first, min(first + BATCH, held.size))
            tile = exchanged(tile)
        _store(tile, x, planes)


@parallel_kernel
def _live_by_threads(x, cells, net, held, temperature, enabled, numbers, key, work):  # type: ignore[no-untyped-def]
    for thread in prange(work.value.shape[0]):
        _live(x, cells, net, held, temperature, enabled, numbers, key, work, thread)


@kernel
def _live_in_turn(x, cells, net, held, temperature, enabled, numbers, key, work):  # type: ignore[no-untyped-def]
    for thread in range(work.value.shape[0]):
        _live(x, cells, net, held, temperature, enabled, numbers, key, work, thread)


def live(
    x: Floats, cells: Quartic, net: tuple[Any, ...], held: NDArray[np.bool_], temperature: Floats, enabled: NDArray[np.int64],
    first_tick: int, ticks: int, key: NDArray[np.uint32], work: Tile | None = None,
) -> None:  # fmt: skip
    """Let the cells of the enabled planes live for ticks first_tick .. first_tick + ticks - 1.

    x : (planes, cells) float64, changed in place; cells : Quartic; net = (row, source, J); held : (cells,) bool, cells that keep
    their value; temperature : (planes,) float64, >= 0; enabled : (n,) int64, plane numbers; key : first three key words, uint32
    work : a workspace for these cells, whose threads share the planes; no result depends on it
    """
    if work is None:
        work = workspace(x.shape[1], 1)
    numbers = first_tick * cells.substeps, (first_tick + ticks) * cells.substeps
    row, source, J = net
    parallel = len(work.value) > 1 and enabled.size > LANES and enabled.size * held.size * ticks * cells.substeps >= PARALLEL_FROM
    run = _live_by_threads if parallel else _live_in_turn
    run(x, cells, (row, source, J.astype(F, copy=False)), held, temperature, enabled, numbers, key, work)
