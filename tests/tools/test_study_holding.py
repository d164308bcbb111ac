"""The studies of drift: offsets are held as the policy expects, beside a workload, not without; longer intervals leave more."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("xarray")
sys.path[:0] = [str(Path(__file__).resolve().parents[2] / folder) for folder in ("tools", "tools/study")]

import holding  # noqa: E402
import intervals  # noqa: E402

from tsu_testing.in_process import open_in_process  # noqa: E402


def test_offsets_are_held_beside_a_workload_and_not_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two days at .03 kT: about 120 corrections, each forgotten after two or three; a root mean square over 174 cells and 40 of
    them is known to 1 / sqrt(2 x 174 x 40) = 1 %, and the drift, of which two standard errors more are allowed for, to 3 %."""
    monkeypatch.setattr(holding, "HELD_KT", 0.03)
    monkeypatch.setattr(holding, "DAYS", 2)
    held = holding.measure({"policy": "held"}, 12)
    assert held["worst"] < 0.03
    assert 0.88 < held["mean"] / held["expected"] < 1.05
    assert held["corrections"] == pytest.approx(2 * 86_400 / held["interval"], rel=0.1)
    assert held["restored"] == 1
    assert 0 < held["share"] < 1e-4
    assert (np.diff(held["changes"]) > 0).all()
    alone = holding.measure({"policy": "alone"}, 12)
    assert alone["worst"] > 0.03
    assert alone["corrections"] == 0


def test_the_truth_of_offsets_does_not_depend_on_the_problem() -> None:
    """Offsets of .2 kT at other codes: the same to the errors of held levels, a tenth of a step of .03 kT, over some .2 kT."""
    with open_in_process(holding.CONFIG, die_seed=3, run_seed=3) as chip:
        chip.program_couplings(None)
        chip.set_temperature(1.0)
        truth = holding.Truth(chip, np.ones(chip.capabilities.cells, np.bool_))
        bare = truth.rms()
        holding.problem(chip)
        assert truth.rms() == pytest.approx(bare, rel=0.02)
        chip.set_trims(offsets=20)
        assert truth.rms() != pytest.approx(bare, rel=0.02)


def test_longer_intervals_and_stronger_drift_leave_more() -> None:
    """Of one die; 20 corrections of six cells are known to some 7 %, and what is compared differs by a factor of 1.5 or more."""
    near, far, strong = (
        intervals.measure({"scale": scale, "interval_s": interval}, 5)
        for scale, interval in ((1.0, 60.0), (1.0, 15_360.0), (4.0, 60.0))
    )
    for name in ("offset", "distance"):
        assert far[name] > 1.3 * near[name]
        assert strong[name] > 2 * near[name]
    assert 0.008 < near["offset"] < 0.018
