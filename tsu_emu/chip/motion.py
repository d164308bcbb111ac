"""Chip time: the compiled loop, and what it leaves to this side: parameters, deferred arrays, converters, firmware."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tsu_emu import state as S
from tsu_emu.chip import machine
from tsu_emu.chip.arrays import Array
from tsu_emu.chip.converters import Converters
from tsu_emu.chip.core_loop import ALL
from tsu_emu.chip.engines import engage_once
from tsu_emu.chip.inputs import noise_temperature, take_clamps, take_soft
from tsu_emu.chip.parameters import Parameters
from tsu_emu.chip.plant import Plant
from tsu_emu.digital import sequencer
from tsu_emu.digital import words as W
from tsu_emu.digital.correlator import accumulate_planes, latch_sums
from tsu_emu.digital.regfile import CLEAR_CORRELATIONS, LATCH_CORRELATIONS, peek_word

BUDGET = 5_000_000
"""Work of one compiled call, about 30 ms; between two calls `Motion.between_calls` may stop the chip."""
LOOK_SECONDS = 0.03
"""Of many short calls, `between_calls` comes so often."""


class Motion:
    """Moves one chip.

    step_firmware : the firmware's event is due now, and it may act up to the cycle it is given, or until a register word is as
        somebody waits for; see core_loop.work
    between_calls : called every now and then in the midst of a long run
    observer : called after the events of each cycle, if somebody watches
    """

    def __init__(
        self, plant: Plant, state: S.ChipState, parameters: Parameters, array: Array, converters: Converters,
        step_firmware: Callable[[int, NDArray[np.int64]], None],
    ) -> None:  # fmt: skip
        self._plant, self._state, self._running = plant, state, state.running
        self._parameters, self._array, self._converters = parameters, array, converters
        self._step_firmware = step_firmware
        self.between_calls: Callable[[], None] = lambda: None
        self.observer: Callable[[], None] | None = None
        self._looked = time.monotonic()

    def advance(self, until: int, word: int = -1, mask: int = 0, wanted: int = 0) -> bool:
        """Chip time goes to `until`, or to the cycle at which a register word is as wanted: True then."""
        while self.observer is not None and (due := int(self._state.events.min())) < until:
            met = self._next(due, until, word, mask, wanted)
            self.observer()
            if met:
                return True
        met = self._go(until, word, mask, wanted)
        if self.observer is not None:
            self.observer()
        return met

    def _next(self, due: int, until: int, word: int, mask: int, wanted: int) -> bool:
        """The events of cycle `due`, which are the next. A firmware's that stands alone goes on till something else happens."""
        s = self._state
        if s.events[S.EVENT_FIRMWARE] != due or np.count_nonzero(s.events == due) > 1:
            return self._go(due, word, mask, wanted)
        if self._met(word, mask, wanted):
            return True
        s.time[S.NOW] = max(int(s.time[S.NOW]), due)
        self._step_firmware(until, self._watch(word, mask, wanted))
        return self._met(word, mask, wanted) or (bool(s.events.min() <= due) and self._go(due, word, mask, wanted))

    def _met(self, word: int, mask: int, wanted: int) -> bool:
        """Whether a register word is as wanted when all of NOW has happened."""
        s = self._state
        if word < 0 or s.events.min() <= s.time[S.NOW]:
            return False
        return not (int(peek_word(s.core[0], self._plant.rules[0], word)) ^ wanted) & mask

    def _watch(self, word: int, mask: int, wanted: int) -> NDArray[np.int64]:
        """What `core_loop.work` is to watch; the core changes CPU.STATUS without an access."""
        return np.array([ALL if word == W.CPU_STATUS else word, mask, wanted])

    def _go(self, until: int, word: int, mask: int, wanted: int) -> bool:
        """As `advance`, without an observer."""
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._look()
        if self._plant.general:
            self._parameters.keep_up()
        watch = self._watch(word, mask, wanted)
        while True:
            reason, action = machine.advance(self._plant, self._running, until, word, np.uint32(mask), np.uint32(wanted), BUDGET)
            if self._plant.deferred:
                self._pay()
            if reason == machine.AT_FIRMWARE:
                met = word >= 0 and not (int(peek_word(self._state.core[0], self._plant.rules[0], word)) ^ wanted) & mask
                self._step_firmware(int(self._state.time[S.NOW]) if met else until, watch)
            elif reason == machine.OUT_OF_BUDGET:
                self._look()
            elif reason == machine.AT_PARAMETERS:
                self._parameters.due()
            elif reason == machine.AT_SWEEP:
                self._take()
            elif reason == machine.AT_ARRAY:
                self._act(action)
            else:
                return bool(reason == machine.MET)

    def _look(self) -> None:
        self.between_calls()
        self._looked = time.monotonic()

    def _pay(self) -> None:
        """A deferred array lives through the sweeps that it owes."""
        time = self._state.time
        count, first = int(time[S.OWED]), int(time[S.OWED_FIRST])
        if count:
            time[S.OWED] = 0
            self._array.live(first, count)

    def _take_temperatures(self) -> None:
        """The noise temperature of each plane."""
        p, s = self._plant, self._state
        t = noise_temperature(p.die, p.temperature, p.tdac_floor, int(s.registers[W.TDAC]))
        s.temperature[:] = t * (s.plane_temp / 4096.0)

    def _take(self) -> None:
        """A sweep of a deferred array begins: it takes clamps and temperatures."""
        p, s = self._plant, self._state
        take_clamps(s.clamp_mask, s.clamp_value, s.clamp_mask_next, s.clamp_value_next, p.dead_mask, p.dead_value)
        np.copyto(s.pin, s.pin_next)
        take_soft(s.core, s.soft, s.soft_next, p.soft, p.die.alpha, p.floating, p.soft_step, p.die.scale)
        s.time[S.TAKEN_TDAC] = s.registers[W.TDAC]
        self._take_temperatures()
        self._array.take()

    def _act(self, action: int) -> None:
        """What the sequencer asks of the array at NOW."""
        s, t = self._state, self._plant.topology
        if action == sequencer.DO_SWEEP_START:
            self._take()
        elif action == sequencer.DO_CORRELATE:
            accumulate_planes(s.core, s.spins, s.enabled, s.pair_sum, s.mean_sum, (t.pair_i, t.pair_j, t.run))
        elif action == sequencer.DO_STROBE:
            s.scan[:], s.state_scan[:] = s.spins, s.state
        elif action == sequencer.DO_LATCH:
            self.correlator(LATCH_CORRELATIONS)
        elif action in (sequencer.DO_CLAMP, sequencer.DO_LEARN, sequencer.DO_SWAP):
            engage_once(self._plant, self._running, action)
        elif action == sequencer.DO_SCAN:
            self._parameters.due_for_conversion()
            self._converters.scan(self._enabled_now(), self._live_on)
        elif action == sequencer.DO_CAPTURE:
            self._parameters.due_for_conversion()
            enabled = self._enabled_now()
            count = int(s.program[int(s.registers[W.SEQ_PC]) - 1] & np.uint64(0xFFFFFFFF))
            self._converters.capture(count, int(enabled[0]) if len(enabled) else -1, self._live_on)

    def _enabled_now(self) -> NDArray[np.int64]:
        """Planes that PLANE_ENABLE holds, ascending."""
        words = self._state.registers[W.PLANE_ENABLE : W.PLANE_ENABLE + (len(self._state.plane_temp) + 31) // 32]
        return np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little")).astype(np.int64)

    def _live_on(self, ticks: int) -> None:
        """Cells live through a rolling scan: ticks that count as sweeps, with the inputs of this moment."""
        if ticks <= 0:
            return
        s = self._state
        blocks = s.enabled.size
        pairs = s.registers[W.PLANE_ENABLE : W.PLANE_ENABLE + 2 * blocks].astype(np.uint64)
        s.enabled[:] = pairs[0::2] | pairs[1::2] << np.uint64(32)
        self._take()
        first = int(s.time[S.SWEEP])
        s.time[S.SWEEP] += ticks
        s.core["counts"][0, S.UPDATES] += ticks * len(self._enabled_now()) * len(self._plant.topology.order)
        self._array.live(first, ticks)

    def correlator(self, effects: int) -> None:
        """What a write of CORR.CTRL asked for; a latch comes before a clear."""
        s = self._state
        if effects & LATCH_CORRELATIONS:
            latch_sums(s.core, s.pair_sum, s.mean_sum, s.pair_latch, s.mean_latch)
        if effects & CLEAR_CORRELATIONS:
            s.pair_sum[:], s.mean_sum[:] = 0, 0
