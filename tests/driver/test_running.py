"""Temperature, planes, clamps, programs, samples, correlations."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import tsu_driver as tsu
from driver.fake import CAPABILITIES, FakeChip, FakeDaemon, FakeLink
from driver.fake_sequencer import ENERGY_PER_SWEEP
from tsu_contract.operations import Op
from tsu_driver.timing import SLACK_CYCLES, Pace, measure

HALT, SET_T, RUN, STROBE, LOOP, END, DELAY = (tsu.Opcode[n] for n in ("HALT", "SET_T", "RUN", "STROBE", "LOOP", "END", "DELAY"))


def program(*steps: tuple[tsu.Opcode, int] | tsu.Opcode) -> list[tsu.Instruction]:
    return [tsu.Instruction(*s) if isinstance(s, tuple) else tsu.Instruction(s) for s in steps]


def test_temperature(chip: tsu.Chip, link: FakeLink) -> None:
    assert chip.set_temperature(1.01) == 65 / 64
    assert link.chip["TEMP.TDAC"] == 65
    for wrong in (0, -1, 16, np.nan):
        with pytest.raises(tsu.HostError, match=r"the chip reaches 0.015625 .. 15.9844"):
            chip.set_temperature(wrong)


def test_planes(chip: tsu.Chip, link: FakeLink) -> None:
    assert chip.enabled_planes.tolist() == [0, 1, 2]
    chip.enable_planes([2, 0])
    assert link.chip["FABRIC.PLANE_ENABLE"] == 5
    assert chip.enabled_planes.tolist() == [0, 2]
    chip.enable_planes(1)
    assert link.chip["FABRIC.PLANE_ENABLE"] == 1
    chip.write_register("FABRIC.PLANE_ENABLE", 6)
    assert chip.enabled_planes.tolist() == [1, 2]
    assert chip.plane_temperatures([1, 0.5, 1.00001]).tolist() == [1, 0.5, 1]
    assert link.chip.windows["PLANE_TEMP"].tolist() == [4096, 2048, 4096]
    for call, message in (
        (lambda: chip.enable_planes(4), "4 planes asked for; the chip has 3"),
        (lambda: chip.enable_planes([3]), "no plane 3; the chip has planes 0 .. 2"),
        (lambda: chip.enable_planes([1, 1]), "named twice"),
        (lambda: chip.enable_planes(2.0), "count or a list of numbers; got 2.0"),
        (lambda: chip.enable_planes(True), "got True"),
        (lambda: chip.enable_planes([0.5]), "count or a list of numbers"),
        (lambda: chip.plane_temperatures([1, 1]), r"one number or \(3,\)"),
        (lambda: chip.plane_temperatures([1, 16, 1]), "multiplier 16 of plane 1"),
    ):
        with pytest.raises(tsu.HostError, match=message):
            call()


def test_clamps_keep_each_other(chip: tsu.Chip, link: FakeLink) -> None:
    free = chip.read()
    chip.clamp([0, 8], [1, -1])
    chip.clamp([4], [[True], [False]], planes=[2, 0])
    spins = chip.read()
    assert (spins[:, 0] == 1).all()
    assert (spins[:, 8] == -1).all()
    assert spins[2, 4] == 1
    assert spins[0, 4] == -1
    assert link.chip.windows["CLAMP_MASK"].ravel().tolist() == [0b100010001, 0b100000001, 0b100010001]
    chip.unclamp([0], planes=[1])
    assert link.chip.windows["CLAMP_MASK"].ravel().tolist() == [0b100010001, 0b100000000, 0b100010001]
    chip.unclamp()
    assert (chip.read() == free).all()


def test_clamping_the_same_cells_again_writes_values_only(chip: tsu.Chip, link: FakeLink) -> None:
    chip.clamp([0, 8], [1, -1])
    chip.clamp([0, 8], [-1, -1])
    assert link.chip.log[-1] == (Op.BLKWR, "CLAMP_VALUE")
    assert len(link.requests[-1].records) == 1
    batch = chip.batch()
    batch.write_window("CLAMP_MASK", np.zeros((3, 1), np.uint32))
    batch.execute()
    chip.clamp([1], [1])
    assert (link.chip.windows["CLAMP_MASK"] == 2).all()


@pytest.mark.parametrize(
    ("cells", "values", "planes", "message"),
    [
        ([9], [1], None, "no cell 9"),
        ([1, 1], [1, 1], None, "cell 1 is named twice"),
        ([1], [0], None, r"clamp value 0 at index \(0,\); -1 or \+1"),
        ([1], [1, 1], None, r"shape \(2,\); \(1,\) for all planes or \(3, 1\)"),
        ([1], [[1]], [0, 1], r"\(1,\) for all planes or \(2, 1\)"),
    ],
)
def test_bad_clamps(chip: tsu.Chip, cells: list[int], values: list[int], planes: object, message: str) -> None:
    with pytest.raises(tsu.HostError, match=message):
        chip.clamp(cells, values, planes)


def test_run_takes_one_message_and_loads_once(chip: tsu.Chip, link: FakeLink) -> None:
    chip.run(5)
    before = chip.stats.messages
    result = chip.run(5)
    assert chip.stats.messages == before + 1
    assert result.sweeps == 5
    assert link.chip.sweeps == 10
    assert [op for op, _ in link.chip.log[-11:]] == [Op.READ] * 4 + [Op.WRITE, Op.WRITE, Op.WAIT] + [Op.READ] * 4
    sweeps = 5 * CAPABILITIES.sweep_time(3, False)
    assert result.cycles == 110 + sweeps
    assert result.seconds == result.cycles / 1e6
    assert result.physical_s == sweeps / 1e6
    assert result.energy_j == pytest.approx(5 * ENERGY_PER_SWEEP * 1e-15, rel=1e-12)
    chip.run(6)
    assert link.chip.sweeps == 16


def test_bound_of_a_program() -> None:
    sweep = CAPABILITIES.sweep_time(3, True)
    steps = program((LOOP, 3), (RUN, 2), (LOOP, 4), (DELAY, 7), STROBE, END, END, (SET_T, 1), HALT, (RUN, 99))
    inner = 2 + 4 * ((2 + 7) + (2 + 5) + 2)
    expected = 2 + 2 + 3 * (2 + 2 * sweep + inner + 2) + 2
    assert measure(steps, CAPABILITIES) == (expected + SLACK_CYCLES, 6)
    with pytest.raises(tsu.HostError, match=r"at most 2\^61"):
        measure(program((LOOP, 2**32 - 1), (RUN, 2**32 - 1), END), CAPABILITIES)


def test_bound_of_conversions() -> None:
    """Nine cells by two converters are 5 conversions a plane; a period shorter than a conversion counts as one."""
    scan, capture = tsu.Opcode.ADC_SCAN, tsu.Opcode.ADC_CAPTURE
    chip = replace(CAPABILITIES, adc_count=2, adc_bits=10, adc_cycles=16, adc_buffer=100)
    steps = program((LOOP, 3), scan, END, (capture, 7))
    loops = 2 + 2 + 3 * (2 + 3 * 5 * 16 + 2)
    for period, each in ((0, 16), (15, 16), (50, 50)):
        assert measure(steps, chip, Pace(period)) == (loops + 2 + 7 * each + SLACK_CYCLES, 0)
    assert measure(program(scan), CAPABILITIES) == (2 + 2 + SLACK_CYCLES, 0)


def test_bound_of_a_capture_takes_the_period_that_is_set(chip: tsu.Chip) -> None:
    chip.write_register("ADC.PERIOD", 5000)
    assert chip._runner.prepare(program((tsu.Opcode.ADC_CAPTURE, 9))).bound == 2 + 2 + 9 * 5000 + SLACK_CYCLES
    chip.write_register("ADC.PERIOD", 6000)
    assert chip._runner.prepare(program((tsu.Opcode.ADC_CAPTURE, 9))).bound == 2 + 2 + 9 * 6000 + SLACK_CYCLES


def test_fault_names_the_instruction(chip: tsu.Chip) -> None:
    with pytest.raises(tsu.ChipFault, match=r"faulted with ILLEGAL at instruction 1, SET_T 0") as caught:
        chip.execute_program(program((RUN, 1), (SET_T, 0)))
    assert (caught.value.instruction, caught.value.cause) == (1, "ILLEGAL")
    chip.run(1)


def test_bad_programs(chip: tsu.Chip) -> None:
    with pytest.raises(tsu.HostError, match="17 instructions, HALT included; program memory holds 16"):
        chip.execute_program(program(*[(RUN, 1)] * 16))
    with pytest.raises(tsu.HostError, match=r"sweeps = -1 is not in 0 \.\. 0xffffffff"):
        chip.run(-1)
    with pytest.raises(tsu.HostError, match="instruction 1, RUN: operand -1"):
        chip.execute_program(program((RUN, 1), (RUN, -1)))
    for step in ("RUN", (RUN, 1.5), (RUN,), (99, 1), None):
        with pytest.raises(tsu.HostError, match=f"instruction 1 is {re.escape(repr(step))}; Instruction"):
            chip.execute_program([tsu.Instruction(RUN, 1), step])  # type: ignore[list-item]
    with pytest.raises(tsu.HostError, match=r"sweeps is 1.5"):
        chip.run(1.5)


def test_long_programs_are_waited_for_in_slices(chip: tsu.Chip, link: FakeLink) -> None:
    per_wait = chip._runner.slice
    link.chip.halts_after = 2 * per_wait + 5
    sweeps = 4 * chip._runner.sweeps_per_wait
    result = chip.run(sweeps)
    assert result.sweeps == sweeps
    assert result.energy_j == pytest.approx(sweeps * ENERGY_PER_SWEEP * 1e-15, rel=1e-12)
    waits = [r for q in link.requests for r in q.records.tolist() if r[0] == Op.WAIT and r[6] == per_wait]
    assert len(waits) == 3


def test_program_that_halts_between_two_waits(chip: tsu.Chip, link: FakeLink, monkeypatch: pytest.MonkeyPatch) -> None:
    link.chip.halts_after = chip._runner.slice + 1
    read = FakeChip.read

    def halt_before_read(fake: FakeChip, address: int) -> int:
        fake.halts_after = None
        fake["SEQ.STATUS"] = 2
        return read(fake, address)

    monkeypatch.setattr(FakeChip, "read", halt_before_read)
    chip._bus.shadow["SEQ.CTRL"] = "idle"
    assert chip.run(1).sweeps == 1


def test_program_that_does_not_end(chip: tsu.Chip, link: FakeLink) -> None:
    link.chip.halts_after = 1 << 60
    with pytest.raises(tsu.ChipFault, match="still running at instruction 1, HALT 0 after"):
        chip.run(1)
    with pytest.raises(tsu.HostError, match="is running a program"):
        chip.run(1)
    link.chip.halts_after = 5
    chip.wait_halted()
    chip.run(1)


def test_start_does_not_wait(chip: tsu.Chip, link: FakeLink) -> None:
    link.chip.halts_after = 50
    chip.start(program((RUN, 4)))
    assert link.chip.log[-1] == (Op.WRITE, "SEQ.CTRL")
    assert chip.wait_halted().cycles >= 50


def test_anneal_compiles_schedules(chip: tsu.Chip, link: FakeLink) -> None:
    steps = tsu.Linear(2.0, 1.0, 65).steps(1 / 64, 1023)
    assert steps == [(c, 1) for c in range(128, 63, -1)]
    assert tsu.Linear(2.0, 2.0, 7).steps(1 / 64, 1023) == [(128, 7)]
    assert tsu.Table([(1.0, 3), (1.001, 4), (2, 5)]).steps(1 / 64, 1023) == [(64, 7), (128, 5)]
    cool = tsu.Logarithmic(4.0, 0.5, 10.0, 3_000_000).steps(1 / 64, 1023)
    assert sum(n for _, n in cool) == 3_000_000
    assert cool[0][0] == 256
    assert all(a > b for (a, _), (b, _) in pairwise(cool))
    expected = np.rint(64 * 4 / (1 + 0.5 * np.log(1 + np.arange(100) / 10)))
    assert np.repeat(*np.array(tsu.Logarithmic(4.0, 0.5, 10.0, 100).steps(1 / 64, 1023)).T).tolist() == expected.tolist()
    before = link.chip.sweeps
    result = chip.anneal(tsu.Linear(2.0, 1.0, 65))
    assert result.sweeps == 65
    assert result.energy_j == pytest.approx(65 * ENERGY_PER_SWEEP * 1e-15, rel=1e-12)
    assert result.physical_s == pytest.approx(65 * CAPABILITIES.sweep_time(3, False) / 1e6)
    assert link.chip.sweeps == before + 65
    assert link.chip["TEMP.TDAC"] == 64
    starts = [e for e in link.chip.log if e == (Op.WRITE, "SEQ.CTRL")]
    assert len(starts) == 10


def test_bad_schedules(chip: tsu.Chip) -> None:
    for schedule, message in (
        (tsu.Linear(1, 0, 10), "T = 0 cannot be set"),
        (tsu.Linear(1, 1, 0), "sweeps = 0"),
        (tsu.Table([]), "empty"),
        (tsu.Table([(1.0, 2), (1.0, 2, 3)]), r"row 1 of the table is \(1.0, 2, 3\); \(T, sweeps\) expected"),  # type: ignore[list-item]
        (tsu.Logarithmic(1, 1, 0, 5), "tau = 0"),
    ):
        with pytest.raises(tsu.HostError, match=message):
            chip.anneal(schedule)


def test_read_and_sample(chip: tsu.Chip, link: FakeLink) -> None:
    assert (chip.read() == link.chip.spins()).all()
    assert chip.read().dtype == np.int8
    chip.enable_planes([0, 2])
    before = chip.stats.messages
    samples = chip.sample(4, every=3, burn=5)
    assert samples.shape == (4, 2, 9)
    assert chip.stats.messages == before + 2
    assert (samples[-1] == link.chip.spins()[[0, 2]]).all()
    assert link.chip.sweeps == 17
    chip.enable_planes(1)
    assert chip.sample(2).shape == (2, 1, 9)
    scan = next(r for r in link.requests[-1].records.tolist() if r[0] == Op.BLKRD)
    assert scan[6] == 1
    assert chip.sample(0).shape == (0, 1, 9)
    chip.enable_planes(0)
    assert chip.sample(2, every=2).shape == (2, 0, 9)
    with pytest.raises(tsu.HostError, match="none of them may be negative"):
        chip.sample(-1)


def test_samples_that_do_not_fit_one_message() -> None:
    link = FakeLink(FakeDaemon(limits={"operations": 50}))
    chip = tsu.Chip(link)
    samples = chip.sample(30)
    assert samples.shape == (30, 3, 9)
    assert link.chip.sweeps == 30
    assert len({s.tobytes() for s in samples}) == 3
    assert (samples[-1] == link.chip.spins()).all()
    chip.sample(2, every=chip._runner.sweeps_per_wait + 1)


def test_correlations(chip: tsu.Chip, link: FakeLink) -> None:
    chip.configure_correlator(data_planes=[1], free_planes=[0, 2], tau_data=1, tau_free=1000, period=2)
    fake = link.chip
    words = ("CORR.DATA_PLANES", "CORR.FREE_PLANES", "CORR.PERIOD", "CORR.ALPHA_DATA", "CORR.ALPHA_FREE", "CORR.CTRL")
    assert [fake[w] for w in words] == [2, 5, 2, 65536, 66, 1]
    fake.windows["CORR_PAIR"][:] = [[1 << 15] * 12, [-1 << 17] * 12]
    fake.windows["CORR_MEAN"][1] = 1 << 16
    chip.run(3)
    result = chip.correlations()
    assert (result.data_pairs == 0.5).all()
    assert (result.free_pairs == -1).all()
    assert (result.free_means == 0.5).all()
    assert result.updates == 3
    assert fake["CORR.CTRL"] == 1
    chip.enable_planes([0])
    result = chip.correlations()
    assert np.isnan(result.data_means).all()
    assert (result.free_pairs == -2).all()
    with pytest.raises(tsu.HostError, match=r"tau_free = 0.5 updates is not in 1 .. 131071"):
        chip.configure_correlator(data_planes=1, free_planes=1, tau_data=1, tau_free=0.5)
    with pytest.raises(tsu.HostError, match=r"CORR.PERIOD.SWEEPS = 0"):
        chip.configure_correlator(data_planes=1, free_planes=1, tau_data=1, tau_free=1, period=0)


def test_many_planes() -> None:
    fake = FakeChip(replace(CAPABILITIES, planes=40))
    fake["FABRIC.PLANE_ENABLE"] = 0
    chip = tsu.Chip(FakeLink(FakeDaemon(fake)))
    chip.enable_planes([1, 33])
    address = 0x520
    assert (fake.words[address], fake.words[address + 4]) == (2, 2)
    chip.write_register("FABRIC.PLANE_ENABLE", 4, index=1)
    assert chip.enabled_planes.tolist() == [1, 34]
    assert chip.sample(2).shape == (2, 2, 9)
