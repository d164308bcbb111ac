"""Converter outputs in time: transients after writes, levels that leak and are refreshed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from serving import config, records
from tsu_contract.operations import Op
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_contract.registers import WINDOWS, register, value_of
from tsu_emu.analog.slow import SETTLED_AFTER, kick, output_at, outputs_now
from tsu_emu.chip import Chip
from tsu_emu.state import EPOCH

Floats = NDArray[np.float64]
TAU = 50.0
"""Cycles."""
NONE = np.zeros(1)


class Dacs:
    """Converters that put out lsb x code once they have settled."""

    def __init__(self, n: int, glitch: float = 0.0, tau: float = TAU, lsb: float = 1 / 64) -> None:
        self.codes, self.kicks, self.written = np.zeros(n, np.int16), np.zeros(n, np.float32), np.zeros(n, np.int64)
        self.glitch, self.tau, self.lsb = glitch, tau, lsb

    def write(self, codes: NDArray[np.int16], now: int) -> None:
        before, self.codes = self.codes, codes.astype(np.int16)
        volts, was = self.lsb * self.codes, self.lsb * before
        kick(volts, was, self.codes, before, self.kicks, self.written, np.array([now]), self.tau, self.glitch, 0xFF)

    def at(self, now: int) -> Floats:
        out = np.empty(len(self.codes))
        outputs_now(self.lsb * self.codes, self.kicks, self.written, now, self.tau, NONE, 1.0, out)
        return out


RNG = np.random.default_rng(4)
OLD, NEW, THIRD = (RNG.integers(-128, 128, 500).astype(np.int16) for _ in range(3))
ROUNDING = 4.0 * 2.0**-24
"""Of a transient of at most 4 kT, which is kept in float32."""


def test_a_written_output_starts_where_it_was_and_decays_to_its_new_value() -> None:
    dacs = Dacs(500)
    dacs.write(OLD, 0)
    dacs.write(NEW, 10_000)
    old, new = OLD / 64, NEW / 64
    assert np.abs(dacs.at(10_000) - old).max() <= ROUNDING
    for t in (1, 7, 50, 120, 300, 690):
        right = new + (old - new) * np.exp(-t / TAU)
        assert np.abs(dacs.at(10_000 + t) - right).max() <= ROUNDING
        if t < 200:
            for wrong in (TAU / 2, 2 * TAU):
                assert np.abs(dacs.at(10_000 + t) - (new + (old - new) * np.exp(-t / wrong))).max() > 1e-3


def test_after_fourteen_time_constants_an_output_is_its_settled_value_exactly() -> None:
    dacs = Dacs(500)
    dacs.write(NEW, 0)
    assert np.array_equal(dacs.at(int(SETTLED_AFTER * TAU)), NEW / 64)
    assert not np.array_equal(dacs.at(int(SETTLED_AFTER * TAU) - 1), NEW / 64)
    assert np.abs(dacs.at(int(SETTLED_AFTER * TAU) - 1) - NEW / 64).max() < 4 * np.exp(-13.9)


def test_a_write_while_still_settling_goes_on_from_where_the_output_is() -> None:
    dacs = Dacs(500)
    dacs.write(OLD, 0)
    dacs.write(NEW, 1_000)
    half_way = dacs.at(1_030)
    dacs.write(THIRD, 1_030)
    assert np.abs(dacs.at(1_030) - half_way).max() <= 2 * ROUNDING
    right = THIRD / 64 + (half_way - THIRD / 64) * np.exp(-40 / TAU)
    assert np.abs(dacs.at(1_070) - right).max() <= 2 * ROUNDING
    assert np.abs(half_way - NEW / 64).max() > 1


def test_the_glitch_is_proportional_to_the_bits_that_toggle() -> None:
    """Of eight code lines, also where the sign changes."""
    old, new = OLD, NEW
    toggled = np.array([((o ^ n) & 0xFF).bit_count() for o, n in zip(old.tolist(), new.tolist(), strict=True)])
    dacs = Dacs(500, glitch=0.25)
    dacs.write(old, 0)
    dacs.write(new, 5_000)
    assert np.abs(dacs.at(5_000) - (old / 64 + 0.25 * toggled)).max() <= ROUNDING
    assert np.abs(dacs.at(5_050) - (new / 64 + ((old - new) / 64 + 0.25 * toggled) * np.exp(-1))).max() <= ROUNDING
    assert len(set(toggled)) >= 6


def test_the_same_code_again_kicks_nothing() -> None:
    dacs = Dacs(500, glitch=0.25)
    dacs.write(OLD, 0)
    dacs.write(OLD, 5_000)
    assert np.array_equal(dacs.at(5_001), OLD / 64)


def test_one_output_at_many_times_is_what_each_time_alone_gives() -> None:
    dacs = Dacs(3)
    dacs.write(NEW[:3], 100)
    times = np.arange(100, 900, 7)
    out = np.empty(len(times))
    output_at(NEW[1:2] / 64, dacs.kicks[1:2], dacs.written[1:2], times, TAU, NONE, 1.0, out)
    assert np.array_equal(out, [dacs.at(int(t))[1] for t in times])


# Through the chip

HZ, GRID = 1_000_000, 1024
DENSE = {"kind": "dense", "cells": 24}


def at(name: str) -> int:
    return register(name).at()


def burst(name: str, data: bytes) -> tuple[int, int, int, int, int]:
    return (Op.BLKWR, WINDOWS[name].address, 0, 0, len(data) // 4)


def chip(**more: Any) -> Chip:
    """A dense chip whose epochs last 1.024 ms, its coupling codes 64 (1 kT) and bias codes 32 (1/2 kT)."""
    c = Chip(config(DENSE, 4, **{"clock": {"hz": HZ}, "slow": {"epoch_cycles": GRID}, "adc": {"count": 1, "bits": 14}, **more}))
    couplings, biases = (np.full(n, code, "<i2").tobytes() for n, code in ((c.capabilities.couplers, 64), (24, 32)))
    assert c.execute(records([burst("COUPLING", couplings), burst("BIAS", biases)]), [couplings, biases]).failure is None
    return c


def sweep_at(c: Chip, cycle: int) -> None:
    """A sweep that begins soon after a cycle: parameters are those of its epoch."""
    program = assemble([Instruction(Opcode.RUN, 1), Instruction(Opcode.HALT)]).tobytes()
    rows = [burst("PROGRAM", program), (Op.DELAY_UNTIL, 0, 0, 0, cycle), (Op.WRITE, at("SEQ.PC"), 0, 0, 0)]
    rows += [(Op.WRITE, at("SEQ.CTRL"), 1, 0, 0), (Op.DELAY, 0, 0, 0, 200)]
    assert c.execute(records(rows), [program]).failure is None


def coupling_volts(c: Chip) -> Floats:
    """What the coupling DACs put out as of the last sweep's epoch, kT."""
    now = np.array([c.link_time])
    return np.array([c.parameters.outputs(0, e, now)[0] for e in range(c.parameters.elements(0))])


def test_a_capture_of_a_dac_that_is_written_finds_its_time_constant() -> None:
    """Code 0 to 64; a line through the logarithm of what is left. 14 bits over 2.5 ranges resolve 3e-4 kT of 1 kT; 5 % of tau."""
    for tau_s, right in ((50e-6, True), (100e-6, False), (25e-6, False)):
        c = chip(coupling={"dac": {"settling_s": tau_s}})
        program = assemble([Instruction(Opcode.ADC_CAPTURE, 12), Instruction(Opcode.HALT)]).tobytes()
        rows = [burst("PROGRAM", program), (Op.WRITE, at("ADC.MUX"), value_of("ADC.MUX.SOURCE", "COUPLING_DAC"), 0, 0),
                (Op.WRITE, WINDOWS["COUPLING"].address, 0, 0, 0), (Op.DELAY, 0, 0, 0, 5_000),
                (Op.WRITE, WINDOWS["COUPLING"].address, 64, 0, 0), (Op.WRITE, at("SEQ.CTRL"), 1, 0, 0),
                (Op.DELAY, 0, 0, 0, 1_000), (Op.BLKRD, WINDOWS["ADC_DATA"].address, 0, 0, 6)]  # fmt: skip
        result = c.execute(records(rows), [program])
        assert result.failure is None
        codes = np.frombuffer(result.data[0], "<u2").astype(np.float64)
        volts = ((codes + 0.5) / 2**13 - 1) * 2.5
        slope = np.polyfit(c.capabilities.adc_cycles * np.arange(12), np.log(1 - volts), 1)[0]
        assert (abs(-1 / slope / 50 - 1) < 0.05) == right


def droop(since_s: float, **thermal: Any) -> float:
    """Factor that leakage of 50 ms leaves of the levels a while after the refresh of the fifth 100 ms."""
    c = chip(storage={"leakage_tau_s": 0.05, "refresh_s": 0.1}, thermal=thermal)
    sweep_at(c, int((0.5 + since_s) * HZ))
    since = int(c.state.time[EPOCH]) * GRID / HZ - 0.5
    seen = coupling_volts(c)
    assert np.all(seen == seen[0])
    assert abs(since - since_s) <= 1.1 * GRID / HZ
    return float(np.log(seen[0]) / -since) if since > 1e-9 else 0.0


@pytest.mark.parametrize("since_s", [0.005, 0.03, 0.09])
def test_levels_leak_from_refresh_to_refresh(since_s: float) -> None:
    """The rate is 1 / tau, exactly, and twice that 10 K above the reference; no rate but its own fits."""
    assert droop(since_s) == pytest.approx(20.0, rel=1e-9)
    assert droop(since_s, ambient_k=310.0) == pytest.approx(40.0, rel=1e-9)
    assert droop(since_s, ambient_k=290.0) == pytest.approx(10.0, rel=1e-9)


def test_each_refresh_writes_with_errors_of_its_own() -> None:
    """552 couplers, .5 LSB of 1/64 kT: rms to 5 / sqrt(2 n); constant between refreshes, independent across them."""
    c = chip(storage={"refresh_noise_lsb": 0.5, "refresh_s": 0.05})
    errors = []
    for cycle in (10_000, 40_000, 60_000, 90_000, 110_000):
        sweep_at(c, cycle)
        errors.append(coupling_volts(c) - 1.0)
    assert np.array_equal(errors[0], errors[1])
    assert np.array_equal(errors[2], errors[3])
    n = len(errors[0])
    for e in (errors[0], errors[2], errors[4]):
        assert abs(e.std() / (0.5 / 64) - 1) < 5 / np.sqrt(2 * n)
        assert all(abs(e.std() / (wrong / 64) - 1) > 5 / np.sqrt(2 * n) for wrong in (0.25, 1.0))
        assert abs(e.mean()) < 5 * 0.5 / 64 / np.sqrt(n)
    for a, b in ((0, 2), (2, 4), (0, 4)):
        assert abs(np.corrcoef(errors[a], errors[b])[0, 1]) < 5 / np.sqrt(n)
    assert abs(np.corrcoef(errors[0], errors[1])[0, 1]) > 0.99


def test_level_errors_reach_the_cells() -> None:
    c = chip(storage={"refresh_noise_lsb": 0.5, "leakage_tau_s": 0.05, "refresh_s": 0.1})
    sweep_at(c, 30_000)
    heard = c.plant.doubled / 2 / c.plant.die.scale
    assert np.abs(heard - coupling_volts(c)).max() <= 0.5 / c.plant.die.scale
    assert np.abs(heard - 1.0).max() > 0.1


def test_levels_are_fresh_in_the_epoch_of_a_refresh() -> None:
    """Refreshes each 10 ms on a grid of 1 ms: each tenth epoch finds the levels as written, and the others e^-(ms) / 50 ms."""
    c = chip(storage={"leakage_tau_s": 0.05, "refresh_s": 0.01}, slow={"epoch_cycles": 1_250}, clock={"hz": 1_250_000})
    for epoch in range(10, 200):
        sweep_at(c, 1_250 * epoch + 1)
        assert c.state.time[EPOCH] == epoch
        assert coupling_volts(c)[0] == pytest.approx(np.exp(-(epoch % 10) / 50), rel=1e-9), epoch


@pytest.mark.parametrize(("before", "after"), [(0, -1), (5, -5), (-128, 127), (-1, 0)])
def test_a_change_of_sign_toggles_the_converters_own_lines_only(before: int, after: int) -> None:
    """An 8-bit converter has eight code lines."""
    dacs = chip(coupling={"dac": {"settling_s": 50e-6, "glitch_lsb": 1.0}})
    rows = [(Op.WRITE, WINDOWS["COUPLING"].address, before & 0xFFFF, 0, 0), (Op.DELAY, 0, 0, 0, 5_000),
            (Op.WRITE, WINDOWS["COUPLING"].address, after & 0xFFFF, 0, 0), (Op.FENCE, 0, 0, 0, 0)]  # fmt: skip
    assert dacs.execute(records(rows)).failure is None
    glitch = dacs.state.coupling_kick[0] - (before - after) / 64
    assert glitch == pytest.approx(((before ^ after) & 0xFF).bit_count() / 64, abs=1e-6)
