"""Stuck code bits and dead cells: how many, where, and what they do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from serving import config, records
from tsu_contract.operations import Op
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_contract.registers import WINDOWS, register
from tsu_emu.analog.dac import output
from tsu_emu.analog.dead import ALIVE, DOWN, FLOATING, UP, dead_cells
from tsu_emu.analog.stuck import StuckBits, as_stuck, draw_stuck_bits
from tsu_emu.chip import Chip
from tsu_emu.config import Dead
from tsu_emu.noise.streams import Stream

COUNT = 20_000


def bits_of(words: NDArray[np.uint16]) -> NDArray[np.int64]:
    """(n, 16) of 0 and 1."""
    return (words[:, None] >> np.arange(16)) & 1


def draw(probability: float, seed: int = 3, bank: int = 0, count: int = COUNT) -> StuckBits:
    return draw_stuck_bits(probability, 8, count, seed, Stream.STUCK_BITS, bank)


def is_binomial(hits: float, n: float, p: float) -> bool:
    return bool(abs(hits - n * p) < 5 * np.sqrt(n * p * (1 - p)))


def test_each_bit_is_stuck_with_the_probability_and_at_0_or_1_evenly() -> None:
    """Binomial counts to 5 standard deviations, in all, at every position and among the values; half or twice as many fail."""
    stuck = draw(0.02)
    mask, value = bits_of(stuck.mask), bits_of(stuck.value)
    assert is_binomial(mask.sum(), 8 * COUNT, 0.02)
    assert not is_binomial(mask.sum(), 8 * COUNT, 0.01)
    assert not is_binomial(mask.sum(), 8 * COUNT, 0.04)
    assert not mask[:, 8:].any()
    assert all(is_binomial(mask[:, k].sum(), COUNT, 0.02) for k in range(8))
    assert is_binomial(value.sum(), mask.sum(), 0.5)
    assert not np.any(value & ~mask)
    assert is_binomial((mask.sum(axis=1) >= 2).sum(), COUNT, 1 - 0.98**8 - 8 * 0.02 * 0.98**7)


def test_banks_dies_and_rarer_defects_are_drawn_as_they_should_be() -> None:
    """A bit that is stuck at a low probability is stuck at a higher one too; banks and dies have nothing in common."""
    rare, common = draw(0.005), draw(0.05)
    assert not np.any(rare.mask & ~common.mask)
    assert np.array_equal(common.value & rare.mask, rare.value)
    for other in (draw(0.05, bank=1), draw(0.05, seed=4)):
        assert is_binomial(bits_of(common.mask & other.mask).sum(), 8 * COUNT, 0.05**2)
    assert not draw(0.0).mask.any()
    assert np.all(draw(1.0, count=100).mask == 0xFF)


def test_a_stuck_bit_is_one_of_the_offset_binary_code() -> None:
    """-128 .. 127 stand for 0 .. 255: bit 7 stuck at 0 leaves negative codes, bit 0 at 1 odd ones."""
    codes = np.arange(-128, 128).astype(np.int16)
    for mask, value, expected in ((0x80, 0, (codes + 128 & 0x7F) - 128), (1, 1, codes | 1), (0, 0, codes)):
        stuck = StuckBits(np.full(300, mask, np.uint16), np.full(300, value, np.uint16))
        assert np.array_equal(as_stuck(stuck, codes, 20, 128), expected)


# Through the chip


def at(name: str) -> int:
    return register(name).at()


def burst(name: str, data: NDArray[Any]) -> tuple[tuple[int, int, int, int, int], bytes]:
    octets = data.tobytes() + bytes(-data.nbytes % 4)
    return (Op.BLKWR, WINDOWS[name].address, 0, 0, len(octets) // 4), octets


def run(chip: Chip, sweeps: int, coupling: int, bias: int) -> NDArray[np.int8]:
    """(sweeps, planes, cells) spins, one sweep apart, at equal codes everywhere."""
    cap = chip.capabilities
    loads = [burst("COUPLING", np.full(cap.couplers, coupling, "<i2")), burst("BIAS", np.full(cap.cells, bias, "<i2"))]
    loads.append(burst("PROGRAM", assemble([Instruction(Opcode.RUN, 1), Instruction(Opcode.STROBE), Instruction(Opcode.HALT)])))
    assert chip.execute(records([row for row, _ in loads]), [octets for _, octets in loads]).failure is None
    words = cap.dimension("cell_words")
    once = [(Op.WRITE, at("SEQ.PC"), 0, 0, 0), (Op.WRITE, at("SEQ.CTRL"), 1, 0, 0), (Op.WAIT, at("SEQ.STATUS"), 2, 0xFF, 100_000),
            (Op.BLKRD, WINDOWS["SPIN"].address, 0, 0, cap.planes * words)]  # fmt: skip
    result = chip.execute(records(once * sweeps))
    assert result.failure is None
    raw = np.frombuffer(b"".join(result.data), "<u4").reshape(sweeps, cap.planes, words)
    bits = (raw[..., None] >> np.arange(32, dtype=np.uint32) & 1).reshape(sweeps, cap.planes, -1)[..., : cap.cells]
    return (2 * bits.astype(np.int8) - 1).astype(np.int8)


GRID = {"kind": "grid", "width": 30, "height": 30, "rules": [[1, 0]]}


def test_cells_hear_the_stuck_code() -> None:
    """Each coupler and bias is that of the ideal converter at the code with its stuck bits; the others are as written."""
    errors = {"stuck_bit_probability": 0.02, "element_sigma": 0.03}
    for more in ({}, {"network": {"ir_drop": 1e-12}}):
        chip = Chip(config(GRID, 4, coupling={"dac": errors}, bias={"dac": errors}, **more))
        run(chip, 1, 37, -21)
        die, scale = chip.plant.die, chip.plant.die.scale
        for bank, dacs, code, heard in ((0, die.coupling, 37, chip.plant.doubled / 2), (1, die.bias, -21, chip.plant.bias)):
            stuck = chip.parameters.stuck[bank]
            codes = np.array([((code + 128) & ~int(m) | int(v)) - 128 for m, v in zip(*stuck, strict=True)])
            right = np.array([output(dacs, e, int(c)) for e, c in enumerate(codes)])
            assert np.abs(heard / scale - right).max() <= 0.51 / scale
            unstuck = np.array([output(dacs, e, code) for e in range(len(codes))])
            assert np.array_equal(np.abs(heard / scale - unstuck) > 1 / scale, codes != code)
            assert is_binomial((stuck.mask != 0).sum(), len(codes), 1 - 0.98**8)


def test_stuck_bits_load_the_row_wires_too() -> None:
    """With all bits stuck the codes that load the wires are the stuck ones, whatever is written."""
    heard = []
    for code in (0, 10, 100):
        chip = Chip(config(GRID, 1, coupling={"dac": {"stuck_bit_probability": 1.0}}, network={"ir_drop": 0.5}))
        run(chip, 1, code, 0)
        heard.append(chip.plant.doubled.copy())
    assert np.array_equal(heard[0], heard[1])
    assert np.array_equal(heard[0], heard[2])


DEAD = {"down": 0.03, "up": 0.06, "floating": 0.1}


def test_cells_are_dead_with_their_probabilities() -> None:
    dead = dead_cells(Dead(**DEAD), COUNT, 5)
    shares = {DOWN: 0.03, UP: 0.06, FLOATING: 0.1, ALIVE: 0.81}
    for kind, p in shares.items():
        assert is_binomial((dead == kind).sum(), COUNT, p)
    assert not is_binomial((dead == UP).sum(), COUNT, 0.03)
    assert not np.any(dead_cells(Dead(), 100, 5))
    assert np.all(dead_cells(Dead(floating=1.0), 100, 5) == FLOATING)


@pytest.mark.parametrize("path", [{}, {"network": {"ir_drop": 1e-12}}, {"noise": {"kind": "lfsr"}}])
def test_stuck_cells_stay_and_floating_cells_are_fair_coins(path: dict[str, Any]) -> None:
    """All biases are 2 kT and couplings 1/2 kT: a cell that works is up, P = 1 / (1 + e^-4) or more.

    A floating cell's n = 64 x 30 spins are independent and even: 5 / sqrt(n), all of them together 5 / sqrt(all).
    """
    cell = {"kind": "pbit", "dead": DEAD, **({"noise": path["noise"]} if "noise" in path else {})}
    chip = Chip(config(GRID, 64, cell=cell, **{k: v for k, v in path.items() if k != "noise"}))
    dead = dead_cells(Dead(**DEAD), 900, 1)
    spins = run(chip, 31, 32, 127)[1:]
    assert np.all(spins[..., dead == UP] == 1)
    assert np.all(spins[..., dead == DOWN] == -1)
    coins = spins[..., dead == FLOATING].astype(np.float64)
    n = 64 * 30
    assert np.abs(coins.mean(axis=(0, 1))).max() < 5 / np.sqrt(n)
    assert abs(coins.mean()) < 5 / np.sqrt(n * (dead == FLOATING).sum())
    if "noise" not in path:
        assert abs((coins[1:] * coins[:-1]).mean()) < 5 / np.sqrt(n * (dead == FLOATING).sum() * 29 / 30)
    assert spins[..., dead == ALIVE].mean() > 0.9
    assert spins[..., dead == ALIVE].mean(axis=(0, 1)).min() > 5 / np.sqrt(n)


def test_a_floating_cell_is_still_heard_by_others() -> None:
    """Of two cells coupled at 2 kT the one that works copies the one that floats: correlation tanh 2 to 5 / sqrt(n)."""
    seed = next(s for s in range(1, 99) if list(dead_cells(Dead(floating=0.5), 2, s)) == [ALIVE, FLOATING])
    cell = {"kind": "pbit", "dead": {"floating": 0.5}}
    chip = Chip(config({"kind": "edges", "cells": 2, "pairs": [[0, 1]]}, 64, cell=cell, seeds={"die": seed, "run": 1}))
    spins = run(chip, 60, 127, 0)[10:].astype(np.float64)
    first = chip.plant.topology.order[0]
    other = spins[1:, :, 1] if first == 1 else spins[:-1, :, 1]
    mine = spins[1:, :, 0]
    assert abs((mine * other).mean() - np.tanh(127 / 64)) < 5 / np.sqrt(mine.size)


def test_defects_change_no_draw_of_the_die() -> None:
    errors = {"element_sigma": 0.03, "gain_sigma": 0.02, "offset_sigma_lsb": 0.5}
    dies = []
    for probability, dead in ((0.0, {}), (0.05, DEAD)):
        dac = {**errors, "stuck_bit_probability": probability}
        cell = {"kind": "pbit", "offset_sigma_kt": 0.2, "slope_sigma": 0.05, "dead": dead}
        dies.append(Chip(config(GRID, 4, coupling={"gain_sigma": 0.05, "dac": dac}, bias={"dac": dac}, cell=cell)).plant.die)
    for name in ("coupling", "bias"):
        for a, b in zip(getattr(dies[0], name)[:3], getattr(dies[1], name)[:3], strict=True):
            assert np.array_equal(a, b)
    assert all(np.array_equal(getattr(dies[0], name), getattr(dies[1], name)) for name in ("kappa", "alpha", "delta"))
