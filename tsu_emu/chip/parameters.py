"""The array's parameters: what codes, the die and its surroundings make of couplings and biases, at the cycles that need them.

On a chip where nothing moves, fields follow every write at once. Elsewhere they are made anew before the sweep or phase that
needs
them; whatever changes slowly is taken on the grid of epochs, so that no look at the chip changes it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsu_emu import state as S
from tsu_emu.analog.dac import output, outputs
from tsu_emu.analog.die import take_trims
from tsu_emu.analog.slow import output_at
from tsu_emu.analog.stuck import stuck_bits_of
from tsu_emu.chip.arrays import Array
from tsu_emu.chip.codes import hear_all, place_all, trim
from tsu_emu.chip.drifting import Drifting
from tsu_emu.chip.fields import make
from tsu_emu.chip.plant import Plant
from tsu_emu.chip.slowly import Slow, SlowEffects
from tsu_emu.chip.surroundings import Surroundings
from tsu_emu.config import ChipConfig, Drift, Pbit
from tsu_emu.topology import Topology


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
        self.general, self.slow = is_general(config), is_slow(config)
        self._die_stuck = [stuck_bits_of(config, topology, len(lines.codes), k) for k, lines in enumerate(plant.lines)]
        self.stuck = [lines.stuck for lines in plant.lines]
        self.set_faults()
        self.slowly = SlowEffects(config, topology, plant.die, state, surroundings, self.slow)
        self._kept: Slow | None = None

    def trimmed(self, first: int, count: int) -> None:
        """Trim codes of cells first .. first + count - 1 were written at NOW."""
        s, part = self._state, slice(first, first + count)
        trim(s.core, self._plant, s.trim_offset[part], s.trim_slope[part], first, s.soft)
        self.slowly.forget()
        if self.general:
            self.keep_up()

    def remade(self) -> None:
        """All codes, faults or the whole state may be others: what hangs on them is made anew."""
        take_trims(self._plant.die, self._state.trim_offset, self._state.trim_slope, 0)
        self.slowly.forget()
        hear_all(self._plant)
        if not self.general:
            place_all(self._plant)
            return
        for lines in self._plant.lines:
            outputs(lines.bank, lines.heard, 0, lines.volts)
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
        self.keep_up()
        J, h = (np.empty(len(lines.codes)) for lines in self._plant.lines)
        make(self._state.core, self._plant, J, h)
        slow = self.slowly.now()
        return J, h, slow.alpha, slow.delta

    def keep_up(self) -> None:
        """The plant's slow effects are those of now."""
        slow, kept = self.slowly.now(), self._plant.slow
        if slow is not self._kept:
            self._kept = slow
            for name in ("factors", "kappa", "alpha", "delta", "temperature"):
                getattr(kept, name)[:] = getattr(slow, name)
            for level, error in zip(kept.levels, slow.levels, strict=True):
                level[:] = error

    def evaluate(self) -> None:
        """The array gets its parameters as of NOW."""
        self._plant.rows.fresh[0] = 0
        self._array.place(*self.made())
        self._plant.temperature[:] = self._plant.slow.temperature
        now = int(self._state.time[S.NOW])
        self._state.time[S.EVALUATED_AT] = now
        if now >= self._state.time[S.KICKED_UNTIL]:
            self._state.time[S.STALE] = 0

    # The bench and the converters

    @property
    def drifts(self) -> dict[str, Drifting]:
        """What drifts, by name."""
        return self.slowly.drifts

    def elements(self, bank: int) -> int:
        """DACs of a bank."""
        return len(self._plant.lines[bank].codes)

    def temperature_output(self, code: int) -> float:
        """Output of the temperature DAC for a code."""
        return float(output(self._plant.die.temperature, 0, code))

    def outputs(self, bank: int, element: int, times: NDArray[np.int64]) -> NDArray[np.float64]:
        """(n,) outputs of one coupling or bias DAC at cycles, kT, before what devices and network make of them."""
        slow, lines = self.slowly.now(), self._plant.lines[bank]
        part, volts = slice(element, element + 1), np.empty(1)
        outputs(lines.bank, lines.heard[part], element, volts)
        level, factor = slow.levels[bank], slow.factors[bank]
        out, kicks = np.empty(len(times)), (lines.kicks[part], lines.written[part])
        output_at(volts, *kicks, times, lines.tau or 1.0, level[part] if level.size > 1 else level, factor, out)
        return out
