"""Clocked pdits against enumeration, against the chain of whole sweeps, and against the p-bits that two states make them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tsu_apps.characterise.laws import Chain, boltzmann, effective_samples, potts, total_variation, tv_bound
from tsu_emu.analog.pdit import CHROMATIC, PALINDROMIC, Bank, drive_clamps, scan, sweep, update_colour
from tsu_emu.noise.streams import Stream
from tsu_emu.noise.threefry import threefry

ALL = np.uint64(2**64 - 1)
Floats = NDArray[np.float64]
Problem = dict[str, Any]


class Cells:
    """64 `blocks` planes of pdits, all in state 0 at first; couplers wherever J is not 0; least free colours."""

    def __init__(self, J: Floats, h: Floats, T: float, fixed: dict[int, int], blocks: int, seed: int) -> None:
        n, present = len(h), J != 0
        colour = np.zeros(n, int)
        for i in range(n):
            taken = {int(colour[j]) for j in range(i) if present[i, j] or present[j, i]}
            colour[i] = next(c for c in range(n) if c not in taken)
        self.order = np.argsort(colour, kind="stable").astype(np.int64)
        self.bounds = np.append(0, np.cumsum(np.bincount(colour))).astype(np.int64)
        row = np.append(0, np.cumsum(present.sum(1))).astype(np.int64)
        self.net = (self.order, row, np.nonzero(present)[1].astype(np.uint32))
        self.J, self.h, self.k, self.tick = J[present], h.ravel().astype(float), h.shape[1], 0
        mask, pinned = np.zeros((blocks, n), np.uint64), np.zeros((64 * blocks, n), np.uint8)
        for i, a in fixed.items():
            mask[:, i], pinned[:, i] = ALL, a
        states = np.zeros((64 * blocks, n), np.uint8)
        self.bank = Bank(states, mask, pinned, np.full(blocks, ALL), np.full(64 * blocks, T))
        self.key = np.array([seed, 0, Stream.PDIT, 0], np.uint32)

    @property
    def colours(self) -> int:
        return len(self.bounds) - 1

    def run(self, phases: NDArray[np.int64] | int) -> NDArray[np.int64]:
        """State numbers (planes,), cell i with weight k^i, after these sweeps, or so many chromatic ones."""
        phases = scan(CHROMATIC, self.colours, self.tick, phases) if isinstance(phases, int) else phases
        sweep(self.net, self.J, self.h, self.bank, self.bounds, phases, self.tick, self.key)
        self.tick += len(phases)
        return self.numbers()

    def numbers(self) -> NDArray[np.int64]:
        return self.bank.states.astype(np.int64) @ self.k ** np.arange(len(self.order))


def problem(seed: int, symmetric: bool = True) -> Problem:
    """2 to 6 cells of 2 to 16 states, at most 1000 configurations; some cells pinned; couplings of either sign."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 7))
    k = int(rng.integers(2, min(16, int(1000 ** (1 / n) + 1e-9)) + 1))
    J = np.triu(rng.normal(0, 0.7, (n, n)) * (rng.random((n, n)) < 0.8), 1)
    J = J + J.T * (1 if symmetric else rng.uniform(-0.5, 1.5, (n, n)))
    pinned = rng.choice(n, int(rng.integers(0, 2)), replace=False)
    fixed = {int(i): int(rng.integers(k)) for i in pinned} if n > 2 else {}
    return {"J": J, "h": rng.normal(0, 0.5, (n, k)), "T": float(rng.choice([0.75, 1.0, 2.0])), "fixed": fixed}


DRAWS, EVERY, BLOCKS = 40, 4, 8


def draw(cells: Cells, order: int = CHROMATIC) -> NDArray[np.int64]:
    def phases(sweeps: int) -> NDArray[np.int64]:
        return scan(order, cells.colours, cells.tick, sweeps)

    cells.run(phases(60))
    return np.concatenate([cells.run(phases(EVERY)) for _ in range(DRAWS)])


def limit(p: Floats, second: float) -> float:
    return tv_bound(p, effective_samples(DRAWS, 64 * BLOCKS, second, EVERY))


@pytest.mark.parametrize("order", [CHROMATIC, PALINDROMIC])
@pytest.mark.parametrize("seed", range(15))
def test_pdits_sample_the_boltzmann_law_of_the_potts_energy(seed: int, order: int) -> None:
    """TV below E[TV] + 4 sd, N_eff from the second eigenvalue of a sweep (of a palindromic pair, per sweep)."""
    q = problem(seed)
    cells = Cells(**q, blocks=BLOCKS, seed=seed)
    samples, p, ranks = draw(cells, order), potts(**q), cells.order.tolist()
    stationary, second = Chain.of(**q, order=ranks if order == CHROMATIC else ranks + ranks[::-1]).stationary(p)
    assert np.abs(stationary - p).max() < 1e-9
    assert total_variation(samples, p) < limit(p, second if order == CHROMATIC else float(np.sqrt(second)))


@pytest.mark.parametrize("seed", range(100, 110))
def test_asymmetric_pdits_sample_the_stationary_law_of_their_sweep(seed: int) -> None:
    """Within its bound; and beyond it from the law of the symmetrised couplings, where the two differ enough."""
    q = problem(seed, symmetric=False)
    cells = Cells(**q, blocks=BLOCKS, seed=seed)
    samples = draw(cells)
    ideal = potts(0.5 * (q["J"] + q["J"].T), q["h"], q["T"], q["fixed"])
    p, second = Chain.of(**q, order=cells.order.tolist()).stationary(ideal)
    assert total_variation(samples, p) < limit(p, second)
    if 0.5 * np.abs(ideal - p).sum() > 2 * limit(p, second):
        assert total_variation(samples, ideal) > limit(p, second)


@cache
def free_samples(seed: int) -> tuple[NDArray[np.int64], float]:
    """Samples of a problem without pinned cells, and the second eigenvalue of its sweep."""
    q = problem(seed) | {"fixed": {}}
    cells = Cells(**q, blocks=BLOCKS, seed=seed)
    return draw(cells), Chain.of(**q, order=cells.order.tolist()).stationary(potts(**q))[1]


@pytest.mark.parametrize("wrong", ["couplings", "temperature", "a bias", "order of states"])
def test_the_comparison_notices_pdits_that_are_wrong(wrong: str) -> None:
    """Power check: J 1.7 times, T 1.4 times, one bias up by .6, states reversed: of 20 problems, at least 14 must fail."""
    noticed = 0
    for seed in range(20):
        q = problem(seed) | {"fixed": {}}
        samples, second = free_samples(seed)
        if wrong == "couplings":
            q["J"] = 1.7 * q["J"]
        elif wrong == "temperature":
            q["T"] *= 1.4
        elif wrong == "a bias":
            q["h"][0, 0] += 0.6
        else:
            q["h"] = q["h"][:, ::-1]
        p = potts(**q)
        noticed += total_variation(samples, p) > limit(p, second)
    assert noticed >= 14


@pytest.mark.parametrize("seed", range(200, 205))
def test_two_state_pdits_are_p_bits_with_half_the_coupling_and_half_the_difference_of_biases(seed: int) -> None:
    """[a = b] = (1 + s s') / 2 with s = 2 a - 1: the laws are equal to 1e-12, and the samples lie within their bound.

    With the coupling taken whole, they do not.
    """
    rng = np.random.default_rng(seed)
    n = 4
    J = np.triu(rng.normal(0, 1, (n, n)), 1)
    q = {"J": J + J.T, "h": rng.normal(0, 0.5, (n, 2)), "T": 0.9, "fixed": {}}
    bias = 0.5 * (q["h"][:, 1] - q["h"][:, 0])
    p = boltzmann(0.5 * q["J"], bias, q["T"], {})
    assert np.abs(p - potts(**q)).max() < 1e-12
    cells = Cells(**q, blocks=BLOCKS, seed=seed)
    samples = draw(cells)
    _, second = Chain.of(**q, order=cells.order.tolist()).stationary(p)
    assert total_variation(samples, p) < limit(p, second)
    whole = boltzmann(q["J"], bias, q["T"], {})
    assert total_variation(samples, whole) > limit(whole, second)


def test_a_random_order_given_as_colours_samples_the_same_law() -> None:
    """Phases drawn by the caller; the second eigenvalue is at most that of the average over the colours of one update."""
    q = problem(3) | {"fixed": {}}
    cells = Cells(**q, blocks=BLOCKS, seed=5)
    rng, p = np.random.default_rng(0), potts(**q)
    cells.run(rng.integers(0, cells.colours, (100, cells.colours)))
    samples = np.concatenate([cells.run(rng.integers(0, cells.colours, (20, cells.colours))) for _ in range(DRAWS)])
    groups = np.split(cells.order, cells.bounds[1:-1])
    noise = rng.normal(size=len(p))
    growth = []
    for _ in range(200):
        noise = np.mean([Chain.of(**q, order=g).apply(noise) for g in groups], axis=0)
        noise -= noise.sum() * p
        growth.append(np.abs(noise).sum())
        noise /= growth[-1]
    second = float(np.exp(np.mean(np.log(growth[100:])))) ** cells.colours
    assert total_variation(samples, p) < tv_bound(p, effective_samples(DRAWS, 64 * BLOCKS, second, 20))
    assert len(groups) > 1


def test_every_state_is_the_one_that_its_word_selects() -> None:
    """Three phases, one colour twice, against a loop that draws each word by its counter; 16 states, planes 64 to 127 clamped."""
    rng = np.random.default_rng(1)
    n, k = 7, 16
    J = rng.normal(0, 1, (n, n)) * (np.abs(np.subtract.outer(np.arange(n), np.arange(n))) == 1)
    cells = Cells(J, rng.normal(0, 1, (n, k)), 0.8, {2: 11}, 2, 9)
    cells.bank.clamp_mask[0] = 0
    tick, phases = (1 << 33) + 5, np.array([[1, 0, 1]])
    expected = cells.bank.states.copy()
    expected[64:, 2] = 11
    for visit, colour in enumerate(phases[0]):
        for rank in range(cells.bounds[colour], cells.bounds[colour + 1]):
            i = cells.order[rank]
            for plane in range(64 if i == 2 else 128):
                counter = (rank >> 2, plane + (visit << 16), tick & 0xFFFFFFFF, tick >> 32)
                word = threefry(*(np.uint32(c) for c in counter), *cells.key)[rank & 3]
                field = cells.h[i * k : i * k + k] + J[i] @ (expected[plane][:, None] == np.arange(k))
                sums = np.cumsum(np.exp((field - field.max()) / 0.8))
                expected[plane, i] = np.searchsorted(sums, (word + 0.5) / 2**32 * sums[-1], side="right")
    sweep(cells.net, cells.J, cells.h, cells.bank, cells.bounds, phases, tick, cells.key)
    assert np.array_equal(cells.bank.states, expected)
    assert len(np.unique(expected)) > 8


def test_palindromic_order_descends_in_odd_ticks_whatever_the_first() -> None:
    assert scan(PALINDROMIC, 3, 0, 3).tolist() == [[0, 1, 2], [2, 1, 0], [0, 1, 2]]
    assert scan(PALINDROMIC, 3, 1, 2).tolist() == [[2, 1, 0], [0, 1, 2]]
    assert scan(CHROMATIC, 3, 1, 2).tolist() == [[0, 1, 2], [0, 1, 2]]


@pytest.mark.parametrize("order", [CHROMATIC, PALINDROMIC])
def test_neither_the_grouping_of_sweeps_nor_other_planes_change_a_bit(order: int) -> None:
    q = problem(5)
    whole, pieces, half, colours = (Cells(**q, blocks=2, seed=4) for _ in range(4))
    half.bank.enabled[:] = np.random.default_rng(1).integers(0, 1 << 64, 2, dtype=np.uint64)
    for cells, parts in ((whole, [9]), (pieces, [1, 0, 3, 5]), (half, [9])):
        for sweeps in parts:
            cells.run(scan(order, cells.colours, cells.tick, sweeps))
    assert np.array_equal(whole.bank.states, pieces.bank.states)
    on = ((half.bank.enabled[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)).ravel() > 0
    assert np.array_equal(half.bank.states[on], whole.bank.states[on])
    assert not half.bank.states[~on].any()
    drive_clamps(colours.bank)
    for tick in range(9):
        for visit, c in enumerate(scan(order, colours.colours, tick, 1)[0]):
            low, high = colours.bounds[c], colours.bounds[c + 1]
            update_colour(colours.net, colours.J, colours.h, colours.bank, low, high, visit, tick, colours.key)
    assert np.array_equal(whole.bank.states, colours.bank.states)


def test_clamped_cells_take_their_pinned_state_at_once_and_keep_it() -> None:
    """A plane's clamp binds that plane alone; its neighbour hears the pinned state in the first sweep already."""
    J = np.array([[0.0, 50.0], [50.0, 0.0]])
    cells = Cells(J, np.zeros((2, 5)), 1.0, {1: 3}, 2, 1)
    cells.bank.clamp_mask[1] = 0
    for _ in range(5):
        cells.run(1)
        assert np.all(cells.bank.states[:64] == 3)
    assert np.all(cells.bank.states[64:, 0] == cells.bank.states[64:, 1])
    cells.run(0)
    assert np.mean(cells.bank.states[64:] == 3) < 0.5


def test_huge_fields_neither_overflow_nor_reach_impossible_states() -> None:
    """Fields of ±1e5 kT at T = .001: only the two states of the greatest field occur, each with 1/2 within 5 s.e."""
    h = np.full((1, 16), -1e5)
    h[0, [4, 15]] = 1e5
    cells = Cells(np.zeros((1, 1)), h, 1e-3, {}, 16, 1)
    states = np.concatenate([cells.run(1) for _ in range(8)])
    assert set(states.tolist()) == {4, 15}
    assert abs(np.mean(states == 4) - 0.5) < 5 * 0.5 / np.sqrt(len(states))


def test_each_plane_has_its_own_temperature() -> None:
    """P(state 1) = 1 / (1 + exp(-1/T)), 32 planes and 1,024 ticks a temperature, 5 binomial s.e.; they differ by more."""
    cells = Cells(np.zeros((1, 1)), np.array([[0.0, 1.0]]), 1.0, {}, 1, 1)
    cells.bank.temperature[:] = np.where(np.arange(64) < 32, 0.5, 2.0)
    states = np.array([cells.run(1) for _ in range(1024)])
    for planes, T in ((slice(0, 32), 0.5), (slice(32, 64), 2.0)):
        p, n = 1 / (1 + np.exp(-1 / T)), 32 * 1024
        assert abs(states[:, planes].mean() - p) < 5 * np.sqrt(p * (1 - p) / n)
        assert abs(states[:, planes].mean() - 1 / (1 + np.exp(-1))) > 5 * np.sqrt(p * (1 - p) / n)
