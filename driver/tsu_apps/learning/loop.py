"""The chip's side of training: codes and examples in, correlations out, one message a tick; nothing else crosses the link."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_apps.learning.examples import Layout
from tsu_apps.learning.masters import Codes, Floats
from tsu_contract.bits import unpack_spins
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_driver import Batch, Chip

Spins = NDArray[np.int8]


class Seen(NamedTuple):
    """What the chip measured in a tick, as `tsu_driver.rules.Averages`: (pairs,) means of s_i s_j and (cells,) means of s.

    data_spins, free_spins : (planes, cells) of the role's planes when its averages were latched; None unless asked for
    free_before : the free role's planes a tick earlier, where they go on from tick to tick and were asked for then
    """

    data_pairs: Floats
    free_pairs: Floats
    data_means: Floats
    free_means: Floats
    data_spins: Spins | None = None
    free_spins: Spins | None = None
    free_before: Spins | None = None


class ChipLoop(ABC):
    """A chip that is set up for training: for codes it gives averages, tick after tick.

    bytes : data of windows that ticks have sent and fetched
    temperature : T of the last tick
    """

    def __init__(self, chip: Chip, layout: Layout) -> None:
        self.bytes = 0
        self.temperature = 1.0
        self._chip, self._layout = chip, layout
        self._pair_of = chip.topology.pair_of
        self._unit = 2.0**-chip.capabilities.corr_fraction
        self._row_words = len(layout.clamp_words(np.ones((1, len(layout.clamped)), np.int8))[0])

    @abstractmethod
    def begin(self, codes: Codes) -> None:
        """Set up the chip; `tick` may be called afterwards."""

    @abstractmethod
    def tick(self, codes: Codes, scan: bool = False) -> Seen:
        """Program the codes, take examples, run, read. scan : the spins too"""

    @abstractmethod
    def suspend(self) -> int:
        """Hold what must outlast an interruption, so that the first planes may be used for something else; how many."""

    @abstractmethod
    def resume(self) -> None:
        """Undo `suspend`, whatever became of clamps, enabled planes and program memory."""

    def finish(self) -> None:  # noqa: B027 - most loops leave nothing behind
        """Leave the chip's clamps, ladders and schedules as others expect them."""

    def _write_codes(self, batch: Batch, codes: Codes) -> None:
        self._send(batch, "COUPLING", np.take(codes.couplings, self._pair_of))
        self._send(batch, "BIAS", codes.biases)

    def _send(self, batch: Batch, window: str, values: NDArray[Any]) -> None:
        batch.write_window(window, values)
        self.bytes += values.nbytes

    def _start(self, batch: Batch, pc: int, bound: int) -> None:
        """Start the program at `pc` and wait until it has halted."""
        batch.write("SEQ.PC", pc)
        batch.write("SEQ.CTRL", START=1)
        batch.wait_field("SEQ.STATUS.STATE", "HALTED", max_cycles=bound)

    def _load(self, programs: Sequence[Sequence[Instruction]]) -> None:
        """Write programs one behind the other."""
        batch = self._chip.batch()
        batch.write_window("PROGRAM", np.concatenate([assemble(program) for program in programs]))
        batch.execute()

    def _fetched(self, values: NDArray[Any]) -> NDArray[Any]:
        self.bytes += values.nbytes
        return values

    def _spins(self, words: NDArray[np.uint32]) -> Spins:
        """(planes, cells) from words of SPIN."""
        return unpack_spins(words.reshape(-1, self._row_words), self._layout.cells)

    def _bound(self, sweeps: int, planes: int) -> int:
        """Cycles that a program of so many sweeps takes at most, settling included."""
        c = self._chip.capabilities
        return 1000 + c.settle_cycles + sweeps * c.sweep_time(planes, correlate=True)


def measuring(sweeps: int, more: Sequence[Instruction] = ()) -> list[Instruction]:
    """Settle, run, do more, latch averages and spins, halt."""
    steps = [Instruction(Opcode.WAIT_SETTLE), Instruction(Opcode.RUN, sweeps), *more]
    return [*steps, *(Instruction(op) for op in (Opcode.CORR_LATCH, Opcode.STROBE, Opcode.HALT))]
