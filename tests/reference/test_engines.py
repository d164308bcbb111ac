"""The reference's engines alone: values that follow by hand from docs/arithmetic.md and docs/theory-of-operation.md."""

from __future__ import annotations

import math
import zlib
from typing import Any

import numpy as np
import pytest

from tsu_contract.program import Instruction, Opcode, assemble
from tsu_emu.config import parse

from .instructions import Fault, State
from .model import ReferenceChip
from .operations import OperationList

DENSE = {"kind": "dense", "cells": 3}
ENGINE = {"bits": 12, "hostmem_words": 16}


def chip_of(planes: int = 4, **more: Any) -> ReferenceChip:
    """Three cells, all coupled, DACs of 8 bits, accumulators of 12."""
    return ReferenceChip(parse({"name": "small", "fabric": {"planes": planes, "topology": DENSE}, "learning": ENGINE, **more}))


def run(chip: ReferenceChip, *program: tuple[Opcode, int], **registers: int) -> list[int]:
    """Writes registers, runs a program to its HALT or fault; the values of the operations."""
    out = OperationList()
    for name, value in registers.items():
        out.write(name.replace("__", "."), value)
    words = assemble([Instruction(*i) for i in (*program, (Opcode.HALT, 0))])
    out.write_burst("PROGRAM", 0, words.astype("<u8").tobytes())
    out.write("SEQ.PC", 0)
    out.write("SEQ.CTRL", 1)
    out.delay(3000)
    (message,) = out.cut([])
    return chip.execute(message.records, message.payloads).values


def test_linear_schedule_by_hand() -> None:
    """From 100 to 10 in 4 sweeps: 100, 77.5 and 55 and 32.5 rounded half up, then 10; the last step is not passed."""
    chip = chip_of()
    schedule = chip.engines.schedule
    run(chip, TEMP__SCHEDULE=1, TEMP__START=100, TEMP__END=10, TEMP__LENGTH=4)
    assert [schedule.code(n) for n in (0, 1, 2, 3, 4, 5)] == [100, 78, 55, 33, 10, 10]
    run(chip, (Opcode.RUN, 3), TEMP__STEP=2**32 - 2)
    assert (schedule.value("TEMP.STEP"), chip.fabric.tdac) == (2**32 - 1, 10)


def test_logarithmic_and_tabled_schedules_by_hand() -> None:
    chip = chip_of()
    schedule = chip.engines.schedule
    run(chip, TEMP__SCHEDULE=2, TEMP__START=200, TEMP__ALPHA=65536 // 2, TEMP__TAU=10)
    expected = [math.floor(200 / (1 + 0.5 * math.log(1 + n / 10)) + 0.5) for n in range(400)]
    assert [schedule.code(n) for n in range(400)] == expected
    schedule.table[:3] = [7, 300, 9]
    run(chip, (Opcode.RUN, 3), TEMP__SCHEDULE=3, TEMP__ENTRIES=3, TEMP__LENGTH=2)
    assert [schedule.code(n) for n in range(8)] == [7, 7, 300, 300, 9, 9, 9, 9]
    assert chip.fabric.tdac == 255, "a table's code is cut to the DAC's width"


def test_learning_by_hand() -> None:
    """Plane 0 is clamped to + + -. With ALPHA = 1 its averages are 1 and -1; rates 1.5 and -0.25 steps; a code is an accumulator
    over 16; both rounded to nearest."""
    chip = chip_of()
    fabric, learning = chip.fabric, chip.engines.learning
    fabric.clamp_mask[0], fabric.clamp_value[0] = 7, 3
    learning.pair.accumulators[:] = [100, 2046, -2048]
    learning.bias.accumulators[:] = [7, 8, -8]
    rules = {
        "LEARN__PAIR_TERM": 1,
        "LEARN__PAIR_RATE": 3 << 15,
        "LEARN__BIAS_TERM": 1,
        "LEARN__BIAS_RATE": -(1 << 14) & 0xFFFFFFFF,
    }
    run(chip, (Opcode.RUN, 1), (Opcode.LEARN, 0), **rules, LEARN__CTRL=0, CORR__CTRL=1, CORR__DATA_PLANES=1)
    assert fabric.graph.pairs == [(0, 1), (0, 2), (1, 2)]
    assert learning.pair.accumulators == [102, 2045, -2048], "1.5 to 2, -1.5 to -1; the last is clipped"
    assert learning.bias.accumulators == [7, 8, -8], "-.25 and .25 to 0"
    assert fabric.coupling == [6, 127, 6, -128, 127, -128]
    assert fabric.bias == [0, 1, 0]
    shown = [learning.value(f"LEARN.{name}") for name in ("UPDATES", "CLIPPED", "SATURATED", "CHANGED", "VERSION")]
    assert shown == [1, 1, 1, 7, 1]
    assert fabric.ledger.learned == 6


def test_gain_decays_and_the_frozen_stay() -> None:
    chip = chip_of()
    learning = chip.engines.learning
    learning.pair.frozen[0], learning.bias.frozen[0] = 0b101, 0b111
    run(
        chip,
        (Opcode.LEARN, 0),
        (Opcode.LEARN, 0),
        LEARN__PAIR_RATE=65536,
        LEARN__GAIN=1 << 30,
        LEARN__DECAY=1 << 30,
        LEARN__CTRL=0,
    )
    assert learning.value("LEARN.GAIN") == (1 << 30) * 9 // 16
    assert learning.pair.accumulators == [0, 1, 0], "half a step up is one, three eighths are none"
    assert chip.fabric.ledger.learned == 2


def test_ring_by_hand() -> None:
    """Five entries in a ring of three from word 4 on, for planes 1 and 3: the last two stay; then two are missing."""
    chip = chip_of()
    ring, fabric = chip.engines.ring, chip.fabric
    ring.memory[4:7] = [1, 2, 0xFFFFFFF3]
    setting = {"DMA__BASE": 4, "DMA__ENTRIES": 3, "DMA__PLANES": 0b1010, "DMA__LOW": 1}
    run(chip, (Opcode.CLAMP_NEXT, 3), **setting, DMA__HEAD=3)
    assert fabric.clamp_value == [0, 3, 0, 2], "the third entry, cut to three cells, follows the first in plane 1"
    run(chip, (Opcode.CLAMP_NEXT, 4), DMA__HEAD=5)
    assert fabric.clamp_value == [0, 2, 0, 1]
    shown = [ring.value(f"DMA.{name}") for name in ("TAIL", "UNDERRUNS", "PLACE")]
    assert shown == [5, 2, 1]
    assert chip.interrupts.error == 8
    assert chip.interrupts.pending >> 5 == 1
    run(chip, (Opcode.CLAMP_NEXT, 7), DMA__CTRL=1)
    assert fabric.clamp_value == [0, 2, 0, 3], "entries 10 and 11 of a ring of 3"
    assert ring.value("DMA.TAIL") == 12


@pytest.mark.parametrize(
    ("missing", "fault"), [({"DMA__PLANES": 0}, 5), ({"DMA__ENTRIES": 0}, 5), ({"DMA__BASE": 14}, 5), ({}, 0)]
)
def test_ring_that_is_none_is_a_fault(missing: dict[str, int], fault: int) -> None:
    chip = chip_of()
    run(chip, (Opcode.CLAMP_NEXT, 1), **{"DMA__ENTRIES": 3, "DMA__PLANES": 1, "DMA__HEAD": 1} | missing)
    assert chip.sequencer.fault == fault


def test_a_stall_ends_with_the_refill_and_costs_what_it_takes() -> None:
    chip = chip_of()
    run(chip, (Opcode.CLAMP_NEXT, 2), DMA__ENTRIES=3, DMA__PLANES=1, DMA__CTRL=2, DMA__HEAD=1)
    assert (chip.sequencer.state, chip.sequencer.edge) == (State.RUNNING, None)
    out = OperationList()
    out.write("DMA.HEAD", 2)
    (message,) = out.cut([])
    chip.execute(message.records, ())
    timing, acts = chip.timing, chip.drained
    chip.advance(acts)
    assert chip.sequencer.edge == acts + timing.instruction + timing.burst_setup + 2 * timing.beat


def test_swap_energies_and_roles_by_hand() -> None:
    """Energies against the sum over pairs in kT; two planes exchange temperature, roles and places."""
    chip = chip_of()
    fabric, tempering = chip.fabric, chip.engines.tempering
    fabric.write_codes([10, 20, 30, 40, 50, 60], [1, 2, 3], 0)
    fabric.spins[1] = [1, -1, 1]
    assert fabric.graph.source == [1, 2, 0, 2, 0, 1]
    lsb = 2.0 / 128
    by_hand = -(-(10 + 30) / 2 + (20 + 50) / 2 - (40 + 60) / 2) - (1 - 2 + 3)
    assert tempering.energy(1) * 2.0**-29 == by_hand * lsb
    fabric.plane_temp[:] = [4096, 8192, 4096, 4096]
    assert tempering.temperature(1) == 2.0
    fabric.spins[0], fabric.spins[1] = [1, 1, 1], [1, -1, 1]
    sooner = tempering.exponent(0, 1)
    assert sooner == (1 - 0.5) * (tempering.energy(0) - tempering.energy(1)) * 2.0**-29
    tempering.correlator.role_planes[1][0] = 0b0001
    tempering.exchange(0)
    assert (fabric.plane_temp, tempering.ladder) == ([8192, 4096, 4096, 4096], [1, 0, 2, 3])
    assert tempering.correlator.role_planes[1][0] == 0b0010


@pytest.mark.parametrize(("ladders", "rungs", "fault"), [(1, 1, 6), (0, 4, 6), (2, 3, 6), (2, 2, 0), (1, 4, 0)])
def test_ladders_that_do_not_fit_are_a_fault(ladders: int, rungs: int, fault: int) -> None:
    chip = chip_of()
    run(chip, (Opcode.SWAP, 0), (Opcode.SWAP, 0), TEMPERING__LADDERS=ladders, TEMPERING__RUNGS=rungs)
    assert chip.sequencer.fault == Fault(fault)
    tried = chip.engines.tempering.counts[::2]
    assert tried == ([0] * 4 if fault else [1, 0, 1, 0] if rungs == 2 else [1, 1, 1, 0])


def test_check_sums_are_those_of_a_library_and_name_the_sweep() -> None:
    """The check value of CRC-32; then SPIN_CRC of the codes that the last sweep had, not of those that LEARN made after it."""
    assert zlib.crc32(b"123456789") == 0xCBF43926
    chip = chip_of()
    fabric = chip.fabric
    learned = chip.engines.learning
    run(chip, (Opcode.STROBE, 0))
    assert (learned.value("LEARN.SPIN_VERSION"), learned.value("LEARN.SPIN_CRC")) == (2**32 - 1, 0)
    fabric.write_codes([1, -2, 3, -4, 5, -6], [7, -8, 9], 0)
    run(chip, (Opcode.RUN, 1), (Opcode.LEARN, 0), (Opcode.STROBE, 0))
    packed = np.array([1, -2, 3, -4, 5, -6, 7, -8, 9], "<i2").tobytes()
    assert (learned.value("LEARN.SPIN_VERSION"), learned.value("LEARN.SPIN_CRC")) == (1, zlib.crc32(packed))
    assert (learned.value("LEARN.VERSION"), fabric.coupling) == (2, [0] * 6)


def test_endless_loop_ends_with_a_stop() -> None:
    chip = chip_of()
    run(chip, (Opcode.LOOP, 0), (Opcode.RUN, 1), (Opcode.END, 0))
    assert chip.sequencer.state.name == "RUNNING"
    assert chip.fabric.sweep > 50
    out = OperationList()
    out.write("SEQ.CTRL", 2)
    out.delay(100)
    (message,) = out.cut([])
    chip.execute(message.records, ())
    assert chip.sequencer.state.name == "STOPPED"


def test_soft_fields_are_biases_of_their_planes() -> None:
    """On an ideal chip SOFT code c adds what a bias code c would; a slope scales it."""
    chip = chip_of()
    chip.fabric.soft[3:6] = [64, -128, 0]
    chip.fabric.begin_sweep()
    scale, lsb = 2.0**-chip.fabric.analog.k, 2.0 / 128
    assert [chip.fabric.field(0, i) * scale for i in range(3)] == [0, 0, 0]
    assert [chip.fabric.field(1, i) * scale for i in range(3)] == [64 * lsb, -128 * lsb, 0]
    sloped = chip_of(cell={"kind": "pbit", "slope_sigma": 0.2}).fabric
    alpha, k = sloped.analog.alpha[0], sloped.analog.k
    assert alpha != 1
    assert sloped.soft_field(0, 100) == round(alpha * 100 * lsb * 2**k)
