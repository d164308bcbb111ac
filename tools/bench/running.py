"""A chip under test, driven in process as a daemon drives it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_contract.operations import RECORD, Op
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_contract.registers import WINDOWS, access_table, register

SEED = 0
"""Of the codes."""


@dataclass(frozen=True)
class Subject:
    """What is measured: what it is called, a configuration, its planes and threads, and sweeps of one repetition."""

    name: str
    config: Any
    planes: int
    threads: int
    sweeps: int
    goal: float | None = None


class Running:
    """A chip with random codes, and a program that sweeps it; it has swept once.

    limit : largest code of couplings that are alike in both directions, and of biases; None: couplings that differ by direction,
        and no biases. Only the former have an energy.
    """

    def __init__(self, subject: Subject, limit: int | None = None) -> None:
        from tsu_emu.chip import Chip

        self.subject, self.chip = subject, Chip(subject.config, threads=subject.threads)
        program = assemble([Instruction(Opcode.RUN, subject.sweeps), Instruction(Opcode.HALT)]).tobytes()
        self.operate((Op.BLKWR, "PROGRAM", program))
        self._write_codes(limit)
        for word in range((self.chip.capabilities.planes + 31) // 32):
            enabled = (1 << min(max(subject.planes - 32 * word, 0), 32)) - 1
            self.operate((Op.WRITE, register("FABRIC.PLANE_ENABLE").at(word), enabled))
        self.seconds()

    def _write_codes(self, limit: int | None) -> None:
        from tsu_emu.topology import pair_couplers

        cap, rng = self.chip.capabilities, np.random.default_rng(SEED)
        if limit is None:
            largest = max(2, round(60 / np.sqrt(cap.couplers / cap.cells)))
            couplings = rng.integers(-largest, largest + 1, cap.couplers)
        else:
            up, down = pair_couplers(self.chip.plant.topology)
            couplings = np.empty(cap.couplers, np.int64)
            couplings[up] = couplings[down] = rng.integers(-limit, limit + 1, len(up))
            self.operate((Op.BLKWR, "BIAS", self._biases(rng, limit)))
        self.operate((Op.BLKWR, "COUPLING", halves(couplings)))

    def _biases(self, rng: np.random.Generator, limit: int) -> bytes:
        return halves(rng.integers(-limit, limit + 1, self.chip.capabilities.cells))

    def operate(self, *rows: tuple[int, str | int, bytes | int]) -> None:
        """Writes of words, and of whole windows by name."""
        records, payloads = np.zeros(len(rows), RECORD), []
        for k, (op, where, what) in enumerate(rows):
            if isinstance(what, bytes):
                records[k] = (op, 0, 0, WINDOWS[str(where)].address, 0, 0, len(what) // 4)
                payloads.append(what)
            else:
                records[k] = (op, 0, 0, where, what, 0, 0)
        self.chip.execute(records, payloads)

    def seconds(self) -> float:
        """Time of one repetition."""
        records = np.zeros(3, RECORD)
        records[0] = (Op.WRITE, 0, 0, register("SEQ.PC").at(), 0, 0, 0)
        records[1] = (Op.WRITE, 0, 0, register("SEQ.CTRL").at(), 1, 0, 0)
        records[2] = (Op.WAIT, 0, 0, register("SEQ.STATUS").at(), 2, 0xFF, 1 << 40)
        begin = time.perf_counter()
        result = self.chip.execute(records)
        took = time.perf_counter() - begin
        if result.failure is not None:
            raise RuntimeError(result.failure.message)
        return took

    def rate(self) -> float:
        """Million attempted spin updates a second."""
        return self.subject.planes * self.subject.sweeps * self.chip.capabilities.cells / self.seconds() / 1e6

    def spins(self) -> NDArray[np.int8]:
        """(planes, cells), -1 or 1."""
        from tsu_emu.chip.arrays.base import per_plane

        return (2 * per_plane(self.chip.state.spins, self.subject.planes).astype(np.int8) - 1).astype(np.int8)

    def moment(self) -> tuple[float, float]:
        """<s I> - <I tanh(I/T)> over the cells of the last colour, kT, and its standard error.

        These cells were just drawn given all others, so the difference is 0 for a right sampler, in or out of equilibrium, once
        the noise temperature is the die's own, and cells that are stuck are left out.
        """
        from tsu_emu.chip.inputs import noise_temperature

        plant, t = self.chip.plant, self.chip.plant.topology
        tdac = int(self.chip.state.registers[access_table().decode[register("TEMP.TDAC").at() >> 2]])
        temperature = noise_temperature(plant.die, plant.temperature, plant.tdac_floor, tdac)
        last = t.order[t.phase[-2] :]
        last = last[(plant.dead_mask[last] == 0)]
        differences = []
        for plane in range(self.subject.planes):
            up = (self.chip.state.spins[plane >> 6] >> np.uint64(plane & 63) & np.uint64(1)).astype(np.int64)
            heard = np.add.reduceat(plant.doubled * up[t.source], t.row[:-1])
            field = ((plant.base + heard) / plant.die.scale)[last]
            differences.append(field * ((2 * up[last] - 1) - np.tanh(field / temperature)))
        values = np.concatenate(differences)
        return float(values.mean()), float(values.std() / np.sqrt(len(values)))


def halves(codes: NDArray[np.int64]) -> bytes:
    """The 16-bit words of a window, to a whole number of 32-bit words."""
    return np.concatenate([codes, np.zeros(len(codes) % 2, np.int64)]).astype("<i2").tobytes()
