"""The self-test finds what the oracle has broken, all of it, and nothing on a good chip."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from apps.calibrating import BIPARTITE, DENSE, bench, flawed, inject
from tsu_apps.calibrate import Calibrator, SelfTest, Work, self_test
from tsu_apps.calibrate.loud import shaken
from tsu_apps.calibrate.selftest import bits_of
from tsu_contract.capabilities import LSB_SCALE

BITS = 8


def bits_stuck_at(masks: np.ndarray, at: np.ndarray) -> dict[int, tuple[int, int]]:
    return {k: (int(masks[k]), int(at[k])) for k in np.flatnonzero(masks).tolist()}


@pytest.mark.parametrize("die", [1, 2, 3])
def test_a_good_chip_has_no_faults_however_its_parameters_spread(die: int) -> None:
    with bench(flawed(BIPARTITE, seeds={"die": die})) as (_, chip, _):
        work = Work.of(chip)
        test = self_test(work)
        assert test.lines() == []
        assert test.good.all()
        assert test.stuck.shape == (0, 3)
        assert test.converters.tolist() == [True, True]
        assert 0 < test.cycles <= chip.time_cycles


def test_every_bit_is_found_wherever_it_is_stuck() -> None:
    """Of couplers and of biases, at 0 and at 1, one in a DAC and several: 16 and 3 of 192 couplers, 16 of 20 biases.

    What a bit is stuck at shows in the DAC's output alone, so that its offset must be small beside the bit: .1 of the least.
    """
    coupling = {3 + 11 * k: [(k % BITS, k // BITS)] for k in range(2 * BITS)}
    coupling |= {100: [(1, 1), (3, 0)], 150: [(0, 0), (6, 1), (7, 1)], 190: [(2, 0), (7, 0)]}
    bias = {1 + k: [(k % BITS, k // BITS)] for k in range(2 * BITS)}
    with bench(flawed(BIPARTITE, coupling={"gain_sigma": 0.05, "dac": {"offset_sigma_lsb": 0.1}})) as (emulated, chip, oracle):
        for bank, key, faults in (("coupling", "coupler", coupling), ("bias", "term", bias)):
            for element, bits in faults.items():
                for bit, at in bits:
                    inject(oracle, f"stuck-{bank}-bit", **{key: element}, bit=bit, at=at)
        calibrator = Calibrator.of(Work.of(chip))
        test = calibrator.run_self_test()

        def wanted(faults: dict[int, list[tuple[int, int]]]) -> dict[int, tuple[int, int]]:
            return {e: (sum(1 << b for b, _ in bits), sum(at << b for b, at in bits)) for e, bits in faults.items()}

        assert bits_stuck_at(test.coupling_bits, test.coupling_at) == wanted(coupling)
        assert bits_stuck_at(test.bias_bits, test.bias_at) == wanted(bias)
        assert np.array_equal(np.flatnonzero(~test.good), sorted(bias))
        assert test.lines()[-len(bias) :][0] == "bias DAC 1: bits [0] do not move"
        assert "coupling DAC 150: bits [0, 6, 7] do not move" in test.lines()

        assert np.array_equal(calibrator.work.calibration.good, test.good)
        mask, value = emulated.parameters.stuck[0]
        at = np.flatnonzero(mask)
        assert np.array_equal(calibrator.work.calibration.stuck, np.column_stack([at, mask[at], value[at]]))
        chip.program_couplings(([[0, 12]], [0.5]), corrected=False)
        codes = chip.batch()
        ticket = codes.read_window("COUPLING")
        codes.execute()
        assert np.array_equal((ticket.value[at].astype(int) + 128) & mask[at], value[at]), "written codes have them as they are"


def test_cells_that_do_not_follow_are_told_apart() -> None:
    with bench(flawed(BIPARTITE)) as (_, chip, oracle):
        for cell, at in ((0, "down"), (7, "up"), (19, "floating")):
            inject(oracle, "stuck-cell", cell=cell, at=at)
        calibrator = Calibrator.of(Work.of(chip))
        test = calibrator.run_self_test()
        assert test.lines() == ["cell 0: stuck down", "cell 7: stuck up", "cell 19: deaf"]
        assert np.array_equal(np.flatnonzero(~test.good), [0, 7, 19])
        chip.program_couplings((chip.topology.pairs, np.full(chip.topology.pairs.shape[0], 0.5)))
        codes = chip.batch()
        ticket = codes.read_window("COUPLING")
        codes.execute()
        deaf = np.isin(chip.topology.source, [0, 7, 19])
        assert not ticket.value[deaf].any()
        assert ticket.value[~deaf].all()


@pytest.mark.parametrize("cell", [{"kind": "pdit", "states": 3}, {"kind": "gaussian", "range": 8.0}])
def test_cells_that_are_no_spins_are_not_called_bad(cell: dict[str, Any]) -> None:
    """They do not follow a bias as p-bits do, or have none; converters and DACs are looked at all the same."""
    timing = {"slot": 0, "colour": 10} if cell["kind"] == "gaussian" else {}
    with bench(flawed(DENSE, cell=cell, trim={"bits": 0}, timing=timing)) as (_, chip, oracle):
        inject(oracle, "stuck-coupling-bit", coupler=5, bit=6, at=1)
        test = self_test(Work.of(chip))
        assert test.lines() == ["coupling DAC 5: bits [6] do not move"]
        assert test.good.all()


def test_a_dead_converter_is_seen_and_another_takes_its_place() -> None:
    with bench(flawed(BIPARTITE)) as (_, chip, oracle):
        inject(oracle, "dead-adc", converter=0)
        inject(oracle, "stuck-coupling-bit", coupler=5, bit=6, at=1)
        test = self_test(Work.of(chip))
        assert test.lines() == ["coupling DAC 5: bits [6] do not move", "converter 0: does not see its references"]
        inject(oracle, "dead-adc", converter=1)
        test = self_test(Work.of(chip))
        assert [line[:11] for line in test.lines()] == ["coupling DA", "converter 0", "converter 1"], "cells hear it as well"
        assert test.good.all()


def test_a_chip_without_converters_is_tested_by_its_cells_alone() -> None:
    """Every stuck bit that keeps a coupler from 0 is found by the cell that hears it; and a coupler that nothing can bring there
    is known for what it gives. Bits that no 0 needs, and those of a coupler that a stuck cell should hear, are not found. Then no
    coupler gives more than a step of 0, its gain and its offset, unless it is said to."""
    faults = {
        5: [(6, 1)],
        20: [(3, 1)],
        41: [(7, 0)],
        60: [(5, 1), (6, 1)],
        80: [(7, 1)],
        100: [(6, 1), (7, 1)],
        120: [(6, 0), (7, 0)],
    }
    with bench(flawed(BIPARTITE, adc={"count": 0})) as (emulated, chip, oracle):
        deaf = int(chip.topology.target[190])
        inject(oracle, "stuck-cell", cell=deaf, at="up")
        for coupler, bits in (faults | {190: [(6, 1)]}).items():
            for bit, at in bits:
                inject(oracle, "stuck-coupling-bit", coupler=coupler, bit=bit, at=at)
        work = Work.of(chip)
        calibrator = Calibrator.of(work)
        test: SelfTest = calibrator.run_self_test()
        assert test.lines()[0] == f"cell {deaf}: stuck up"
        assert test.converters.shape == (0,)
        assert bits_stuck_at(test.coupling_bits, test.coupling_at) == {
            5: (64, 64), 20: (8, 8), 41: (128, 0), 60: (64, 64), 100: (192, 192), 120: (192, 0)}  # fmt: skip
        loud = shaken(work)
        assert np.flatnonzero(loud).tolist() == sorted({int(chip.topology.target[e]) for e in (100, 120)})
        gives = abs(emulated.parameters.made()[0])
        assert (gives > 5 * chip.capabilities.coupling_lsb * LSB_SCALE).nonzero()[0].tolist() == [100, 120, 190]


def test_bits_by_number() -> None:
    assert [bits_of(mask) for mask in (0, 1, 0x81, 0b110)] == [[], [0], [0, 7], [1, 2]]
