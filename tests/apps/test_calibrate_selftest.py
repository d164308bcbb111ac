"""The self-test finds what the oracle has broken, all of it, and nothing on a good chip."""

from __future__ import annotations

import numpy as np
import pytest

from apps.calibrating import BIPARTITE, bench, flawed, inject
from tsu_apps.calibrate import Calibrator, SelfTest, Work, self_test
from tsu_apps.calibrate.selftest import bits_of

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


def test_a_dead_converter_is_seen_and_another_takes_its_place() -> None:
    with bench(flawed(BIPARTITE)) as (_, chip, oracle):
        inject(oracle, "dead-adc", converter=0)
        inject(oracle, "stuck-coupling-bit", coupler=5, bit=6, at=1)
        test = self_test(Work.of(chip))
        assert test.lines() == ["coupling DAC 5: bits [6] do not move", "converter 0: does not see its references"]
        inject(oracle, "dead-adc", converter=1)
        test = self_test(Work.of(chip))
        assert test.lines() == ["converter 0: does not see its references", "converter 1: does not see its references"]
        assert test.good.all()


def test_a_chip_without_converters_is_tested_by_its_cells_alone() -> None:
    with bench(flawed(BIPARTITE, adc={"count": 0})) as (_, chip, oracle):
        inject(oracle, "stuck-cell", cell=3, at="up")
        inject(oracle, "stuck-coupling-bit", coupler=5, bit=6, at=1)
        test: SelfTest = self_test(Work.of(chip))
        assert test.lines() == ["cell 3: stuck up"]
        assert test.converters.shape == (0,)


def test_bits_by_number() -> None:
    assert [bits_of(mask) for mask in (0, 1, 0x81, 0b110)] == [[], [0], [0, 7], [1, 2]]
