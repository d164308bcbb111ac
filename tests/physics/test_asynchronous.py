"""Asynchronous p-bits against the exact generator of their Markov chain; their synapses against integration in small steps."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from tsu_apps.characterise.laws import Generator, boltzmann, effective_samples, number, states, total_variation, tv_bound
from tsu_emu.analog import free
from tsu_emu.analog.async_pbit import ARRHENIUS, GLAUBER, Bank, live
from tsu_emu.analog.choice import clocks_of
from tsu_emu.analog.fan import network_of
from tsu_emu.analog.glauber import grid_of, rounds_of
from tsu_emu.analog.pbit import slopes_of
from tsu_emu.noise.streams import Stream
from tsu_emu.noise.threefry import threefry

TAU = 1e-7
CODE = {"glauber": GLAUBER, "arrhenius": ARRHENIUS}
KINETICS = pytest.mark.parametrize("kinetics", list(CODE))
NOTHING: dict[int, int] = {}
ALL = np.uint64(2**64 - 1)
Floats = NDArray[np.float64]


class Cells:
    """64 `blocks` planes of cells, all at -1 at first; couplers wherever J is not 0. Heat baths without delay live in rounds."""

    def __init__(self, J: Floats, h: Floats, tau: Floats | float, blocks: int, kinetics: str, **more: Any) -> None:
        n, fixed = len(h), more.get("fixed", NOTHING)
        present = J != 0
        row = np.append(0, np.cumsum(present.sum(1))).astype(np.int64)
        self.network = network_of(row, np.nonzero(present)[1].astype(np.uint32))
        self.J, self.h, self.clocks = J[present], h, clocks_of(np.full(n, TAU) * tau / TAU)
        self.kinetics, self.tau_syn, self.dt = CODE[kinetics], more.get("tau_syn", 0.0), more.get("dt", TAU)
        self.in_rounds = kinetics == "glauber" and self.tau_syn == 0 and more.get("in_rounds", True)
        self.shared = more.get("shared", False)
        mask, value = np.zeros((2, blocks, n), np.uint64)
        for i, v in fixed.items():
            mask[:, i], value[:, i] = ALL, ALL if v > 0 else 0
        spins, x, T = np.zeros((blocks, n), np.uint64), -np.ones((64 * blocks, n)), np.full(64 * blocks, more.get("T", 1.0))
        self.bank = Bank(spins, mask, value, np.full(blocks, ALL), x, T)
        self.tick, self.key = 0, np.array([more.get("seed", 1), 0, Stream.ASYNCHRONOUS, 0], np.uint32)

    def run(self, ticks: int = 1) -> NDArray[np.int8]:
        """Spins (planes, cells) after so many ticks."""
        if self.in_rounds:
            self._run_in_rounds(ticks)
        else:
            args = (self.J, self.h, self.clocks, self.tau_syn, self.kinetics, self.bank)
            self.counted = live(self.network, *args, self.tick, ticks, self.dt, self.key)
        self.tick += ticks
        return self.spins()

    def _run_in_rounds(self, ticks: int) -> None:
        net, b = (self.network.row, self.network.source), self.bank
        code, slope = (np.empty(len(self.J), np.int32), np.empty(len(self.h), np.int32)), np.empty(len(b.x), np.float32)
        slopes_of(slope, grid_of(net[0], self.J, self.h, *code), 1.0, 4096.0 * b.temperature)
        bank, rounds = (b.spins, b.clamp_mask, b.clamp_value, b.enabled), rounds_of(self.clocks.tau, self.dt, self.shared)
        free.live(net, code, rounds, bank, slope, self.tick, ticks, self.key)

    def spins(self) -> NDArray[np.int8]:
        bits = (self.bank.spins[:, None, :] >> np.arange(64, dtype=np.uint64)[:, None]) & np.uint64(1)
        return (2 * bits.astype(np.int8) - 1).reshape(-1, len(self.h))

    def restart(self, start: int) -> None:
        """All planes to state number `start`, all that is heard to what is."""
        s = states(len(self.h))[start]
        self.bank.spins[:] = np.where(s > 0, ALL, np.uint64(0))
        self.bank.x[:] = s


def problem(seed: int, symmetric: bool) -> dict[str, Any]:
    """2 to 5 cells, couplings of either sign, unequal time constants, some cells pinned, at one of several temperatures."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 6))
    J = rng.normal(0, 0.6, (n, n)) * (rng.random((n, n)) < 0.8)
    J = np.triu(J, 1) + np.triu(J, 1).T if symmetric else J - np.diag(np.diag(J))
    pinned = rng.choice(n, int(rng.integers(0, 2)), replace=False) if n > 2 else []
    return {
        "J": J, "h": rng.normal(0, 0.4, n), "tau": TAU * np.exp(rng.normal(0, 0.5, n)), "T": float(rng.choice([0.75, 1.0, 2.0])),
        "fixed": {int(i): int(rng.choice([-1, 1])) for i in pinned},
    }  # fmt: skip


def allowed(start: int, fixed: dict[int, int]) -> int:
    for i, v in fixed.items():
        start = start | 1 << i if v > 0 else start & ~(1 << i)
    return start


@cache
def transient(kinetics: str, seed: int, time: float) -> tuple[NDArray[np.int64], int]:
    """State numbers of an asymmetric chip, all independent, a time after one and the same state, and that state."""
    q = problem(seed, False)
    cells = Cells(**q, blocks=32, kinetics=kinetics, seed=seed, dt=time)
    start = allowed(seed % (1 << len(q["h"])), q["fixed"])
    samples = []
    for _ in range(8):
        cells.restart(start)
        samples.append(number(cells.run()))
    return np.concatenate(samples), start


@KINETICS
@pytest.mark.parametrize("seed", range(20))
def test_the_law_of_the_state_after_a_time_is_the_generators(seed: int, kinetics: str) -> None:
    """Asymmetric chips, .2 to 2 tau after one state; TV of 16,384 independent samples below E[TV] + 4 sd."""
    q, time = problem(seed, False), TAU * np.random.default_rng(seed).uniform(0.2, 2)
    samples, start = transient(kinetics, seed, time)
    p = Generator.of(**q, kinetics=kinetics).after(time)[start]
    assert total_variation(samples, p) < tv_bound(np.clip(p, 0, 1), len(samples))


WRONG = ["nothing", "all cells as fast", "couplers transposed", "time 1.3 times as long", "other kinetics", "T 1.3 times as high"]


@KINETICS
@pytest.mark.parametrize("wrong", WRONG)
def test_the_comparison_notices_a_wrong_generator(wrong: str, kinetics: str) -> None:
    """Power check: of 20 chips, at least 16 must fail their bound against the law of a chip that differs in one thing."""
    noticed = 0
    for seed in range(20):
        q, time, law = problem(seed, False), TAU, kinetics
        samples, start = transient(kinetics, seed, time)
        if wrong.startswith("all"):
            q["tau"] = np.full_like(q["tau"], TAU)
        elif wrong.startswith("couplers"):
            q["J"] = q["J"].T
        elif wrong.startswith("time"):
            time *= 1.3
        elif wrong.startswith("other"):
            law = "glauber" if kinetics == "arrhenius" else "arrhenius"
        elif wrong.startswith("T"):
            q["T"] *= 1.3
        p = np.clip(Generator.of(**q, kinetics=law).after(time)[start], 0, 1)
        noticed += total_variation(samples, p) > tv_bound(p, len(samples))
    assert noticed == 0 if wrong == "nothing" else noticed >= 16


@pytest.mark.parametrize("seed", range(20, 26))
def test_each_of_the_planes_that_share_a_clock_has_the_law_of_the_generator(seed: int) -> None:
    """Asymmetric chips, a time after one state; TV of 4,096 independent samples, one plane of each block, below E[TV] + 4 sd.

    Power check: the law of 1.4 times the time is beyond it for at least one of the planes 0, 17 and 63, whose laws are the same.
    """
    q, time, blocks = problem(seed, False), 0.7 * TAU, 64
    cells = Cells(**q, blocks=blocks, kinetics="glauber", seed=seed, dt=time, shared=True)
    start = allowed(seed % (1 << len(q["h"])), q["fixed"])
    runs = []
    for _ in range(64):
        cells.restart(start)
        runs.append(number(cells.run()).reshape(blocks, 64))
    samples, g = np.concatenate(runs), Generator.of(**q, kinetics="glauber")
    right, wrong = (np.clip(g.after(t)[start], 0, 1) for t in (time, 1.4 * time))
    distances = [
        [total_variation(samples[:, plane], p) / tv_bound(p, len(samples)) for plane in (0, 17, 63)] for p in (right, wrong)
    ]
    assert max(distances[0]) < 1
    assert max(distances[1]) > 1


DRAWS, BLOCKS, BURN = 60, 8, 40


def stationary(cells: Cells) -> NDArray[np.int64]:
    cells.run(BURN)
    return np.concatenate([number(cells.run()) for _ in range(DRAWS)])


@KINETICS
@pytest.mark.parametrize("symmetric", [True, False], ids=["symmetric", "asymmetric"])
@pytest.mark.parametrize("seed", range(100, 107))
def test_the_stationary_law_is_the_null_vector_of_the_generator(seed: int, symmetric: bool, kinetics: str) -> None:
    """TV below E[TV] + 4 sd with N_eff from the gap; if symmetric that law is Boltzmann's, whatever the time constants."""
    q = problem(seed, symmetric)
    samples = stationary(Cells(**q, blocks=BLOCKS, kinetics=kinetics, seed=seed))
    p, gap = Generator.of(**q, kinetics=kinetics).stationary(q["fixed"])
    bound = tv_bound(p, effective_samples(DRAWS, 64 * BLOCKS, np.exp(-gap * TAU), 1))
    assert total_variation(samples, p) < bound
    ideal = boltzmann(0.5 * (q["J"] + q["J"].T), q["h"], q["T"], q["fixed"])
    if symmetric:
        assert np.abs(ideal - p).max() < 1e-9
    elif 0.5 * np.abs(ideal - p).sum() > 2 * bound:
        assert total_variation(samples, ideal) > bound


FRUSTRATED = {
    "h": np.array([0.3, -0.2, 0.1, 0.4, -0.3]),
    "J": np.array([
        [0.0, 0.5, -0.3, 0.4, 0.2], [0.5, 0.0, 0.4, -0.4, 0.2], [-0.3, 0.4, 0.0, 0.3, 0.5],
        [0.4, -0.4, 0.3, 0.0, -0.4], [0.2, 0.2, 0.5, -0.4, 0.0],
    ]),
}  # fmt: skip
UNEQUAL = TAU * np.exp([-1.0, 0.2, 0.4, -0.5, 0.0])


def settled(kinetics: str, tau: Floats, tau_syn: float, starts: int) -> NDArray[np.int64]:
    """Independent state numbers of FRUSTRATED, 2,048 for each of the states 0 .. `starts` - 1, 20 TAU after it."""
    cells = Cells(**FRUSTRATED, tau=tau, blocks=32, kinetics=kinetics, tau_syn=tau_syn, dt=2 * TAU)
    samples = []
    for k in range(starts):
        cells.restart(k)
        samples.append(number(cells.run(10)))
    return np.concatenate(samples)


@KINETICS
def test_unequal_time_constants_alone_do_not_change_the_law_but_with_slow_synapses_they_do(kinetics: str) -> None:
    """16,384 independent samples; TV to Boltzmann within its bound at tau_syn = 0, beyond twice that at tau_syn = TAU.

    The samples remember at most 2e-3 of their start, against a bound of .03.
    """
    p = boltzmann(**FRUSTRATED, T=1.0, fixed={})
    for tau in (np.full(5, TAU), UNEQUAL):
        _, gap = Generator.of(**FRUSTRATED, T=1.0, tau=tau, kinetics=kinetics, fixed={}).stationary({})
        assert np.exp(-gap * 20 * TAU) < 2e-3
        samples = settled(kinetics, tau, 0.0, 8)
        assert total_variation(samples, p) < tv_bound(p, len(samples))
    delayed = settled(kinetics, UNEQUAL, TAU, 8)
    assert total_variation(delayed, p) > 2 * tv_bound(p, len(delayed))


def brute_force(kinetics: str, tau_syn: float, starts: int) -> NDArray[np.int64]:
    """As `settled`, 1,024 for each start, in steps of TAU/40 by numpy's generator: exact to O(step)."""
    rng, step = np.random.default_rng(5), TAU / 40
    J, h = FRUSTRATED["J"], FRUSTRATED["h"]
    s = np.repeat(states(5)[:starts], 1024, axis=0)
    x = s.copy()
    fade = np.exp(-step / tau_syn)
    for _ in range(800):
        field = (s + (x - s) * np.sqrt(fade)) @ J + h
        rate = 1 - np.tanh(s * field) if kinetics == "glauber" else np.exp(-s * field)
        x = s + (x - s) * fade
        s = np.where(rng.random(s.shape) < -np.expm1(-rate * (step / (2 * TAU))), -s, s)
    return number(s.astype(np.int8))


@KINETICS
@pytest.mark.parametrize("ratio", [0.3, 1.0])
def test_synapse_delay_moves_the_law_as_integration_in_small_steps_says(ratio: float, kinetics: str) -> None:
    """TV between 16,384 samples of ours and 8,192 of the integration within the bound of both; both differ from Boltzmann.

    E[TV] and its standard deviation are those of one sample of size 1 / (1/a + 1/b).
    """
    p = boltzmann(**FRUSTRATED, T=1.0, fixed={})
    ours, theirs = settled(kinetics, np.full(5, TAU), ratio * TAU, 8), brute_force(kinetics, ratio * TAU, 8)
    q = np.bincount(theirs, minlength=32) / len(theirs)
    assert total_variation(ours, q) < tv_bound(q, 1 / (1 / len(ours) + 1 / len(theirs)))
    assert total_variation(ours, p) > tv_bound(p, len(ours))
    assert total_variation(theirs, p) > tv_bound(p, len(theirs))


def test_the_error_by_synapse_delay_grows_with_the_delay() -> None:
    """Glauber, tau_syn / tau = 0, .1, .3, 1: TV to Boltzmann, each step up by more than 4 sd of either (1/2 / sqrt(N))."""
    p = boltzmann(**FRUSTRATED, T=1.0, fixed={})
    errors = [total_variation(settled("glauber", np.full(5, TAU), r * TAU, 16), p) for r in (0.0, 0.1, 0.3, 1.0)]
    assert np.all(np.diff(errors) > 4 * 0.5 / np.sqrt(16 * 2048))


def up_probability(kinetics: str, J: float, time: float, tau_syn: float) -> float:
    """Of a cell that starts at -1 and hears J x(t), x rising from -1 to +1; its rate equation integrated to 1e-10."""

    def slope(t: float, p: Floats) -> Floats:
        field = J * (1 - 2 * np.exp(-t / tau_syn)) + 0.2
        up, down = np.exp([field, -field]) if kinetics == "arrhenius" else 1 + np.tanh([field, -field])
        return ((1 - p) * up - p * down) / (2 * TAU)

    return float(solve_ivp(slope, (0, time), [0.0], rtol=1e-10, atol=1e-12).y[0, -1])


@KINETICS
@pytest.mark.parametrize("J", [-1.5, 1.5])
@pytest.mark.parametrize("pieces", [1, 7])
def test_a_field_that_moves_within_a_tick_drives_the_cell_as_its_rate_equation_says(kinetics: str, J: float, pieces: int) -> None:
    """A cell hears a clamped one: P(+1) at TAU within 4.5 binomial s.e. of 32,768 planes; half the delay is noticed."""
    more = {"tau_syn": 0.7 * TAU, "dt": TAU / pieces, "fixed": {0: 1}}
    cells = Cells(np.array([[0, 0], [J, 0]]), np.array([0, 0.2]), TAU, 64, kinetics, **more)
    up = []
    for _ in range(8):
        cells.restart(0)
        up.append(cells.run(pieces)[:, 1] > 0)
    p = up_probability(kinetics, J, TAU, 0.7 * TAU)
    error = 4.5 * np.sqrt(p * (1 - p) / 32768)
    assert abs(np.mean(up) - p) < error
    assert abs(np.mean(up) - up_probability(kinetics, J, TAU, 0.35 * TAU)) > error
    assert np.allclose(cells.bank.x[:, 0], 1 - 2 * np.exp(-1 / 0.7), rtol=0, atol=1e-12)


def test_what_is_heard_of_a_cell_relaxes_to_it_exactly() -> None:
    """x after a tick of TAU/1000 in planes whose cell kept its spin; where it flipped, x lies between the two extremes."""
    cells = Cells(np.zeros((3, 3)), np.zeros(3), TAU, 16, "glauber", tau_syn=0.1 * TAU, dt=TAU / 1000)
    for _ in range(200):
        x, s = cells.bank.x.copy(), cells.spins()
        after = cells.run()
        kept, fade = s == after, np.exp(-0.01)
        assert np.allclose(cells.bank.x[kept], (s + (x - s) * fade)[kept], rtol=0, atol=1e-12)
        assert np.all(np.abs(cells.bank.x - x)[~kept] < 2 * (1 - fade))
    assert np.abs(cells.bank.x).min() < 0.9


@KINETICS
@pytest.mark.parametrize("bias", [0.0, 0.7, 1.4])
def test_the_memory_of_a_biased_cell_is_flat_in_glauber_and_1_over_cosh_in_arrhenius_kinetics(kinetics: str, bias: float) -> None:
    """Correlation over .7 TAU of 65,536 independent pairs, 8 TAU apart, against e^(-.7) or e^(-.7 cosh h); 4.5 s.e. of a mean."""
    cells = Cells(np.zeros((8, 8)), np.full(8, bias), TAU, 16, kinetics, dt=0.1 * TAU)
    products = []
    for _ in range(8):
        before = cells.run(80) - np.tanh(bias)
        products.append(before * (cells.run(7) - np.tanh(bias)) / (1 - np.tanh(bias) ** 2))
    measured, error = np.mean(products), 4.5 * np.std(products) / np.sqrt(np.size(products))
    expected = {"glauber": np.exp(-0.7), "arrhenius": np.exp(-0.7 * np.cosh(bias))}
    assert abs(measured - expected[kinetics]) < error
    assert abs(measured - expected[kinetics] ** 2) > error
    if bias > 0:
        assert abs(measured - expected["glauber" if kinetics == "arrhenius" else "arrhenius"]) > error


def fluxes(J: Floats, kinetics: str) -> tuple[Floats, Floats, Floats]:
    """(net flux between pairs of states over TAU/2, its standard error, the generator's) of 4 cells.

    The error is that of the mean over 1,024 planes, and one count where a pair is too rare for that.
    """
    h, tau, dt = FRUSTRATED["h"][:4], UNEQUAL[:4], TAU / 2
    cells = Cells(J, h, tau, 16, kinetics, dt=dt)
    cells.run(60)
    path = np.array([number(cells.run()) for _ in range(300)])
    counts = np.zeros((path.shape[1], 16, 16))
    np.add.at(counts, (np.arange(path.shape[1]), path[:-1], path[1:]), 1 / (len(path) - 1))
    net = counts - counts.transpose(0, 2, 1)
    generator = Generator.of(J, h, 1.0, tau, kinetics, {})
    exact = generator.flux(generator.stationary({})[0], dt)
    error = np.hypot(net.std(0) / np.sqrt(len(net)), 1 / (len(net) * (len(path) - 1)))
    return net.mean(0), error, exact


@KINETICS
def test_a_symmetric_chip_is_in_detailed_balance_and_an_asymmetric_one_has_the_flux_of_its_generator(kinetics: str) -> None:
    """All 120 pair fluxes within 4.5 s.e. of the exact ones, which are 0 if symmetric and beyond 20 s.e. of 0 if not."""
    J = FRUSTRATED["J"][:4, :4]
    measured, error, exact = fluxes(J, kinetics)
    assert np.abs(exact).max() < 1e-12
    assert (np.abs(measured) / error).max() < 4.5
    measured, error, exact = fluxes(J * (1 + 0.9 * np.triu(np.ones((4, 4)))), kinetics)
    assert (np.abs(measured - exact) / error).max() < 4.5
    assert (np.abs(measured) / error).max() > 20


def graph(n: int, degree: int, seed: int) -> dict[str, Any]:
    """Arguments of a ring of n cells, each hearing `degree` others."""
    rng = np.random.default_rng(seed)
    J = np.zeros((n, n))
    for d in range(1, degree // 2 + 1):
        J[np.arange(n), (np.arange(n) + d) % n] = rng.normal(0, 0.4, n)
        J[np.arange(n), (np.arange(n) - d) % n] = rng.normal(0, 0.4, n)
    return {"J": J, "h": rng.normal(0, 0.3, n), "tau": TAU * np.exp(rng.normal(0, 0.5, n)), "fixed": {3: 1, 5: -1}}


@KINETICS
@pytest.mark.parametrize("tau_syn", [0.0, 0.001 * TAU, 0.3 * TAU])
@pytest.mark.parametrize(("n", "degree"), [(70, 6), (12, 11)])
def test_neither_the_grouping_of_ticks_nor_other_planes_change_a_bit(n: int, degree: int, tau_syn: float, kinetics: str) -> None:
    """12 ticks at once, in pieces, and with a random half of the planes; disabled planes keep what they have."""
    more = {"kinetics": kinetics, "tau_syn": tau_syn, "T": 0.8, "seed": 7}
    whole, pieces, half, other = (Cells(**graph(n, degree, 0), blocks=2, **more) for _ in range(4))
    whole.run(12)
    for ticks in (1, 1, 5, 0, 3, 2):
        pieces.run(ticks)
    assert np.array_equal(whole.bank.spins, pieces.bank.spins)
    assert np.array_equal(whole.bank.x, pieces.bank.x)
    half.bank.enabled[:] = np.random.default_rng(1).integers(0, 1 << 64, 2, dtype=np.uint64)
    half.run(12)
    on = half.bank.enabled[:, None]
    assert np.array_equal(half.bank.spins, whole.bank.spins & on)
    awake = ((half.bank.enabled[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)).ravel() > 0
    assert np.array_equal(half.bank.x[awake], whole.bank.x[awake])
    assert np.all(half.bank.x[~awake] == -1)
    other.tick = 12
    other.run(12)
    assert not np.array_equal(other.bank.spins, whole.bank.spins)


def by_the_list(q: dict[str, Any], cells: Cells, plane: int, tick: int, s: Floats, x: Floats) -> Floats:
    """x after one tick of Cells(**q), every event drawn by its counter and x relaxed from event to event; s changes in place."""
    J, h, tau, arrhenius, t, event = q["J"], q["h"], q["tau"], cells.kinetics == ARRHENIUS, 0.0, 0
    free = ~np.isin(np.arange(len(h)), list(q["fixed"]))

    def rates(heard: Floats) -> Floats:
        return np.exp(-s * (J @ heard + h)) / (2 * tau) * free

    def bounds() -> Floats:
        """(2, cells): bounds of the rates, and the times until which they hold."""
        now, end = -s * (J @ x + h), -s * (J @ s + h)
        level, span = np.maximum(now, -12) + 1, np.full(len(h), np.inf)
        high = np.where((end <= level) | (level >= 12), np.maximum(now, end), level)
        short = high < end
        span[short] = cells.tau_syn * np.log((end - now)[short] / (end - level)[short])
        return np.stack([np.exp(np.clip(high, -12, 12)) / (2 * tau) * free, np.where(free, t + span, np.inf)])

    bound = bounds()
    while True:
        counter = np.array([event, plane, tick & 0xFFFFFFFF, tick >> 32], np.uint32)
        a, b, c, d = (int(w) for w in threefry(*counter, *cells.key))
        wait = -np.log((a + 0.5) / 2**32)
        while arrhenius and bound[1].min() < cells.dt and (bound[1].min() - t) * bound[0].sum() < wait:
            until = bound[1].min()
            wait -= (until - t) * bound[0].sum()
            x = s + (x - s) * np.exp(-(until - t) / cells.tau_syn)
            t, due = until, bound[1].argmin()
            bound[:, due] = bounds()[:, due]
        wait /= np.sum(bound[0] if arrhenius else 1 / tau)
        x = s + (x - s) * np.exp(-min(wait, cells.dt - t) / cells.tau_syn)
        t, event, u = t + wait, event + 1, (d + 0.5) / 2**32
        if t >= cells.dt:
            return x
        if arrhenius:
            part = ((b << 20) + (c >> 12) + 0.5) / 2**52
            i = int(np.searchsorted(np.cumsum(bound[0]), part * bound[0].sum(), side="right"))
            flips = u * bound[0, i] < rates(x)[i]
        else:
            i, part = divmod((((b << 32) + c) * len(h)) >> 32, 1 << 32)
            i = i if part / 2**32 < cells.clocks.keep[i] else int(cells.clocks.other[i])
            flips = free[i] and (u < 1 / (1 + np.exp(-2 * (h[i] + J[i] @ x)))) != (s[i] > 0)
        s[i] = -s[i] if flips else s[i]
        changed = (np.arange(len(h)) == i) | (flips & (J[:, i] != 0))
        bound = np.where(changed, bounds(), bound)


@KINETICS
@pytest.mark.parametrize(("n", "degree"), [(9, 2), (6, 5)])
@pytest.mark.parametrize(("delay", "length"), [(0.4, 3), (0.03, 20)])
def test_a_tick_is_the_list_of_events_that_its_words_say(delay: float, length: float, n: int, degree: int, kinetics: str) -> None:
    """Three ticks about 2^32, spins exactly and x to 1e-12, against a loop over events that keeps no fields.

    With the shorter delay a tick is so long in tau_syn that lags get new origins of time within it.
    """
    q = graph(n, degree, 5)
    cells = Cells(**q, blocks=1, kinetics=kinetics, seed=6, tau_syn=delay * TAU, dt=length * TAU)
    first = cells.tick = (1 << 32) - 1
    cells.run(3)
    for plane in (0, 41):
        s, x = -np.ones(n), -np.ones(n)
        s[list(q["fixed"])] = list(q["fixed"].values())
        for tick in range(first, first + 3):
            x = by_the_list(q, cells, plane, tick, s, x)
        assert np.array_equal(cells.spins()[plane], s)
        assert np.allclose(cells.bank.x[plane], x, rtol=0, atol=1e-12)


def test_synapses_too_fast_to_matter_leave_the_path_of_glauber_cells_as_it_is() -> None:
    """With tau_syn = 1e-9 TAU every event sees settled synapses: 20 ticks are those without delay, event by event."""
    more = {"blocks": 1, "kinetics": "glauber", "in_rounds": False}
    without, fast = (Cells(**graph(40, 6, 2), tau_syn=t, **more) for t in (0.0, 1e-9 * TAU))
    for _ in range(20):
        assert np.array_equal(without.run(), fast.run())
        assert np.array_equal(fast.bank.x, fast.spins())


@KINETICS
def test_clamped_cells_take_their_value_at_once_and_keep_it(kinetics: str) -> None:
    """And the others go on: with clamps released, the cell that the bias opposes flips back."""
    cells = Cells(np.zeros((2, 2)), np.array([-2.0, 0.0]), TAU, 4, kinetics, fixed={0: 1})
    cells.run(0)
    assert np.all(cells.spins() == [1, -1])
    for _ in range(20):
        assert np.all(cells.run(2)[:, 0] == 1)
    assert 0 < np.mean(cells.spins()[:, 1] > 0) < 1
    cells.bank.clamp_mask[:] = 0
    assert np.mean(cells.run(10)[:, 0]) < -0.8


def test_events_come_at_the_rate_of_the_clocks() -> None:
    """Glauber: 64 planes, 50 TAU: sum 1/tau events a second within 5 sqrt(mean); flips are those with P = 1/2 at zero field."""
    cells = Cells(np.zeros((3, 3)), np.zeros(3), TAU * np.array([1.0, 0.1, 4.0]), 1, "glauber", in_rounds=False)
    cells.run(50)
    events, flips = cells.counted
    mean = 64 * 50 * (1 + 10 + 0.25)
    assert abs(events - mean) < 5 * np.sqrt(mean)
    assert abs(flips - events / 2) < 5 * np.sqrt(events / 4)


def test_attempts_of_arrhenius_cells_at_low_temperature_are_few() -> None:
    """24 cells at T = .01 with a delay of .03 TAU, after a random start: less than 4 attempts to a flip.

    With bounds that hold until the next flip that a cell hears it would be hundreds: the greatest rate is 160,000 times 1/TAU.
    """
    n, rng = 24, np.random.default_rng(2)
    J = np.triu(rng.normal(0, 0.5, (n, n)), 1)
    cells = Cells(J + J.T, np.zeros(n), TAU, 1, "arrhenius", tau_syn=0.03 * TAU, T=0.01)
    cells.bank.spins[:] = rng.integers(0, 1 << 64, (1, n), dtype=np.uint64)
    cells.bank.x[:] = cells.spins()
    cells.run()
    events, flips = cells.counted
    assert flips > 64 * n / 4
    assert events < 4 * flips
