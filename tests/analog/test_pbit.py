"""The p-bit kernels against docs/arithmetic.md, flip by flip, and against one another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray

from reference import analog as reference
from serving import config
from tsu_emu.analog import sweep
from tsu_emu.analog.pbit import LANES, decide, slopes_of, update_cells, update_plane
from tsu_emu.chip import Chip

F = np.float32


@njit
def work_of_block(each: tuple[int, int], enabled: np.uint64, cells: int) -> int:
    return int(sweep.block_work(each, enabled, cells))


def flips(field: NDArray[np.int32], slope: NDArray[np.float32], noise: NDArray[np.uint32]) -> int:
    bits = np.empty(LANES, np.int32)
    return int(decide(field, slope, noise, 0, np.empty(LANES, F), bits.view(F), bits))


def word_at(c: np.float32, field: int, threshold: int) -> NDArray[np.uint32]:
    """Noise words round a threshold: 24-bit values from 32 below to 31 above it, the low byte arbitrary."""
    v = np.clip(threshold + np.arange(-32, 32), 0, (1 << 24) - 1).astype(np.uint32)
    return ((v << np.uint32(8)) | np.uint32(field & 0xFF))[None, :]


@pytest.mark.parametrize("seed", range(300))
def test_a_flip_changes_at_exactly_the_threshold_that_the_arithmetic_page_gives(seed: int) -> None:
    """The 24-bit threshold is exact, so the last bit of the polynomial and the comparison are seen."""
    rng = np.random.default_rng(seed)
    c = F(-2.885390 * 2.0 ** -rng.integers(4, 17) * rng.uniform(0.2, 4))
    field = int(rng.integers(-(1 << 20), 1 << 20)) >> int(rng.integers(0, 20))
    with np.errstate(over="ignore"):
        threshold = int(reference.flip_threshold(c, field))
    noise = word_at(c, field, threshold)
    word = flips(np.full(LANES, field, np.int32), np.full(LANES, c), noise)
    expected = sum((int(v) < threshold) << k for k, v in enumerate(noise[0] >> np.uint32(8)))
    assert word == expected


def test_the_probability_of_plus_one_is_the_sigmoid_of_twice_the_field_over_temperature() -> None:
    """P(+1) = 1 / (1 + exp(-2 I / T)) within 3e-7, twice the step of the 24-bit word and the polynomial's error."""
    for field_kt, temperature in [(0.0, 1.0), (0.3, 1.0), (-0.7, 0.5), (1.5, 2.0), (-3.0, 1.0), (5.0, 1.0)]:
        slope = np.empty(LANES, F)
        slopes_of(slope, 2.0**16, temperature, np.full(1, 4096, np.uint16))
        threshold = int(reference.flip_threshold(slope[0], round(field_kt * 2**16)))
        exact = 1 / (1 + np.exp(-2 * round(field_kt * 2**16) / 2**16 / temperature))
        assert abs(threshold / (1 << 24) - exact) < 3e-7


def bank_of(chip: Chip, planes: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(1)
    s = chip.state
    s.spins[:] = rng.integers(0, 1 << 64, s.spins.shape, dtype=np.uint64)
    s.clamp_mask[:] = rng.integers(0, 1 << 64, s.spins.shape, dtype=np.uint64) & rng.integers(
        0, 1 << 64, s.spins.shape, dtype=np.uint64
    )
    for block in range(len(s.enabled)):
        s.enabled[block] = np.uint64((1 << min(max(planes - 64 * block, 0), 64)) - 1)
    slopes_of(s.slope, chip._plant.die.scale, 1.0, s.plane_temp)
    chip._plant.doubled[:] = 2 * rng.integers(-20_000, 20_000, len(chip._plant.doubled))
    chip._plant.base[:] = rng.integers(-30_000, 30_000, len(chip._plant.base))
    return (s.spins, s.clamp_mask, s.clamp_value, s.enabled, s.slope)


GRAPHS = [
    {"kind": "grid", "width": 13, "height": 11, "rules": [[1, 0], [2, 1]]},
    {"kind": "dense", "cells": 9},
    {"kind": "dense", "cells": 40},
    {"kind": "bipartite", "visible": 37, "hidden": 70},
    {"kind": "grid", "width": 128, "height": 100, "rules": [[1, 0], [2, 1]]},
]


@pytest.mark.parametrize("graph", GRAPHS, ids=lambda g: f"{g['kind']} {g.get('width', '')}")
@pytest.mark.parametrize("kernel", ["this processor's", "by plane", "one thread", "two threads", "three threads", "few planes"])
@pytest.mark.parametrize("by_aes", [False, True], ids=["Threefry", "AES"])
def test_every_kernel_gives_the_same_spins(graph: dict[str, Any], kernel: str, by_aes: bool) -> None:
    """Plane by plane, in rows, in vectors, in chunks and blocks over threads: noise and decisions of the portable kernel."""
    results = []
    planes = 3 if kernel == "few planes" else 128
    for name in ("portable", kernel):
        chip = Chip(config(graph, planes=128))
        t, bank, noise = chip._plant.topology, bank_of(chip, planes), (chip._plant.key, by_aes)
        chip._plant.rows.fresh[0] = 0
        net, code = (t.order, t.row, t.source), (chip._plant.doubled, chip._plant.base, chip._plant.soft[:0])
        for tick, visit in ((3, 0), (1 << 40, 0), (4, 5)):
            if "thread" in name or name == "few planes":
                phases = np.array([(colour, visit, tick) for colour in range(len(t.phase) - 1)])
                threads = {"one thread": 1, "two threads": 2, "three threads": 3}.get(name, 1)
                sweep.update_phases(net, tuple(chip._plant.rows), code, bank, t.phase, phases, noise, threads)
                continue
            for low, high in zip(t.phase[:-1], t.phase[1:], strict=True):
                for block in (0, 1):
                    if name == "by plane":
                        for plane in range(64):
                            update_plane(net, code, bank, 64 * block + plane, low, high, visit, tick, noise)
                    else:
                        update = sweep.update_cells if name == "this processor's" else update_cells
                        update(net, code, bank, block, low, high, visit, tick, noise)
        results.append(chip.state.spins.copy())
    assert np.array_equal(results[0], results[1])


SHARED = [({"kind": "grid", "width": 192, "height": 192, "rules": [[1, 0], [2, 1]]}, 3), ({"kind": "dense", "cells": 203}, 64)]


@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize("by_aes", [False, True], ids=["Threefry", "AES"])
@pytest.mark.parametrize(("graph", "planes"), SHARED, ids=["few planes", "halves"])
def test_threads_share_many_sweeps_of_one_block(graph: dict[str, Any], planes: int, by_aes: bool, threads: int) -> None:
    """A bundle long enough for threads, with clamps and soft clamps where they may be, is what one thread makes of it."""
    results = []
    for count in (1, threads):
        chip = Chip(config(graph, planes=64))
        t, bank, noise = chip._plant.topology, bank_of(chip, planes), (chip._plant.key, by_aes)
        chip._plant.rows.fresh[0] = 0
        soft = np.random.default_rng(2).integers(-9_000, 9_000, (1, len(t.order), 64), dtype=np.int32)
        code = (chip._plant.doubled, chip._plant.base, soft if planes == 64 else soft[:0])
        phases = np.array([(colour, 0, tick) for tick in range(40) for colour in range(len(t.phase) - 1)])
        couplers, cells = len(t.source), len(t.order)
        in_rows = len(chip._plant.rows.first) > 1 and not by_aes
        work = work_of_block(sweep.cell_work(couplers, cells, in_rows), bank[3][0], 40 * cells)
        assert work >= (sweep.PARALLEL_FROM if planes == 64 else sweep.SHARED_FROM * len(phases))
        sweep.update_phases((t.order, t.row, t.source), tuple(chip._plant.rows), code, bank, t.phase, phases, noise, count)
        results.append(chip.state.spins.copy())
    assert np.array_equal(results[0], results[1])
