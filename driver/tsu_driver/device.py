"""The chip as a Python object: each verb in one place, its thought in a module of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from html import escape
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_contract.capabilities import LSB_SCALE, Capabilities
from tsu_contract.program import Instruction, Opcode
from tsu_driver import correlator, couplings, sampling
from tsu_driver.batch import Batch, Outcome
from tsu_driver.boot import await_ready, read_capabilities
from tsu_driver.bus import Bus
from tsu_driver.clamps import Clamps
from tsu_driver.correlator import Correlations
from tsu_driver.couplings import Programmed, Quantised
from tsu_driver.links import Link
from tsu_driver.names import FieldValue, integer
from tsu_driver.planes import ENABLE, Planes, enable, planes_in, set_multipliers, set_scan_order
from tsu_driver.runner import Runner, RunResult, schedule_programs
from tsu_driver.schedules import Schedule, temperature_codes
from tsu_driver.session import InterruptLog, Session, Stats
from tsu_driver.topology import Topology


class Chip:
    """A thermodynamic sampling unit: cells with spins -1 and +1, in planes that share couplings and biases.

    Made by `tsu_driver.open`; a context manager. Not for several threads, and for one host at a time: what was written
    to the chip is remembered here and not read again.

    capabilities : what the chip says of itself
    """

    def __init__(self, link: Link, *, timeout_s: float = 30.0, closed: Callable[[], None] | None = None) -> None:
        """Say HELLO over `link`, wait for the boot firmware, read the capabilities; `close` calls `closed` last."""
        self._closed = closed
        self._session = Session(link, timeout_s)
        try:
            await_ready(self._session)
            self.capabilities: Capabilities = read_capabilities(self._session)
        except BaseException:
            self._session.close()
            raise
        self._bus = Bus(self._session, self.capabilities)
        self._runner = Runner(self._bus)
        self._clamps = Clamps(self._bus)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the session, and the private emulator if there is one. May be called again."""
        self._session.close()
        closed, self._closed = self._closed, None
        if closed is not None:
            closed()

    def __repr__(self) -> str:
        c = self.capabilities
        size = f"{c.cells} cells, {c.couplers} couplers, {c.planes} planes"
        return f"<Chip {self.name}: {size}, {c.clock_hz / 1e6:g} MHz>"

    def _repr_html_(self) -> str:
        c = self.capabilities
        rows = {"cells": c.cells, "couplers": c.couplers, "planes": c.planes, "clock": f"{c.clock_hz / 1e6:g} MHz"}
        cells = "".join(f"<tr><td>{key}</td><td>{value}</td></tr>" for key, value in rows.items())
        return f"<b>{escape(self.name)}</b><table>{cells}</table>"

    # What is known without asking the chip

    @property
    def name(self) -> str:
        """The chip's name, as its daemon gives it."""
        return self._session.name

    @property
    def timeout_s(self) -> float:
        """How long a reply may take, in seconds; may be set."""
        return self._session.timeout_s

    @timeout_s.setter
    def timeout_s(self, seconds: float) -> None:
        self._session.timeout_s = seconds

    @property
    def time_cycles(self) -> int:
        """Chip time at the end of the last message, in cycles since power-on."""
        return self._session.time

    @property
    def seconds(self) -> float:
        """`time_cycles` in seconds of chip time."""
        return self._bus.seconds(self._session.time)

    @property
    def interrupts(self) -> InterruptLog:
        """Interrupt events that came with replies and have not been drained."""
        return self._session.interrupts

    @property
    def stats(self) -> Stats:
        """Messages and operations sent so far, counted up in place."""
        return self._session.stats

    @cached_property
    def topology(self) -> Topology:
        """Couplers, pairs, colours and positions; read from the chip once."""
        return Topology.read(self._bus)

    # Registers and windows

    def batch(self) -> Batch:
        """An empty batch of operations."""
        return self._bus.batch()

    def read_register(self, path: str, index: int = 0) -> int:
        """Value of a register (64-bit counters whole), or of a field: `read_register("SEQ.STATUS.STATE")`."""
        return self._bus.read_register(path, index)

    def write_register(self, path: str, value: FieldValue | None = None, index: int = 0, **fields: FieldValue) -> None:
        """Write a register as a word or by field names (others become 0), or one field by its path (others stay)."""
        self._bus.write_register(path, value, index, **fields)

    # The problem

    def program_couplings(self, J: Any, h: ArrayLike | None = None) -> Programmed:
        """Write couplings and biases, in kT at T = 1, and wait until the DACs have settled.

        J : (cells, cells) array or scipy.sparse matrix, J[i, j] being what cell i hears of cell j (symmetric or not);
            or an edge list (pairs (m, 2) int, values (m,)), each value going both ways. Couplers not named get 0.
        h : (cells,) biases, None for 0
        Values beyond the code range are clipped and counted; the others are rounded to the nearest code, half to even.
        HostError names a value that is not finite, on the diagonal, named twice in an edge list, or without a coupler.
        """
        return couplings.program(self._bus, self.topology, J, h)

    def quantise_couplings(self, values: ArrayLike) -> Quantised:
        """Codes of coupling values in kT at T = 1, any shape; nothing is written."""
        return couplings.quantise_couplings(self._bus, values)

    def quantise_biases(self, values: ArrayLike) -> Quantised:
        """Codes of bias values in kT at T = 1, any shape; nothing is written."""
        return couplings.quantise_biases(self._bus, values)

    def clamp(self, cells: ArrayLike, values: ArrayLike, planes: Planes | None = None) -> None:
        """Pin cells from the next sweep on; other clamps stay.

        cells : (k,) cell numbers, each once
        values : -1, +1 or bool, (k,) for all planes or (planes, k) in the order of `planes`
        planes : numbers, or the first n; None for all
        """
        self._clamps.set(cells, values, planes)

    def unclamp(self, cells: ArrayLike | None = None, planes: Planes | None = None) -> None:
        """Release cells (None: all) in planes (None: all)."""
        self._clamps.clear(cells, planes)

    # Temperature and planes

    def set_temperature(self, temperature: float) -> float:
        """Set T to the nearest code; returns the T of that code. HostError names the range if T is outside."""
        lsb = self.capabilities.temp_lsb * LSB_SCALE
        code = int(temperature_codes(np.array([temperature], np.float64), lsb, self._temperature_code_max)[0])
        self.write_register("TEMP.TDAC", CODE=code)
        return code * lsb

    def enable_planes(self, planes: Planes) -> None:
        """Enable these planes (numbers, or the first n) and no others; the others keep their spins."""
        enable(self._bus, planes)

    @property
    def enabled_planes(self) -> NDArray[np.int64]:
        """Enabled planes, ascending."""
        return planes_in(self._bus, ENABLE).copy()

    def plane_temperatures(self, multipliers: ArrayLike) -> NDArray[np.float64]:
        """Multiply T by one number, or by one for each plane, (planes,); returns the multipliers that could be set."""
        return set_multipliers(self._bus, multipliers)

    def set_scan_order(self, order: str) -> None:
        """Order of the colour phases from the next sweep on: "chromatic", "palindromic" or "random".

        Chromatic, as at power-on, has the right stationary law but is not reversible. A palindromic pair of sweeps, of even and
        then odd index, is; so is a random sweep, whose phases draw their colours. HostError for any other word.
        """
        set_scan_order(self._bus, order)

    # Running

    def run(self, sweeps: int) -> RunResult:
        """Do so many sweeps in all enabled planes."""
        return self.execute_program([Instruction(Opcode.RUN, integer(sweeps, "sweeps"))])

    def anneal(self, schedule: Schedule) -> RunResult:
        """Run a schedule; the temperature stays where it ends. It takes several programs if program memory is small."""
        lsb = self.capabilities.temp_lsb * LSB_SCALE
        steps = schedule.steps(lsb, self._temperature_code_max)
        programs = schedule_programs(steps, self.capabilities.program_words)
        results = [self._runner.execute(program) for program in programs]
        cycles = sum(r.cycles for r in results)
        return RunResult(cycles, self._bus.seconds(cycles), sum(r.sweeps for r in results))

    def read(self) -> NDArray[np.int8]:
        """(planes, cells) spins, -1 or +1, of all planes as they are now."""
        return sampling.read_spins(self._bus, self._runner)

    def sample(self, n: int, every: int = 1, burn: int = 0) -> NDArray[np.int8]:
        """(n, enabled planes, cells) spins, -1 or +1: after `burn` sweeps, n times `every` sweeps and a look.

        Only enabled planes are in the result, in ascending order.
        """
        return sampling.sample(self._bus, self._runner, n, every, burn)

    def execute_program(self, program: Iterable[Instruction]) -> RunResult:
        """Load a sequencer program, start it, wait until it has halted. A HALT is added if it does not end with one.

        ChipFault names the instruction if it faults.
        """
        return self._runner.execute(program)

    def start(self, program: Iterable[Instruction]) -> None:
        """As `execute_program`, but do not wait: `wait_halted` does."""
        self._runner.start(program)

    def wait_halted(self, max_cycles: int | None = None) -> Outcome:
        """Wait until the program that was started has halted; by default as long as it may take."""
        return self._runner.finish(max_cycles)

    # Correlations

    def configure_correlator(
        self, *, data_planes: Planes, free_planes: Planes, tau_data: float, tau_free: float, period: int = 1
    ) -> None:
        """Give planes their roles, set averaging times, clear the accumulators and enable them.

        tau_data, tau_free : time constants of the averages, in updates, 1 .. 131071; 1 keeps the last update only
        period : sweeps from one update to the next
        """
        correlator.configure(self._bus, data_planes, free_planes, tau_data, tau_free, period)

    def correlations(self) -> Correlations:
        """Latch the accumulators and read them as averages."""
        return correlator.read(self._bus)

    @property
    def _temperature_code_max(self) -> int:
        return (1 << self.capabilities.temp_bits) - 1
