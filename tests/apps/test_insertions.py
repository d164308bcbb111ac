"""Hot and cold insertions: the die is settled when they begin, and the bench is as it was when they end."""

from __future__ import annotations

import numpy as np
import pytest

import tsu_driver as tsu
from apps.bench import laboratory
from serving import config
from tsu_apps.characterise import Insertion, insertions
from tsu_apps.characterise.lab import Lab
from tsu_emu.config import ChipConfig

AMBIENTS = (233.0, 298.0, 398.0)
RISE_K = 0.1 * (20.0 + 30.0)
"""Of the die by standby power."""


def warm(noise_k: float = 0.05) -> ChipConfig:
    """A die that standby power warms by 5 K, behind a sensor with a lag of .2 s."""
    thermal = {"r_th_k_per_w": (20.0, 30.0), "tau_s": (5e-3, 0.5), "sensor_lag_s": 0.2, "sensor_noise_k": noise_k}
    return config({"kind": "edges", "cells": 4, "pairs": []}, 4, thermal=thermal, energy={"standby_w": 0.1})


def visited(lab: Lab, soak_s: float) -> list[Insertion]:
    assert lab.instruments is not None
    with insertions(lab.chip, lab.instruments, AMBIENTS, soak_s) as visits:
        found = []
        for visit in visits:
            assert lab.instruments.read().ambient_k == visit.ambient_k
            found.append(visit)
    return found


@pytest.mark.parametrize("noise_k", [0.0, 0.05])
def test_the_die_is_settled_when_an_insertion_begins(noise_k: float) -> None:
    """Within .15 K of where it ends, also at first, when it warms up from power-on while the ambient falls: with soaks of the
    slowest time constant .05 K are left, see `insertions`; eight looks have .02 K of noise, of which halves may differ by three.

    Power: a look after a tenth of a soak is off by 10 K and more.
    """
    with laboratory(warm(noise_k)) as (lab, _):
        assert lab.instruments is not None
        found = visited(lab, 0.5)
        assert [v.ambient_k for v in found] == list(AMBIENTS)
        assert all(abs(v.sensor_k - v.ambient_k - RISE_K) < 0.15 for v in found)
        assert all(1.0 <= v.seconds <= 5.0 for v in found)
        assert lab.instruments.read().ambient_k == 300.0
        lab.wait(10.0)
        lab.instruments.ambient(398.0)
        lab.wait(0.05)
        assert abs(lab.chip.die_temperature() - 398.0 - RISE_K) > 10


def test_work_at_an_insertion_sees_the_dies_temperature() -> None:
    """Mean spins at 1/2 kT, tanh(h / T), T rising by 4e-3 a K, at 250 and 350 K to 5 standard errors of n = 64,000.

    Power: at the other insertion's T they are off by more.
    """
    chip = config({"kind": "edges", "cells": 10, "pairs": []}, 64, temperature={"tc_per_k": 4e-3})
    with laboratory(chip) as (lab, _):
        assert lab.instruments is not None
        lab.chip.program_couplings((np.empty((0, 2), np.int64), np.empty(0)), np.full(10, 0.5))
        seen = []
        with insertions(lab.chip, lab.instruments, (250.0, 350.0), 1.0) as visits:
            for _visit in visits:
                seen.append(np.mean([lab.chip.sample(100)]))
        right = np.tanh(0.5 / np.array([0.8, 1.2]))
        error = 5 / np.sqrt(64_000)
        assert np.all(np.abs(np.array(seen) - right) < error)
        assert abs(right[0] - right[1]) > 2 * error


def test_the_ambient_comes_back_whatever_happens() -> None:
    with laboratory(warm()) as (lab, _):
        assert lab.instruments is not None
        lab.instruments.ambient(310.0)
        with pytest.raises(ZeroDivisionError), insertions(lab.chip, lab.instruments, AMBIENTS, 0.5) as visits:
            next(visits).ambient_k / 0
        assert lab.instruments.read().ambient_k == 310.0


def test_what_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a die that goes on moving: after two soaks on a step of 67 K."""
    with laboratory(warm()) as (lab, _):
        assert lab.instruments is not None
        with pytest.raises(tsu.HostError, match="soak_s = 0"), insertions(lab.chip, lab.instruments, AMBIENTS, 0.0):
            pass
        with pytest.raises(tsu.HostError, match="200 to 450"), insertions(lab.chip, lab.instruments, (500.0,), 1.0) as visits:
            list(visits)
        monkeypatch.setattr("tsu_apps.characterise.ambient.SOAKS", 2)
        with (
            pytest.raises(tsu.HostError, match=r"after 2 soaks of 0\.5 s at 233 K the sensor still moves"),
            insertions(lab.chip, lab.instruments, AMBIENTS, 0.5) as visits,
        ):
            next(visits)
        assert lab.instruments.read().ambient_k == 300.0
