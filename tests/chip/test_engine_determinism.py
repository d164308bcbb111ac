"""A learning program's life is a function of config, seeds and operations in chip time: on ideal chips and on chips with every
effect, dead cells and stuck bits included.

Messages, polls, budgets, threads and saves may change no bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chip.pins import program
from chip.test_every_effect import Step, at, differing, everything, execute, window
from serving import config, records
from tsu_contract.operations import Op
from tsu_contract.program import Opcode
from tsu_contract.registers import WINDOWS
from tsu_emu import state as S
from tsu_emu.analog import sweep
from tsu_emu.chip import Chip
from tsu_emu.config import ChipConfig
from tsu_emu.digital import words as W

LEARNING = {"learning": {"bits": 12, "hostmem_words": 128}, "sequencer": {"table_entries": 8}}
EDGES = {"kind": "edges", "cells": 40, "pairs": [[i, (i + k) % 40] for i in range(40) for k in (1, 7)]}

CHIPS: dict[str, ChipConfig] = {
    "ideal": config(EDGES, 70, **LEARNING),
    **{kind: everything(kind, EDGES, 70, **LEARNING) for kind in ("pbit", "coloured", "lfsr", "glauber")},
}
"""Without effects, and with all of them, on several kinds of arrays of p-bits."""

BODY = (
    (Opcode.LOOP, 0), (Opcode.CLAMP_NEXT, 3), (Opcode.RUN, 2), Opcode.LEARN, (Opcode.RUN, 1), Opcode.SWAP, Opcode.LEARN,
    Opcode.STROBE, Opcode.CORR_LATCH, Opcode.IRQ, Opcode.END,
)  # fmt: skip
LOOKS = ("SPIN", "CORR_PAIR", "LEARN_PAIR", "LEARN_BIAS", "COUPLING", "BIAS", "LADDER", "SWAP_COUNT", "CLAMP_VALUE", "PLANE_TEMP")


def plane_set(name: str, planes: range) -> list[Step]:
    """Writes of a set of planes."""
    words = [sum(1 << p - 32 * word for p in planes if p // 32 == word) for word in range(3)]
    return [((Op.WRITE, at(name, word), value, 0, 0), None) for word, value in enumerate(words)]


def rule() -> list[tuple[str, int, int]]:
    """Terms of a rule that uses factors of all sorts: register, index, value."""
    terms = [("PAIR", 0x001, 900), ("PAIR", 0x002, -900), ("PAIR", 0x017, -50), ("PAIR", 0x043, 70), ("PAIR", 0x908, 60)]
    terms += [("BIAS", 0x001, 700), ("BIAS", 0x002, -700), ("BIAS", 0x053, 90), ("BIAS", 0x004, -20)]
    registers, count = [], {"PAIR": 0, "BIAS": 0}
    for kind, factors, rate in terms:
        registers.append((f"LEARN.{kind}_TERM", count[kind], factors))
        registers.append((f"LEARN.{kind}_RATE", count[kind], (rate << 12) & 0xFFFFFFFF))
        count[kind] += 1
    return registers


def life(chip: Chip) -> list[Step]:
    """A rule, a ring that runs dry and is refilled, ladders, a schedule, fields; what follows the start is tied to cycles."""
    cap, rng = chip.capabilities, np.random.default_rng(9)
    looks = [w for w in LOOKS if cap.words(WINDOWS[w])]

    def until(cycle: int) -> Step:
        return (Op.DELAY_UNTIL, 0, 0, 0, cycle), None

    def write(name: str, value: int, index: int = 0) -> Step:
        return (Op.WRITE, at(name, index), value, 0, 0), None

    def look(cycle: int) -> list[Step]:
        return [until(cycle), *(((Op.BLKRD, WINDOWS[w].address, 0, 0, cap.words(WINDOWS[w])), None) for w in looks)]

    def soft(scale: int) -> list[Step]:
        return [window("SOFT", rng.integers(-scale, scale, (70, 40)).astype("<i2"))] if cap.dimension("soft_cells") else []

    registers = {
        "CORR.CTRL": 1, "CORR.ALPHA_DATA": 30_000, "CORR.ALPHA_FREE": 20_000, "LEARN.NORM_DATA": 65536 // 30, "LEARN.CTRL": 3,
        "LEARN.NORM_FREE": 65536 // 40, "LEARN.DECAY": 1 << 24, "DMA.ENTRIES": 60, "DMA.BASE": 5, "DMA.HEAD": 8, "DMA.LOW": 9,
        "DMA.CTRL": 2, "TEMPERING.LADDERS": 10, "TEMPERING.RUNGS": 4, "TEMP.SCHEDULE": 2, "TEMP.START": 160, "TEMP.TAU": 20,
        "TEMP.ALPHA": 9 << 12, "IRQ.ENABLE": 0x3F, "FABRIC.SCAN": 2,
    }  # fmt: skip
    start = chip.link_time
    return [
        window("LEARN_PAIR", rng.integers(-400, 400, cap.pairs).astype("<i4")), *soft(40),
        window("LEARN_BIAS", rng.integers(-400, 400, 40).astype("<i4")),
        window("FREEZE_PAIR", rng.integers(0, 1 << 32, 3, dtype=np.uint32) & np.uint32(0x11111111)),
        window("HOSTMEM", rng.integers(0, 1 << 32, 128, dtype=np.uint32)),
        window("CLAMP_MASK", np.where(np.arange(70)[:, None] < 30, [0xFFFFF, 0], 0).astype("<u4")),
        window("PLANE_TEMP", np.tile([4096, 5000, 6500, 8000], 18)[:70].astype("<u2")),
        window("LADDER", np.r_[30:70, 0:30].astype("<u2")), window("TEMP_TABLE", np.array([200, 90, 64, 40] * 2, "<u2")),
        *plane_set("CORR.DATA_PLANES", range(30)), *plane_set("CORR.FREE_PLANES", range(30, 70, 4)),
        *plane_set("DMA.PLANES", range(30)), *(write(name, value) for name, value in registers.items()),
        *(write(name, value, index) for name, index, value in rule()), window("PROGRAM", program(*BODY)), write("SEQ.CTRL", 1),
        *look(start + 9_001), write("DMA.HEAD", 20), *soft(60), until(start + 14_007), write("DMA.HEAD", 200),
        ((Op.WRITE, WINDOWS["COUPLING"].address + 8, 0x00100020, 0, 0), None), *look(start + 17_013), write("SEQ.CTRL", 2),
        until(start + 23_001), write("TEMP.SCHEDULE", 3), write("TEMP.LENGTH", 7), write("TEMP.ENTRIES", 8),
        write("TEMP.STEP", 0), write("SEQ.CTRL", 1), *look(start + 29_017), write("DMA.CTRL", 1), write("LEARN.CTRL", 4),
        window("FREEZE_BIAS", np.array([0xF0F0, 0xF], "<u4")), *look(start + 37_023), write("SYS.CTRL", 1), *look(start + 42_003),
    ]  # fmt: skip


Outcome = tuple[list[bytes], dict[str, NDArray[Any]]]


def outcome(chip: Chip, size: int = 256, polls: int = 0) -> Outcome:
    """Data and state of a life whose steps come `size` to a message, with so many reads of registers before each wait."""
    steps, data = life(chip), []
    for first in range(0, len(steps), size):
        for row, _ in steps[first : first + size] if polls else ():
            if row[0] == Op.DELAY_UNTIL:
                poll(chip, row[4], polls)
        data += execute(chip, steps[first : first + size])
    return data, S.save(chip.state)


POLLED = ("SEQ.STATUS", "SEQ.PC", "DMA.TAIL", "LEARN.GAIN", "LEARN.VERSION", "LEARN.SATURATED", "CORR.COUNT", "TEMP.TDAC")
"""Registers that latch nothing when they are read."""


def poll(chip: Chip, end: int, most: int) -> None:
    """Reads registers till shortly before a cycle."""
    rows = [(Op.READ, at(POLLED[k % len(POLLED)]), 0, 0, 0) for k in range(50)]
    for _ in range(most // len(rows)):
        if chip.link_time + 4 * len(rows) < end:
            assert chip.execute(records(rows)).failure is None


@pytest.fixture(scope="module")
def lives() -> dict[str, Outcome]:
    """The outcome of each chip's life, undisturbed."""
    return {name: outcome(Chip(chip)) for name, chip in CHIPS.items()}


@pytest.mark.parametrize("name", CHIPS)
def test_a_life_learns_swaps_stalls_and_takes_examples(name: str) -> None:
    """Up to its RESET; or the rest of this file would show nothing."""
    chip = Chip(CHIPS[name])
    if name != "ideal":
        assert chip.plant.dead_mask.any()
        assert chip.plant.floating.any()
        assert chip.parameters.stuck[0][0].any()
    stalled, saturated = False, 0
    steps = life(chip)
    for step in steps[: -len(LOOKS) - 2]:
        execute(chip, [step])
        stalled |= int(chip.state.core["sequencer"][0, S.ACTIVITY]) == S.STALLED
        saturated = max(saturated, int(chip.state.registers[W.LEARN_SATURATED]))
    registers, pairs = chip.state.registers, chip.capabilities.pairs
    assert stalled
    assert registers[W.ERROR] == W.ERROR_DMA_OVERRUN
    assert registers[W.DMA_TAIL] > 40
    assert chip.state.time[S.LEARN_UPDATES] > 25
    assert len(np.unique(chip.state.learn_pair)) > pairs // 2, "saturated accumulators would hide much"
    assert saturated < pairs // 4
    tried, accepted = chip.state.swap_count.sum(axis=0)
    assert 0.1 < accepted / tried < 0.95
    assert registers[W.SEQ_STATUS] & 0xFF == W.RUNNING


@pytest.mark.parametrize("name", CHIPS)
def test_messages_budget_polls_and_threads_change_nothing(
    name: str, lives: dict[str, Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, saved = lives[name]
    for threads, size, budget, polls in ((1, 1, 10_000_000, 2_000), (2, 7, 10_000_000, 0), (1, 256, 1, 0)):
        monkeypatch.setattr("tsu_emu.chip.motion.BUDGET", budget)
        data, after = outcome(Chip(CHIPS[name], threads=threads), size, polls)
        assert data == expected, (threads, size, budget, polls)
        assert differing(after, saved) == set()


@pytest.mark.parametrize("name", CHIPS)
def test_a_life_saved_after_any_step_goes_on_in_a_fresh_chip(name: str) -> None:
    """Each step from the state saved before it leads to the state saved after it; some saves fall into sweeps and stalls."""
    chip = Chip(CHIPS[name])
    steps = life(chip)
    saves, data = [S.save(chip.state)], []
    for step in steps:
        data.append(execute(chip, [step]))
        saves.append(S.save(chip.state))
    activities = {int(s["core"]["sequencer"][0, S.ACTIVITY]) for s in saves}
    assert S.STALLED in activities
    assert any(s["core"]["sequencer"][0, S.MID_SWEEP] for s in saves)
    fresh = Chip(CHIPS[name])
    for k in np.random.default_rng(1).permutation(len(steps)):
        fresh.restore(saves[k])
        assert execute(fresh, [steps[k]]) == data[k]
        assert differing(S.save(fresh.state), saves[k + 1]) == set(), (k, steps[k][0])


@pytest.mark.parametrize("seed", ["die", "run"])
@pytest.mark.parametrize("name", ["ideal", "pbit"])
def test_another_seed_is_another_life(name: str, seed: str, lives: dict[str, Outcome]) -> None:
    """An ideal chip has no die to differ in."""
    seeds = CHIPS[name].seeds.model_dump() | {seed: 77}
    other = outcome(Chip(CHIPS[name].model_copy(update={"seeds": type(CHIPS[name].seeds)(**seeds)})))
    assert (other[0] == lives[name][0]) == ((name, seed) == ("ideal", "die"))


def test_a_second_thread_changes_nothing_of_a_large_chip() -> None:
    """66 x 66 cells of degree 16, with every effect: phases are work enough for two threads, and 33,000 pairs learn."""
    grid, after = {"kind": "grid", "width": 66, "height": 66, "rules": [[1, 0], [2, 1], [2, 3], [4, 1]]}, []
    registers = {"CORR.CTRL": 1, "LEARN.NORM_FREE": 1024, "TEMPERING.LADDERS": 16, "TEMPERING.RUNGS": 4, "LEARN.PAIR_TERM": 2,
                 "LEARN.PAIR_RATE": 90 << 16, "LEARN.BIAS_TERM": 2, "LEARN.BIAS_RATE": 90 << 16}  # fmt: skip
    steps = (Opcode.LOOP, 3), (Opcode.RUN, 2), Opcode.LEARN, Opcode.SWAP, Opcode.END, Opcode.STROBE, Opcode.HALT
    for threads in (1, 2):
        chip = Chip(everything("pbit", grid, 64, slow={"epoch_cycles": 1 << 14}, **LEARNING), threads=threads)
        cells, couplers = chip.capabilities.cells, chip.capabilities.couplers
        assert cells // 2 * (couplers // cells + sweep.CELL_WORK) >= sweep.PARALLEL_FROM
        rows: list[Step] = [((Op.WRITE, at(name), value, 0, 0), None) for name, value in registers.items()]
        start: list[Step] = [((Op.WRITE, at("SEQ.CTRL"), 1, 0, 0), None), ((Op.DELAY, 0, 0, 0, 5_000), None)]
        free = plane_set("CORR.FREE_PLANES", range(64))[:2]
        execute(chip, [*rows, *free, window("PROGRAM", program(*steps)), *start])
        assert chip.state.time[S.LEARN_UPDATES] == 3
        after.append(S.save(chip.state))
    assert differing(*after) == set()
