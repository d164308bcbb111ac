"""What the firmware core finds in the windows and does to them in compiled code is what the chip's windows do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chip.test_every_effect import CELLS, everything
from serving import config
from tsu_contract.registers import WINDOW_STRIDE, WINDOWS
from tsu_emu import state as S
from tsu_emu.chip import Chip
from tsu_emu.chip.core import MEMORY
from tsu_emu.chip.core_loop import at_window
from tsu_emu.chip.window_memory import TRIMS
from tsu_emu.config import ChipConfig
from tsu_emu.cpu.state import BUS_LOAD, BUS_NONE, BUS_STORE, make_model, new_hart

MODEL = make_model(MEMORY)
WORDS = 6
KINDS: dict[str, ChipConfig] = {kind: everything(kind) for kind in CELLS} | {
    "ideal": config({"kind": "dense", "cells": 35}, planes=70)
}
"""With every effect; and clocked p-bits whose fields follow each write at once: two blocks of planes, two words a plane."""


def access(chip: Chip, address: int, value: int | None = None) -> tuple[bool, int, int]:
    """A load into x7, or a store, by compiled code: whether it was carried out, x7, and its cycles."""
    harts = new_hart(0)
    harts["bus_kind"], harts["bus_size"], harts["bus_rd"] = BUS_LOAD if value is None else BUS_STORE, 4, 7
    harts["bus_address"], harts["bus_value"] = MEMORY.mmio_base + address, value or 0
    done = bool(at_window(chip.state.core, chip.plant, chip.windows.memory, harts, MODEL))
    assert done == (harts["bus_kind"][0] == BUS_NONE)
    return done, int(harts["x"][0, 7]), int(harts["cycle"][0])


def word_of(chip: Chip, name: str, rng: np.random.Generator) -> int:
    """Random elements of a window that the chip takes, as a word."""
    kind = WINDOWS[name].dtype
    limits = chip.capabilities.limits(WINDOWS[name]) or (0, 0xFFFFFFFF)
    elements = rng.integers(limits[0], limits[1] + 1, max(1, 4 // kind.itemsize))
    return int.from_bytes(elements.astype("<u4" if kind.itemsize > 4 else kind.newbyteorder("<")).tobytes()[:4], "little")


def all_of(chip: Chip) -> list[NDArray[Any]]:
    """The state, and what follows from it."""
    p = chip.plant
    made = [lines.volts for lines in p.lines] + [lines.heard for lines in p.lines]
    return [*S.save(chip.state).values(), p.doubled, p.bias, p.base, p.soft, p.slow.alpha, p.slow.delta, *made]


@pytest.mark.parametrize("kind", KINDS)
def test_compiled_accesses_are_those_of_the_port(kind: str) -> None:
    """First and last words and some between of every window: loads give the same word, stores make the same chip."""
    ours, other = Chip(KINDS[kind]), Chip(KINDS[kind])
    rng, bus, stored = np.random.default_rng(3), other.firmware_bus(), set[str]()
    for name, window in WINDOWS.items():
        count, at = ours.capabilities.words(window), window.address
        for first in {0, max(count - 1, 0), *rng.integers(0, max(count, 1), WORDS).tolist()} if count else set():
            for chip in (ours, other):
                chip.state.time[S.NOW] += 10
            place, word = at + 4 * first, word_of(ours, name, rng)
            if "w" in window.access:
                before, bus.cost = bus.read(place), 0
                bus.write(place, word)
                done, _, cycles = access(ours, place, word)
                assert done == (name not in TRIMS)
                if not done:
                    ours.firmware_bus().write(place, word)
                assert cycles == bus.cost * done
                stored |= {name} if bus.read(place) != before else set()
            bus.cost = 0
            assert access(ours, place) == (True, bus.read(place), bus.cost), (name, first)
    for mine, theirs in zip(all_of(ours), all_of(other), strict=True):
        assert mine.tobytes() == theirs.tobytes()
    assert stored == {name for name, w in WINDOWS.items() if "w" in w.access and ours.capabilities.words(w)}


def test_what_the_host_may_not_is_not_done() -> None:
    """Loads past the last word, where no window is, of a register; stores to what is only read, or out of limits."""
    chip = Chip(KINDS["ideal"])
    before = S.digest(chip.state)
    bias, spin = WINDOWS["BIAS"], WINDOWS["SPIN"].address
    assert not access(chip, bias.address + 4 * chip.capabilities.words(bias))[0]
    assert not access(chip, 40 * WINDOW_STRIDE - MEMORY.mmio_base)[0]
    assert not access(chip, 0)[0]
    assert not access(chip, spin, 1)[0]
    assert not access(chip, WINDOWS["PLANE_TEMP"].address, 0xFFFF)[0], "its second element would be 0"
    assert S.digest(chip.state) == before
    assert access(chip, WINDOWS["PLANE_TEMP"].address, 0x1000_1001)[0]
