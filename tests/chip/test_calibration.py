"""Trims, the age of a calibration, memory that is kept, and the serial number, on chips with and without slow effects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chip.test_every_effect import everything
from serving import Pins, config
from tsu_contract.firmware import Bus
from tsu_contract.operations import Op
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_contract.registers import WINDOWS, register
from tsu_emu import state as S
from tsu_emu.chip import Chip
from tsu_emu.chip.capability import serial_of
from tsu_emu.config import ConfigError

UNIT = 1 << 16
"""Cycles of a step of CAL.LIMIT."""
STALE, STALE_EVENT = 1, 1 << 6
TRIM = {"bits": 8, "offset_full_scale_kt": 0.5, "slope_full_scale": 0.25}


def at(name: str) -> int:
    return register(name).at()


def write_window(pins: Pins, name: str, values: NDArray[Any], first_word: int = 0) -> None:
    data = values.astype(WINDOWS[name].dtype).tobytes()
    data += bytes(-len(data) % 4)
    row = (Op.BLKWR, WINDOWS[name].address + 4 * first_word, 0, 0, len(data) // 4)
    assert pins.operate([row], data).failure is None


def read(pins: Pins, name: str) -> int:
    return int(pins.operate([(Op.READ, at(name), 0, 0, 0)]).values[0])


def plain(**tables: Any) -> Chip:
    """Eight dense p-bits without slow effects."""
    return Chip(config({"kind": "dense", "cells": 8}, 4, **{"trim": TRIM, "nvm": {"words": 5}, **tables}))


def fields(chip: Chip) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(couplings, biases) as the array has them, kT."""
    scale = chip.plant.die.scale
    return chip.plant.doubled / (2 * scale), chip.plant.bias / scale


def test_trims_add_to_offsets_and_scale_slopes() -> None:
    """On ideal trims: 32 of 128 steps of .5 kT, and of .25."""
    chip = plain()
    pins = Pins(chip)
    write_window(pins, "COUPLING", np.full(56, 64))
    write_window(pins, "BIAS", np.full(8, 16))
    J, h = fields(chip)
    write_window(pins, "TRIM_OFFSET", np.array([32, 0, -128, 0, 0, 0, 0, 127]))
    shift = np.array([0.125, 0, -0.5, 0, 0, 0, 0, 0.49609375])
    assert fields(chip)[1] - h == pytest.approx(shift, abs=2 / chip.plant.die.scale)
    write_window(pins, "TRIM_SLOPE", np.array([32, -64]), first_word=1)
    gain = np.array([1, 1, 1.0625, 0.875, 1, 1, 1, 1])
    got_J, got_h = fields(chip)
    assert got_J == pytest.approx(J * np.repeat(gain, 7), abs=2 / chip.plant.die.scale)
    assert got_h == pytest.approx((h + shift) * gain, abs=2 / chip.plant.die.scale)
    assert chip.state.core["counts"][0, S.WRITES] == 56 + 8 + 8 + 2


@pytest.mark.parametrize("kind", ["pbit", "glauber", "coloured"])
def test_trims_act_on_chips_whose_parameters_move(kind: str) -> None:
    chip = Chip(everything(kind))
    before = chip.parameters.made()
    write_window(Pins(chip), "TRIM_OFFSET", np.full(16, 20))
    write_window(Pins(chip), "TRIM_SLOPE", np.full(16, -16))
    after = chip.parameters.made()
    lsb = 1.0 / 32
    assert after[3] - before[3] == pytest.approx(np.full(16, 20 * lsb), rel=0.2)
    assert after[2] / before[2] == pytest.approx(np.full(16, 1 - 16 * 0.25 / 32), rel=0.03)


class _Trimmer:
    """Firmware that trims two cells some cycles after its start."""

    def step(self, state: NDArray[np.int64], bus: Bus) -> int | None:
        state[0] += 1
        if state[0] == 1:
            return 3000
        bus.write(WINDOWS["TRIM_OFFSET"].address, 0x00600060)
        return None


def test_trims_of_the_firmware_act_in_the_midst_of_a_run() -> None:
    """Where fields are made inside the compiled loop, which the run does not leave for good meanwhile."""
    slow_bias = {"dac": {"settling_s": 1e-7}}
    chip = Chip(config({"kind": "dense", "cells": 8}, 4, trim=TRIM, bias=slow_bias), _Trimmer())
    pins = Pins(chip)
    write_window(pins, "PROGRAM", assemble([Instruction(Opcode.RUN, 2000), Instruction(Opcode.HALT)]))
    done = (Op.WAIT, at("SEQ.STATUS"), 2, 0xFF, 1 << 30)
    assert pins.operate([(Op.WRITE, at("SEQ.CTRL"), 1, 0, 0), done]).failure is None
    shift = 0.5 * 96 / 128
    assert fields(chip)[1] == pytest.approx(np.array([shift, shift, 0, 0, 0, 0, 0, 0]), abs=2 / chip.plant.die.scale)


def test_trims_of_a_die_are_its_own_and_can_go_backwards() -> None:
    """With mismatch of 20 % of a unit, the step at the middle code has a sigma of 3 steps: on 200 cells some are below 0."""
    cells = {"kind": "edges", "cells": 200, "pairs": []}
    offsets = []
    for die in (1, 2):
        chip = Chip(config(cells, 4, trim={**TRIM, "element_sigma": 0.2}, seeds={"die": die}))
        made = []
        for code in (-1, 0):
            write_window(Pins(chip), "TRIM_OFFSET", np.full(200, code))
            made.append(chip.parameters.made()[3].copy())
        offsets.append(made[1] - made[0])
    steps = offsets[0] / (0.5 / 128)
    assert (steps < 0).any()
    assert steps.std() == pytest.approx(0.2 * np.sqrt(255), rel=5 / np.sqrt(2 * 200))
    assert not np.allclose(offsets[0], offsets[1])


def test_a_calibration_grows_stale_once_and_is_stamped_afresh() -> None:
    chip = plain()
    pins = Pins(chip)
    pins.operate([(Op.WRITE, at("IRQ.ENABLE"), STALE_EVENT, 0, 0), (Op.WRITE, at("CAL.LIMIT"), 2, 0, 0)])
    pins.operate([(Op.DELAY_UNTIL, 0, 0, 0, 2 * UNIT - 10)])
    assert (read(pins, "CAL.STATUS"), read(pins, "IRQ.PENDING")) == (0, 0)
    pins.operate([(Op.DELAY_UNTIL, 0, 0, 0, 2 * UNIT + 10)])
    assert (read(pins, "CAL.STATUS"), read(pins, "IRQ.PENDING")) == (STALE, STALE_EVENT)
    (event,), _ = chip.interrupts(0)
    assert (event.cycle, event.pending) == (2 * UNIT, STALE_EVENT)
    pins.operate([(Op.WRITE, at("CAL.CTRL"), 1, 0, 0)])
    age = read(pins, "CAL.AGE")
    assert 0 < age < 20
    assert read(pins, "CAL.STATUS") == 2
    pins.operate([(Op.DELAY, 0, 0, 0, 3 * UNIT)])
    assert read(pins, "CAL.STATUS") == 2 | STALE
    assert chip.interrupts_so_far() == 2


def test_a_limit_below_the_age_is_stale_at_once_and_reset_calls_it_off() -> None:
    chip = plain()
    pins = Pins(chip)
    pins.operate([(Op.DELAY, 0, 0, 0, 2 * UNIT), (Op.WRITE, at("CAL.LIMIT"), 1, 0, 0)])
    assert read(pins, "CAL.STATUS") == STALE
    pins.operate([(Op.WRITE, at("CAL.LIMIT"), 9, 0, 0), (Op.WRITE, at("SYS.CTRL"), 1, 0, 0), (Op.DELAY, 0, 0, 0, 20 * UNIT)])
    assert (read(pins, "CAL.STATUS"), read(pins, "CAL.LIMIT"), read(pins, "IRQ.PENDING")) == (0, 0, 0)


def test_memory_and_trims_survive_reset() -> None:
    chip = plain()
    pins = Pins(chip)
    write_window(pins, "NVM", np.arange(5) + 7)
    write_window(pins, "TRIM_SLOPE", np.arange(8))
    before = fields(chip)
    pins.operate([(Op.WRITE, at("SYS.CTRL"), 1, 0, 0)])
    assert chip.state.nvm.tolist() == [7, 8, 9, 10, 11]
    assert chip.state.trim_slope.tolist() == list(range(8))
    assert all(np.array_equal(a, b) for a, b in zip(fields(chip), before, strict=True))


def test_serials_tell_dies_apart_and_not_lives() -> None:
    def serial(**seeds: int) -> int:
        return serial_of(config({"kind": "dense", "cells": 8}, 4, seeds=seeds))

    assert serial(die=1, run=1) == serial(die=1, run=2) != serial(die=2, run=1)
    chip = plain()
    assert chip.capabilities.serial == serial_of(chip.config)


def test_values_of_the_process_that_are_off_change_no_serial() -> None:
    """The serial is that of before these values were: of JSON without them; what is on is another die."""
    usual = plain().config
    assert set(usual.model_dump(mode="json")["process"]) == {"die", "gradient", "field", "white", "length"}
    assert usual.model_dump()["process"]["tail_degrees"] == 0
    fab = plain(process={"tail_degrees": 4, "dies_per_wafer": 9}).config
    assert {"tail_degrees", "dies_per_wafer"} < set(fab.model_dump(mode="json")["process"])
    assert serial_of(usual) == serial_of(plain(process={"tail_degrees": 0}).config) != serial_of(fab)


def test_only_p_bits_have_trims() -> None:
    with pytest.raises(ConfigError, match=r"trim\.bits 8: p-bits have trims; 0 expected for pdit cells"):
        plain(cell={"kind": "pdit", "states": 3})
