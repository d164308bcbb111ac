"""Samples of weights that the chip no longer holds are refused; codes are verified by their check sum."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import pytest

import tsu_driver as tsu
from driver.fake import BOOTED, FakeLink
from tsu_driver import Instruction as I
from tsu_driver import Opcode


def test_spins_of_power_on_may_be_read_until_weights_are_written(chip: tsu.Chip) -> None:
    chip.read()
    chip.read()
    chip.program_couplings()
    with pytest.raises(tsu.StaleSamples, match="last swept at power-on; since then weights were written, to version 5") as caught:
        chip.read()
    assert (caught.value.drawn, caught.value.held) == ((1 << 32) - 1, BOOTED + 2)
    chip.read(stale_ok=True)
    chip.run(1)
    chip.read()


def test_spins_are_stale_once_weights_are_written(chip: tsu.Chip) -> None:
    chip.run(1)
    chip.read()
    batch = chip.batch()
    batch.write_window("BIAS", np.ones(9, np.int16))
    batch.execute()
    for look in (chip.read, lambda: chip.sample(2, every=0)):
        with pytest.raises(tsu.HostError, match=r"under weight version 3; .* version 4: run a sweep first"):
            look()
    assert chip.sample(2, every=0, stale_ok=True).shape == (2, 3, 9)
    assert chip.sample(2, every=0, burn=1).shape == (2, 3, 9)
    chip.read()
    assert chip.set_weights(np.zeros(12), np.zeros(9)).clipped == 0
    chip.sample(1)
    chip.read()


def test_a_look_costs_two_reads_and_sampling_none(chip: tsu.Chip) -> None:
    chip.run(1)
    chip.read()
    before = chip.stats.operations
    chip.read()
    looked = chip.stats.operations - before
    chip.read(stale_ok=True)
    assert chip.stats.operations - before == 2 * looked - 2
    chip.sample(1)
    before = chip.stats.operations
    chip.sample(1)
    assert chip.stats.operations - before == looked - 2


def test_correlations_tell_their_versions(chip: tsu.Chip) -> None:
    chip.configure_correlator(data_planes=[0], free_planes=[1], tau_data=2, tau_free=2)
    assert chip.correlations().versions is None
    chip.run(3)
    assert chip.correlations(same_weights=True).versions == (3, 3)
    chip.program_couplings()
    with pytest.raises(tsu.StaleSamples, match="end with weight version 3; since then weights were written, to version 5"):
        chip.correlations()
    assert chip.correlations(stale_ok=True).versions == (3, 3)
    chip.run(1)
    assert chip.correlations().versions == (3, 5)
    with pytest.raises(tsu.StaleSamples, match="of the weight versions 3 to 5, the chip holds 5: configure the correlator anew"):
        chip.correlations(same_weights=True)


def test_versions_of_a_learning_chip_are_normal(chip: tsu.Chip) -> None:
    """Until the host writes weights again: these it has not seen in any average."""
    chip.configure_correlator(data_planes=[0], free_planes=[1], tau_data=2, tau_free=2)
    chip.execute_program([I(Opcode.LOOP, 3), I(Opcode.RUN, 2), I(Opcode.LEARN), I(Opcode.END)])
    assert chip.correlations().versions == (3, 5)
    with pytest.raises(tsu.StaleSamples):
        chip.correlations(same_weights=True)
    with pytest.raises(tsu.StaleSamples):
        chip.read()
    chip.program_couplings()
    with pytest.raises(tsu.StaleSamples):
        chip.correlations()


def test_check_sums(chip: tsu.Chip, link: FakeLink) -> None:
    """That of what the host wrote, though the chip's codes have changed since; of what LEARN wrote, the chip is asked."""
    done = chip.program_couplings((chip.topology.pairs, np.linspace(-1, 1, 12)), h=np.linspace(-0.4, 0.4, 9))
    expected = crc32(done.coupling_codes.tobytes() + done.bias_codes.tobytes())
    assert chip.weights_crc() == expected
    with pytest.raises(tsu.StaleSamples, match="weight version 4294967295, the chip holds 5: run a sweep first"):
        chip.verify_weights()
    chip.run(1)
    assert chip.verify_weights() == expected
    link.chip.windows["COUPLING"][3] += 1
    chip.run(1)
    with pytest.raises(tsu.ChipFault, match=f"have the check sum 0x........; what the host wrote has {expected:#010x}"):
        chip.verify_weights()
    chip.write_register("LEARN.BIAS_RATE", 320 << 16)
    chip.execute_program([I(Opcode.LEARN), I(Opcode.RUN, 1)])
    assert link.chip.windows["BIAS"].any()
    assert chip.verify_weights() == crc32(link.chip.windows["COUPLING"].tobytes() + link.chip.windows["BIAS"].tobytes())
