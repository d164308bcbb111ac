"""The chip as a dimod sampler: its interface, its signs, its units, its scaling."""

from __future__ import annotations

import sys
import unittest
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tsu_driver as tsu
from serving import config, opened
from tsu_apps.characterise.laws import tv_bound
from tsu_apps.mapping.annealing import cooling, default_span, span
from tsu_apps.models import Boltzmann

dimod = pytest.importorskip("dimod")
pytest.importorskip("minorminer")

from tsu_apps.mapping.dimod_sampler import TsuSampler  # noqa: E402

PLANES = 32


@pytest.fixture(scope="module")
def chip() -> Iterator[tsu.Chip]:
    """A sparse one, so that most models need chains; updates cost energy."""
    ring = {"kind": "small-world", "cells": 40, "degree": 6, "rewiring": 0.2, "seed": 1}
    with opened(config(ring, PLANES, energy={"update_aj": 1000})) as (_, driver):
        yield driver


@pytest.fixture
def sampler(chip: tsu.Chip) -> Any:
    return TsuSampler(chip)


def random_bqm(variables: int, vartype: str, seed: int) -> Any:
    """Every pair and every variable has a bias in -1 .. 1, and there is an offset."""
    bqm = dimod.generators.gnm_random_bqm(variables, variables * (variables - 1) // 2, vartype, random_state=seed)
    rng = np.random.default_rng(seed)
    for v in bqm.variables:
        bqm.set_linear(v, rng.uniform(-1, 1))
    for u, v in bqm.quadratic:
        bqm.set_quadratic(u, v, rng.uniform(-1, 1))
    bqm.offset = 2.5
    return bqm


def test_dimods_own_tests_pass(sampler: Any) -> None:
    """Empty models, strange labels, large ratios of biases, all types of models."""
    dimod.testing.assert_sampler_api(sampler)
    suite = dimod.testing.load_sampler_bqm_tests(lambda: sampler)(type("Suite", (unittest.TestCase,), {}))
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(suite).run(result)
    assert result.testsRun >= 30
    assert [text for _, text in result.failures + result.errors] == []


@pytest.mark.parametrize("vartype", ["SPIN", "BINARY"])
@pytest.mark.parametrize("seed", range(3))
def test_the_least_energy_is_found_and_is_not_the_greatest(sampler: Any, vartype: str, seed: int) -> None:
    bqm = random_bqm(6, vartype, seed)
    exact = dimod.ExactSolver().sample(bqm).record.energy
    answers = sampler.sample(bqm, num_reads=PLANES)
    dimod.testing.assert_response_energies(answers, bqm)
    assert answers.vartype is bqm.vartype
    assert answers.first.energy == pytest.approx(exact.min())
    assert -sampler.sample(bqm * -1, num_reads=PLANES).first.energy == pytest.approx(exact.max())


def test_a_read_is_a_row_and_says_how_many_chains_broke(sampler: Any) -> None:
    reads = 2 * PLANES + 1
    answers = sampler.sample(random_bqm(6, "BINARY", 0), num_reads=reads, schedule=tsu.Table([(3.0, 5)]), chain_strength=0.0)
    assert answers.record.sample.shape == (reads, 6)
    assert set(np.unique(answers.record.sample)) == {0, 1}
    assert answers.record.chain_break_fraction.mean() > 0.2
    assert not sampler.sample(dimod.BQM.from_ising({"a": 1.0}, {}), num_reads=3).record.chain_break_fraction.any()


@pytest.mark.parametrize("vartype", ["SPIN", "BINARY"])
def test_temperatures_are_in_the_models_unit(sampler: Any, vartype: str) -> None:
    """Reads at T follow exp(-E / T): 100 sweeps at T make them independent, since the slowest mode halves in a sweep.

    Within E[TV] and 4 standard deviations of so many samples; half and double T and the other sign are not.
    """
    bqm = dimod.BQM.from_ising({0: 0.6, 2: -0.4, 4: 0.3}, {(0, 1): 1.0, (1, 2): -0.7, (2, 3): 0.8, (3, 4): -0.5})
    bqm = bqm.change_vartype(vartype, inplace=False)
    bqm.scale(17.0)
    exact, n = dimod.ExactSolver().sample(bqm), 100 * PLANES
    answers = sampler.sample(bqm, num_reads=n, schedule=tsu.Table([(25.0, 100)]))
    bits = 1 << np.arange(5)
    found = np.bincount((answers.record.sample > 0) @ bits[[answers.variables.index(v) for v in range(5)]], minlength=32) / n
    number = (exact.record.sample > 0) @ bits[[exact.variables.index(v) for v in range(5)]]

    def law(temperature: float) -> Any:
        p = np.zeros(32)
        p[number] = np.exp(-(exact.record.energy - exact.record.energy.min()) / temperature)
        return p / p.sum()

    def near(p: Any) -> bool:
        return bool(np.abs(found - p).sum() / 2 < tv_bound(p, n))

    assert near(law(25.0))
    assert not any(near(law(t)) for t in (12.5, 50.0, -25.0))
    assert (answers.info["temperature"], answers.info["clipped"]) == (pytest.approx(25.0), 0)
    assert answers.info["embedding"]["chain_max"] == 1


def codes(chip: tsu.Chip) -> tuple[int, int]:
    """Greatest of the coupling and bias codes."""
    batch = chip.batch()
    couplings, biases = batch.read_window("COUPLING"), batch.read_window("BIAS")
    batch.execute()
    return int(np.abs(couplings.value).max()), int(np.abs(biases.value).max())


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e6])
def test_all_codes_are_used_whatever_the_unit(sampler: Any, chip: tsu.Chip, factor: float) -> None:
    bqm = random_bqm(6, "SPIN", 1)
    bqm.scale(factor)
    info = sampler.sample(bqm, schedule=tsu.Table([(0.1 * factor, 10)])).info
    assert max(codes(chip)) == 127
    assert info["clipped"] == 0
    assert info["scale"] * info["chain_strength"] == pytest.approx(127 / 64)
    assert info["embedding"]["cells"] > 6
    assert info["residual_rms_lsb"] < 0.5


def test_a_hot_schedule_takes_its_room_from_the_codes(sampler: Any, chip: tsu.Chip) -> None:
    info = sampler.sample(random_bqm(6, "SPIN", 1), schedule=tsu.Linear(20.0, 1.0, 10)).info
    assert info["scale"] == pytest.approx(255 / 64 / 20, rel=1e-6)
    assert max(codes(chip)) < 64
    with pytest.raises(tsu.HostError, match=r"T = 0\.01 cannot be set; the chip reaches 0\.0784\d* \.\. 20"):
        sampler.sample(random_bqm(6, "SPIN", 1), schedule=tsu.Linear(20.0, 0.01, 10))


def test_info_tells_time_and_energy(sampler: Any, chip: tsu.Chip) -> None:
    """An update of a cell costs 1 fJ: 2 reads of 30 sweeps of all cells."""
    before = chip.seconds
    info = sampler.sample(random_bqm(6, "SPIN", 2), num_reads=2, schedule=tsu.Table([(1.0, 30)])).info
    assert info["chip_seconds"] == chip.seconds - before > 0
    assert info["energy_j"] == pytest.approx(2 * 30 * 40 * 1e-15)


def test_chains_are_kept_for_a_graph_and_follow_the_seed(sampler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    module = sys.modules["tsu_apps.mapping.dimod_sampler"]
    search = module.embed  # type: ignore[attr-defined]

    def counted(*arguments: Any, **more: Any) -> Any:
        calls.append(more["seed"])
        return search(*arguments, **more)

    monkeypatch.setattr(module, "embed", counted)
    short = tsu.Table([(1.0, 1)])
    for seed, size in ((0, 6), (0, 6), (1, 6), (1, 5)):
        sampler.sample(random_bqm(size, "SPIN", 3), schedule=short, seed=seed)
    assert calls == [0, 1, 1]


def test_the_default_schedule_cools_from_twice_the_greatest_field() -> None:
    model = Boltzmann(np.array([(0, 1), (1, 2)]), np.array([3.0, -4.0]), np.array([0.0, 12.0, 0.0]))
    hot, cold = default_span(model)
    assert (hot, cold) == (pytest.approx(26.0), pytest.approx(0.26))
    assert span(cooling(hot, cold)) == (pytest.approx(hot), pytest.approx(cold, abs=1e-8))
    assert default_span(model.with_values([0, 0], [0, 0, 0]))[0] == 1


def test_what_cannot_be_sampled_is_refused(sampler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="num_reads = 0; at least 1 is expected"):
        sampler.sample(random_bqm(3, "SPIN", 0), num_reads=0)
    with pytest.raises(ValueError, match="41 variables, the chip 40 cells"):
        sampler.sample(dimod.BQM.from_ising(dict.fromkeys(range(41), 1.0), {}))
    with pytest.raises(ValueError, match="this chip's cells are of the kind pdit"):
        TsuSampler(SimpleNamespace(kind="pdit"))  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "dimod", None)
    monkeypatch.delitem(sys.modules, "tsu_apps.mapping.dimod_sampler")
    with pytest.raises(ImportError, match=r"pip install 'tsu-driver\[dimod\]'"):
        __import__("tsu_apps.mapping.dimod_sampler")
