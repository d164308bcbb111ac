"""Programs that use the engines, that never halt, that are stopped: against a fake chip."""

from __future__ import annotations

import numpy as np
import pytest

import tsu_driver as tsu
from driver.fake import CAPABILITIES, FakeLink
from driver.test_running import DELAY, END, HALT, LOOP, RUN, SET_T, program
from tsu_driver.timing import SLACK_CYCLES, Pace, longest_step, measure

LEARN, SWAP, CLAMP_NEXT = tsu.Opcode.LEARN, tsu.Opcode.SWAP, tsu.Opcode.CLAMP_NEXT


def test_bound_of_engines() -> None:
    """LEARN 8, SWAP 3 for each of the 3 planes, CLAMP_NEXT a burst of one word an example; none of an endless program."""
    steps = program((LOOP, 5), (CLAMP_NEXT, 4), LEARN, SWAP, END)
    assert measure(steps, CAPABILITIES, Pace(burst=10, beat=7)) == (
        2 + 2 + 5 * ((2 + 10 + 4 * 7) + (2 + 8) + (2 + 9) + 2) + SLACK_CYCLES,
        0,
    )
    assert measure(program((LOOP, 0), (RUN, 3), END), CAPABILITIES) == (None, 3)
    assert measure(program((LOOP, 0), (RUN, 3), HALT, END), CAPABILITIES).cycles is not None
    sweep = CAPABILITIES.sweep_time(3, True)
    assert longest_step(program((RUN, 10**6), (DELAY, sweep - 1)), CAPABILITIES) == 2 + sweep + SLACK_CYCLES
    assert longest_step(program((RUN, 10**6), (DELAY, sweep + 1)), CAPABILITIES) == 2 + sweep + 1 + SLACK_CYCLES


def test_bound_of_a_burst_is_measured(chip: tsu.Chip, link: FakeLink) -> None:
    """Any operation of the fake takes 10 cycles, however many words; asked once."""
    chip.stream(np.ones((3, 9)), planes=1)
    assert chip._runner.prepare(program((CLAMP_NEXT, 9))).bound == 2 + 2 + 10 + SLACK_CYCLES
    before = len(link.requests)
    chip._runner.prepare(program((CLAMP_NEXT, 2)))
    assert len(link.requests) == before


def test_learning_programs_are_waited_for_in_shorter_slices(chip: tsu.Chip) -> None:
    """Engines count for at least four sweeps of a small array, in fewer cycles."""
    usual = chip._runner.prepare(program((RUN, 1))).slice
    for body in (LEARN, SWAP):
        assert chip._runner.prepare(program((LOOP, 9), (RUN, 1), body, END)).slice < usual


def test_an_endless_program_goes_on_until_it_is_stopped(chip: tsu.Chip, link: FakeLink) -> None:
    """The fake does a round with every operation."""
    endless = program((LOOP, 0), (RUN, 1), LEARN, END)
    with pytest.raises(tsu.HostError, match=r"endless loop and never halts; begin it with chip.start, end it with chip.stop"):
        chip.execute_program(endless)
    assert not link.chip.sweeps
    chip.start(endless)
    with pytest.raises(tsu.HostError, match="endless loop and never halts"):
        chip.wait_halted()
    with pytest.raises(tsu.HostError, match=r"is running a program; wait for it .* or stop it \(chip.stop\)"):
        chip.run(1)
    before = chip.time_cycles, link.chip.sweeps
    chip.delay(1000)
    assert chip.time_cycles - before[0] >= 1000
    assert link.chip.sweeps == before[1] + 1
    assert chip.stop()
    done = link.chip.sweeps
    chip.delay(10)
    chip.correlations()
    assert link.chip.sweeps == done
    chip.resume()
    chip.delay(10)
    assert link.chip.sweeps > done
    assert chip.stop()
    chip.run(1)
    with pytest.raises(tsu.HostError, match="no program to go on with: none was stopped, or another has been loaded since"):
        chip.resume()


def test_stopping_what_has_ended(chip: tsu.Chip) -> None:
    assert not chip.stop()
    chip.start(program((RUN, 2)))
    assert not chip.stop()
    with pytest.raises(tsu.HostError, match="no program to go on with"):
        chip.resume()
    chip.start(program((SET_T, 0)))
    with pytest.raises(tsu.ChipFault, match="faulted with ILLEGAL at instruction 0, SET_T 0"):
        chip.stop()
    chip.run(1)
    with pytest.raises(tsu.HostError, match="cycles = -1; 0 or more"):
        chip.delay(-1)


def test_a_long_delay_takes_several_messages(chip: tsu.Chip, link: FakeLink) -> None:
    before = len(link.requests), chip.time_cycles
    cycles = 2 * chip._runner.slice + 1
    chip.delay(cycles)
    assert len(link.requests) == before[0] + 3
    assert chip.time_cycles - before[1] == cycles + 3 * 10
