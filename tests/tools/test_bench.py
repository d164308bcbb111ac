"""The speed benchmarks: what is measured is there and right, and a wrong sampler or a missing peer shows."""

from __future__ import annotations

import importlib
import itertools
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tools" / "bench"


def module(name: str) -> Any:
    """A module of tools/bench."""
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    return importlib.import_module(name)


comparison, contest, langevin, measuring, roofline, running = map(
    module, ("comparison", "contest", "langevin", "measuring", "roofline", "running")
)
environment, process = module("peers.environment"), module("peers.process")
PLANES = 64


def quick_grid(chains: int = 64) -> Any:
    """The smallest of the workloads."""
    return next(w for w in comparison.workloads(True) if w.name == f"grid, {chains} chains")


def effort(repeats: int) -> Any:
    return measuring.Effort(repeats, True, lambda: None)


def test_a_quick_run_has_every_row(tmp_path: Path) -> None:
    """Each chip's rate, a moment that proves its sampler, and its share of the roof; wire and tick need daemons.

    That of firmware takes minutes even so: `test_bench_firmware.py` has its parts.
    """
    expected = {"kernels": 2 + 3 + 3 * 7 + 2 + 5, "wire": 2 + 8 + 8 + 3 + 4 + 2 * 7, "tick": 2 + 5 + 4 * 9, "scale": 2 + 8}
    for name, count in expected.items():
        out = tmp_path / f"{name}.json"
        done = subprocess.run(
            [sys.executable, str(FOLDER), name, "--quick", "--json", str(out)],
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=500,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        rows = json.loads(out.read_text())["rows"]
        assert len(rows) == count
        rates = [row for row in rows if row["unit"] in ("M/s", "G/s", "GB/s", "M op/s", "GiB/s", "us", "ticks/s")]
        assert all(row["value"] > 0 for row in rates)
        moments = [row["ok"] for row in rows if "<s I>" in row["name"]]
        assert moments == [True] * {"kernels": 9, "scale": 2}.get(name, 0)


def test_peers_go_with_what_has_them() -> None:
    """Asking for them elsewhere is an error that says so."""
    done = subprocess.run([sys.executable, str(FOLDER), "wire", "--peers"], capture_output=True, text=True, cwd=ROOT, timeout=100)
    assert done.returncode == 2
    assert "--peers goes with kernels, tick and firmware" in done.stderr


def test_energy_is_that_of_the_definition() -> None:
    """Four spins, all states, against the double sum."""
    rng = np.random.default_rng(4)
    J = np.triu(rng.normal(size=(4, 4)), 1)
    i, j = np.triu_indices(4, 1)
    b = rng.normal(size=4)
    states = np.array(list(itertools.product((-1, 1), repeat=4)), np.int8)
    wanted = -(np.einsum("ci,ij,cj->c", states, J, states) + states @ b) / 4
    energy = comparison.energy_of({"i": i, "j": j, "w": J[i, j], "b": b})
    np.testing.assert_allclose(energy(states), wanted, rtol=0, atol=1e-14)


def test_the_problem_is_what_the_chip_hears() -> None:
    """Fields by the problem's couplings are those of the chip's integers; couplings that differ by direction are refused."""
    chip = comparison.Ours(quick_grid(), 1).running
    p, plant, s = comparison.problem_of(chip), chip.chip.plant, chip.spins().astype(np.int64)
    J = np.zeros((len(p["b"]), len(p["b"])))
    J[p["i"], p["j"]] = J[p["j"], p["i"]] = p["w"]
    t = plant.topology
    heard = np.add.reduceat(plant.doubled * (s[:, t.source] > 0), t.row[:-1], axis=1) + plant.base
    np.testing.assert_array_equal(s @ J + p["b"], heard / plant.die.scale)
    assert len(np.unique(p["w"])) == 2 * comparison.LARGEST_CODE + 1
    with pytest.raises(ValueError, match="differ by direction"):
        comparison.problem_of(running.Running(chip.subject))


def test_a_sampler_ten_per_cent_off_is_flagged() -> None:
    """Three chips with runs of their own, one at T = 58/64 by its DAC, beta 10.3 % up.

    A cell's energy is about -.15 kT and moves by .015 with beta; it spreads by sqrt(2 * .12 / 256) = .03 over chains of 256
    cells, so over 12 repetitions of 64 chains two means differ by .03 * sqrt(2 / 768) = .0015: the fault is ten of that.
    """
    w = quick_grid()
    seeded = [
        replace(w, config=w.config.model_copy(update={"seeds": w.config.seeds.model_copy(update={"run": k})})) for k in (1, 2, 3)
    ]
    ours, same, hot = (comparison.Ours(v, 1) for v in seeded)
    from tsu_contract.operations import Op
    from tsu_contract.registers import register

    hot.running.operate((Op.WRITE, register("TEMP.TDAC").at(), 58))
    energy = comparison.energy_of(comparison.problem_of(ours.running))
    records, failed = contest.contest({"tsu-emu": ours, "same": same, "hot": hot}, energy, effort(12))
    assert not failed
    verdicts = {row.name: row.ok for row in contest.record_rows("w", records, ["tsu-emu"]) if "less tsu-emu" in row.name}
    assert verdicts == {
        "w: energy of a cell, same less tsu-emu": True,
        "w: energy of a cell, hot less tsu-emu": False,
    }


def test_the_sweeps_of_a_repetition_reach_equilibrium() -> None:
    """From random spins, 50 sweeps give the energy of 500 within 5 standard errors over 128 chains; the random spins do not."""
    w = quick_grid(128)

    def measured(values: np.ndarray) -> tuple[float, float]:
        return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))

    few, many = (comparison.Ours(replace(w, sweeps=sweeps), 1) for sweeps in (50, 500))
    energy = comparison.energy_of(comparison.problem_of(many.running))
    start = np.random.default_rng(5).choice(np.array([-1, 1], np.int8), few.states().shape)
    wanted = measured(energy(many.states()))
    assert contest.agreement_row("50 sweeps", measured(energy(few.states())), wanted).ok
    assert not contest.agreement_row("none", measured(energy(start)), wanted).ok


class Broken:
    """A contender that ends in its second repetition."""

    def __init__(self) -> None:
        self.left = 1

    def run(self) -> float:
        self.left -= 1
        if self.left < 0:
            raise process.PeerError("it ended: out of memory")
        return 1.0

    def states(self) -> np.ndarray:
        return np.ones((2, 3), np.int8)


class Steady(Broken):
    """One that goes on."""

    def __init__(self) -> None:
        self.left = contest.LEAST // 2


def test_a_contender_that_fails_does_not_stop_the_others() -> None:
    """Its reason is kept, the other's record is whole."""
    records, failed = contest.contest({"a": Broken(), "b": Steady()}, lambda s: s.mean(axis=1), effort(3))
    assert failed == {"a": "it ended: out of memory"}
    assert list(records) == ["b"]
    assert len(records["b"].rates) == 3
    assert records["b"].count() == contest.LEAST


def test_without_peers_their_rows_say_why() -> None:
    """Ours is measured all the same; a goal against nobody is not met."""
    w = replace(quick_grid(), sweeps=5)
    said: list[str] = []
    rows = comparison.compare(w, dict.fromkeys(environment.PEERS, "no network"), effort(2), said.append)
    missing = [row.name for row in rows if "was not measured" in row.name]
    assert missing == [f"{w.name}: {rival.name} was not measured: no network" for rival in w.rivals]
    assert all(row.ok is not False for row in rows)
    assert {"tsu-emu, 1 thread", "tsu-emu, 2 threads"} <= {row.name.removeprefix(f"{w.name}: ") for row in rows}
    ours = contest.Record([1.0, 2.0], [np.ones(2)] * 2)
    assert contest.ratio_row("w", {"tsu-emu": ours}, ["tsu-emu"], 36).ok is False
    assert said[-1] == f"{w.name}: measuring"


def test_the_best_peer_is_the_one_to_beat() -> None:
    """Ratios of repetitions side by side, against the highest median."""
    rates = {"tsu-emu": [40.0, 60.0, 90.0], "slow": [1.0, 9.0, 1.0], "fast": [2.0, 2.0, 3.0]}
    row = contest.ratio_row("w", {name: contest.Record(values) for name, values in rates.items()}, ["tsu-emu"], 25)
    assert row.name == "w: tsu-emu over fast"
    assert (row.value, row.ok) == (30.0, True)


def test_langevin_cells_keep_their_law() -> None:
    """<x V'(x)> = T of quartic cells in equilibrium; <E> = T / 2 of linear ones. Both miss by far at T = 58/64."""
    from tsu_contract.operations import Op
    from tsu_contract.registers import register

    def cells(quartic: int, code: int) -> Any:
        chip = langevin.Cells(running.Subject("cells", langevin.config(16), PLANES, 1, 40), quartic)
        chip.operate((Op.WRITE, register("TEMP.TDAC").at(), code))
        for _ in range(3):
            chip.run()
        return chip

    # 16,384 cell values with <(x V')^2> - T^2 about 2: a mean is known to .011, the fault is .094.
    for code, right in ((64, True), (58, False)):
        mean, error = cells(langevin.QUARTIC, code).virial()
        assert (abs(mean) <= 5 * error) == right
        chip = cells(0, code)
        x, a = chip.states(), chip.matrix()
        np.testing.assert_array_equal(a, a.T)
        energy = np.einsum("ci,ij,cj->c", x, a, x) / (2 * len(a))
        error = energy.std(ddof=1) / math.sqrt(PLANES)
        assert (abs(energy.mean() - 0.5) <= 5 * error) == right


def test_the_roof_is_the_lower_of_two() -> None:
    """One plane reads 16 bytes a coupler and update, 64 planes a 64th of it; the memory read from is the chip's."""
    many, one = roofline.need(1000, 16_000, 64), roofline.need(1000, 16_000, 1)
    assert (one.read, many.read) == (256.0, 4.0)
    assert one.operations == many.operations == 16 + 25 + 16
    assert many.held == 8 * 16_000 + 8 * 1000
    assert roofline.need(1000, 16_000, 128).held == many.held + 8 * 1000


def test_versions_are_pinned_without_hosts() -> None:
    """Every peer has one version, and no index is named."""
    lines = [line for line in environment.CONSTRAINTS.read_text().splitlines() if not line.startswith("#")]
    assert all("==" in line and "/" not in line and "-i" not in line.split("=")[0].split() for line in lines)
    assert {peer.replace("_", "-") for peer in environment.PEERS} <= {line.split("==")[0] for line in lines}


def test_a_package_that_cannot_be_had_leaves_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is pip's; what was installed is not installed again."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(environment, "_make", lambda report: environment.folder().mkdir(parents=True, exist_ok=True))
    asked: list[str] = []

    def install(peer: str) -> str | None:
        asked.append(peer)
        return "ERROR: no matching distribution" if peer == "thrml" else None

    monkeypatch.setattr(environment, "_install", install)
    said: list[str] = []
    assert environment.prepare(said.append) == {"thrml": "ERROR: no matching distribution"}
    assert said[:2] == ["installing thrml for comparison (1 of 4) ...", "thrml cannot be had: ERROR: no matching distribution"]
    assert environment.prepare(said.append) == {"thrml": "ERROR: no matching distribution"}
    assert asked == [*environment.PEERS, "thrml"]


def test_a_worker_that_dies_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here because its interpreter does not have the package."""
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setattr(process, "python", lambda: Path(sys.executable))
    monkeypatch.setenv("PYTHONPATH", str(empty))
    with (
        process.PeerProcess("ferrotherm", tmp_path) as peer,
        pytest.raises(process.PeerError, match="No module named 'ferrotherm'"),
    ):
        peer.prepare({"b": np.zeros(1)}, {})
