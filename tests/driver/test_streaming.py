"""Rings of examples in host memory, against a fake chip whose sequencer takes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import tsu_driver as tsu
from driver.fake import CAPABILITIES, FakeChip, FakeDaemon, FakeLink
from tsu_contract.bits import unpack_spins
from tsu_driver import Instruction as I
from tsu_driver import Opcode

CELLS = [0, 4, 8]


def examples(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice([-1, 1], size=(n, len(CELLS)))


def clamped(link: FakeLink) -> np.ndarray:
    """(planes, examples' cells) what the fake's planes are clamped to."""
    return unpack_spins(link.chip.windows["CLAMP_VALUE"], 9)[:, CELLS]


def take(n: int) -> list[I]:
    return [I(Opcode.CLAMP_NEXT, n), I(Opcode.RUN, 1)]


def test_a_ring_is_read_round_and_round(chip: tsu.Chip, link: FakeLink) -> None:
    """5 examples to 2 planes: 0 1, 2 3, 4 0 ..; only the clamps of those planes change."""
    X = examples(5)
    chip.clamp([1], [1])
    stream = chip.stream(X, CELLS, planes=[2, 0])
    assert (stream.capacity, stream.level, stream.pushed) == (5, 5, 5)
    assert stream.planes.tolist() == [0, 2]
    mask = sum(1 << c for c in CELLS)
    assert link.chip.windows["CLAMP_MASK"].ravel().tolist() == [mask, 2, mask]
    for expected in ([0, 1], [2, 3], [4, 0]):
        chip.execute_program(take(2))
        assert (clamped(link)[[0, 2]] == X[expected]).all()
    assert (stream.taken, stream.underruns) == (6, 0)
    with pytest.raises(tsu.HostError, match=r"read round and round; lay it with cycle=False"):
        stream.push(X)
    assert [link.chip[f"DMA.{n}"] for n in ("CTRL", "BASE", "ENTRIES", "PLANES")] == [3, 0, 5, 5]


def test_pushing_never_overruns(chip: tsu.Chip, link: FakeLink) -> None:
    """A ring of 4 takes what it has room for, goes on behind its end, and tells what the chip has still to take."""
    X = examples(11)
    stream = chip.stream(X, CELLS, planes=[1], cycle=False, capacity=4)
    assert (stream.pushed, stream.level, stream.push(X[4:])) == (4, 4, 0)
    for k in range(3):
        chip.execute_program(take(1))
        assert (clamped(link)[1] == X[k]).all()
    assert stream.level == 1
    assert stream.push(X[4:6]) == 2
    assert stream.push(X[6:]) == 1
    assert (stream.pushed, stream.level) == (7, 4)
    for k in range(3, 7):
        chip.execute_program(take(1))
        assert (clamped(link)[1] == X[k]).all()
    assert not link.chip["SYS.ERROR"]
    assert stream.level == 0
    assert stream.push(X[:0]) == 0


def test_pushing_may_let_the_chip_run(chip: tsu.Chip) -> None:
    """A program that takes examples drains the ring while the driver waits; with nobody taking any, the wait ends."""
    X = examples(30)
    stream = chip.stream(X, CELLS, planes=1, cycle=False, capacity=8)
    before = chip.time_cycles
    assert stream.push(X[8:], max_cycles=1000) == 0
    assert 1000 <= chip.time_cycles - before < 1200
    chip.start([I(Opcode.LOOP, 30), *take(1), I(Opcode.END)])
    assert stream.push(X[8:], max_cycles=10_000) == 22
    chip.wait_halted()
    assert (stream.taken, stream.level, stream.underruns) == (30, 0, 0)


def test_a_ring_that_runs_dry(chip: tsu.Chip) -> None:
    """STALL: the program waits, the time-out says why, and it goes on when there is more; else planes keep what they had."""
    X = examples(6)
    stream = chip.stream(X[:3], CELLS, planes=2, cycle=False, capacity=4)
    two_rounds = [I(Opcode.LOOP, 2), *take(2), I(Opcode.END)]
    dry = r"stalled at instruction 1, CLAMP_NEXT 2: the ring of examples ran dry and holds 1; push more"
    with pytest.raises(tsu.ChipFault, match=dry) as caught:
        chip.execute_program(two_rounds)
    assert (caught.value.cause, caught.value.instruction) == ("STALLED", 1)
    with pytest.raises(tsu.HostError, match="is running a program"):
        chip.run(1)
    assert stream.push(X[3:5]) == 2
    chip.wait_halted()
    assert (stream.taken, stream.level) == (4, 1)
    with pytest.raises(tsu.ChipFault, match="ran dry"):
        chip.execute_program(two_rounds)
    assert chip.stop()
    chip.run(1)
    loose = chip.stream(X[:3], CELLS, planes=2, cycle=False, stall=False, capacity=4)
    chip.execute_program(two_rounds)
    assert (loose.taken, loose.underruns) == (3, 1)


def test_the_driver_forgets_clamps_that_the_chip_has_changed(chip: tsu.Chip, link: FakeLink) -> None:
    X = examples(3)
    chip.clamp([7], [1])
    chip.stream(X, CELLS, planes=1)
    chip.execute_program(take(1))
    chip.clamp([5], [1], planes=[0])
    chip.clamp([6], [1], planes=[0])
    assert (clamped(link)[0] == X[0]).all()
    chip.start([I(Opcode.LOOP, 0), *take(1), I(Opcode.END)])
    chip.clamp([3], [1], planes=[2])
    assert "CLAMP_VALUE" not in chip._bus.shadow
    chip.stop()
    chip.clamp([3], [-1], planes=[2])
    assert "CLAMP_VALUE" in chip._bus.shadow


def test_programs_of_unknown_content_are_not_trusted(chip: tsu.Chip, link: FakeLink) -> None:
    """A batch of the user's own may start anything."""
    X = examples(3)
    chip.stream(X, CELLS, planes=1)
    chip.start(take(1))
    chip.wait_halted()
    chip.clamp([5], [1], planes=[0])
    batch = chip.batch()
    batch.write("SEQ.PC", 0)
    batch.write("SEQ.CTRL", START=1)
    batch.execute()
    chip.clamp([6], [1], planes=[0])
    assert (clamped(link)[0] == X[1]).all()


def test_streams_end(chip: tsu.Chip) -> None:
    X = examples(3)
    first = chip.stream(X, CELLS, planes=1, cycle=False)
    second = chip.stream(X, CELLS, planes=1, cycle=False)
    for ask in (lambda: first.push(X), lambda: first.level, lambda: first.taken, lambda: first.underruns):
        with pytest.raises(tsu.HostError, match="this stream has ended: its ring was laid anew or reset"):
            ask()
    assert second.level == 3
    chip.write_register("SYS.CTRL", RESET=1)
    with pytest.raises(tsu.HostError, match="this stream has ended"):
        second.push(X)


def test_an_overrun_is_a_fault(chip: tsu.Chip, link: FakeLink) -> None:
    stream = chip.stream(examples(1), CELLS, planes=1, cycle=False, capacity=4)
    link.chip["DMA.TAIL"] = 1 << 31
    stream.pushed = 1 << 31
    link.chip["DMA.TAIL"] += 5
    with pytest.raises(tsu.ChipFault, match="DMA_OVERRUN is set"):
        stream.put(np.zeros((1, 1), np.uint32))


def test_examples_of_all_cells_and_of_many_messages() -> None:
    """100 examples over messages of 80 bytes, 20 of one word each."""
    cap = replace(CAPABILITIES, hostmem_words=300)
    link = FakeLink(FakeDaemon(FakeChip(cap), limits={"payload_bytes": 80}))
    chip = tsu.Chip(link)
    X = np.random.default_rng(1).random((100, 9)) < 0.5
    assert chip.stream(X, planes=3).capacity == 100
    assert (unpack_spins(link.chip.windows["HOSTMEM"][:100, None], 9) > 0).tolist() == X.tolist()
    assert chip.stream(X[:0], planes=3, cycle=False).capacity == 256


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"examples": np.zeros((3, 3))}, r"value 0.0 of example 0, place 0; -1 or \+1"),
        ({"examples": np.ones((3, 4))}, r"examples of shape \(3, 4\); \(n, 3\) is expected"),
        ({"examples": np.ones(3)}, r"examples of shape \(3,\)"),
        ({"examples": np.ones((41, 3))}, r"41 examples to be read round and round; host memory holds 40 examples of 1 words"),
        ({"examples": np.ones((0, 3))}, "0 examples to be read round"),
        ({"cells": [0, 0, 1]}, "cell 0 is named twice"),
        ({"cells": []}, "a stream clamps cells; none is named"),
        ({"planes": []}, "a stream feeds planes; none is named"),
        ({"planes": [3]}, "no plane 3"),
        ({"capacity": 4}, "capacity is for cycle=False"),
        ({"cycle": False, "capacity": 5}, "capacity = 5; a power of two"),
        ({"cycle": False, "capacity": 64}, "capacity = 64; a power of two .* holds 40"),
    ],
)
def test_bad_streams(chip: tsu.Chip, change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"examples": examples(3), "cells": CELLS, "planes": 1} | change
    if change.get("cells") == []:
        arguments["examples"] = np.ones((3, 0))
    with pytest.raises(tsu.HostError, match=message):
        chip.stream(**arguments)


def test_only_pbits_are_streamed_to() -> None:
    chip = tsu.Chip(FakeLink(FakeDaemon(FakeChip(replace(CAPABILITIES, cell_kind=3)))))
    calls: tuple[Callable[[], Any], ...] = (
        lambda: chip.stream(examples(1), CELLS, planes=1),
        lambda: chip.execute_program(take(1)),
    )
    for call in calls:
        with pytest.raises(tsu.HostError, match="rings of examples feed p-bits; this chip's cells are of the kind pdit"):
            call()
