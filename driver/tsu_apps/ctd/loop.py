"""The chip's side of training: one message a tick takes codes and examples in and correlations out.

A tick writes all coupling and bias codes and the examples of the data planes, starts the sequencer, waits until it has
halted, and reads the correlation accumulators that the program latched. Nothing else crosses the link.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsu_apps.ctd.config import CtdConfig
from tsu_apps.ctd.rule import Floats
from tsu_contract.bits import unpack_spins
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_driver import Batch, Chip

WARM_UP = 16
"""Averaging times that the accumulators are given to forget that they began at 0."""


@dataclass(frozen=True)
class Averages:
    """What the chip measured, by role: means of s_i s_j over pairs, and of s_i over cells; (pairs,) and (cells,) float64.

    spins : (planes, cells) int8 of data planes, then free planes, at the end of the tick; None unless asked for
    """

    data_pairs: Floats
    free_pairs: Floats
    data_means: Floats
    free_means: Floats
    spins: NDArray[np.int8] | None


class TickLoop:
    """A chip set up for CTD: data planes first, free planes behind them, T = 1."""

    def __init__(self, chip: Chip, clamped: NDArray[np.int64], config: CtdConfig) -> None:
        """Set up roles, clamps, temperature and averages; `tick` may be called after `begin`.

        clamped : cells that the data planes pin
        """
        have, need = chip.capabilities.planes, config.data_planes + config.free_planes
        if need > have:
            raise ValueError(f"{config.data_planes} data planes and {config.free_planes} free planes; the chip has {have} in all")
        self._chip, self._clamped, self._config = chip, clamped, config
        self._pair_of = chip.topology.pair_of
        self._data = np.arange(config.data_planes)
        self._free = np.arange(config.data_planes, need)
        fraction = 2.0**-chip.capabilities.corr_fraction
        self._units = fraction / config.data_planes, fraction / config.free_planes
        steps = [(Opcode.WAIT_SETTLE, 0), (Opcode.RUN, config.sweeps_per_tick), (Opcode.CORR_LATCH, 0), (Opcode.STROBE, 0)]
        self._program = assemble([Instruction(*step) for step in (*steps, (Opcode.HALT, 0))])
        sweep = chip.capabilities.sweep_time(need, correlate=True)
        self._bound = 1000 + chip.capabilities.settle_cycles + config.sweeps_per_tick * sweep

    def begin(self, coupling_codes: NDArray[np.int16], bias_codes: NDArray[np.int16], words: NDArray[np.uint32]) -> None:
        """Program the chip, clear its averages and let it run until they have filled; arguments as those of `tick`."""
        chip, config = self._chip, self._config
        chip.set_temperature(1.0)
        chip.plane_temperatures(1.0)
        chip.configure_correlator(
            data_planes=self._data, free_planes=self._free, tau_data=config.tau_data, tau_free=config.tau_free
        )
        self.resume()
        batch = chip.batch()
        self._write(batch, coupling_codes, bias_codes, words)
        batch.execute()
        chip.run(int(WARM_UP * max(config.tau_data, config.tau_free)))
        self._load()

    def tick(
        self,
        coupling_codes: NDArray[np.int16],
        bias_codes: NDArray[np.int16],
        words: NDArray[np.uint32],
        scan: bool = False,
    ) -> Averages:
        """One tick, one message.

        coupling_codes : (pairs,) code of both couplers of a pair
        bias_codes : (cells,)
        words : (data planes, cell words) rows of CLAMP_VALUE
        scan : read the spins too
        """
        batch = self._chip.batch()
        self._write(batch, coupling_codes, bias_codes, words)
        batch.write("SEQ.PC", 0)
        batch.write("SEQ.CTRL", START=1)
        batch.wait_field("SEQ.STATUS.STATE", "HALTED", max_cycles=self._bound)
        pair_ticket, mean_ticket = batch.read_window("CORR_PAIR"), batch.read_window("CORR_MEAN")
        spins = batch.read_window("SPIN", 0, words.shape[1] * (self._free[-1] + 1)) if scan else None
        batch.execute()
        pairs, means, (data, free) = pair_ticket.value, mean_ticket.value, self._units
        seen = None if spins is None else unpack_spins(spins.value.reshape(-1, words.shape[1]), means.shape[1])
        return Averages(pairs[0] * data, pairs[1] * free, means[0] * data, means[1] * free, seen)

    def suspend(self) -> None:
        """Hold the averages and the free planes as they are; the data planes may then be used for something else."""
        self._chip.write_register("CORR.CTRL.ENABLE", 0)
        self._chip.enable_planes(self._data)

    def resume(self) -> None:
        """Undo `suspend`, whatever became of clamps and program memory."""
        chip = self._chip
        chip.enable_planes(np.concatenate([self._data, self._free]))
        chip.unclamp()
        chip.clamp(self._clamped, np.ones(len(self._clamped), bool), self._data)
        chip.write_register("CORR.CTRL.ENABLE", 1)
        self._load()

    def _load(self) -> None:
        batch = self._chip.batch()
        batch.write_window("PROGRAM", self._program)
        batch.execute()

    def _write(
        self, batch: Batch, coupling_codes: NDArray[np.int16], bias_codes: NDArray[np.int16], words: NDArray[np.uint32]
    ) -> None:
        batch.write_window("COUPLING", coupling_codes[self._pair_of])
        batch.write_window("BIAS", bias_codes)
        batch.write_window("CLAMP_VALUE", words.reshape(-1))
