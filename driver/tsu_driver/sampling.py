"""Samples: run, strobe, scan, many times in one message."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsu_contract.bits import unpack_spins
from tsu_contract.program import Instruction, Opcode
from tsu_driver.bus import Bus
from tsu_driver.errors import HostError
from tsu_driver.names import integer
from tsu_driver.planes import ENABLE, planes_in
from tsu_driver.runner import Runner, add_start

OPERATIONS_PER_SAMPLE = 4
"""Write PC, START, WAIT, scan."""


def read_spins(bus: Bus, runner: Runner) -> NDArray[np.int8]:
    """(planes, cells) spins of all planes as they are now."""
    spins: NDArray[np.int8] = _chunk(bus, runner, 1, 0, np.arange(bus.capabilities.planes))[0]
    return spins


def sample(bus: Bus, runner: Runner, n: int, every: int, burn: int) -> NDArray[np.int8]:
    """(n, enabled planes, cells) spins: `burn` sweeps, then n times `every` sweeps and a look."""
    n, every, burn = integer(n, "n"), integer(every, "every"), integer(burn, "burn")
    if n < 0 or every < 0 or burn < 0:
        raise HostError(f"n = {n}, every = {every}, burn = {burn}; none of them may be negative")
    planes = planes_in(bus, ENABLE)
    out: NDArray[np.int8] = np.empty((n, len(planes), bus.capabilities.cells), np.int8)
    if burn:
        runner.execute([Instruction(Opcode.RUN, burn)])
    if not len(planes):
        if n * every:
            runner.execute([Instruction(Opcode.LOOP, n), Instruction(Opcode.RUN, every), Instruction(Opcode.END)])
        return out
    chunk = _samples_per_message(bus, runner, every, planes)
    for first in range(0, n, chunk):
        out[first : first + chunk] = _chunk(bus, runner, min(chunk, n - first), every, planes)
    return out


def _samples_per_message(bus: Bus, runner: Runner, every: int, planes: NDArray[np.int64]) -> int:
    """How many samples a message may hold: by operations, frames, bytes, and the time that the sweeps take."""
    limits = bus.session.limits
    size = 4 * _words(bus, planes)
    by_work = runner.sweeps_per_wait // max(1, every)
    by_operations = (limits.operations - 1) // OPERATIONS_PER_SAMPLE
    return max(1, min(by_operations, limits.blocks, limits.payload_bytes // size, by_work))


def _words(bus: Bus, planes: NDArray[np.int64]) -> int:
    """Words of a scan from plane 0 to the last one wanted."""
    return (int(planes[-1]) + 1) * ((bus.capabilities.cells + 31) // 32)


def _chunk(bus: Bus, runner: Runner, n: int, every: int, planes: NDArray[np.int64]) -> NDArray[np.int8]:
    """(n, len(planes), cells) spins in one message; two or more if even one sample takes long."""
    sweeps = [Instruction(Opcode.RUN, every)] if every else []
    program = runner.prepare([*sweeps, Instruction(Opcode.STROBE)])
    words = _words(bus, planes)
    if every > runner.sweeps_per_wait:
        runner.execute(program.program)
        batch = bus.batch()
        tickets = [batch.read_window("SPIN", 0, words)]
        batch.execute()
    else:
        runner.check_idle()
        batch = bus.batch()
        runner.load(batch, program)
        tickets = []
        for _ in range(n):
            add_start(batch)
            runner.add_wait(batch, program.bound)
            tickets.append(batch.read_window("SPIN", 0, words))
        runner.complete(batch, program)
    last = int(planes[-1]) + 1
    scans = np.stack([t.value.reshape(last, -1) for t in tickets])
    return unpack_spins(scans if len(planes) == last else scans[:, planes], bus.capabilities.cells)
