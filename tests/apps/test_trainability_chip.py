"""Correlation times, window errors and pilot runs of an emulated chip beside exact chains; wrong chains are refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tsu_driver as tsu
from apps.tools import tool
from tsu_apps.report import Row
from tsu_apps.trainability import on_chip, rungs
from tsu_apps.trainability.measure import Measured, deploy, measure, pilot
from tsu_apps.trainability.planted import Planted, planted
from tsu_apps.trainability.spectra import Chain, glauber, sweep
from tsu_apps.trainability.statistics import Floats, magnetisation, pair_products
from tsu_apps.trainability.tempering import energies, enumerated_acceptance, enumerated_moments, sampled_acceptance

SIGMAS = 5.0
"""Of errors that come from 16 groups of planes: t with 15 degrees of freedom exceeds 5 with 2e-4."""
WINDOWS = (1, 4, 16, 64)
SMALL = """
name = "trainability-test"
[fabric]
planes = 64
topology = { kind = "dense", cells = 8 }
"""
MACHINE = planted(4, 2, 0, 1.5)


@pytest.fixture(scope="module")
def ideal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tsu.Chip]:
    """Eight cells, all to all, ideal."""
    path: Path = tmp_path_factory.mktemp("trainability") / "chip.toml"
    path.write_text(SMALL, encoding="utf-8")
    with tsu.open(f"emu:{path}?threads=1") as chip:
        yield chip


def off(found: Measured, chain: Chain, machine: Planted = MACHINE) -> Floats:
    """Deviations in standard errors of tau of gradient and magnetisation, summed as far as the measured sums, and of all MSEs."""
    f, total = pair_products(chain.states, machine.pairs), magnetisation(chain.states)
    taus = [
        (a.tau - (1 + 2 * chain.correlations(g, a.window)[1:].sum())) / a.error
        for a, g in ((found.gradient, f), (found.magnetisation, total))
    ]
    return np.abs([*taus, *((found.errors.mse - chain.mse(f, WINDOWS)) / found.errors.error)])


def test_sweeps_forget_as_the_exact_chain_does(ideal: tsu.Chip) -> None:
    """Two modes at beta 1.5, 5,000 sweeps in 64 planes: both times and four MSEs within 5 standard errors, tau 3.1 to 2 %
    and 10.1 to 4 %. Couplings a tenth weaker, single-spin steps instead of ordered sweeps, twice the couplings: refused."""
    found = measure(ideal, MACHINE.J, MACHINE.pairs, looks=5000, burn=500, windows=WINDOWS)
    chain = sweep(MACHINE.J, ideal.topology.colour)
    assert (off(found, chain) < SIGMAS).all()
    assert found.gradient.error < 0.02 * found.gradient.tau
    assert found.magnetisation.error < 0.04 * found.magnetisation.tau
    for wrong in (sweep(0.9 * MACHINE.J, np.arange(8)), glauber(MACHINE.J).repeated(8), sweep(2 * MACHINE.J, np.arange(8))):
        assert off(found, wrong).max() > 2 * SIGMAS


def test_random_scan_order_is_the_reversible_chain(ideal: tsu.Chip) -> None:
    """A sweep in random order of eight cells is eight single-spin steps; the ordered sweep is refused."""
    ideal.set_scan_order("random")
    try:
        found = measure(ideal, MACHINE.J, MACHINE.pairs, looks=5000, burn=500, windows=WINDOWS)
    finally:
        ideal.set_scan_order("chromatic")
    assert (off(found, glauber(MACHINE.J).repeated(8)) < SIGMAS).all()
    assert off(found, sweep(MACHINE.J, np.arange(8))).max() > 2 * SIGMAS


def test_biases_count(ideal: tsu.Chip) -> None:
    """Biases of 1/4 kT on all cells; the chain without them is refused."""
    h = np.full(8, 0.25)
    found = measure(ideal, MACHINE.J, MACHINE.pairs, looks=3000, burn=300, windows=WINDOWS, h=h)
    assert (off(found, sweep(MACHINE.J, np.arange(8), h)) < SIGMAS).all()
    assert off(found, sweep(MACHINE.J, np.arange(8))).max() > 2 * SIGMAS


BETAS = np.linspace(0.25, 1.0, 8)


def test_a_pilot_run_knows_the_spread_of_energies(ideal: tsu.Chip) -> None:
    """Eight temperatures of eight planes each; variances within 5 standard errors of enumeration, refused at betas a tenth off.
    Acceptances between three of them, from the same energies, are known to .5 / sqrt(24,000 samples / tau) or better, .01 with
    tau below 10."""
    ideal.enable_planes(3)
    found = pilot(ideal, MACHINE.J, BETAS, looks=3000, burn=300)
    energy = energies(sweep(MACHINE.J, np.arange(8)).states, MACHINE.J, np.zeros(8))
    for share, agrees in ((1.0, True), (0.9, False)):
        deviation = np.abs(found.variances - enumerated_moments(energy, share * found.betas)[1]) / found.errors
        assert deviation.max() < SIGMAS if agrees else deviation.max() > 2 * SIGMAS
    np.testing.assert_allclose(found.betas, BETAS, rtol=1e-3)
    far = [7, 4, 0]
    foretold = sampled_acceptance(found.energies[..., far], found.betas[far])
    np.testing.assert_allclose(foretold, enumerated_acceptance(energy, found.betas[far]), atol=SIGMAS * 0.01)
    assert (np.abs(foretold - enumerated_acceptance(energy, 1 + 1.3 * (found.betas[far] - 1))) > SIGMAS * 0.01).any()
    np.testing.assert_array_equal(ideal.enabled_planes, np.arange(64))


def test_after_a_pilot_run_all_planes_are_at_one_temperature(ideal: tsu.Chip) -> None:
    """Loose cells in a field of .5 kT: every plane's mean spin is tanh(.5), within 5 standard errors of 64 planes."""
    h = np.full(8, 0.5)
    pilot(ideal, np.zeros((8, 8)), BETAS, looks=16, burn=0, h=h)
    means = ideal.sample(1000).mean(axis=(0, 2))
    assert np.abs(means - np.tanh(0.5)).max() < SIGMAS * np.sqrt((1 - np.tanh(0.5) ** 2) / 8000)


def test_deploying_rounds_to_codes(ideal: tsu.Chip) -> None:
    """Three cells in a chip of eight: what the codes stand for is within half an LSB, and the other cells are loose."""
    J = np.zeros((3, 3))
    J[0, 1] = J[1, 0] = 0.501
    values, biases = deploy(ideal, J, np.array([0.1, 0.0, 0.9]))
    assert values[0, 1] == values[1, 0] == 0.5
    np.testing.assert_allclose(biases, [0.1, 0.0, 0.9], atol=1 / 128)
    means = ideal.sample(400).mean(axis=(0, 1))
    assert np.abs(means[3:]).max() < SIGMAS / np.sqrt(400 * 64)
    assert means[2] > 0.6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda chip: deploy(chip, np.zeros((9, 9))), "9 cells, the chip 8"),
        (lambda chip: deploy(chip, 3 * (np.ones((2, 2)) - np.eye(2))), r"2 coupling values are beyond the chip's 1.98438 kT"),
        (lambda chip: deploy(chip, np.zeros((2, 2)), [0.0, 5.0]), "1 bias values are beyond"),
        (lambda chip: pilot(chip, np.zeros((2, 2)), [0.5, 0.2], looks=20, burn=0), "rising"),
        (lambda chip: pilot(chip, np.zeros((2, 2)), np.linspace(0.1, 1, 40), looks=20, burn=0), "two or more to 32"),
        (lambda chip: pilot(chip, np.zeros((2, 2)), [0.5], looks=5, burn=0), "looks = 5; at least 16"),
    ],
)
def test_bad_input_is_named(ideal: tsu.Chip, call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(ideal)


# The tool


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Any:
    """tools/trainability.py with all sizes small: everything runs, and most goals are met by less than they should be."""
    program = tool("trainability")
    monkeypatch.setattr(program.gaps, "SEEDS", 1)
    monkeypatch.setattr(program.gaps, "MODES", (1, 2))
    monkeypatch.setattr(program.gaps, "CHAINS", 200)
    monkeypatch.setattr(program.gaps, "WINDOWS", (16, 64, 256))
    monkeypatch.setattr(on_chip, "LOOKS", 1500)
    monkeypatch.setattr(on_chip, "BURN", 200)
    monkeypatch.setattr(on_chip, "BETAS", (1.5, 2.0, 2.5))
    monkeypatch.setattr(on_chip, "WINDOWS", (1, 16, 256))
    monkeypatch.setattr(rungs, "SWEEPS", 200)
    monkeypatch.setattr(rungs, "PILOT_LOOKS", 64)
    monkeypatch.setattr(rungs, "GRID", np.linspace(0.25, 1.0, 4))
    monkeypatch.setattr("tsu_apps.trainability.figures.GRID", np.linspace(0.25, 1.0, 4))
    train = program.bars.train
    monkeypatch.setattr(program.bars, "train", lambda side, hidden, **more: train(side, hidden, steps=3, **more))
    return program


def test_the_tool_writes_rows_and_figures(short: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that was hardly trained misses the goal of its divergence, and the program says so; the spectra meet theirs."""
    monkeypatch.setattr("sys.argv", ["trainability", "--json", str(tmp_path / "rows.json"), "--figures", str(tmp_path)])
    assert short.main() == 1
    rows = {row["name"]: row for row in json.loads((tmp_path / "rows.json").read_text())["rows"]}
    assert rows["effective gap of 1 mode over that of 2, beta 3"]["ok"]
    assert not rows["KL(bars and stripes || machine), nats"]["ok"]
    for name in (
        "thermodynamic length from the pilot run, off by",
        "acceptance foretold from independent planes, off by at most",
    ):
        assert rows[name]["ok"]
    assert sum("power" in name for name in rows) == 4
    assert len(rows) == 42
    assert len(list(tmp_path.glob("trainability-*.png"))) == 4


def test_goals_are_missed_by_what_is_wrong() -> None:
    """Deviations of 10 standard errors, or a wrong chain that agrees, do not pass."""
    good, bad = np.full((2, 2, 5), 1.0), np.full((2, 2, 5), 10.0)
    tau = np.ones((2, 2, 5))
    tau[1, 0] = 100.0
    tau[0, 1] = 50.0

    def verdicts(deviation: Floats, wrong: Floats) -> list[bool]:
        rows: list[Row] = on_chip.times_rows(on_chip.Times(tau, 0.1 * tau, tau, deviation, wrong))
        return [bool(row.ok) for row in rows]

    assert verdicts(good, bad) == [True] * 5
    assert verdicts(bad, bad) == [False, False, True, True, True]
    assert verdicts(good, good) == [True, True, False, True, True]


def test_sweeps_that_a_gradient_needs() -> None:
    """Q = K / 50 crosses 1 at 50; below 1 at the last window and above it at the first, Q is taken as proportional to K."""
    windows = np.array(on_chip.WINDOWS)
    for need in (0.5, 50.0, 5e4):
        assert on_chip.sweeps_needed(windows / need) == pytest.approx(need)


def test_the_pages_example_runs() -> None:
    """Its chip's times come near the exact ones that it prints beside them."""
    page = Path(__file__).parents[2] / "docs/trainability.md"
    [block] = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    ran = subprocess.run([sys.executable, "-W", "error", "-c", block], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    times = [float(number) for number in re.findall(r"[\d.]+", ran.stdout)[:3]]
    assert abs(times[0] - times[2]) < SIGMAS * times[1]
