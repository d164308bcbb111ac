"""The study of calibration judges by a law that is worked out here in another way, and sees what a stage brings."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("xarray")
sys.path[:0] = [str(Path(__file__).resolve().parents[2] / folder) for folder in ("tools", "tools/study")]

import calibration  # noqa: E402
import six_cells  # noqa: E402

from tsu_testing.in_process import open_in_process  # noqa: E402


def test_the_law_of_symmetric_cells_is_boltzmanns() -> None:
    J, h, wanted = six_cells.problem()
    assert six_cells.stationary(J, h) == pytest.approx(wanted, abs=1e-12)


def test_the_law_of_a_pair_that_hears_differently_is_that_of_its_sweep() -> None:
    """Two cells, cell 0 first: after a sweep P(s0, s1) = p0(s0) P1(s1 | s0) with p0 = P0 averaged over the last s1."""
    J, h = np.array([[0.0, 0.7], [-0.2, 0.0]]), np.array([0.1, -0.3])

    def up(field: float) -> float:
        return 1.0 / (1.0 + np.exp(-2.0 * field))

    given_up, given_down = up(h[0] + 0.7), up(h[0] - 0.7)
    high, low = up(h[1] - 0.2), up(h[1] + 0.2)
    # q = P(s1 up): q = p high + (1 - p) low with p = q given_up + (1 - q) given_down
    q = (low + given_down * (high - low)) / (1.0 - (given_up - given_down) * (high - low))
    p = q * given_up + (1 - q) * given_down
    wanted = [(1 - p) * (1 - low), p * (1 - high), (1 - p) * low, p * high]
    assert six_cells.stationary(J, h) == pytest.approx(wanted, abs=1e-12)


def test_a_chip_without_errors_is_off_by_rounding_alone() -> None:
    """Codes of 10 bits are off by 1.1 mkT rms; twice that in the field of six cells moves the law by less than .005."""
    right = {k: v for k, v in six_cells.SIX.items() if "sigma" not in k and "trim" not in k}
    with open_in_process("ideal-16", changes=right) as chip:
        assert six_cells.distance(chip) < 0.005
    with open_in_process("ideal-16", changes=right | {"cell.offset_sigma_kt": 0.2}) as chip:
        assert six_cells.distance(chip) > 0.03


def test_stages_bring_the_law_nearer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the samples: what offsets and slopes leave is still a quarter of what there was."""
    monkeypatch.setitem(calibration.EFFORT, "six", 0.05)
    monkeypatch.setattr(calibration, "FRESH", 0.5)
    found = calibration.measure({"chip": "six"}, 11)
    assert found["distance"][0] > 0.1
    assert found["distance"][3] < 0.25 * found["distance"][0]
    assert (found["before"] > 0.04).all()
    assert (found["left"] < 0.5 * found["before"]).all()
    assert (found["seconds_of_chip"][1:] > 0).all()
