"""Captures at cycles that the host knows, and the ledger of energy and time, on emulated chips without errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tsu_driver as tsu
from driver.kinds import chip_of
from tsu_contract.capabilities import LSB_SCALE
from tsu_emu import state as S
from tsu_emu.chip import Chip

HALF_STEP = 1 / 4096
"""Of 12 bits, in units of the range."""
HZ = 100e6
TIMINGS = [
    {"slot": 0, "colour": 100},
    {"slot": 0, "colour": 50, "issue": 3, "access": 5, "return": 7, "instruction": 11, "write_buffer": 128},
]


def connect_sine(emulated: Chip, hz: float) -> None:
    """A source on the external pin."""
    lab = emulated.state.core["lab"][0]
    lab[S.STIMULUS_AMPLITUDE], lab[S.STIMULUS_HZ], lab[S.STIMULUS_PHASE], lab[S.STIMULUS_OFFSET] = 0.9, hz, 0.1, 0.0


def worst(chip: tsu.Chip, capture: tsu.Capture, hz: float, late: int = 0) -> float:
    """Greatest deviation from the sine at the cycles that the capture names, in half steps."""
    t = (capture.cycle + late + capture.period * np.arange(len(capture.codes))) / HZ
    seen = chip.adc_value(capture.codes, "external")
    return float(np.abs(seen - 0.9 * np.sin(2 * np.pi * (hz * t + 0.1))).max()) / HALF_STEP


@pytest.mark.parametrize("timing", TIMINGS)
def test_a_capture_knows_its_cycles(timing: dict[str, Any]) -> None:
    """Codes of a sine of 200 kHz are those of the named cycles to half a step; power: a cycle later they are a step off.

    With `at`, captures fall on a grid of time: their first samples are as far apart as asked for, also on a slow link.
    """
    with chip_of("gaussian", 3, planes=1, timing=timing) as (emulated, chip):
        connect_sine(emulated, 200e3)
        chip.program_matrix(np.eye(3))
        captures = [chip.convert("external", n=101, period=period) for period in (None, 37)]
        assert [c.period for c in captures] == [chip.capabilities.adc_cycles, 37]
        begin = chip.time_cycles + 10_000
        captures += [chip.convert("external", n=20, adc=2, at=begin + k * 12_345) for k in range(4)]
        first = captures[2].cycle
        assert [c.cycle - first for c in captures[2:]] == [0, 12_345, 24_690, 37_035]
        own = timing.get("issue", 1) + timing.get("access", 2) + chip.capabilities.instruction_cycles
        assert first == begin + own + chip.capabilities.adc_acquire_cycles
        late = chip.convert("external", n=20, at=begin)
        assert late.cycle > captures[-1].cycle
        for capture in (*captures, late):
            assert capture.codes.dtype == np.uint16
            assert worst(chip, capture, 200e3) <= 1.001
            assert worst(chip, capture, 200e3, late=1) > 2


def test_what_codes_stand_for() -> None:
    """To half a step of the converter: references, DACs (a chip without errors puts out what its codes stand for), cells, T."""
    with chip_of("langevin", 3, planes=2, pairs=[(0, 1), (1, 2)]) as (_, chip):
        done = chip.program_couplings(([[0, 1], [1, 2]], [0.5, -1.25]), h=[[0.1, 1, -0.5, 2]] * 3)

        def seen(source: str, element: int = 0) -> float:
            return float(chip.adc_value(chip.convert(source, element).codes, source)[0])

        assert seen("reference-low") == pytest.approx(-0.875, abs=HALF_STEP)
        assert seen("reference-high") == pytest.approx(0.875, abs=HALF_STEP)
        cap = chip.capabilities
        for e, code in enumerate(done.coupling_codes):
            assert seen("coupling", e) == pytest.approx(code * (cap.coupling_lsb * LSB_SCALE), abs=2.5 * HALF_STEP)
        for k, code in enumerate(done.bias_codes.ravel()):
            assert seen("bias", k) == pytest.approx(code * (cap.bias_lsb * LSB_SCALE), abs=5 * HALF_STEP)
        chip.set_temperature(1.5)
        assert seen("temperature") == pytest.approx(1.5, abs=5 * HALF_STEP)
        chip.enable_planes([1])
        chip.clamp([2], [1.25])
        chip.run(3)
        assert seen("cell", 2) == pytest.approx(1.25, abs=8 * (HALF_STEP + 1 / 4096))
        assert seen("cell", 0) == chip.read()[1, 0]


def test_trims_shift_and_stretch() -> None:
    """40 offset steps of 1/8 LSB raise every code by 5; 60 gain steps of 2^-12 raise a full-scale code by 1.46 % of 3,840."""
    with chip_of("gaussian", 1, planes=1) as (_, chip):
        high = [int(chip.convert("reference-high", adc=k).codes[0]) for k in range(3)]
        chip.set_adc_trims([40, 0, 0], [0, 0, 60])
        trimmed = [int(chip.convert("reference-high", adc=k).codes[0]) for k in range(3)]
        assert high == [3840] * 3
        assert trimmed == [3845, 3840, 3840 + round(3840 * 60 / 4096)]
        chip.set_adc_trims(0, 0)
        assert int(chip.convert("reference-high").codes[0]) == 3840


def test_a_cell_lives_through_a_capture_unless_it_is_held() -> None:
    with chip_of("gaussian", 1, planes=1) as (_, chip):
        chip.program_matrix([[1.0]])
        chip.run(10)
        assert len(np.unique(chip.convert("cell", n=50, period=200).codes)) == 1
        sweeps = chip.read_register("FABRIC.SWEEP")
        chip.hold(False)
        assert len(np.unique(chip.convert("cell", n=50, period=200).codes)) > 40
        assert chip.read_register("FABRIC.SWEEP") == sweeps + 98


def test_long_captures_are_waited_for() -> None:
    """Also in a program of the host's own, whose captures take the period that the register holds."""
    with chip_of("gaussian", 1, planes=1) as (_, chip):
        capture = chip.convert("reference-low", n=100, period=100_000)
        assert chip.time_cycles - capture.cycle >= 99 * 100_000
        chip.execute_program([tsu.Instruction(tsu.Opcode.ADC_CAPTURE, 50)])
        assert chip.time_cycles - capture.cycle >= 149 * 100_000
        assert chip.convert("reference-low", n=2).period == chip.capabilities.adc_cycles


def test_what_the_host_gets_wrong() -> None:
    adc = {"count": 2, "bits": 12, "buffer": 10}
    with chip_of("gaussian", 2, planes=1, pairs=[(0, 1)], adc=adc) as (_, chip):
        calls: list[tuple[Callable[[], Any], str]] = [
            (lambda: chip.convert("pin"), "no source 'pin'; there are cell, coupling, bias, temperature, reference-low"),
            (lambda: chip.convert("cell", 2), "no element 2 of the source 'cell'; this chip has 2"),
            (lambda: chip.convert("coupling", 2), "no element 2 of the source 'coupling'; this chip has 2"),
            (lambda: chip.convert("bias", 4), "no element 4 of the source 'bias'; this chip has 4"),
            (lambda: chip.convert("external", 1), "no element 1 of the source 'external'; this chip has 1"),
            (lambda: chip.convert("external", n=11), r"n = 11 samples; a capture takes 1 .. 10 \(CAP.ADC_BUFFER\)"),
            (lambda: chip.convert("external", n=0), "n = 0 samples"),
            (lambda: chip.convert("external", adc=2), "no converter 2; the chip has 2"),
            (lambda: chip.convert("external", period=17), "17 cycles is too short; a conversion takes 18"),
            (lambda: chip.convert("external", period=1 << 32), "ADC.PERIOD = 4294967296"),
            (lambda: chip.convert("external", at=-1), "cycle = -1"),
            (lambda: chip.adc_value([0], "nowhere"), "no source 'nowhere'"),
            (lambda: chip.set_adc_trims(64, 0), "offset trim 64 is not in -64 .. 63"),
            (lambda: chip.set_adc_trims([0, 0], [0, -65]), "gain trim -65"),
            (
                lambda: chip.set_adc_trims([0, 0, 0], 0),
                r"offset trims are codes, one integer or \(2,\); got int64 of shape \(3,\)",
            ),
            (lambda: chip.set_adc_trims(0.5, 0), "got float64"),
        ]
        for call, message in calls:
            with pytest.raises(tsu.HostError, match=message):
                call()
        assert len(chip.convert("external", n=10).codes) == 10
    with chip_of("pbit", 2, adc=adc) as (_, chip), pytest.raises(tsu.HostError, match="of the source 'cell'; this chip has none"):
        chip.convert("cell")


LEDGER = {"update_aj": 3_000, "read_aj": 7_000, "write_aj": 11_000_000, "conversion_aj": 13_000}


def test_the_ledger_adds_up() -> None:
    """Every part is its count times its price, in fJ exactly; what a result says is what happened between its ends.

    The boot firmware has written some codes before.
    """
    with chip_of("mixture", 5, planes=4, energy=LEDGER) as (_, chip):
        booted = round(chip.energy().write_j * 1e18)
        done = chip.program_couplings(h=np.zeros((5, 4)))
        written = 11e6 * 5 * 4
        assert round(done.energy_j * 1e18) == written
        chip.enable_planes(3)
        result = chip.run(10)
        assert round(result.energy_j * 1e18) == 3e3 * 10 * 3 * 5
        assert result.physical_s == pytest.approx(10 * 101 / HZ, rel=1e-12)
        physical = chip.physical_time()
        chip.read_states()
        assert chip.physical_time() == physical
        chip.sample(7, every=2, burn=4)
        chip.convert("external", n=9)
        spent = chip.energy()
        parts = 3e3 * (10 + 14 + 4) * 15, 7e3 * 20, booted + written, 13e3 * (7 * 15 + 9), 0
        names = ("update_j", "read_j", "write_j", "adc_j", "standby_j")
        assert [round(getattr(spent, name) * 1e18) for name in names] == list(parts)
        assert round(spent.total_j * 1e18) == sum(parts)
        conversions = 7 * 3 * 2 * 18 + 9 * 18
        assert chip.physical_time() == pytest.approx((28 * 101 + conversions) / HZ, rel=1e-12)


def test_standby_is_paid_for_in_chip_time() -> None:
    """3 mW over a run, its cycles less those of the bus; writes between two results belong to neither."""
    with chip_of("pbit", 2, energy={"standby_w": 3e-3, "write_aj": 10**9}) as (_, chip):
        booted = chip.energy().write_j
        first = chip.run(1000)
        batch = chip.batch()
        batch.write_window("BIAS", [1, 1])
        batch.delay(100_000)
        batch.execute()
        second = chip.run(1000)
        for result in (first, second):
            bus = result.cycles - result.energy_j / 3e-3 * HZ
            assert 0 < bus < 40
        assert chip.energy().write_j - booted == pytest.approx(2e-9)
        assert chip.energy().standby_j == pytest.approx(3e-3 * chip.seconds, rel=1e-3)


def test_die_temperature() -> None:
    with chip_of("pbit", 2, thermal={"ambient_k": 310.5}) as (_, chip):
        assert chip.die_temperature() == 310.5
