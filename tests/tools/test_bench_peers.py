"""The samplers of others as the benchmark runs them; skipped where `tools/run bench kernels --peers` has not installed them."""

from __future__ import annotations

import importlib
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "tools" / "bench"


def module(name: str) -> Any:
    """A module of tools/bench."""
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    return importlib.import_module(name)


comparison, contest, langevin, measuring, running = map(module, ("comparison", "contest", "langevin", "measuring", "running"))
environment = module("peers.environment")
CHAINS, REPEATS = 64, 12
SPINS = [comparison.THRML, *comparison.FERROTHERM, comparison.DWAVES]


def energies(contenders: dict[str, Any], energy: Any) -> dict[str, tuple[float, float]]:
    """Mean and standard error of each over REPEATS repetitions, chains as independent."""
    records, failed = contest.contest(contenders, energy, measuring.Effort(REPEATS, True, lambda: None))
    assert not failed
    assert all(rate > 0 for record in records.values() for rate in record.rates)
    return {name: record.energy() for name, record in records.items()}


@pytest.mark.parametrize("rival", SPINS, ids=lambda rival: rival.name)
def test_a_peer_samples_our_couplings(rival: Any) -> None:
    """On its own couplings it agrees with ours within 5 standard errors, with beta 10 % up it does not (ten of them)."""
    if not environment.installed(rival.peer):
        pytest.skip(f"{rival.peer} is not installed")
    w = comparison.workloads(True)[0]
    ours = comparison.Ours(w, 1)
    problem = comparison.problem_of(ours.running)
    steep = problem | {"w": 1.1 * problem["w"], "b": 1.1 * problem["b"]}
    with ExitStack() as stack:
        right, wrong = (contest.PeerContender(rival, p, CHAINS, w.sweeps, {}, stack) for p in (problem, steep))
        assert right.version
        assert right.setup_s > 0
        found = energies({"ours": ours, "right": right, "wrong": wrong}, comparison.energy_of(problem))
        assert right.states().shape == (CHAINS, len(problem["b"]))
    assert contest.agreement_row("right", found["right"], found["ours"]).ok
    assert not contest.agreement_row("wrong", found["wrong"], found["ours"]).ok


def test_thermox_samples_our_linear_cells() -> None:
    """As above; a stiffness 10 % up gives energies T / 2.2."""
    if not environment.installed("thermox"):
        pytest.skip("thermox is not installed")
    ours = langevin.Cells(running.Subject("cells", langevin.config(8), CHAINS, 1, 40), 0)
    a = ours.matrix()
    with ExitStack() as stack:
        right, wrong = (
            contest.PeerContender(langevin.THERMOX, {"A": m}, CHAINS, 320, {"step": langevin.STEP}, stack) for m in (a, 1.1 * a)
        )
        found = energies(
            {"ours": ours, "right": right, "wrong": wrong}, lambda x: np.einsum("ci,ij,cj->c", x, a, x) / (2 * len(a))
        )
    assert contest.agreement_row("right", found["right"], found["ours"]).ok
    assert not contest.agreement_row("wrong", found["wrong"], found["ours"]).ok
