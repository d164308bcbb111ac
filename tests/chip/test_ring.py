"""Examples from host memory: order and dwell, stalls and refills at exact cycles, underruns, wrapping counters; endless loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chip.pins import HALTED, Desk
from serving import Row, config
from tsu_contract.operations import Op
from tsu_contract.program import Opcode
from tsu_contract.registers import register

RUNNING, STOPPED, FAULTED = 1, 3, 4
CYCLE, STALL, RESET = 1, 2, 4
UNDERRUN, OVERRUN = (register("SYS.ERROR").fields[name].mask for name in ("DMA_UNDERRUN", "DMA_OVERRUN"))
DONE, LOW, STOP_EVENT = (register("IRQ.PENDING").fields[name].mask for name in ("SEQ_DONE", "DMA_LOW", "SEQ_STOPPED"))
FENCE: Row = (Op.FENCE, 0, 0, 0, 0)
TIMING = {"instruction": 3, "burst_setup": 5, "beat": 2}


def desk(cells: int = 40, planes: int = 4, words: int = 64, **more: Any) -> Desk:
    """A chip of two words a row."""
    tables = {"timing": TIMING, "learning": {"hostmem_words": words}} | more
    chip = Desk(config({"kind": "dense", "cells": cells}, planes, **tables))
    chip.set(IRQ__ENABLE=0x3F)
    return chip


def examples(count: int, words: int = 2) -> NDArray[np.uint32]:
    """Entry n is n + 1 in its first word, 100 + n in its last."""
    rows = np.zeros((count, words), np.uint32)
    rows[:, 0] = np.arange(1, count + 1)
    rows[:, -1] |= np.arange(100, 100 + count, dtype=np.uint32) if words > 1 else np.uint32(0)
    return rows


def ring(chip: Desk, entries: int, planes: range | list[int], control: int = 0, base: int = 0) -> NDArray[np.uint32]:
    """A ring of examples from word `base` on; returns them."""
    rows = examples(entries)
    chip.fill("HOSTMEM", rows, base)
    chip.planes("DMA.PLANES", planes)
    chip.set(DMA__BASE=base, DMA__ENTRIES=entries, DMA__CTRL=control | RESET)
    return rows


def status(chip: Desk) -> tuple[int, int]:
    """STATE and FAULT."""
    word = chip.read("SEQ.STATUS")
    return word & 0xFF, word >> 8


def post(chip: Desk, name: str, value: int) -> tuple[int, list[tuple[int, int]]]:
    """Writes a register; the cycle at which it acts, and what has been logged by then: (cycle, PENDING)."""
    reply = chip.operate([(Op.WRITE, register(name).at(), value, 0, 0), FENCE])
    return reply.t_end, [(event.cycle, event.pending) for event in reply.interrupts]


def events(chip: Desk, cycles: int) -> list[tuple[int, int]]:
    """What is logged in so many cycles: (cycle, PENDING)."""
    return [(event.cycle, event.pending) for event in chip.operate([(Op.DELAY, 0, 0, 0, cycles)]).interrupts]


def test_examples_go_to_the_planes_in_turn_and_dwell() -> None:
    """Planes 1, 2 and 3, one example a tick: each stays three ticks; clamps act from the next sweep on."""
    chip = desk()
    rows = ring(chip, 7, [1, 2, 3], CYCLE, base=6)
    chip.fill("CLAMP_MASK", np.tile(np.array([0xFFFFFFFF, 0xFF], np.uint32), (4, 1)))
    held: list[int | None] = [None, None, None]
    for tick in range(20):
        held[tick % 3] = tick % 7
        chip.run((Opcode.CLAMP_NEXT, 1), (Opcode.RUN, 1), Opcode.STROBE)
        seen, clamps = chip.dump("SPIN"), chip.dump("CLAMP_VALUE")
        for plane, entry in enumerate(held, 1):
            if entry is not None:
                assert np.array_equal(seen[plane], rows[entry]), (tick, plane)
                assert np.array_equal(clamps[plane], rows[entry])
        assert not clamps[0].any()
        assert chip.read("DMA.PLACE") == (tick + 1) % 3
    assert chip.read("DMA.TAIL") == 20
    chip.run((Opcode.CLAMP_NEXT, 1), Opcode.STROBE)
    assert np.array_equal(chip.dump("SPIN"), seen), "no sweep, no clamp"


def test_an_example_without_a_mask_pins_nothing_and_bits_past_the_cells_are_dropped() -> None:
    chip = desk()
    ring(chip, 2, range(4))
    chip.fill("HOSTMEM", np.full((2, 2), 0xFFFFFFFF, np.uint32))
    before = chip.spins()
    chip.set(DMA__HEAD=2)
    chip.run((Opcode.CLAMP_NEXT, 2), Opcode.STROBE)
    assert chip.dump("CLAMP_VALUE")[:2].tolist() == [[0xFFFFFFFF, 0xFF]] * 2
    chip.run((Opcode.RUN, 1), Opcode.STROBE)
    assert not np.array_equal(chip.spins(), before)
    assert (chip.spins() == -1).any(axis=1).all(), "40 free cells are not all up"


@pytest.mark.parametrize("taken", [1, 2, 5])
def test_clamp_next_takes_its_cycles(taken: int) -> None:
    """i + burst_setup + m W beat to the next FETCH."""
    chip = desk()
    ring(chip, 7, range(4), CYCLE)
    chip.load((Opcode.CLAMP_NEXT, taken), Opcode.HALT)
    acts, _ = post(chip, "SEQ.CTRL", 1)
    assert events(chip, 100) == [(acts + 3 + 3 + 5 + taken * 2 * 2, DONE)]


def test_a_stall_ends_at_the_cycle_of_the_refill() -> None:
    """Two entries wanted, one there: nothing happens for 1,000 cycles. One more: DMA_LOW at that cycle, HALT after the burst."""
    chip = desk()
    rows = ring(chip, 4, range(4), STALL)
    chip.set(DMA__HEAD=1, DMA__LOW=1)
    chip.load((Opcode.CLAMP_NEXT, 2), Opcode.HALT)
    post(chip, "SEQ.CTRL", 1)
    assert events(chip, 1000) == []
    assert (status(chip), chip.read("SEQ.PC"), chip.read("DMA.TAIL")) == ((RUNNING, 0), 0, 0)
    assert not chip.dump("CLAMP_VALUE").any()
    acts, logged = post(chip, "DMA.HEAD", 2)
    assert logged == [(acts, LOW)]
    assert events(chip, 1000) == [(acts + 3 + 5 + 2 * 2 * 2, LOW | DONE)]
    assert np.array_equal(chip.dump("CLAMP_VALUE")[:2], rows[:2])
    assert (chip.read("SYS.ERROR"), chip.read("DMA.UNDERRUNS")) == (0, 0)


def test_a_refill_that_is_not_enough_changes_nothing() -> None:
    chip = desk()
    ring(chip, 8, range(4), STALL)
    chip.load((Opcode.CLAMP_NEXT, 4), Opcode.HALT)
    chip.start()
    for head in (1, 2, 3):
        chip.set(DMA__HEAD=head)
        assert (status(chip), chip.read("DMA.TAIL")) == ((RUNNING, 0), 0)
    chip.set(DMA__HEAD=4)
    chip.wait()
    assert chip.read("DMA.TAIL") == 4


@pytest.mark.parametrize(("control", "tail", "underruns"), [(CYCLE | STALL, 3, 0), (CYCLE, 3, 0), (0, 1, 2)])
def test_a_write_of_control_may_end_a_stall(control: int, tail: int, underruns: int) -> None:
    """Round and round there are always enough; without STALL it goes on with what there is."""
    chip = desk()
    ring(chip, 8, range(4), STALL)
    chip.set(DMA__HEAD=1)
    chip.load((Opcode.CLAMP_NEXT, 3), Opcode.HALT)
    chip.start()
    assert status(chip) == (RUNNING, 0)
    acts, _ = post(chip, "DMA.CTRL", control)
    assert events(chip, 100) == [(acts + 3 + 5 + tail * 4, DONE)]
    assert (chip.read("DMA.TAIL"), chip.read("DMA.UNDERRUNS")) == (tail, underruns)
    assert chip.read("SYS.ERROR") == (UNDERRUN if underruns else 0)


def test_stop_pauses_a_stall_at_once_and_start_tries_again() -> None:
    chip = desk()
    ring(chip, 8, range(4), STALL)
    chip.load((Opcode.CLAMP_NEXT, 1), Opcode.HALT)
    chip.start()
    assert events(chip, 50) == []
    acts, logged = post(chip, "SEQ.CTRL", 2)
    assert logged == [(acts, STOP_EVENT)]
    assert (status(chip), chip.read("SEQ.PC")) == ((STOPPED, 0), 0)
    chip.set(DMA__HEAD=1)
    assert (events(chip, 100), chip.read("DMA.TAIL")) == ([], 0), "a paused sequencer takes nothing"
    acts, _ = post(chip, "SEQ.CTRL", 1)
    assert events(chip, 100) == [(acts + 3 + 3 + 5 + 4, STOP_EVENT | DONE)]


def test_a_step_that_stalls_pauses_after_its_instruction() -> None:
    chip = desk()
    ring(chip, 8, range(4), STALL)
    chip.load((Opcode.CLAMP_NEXT, 1), (Opcode.CLAMP_NEXT, 1), Opcode.HALT)
    chip.write("SEQ.CTRL", 4)
    assert status(chip) == (RUNNING, 0)
    acts, _ = post(chip, "DMA.HEAD", 2)
    assert events(chip, 100) == [(acts + 3 + 5 + 4, STOP_EVENT)]
    assert (chip.read("SEQ.PC"), chip.read("DMA.TAIL")) == (1, 1)


def test_a_refill_acts_before_what_follows_it_in_the_same_cycle() -> None:
    """On a link that costs nothing: TAIL has moved when the same cycle reads it; a STOP then waits for the next FETCH."""
    chip = desk(timing=TIMING | {"issue": 0, "access": 0, "return": 0})
    ring(chip, 8, range(4), STALL)
    chip.load((Opcode.CLAMP_NEXT, 1), Opcode.HALT)
    chip.start()
    chip.delay(50)
    rows: list[Row] = [
        (Op.WRITE, register("DMA.HEAD").at(), 1, 0, 0),
        (Op.WRITE, register("SEQ.CTRL").at(), 2, 0, 0),
        (Op.READ, register("DMA.TAIL").at(), 0, 0, 0),
        (Op.READ, register("SEQ.STATUS").at(), 0, 0, 0),
    ]
    reply = chip.operate(rows)
    assert reply.t_start == reply.t_end
    assert reply.values[2:].tolist() == [1, RUNNING]
    assert events(chip, 50) == [(reply.t_end + 3 + 5 + 4, STOP_EVENT)]


def test_underruns_are_flagged_and_counted() -> None:
    """Five wanted, two there, then none: the planes keep what they had."""
    chip = desk()
    rows = ring(chip, 8, range(4))
    chip.set(DMA__HEAD=2)
    chip.run((Opcode.CLAMP_NEXT, 5))
    assert (chip.read("SYS.ERROR"), chip.read("DMA.UNDERRUNS"), chip.read("DMA.TAIL")) == (UNDERRUN, 3, 2)
    assert np.array_equal(chip.dump("CLAMP_VALUE"), np.concatenate((rows[:2], np.zeros((2, 2), np.uint32))))
    chip.write("SYS.ERROR", UNDERRUN)
    chip.run((Opcode.LOOP, 4), (Opcode.CLAMP_NEXT, 2), Opcode.END)
    assert (chip.read("SYS.ERROR"), chip.read("DMA.UNDERRUNS"), chip.read("DMA.PLACE")) == (UNDERRUN, 11, 2)
    chip.write("DMA.CTRL", RESET)
    assert [chip.read(f"DMA.{name}") for name in ("HEAD", "TAIL", "UNDERRUNS", "PLACE")] == [0, 0, 0, 0]


def test_counters_wrap_at_32_bits() -> None:
    """One instruction of 2^32 - 3 entries brings TAIL before its wrap; HEAD is set beyond it: three entries, no overrun."""
    chip = desk()
    rows = ring(chip, 8, [2], CYCLE)
    chip.run((Opcode.CLAMP_NEXT, 2**32 - 3))
    assert chip.read("DMA.TAIL") == 2**32 - 3
    assert np.array_equal(chip.dump("CLAMP_VALUE")[2], rows[(2**32 - 4) % 8])
    chip.set(DMA__CTRL=0, DMA__HEAD=2**32 - 1)
    chip.set(DMA__HEAD=0)
    assert chip.read("SYS.ERROR") == 0
    chip.run((Opcode.CLAMP_NEXT, 3))
    assert (chip.read("DMA.TAIL"), chip.read("SYS.ERROR")) == (0, 0)
    assert np.array_equal(chip.dump("CLAMP_VALUE")[2], rows[7])


def test_only_a_head_too_far_ahead_is_an_overrun() -> None:
    chip = desk()
    ring(chip, 8, range(4))
    chip.set(DMA__HEAD=8)
    assert chip.read("SYS.ERROR") == 0
    chip.set(DMA__HEAD=9)
    assert chip.read("SYS.ERROR") == OVERRUN
    chip.write("SYS.ERROR", OVERRUN)
    chip.set(DMA__CTRL=STALL, DMA__BASE=0, DMA__ENTRIES=8)
    assert chip.read("SYS.ERROR") == 0, "no write of HEAD"


@pytest.mark.parametrize("wrong", [{"DMA__ENTRIES": 0}, {"DMA__ENTRIES": 33}, {"DMA__BASE": 50}, {"DMA__PLANES": 0}])
def test_a_ring_that_cannot_be_is_a_fault(wrong: dict[str, int]) -> None:
    chip = desk()
    ring(chip, 8, range(4), CYCLE)
    chip.set(**wrong)
    chip.load((Opcode.CLAMP_NEXT, 1), Opcode.HALT)
    chip.start()
    chip.wait(FAULTED)
    assert status(chip) == (FAULTED, 5)


def test_a_ring_may_fill_the_memory_to_its_last_word() -> None:
    chip = desk()
    ring(chip, 32, range(4), CYCLE)
    chip.run((Opcode.CLAMP_NEXT, 32))
    assert status(chip) == (HALTED, 0)
    assert chip.dump("CLAMP_VALUE")[3].tolist() == [32, 131]


def test_an_endless_loop_runs_until_it_is_stopped() -> None:
    """A stream of a million cycles; STOP is honoured at the next edge and START goes on in the loop; HALT is never reached."""
    chip = desk()
    ring(chip, 8, range(4), CYCLE)
    chip.load((Opcode.LOOP, 0), (Opcode.CLAMP_NEXT, 1), (Opcode.RUN, 1), Opcode.END, Opcode.HALT)
    chip.start()
    chip.delay(1_000_000)
    done = chip.read("DMA.TAIL")
    assert (status(chip), done > 5_000) == ((RUNNING, 0), True)
    chip.write("SEQ.CTRL", 2)
    chip.wait(STOPPED, 500)
    paused = chip.read("DMA.TAIL")
    chip.delay(1000)
    assert chip.read("DMA.TAIL") == paused
    chip.start()
    chip.delay(1000)
    assert chip.read("DMA.TAIL") > paused
    assert chip.read("IRQ.PENDING") & DONE == 0
