"""What is measured of a part, through the driver alone; each step gives some values by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tsu_apps.calibrate import SelfTest, Work, self_test
from tsu_apps.calibrate.cells import Offsets, Slopes, trim_range
from tsu_apps.calibrate.converters import Adc
from tsu_apps.calibrate.couplers import Couplers
from tsu_apps.calibrate.procedure import rms_less
from tsu_apps.calibrate.temperature import Temperature
from tsu_apps.characterise import PROCEDURES, Lab
from tsu_apps.characterise.captures import REFERENCES
from tsu_driver import Chip
from tsu_driver.instruments import Instruments

SPINS = frozenset({"pbit", "async-pbit"})
STANDBY_S = 0.01
"""Over which the standby power is averaged."""
SWEEPS = 2000


@dataclass
class Bench:
    """A part in its socket.

    work : the chip with what is known of it, whose effort is the share of the full sample sizes
    instruments : round the socket, or None
    """

    work: Work
    instruments: Instruments | None = None

    @property
    def chip(self) -> Chip:
        """The part."""
        return self.work.chip


Values = Mapping[str, float]


@dataclass(frozen=True)
class Step:
    """One step of a programme.

    name, gives : of the step and of its values; run : measures them; suits : whether the part and the bench have what it takes
    """

    name: str
    gives: tuple[str, ...]
    run: Callable[[Bench], Values]
    suits: Callable[[Bench], bool] = lambda bench: bench.chip.kind in SPINS


def _self_test(bench: Bench) -> Values:
    """What does not work; later steps leave it out."""
    test: SelfTest = self_test(bench.work)
    bench.work.adopt(good=test.good, stuck=test.stuck)
    return {
        "cells-bad": float((test.cells != 0).sum()),
        "bias-dacs-bad": float((test.bias_bits != 0).sum()),
        "coupling-dacs-bad": float((test.coupling_bits != 0).mean()) if test.coupling_bits.size else 0.0,
        "converters-bad": float((~test.converters).sum()),
    }


def _adc(bench: Bench) -> Values:
    """The worst converter's offset, LSB, and error of gain; NaN if no converter sees its references."""
    low, high = Adc().look(bench.work)[0].reshape(2, -1)
    if not low.size:
        return {"adc-offset": math.nan, "adc-gain-error": math.nan}
    span = float(np.ptp(REFERENCES)) * 2.0 ** (bench.chip.capabilities.adc_bits - 1)
    return {"adc-offset": float(abs(0.5 * (low + high)).max()), "adc-gain-error": float(abs(high - low).max()) / span}


def _enob(bench: Bench) -> Values:
    """Effective bits of the worst of the converters that characterisation looks at."""
    procedure = next(p for p in PROCEDURES if p.name == "adc-enob")
    found = procedure.run(Lab(bench.chip, bench.instruments, bench.work.effort)).measurements
    return {"adc-enob": min(float(m.value) for m in found)}


def _offsets(bench: Bench) -> Values:
    values, errors = Offsets().look(bench.work)
    return {"offset-rms": rms_less(values, errors)}


def _slopes(bench: Bench) -> Values:
    """Mean over cells, and spread about it, the noise of the measurement taken off."""
    values, errors = Slopes().look(bench.work)
    return {"slope-mean": 1.0 + float(values.mean()), "slope-spread": rms_less(values - values.mean(), errors)}


def _couplers(bench: Bench) -> Values:
    values, errors = Couplers().look(bench.work)
    return {"coupler-error": rms_less(values, errors)}


def _trims(bench: Bench) -> Values:
    """Greatest share of the range of offset trims that a cell takes, and what the servo leaves, rms."""
    result = Offsets().find(bench.work)
    codes = result.changes["offset_trims"][bench.work.calibration.good].astype(np.float64)
    low, high = trim_range(bench.chip)
    used = np.where(codes < 0, codes / low, codes / high)
    good = bench.work.calibration.good
    bench.work.adopt(**result.changes)
    return {"trim-used": float(used.max()), "offset-left": rms_less(result.values[good], result.errors[good])}


def _temperature(bench: Bench) -> Values:
    values, errors = Temperature().look(bench.work)
    return {"temperature-error": rms_less(values, errors)}


def _power(bench: Bench) -> Values:
    """Standby power by the chip's ledger, W; energy of one update of a cell, fJ."""
    chip, cap = bench.chip, bench.chip.capabilities
    begun, energy = chip.seconds, chip.energy()
    chip.delay(round(STANDBY_S * cap.clock_hz))
    idle = chip.energy()
    power = (idle.standby_j - energy.standby_j) / (chip.seconds - begun)
    bench.work.quiet()
    before = chip.energy()
    chip.run(SWEEPS)
    spent = chip.energy().update_j - before.update_j
    return {"standby-power": power, "update-energy": 1e15 * spent / (SWEEPS * cap.cells * cap.planes)}


STEPS: tuple[Step, ...] = (
    Step("self-test", ("cells-bad", "bias-dacs-bad", "coupling-dacs-bad", "converters-bad"), _self_test),
    Step("adc", ("adc-offset", "adc-gain-error"), _adc, lambda bench: Adc().suits(bench.work)),
    Step("enob", ("adc-enob",), _enob, lambda bench: Adc().suits(bench.work) and bench.instruments is not None),
    Step("offsets", ("offset-rms",), _offsets),
    Step("slopes", ("slope-mean", "slope-spread"), _slopes),
    Step("couplers", ("coupler-error",), _couplers, lambda bench: bench.chip.kind in SPINS and Couplers().suits(bench.work)),
    Step("trims", ("trim-used", "offset-left"), _trims, lambda bench: Offsets().suits(bench.work)),
    Step("temperature", ("temperature-error",), _temperature, lambda bench: Temperature().suits(bench.work)),
    Step("power", ("standby-power", "update-energy"), _power, lambda bench: True),
)
"""All there are, in the order in which they are done."""
