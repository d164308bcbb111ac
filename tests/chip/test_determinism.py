"""A chip's life is a function of config, seeds and operations in chip time; of nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from serving import Pins, Row, config
from tsu_contract.operations import Op
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_contract.registers import WINDOWS, register
from tsu_emu import state as S
from tsu_emu.analog import sweep
from tsu_emu.chip import Chip
from tsu_emu.config import ChipConfig
from tsu_emu.state import digest, restore, save

TYPICAL = {
    "coupling": {"gain_sigma": 0.05, "dac": {"element_sigma": 0.02, "offset_sigma_lsb": 0.5}},
    "cell": {"kind": "pbit", "slope_sigma": 0.05, "offset_sigma_kt": 0.2},
}


def at(name: str) -> int:
    return register(name).at()


def life(config: ChipConfig, threads: int = 1) -> tuple[Chip, list[tuple[Row, bytes | None]]]:
    """A chip, and some of everything to do with it: operations with their payloads."""
    chip = Chip(config, threads=threads)
    cap = chip.capabilities
    rng = np.random.default_rng(5)
    codes = rng.integers(-60, 60, cap.couplers + cap.couplers % 2).astype("<i2").tobytes()
    mask = rng.integers(0, 1 << 32, cap.planes * cap.dimension("cell_words"), dtype=np.uint32)
    program = assemble([
        Instruction(Opcode.RUN, 3), Instruction(Opcode.SET_T, 50), Instruction(Opcode.LOOP, 4), Instruction(Opcode.RUN, 2),
        Instruction(Opcode.CORR_LATCH), Instruction(Opcode.END), Instruction(Opcode.STROBE), Instruction(Opcode.HALT),
    ]).tobytes()  # fmt: skip
    words = cap.dimension("cell_words")
    return chip, [
        ((Op.BLKWR, WINDOWS["COUPLING"].address, 0, 0, len(codes) // 4), codes),
        ((Op.BLKWR, WINDOWS["CLAMP_MASK"].address, 0, 0, len(mask)), (mask & mask[::-1]).tobytes()),
        ((Op.BLKWR, WINDOWS["CLAMP_VALUE"].address, 0, 0, len(mask)), mask[::-1].tobytes()),
        ((Op.BLKWR, WINDOWS["PROGRAM"].address, 0, 0, len(program) // 4), program),
        ((Op.WRITE, at("CORR.DATA_PLANES"), 0x0F, 0, 0), None),
        ((Op.WRITE, at("CORR.FREE_PLANES"), 0xF0, 0, 0), None),
        ((Op.WRITE, at("CORR.ALPHA_DATA"), 20_000, 0, 0), None),
        ((Op.WRITE, at("CORR.CTRL"), 1, 0, 0), None),
        ((Op.WRITE, at("IRQ.ENABLE"), 0x1F, 0, 0), None),
        ((Op.WRITE, at("SEQ.CTRL"), 1, 0, 0), None),
        ((Op.DELAY, 0, 0, 0, 333), None),
        ((Op.READ, at("FABRIC.SWEEP"), 0, 0, 0), None),
        ((Op.WRITE, WINDOWS["COUPLING"].address, 0x00070009, 0, 0), None),
        ((Op.WAIT, at("SEQ.STATUS"), 2, 0xFF, 10_000_000), None),
        ((Op.BLKRD, WINDOWS["SPIN"].address, 0, 0, cap.planes * words), None),
        ((Op.BLKRD, WINDOWS["CORR_PAIR"].address, 0, 0, 2 * cap.pairs), None),
        ((Op.READ, at("SYS.CYCLE"), 0, 0, 0), None),
    ]


def outcome(config: ChipConfig, size: int, threads: int = 1) -> tuple[str, list[int], bytes]:
    """State, values and data of that life when its operations come `size` to a message."""
    chip, everything = life(config, threads)
    pins = Pins(chip)
    values: list[int] = []
    data = b""
    for first in range(0, len(everything), size):
        part = everything[first : first + size]
        reply = pins.operate([row for row, _ in part], *[payload for _, payload in part if payload is not None])
        assert reply.failure is None
        values += reply.values.tolist()
        data += b"".join(bytes(d) for d in reply.data)
    return digest(chip.state), values, data


GRID = {"kind": "grid", "width": 96, "height": 96, "rules": [[1, 0], [2, 1], [2, 3], [4, 1]]}
BIPARTITE = {"kind": "bipartite", "visible": 9, "hidden": 12}


@pytest.mark.parametrize("size", [2, 3, 5, 256])
@pytest.mark.parametrize("planes", [64, 100])
def test_operations_one_a_message_or_many_give_the_same_life(size: int, planes: int) -> None:
    chip = config(BIPARTITE, planes, **TYPICAL)
    assert outcome(chip, size) == outcome(chip, 1)


def test_one_or_two_threads_give_the_same_life() -> None:
    chip = config(GRID, 64, **TYPICAL)
    cells = 96 * 96 // 2
    assert cells * (len(Chip(chip)._plant.topology.source) // (2 * cells) + sweep.CELL_WORK) >= sweep.PARALLEL_FROM
    assert outcome(chip, 256, threads=1) == outcome(chip, 256, threads=2)


def test_the_compiled_budget_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    chip = config(BIPARTITE, 64, **TYPICAL)
    expected = outcome(chip, 256)
    monkeypatch.setattr("tsu_emu.chip.motion.BUDGET", 1)
    assert outcome(chip, 256) == expected


def polled(polls: int) -> tuple[str, int]:
    """State after a run in which status is read `polls` times, and every later operation comes at the same chip time."""
    chip, everything = life(config(BIPARTITE, 64, **TYPICAL))
    pins = Pins(chip)
    setup = everything[:9]
    pins.operate([row for row, _ in setup], *[payload for _, payload in setup if payload is not None])
    long = assemble([Instruction(Opcode.RUN, 400), Instruction(Opcode.STROBE), Instruction(Opcode.HALT)]).tobytes()
    start = [(Op.BLKWR, WINDOWS["PROGRAM"].address, 0, 0, len(long) // 4), (Op.WRITE, at("SEQ.CTRL"), 1, 0, 0)]
    assert pins.operate(start, long).failure is None
    kinds = ["SEQ.STATUS", "IRQ.PENDING", "SYS.ID", "CORR.COUNT", "FABRIC.STATUS"]
    read = 0
    while read < polls:
        rows = [(Op.READ, at(kinds[k % len(kinds)]), 0, 0, 0) for k in range(min(500, polls - read))]
        assert pins.operate(rows).failure is None
        read += len(rows)
    end = pins.operate([(Op.DELAY_UNTIL, 0, 0, 0, 100_000), (Op.READ, at("SYS.CYCLE"), 0, 0, 0)])
    return digest(chip.state), int(end.values[1])


def test_polling_status_ten_thousand_times_changes_no_sample() -> None:
    quiet, busy = polled(0), polled(10_000)
    assert quiet == busy
    assert quiet[1] > 100_000


@pytest.mark.parametrize("seed", ["die", "run"])
def test_another_seed_is_another_life(seed: str) -> None:
    one, other = (outcome(config(BIPARTITE, 64, seeds={seed: n}, **TYPICAL), 256) for n in (1, 2))
    assert one[2] != other[2]


@pytest.mark.parametrize("cut", range(0, 17, 3))
def test_a_saved_state_lives_on_as_the_chip_itself(cut: int) -> None:
    """Run A+B equals run A, save, restore in a fresh chip, run B, bit for bit; saving shows a difference after a change."""
    chip, everything = life(config(BIPARTITE, 100, **TYPICAL))
    chip_config = chip.config
    run(chip, everything[:cut])
    saved = save(chip.state)
    before = digest(chip.state)
    run(chip, everything[cut:])
    fresh = Chip(chip_config)
    fresh.restore(saved)
    assert digest(fresh.state) == before
    assert digest(chip.state) != before
    run(fresh, everything[cut:])
    assert digest(fresh.state) == digest(chip.state)


def run(chip: Chip, everything: list[tuple[Row, bytes | None]]) -> None:
    from serving import records

    payloads = [payload for _, payload in everything if payload is not None]
    assert chip.execute(records([row for row, _ in everything]), payloads).failure is None


def test_a_state_of_another_shape_is_refused() -> None:
    small, large = (Chip(config({"kind": "dense", "cells": n})) for n in (3, 4))
    with pytest.raises(ValueError, match="bias_code"):
        restore(large.state, {**save(large.state), "bias_code": small.state.bias_code})


def test_no_bytes_of_the_core_lie_between_its_fields() -> None:
    """Copies of records leave such bytes as they happen to be, and digests would see them."""
    assert sum(S.CORE.fields[name][0].itemsize for name in S.CORE.names) == S.CORE.itemsize  # type: ignore[index, union-attr]
