"""Samples: run, look, fetch, many times in one message. A look latches spins or states, or converts analog values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_contract.bits import unpack_spins
from tsu_contract.capabilities import Capabilities
from tsu_contract.program import Instruction, Opcode
from tsu_driver.batch import Batch
from tsu_driver.bus import Bus
from tsu_driver.converters import input_of
from tsu_driver.errors import HostError
from tsu_driver.kinds import has_spins, has_states, has_values, require
from tsu_driver.names import integer
from tsu_driver.planes import ENABLE, planes_in
from tsu_driver.programs import CONVERSION_WORK, UPDATES_PER_WAIT
from tsu_driver.runner import Runner, add_start
from tsu_driver.versions import check_spins, spin_versions

OPERATIONS_PER_SAMPLE = 4
"""Write PC, START, WAIT, fetch."""


class View(NamedTuple):
    """What a look gives.

    opcode : the instruction that takes it; window : where it lies then
    row : elements of a plane; decode : (n, planes, row) elements to (n, planes, cells) of the type that the host sees
    """

    opcode: Opcode
    window: str
    row: int
    decode: Callable[[NDArray[Any]], NDArray[Any]]


def view_of(capabilities: Capabilities) -> View:
    """Spins, states of pdits, or values of analog cells."""
    if has_values(capabilities):
        return View(Opcode.ADC_SCAN, "VALUE", capabilities.cells, lambda codes: input_of(codes, "cell", capabilities))
    return _latched(capabilities)


def state_view(capabilities: Capabilities) -> View:
    """States of pdits, modes of mixture cells; HostError if the cells have neither."""
    require(has_states(capabilities), capabilities, "only pdits and mixture cells have states")
    return _latched(capabilities)


def _latched(capabilities: Capabilities) -> View:
    """What STROBE latches."""
    cells = capabilities.cells
    if has_spins(capabilities):
        return View(Opcode.STROBE, "SPIN", (cells + 31) // 32, lambda words: unpack_spins(words, cells))
    return View(Opcode.STROBE, "STATE", cells, np.copy)


def read_cells(bus: Bus, runner: Runner, view: View, stale_ok: bool) -> NDArray[Any]:
    """(planes, cells) as they are now; a plane that is not enabled is not converted: its values are NaN.

    StaleSamples unless stale_ok if weights were written after the last sweep; of converted values nobody can tell.
    """
    total = bus.capabilities.planes
    if view.opcode is Opcode.STROBE:
        latched: NDArray[Any] = _chunk(bus, runner, view, 1, 0, np.arange(total), stale_ok)[0]
        return latched
    enabled = planes_in(bus, ENABLE)
    out = np.full((total, bus.capabilities.cells), np.nan)
    if len(enabled):
        out[enabled] = _chunk(bus, runner, view, 1, 0, enabled, stale_ok)[0]
    return out


def sample(bus: Bus, runner: Runner, view: View, n: int, every: int, burn: int, stale_ok: bool) -> NDArray[Any]:
    """(n, enabled planes, cells): `burn` sweeps, then n times `every` sweeps and a look; stale_ok as in `read_cells`."""
    n, every, burn = integer(n, "n"), integer(every, "every"), integer(burn, "burn")
    if n < 0 or every < 0 or burn < 0:
        raise HostError(f"n = {n}, every = {every}, burn = {burn}; none of them may be negative")
    planes = planes_in(bus, ENABLE)
    if burn:
        runner.execute([Instruction(Opcode.RUN, burn)])
    if not len(planes) and n * every:
        runner.execute([Instruction(Opcode.LOOP, n), Instruction(Opcode.RUN, every), Instruction(Opcode.END)])
    if not len(planes) or not n:
        nothing = view.decode(np.empty((0, view.row), bus.layouts[view.window].window.dtype))
        return nothing.reshape(n, len(planes), bus.capabilities.cells)
    chunk = _samples_per_message(bus, runner, view, every, planes)
    parts = [_chunk(bus, runner, view, min(chunk, n - first), every, planes, stale_ok) for first in range(0, n, chunk)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _samples_per_message(bus: Bus, runner: Runner, view: View, every: int, planes: NDArray[np.int64]) -> int:
    """How many samples a message may hold: by operations, frames, bytes, and the time that sweeps and conversions take."""
    limits = bus.session.limits
    size = bus.layouts[view.window].window.dtype.itemsize * _elements(bus, view, planes)
    conversions = len(planes) * bus.capabilities.cells if view.opcode is Opcode.ADC_SCAN else 0
    work = max(1, every) * (UPDATES_PER_WAIT // runner.sweeps_per_wait) + CONVERSION_WORK * conversions
    by_operations = (limits.operations - 1) // OPERATIONS_PER_SAMPLE
    return max(1, min(by_operations, limits.blocks, limits.payload_bytes // size, UPDATES_PER_WAIT // work))


def _elements(bus: Bus, view: View, planes: NDArray[np.int64]) -> int:
    """Elements from plane 0 to the last one wanted, to the end of a 32-bit word."""
    layout = bus.layouts[view.window]
    per_word = max(1, 4 // layout.window.dtype.itemsize)
    wanted = (int(planes[-1]) + 1) * view.row
    return min(layout.size, -(-wanted // per_word) * per_word)


def _chunk(bus: Bus, runner: Runner, view: View, n: int, every: int, planes: NDArray[np.int64], stale_ok: bool) -> NDArray[Any]:
    """(n, len(planes), cells) in one message; two or more if even one sample takes long. A sweep makes samples fresh."""
    sweeps = [Instruction(Opcode.RUN, every)] if every else []
    program = runner.prepare([*sweeps, Instruction(view.opcode)])
    elements, tickets, versions = _elements(bus, view, planes), [], []
    checked = view.opcode is Opcode.STROBE and not every and not stale_ok

    def fetch(batch: Batch) -> None:
        tickets.append(batch.read_window(view.window, 0, elements))

    def finish(batch: Batch) -> None:
        fetch(batch)
        if checked:
            versions.append(spin_versions(batch))

    runner.check_idle()
    batch = bus.batch()
    runner.load(batch, program)
    for _ in range(n - 1):
        add_start(batch)
        runner.add_wait(batch, program)
        fetch(batch)
    add_start(batch)
    runner.complete(batch, program, finish)
    if checked:
        check_spins(bus, versions[-1])
    last = int(planes[-1]) + 1
    held = [*tickets[: n - 1], tickets[-1]]
    scans = np.stack([t.value.reshape(-1)[: last * view.row].reshape(last, view.row) for t in held])
    return view.decode(scans if len(planes) == last else scans[:, planes])
