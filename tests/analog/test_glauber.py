"""Rounds of free p-bits: candidates and their order by what they promise, updates by docs/arithmetic.md, in every kernel."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import poisson

from reference.analog import flip_threshold
from tsu_emu.analog import free, glauber
from tsu_emu.analog.glauber import Rounds, Visits, grid_of, rounds_of
from tsu_emu.analog.pbit import slopes_of
from tsu_emu.lanes.target import HAS_VECTORS
from tsu_emu.noise.streams import Stream
from tsu_emu.noise.threefry import threefry

KEY = np.array([9, 0, Stream.ASYNCHRONOUS, 0], np.uint32)
ALL = np.uint64(2**64 - 1)
Floats = NDArray[np.float64]
KERNELS: list[ModuleType] = [glauber]
if HAS_VECTORS:
    from tsu_emu.analog import glauber512

    KERNELS.append(glauber512)


def words(c0: int, c1: int, turn: int) -> list[int]:
    """Threefry of the stream."""
    counter = np.array([c0, c1, turn & 0xFFFFFFFF, turn >> 32], np.uint32)
    return [int(w) for w in threefry(*counter, *KEY)]


def drawn(rounds: Rounds, turn: int, block: int = 0, kernel: ModuleType = free) -> Visits:
    """The visits of a round."""
    visits = Visits(np.empty(rounds.tail.size, np.int32), np.empty(rounds.tail.size, np.uint64))
    count = kernel.draw(rounds, block, turn, KEY, visits)
    return Visits(visits.cell[:count], visits.planes[:count])


def bits(planes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """(n, 64) 0 or 1."""
    return ((planes[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)).astype(np.int64)


def numbers(rounds: Rounds, turns: int) -> NDArray[np.int64]:
    """(turns, cells, 64) candidates."""
    out = np.zeros((turns, len(rounds.row) - 1, 64), np.int64)
    for turn in range(turns):
        visits = drawn(rounds, turn)
        np.add.at(out[turn], visits.cell, bits(visits.planes))
    return out


TAU = np.array([1.0, 0.5, 3.0, 0.05, 1.0, 1.7])


def test_candidates_have_poissons_law() -> None:
    """Six cells, 200 rounds, 64 planes: each number's frequency within 5 s.e.; half and double the rate are noticed."""
    rounds, turns = rounds_of(TAU, 1.0, False), 200
    found = numbers(rounds, turns)
    total = turns * 64

    def worst(factor: float) -> float:
        gaps = []
        for i, tau in enumerate(TAU):
            p = poisson.pmf(np.arange(8), factor / (tau * rounds.turns))
            frequency = np.bincount(found[:, i].ravel(), minlength=8)[:8] / total
            gaps.append(np.abs(frequency - p)[p * total > 20] / np.sqrt(p * (1 - p) / total)[p * total > 20])
        return float(np.concatenate(gaps).max())

    assert worst(1.0) < 5
    assert worst(0.5) > 20
    assert worst(2.0) > 20


def test_candidates_of_planes_and_cells_are_independent() -> None:
    """Correlations of numbers over 2,000 rounds between all planes of a cell and all cells of a plane within 5 / sqrt(2,000).

    Planes that share their candidates would have 1.
    """
    found = numbers(rounds_of(np.ones(8), 1.0, False), 2000).astype(np.float64)
    for series in (found[:, 3], found[:, :, 17]):
        c = np.corrcoef(series.T)
        off = c[~np.eye(len(c), dtype=bool)]
        assert np.abs(off).max() < 5 / np.sqrt(2000)
    assert np.corrcoef(found[:, 3, 0], found[:, 3, 0])[0, 1] > 0.99


def test_in_a_round_all_orders_are_equally_likely() -> None:
    """A plane with one candidate in each of three cells: the 6 orders of 4,000 rounds within 5 s.e. of 1/6 of them."""
    rounds = rounds_of(np.ones(3), 1.0, False)
    rounds = rounds._replace(row=np.array([0, 1, 2, 3]), tail=np.full(3, 1 << 31, np.uint32))
    orders: dict[tuple[int, ...], int] = {}
    for turn in range(4000):
        visits = drawn(rounds, turn)
        cells = tuple(visits.cell[bits(visits.planes)[:, 5] > 0].tolist())
        if len(cells) == 3:
            orders[cells] = orders.get(cells, 0) + 1
    total = sum(orders.values())
    assert abs(total - 500) < 5 * np.sqrt(4000 / 8 * 7 / 8)
    assert len(orders) == 6
    assert all(abs(n - total / 6) < 5 * np.sqrt(total * 5 / 36) for n in orders.values())


def test_planes_that_share_a_clock_share_every_candidate() -> None:
    """Each visit is of all 64 planes, a cell's numbers have Poisson's law over 4,000 rounds, and a round may be long."""
    rounds = rounds_of(TAU, 1.0, True)
    assert rounds.turns == 2
    found = numbers(rounds, 4000)
    assert np.array_equal(found, np.broadcast_to(found[..., :1], found.shape))
    for i, tau in enumerate(TAU):
        mean = 1 / (tau * rounds.turns)
        assert abs(found[:, i, 0].mean() - mean) < 5 * np.sqrt(mean / 4000)
        assert abs(found[:, i, 0].var() - mean) < 5 * np.sqrt((mean + 2 * mean**2) / 4000)


def by_the_page(rounds: Rounds, block: int, turn: int) -> list[tuple[int, int]]:
    """Visits as docs/arithmetic.md says."""
    visits: list[tuple[int, int]] = []
    for i in range(len(rounds.row) - 1):
        quarters = [words(i, 64 * block + p % 16, turn) for p in range(16)]
        u = [quarters[p % 16][p // 16] for p in range(64)]
        for tail in rounds.tail[rounds.row[i] : rounds.row[i + 1]].tolist():
            planes = sum((u[0 if rounds.shared else p] < tail) << p for p in range(64))
            if planes == 0:
                break
            n = len(visits)
            place = words(n >> 2, 65536 + 64 * block, turn)[n & 3] * (n + 1) >> 32
            visits.append((i, planes))
            visits[n], visits[place] = visits[place], visits[n]
    return visits


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k.__name__)
@pytest.mark.parametrize("turn", [0, (1 << 33) + 5])
@pytest.mark.parametrize("shared", [False, True])
def test_a_round_is_the_list_of_visits_that_its_words_say(shared: bool, turn: int, kernel: ModuleType) -> None:
    """Block 1, 70 cells of unequal time constants."""
    rounds = rounds_of(np.exp(np.random.default_rng(0).normal(0, 0.7, 70)), 1.0, shared)
    visits = drawn(rounds, turn, 1, kernel)
    assert list(zip(visits.cell.tolist(), visits.planes.tolist(), strict=True)) == by_the_page(rounds, 1, turn)


class Chip:
    """A random graph of so many cells with couplers 0 .. `degree` to a cell, in two blocks, some spins clamped, random spins."""

    def __init__(self, cells: int, degree: int, temperatures: bool) -> None:
        rng = np.random.default_rng(cells)
        counts = rng.integers(0, degree + 1, cells)
        self.row = np.append(0, np.cumsum(counts)).astype(np.int64)
        self.source = np.concatenate([np.sort(rng.choice(cells, n, replace=False)) for n in counts]).astype(np.uint32)
        self.doubled, self.base = np.zeros(len(self.source), np.int32), np.zeros(cells, np.int32)
        self.J, self.h = rng.normal(0, 0.3, len(self.source)), rng.normal(0, 0.5, cells)
        scale = grid_of(self.row, self.J, self.h, self.doubled, self.base)
        self.spins, mask, thin = rng.integers(0, 1 << 64, (3, 2, cells), dtype=np.uint64)
        self.mask, self.enabled = mask & thin, np.array([ALL, rng.integers(0, 1 << 64, dtype=np.uint64)])
        self.slope = np.empty(128, np.float32)
        slopes_of(self.slope, scale, 1.0, 4096.0 * (rng.uniform(0.1, 3, 128) if temperatures else np.ones(128)))

    def args(self) -> tuple[Any, ...]:
        """net, code, bank and slope."""
        return (self.row, self.source), (self.doubled, self.base), (self.spins, self.mask, self.enabled), self.slope


CHIPS = [(150, 20, True), (150, 20, False), (9, 8, True), (40, 3, False)]


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("mean", [0.02, 0.25, 3.0])
@pytest.mark.parametrize(("cells", "degree", "temperatures"), CHIPS)
def test_every_kernel_gives_the_same_spins(cells: int, degree: int, temperatures: bool, mean: float, shared: bool) -> None:
    """Twenty rounds in each of two blocks, with few and with all planes in a visit."""
    rounds = rounds_of(np.exp(np.random.default_rng(1).normal(0, 0.5, cells)) / 0.25, 1.0, shared)
    p = np.minimum(rounds.tail * (mean / 0.25), 2**32 - 1).astype(np.uint32)
    rounds, results = rounds._replace(tail=p), []
    for kernel in KERNELS:
        chip = Chip(cells, degree, temperatures)
        net, code, bank, slope = chip.args()
        for turn in range(20):
            for block in (0, 1):
                visits = drawn(rounds, turn, block, kernel)
                kernel.play(net, code, bank, slope, block, turn, KEY, visits, len(visits.cell))
        results.append(chip.spins)
    assert all(np.array_equal(results[0], r) for r in results)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k.__name__)
def test_an_update_is_the_flip_of_the_arithmetic_page(kernel: ModuleType) -> None:
    """One round of 30 cells in block 1, every plane by itself in integers and the reference's threshold."""
    chip, turn = Chip(30, 6, True), 77
    rounds = rounds_of(np.ones(30), 0.5, False)
    up = bits(chip.spins[1]).T.copy()
    for step, (i, planes) in enumerate(by_the_page(rounds, 1, turn)):
        heard = slice(chip.row[i], chip.row[i + 1])
        for rank, p in enumerate(np.flatnonzero(bits(np.array([planes], np.uint64))[0])):
            u = words(step >> 2, 2 * 65536 + 64 + rank, turn)[step & 3]
            field = int(chip.base[i]) + int(chip.doubled[heard] @ up[p, chip.source[heard]])
            held = bool((int(chip.mask[1, i]) >> int(p)) & 1) or not (int(chip.enabled[1]) >> int(p)) & 1
            if not held:
                up[p, i] = u >> 8 < flip_threshold(chip.slope[64 + p], field)
    net, code, bank, slope = chip.args()
    visits = drawn(rounds, turn, 1, kernel)
    kernel.play(net, code, bank, slope, 1, turn, KEY, visits, len(visits.cell))
    assert np.array_equal(bits(chip.spins[1]).T, up)


def test_fields_are_on_the_finest_grid_that_holds_them() -> None:
    """Fields of all-up and all-down spins within half a step for each parameter, and all below 2^24 steps."""
    for size in (0.01, 1.0, 300.0):
        chip = Chip(150, 20, False)
        scale = grid_of(chip.row, size * chip.J, size * chip.h, chip.doubled, chip.base)
        sums = np.add.reduceat(np.append(chip.J, 0), chip.row[:-1]) * (np.diff(chip.row) > 0)
        steps = np.add.reduceat(np.append(chip.doubled, 0), chip.row[:-1]) * (np.diff(chip.row) > 0)
        for sign, fields in ((1, chip.base + steps), (-1, chip.base)):
            assert np.all(np.abs(fields / scale - size * (chip.h + sign * sums)) <= 0.5 * (np.diff(chip.row) + 1) / scale)
        bound = size * (np.abs(chip.h) + np.add.reduceat(np.append(np.abs(chip.J), 0), chip.row[:-1]) * (np.diff(chip.row) > 0))
        assert bound.max() * scale < 2**24
        assert scale == 65536 or bound.max() * 2 * scale > 2**24 - 151


def inflation(shared: bool) -> Floats:
    """Variance of means over 64 planes in units of that of independent planes, for flips and spins of 5 coupled cells, 1 tau."""
    J, n = -0.4 * (1 - np.eye(5)), 5
    row, source = np.arange(0, 21, 4), np.nonzero(J)[1].astype(np.uint32)
    doubled, base, slope = np.zeros(20, np.int32), np.zeros(n, np.int32), np.empty(64, np.float32)
    slopes_of(slope, grid_of(row, J[J != 0], np.zeros(n), doubled, base), 1.0, np.full(64, 4096.0))
    rounds, spins, out = rounds_of(np.ones(n), 1.0, shared), np.zeros((1, n), np.uint64), []
    bank = (spins, np.zeros_like(spins), np.array([ALL]))
    before = bits(spins[0])
    for tick in range(1050):
        for turn in range(rounds.turns * tick, rounds.turns * (tick + 1)):
            visits = drawn(rounds, turn)
            free.play((row, source), (doubled, base), bank, slope, 0, turn, KEY, visits, len(visits.cell))
        after = bits(spins[0])
        out.append(np.concatenate([after != before, after]))
        before = after
    x = np.array(out[50:], np.float64)
    return x.mean(2).var(0) / (x.var((0, 2)) / 64)


def test_means_over_planes_scatter_as_over_independent_copies() -> None:
    """Variances over 1,000 ticks within 5 s.e., sqrt(2 / 500) as successive ticks are alike; shared candidates go far beyond.

    Of shared candidates flips are alike in all planes; spins are not, by detailed balance.
    """
    assert np.abs(inflation(False) - 1).max() < 5 * np.sqrt(2 / 500)
    assert inflation(True)[:5].min() > 3
    assert np.abs(inflation(True)[5:] - 1).max() < 5 * np.sqrt(2 / 500)
