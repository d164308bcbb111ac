"""The temperature schedule engine: T changes from sweep to sweep by itself, whatever program runs."""

from __future__ import annotations

from functools import reduce
from math import gcd
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_contract.capabilities import LSB_SCALE
from tsu_driver.batch import Batch
from tsu_driver.bus import Bus
from tsu_driver.errors import HostError
from tsu_driver.names import WORD_MAX
from tsu_driver.schedules import Linear, Logarithmic, Schedule, Step, Table, count_of, temperature_codes

MODE = "TEMP.SCHEDULE"
ALPHA_UNIT = 1 << 16


class Scale(NamedTuple):
    """T = code lsb + offset of the temperature DAC's codes up to `code_max`."""

    lsb: float
    code_max: int
    offset: float

    def codes(self, *temperatures: float) -> list[int]:
        """The nearest codes; HostError names a T that is out of range."""
        codes: list[int] = temperature_codes(np.array(temperatures, np.float64), *self).tolist()
        return codes

    def value(self, code: int) -> float:
        """T of a code."""
        return code * self.lsb + self.offset


def temperature_scale(bus: Bus) -> Scale:
    """What codes of the temperature DAC give, as the calibration has it, or nominally without one."""
    gain, offset = (1.0, 0.0) if bus.correction is None else bus.correction.temperature
    return Scale(bus.capabilities.temp_lsb * LSB_SCALE * gain, (1 << bus.capabilities.temp_bits) - 1, offset)


def set_temperature(bus: Bus, temperature: float) -> float:
    """Set T to the nearest code and end a schedule; returns the T of that code, both as the calibration has them."""
    scale = temperature_scale(bus)
    (code,) = scale.codes(temperature)
    end_schedule(bus, code)
    return scale.value(code)


def end_schedule(bus: Bus, code: int | None = None) -> None:
    """Switch the engine off, unless it is known to be off, and set T to a code if one is given."""
    batch = bus.batch()
    off = bus.shadow.get(MODE) == "OFF"
    if not off:
        batch.write(MODE, MODE="OFF")
    if code is not None:
        batch.write("TEMP.TDAC", CODE=code)
    if len(batch):
        batch.execute()
        bus.shadow[MODE] = "OFF"


def begin_schedule(bus: Bus, schedule: Schedule) -> Schedule:
    """Write a schedule to the engine and begin it; returns it as the engine has it, T as the calibration has them."""
    scale = temperature_scale(bus)
    batch = bus.batch()
    match schedule:
        case Linear():
            mode, done = "LINEAR", _add_linear(batch, schedule, scale)
        case Logarithmic():
            mode, done = "LOGARITHMIC", _add_logarithmic(batch, schedule, scale)
        case _:
            steps = schedule.steps(*scale)
            _add_table(batch, steps, bus.capabilities.table_entries)
            mode, done = "TABLE", Table([(scale.value(code), sweeps) for code, sweeps in steps])
    batch.write("TEMP.STEP", 0)
    batch.write(MODE, MODE=mode)
    batch.execute()
    bus.shadow[MODE] = mode
    return done


def _add_linear(batch: Batch, schedule: Linear, scale: Scale) -> Schedule:
    """The last of `sweeps` sweeps is the first at `stop`, as `Linear` has it; of one sweep alone, T = start stays."""
    start, stop = scale.codes(schedule.start, schedule.stop)
    length = count_of(schedule.sweeps)
    batch.write("TEMP.START", CODE=start)
    batch.write("TEMP.END", CODE=stop if length > 1 else start)
    batch.write("TEMP.LENGTH", SWEEPS=max(1, length - 1))
    return Linear(scale.value(start), scale.value(stop), length)


def _add_logarithmic(batch: Batch, schedule: Logarithmic, scale: Scale) -> Schedule:
    """The engine divides codes: of a calibration's offset of T, only t0 is free."""
    schedule.temperatures(np.zeros(1))
    (start,) = scale.codes(schedule.t0)
    alpha, tau = round(schedule.alpha * ALPHA_UNIT), round(schedule.tau)
    if not 1 <= tau <= WORD_MAX or alpha > WORD_MAX:
        given = f"alpha = {schedule.alpha}, tau = {schedule.tau}"
        raise HostError(f"{given}: the engine has alpha 0 .. 65536 and whole sweeps 1 .. {WORD_MAX} as tau")
    batch.write("TEMP.START", CODE=start)
    batch.write("TEMP.ALPHA", ALPHA=alpha)
    batch.write("TEMP.TAU", SWEEPS=tau)
    return Logarithmic(scale.value(start), alpha / ALPHA_UNIT, float(tau), schedule.sweeps)


def _add_table(batch: Batch, steps: list[Step], room: int) -> None:
    """Entries of equal length that make up the steps, of which the last one lasts."""
    each = reduce(gcd, (sweeps for _, sweeps in steps[:-1]), 0) or 1
    times = np.array([sweeps // each for _, sweeps in steps[:-1]] + [1])
    needed = int(times.sum())
    if needed > room:
        raise HostError(
            f"the schedule takes {needed} entries of {each} sweeps each; the chip's table holds {room} (CAP.TABLE_ENTRIES)"
        )
    codes: NDArray[np.int64] = np.repeat([code for code, _ in steps], times)
    even = min(room, needed + needed % 2)
    batch.write_window("TEMP_TABLE", np.append(codes, codes[-1:])[:even])
    batch.write("TEMP.ENTRIES", COUNT=needed)
    batch.write("TEMP.LENGTH", SWEEPS=each)
