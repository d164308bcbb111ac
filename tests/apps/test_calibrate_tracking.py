"""Drift is measured as it is, the policy keeps what it promises, and a workload notices nothing of corrections."""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tsu_driver as tsu
from tsu_apps.calibrate import Calibrator, Drift, Policy, Tracker, Work, measure_drift, set_aside
from tsu_apps.calibrate.cells import SERVO
from tsu_apps.calibrate.drift import held_squares
from tsu_apps.models import Boltzmann, exact
from tsu_driver import Linear

sys.path.append(str(Path(__file__).resolve().parents[2] / "tools"))

from tsu_testing.in_process import InProcessChip, open_in_process

TRIMS = {"trim.bits": 9, "trim.offset_full_scale_kt": 0.8, "fabric.planes": 64}
SIGMA, TAU_S = 0.03, 600.0
OU = TRIMS | {"cell.offset_drift.ou_sigma": SIGMA, "cell.offset_drift.ou_tau_s": TAU_S}
STEP_KT = 0.8 / 256


def chip_of(changes: dict[str, Any], die_seed: int = 1) -> InProcessChip:
    """Sixteen p-bits."""
    return open_in_process("ideal-16", die_seed=die_seed, run_seed=die_seed, changes=changes)


def ou(seconds: Any) -> Any:
    return 2 * SIGMA**2 * -np.expm1(-np.asarray(seconds) / TAU_S)


def law(lags: list[float]) -> Drift:
    """The drift of `OU`, known to a percent."""
    square = ou(lags)
    return Drift(np.array(lags), square, 0.01 * square, 1e-6)


LAGS = [15.0 * 2**k for k in range(8)]


# Drift


def test_a_drift_is_measured_as_configured() -> None:
    """To five standard errors from its scatter over cells and what is correlated between lags; power: neither none, nor twice."""
    found = {}
    for scale in (0, 1, 2):
        with chip_of(
            TRIMS | ({k: v for k, v in OU.items() if "sigma" not in k} | {"cell.offset_drift.ou_sigma": scale * SIGMA})
        ) as c:
            found[scale] = measure_drift(Work.of(c, 0.25), c.instruments.skip, (60.0, 600.0), 17)
    assert found[1].lags_s.tolist() == [60.0, 120.0, 240.0, 480.0, 600.0, 1200.0, 2400.0, 4800.0]
    z = {scale: (drift.square - ou(drift.lags_s)) / drift.error for scale, drift in found.items()}
    assert abs(z[1]).max() < 5
    assert abs(found[0].square / found[0].error).max() < 5
    assert z[2].max() > 5
    assert abs(z[0]).max() > 5


def test_the_law_goes_through_what_was_measured_and_on() -> None:
    drift = law(LAGS)
    assert drift.after(LAGS) == pytest.approx(ou(LAGS), rel=0.01)
    between = np.array([20.0, 100.0, 700.0])
    assert drift.after(between) == pytest.approx(ou(between), rel=0.03)
    assert drift.after([0.0, 1e6])[0] == 0
    walk = Drift(np.array(LAGS), 1e-6 * np.array(LAGS), np.full(8, 1e-7), 1e-6)
    assert walk.after(1e5) == pytest.approx(0.1, rel=0.05)


def test_what_corrections_leave_is_what_they_leave_of_simulated_offsets() -> None:
    """200 Ornstein-Uhlenbeck processes, 2,000 steps, whose corrections are of order one step: a mean square has a relative
    error of at most sqrt(2 / (200 x 2000 / 20)), the correlation being some 10 steps either way."""
    rng, interval, cells, steps = np.random.default_rng(3), 100.0, 200, 2000
    keep = np.exp(-interval / TAU_S)
    for gain in (0.2, 0.5, 1.0):
        x = SIGMA * rng.standard_normal(cells)
        trim, total = np.zeros(cells), 0.0
        for k in range(steps):
            trim += gain * (x - trim)
            x = keep * x + SIGMA * np.sqrt(1 - keep**2) * rng.standard_normal(cells)
            total += float(np.mean((x - trim) ** 2)) if k >= 50 else 0.0
        exact_law = Drift(np.array(LAGS), ou(LAGS), np.full(8, 1e-9), 1e-6)
        (expected,) = held_squares(exact_law, interval, [gain])
        assert total / (steps - 50) == pytest.approx(expected, rel=0.05)
    assert held_squares(exact_law, interval, [1.0])[0] == pytest.approx(float(exact_law.after(interval)))


# The policy


def test_the_policy_is_the_cheapest_that_holds() -> None:
    drift = law(LAGS)
    cheap, dear = (Policy.choose(drift, 0.02, 1000, step_kt=STEP_KT, pause_s=pause) for pause in (1e-4, 0.1))
    assert dear.interval_s > cheap.interval_s
    assert dear.samples > cheap.samples
    for plan in (cheap, dear):
        (drifted,) = held_squares(drift, plan.interval_s, [plan.gain])
        left = drifted + plan.gain / (2 - plan.gain) / plan.samples + STEP_KT**2 / 12
        assert 0.95 * plan.expected_kt < np.sqrt(left) < plan.expected_kt < 0.02
        assert held_squares(drift, 1.5 * plan.interval_s, [plan.gain])[0] > drifted
    assert Policy.choose(drift, 0.02, 16, step_kt=STEP_KT).expected_kt < cheap.expected_kt
    with pytest.raises(ValueError, match=r"drift too much in 15 s, the shortest lag measured, to be held within 0\.004 kT"):
        Policy.choose(drift, 0.004, 1000, step_kt=STEP_KT)


# Setting a workload aside

WINDOWS = ("COUPLING", "BIAS", "PLANE_TEMP", "CLAMP_MASK", "CLAMP_VALUE", "SOFT", "TRIM_SLOPE")
REGISTERS = ("TEMP.TDAC", "TEMP.STEP", "TEMP.SCHEDULE", "CORR.CTRL", "CORR.COUNT", "FABRIC.SCAN")


def programmed(chip: InProcessChip) -> dict[str, bytes]:
    """What a chip holds of a workload, read from it."""
    batch = chip.batch()
    windows = {name: batch.read_window(name) for name in WINDOWS}
    registers = {name: batch.read(name) for name in REGISTERS} | {"enabled": batch.read("FABRIC.PLANE_ENABLE", 0)}
    batch.execute()
    held = {name: ticket.value.tobytes() for name, ticket in windows.items()}
    return held | {name: ticket.value.to_bytes(4) for name, ticket in registers.items()}


def test_all_that_a_workload_had_is_there_again() -> None:
    with chip_of(OU) as chip:
        rng, pairs = np.random.default_rng(1), chip.topology.pairs
        chip.program_couplings((pairs, 0.5 * rng.standard_normal(len(pairs))), rng.standard_normal(16))
        chip.clamp([3, 5], rng.choice([-1, 1], (64, 2)), range(64))
        chip.soft_clamp([7], [0.5], [1, 2])
        chip.plane_temperatures(np.linspace(0.5, 2, 64))
        chip.set_scan_order("palindromic")
        chip.configure_correlator(data_planes=8, free_planes=range(8, 16), tau_data=5, tau_free=5)
        chip.schedule(Linear(2.0, 0.5, 100))
        chip.run(20)
        chip.enable_planes([0, 2, 9])
        chip.run(3)
        before, spins = programmed(chip), chip.read()
        with set_aside(chip):
            chip.unclamp()
            chip.enable_planes(64)
            chip.plane_temperatures(1.0)
            chip.program_couplings(None)
            chip.sample(50)
            assert sum(value != before[name] for name, value in programmed(chip).items()) == 8
        assert programmed(chip) == before
        assert np.array_equal(chip.read(), spins)
        with pytest.raises(tsu.HostError), set_aside(chip):
            chip.clamp([16], [1])
        assert programmed(chip) == before


def test_a_calibration_neither_hears_nor_changes_what_a_workload_has_running() -> None:
    """Offsets of an ideal chip, on which a soft field of .5 kT pulls all cells while the correlator counts: trims stay within 5
    standard errors and half a step of 0. Power: the field, had it pulled, would have moved them by 160 steps."""
    with chip_of(TRIMS) as chip:
        chip.soft_clamp(range(16), np.full(16, 0.5))
        chip.configure_correlator(data_planes=8, free_planes=range(8, 16), tau_data=5, tau_free=5)
        chip.run(20)
        before, spins = programmed(chip), chip.read()
        calibrator = Calibrator.of(Work.of(chip, 0.05), ["offsets"])
        calibrator.run_self_test()
        for action in (calibrator.calibrate_all, calibrator.maintain):
            action()
            assert programmed(chip) == before
            assert np.array_equal(chip.read(), spins)
        assert abs(chip.trims()[0]).max() * STEP_KT < 5 / np.sqrt(0.05 * SERVO[-1]) + 0.5 * STEP_KT
        assert before["SOFT"] != bytes(len(before["SOFT"]))


def test_asynchronous_cells_go_on_from_where_they_were() -> None:
    with open_in_process("smtj-64") as chip:
        pairs = chip.topology.pairs
        chip.program_couplings((pairs, np.full(len(pairs), 0.3)), np.full(64, 0.2))
        chip.run(50)
        spins, work = chip.read(), Work.of(chip)
        with set_aside(chip):
            work.quiet()
            work.loosen()
            chip.run(50)
            assert not np.array_equal(chip.read(), spins)
        assert np.array_equal(chip.read(), spins)


def moments(chip: InProcessChip, runs: int, between: Any) -> Any:
    """(planes, pairs) means of products over runs of one sweep each, `between` done before every one."""
    total = 0.0
    for _ in range(runs):
        between()
        spins = chip.sample(1)[0].astype(np.float64)
        total = total + np.stack([spins[:, i] * spins[:, j] for i, j in PAIRS], axis=1)
    return total / runs


PAIRS = list(combinations(range(6), 2))
SIX = TRIMS | {"fabric.topology.cells": 6, "coupling.dac.bits": 12, "bias.dac.bits": 12}


def test_a_workload_samples_its_law_although_it_is_interrupted_before_every_sweep() -> None:
    """Six cells, strongly coupled, so that a sweep forgets little: 15 products, errors from the spread of planes, 5 of them; code
    steps of 1 mkT move them by less than .002. Power: cells that are not put back are off by more."""
    rng = np.random.default_rng(4)
    values = 0.35 + 0.1 * rng.standard_normal(len(PAIRS))
    model = Boltzmann(np.array(PAIRS), values, np.zeros(6))
    states = np.where(np.arange(64)[:, None] >> np.arange(6) & 1, 1.0, -1.0)
    wanted = exact(model).probabilities @ np.stack([states[:, i] * states[:, j] for i, j in PAIRS], axis=1)
    with chip_of(SIX) as chip:
        work = Work.of(chip)
        work.adopt(good=np.zeros(6, np.bool_))  # so that trims stay, and the law is known
        tracker = Tracker(work, Policy(1.0, 640, 0.5, 0.01, 0.0))
        chip.program_couplings((np.array(PAIRS), values), corrected=False)
        chip.run(200)

        def off(between: Any) -> float:
            seen = moments(chip, 60, between)
            return float((abs(seen.mean(axis=0) - wanted) / (seen.std(axis=0, ddof=1) / 8 + 0.0004)).max())

        def spoiled() -> None:
            tracker.correct()
            codes = chip.batch()
            windows = [(name, codes.read_window(name)) for name in ("COUPLING", "BIAS")]
            codes.execute()
            work.loosen()
            chip.run(20)
            codes = chip.batch()
            for name, ticket in windows:
                codes.write_window(name, ticket.value)
            codes.execute()

        assert off(tracker.correct) < 5
        assert off(spoiled) > 10
        assert len(tracker.corrections) == 120


# Holding


def held(changes: dict[str, Any], gain: float) -> tuple[float, float]:
    """(rms offset just before corrections, by the truth; what the policy expects), over 120 intervals of a chip of 40 dies."""
    drift = law(LAGS)
    plan = Policy.choose(drift, 0.03, 1000, step_kt=STEP_KT, pause_s=1e-3)
    plan = Policy(plan.interval_s, plan.samples, gain if gain >= 0 else plan.gain, plan.expected_kt, plan.share)
    squares = []
    with chip_of(changes) as chip:
        chip.program_couplings(None, np.full(16, 0.5))
        chip.run(1)
        tracker = Tracker(Work.of(chip), plan)
        for k in range(130):
            assert tracker.keep() is None
            chip.instruments.skip(plan.interval_s)
            chip.run(1)
            if k >= 10:
                squares.append(np.mean(chip.oracle.truth("offset") ** 2))
            assert tracker.keep() is not None
    return float(np.sqrt(np.mean(squares))), plan.expected_kt


def test_offsets_are_held_as_the_policy_expects_and_not_without_it() -> None:
    """16 cells x 120 corrections, each forgotten after about two: a root mean square to 1 / sqrt(2 x 16 x 60) = 2.3 %, five of
    these either way of what is expected, and 2 % for the errors that the policy adds. Without corrections .03 kT is exceeded."""
    with_policy, expected = held(OU, -1.0)
    assert 0.88 * 0.98 < with_policy / expected < 1.12
    alone, _ = held(OU, 0.0)
    assert alone > 1.12 * expected
    assert alone == pytest.approx(SIGMA, rel=0.35)


def test_what_a_chip_lacks_is_said() -> None:
    with open_in_process("ideal-16") as chip, pytest.raises(ValueError, match="no trims"):
        Tracker(Work.of(chip), Policy(1.0, 100, 0.5, 0.01, 0.0))
    with chip_of(TRIMS) as chip, pytest.raises(ValueError, match="reference cells need the drift"):
        Tracker(Work.of(chip), Policy(1.0, 100, 0.5, 0.01, 0.0), reference=[1])
    with chip_of(TRIMS) as chip, pytest.raises(ValueError, match="2 readings"):
        measure_drift(Work.of(chip), chip.instruments.skip, readings=2)


# Reference cells

WARM = OU | {"cell.offset_tc_kt_per_k": 0.002, "thermal.r_th_k_per_w": "[1, 1]", "thermal.tau_s": "[0.01, 1]"}


def test_reference_cells_see_what_cells_share_and_nothing_else() -> None:
    """An ambient 40 K higher moves all offsets by .08 kT. Four reference cells among 16 ask for a correction then; over 150
    runs at constant ambient, with drift as measured, none does (1.5 % to be wrong), and a new problem is no alarm."""
    with chip_of(WARM) as chip:
        tracker = Tracker(Work.of(chip), Policy(1e9, 20_000, 1.0, 0.01, 0.0), drift=law(LAGS), reference=[0, 5, 10, 15])
        free, problem = np.isin(np.arange(16), [0, 5, 10, 15]), np.random.default_rng(1)

        def run(h: float) -> Any:
            chip.program_couplings(None, np.where(free, 0.0, h))
            return chip.sample(100)

        tracker.saw(run(0.3))
        for _ in range(150):
            chip.instruments.skip(float(problem.uniform(1, 100)))
            assert not tracker.saw(chip.sample(100))
        assert not tracker.due()
        assert not tracker.saw(run(-0.3))
        chip.instruments.ambient(340.0)
        chip.instruments.skip(10.0)
        assert tracker.saw(chip.sample(100))
        done = tracker.keep()
        assert done is not None
        assert done.asked
        assert done.seen_kt > 0.05
        assert not tracker.due()
        assert not tracker.saw(chip.sample(100))
