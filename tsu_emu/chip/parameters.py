"""The array's parameters: what codes, the die and its surroundings make of couplings and biases, at the cycles that need them.

On a chip where nothing moves, fields follow every write at once. Elsewhere they are made anew before the sweep or phase that
needs
them; whatever changes slowly is taken on the grid of epochs, so that no look at the chip changes it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsu_emu import state as S
from tsu_emu.analog.dac import lsb_of, output, outputs, outputs_changed
from tsu_emu.analog.die import place_biases, place_couplings, silence, take_trims
from tsu_emu.analog.network import apply, make_network
from tsu_emu.analog.pbit import place_soft
from tsu_emu.analog.slow import SETTLED_AFTER, kick, output_at, outputs_now
from tsu_emu.analog.stuck import StuckBits, as_stuck, draw_stuck_bits
from tsu_emu.chip.arrays import Array
from tsu_emu.chip.drifting import Drifting
from tsu_emu.chip.machine import Plant
from tsu_emu.chip.slowly import SlowEffects
from tsu_emu.chip.surroundings import Surroundings
from tsu_emu.config import ChipConfig, Drift, Pbit
from tsu_emu.noise.streams import Stream
from tsu_emu.topology import Topology

COUPLING_BANK, BIAS_BANK = 0, 1


def is_slow(config: ChipConfig) -> bool:
    """Whether anything but codes changes the array's parameters in time."""
    c, off = config, Drift()
    drifts = (c.cell.offset_drift, c.coupling.drift, c.temperature.drift, getattr(c.cell, "slope_drift", off))
    coefficients = (
        c.coupling.dac.gain_tc_per_k,
        c.bias.dac.gain_tc_per_k,
        c.temperature.dac.gain_tc_per_k,
        c.temperature.tc_per_k,
    )
    stored = c.storage.leakage_tau_s > 0 or c.storage.refresh_noise_lsb > 0
    supplied = c.supply.psrr_db < 120
    heated = any(c.thermal.r_th_k_per_w)
    return heated or any(d != off for d in drifts) or any(coefficients) or c.cell.offset_tc_kt_per_k != 0 or stored or supplied


def is_general(config: ChipConfig) -> bool:
    """Whether fields are more than the sum of what each converter and its devices contribute when they are written."""
    n, kicks = config.network, config.coupling.dac.settling_s > 0 or config.bias.dac.settling_s > 0
    network = n.crosstalk != 0 or n.ir_drop != 0 or n.wire_ohm != 0
    return is_slow(config) or network or kicks or not isinstance(config.cell, Pbit) or config.cell.noise.kind != "ideal"


class Parameters:
    """Fields of one chip's array.

    general, slow : see the functions above
    slowly : its slow effects
    stuck : stuck bits of the coupling and of the bias DACs
    """

    def __init__(
        self, config: ChipConfig, topology: Topology, plant: Plant, state: S.ChipState, surroundings: Surroundings, array: Array
    ) -> None:
        self._config, self._topology, self._plant, self._state = config, topology, plant, state
        self._surroundings, self._array = surroundings, array
        self._die = die = plant.die
        self.general, self.slow = is_general(config), is_slow(config)
        couplers, biases = len(state.coupling_code), len(state.bias_code)
        self._volts = np.zeros(couplers), np.zeros(biases)
        self._banks, self._dacs = (die.coupling, die.bias), (config.coupling.dac, config.bias.dac)
        self._kicks = (state.coupling_kick, state.coupling_written), (state.bias_kick, state.bias_written)
        self._codes = state.coupling_code, state.bias_code
        self._tau = tuple(dac.settling_s * config.clock.hz for dac in self._dacs)
        die_seed, probabilities = config.seeds.die, [dac.stuck_bit_probability for dac in self._dacs]
        self._die_stuck = [
            draw_stuck_bits(probabilities[k], self._dacs[k].bits, len(self._codes[k]), die_seed, Stream.STUCK_BITS, k)
            for k in (0, 1)
        ]
        self.stuck = [StuckBits(s.mask.copy(), s.value.copy()) for s in self._die_stuck]
        self._stuck_at = [np.flatnonzero(s.mask) for s in self.stuck]
        network, dac = config.network, config.coupling.dac
        self._network = make_network(
            topology.row, topology.source, 1 << dac.bits - 1, dac.full_scale, network.crosstalk, network.ir_drop,
            network.wire_ohm, network.coupler_siemens,
        )  # fmt: skip
        self._quiet = network.crosstalk == 0 and network.ir_drop == 0 and network.wire_ohm == 0
        self.slowly = SlowEffects(config, topology, die, state, surroundings, self.slow)
        self._effective = [np.zeros_like(codes) for codes in self._codes]

    # Codes

    def written(self, bank: int, first: int, count: int, times: NDArray[np.int64]) -> None:
        """Codes first .. first + count - 1 of a bank were written, at `times` (count or 1,), cycles, the last of them NOW."""
        stop = first + count
        codes, before = self._lines(bank, self._codes[bank][first:stop], first), self._effective[bank][first:stop].copy()
        self._effective[bank][first:stop] = codes
        if not self.general:
            self._place_at_once(bank, codes, first)
            return
        volts, now = self._volts[bank][first:stop], int(self._state.time[S.NOW])
        was = volts.copy()
        outputs_changed(self._banks[bank], codes, before, first, volts)
        if self._tau[bank] > 0:
            kicks, written = (a[first:stop] for a in self._kicks[bank])
            glitch = self._dacs[bank].glitch_lsb * lsb_of(self._dacs[bank], True)
            lines = (1 << self._dacs[bank].bits) - 1
            kick(volts, was, codes, before, kicks, written, times, self._tau[bank], glitch, lines)
            over = now + int(np.ceil(SETTLED_AFTER * self._tau[bank]))
            self._state.time[S.KICKED_UNTIL] = max(int(self._state.time[S.KICKED_UNTIL]), over)
        self._state.time[S.STALE], self._state.time[S.EVALUATED_AT] = 1, -1

    def _place_at_once(self, bank: int, codes: NDArray[np.int16], first: int) -> None:
        f = self._plant
        f.rows.fresh[0] = 0
        if bank == COUPLING_BANK:
            place_couplings(self._die, self._topology.row, codes, first, f.doubled, f.base)
        else:
            place_biases(self._die, codes, first, f.bias, f.base)
        if f.floating.any():
            silence(self._topology.row, f.floating, f.doubled, f.bias, f.base)

    def trimmed(self, first: int, count: int) -> None:
        """Trim codes of cells first .. first + count - 1 were written at NOW."""
        stop, f = first + count, self._plant
        take_trims(self._die, self._state.trim_offset[first:stop], self._state.trim_slope[first:stop], first)
        self.slowly.forget()
        if self._state.time[S.SOFT] & S.SOFT_ON:
            place_soft(f.soft, self._state.soft, self._die.alpha, f.floating, f.soft_step, self._die.scale)
        if self.general:
            self._state.time[S.STALE], self._state.time[S.EVALUATED_AT] = 1, -1
            return
        low, high = self._topology.row[first], self._topology.row[stop]
        self._place_at_once(COUPLING_BANK, self._effective[COUPLING_BANK][low:high], int(low))
        self._place_at_once(BIAS_BANK, self._effective[BIAS_BANK][first:stop], first)

    def remade(self) -> None:
        """All codes, faults or the whole state may be others: what hangs on them is made anew."""
        take_trims(self._die, self._state.trim_offset, self._state.trim_slope, 0)
        self.slowly.forget()
        for bank, codes in enumerate(self._codes):
            effective = self._lines(bank, codes, 0)
            self._effective[bank][:] = effective
            if self.general:
                outputs(self._banks[bank], effective, 0, self._volts[bank])
                continue
            if bank == COUPLING_BANK:
                for derived in (self._plant.doubled, self._plant.bias, self._plant.base):
                    derived[:] = 0
            self._place_at_once(bank, effective, 0)
        if self.general:
            evaluated, stale = int(self._state.time[S.EVALUATED_AT]), int(self._state.time[S.STALE])
            self.evaluate()
            self._state.time[S.EVALUATED_AT], self._state.time[S.STALE] = evaluated, stale

    def set_faults(self) -> None:
        """Stuck bits are those of the die and those that faults of CORE.faults add."""
        faults = self._state.core["faults"][0]
        for bank, kind in ((0, S.STUCK_COUPLING_BIT), (1, S.STUCK_BIAS_BIT)):
            mask, value = self.stuck[bank]
            mask[:], value[:] = self._die_stuck[bank]
            for _, element, bit, at in faults[faults[:, 0] == kind]:
                mask[element] |= np.uint16(1 << bit)
                value[element] = (value[element] & ~np.uint16(1 << bit)) | np.uint16(at << bit)
            self._stuck_at[bank] = np.flatnonzero(mask)

    # Time

    def due(self) -> None:
        """What the sequencer's edge at NOW needs: at the start of a sweep slow effects of its epoch, then the fields."""
        if self.slow and self._state.core["sequencer"][0, S.ACTIVITY] == S.SWEEP_START:
            self._surroundings.roll(int(self._state.time[S.NOW]) // self._config.slow.epoch_cycles)
        self.evaluate()

    def due_for_conversion(self) -> None:
        """What a conversion at NOW sees of the slow effects, and the fields of cells that live on through it."""
        epoch = int(self._state.time[S.NOW]) // self._config.slow.epoch_cycles
        if self.slow and epoch != self._state.time[S.EPOCH]:
            self._surroundings.roll(epoch)
            self._state.time[S.STALE], self._state.time[S.EVALUATED_AT] = 1, -1
        if self._state.time[S.STALE]:
            self.evaluate()

    def made(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """(J, h, alpha, delta) of `Array.place` as of NOW, slow effects as of the state's epoch; the state stays as it is."""
        now, slow = int(self._state.time[S.NOW]), self.slowly.now()
        settled, out = now > self._state.time[S.KICKED_UNTIL], []
        for bank in (COUPLING_BANK, BIAS_BANK):
            volts, kicks = self._volts[bank], self._kicks[bank]
            if not self.general:
                outputs(self._banks[bank], self._effective[bank], 0, volts)
            if settled:
                kicks = kicks[0][:0], kicks[1][:0]
            values = np.empty(len(volts))
            outputs_now(volts, *kicks, now, self._tau[bank] or 1.0, slow.levels[bank], slow.factors[bank], values)
            out.append(values)
        J, h = out
        J *= slow.kappa
        if not self._quiet:
            J, h = self._heard(J, h)
        return J, h, slow.alpha, slow.delta

    def evaluate(self) -> None:
        """The array gets its parameters as of NOW."""
        self._plant.rows.fresh[0] = 0
        self._array.place(*self.made())
        self._plant.temperature[:] = self.slowly.now().temperature
        now = int(self._state.time[S.NOW])
        self._state.time[S.EVALUATED_AT] = now
        if now >= self._state.time[S.KICKED_UNTIL]:
            self._state.time[S.STALE] = 0

    def _heard(self, J: NDArray[np.float64], h: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What the coupling network makes of couplings, and of the biases of cells that have one each."""
        cells = len(self._topology.order)
        single = h if len(h) == cells else np.zeros(cells)
        out_J, out_h = np.empty_like(J), np.empty(cells)
        codes = self._effective[COUPLING_BANK]
        apply(self._network, self._topology.row, self._topology.source, J, single, codes, out_J, out_h)
        return out_J, out_h if len(h) == cells else h

    def _lines(self, bank: int, codes: NDArray[np.int16], first: int) -> NDArray[np.int16]:
        """What converters first .. of a bank get of codes (n,), stuck bits included."""
        stuck, at = self.stuck[bank], self._stuck_at[bank]
        at = at[(at >= first) & (at < first + len(codes))]
        if not len(at):
            return codes
        out, some = codes.copy(), StuckBits(stuck.mask[at], stuck.value[at])
        out[at - first] = as_stuck(some, codes[at - first], 0, self._banks[bank].middle)
        return out

    # The bench and the converters

    @property
    def drifts(self) -> dict[str, Drifting]:
        """What drifts, by name."""
        return self.slowly.drifts

    def elements(self, bank: int) -> int:
        """DACs of a bank."""
        return len(self._codes[bank])

    def temperature_output(self, code: int) -> float:
        """Output of the temperature DAC for a code."""
        return float(output(self._die.temperature, 0, code))

    def outputs(self, bank: int, element: int, times: NDArray[np.int64]) -> NDArray[np.float64]:
        """(n,) outputs of one coupling or bias DAC at cycles, kT, before what devices and network make of them."""
        slow = self.slowly.now()
        part, volts = slice(element, element + 1), np.empty(1)
        outputs(self._banks[bank], self._lines(bank, self._codes[bank][part], element), element, volts)
        level, factor = slow.levels[bank], slow.factors[bank]
        out = np.empty(len(times))
        kicks, written = (a[part] for a in self._kicks[bank])
        output_at(volts, kicks, written, times, self._tau[bank] or 1.0, level[part] if level.size > 1 else level, factor, out)
        return out
