"""Experiments on what training does: their quick versions run, what they compute is right, and a verdict can fail."""

from __future__ import annotations

import importlib
import itertools
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tsu_driver as tsu
from tsu_apps.learning import failures
from tsu_apps.models import Boltzmann, exact
from tsu_driver.rules import UpdateRule
from tsu_emu.config import load

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tools/experiments"
NEW = ("cooling", "sparsity", "map", "cost", "failures", "imperfect")


def module(name: str) -> Any:
    """A module of tools/experiments."""
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    return importlib.import_module(name)


cooling, cost, presets, soft_map, sparsity, small, experiment, learning_digits, effective, sampled = map(
    module,
    ("cooling", "cost", "presets", "soft_map", "sparsity", "small", "experiment", "learning_digits", "effective", "sampled"),
)


def failing(rows: Any) -> list[str]:
    return [row.name for row in rows if row.ok is False]


def test_quick_versions_run(tmp_path: Path) -> None:
    """All of them, one seed; every experiment gives rows, and none of them has a goal that is missed."""
    out = tmp_path / "rows.json"
    options = ("--quick", "--seeds", "1", "--workers", "2", "--store", str(tmp_path), "--json", str(out))
    done = subprocess.run([sys.executable, str(FOLDER), *NEW, *options], capture_output=True, text=True, cwd=ROOT, timeout=500)
    assert done.returncode == 0, done.stderr
    names = [row["name"].split(":")[0] for row in json.loads(out.read_text())["rows"]]
    assert set(names) == set(NEW)


# Cooling


def test_schedules_begin_and_end_where_they_say() -> None:
    for kind, start, end in (("linear", 2.0, 1.0), ("logarithmic", 1.0, 0.5)):
        found = cooling.schedule(kind, start, end, 400).temperatures(np.array([0.0, 399.0]))
        assert found == pytest.approx([start, end], rel=0.01)


def cooled(gain: float, times: list[float]) -> Any:
    """Runs in which cooled machines are so many nats better, and modes are half learnt at these ticks."""
    runs = {}
    for case in cooling._cases(False):
        better = gain * (not case.name.startswith(cooling.WARM))
        runs[case.name] = [{"nats": -17.0 + better, "accuracy": 0.9, "half_times": times}] * 2
    return experiment.Results(runs)


def test_the_order_of_modes_is_judged() -> None:
    rows = cooling._judge(cooled(0.3, [1, 2, 3, 4]), False)
    assert failing(rows) == []
    assert rows[0].value == pytest.approx(0.3)
    assert cooling.in_order(cooled(0, [1, 2, 4, np.nan]), "T = 1, slow") == 1
    assert len(failing(cooling._judge(cooled(0, [4, 3, 2, 1]), False))) == 1


# The map


@pytest.mark.parametrize("centred", [False, True])
def test_exact_averages_move_weights_as_the_rule_says(centred: bool) -> None:
    """Three updates against `UpdateRule.ctd` with enumerated averages, to rounding. Power: another ratio gives another number."""
    seed, ratio, decay, rates = 3, 0.7, 0.1, (0.1, 0.05)
    pairs = np.stack(np.triu_indices(small.CELLS, 1), axis=1)
    i, j = pairs.T
    law = exact(small.taught(seed, pairs))
    w, b = np.zeros(len(pairs)), np.arctanh(law.means)
    rule = UpdateRule.ctd(1.0, ratio, decay, centred)
    for rate in np.geomspace(*rates, 3):
        free = exact(Boltzmann(pairs, w, b))
        seen = SimpleNamespace(
            data_pairs=law.correlations[i, j], data_means=law.means, free_pairs=free.correlations[i, j], free_means=free.means
        )
        w, b = w + rate * rule.pair_change(seen, pairs, w, w), b + rate * rule.bias_change(seen, b, b)
    expected = small.divergence(law, Boltzmann(pairs, w, b))
    found, other = (soft_map.flow(seed, 3, r, centred, [decay], rates)[soft_map.key(decay)] for r in (ratio, 1.0))
    assert found == pytest.approx(expected, rel=1e-9)
    assert other != pytest.approx(expected, rel=0.005)


def mapped(chip: float, ridge: float) -> Any:
    """Divergences of .01, on the chip so many times as large; without a ridge so many times as large in long runs."""
    runs = {}
    for case in soft_map._cases(False):
        values = {soft_map.key(w): 0.01 for w in soft_map.WEATHERINGS}
        if case.name.startswith(f"{soft_map.CHIP},"):
            values = {name: chip * kl for name, kl in values.items()}
        if case.name.startswith(soft_map.SETTLED):
            values[soft_map.key(1e-3)] *= ridge
        runs[case.name] = [values, values]
    return experiment.Results(runs)


def test_every_verdict_on_the_map_can_fail(tmp_path: Path) -> None:
    assert failing(soft_map._judge(mapped(1.1, 100.0), False)) == []
    assert len(failing(soft_map._judge(mapped(2.0, 100.0), False))) == 1
    assert len(failing(soft_map._judge(mapped(1.1, 2.0), False))) == 1
    assert len(failing(soft_map._judge(mapped(4.0, 100.0), False))) == 2
    soft_map._draw(mapped(1.1, 100.0), tmp_path)
    assert (tmp_path / "experiments-map.png").stat().st_size


# Cost


def test_the_cost_of_an_update_is_counted() -> None:
    """8 + 8 cells, 64 pairs. The rule has 3 terms for a weight, and a rate and a code take one each: 5 (64 + 16). The wire
    carries codes of 2 bytes, clamps of 32 planes, accumulators of 4 bytes of both roles, and at most 1 kB of operations.
    """
    loop = cost.measure(0, cost.LOOP, 8, 1, (3, 5))
    assert loop["multiply_adds"] == 5 * (64 + 16)
    least = 2 * (128 + 16) + 4 * 32 + 8 * (64 + 16)
    assert least < loop["wire_bytes"] < least + 1024
    chip = cost.measure(0, cost.CHIP, 8, 1, (301, 303))
    assert (chip["multiply_adds"], chip["wire_bytes"], chip["host_bytes"]) == (0, 0, 0)
    assert chip["chip_bits"] == 80 * (64 + 12) + 8 * (128 + 16)
    assert 0 < chip["cycles"] < loop["cycles"]
    back = cost.backpropagation(0, 8, 2)
    assert back["activation_bytes"] == 8 * 32 * (16 + 10)


def priced(wire: float, cells: float, depth: float, stored: float) -> Any:
    """Costs on the chip that grow with these exponents of cells and depth, and activations that grow with `stored`."""
    runs = {}
    for case in cost._cases(False):
        w, d = case.parameters["width"], case.parameters["depth"]
        run = dict.fromkeys(cost.QUANTITIES, 1.0 * w * d) | {"cells": w * (1 + d)}
        if case.measure is cost.backpropagation:
            run |= {"activation_bytes": w * d**stored}
        elif case.parameters["algorithm"] == cost.CHIP:
            n = run["cells"]
            run |= {"wire_bytes": wire, "cycles": cost.fetched(n) + 800 * n**cells * d**depth}
        runs[case.name] = [run]
    return experiment.Results(runs)


def test_every_verdict_on_costs_can_fail(tmp_path: Path) -> None:
    assert cost.exponent(np.array([1.0, 2, 4, 8]), np.array([5.0, 3 * 2**1.5, 3 * 4**1.5, 3 * 8**1.5])) == pytest.approx(1.5)
    good = (0.0, 0.0, 0.0, 1.0)
    assert failing(cost._judge(priced(*good), False)) == []
    for place, (bad, missed) in enumerate(((8.0, 1), (1.0, 3), (0.5, 1), (0.3, 1))):
        assert len(failing(cost._judge(priced(*good[:place], bad, *good[place + 1 :]), False))) == missed
    cost._draw(priced(*good), tmp_path)
    assert (tmp_path / "experiments-cost.png").stat().st_size


# Failures


def failed(worse: Mapping[tuple[str, str], float]) -> Any:
    """Runs that meet their goals but for some quantities, by case and name."""
    runs = {}
    for name in (presets.HEALTHY, *failures.PRESETS):
        preset = failures.PRESETS.get(name)
        goals = dict(preset.goals) if preset else dict(failures.HEALTHY)
        for other in failures.PRESETS.values():
            goals |= {} if preset else other.healthy
        run = {what: limit for what, (_, limit) in goals.items()}
        run |= {f"flag {flag}": float(preset is not None and flag == preset.flag) for flag in presets.CHECKS}
        run |= {what: value for (case, what), value in worse.items() if case == name}
        runs[name] = [run, run]
    return experiment.Results(runs)


def test_every_verdict_on_failures_can_fail() -> None:
    assert failing(presets._judge(failed({}), False)) == []
    for case, what, value in (
        ("erosion", "accuracy", 0.9),
        ("erosion", "flag saturated", 0.0),
        ("deposition-noise", "flag noisy", 0.0),
        ("temperature-collapse", "flag frozen", 0.0),
        ("temperature-collapse", "mixing", 0.9),
        (presets.HEALTHY, "flag frozen", 1.0),
        (presets.HEALTHY, "accuracy", 0.5),
        (presets.HEALTHY, "mixing", 0.1),
    ):
        assert len(failing(presets._judge(failed({(case, what): value}), False))) == 1, (case, what)


# Imperfect chips


def test_offsets_are_a_tenth_of_kt() -> None:
    name, changes = learning_digits.CHIPS["typical, offsets"].split("?")
    dac = load(name, dict([changes.split("=")])).coupling.dac
    assert dac.offset_sigma_lsb * dac.full_scale / 2 ** (dac.bits - 1) == pytest.approx(0.1)


def states(n: int) -> np.ndarray:
    """(2^n, n) all spins."""
    return np.array(list(itertools.product((-1.0, 1.0), repeat=n)))


def test_samples_tell_the_law_of_cells_with_errors() -> None:
    """Slopes and offsets of cells join J and h, and the law of what results is that of the chip's samples.

    6,400 samples, each P(x | s) within a factor exp(2 x 3 x 4 x .3): the error of log of their mean is below .02 nat a state, and
    .02 nat is allowed for codes. Power: the same machine without the cells' errors is more than twice as far away.
    """
    v, n = 3, 7
    topology = f'{{kind="bipartite",visible={v},hidden={n - v}}}'
    errors = "cell.slope_sigma=0.2&cell.offset_sigma_kt=0.5"
    rng = np.random.default_rng(1)
    J = np.zeros((n, n))
    J[:v, v:] = rng.normal(0, 0.4, (v, n - v))
    h, X = rng.normal(0, 0.3, n), states(v).astype(np.int8)
    with tsu.open(f"emu:digits-ideal?bench=1&threads=1&{errors}&fabric.topology={topology}") as chip:
        chip.program_couplings(J + J.T, h)
        found = sampled.sampled_log_likelihood(chip, np.arange(v), X, 100)
        couplings, fields = effective.fields_of(chip)
        row, source = np.asarray(chip.topology.row), np.asarray(chip.topology.source)
    K = np.zeros((n, n))
    K[np.repeat(np.arange(n), np.diff(row)), source] = couplings

    def nats(A: np.ndarray, b: np.ndarray) -> float:
        """Mean over visible states of log P in the stationary law of sweeps of two layers with the fields A s + b."""
        x, s = states(v), states(n - v)
        down, up = (np.exp(f @ y.T - np.log(2 * np.cosh(f)).sum(axis=1)[:, None])
                    for f, y in ((s @ A[:v, v:].T + b[:v], x), (x @ A[v:, :v].T + b[v:], s)))  # fmt: skip
        p = np.full(len(s), 1 / len(s))
        for _ in range(500):
            p = p @ down @ up
        return float(np.log(p @ down).mean())

    assert found == pytest.approx(nats(K, fields), abs=0.04)
    assert abs(nats(J + J.T, h) - nats(K, fields)) > 0.08


def imperfect(losses: Mapping[str, float]) -> Any:
    """Runs that have lost so many nats by either measure."""
    runs = {}
    for k, case in enumerate(learning_digits._imperfect(False)):
        lost = losses.get(case.name, 0.0)
        run = {"nats": -17 - lost, "sampled": -17.3 - lost, "asymmetry": 0.0, "accuracy": 0.9, "inpainting": 0.8}
        runs[case.name] = [run, run | {"accuracy": 0.9 + 0.001 * k}]
    return experiment.Results(runs)


def test_deploying_must_cost() -> None:
    chips = list(learning_digits.CHIPS)[1:]
    everywhere = {f"deploy {name}": 4.0 for name in chips}
    assert failing(learning_digits._judge_imperfect(imperfect(everywhere), False)) == []
    for name in chips:
        missed = failing(learning_digits._judge_imperfect(imperfect(everywhere | {f"deploy {name}": 1.7}), False))
        assert len(missed) == 1
        assert f"deploying on {name}, by" in missed[0]
    assert len(failing(learning_digits._judge_imperfect(imperfect(everywhere | {"train typical": 1.0}), False))) == 1


def test_a_histogram_of_couplings_is_drawn(tmp_path: Path) -> None:
    run = dict.fromkeys(sparsity.ROWS, 0.3) | {"histogram": np.full(len(sparsity.EDGES) - 1, 0.0125).tolist()}
    results = experiment.Results({case.name: [run, run] for case in sparsity._cases(False)})
    sparsity._draw(results, tmp_path)
    assert (tmp_path / "experiments-sparsity.png").stat().st_size
    assert len(failing(sparsity._judge(results, False))) == 1
