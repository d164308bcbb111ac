"""The engines through the driver, on emulated chips without errors.

Statistical tolerances are 5 standard errors of means of independent draws: of accumulators, or of planes looked at so far apart
that nothing is left of the last look.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import tsu_driver as tsu
from serving import config, opened
from tsu_driver import Instruction as I
from tsu_driver import Opcode, Term, UpdateRule

CELLS, PLANES = 40, 16
DAC = {"full_scale": 2.0, "bits": 8}
LSB, STEP = 2 / 128, 2 / 2048
"""Of the coupling and bias DACs, and of a 12-bit accumulator, kT."""
LEARN_AJ = 3_000_000
DATA, FREE = np.arange(6), np.arange(6, 16)


@contextmanager
def learner(planes: int = PLANES, **more: Any) -> Iterator[tsu.Chip]:
    """A dense chip of 780 pairs with an engine, whose kernels may have to be compiled first."""
    learning = {"bits": 12, "hostmem_words": 256}
    settings: dict[str, Any] = {"learning": learning, "coupling": {"dac": DAC}, "bias": {"dac": DAC}}
    with opened(config({"kind": "dense", "cells": CELLS}, planes, **settings | more)) as (_, chip):
        chip.timeout_s = 300
        yield chip


def off(seen: np.ndarray, expected: float) -> float:
    """Deviation of the mean of independent draws from its expectation, in standard errors."""
    return float(abs(seen.mean() - expected) / (seen.std() / np.sqrt(seen.size)))


def test_the_chip_carries_out_the_rule_of_the_host() -> None:
    """One LEARN changes every accumulator as UpdateRule says, to half a step of rounding and 1.5 2^-14 of each term's rate for
    each of its factors (a factor is rounded to 2^-14, a product again).

    Power: with any term left out the rule is off by more than that.
    """
    rng = np.random.default_rng(5)
    pair = (
        Term(0.30, ("c_data",)),
        Term(-0.25, ("c_free",)),
        Term(-0.20, ("w",)),
        Term(0.20, ("m_data_i", "m_data_j")),
        Term(-0.15, ("m_data_i", "m_free_j", "code")),
        Term(0.10, ("m_free_i", "one", "w")),
        Term(0.02, ("one",)),
        Term(-0.10, ("code",)),
    )
    bias = (
        Term(0.3, ("m_data",)),
        Term(-0.2, ("m_free",)),
        Term(-0.1, ("w", "w")),
        Term(0.05, ("one",)),
        Term(-0.1, ("code", "m_data")),
    )
    with learner() as chip:
        pairs = chip.topology.pairs
        chip.set_weights(rng.normal(0, 0.1, len(pairs)), rng.normal(0, 0.5, CELLS))
        chip.clamp(range(10), rng.choice([-1, 1], (len(DATA), 10)), DATA)
        chip.configure_correlator(data_planes=DATA, free_planes=FREE, tau_data=3, tau_free=7)
        chip.run(30)
        before, averages = chip.weights(), chip.correlations(same_weights=True)
        codes = np.floor((before.pairs / STEP + 8) / 16) * LSB, np.floor((before.biases / STEP + 8) / 16) * LSB
        done = chip.load_rule(UpdateRule(pair, bias), stochastic=False)
        assert (done.data_planes, done.free_planes) == (6, 10)
        assert max(np.abs(done.pair_errors).max(), np.abs(done.bias_errors).max()) < 1e-5
        chip.execute_program([I(Opcode.LEARN)])
        after = chip.weights()
        assert chip.learning().clipped == 0

        def deviation(rule: UpdateRule) -> float:
            """Greatest one, over what rounding may do."""
            moved = rule.pair_change(averages, pairs, before.pairs, codes[0]), rule.bias_change(averages, before.biases, codes[1])
            found = after.pairs - before.pairs, after.biases - before.biases
            worst = []
            for terms, change, seen in zip((pair, bias), moved, found, strict=True):
                rounding = sum(
                    abs(t.rate) * 1.5 * 2**-14 * len(t.factors) * 2.0 ** sum(f in ("w", "code") for f in t.factors) for t in terms
                )
                worst.append(np.abs(change - seen).max() / (STEP / 2 + rounding))
            return float(max(worst))

        assert deviation(UpdateRule(pair, bias)) < 1
        for k in range(len(pair)):
            assert deviation(UpdateRule(pair[:k] + pair[k + 1 :], bias)) > 3, pair[k]
        for k in range(len(bias)):
            assert deviation(UpdateRule(pair, bias[:k] + bias[k + 1 :])) > 3, bias[k]


def test_random_factors_and_roundings() -> None:
    """ "random" is uniform in -1 .. 1: mean 0 and mean square 1/3 over 780 pairs, and the same number in all terms. A change of a
    quarter of a step is made in a quarter of the pairs if rounded at random, in none to the nearest.

    Power: a mean square of 1/4 or 1/2, and a quarter made in an eighth, are off by more than 5 standard errors.
    """
    with learner() as chip:
        noise = UpdateRule((Term(0.5, ("random",)),), ())
        chip.load_rule(noise)
        chip.execute_program([I(Opcode.LEARN)])
        first = chip.weights().pairs / 0.5
        assert off(first, 0) < 5
        assert off(first**2, 1 / 3) < 5
        assert min(off(first**2, 1 / 4), off(first**2, 1 / 2)) > 5
        chip.set_weights(np.zeros(780), np.zeros(CELLS))
        chip.load_rule(UpdateRule((Term(0.5, ("random",)), Term(-0.5, ("random",)), Term(0.5, ("random", "random"))), ()))
        chip.execute_program([I(Opcode.LEARN)])
        square = chip.weights().pairs / 0.5
        assert (square >= 0).all()
        assert off(square, 1 / 3) < 5
        quarter = UpdateRule((Term(STEP / 4, ("one",)),), ())
        for stochastic, share in ((True, 0.25), (False, 0.0)):
            chip.set_weights(np.zeros(780), np.zeros(CELLS))
            chip.load_rule(quarter, stochastic=stochastic)
            chip.execute_program([I(Opcode.LEARN)])
            steps = chip.weights().pairs / STEP
            assert set(steps.tolist()) == ({0.0, 1.0} if stochastic else {0.0})
            if stochastic:
                assert off(steps, share) < 5 < off(steps, share / 2)


def test_stochastic_codes_and_frozen_weights() -> None:
    """An accumulator a quarter of the way between two codes gives the upper one in a quarter of the pairs; frozen ones keep
    their code. Power: an eighth would be more than 5 standard errors off."""
    with learner() as chip:
        frozen = np.arange(780) < 80
        chip.set_weights(np.full(780, LSB / 4), np.zeros(CELLS))
        chip.freeze(frozen)
        chip.load_rule(UpdateRule((), ()), stochastic_codes=True)
        chip.execute_program([I(Opcode.LEARN)])
        batch = chip.batch()
        ticket = batch.read_window("COUPLING")
        batch.execute()
        codes = ticket.value[chip.topology.couplers(*chip.topology.pairs.T)]
        assert not codes[frozen].any()
        assert off(codes[~frozen].astype(float), 0.25) < 5 < off(codes[~frozen].astype(float), 0.125)
        assert chip.learning().changed == 2 * codes.sum()


def test_gain_decays_and_energy_is_told() -> None:
    """100 updates by 1 % each: .99^100, to the rounding of 100 steps of 2^-31; 820 accumulators at their price."""
    with learner(energy={"learn_aj": LEARN_AJ}) as chip:
        chip.load_rule(UpdateRule((Term(0.1, ("one",)),), ()), gain_decay=0.01)
        chip.execute_program([I(Opcode.LOOP, 100), I(Opcode.LEARN), I(Opcode.END)])
        assert chip.gain() == pytest.approx(0.99**100, abs=1e-6)
        assert round(chip.energy().learn_j * 1e18) == LEARN_AJ * 100 * (780 + CELLS)
        status = chip.learning()
        assert (status.updates, status.saturated) == (100, 780)
        assert status.clipped > 0


def test_an_endless_program_learns_until_it_is_stopped() -> None:
    """A bias that data hold at +1 and the free planes at tanh b grows; spins drawn before the last LEARN are refused."""
    with learner() as chip:
        chip.stream(np.ones((3, 10), int), range(10), planes=DATA)
        chip.configure_correlator(data_planes=DATA, free_planes=FREE, tau_data=2, tau_free=2)
        chip.load_rule(UpdateRule((), (Term(0.01, ("m_data",)), Term(-0.01, ("m_free",)))))
        chip.start([I(Opcode.LOOP, 0), I(Opcode.CLAMP_NEXT, 6), I(Opcode.RUN, 2), I(Opcode.LEARN), I(Opcode.END)])
        chip.delay(50_000)
        assert len(set(chip.correlations().versions or ())) == 2
        assert chip.stop()
        weights = chip.weights()
        seen = weights.updates[0]
        assert weights.updates == (seen, seen)
        chip.delay(1000)
        assert chip.learning().updates == seen > 10
        assert weights.biases[:10].min() > weights.biases[10:].max() + 0.05
        chip.resume()
        chip.delay(50_000)
        assert chip.stop()
        assert chip.learning().updates > seen
        chip.execute_program([I(Opcode.LEARN)])
        assert chip.correlations().versions is not None
        with pytest.raises(tsu.StaleSamples):
            chip.read()
        chip.sample(1)
        assert chip.read().shape == (PLANES, CELLS)


def test_check_sums_of_the_chip() -> None:
    """Of codes that the host wrote, and of those that the engine did."""
    rng = np.random.default_rng(1)
    with learner(learning={"bits": 12}) as chip:
        chip.program_couplings(rng.normal(0, 0.3, (CELLS, CELLS)) * (1 - np.eye(CELLS)), rng.normal(0, 0.3, CELLS))
        chip.run(1)
        first = chip.verify_weights()
        batch = chip.batch()
        batch.write_window("BIAS", np.array([1, 2], np.int16), 4)
        batch.execute()
        with pytest.raises(tsu.StaleSamples):
            chip.verify_weights()
        chip.run(1)
        assert chip.verify_weights() != first
        chip.execute_program([I(Opcode.LEARN), I(Opcode.RUN, 1)])
        chip.verify_weights()


def test_clamps_follow_the_ring() -> None:
    """Rows of two words: what is clamped is what was pushed, whoever looks."""
    X = np.random.default_rng(2).choice([-1, 1], (90, 36))
    with learner() as chip:
        stream = chip.stream(X[:64], range(36), planes=DATA, cycle=False, capacity=64)
        chip.start([I(Opcode.LOOP, 15), I(Opcode.CLAMP_NEXT, 6), I(Opcode.RUN, 1), I(Opcode.END)])
        assert stream.push(X[64:], max_cycles=100_000) == 26
        chip.wait_halted()
        assert (stream.taken, stream.level, stream.underruns) == (90, 0, 0)
        assert (chip.read()[DATA][:, :36] == X[84:]).all()
        chip.clamp([39], [1])
        chip.run(1)
        assert (chip.read()[DATA][:, :36] == X[84:]).all()
        with pytest.raises(
            tsu.ChipFault, match="stalled at instruction 0, CLAMP_NEXT 7: the ring of examples ran dry and holds 0"
        ):
            chip.execute_program([I(Opcode.CLAMP_NEXT, 7)])
        assert chip.stop()
        chip.run(1)


def test_schedules_run_by_themselves() -> None:
    """Codes from sweep to sweep as docs/arithmetic.md has them: those that `anneal` programs, but that a half is rounded up."""
    with learner() as chip:
        lsb, code_max = 1 / 64, 255
        for schedule, halves in (
            (tsu.Linear(3.0, 1.0, 21), False),
            (tsu.Linear(1.0, 1.0 + 1 / 64, 3), True),
            (tsu.Logarithmic(3.0, 0.5, 10.0, 25), False),
            (tsu.Table([(2.0, 4), (1.5, 6), (1.0, 3)]), False),
        ):
            assert chip.schedule(schedule) == schedule
            seen = []
            for _ in range(30):
                chip.run(1)
                seen.append(chip.read_register("TEMP.TDAC"))
            steps = schedule.steps(lsb, code_max)
            annealed = np.repeat([code for code, _ in steps], [n for _, n in steps]).tolist()
            if halves:
                assert (seen[:3], annealed) == ([64, 65, 65], [64, 64, 65])
            else:
                assert seen[: len(annealed)] == annealed
            if not isinstance(schedule, tsu.Logarithmic):
                assert set(seen[len(annealed) :]) == {steps[-1][0]}
        assert chip.set_temperature(2.0) == 2.0
        chip.run(1)
        assert chip.read_register("TEMP.TDAC") == 128


def test_cold_planes_keep_their_law_and_their_role() -> None:
    """Loose cells in a field h on ladders of T = 1, 2, 4: <s> = tanh(h / T) of the planes at each rung, 40 cells by 200 rounds by
    2 ladders, independent (a loose cell is drawn anew in each sweep); the correlator's free role stays with the cold planes.

    Power: the law of the next rung is more than 10 standard errors off; and planes, followed by their number, mix the rungs.
    """
    multipliers, h = np.array([1.0, 2.0, 4.0]), 0.5
    with learner(planes=6) as chip:
        chip.program_couplings(h=np.full(CELLS, h))
        chip.set_ladders([[0, 2, 4], [1, 3, 5]], multipliers)
        chip.configure_correlator(data_planes=[], free_planes=[0, 1], tau_data=1, tau_free=1)
        by_rung, by_plane = [], []
        for _ in range(200):
            chip.execute_program([I(Opcode.RUN, 1), I(Opcode.STROBE), I(Opcode.SWAP)])
            ladders = chip.ladders()
            spins = chip.read()
            by_plane.append(spins[0])
            chip.run(1)
            by_rung.append(chip.read()[ladders])
            assert sorted(chip.cold_planes()) == sorted(ladders[:, 0])
            assert chip.correlations().free_means == pytest.approx(by_rung[-1][:, 0].mean(axis=0), abs=1e-9)
        s = np.array(by_rung, float)
        law = np.tanh(h / multipliers)
        for rung in range(3):
            assert off(s[:, :, rung], law[rung]) < 5
            assert off(s[:, :, rung], law[(rung + 1) % 3]) > 10
        assert off(np.array(by_plane, float), law[0]) > 10
        swaps = chip.swap_statistics()
        assert swaps.tried.tolist() == [[100, 100]] * 2
        assert ((swaps.acceptance > 0.05) & (swaps.acceptance < 0.95)).all()


def test_soft_clamps_pull() -> None:
    """<s> = tanh(h + f) by plane, 3,000 sweeps of 40 loose cells. Power: without the field, or twice it, > 20 standard errors."""
    fields = np.array([0.0, 0.5, -0.75])
    with learner(planes=3) as chip:
        chip.program_couplings(h=np.full(CELLS, 0.25))
        chip.soft_clamp(range(CELLS), np.repeat(fields[:, None], CELLS, axis=1))
        s = chip.sample(500, burn=1).astype(float)
        for plane, f in enumerate(fields):
            assert off(s[:, plane], np.tanh(0.25 + f)) < 5
            if f:
                assert min(off(s[:, plane], np.tanh(0.25)), off(s[:, plane], np.tanh(0.25 + 2 * f))) > 20
        chip.soft_unclamp()
        assert off(chip.sample(100, burn=1).astype(float), np.tanh(0.25)) < 5
