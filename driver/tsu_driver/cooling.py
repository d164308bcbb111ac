"""The temperature schedule engine: T changes from sweep to sweep by itself, whatever program runs."""

from __future__ import annotations

from functools import reduce
from math import gcd

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


def temperature_scale(bus: Bus) -> tuple[float, int]:
    """(T of one code of the temperature DAC, its greatest code)."""
    return bus.capabilities.temp_lsb * LSB_SCALE, (1 << bus.capabilities.temp_bits) - 1


def set_temperature(bus: Bus, temperature: float) -> float:
    """Set T to the nearest code and end a schedule; returns the T of that code, both as the calibration has them."""
    lsb, code_max = temperature_scale(bus)
    nominal = temperature if bus.correction is None else bus.correction.nominal_temperature(temperature)
    code = int(temperature_codes(np.array([nominal], np.float64), lsb, code_max)[0])
    end_schedule(bus, code)
    return code * lsb if bus.correction is None else bus.correction.true_temperature(code * lsb)


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
    """Write a schedule to the engine and begin it; returns it as the engine has it."""
    lsb, code_max = temperature_scale(bus)
    batch = bus.batch()
    match schedule:
        case Linear():
            mode, done = "LINEAR", _add_linear(batch, schedule, lsb, code_max)
        case Logarithmic():
            mode, done = "LOGARITHMIC", _add_logarithmic(batch, schedule, lsb, code_max)
        case _:
            steps = schedule.steps(lsb, code_max)
            _add_table(batch, steps, bus.capabilities.table_entries)
            mode, done = "TABLE", Table([(code * lsb, sweeps) for code, sweeps in steps])
    batch.write("TEMP.STEP", 0)
    batch.write(MODE, MODE=mode)
    batch.execute()
    bus.shadow[MODE] = mode
    return done


def _add_linear(batch: Batch, schedule: Linear, lsb: float, code_max: int) -> Schedule:
    """The last of `sweeps` sweeps is the first at `stop`, as `Linear` has it; of one sweep alone, T = start stays."""
    start, stop = temperature_codes(np.array([schedule.start, schedule.stop], np.float64), lsb, code_max).tolist()
    length = count_of(schedule.sweeps)
    batch.write("TEMP.START", CODE=start)
    batch.write("TEMP.END", CODE=stop if length > 1 else start)
    batch.write("TEMP.LENGTH", SWEEPS=max(1, length - 1))
    return Linear(start * lsb, stop * lsb, length)


def _add_logarithmic(batch: Batch, schedule: Logarithmic, lsb: float, code_max: int) -> Schedule:
    schedule.temperatures(np.zeros(1))
    start = int(temperature_codes(np.array([schedule.t0], np.float64), lsb, code_max)[0])
    alpha, tau = round(schedule.alpha * ALPHA_UNIT), round(schedule.tau)
    if not 1 <= tau <= WORD_MAX or alpha > WORD_MAX:
        given = f"alpha = {schedule.alpha}, tau = {schedule.tau}"
        raise HostError(f"{given}: the engine has alpha 0 .. 65536 and whole sweeps 1 .. {WORD_MAX} as tau")
    batch.write("TEMP.START", CODE=start)
    batch.write("TEMP.ALPHA", ALPHA=alpha)
    batch.write("TEMP.TAU", SWEEPS=tau)
    return Logarithmic(start * lsb, alpha / ALPHA_UNIT, float(tau), schedule.sweeps)


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
