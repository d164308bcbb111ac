"""Ground truth of a chip, by name. Looking changes nothing in the chip's state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_contract.bench import Arguments
from tsu_emu import state as S
from tsu_emu.analog.adc import thresholds
from tsu_emu.analog.dac import DacBank, levels, outputs
from tsu_emu.analog.dead import DOWN, FLOATING, UP
from tsu_emu.analog.stuck import StuckBits, as_stuck
from tsu_emu.chip import Chip
from tsu_emu.chip.arrays import Asynchronous, Clocked, Gaussians, Langevins, Mixtures
from tsu_emu.chip.codes import BIASES, COUPLINGS
from tsu_emu.config import Pdit

Floats = NDArray[np.float64]
Teller = Callable[[Arguments], NDArray[Any]]


ELEMENTWISE = ("coupling_dac", "bias_dac", "adc_thresholds")
"""Names that are asked for one element of."""


def _each(values: Floats, count: int) -> Floats:
    """One value for each of `count` elements, where an array of one may hold for all."""
    return np.broadcast_to(values, count) if values.size == 1 else values


def _staircase(bank: DacBank, element: int, stuck_mask: int = 0, stuck_value: int = 0) -> Floats:
    """(2^bits,) outputs of one converter for its codes in ascending order, stuck bits included."""
    column = element if bank.element.shape[1] > 1 else 0
    offset, gain = (array[element : element + 1] if array.size > 1 else array for array in (bank.offset, bank.gain))
    elements = np.ascontiguousarray(bank.element[:, column : column + 1])
    level = levels(elements, bank.bits, bank.thermometer_bits, bank.zero)
    one = bank._replace(element=elements, offset=offset, gain=gain, level=level)
    count = 1 << bank.bits
    stuck = StuckBits(np.full(count, stuck_mask, np.uint16), np.full(count, stuck_value, np.uint16))
    out = np.empty(count)
    outputs(one, as_stuck(stuck, (np.arange(count) - bank.middle).astype(np.int16), 0, bank.middle), 0, out)
    return out


class Truth:
    """Everything that can be asked about one chip.

    names : of what this chip has; docs/bench.md says what each is
    """

    def __init__(self, chip: Chip) -> None:
        self._chip, self._die = chip, chip.plant.die
        cells, couplers = chip.capabilities.cells, chip.capabilities.couplers
        self._offsets = chip.parameters.elements(BIASES) if isinstance(chip.config.cell, Pdit) else cells
        self._tellers: dict[str, Teller] = {
            "J": lambda _: chip.parameters.made()[0],
            "h": lambda _: chip.parameters.made()[1],
            "slope": lambda _: _each(chip.parameters.made()[2], cells),
            "offset": lambda _: _each(chip.parameters.made()[3], self._offsets),
            "kappa": lambda _: _each(self._die.kappa, couplers),
            "noise_temperature": lambda _: chip.plant.temperature,
            "die_k": lambda _: self._die_k(),
            "sensor_offset_k": lambda _: np.array([chip.surroundings.sensor_offset_k]),
            "coupling_dac": lambda given: self._dac(COUPLINGS, given),
            "bias_dac": lambda given: self._dac(BIASES, given),
            "temperature_dac": lambda _: _staircase(self._die.temperature, 0),
            "dead": lambda _: self._dead(),
            "stuck_coupling_bits": lambda _: np.column_stack(chip.parameters.stuck[COUPLINGS]),
            "stuck_bias_bits": lambda _: np.column_stack(chip.parameters.stuck[BIASES]),
        }
        self._tellers |= {f"drift_{name}": self._drift_of(name) for name in chip.parameters.drifts} | self._of_its_kind()
        if chip.config.adc.count:
            self._tellers["adc_thresholds"] = self._thresholds
        self.names = tuple(self._tellers)

    def of(self, name: str, given: Arguments) -> NDArray[Any]:
        """The array of a name; `given` has the element where one is to be named."""
        if name not in ELEMENTWISE:
            given.only(("name",))
        return self._tellers[name](given)

    def _of_its_kind(self) -> dict[str, Teller]:
        """What only some kinds of cells have."""
        array, plant = self._chip.array, self._chip.plant
        match array:
            case Clocked():
                grid = self._die.scale
                return {"grid_J": lambda _: plant.doubled / (2 * grid), "grid_h": lambda _: plant.bias / grid}
            case Asynchronous():
                return {"tau_s": lambda _: array.clocks.tau}
            case Gaussians() | Mixtures() | Langevins():
                return {"stiffness": lambda _: np.array(array.stiffness)}
        return {}

    @property
    def _epoch(self) -> int:
        """The epoch in which the link is."""
        return max(self._chip.link_time // self._chip.config.slow.epoch_cycles, int(self._chip.state.time[S.EPOCH]))

    def _die_k(self) -> Floats:
        heat = self._chip.surroundings.heat_at(self._epoch)
        return np.array([self._chip.state.core["lab"][0, S.AMBIENT_K] + heat[S.RISE] + heat[S.RISE + 1]])

    def _drift_of(self, name: str) -> Teller:
        counts = {"slope": self._chip.capabilities.cells, "coupling": self._chip.capabilities.couplers, "temperature": 1}
        count = counts.get(name, self._offsets)

        def tell(_: Arguments) -> Floats:
            epoch = self._epoch
            age = float(self._chip.surroundings.heat_at(epoch)[S.AGE])
            return _each(self._chip.parameters.drifts[name].at(epoch, age), count)

        return tell

    def _dac(self, bank: int, given: Arguments) -> Floats:
        element = given.integer("element", 0, self._chip.parameters.elements(bank) - 1)
        mask, value = (array[element] for array in self._chip.parameters.stuck[bank])
        return _staircase((self._die.coupling, self._die.bias)[bank], element, mask, value)

    def _thresholds(self, given: Arguments) -> Floats:
        adc = given.integer("element", 0, self._chip.config.adc.count - 1)
        offset, gain = self._chip.state.adc_trim[adc].tolist()
        out: Floats = thresholds(self._chip.converters.bank, adc, (offset, gain))
        return out

    def _dead(self) -> NDArray[np.uint8]:
        p = self._chip.plant
        stuck = np.where(p.dead_value > 0, UP, DOWN) * (p.dead_mask > 0)
        return np.where(p.floating, FLOATING, stuck).astype(np.uint8)
