"""What a chip does by itself: programs under way, learning, streams of examples, ladders, schedules, soft clamps."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_contract.extension import BASE, RegisterMap
from tsu_contract.program import Instruction
from tsu_driver import accumulators, cooling, learning, soft, streaming, tempering, versions
from tsu_driver.accumulators import Weights
from tsu_driver.batch import Outcome
from tsu_driver.clamps import Clamps
from tsu_driver.connection import Connection
from tsu_driver.couplings import Programmed, Quantised
from tsu_driver.errors import HostError
from tsu_driver.learning import LearningStatus, LoadedRule
from tsu_driver.links import Link
from tsu_driver.names import integer
from tsu_driver.planes import Planes
from tsu_driver.rules import UpdateRule
from tsu_driver.runner import Runner, RunResult
from tsu_driver.schedules import Schedule
from tsu_driver.streaming import Stream
from tsu_driver.tempering import SwapStatistics


class Engines(Connection):
    """The engines of a chip beside its array; verbs of `Chip`."""

    def __init__(
        self, link: Link, *, timeout_s: float = 30.0, closed: Callable[[], None] | None = None, registers: RegisterMap = BASE
    ) -> None:
        """As `Connection`."""
        super().__init__(link, timeout_s=timeout_s, closed=closed, registers=registers)
        self._runner = Runner(self._bus)
        self._clamps = Clamps(self._bus)

    # Programs

    def execute_program(self, program: Iterable[Instruction]) -> RunResult:
        """Load a sequencer program, start it, wait until it has halted. A HALT is added if it does not end with one.

        HostError if it never halts or needs an engine that the chip lacks. ChipFault names the instruction if it faults, or if
        it is stalled because a ring of examples ran dry: it may then be given more (`Stream.push`) and waited for.
        """
        return self._runner.execute(self._checked(program))

    def start(self, program: Iterable[Instruction]) -> None:
        """As `execute_program`, but do not wait: `wait_halted` does. A program of a LOOP 0 goes on until `stop`."""
        self._runner.start(self._checked(program))

    def wait_halted(self, max_cycles: int | None = None) -> Outcome:
        """Wait until the program that was started has halted; by default as long as it may take. HostError if it never halts."""
        return self._runner.finish(max_cycles)

    def delay(self, cycles: int) -> None:
        """Let so many cycles of chip time pass, for a program that was started."""
        number = integer(cycles, "cycles")
        if number < 0:
            raise HostError(f"cycles = {number}; 0 or more is expected")
        self._runner.delay(number)

    def stop(self) -> bool:
        """Pause the program that was started, before its next instruction or sweep; also one that is stalled.

        True if it can go on with `resume`, False if it had halted. ChipFault if it faulted.
        """
        return self._runner.stop()

    def resume(self) -> None:
        """Go on with the program that `stop` paused; HostError if another has been loaded since, as by `run` or `read`."""
        self._runner.resume()

    # Learning

    def load_rule(
        self,
        rule: UpdateRule,
        *,
        data_planes: Planes | None = None,
        free_planes: Planes | None = None,
        stochastic: bool = True,
        stochastic_codes: bool = False,
        gain_decay: float = 0.0,
    ) -> LoadedRule:
        """Give the learning engine a rule, with gain 1; Opcode.LEARN carries it out. Not while a program learns.

        data_planes, free_planes : planes over which the roles average, of which only the number counts; None for those that the
            roles have and are enabled, and a program that learns is refused while they have other numbers
        stochastic : a change is rounded to accumulator steps at random, so that its mean is right; else to the nearest
        stochastic_codes : an accumulator is rounded to a code at random, anew in each update; else to the nearest
        gain_decay : fraction of itself by which the gain falls in each update, 0 .. 1; 1 - (end / start)^(1 / n) takes n
            updates from rate `start` to rate `end`
        Returns what was set. HostError names a term whose rate is beyond what the chip has or would round to 0, or that averages
        over a role without planes.
        """
        return learning.load_rule(self._bus, rule, (data_planes, free_planes), stochastic, stochastic_codes, gain_decay)

    def set_gain(self, gain: float) -> float:
        """Set the common factor of all rates, 0 .. 1; returns what could be set, to 2^-31, of which an update uses 16 bits."""
        return learning.set_gain(self._bus, gain)

    def gain(self) -> float:
        """The common factor of all rates, as it has decayed."""
        return learning.read_gain(self._bus)

    def learning(self) -> LearningStatus:
        """How learning goes: updates, clipped changes, saturated accumulators, changed codes, version, gain."""
        return learning.read_status(self._bus)

    def weights(self) -> Weights:
        """Couplings of pairs and biases in kT, as the accumulators of the learning engine stand for.

        Read in one message, of one moment if no program learns meanwhile, as when it is halted or stopped; else each array is of
        a moment between the two counts in `updates`.
        """
        return accumulators.read_weights(self._bus)

    def set_weights(self, pairs: ArrayLike, biases: ArrayLike) -> Programmed:
        """Set accumulators to weights in kT and program the codes that follow, both couplers of a pair alike; await settling.

        pairs : (pairs,) in the order of `chip.topology.pairs`; biases : (cells,)
        Values beyond the range are clipped and counted; residuals are those of the accumulators.
        """
        return accumulators.write_weights(self._bus, self.topology, pairs, biases)

    def freeze(self, pairs: ArrayLike | None = None, cells: ArrayLike | None = None) -> None:
        """Have the engine leave some weights alone.

        pairs : (pairs,) bool, True for frozen couplings; cells : (cells,) bool, True for frozen biases; None for none frozen
        """
        accumulators.freeze(self._bus, pairs, cells)

    def weights_crc(self) -> int:
        """CRC-32 (zlib's) of all coupling and bias codes as the host wrote them; of what LEARN wrote, read from the chip."""
        return versions.weights_crc(self._bus)

    def verify_weights(self) -> int:
        """Check that the last sweep used the codes that the host wrote: `weights_crc` against LEARN.SPIN_CRC, which it returns.

        StaleSamples if weights were written after the sweep; ChipFault if the check sums differ.
        """
        return versions.verify(self._bus, self._runner)

    # Examples

    def stream(
        self,
        examples: ArrayLike,
        cells: ArrayLike | None = None,
        *,
        planes: Planes,
        cycle: bool = True,
        stall: bool = True,
        capacity: int | None = None,
    ) -> Stream:
        """Lay a ring of examples into host memory, from which Opcode.CLAMP_NEXT takes what planes are clamped to, in turn.

        examples : (n, k) of -1 and +1, or bool, in the order of `cells`
        cells : (k,) cells that examples clamp, None for all; other clamps of these planes are released. Until the first
            CLAMP_NEXT the cells are clamped to what they were last
        planes : numbers, or the first n
        cycle : read the examples round and round. Else the ring holds `capacity` of them, a power of two, by default what host
            memory has room for; the first ones go in, as many as it holds, and `Stream.push` takes more
        stall : CLAMP_NEXT waits while a ring has too few; else planes keep what they have, and `Stream.underruns` counts
        HostError if host memory is too small, or says which example is wrong.
        """
        return streaming.lay(self._bus, self._clamps, examples, cells, planes, cycle, stall, capacity, self._runner.slice)

    # Temperatures that change by themselves

    def set_ladders(self, planes: ArrayLike, multipliers: ArrayLike) -> NDArray[np.float64]:
        """Put planes on ladders of rising temperatures for Opcode.SWAP, and clear the counts of swaps.

        planes : (ladders, rungs) plane numbers, each once, 2 rungs or more
        multipliers : of T, (rungs,) for all ladders or (ladders, rungs); rung 0 is by custom the cold one
        Returns the (ladders, rungs) multipliers that could be set. An accepted swap exchanges the temperatures of two planes and
        their roles in the correlator; spins and clamps stay.
        """
        return tempering.set_ladders(self._bus, planes, multipliers)

    def clear_ladders(self) -> None:
        """No more ladders: their planes are at T again, and keep the roles that they have."""
        tempering.clear_ladders(self._bus)

    def ladders(self) -> NDArray[np.int64]:
        """(ladders, rungs) plane that is at each rung now; (0, 0) without ladders."""
        return tempering.read_ladders(self._bus)

    def cold_planes(self) -> NDArray[np.int64]:
        """(ladders,) plane that is at rung 0 of each ladder now."""
        return tempering.read_ladders(self._bus)[:, :1].reshape(-1)

    def swap_statistics(self) -> SwapStatistics:
        """Swaps tried and accepted since `set_ladders`."""
        return tempering.read_statistics(self._bus)

    def schedule(self, schedule: Schedule | None) -> Schedule | None:
        """Have T follow a schedule from the next sweep on, in whatever programs run; None: T stays where it is.

        Linear : codes of T from start to stop, rounded half up; stop stays. Logarithmic : whole tau, alpha in steps of 2^-16; it
        goes on beyond its `sweeps`. Table, and any other : each T for its sweeps, the last one stays; HostError if these need
        more entries than CAP.TABLE_ENTRIES.
        Returns the schedule as the chip has it. An applied calibration of T holds for all of it but the course of a Logarithmic
        one, which the engine works out from its first code: what lacks there is at most the calibration's offset of T.
        """
        if schedule is None:
            cooling.end_schedule(self._bus)
            return None
        return cooling.begin_schedule(self._bus, schedule)

    # Clamps that pull

    def soft_clamp(self, cells: ArrayLike, fields_kt: ArrayLike, planes: Planes | None = None) -> Quantised:
        """Add a field to cells in some planes from the next sweep on; other soft fields stay.

        cells : (k,) cell numbers, each once
        fields_kt : (k,) for all planes or (planes, k) in the order of `planes`, in kT at T = 1, as a bias
        planes : numbers, or the first n; None for all
        Rounded to codes of the bias DACs; values beyond their range are clipped and counted in the result.
        """
        return soft.set_fields(self._bus, cells, fields_kt, planes)

    def soft_unclamp(self, cells: ArrayLike | None = None, planes: Planes | None = None) -> None:
        """Take the soft fields off cells (None: all) in planes (None: all)."""
        soft.clear_fields(self._bus, cells, planes)

    def _checked(self, program: Iterable[Instruction]) -> list[Instruction]:
        """A program whose LEARN has the planes that its rule was loaded for."""
        steps = list(program)
        learning.check_roles(self._bus, steps)
        return steps
