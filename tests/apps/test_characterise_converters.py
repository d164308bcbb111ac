"""Procedures of converters find what the oracle knows, through the pins alone.

Tolerances are the measurements' own: 4 or 5 standard errors and a systematic part, as each procedure says. Power: the same
measurement disagrees with the figure of a chip without the effect, and with twice the effect.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from apps.bench import by_key, laboratory, run, told_apart
from serving import config
from tsu_apps.characterise import Lab, Measurement
from tsu_apps.characterise.captures import REFERENCES, coherent_cycles, coherent_record
from tsu_apps.characterise.converters import PROCEDURES
from tsu_apps.characterise.dacs import endpoint_line
from tsu_apps.characterise.sine import expected_enob, linearity, mean_codes, noise_of_spread, sine_fit, two_point_line
from tsu_emu.bench.client import Oracle

CHAIN = {"kind": "edges", "cells": 4, "pairs": [[0, 1], [1, 2], [2, 3]]}
BITS, LSB = 10, 2.0**-9
NOISE = math.hypot(0.4, 0.2)
"""Of the sampling and of the comparator, LSB."""
ADC = {
    "count": 2, "bits": BITS, "capacitor_sigma": 0.02, "offset_sigma_lsb": 2.0, "gain_sigma": 0.005, "noise_lsb": 0.4,
    "comparator_noise_lsb": 0.2, "metastability_lsb": 0.02, "acquisition_cycles": 8, "mux_tau_s": 1e-8,
}  # fmt: skip
SETTLING_S, GLITCH_LSB = 5e-8, 1.0
DAC = {"element_sigma": 0.05, "gain_sigma": 0.02, "offset_sigma_lsb": 1.0, "settling_s": SETTLING_S, "glitch_lsb": GLITCH_LSB}
Found = dict[str, Measurement]


@pytest.fixture(scope="module")
def rig() -> Iterator[tuple[Lab, Oracle]]:
    """Four cells in a row with real converters, whose levels leak besides."""
    chip = config(CHAIN, 8, seeds={"die": 3}, adc=ADC, coupling={"dac": DAC}, storage={"leakage_tau_s": 1.0})
    with laboratory(chip) as both:
        yield both


@pytest.fixture(scope="module")
def found(rig: tuple[Lab, Oracle]) -> Found:
    """What all procedures measure at full effort, in their order."""
    out: Found = {}
    for procedure in PROCEDURES:
        out |= by_key(run(rig[0], PROCEDURES, procedure.name))
    return out


@pytest.mark.parametrize("adc", [0, 1])
def test_linearity(rig: tuple[Lab, Oracle], found: Found, adc: int) -> None:
    """INL and DNL are those of the oracle's thresholds everywhere; .13 and .17 LSB are accepted of .5 to .9."""
    line = linearity(rig[1].truth("adc_thresholds", adc))
    assert found[f"adc.{adc}.inl"].tolerance < 0.15
    assert told_apart(found[f"adc.{adc}.inl"], line.inl)
    assert told_apart(found[f"adc.{adc}.dnl"], line.dnl)


@pytest.mark.parametrize("adc", [0, 1])
def test_references(rig: tuple[Lab, Oracle], found: Found, adc: int) -> None:
    """Offset, gain and noise; offsets of this die are -1.3 and .7 LSB, gains .2 and .1 % off 1."""
    codes = mean_codes(rig[1].truth("adc_thresholds", adc), REFERENCES, LSB)
    offset, gain = two_point_line(codes, REFERENCES, BITS)
    assert told_apart(found[f"adc.{adc}.offset_lsb"], offset)
    assert told_apart(found[f"adc.{adc}.gain"], gain, 1.0)
    assert told_apart(found[f"adc.{adc}.noise_lsb"], NOISE)


@pytest.mark.parametrize("adc", [0, 1])
def test_effective_bits(rig: tuple[Lab, Oracle], found: Found, adc: int) -> None:
    """Within .052 bit of what thresholds and noise give; without noise, without INL, or with twice the noise it is .1 off."""
    thresholds, enob = rig[1].truth("adc_thresholds", adc), found[f"adc.{adc}.enob"]
    straight = np.arange(1, 1 << BITS) * LSB
    assert enob.agrees(expected_enob(thresholds, BITS, NOISE))
    for levels, noise in ((thresholds, 0.0), (straight, NOISE), (thresholds, 2 * NOISE)):
        assert not enob.agrees(expected_enob(levels, BITS, noise))


def test_dac_staircase(rig: tuple[Lab, Oracle], found: Found) -> None:
    """INL, gain and offset of the coupling DAC, although its level leaks by 1 % between refreshes, which is 1.3 LSB."""
    inl, offset, gain = endpoint_line(rig[1].truth("coupling_dac", 0), 2 / 128)
    assert found["coupling_dac.0.inl"].tolerance < 0.17
    assert told_apart(found["coupling_dac.0.inl"], inl)
    assert told_apart(found["coupling_dac.0.offset_lsb"], offset)
    assert found["coupling_dac.0.gain"].agrees(gain)
    assert not found["coupling_dac.0.gain"].agrees(gain + 0.01)


def test_dac_settling(found: Found) -> None:
    """50 ns, to 5 %, and the kick of a bit."""
    settling = found["coupling_dac.settling_s"]
    assert settling.tolerance < 0.05 * SETTLING_S
    assert told_apart(settling, SETTLING_S)
    assert told_apart(found["coupling_dac.glitch_lsb"], GLITCH_LSB)


def test_a_dac_that_settles_at_once() -> None:
    """Nothing is left at the first look: 0, and 5 ns is more than what is accepted only if a look is as early."""
    with laboratory(config(CHAIN, 8, adc={"count": 1, "acquisition_cycles": 1}), 0.1) as (lab, _):
        settling = by_key(run(lab, PROCEDURES, "dac-settling"))["coupling_dac.settling_s"]
    assert settling.agrees(0.0)
    assert not settling.agrees(SETTLING_S)


def test_less_effort_is_less_certain_and_still_right(rig: tuple[Lab, Oracle], found: Found) -> None:
    """A tenth of the samples: tolerances grow by 3 or so, as sqrt(N), and hold."""
    lab = Lab(rig[0].chip, rig[0].instruments, 0.1)
    quick = by_key(run(lab, PROCEDURES, "adc-linearity"))["adc.0.inl"]
    assert 2.5 < quick.tolerance / found["adc.0.inl"].tolerance < 5
    assert quick.agrees(linearity(rig[1].truth("adc_thresholds", 0)).inl)


def test_a_record_of_many_captures_is_coherent() -> None:
    """16 captures of one sine fit as one record: 12 bits all but .01. Power: with two captures exchanged, less than 6 bits."""
    adc: dict[str, Any] = {"count": 1, "bits": 12, "buffer": 1500}
    with laboratory(config(CHAIN, 8, adc=adc)) as (lab, _):
        record = coherent_record(lab, 0, 1 << 14, -0.99, 0.99)
    cycles = coherent_cycles(1 << 14)
    assert sine_fit(record, cycles, 12).enob == pytest.approx(12, abs=0.05)
    blocks = record.reshape(16, -1)[[1, 0, *range(2, 16)]]
    assert sine_fit(blocks.ravel(), cycles, 12).enob < 6


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.2, 0.5, 2.0])
def test_noise_of_spread(noise: float) -> None:
    """From codes of 4,000 inputs over an LSB, 500 draws each: to 1 % and .002. Power: sqrt(variance - 1/12) is 14 % off at .2."""
    rng = np.random.default_rng(1)
    inputs = np.arange(4000) / 4000
    codes = np.floor(inputs[:, None] + noise * rng.standard_normal((4000, 500)))
    spread = float(np.mean(codes.var(axis=1, ddof=1)))
    assert noise_of_spread(spread) == pytest.approx(noise, abs=0.01 * noise + 0.002)
    if noise == 0.2:
        assert math.sqrt(abs(spread - 1 / 12)) < 0.9 * noise
