"""The study of faults counts what was broken and found, and what was called bad and is good."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("xarray")
sys.path[:0] = [str(Path(__file__).resolve().parents[2] / folder) for folder in ("tools", "tools/study")]

import faults  # noqa: E402

from tsu_apps.calibrate import Work, self_test  # noqa: E402
from tsu_testing.in_process import open_in_process  # noqa: E402

SMALL = {
    "fabric.topology.cells": 24, "adc.count": 2, "adc.buffer": 64, "cell.offset_sigma_kt": 0.1, "coupling.gain_sigma": 0.02,
}  # fmt: skip


def test_faults_are_found_and_alarms_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve faults on a small chip; a test that found nothing, and one that calls all bad, are counted as such."""
    monkeypatch.setattr(faults, "COUNTS", (4, 4, 3, 1))
    with open_in_process("ideal-16", changes=SMALL) as chip:
        broken = faults.inject(chip, np.random.default_rng(3))
        test = self_test(Work.of(chip))
        assert faults.found_of(test, broken).tolist() == [4, 4, 3, 1]
        alarms, good = faults.false_alarms(chip, test)
        assert (alarms, good) == (0, 24 + 552 + 24 - 11)
        blind = replace(test, cells=0 * test.cells, coupling_bits=0 * test.coupling_bits, converters=test.converters | True)
        assert faults.found_of(blind, broken).tolist() == [0, 0, 3, 0]
        scared = replace(test, cells=1 + 0 * test.cells)
        assert faults.false_alarms(chip, scared)[0] == 20
