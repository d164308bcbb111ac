"""Drift through the chip: a pure function of chip time, its parts drawn apart, ten years in a moment."""

from __future__ import annotations

import time

import numpy as np
import pytest

from chip.test_effects import EPOCH, GRID, HZ, biases, build, sweep_at
from chip.test_every_effect import at, execute
from serving import config
from tsu_contract.operations import Op
from tsu_emu.chip import Chip
from tsu_emu.chip.drifting import Drifting

WHOLE = {
    "ou_sigma": 0.05, "ou_tau_s": 3600.0, "walk_per_sqrt_hour": 0.01, "flicker_rms": 0.02, "flicker_low_hz": 1e-5,
    "flicker_high_hz": 10.0,
    "ageing": 0.02, "power_nu": 0.01, "power_nu_sigma": 0.01,
}  # fmt: skip


def drifting(n: int = 4_000, name: str = "offset", run: int = 7, **drift: float) -> Drifting:
    """The drift of one parameter of n loose cells; epochs of 1.024 ms."""
    both = {"kind": "pbit", "offset_drift": drift, "slope_drift": drift}
    tables = {"clock": {"hz": HZ}, "slow": {"epoch_cycles": EPOCH}, "cell": both, "seeds": {"die": run, "run": run}}
    return Chip(config({"kind": "edges", "cells": n, "pairs": []}, 1, **tables)).parameters.drifts[name]


def test_drift_at_an_epoch_is_the_same_forward_backward_and_among_others() -> None:
    epochs = [0, 1, 2, 3, 1000, 1001, 65_536, 10**9, 10**9 + 1, 10**12]
    alone = {e: drifting(40, **WHOLE).at(e, 1e-3 * e).tobytes() for e in epochs}
    one = drifting(40, **WHOLE)
    for order in (
        epochs,
        epochs[::-1],
        [x for e in epochs for x in (e, 10**12 - e, e)],
        epochs[::3] + epochs[1::3] + epochs[2::3],
    ):
        for e in order:
            assert e not in alone or one.at(e, 1e-3 * e).tobytes() == alone[e]


def test_parts_of_a_drift_add_up_and_draw_apart() -> None:
    """The whole is the sum of its parts; parts of 4,000 elements, two parameters and two runs are uncorrelated."""
    parts = ({"ou_sigma": 0.05}, {"walk_per_sqrt_hour": 0.01}, {"flicker_rms": 0.02})
    alone = [drifting(**part).at(12_345, 1.0) for part in parts]
    whole = drifting(**{name: value for part in parts for name, value in part.items()}).at(12_345, 1.0)
    assert np.allclose(whole, sum(alone), rtol=0, atol=1e-15)
    others = [drifting(name="slope", **parts[0]), drifting(run=8, **parts[0])]
    rows = np.array([*alone, *(other.at(12_345, 1.0) for other in others)])
    assert np.abs(np.corrcoef(rows)[np.triu_indices(5, 1)]).max() < 5 / np.sqrt(4_000)


def test_exponents_are_drawn_apart_from_the_other_parts() -> None:
    nu = drifting(power_nu_sigma=0.1).at(10_000, 1.0)
    ou = drifting(ou_sigma=0.1, ou_tau_s=1e6).at(0, 0.0)
    assert abs(np.corrcoef(nu, ou)[0, 1]) < 5 / np.sqrt(4_000)


def test_exponents_belong_to_the_die() -> None:
    """Another run of the same die has the same devices."""
    tables = {"cell": {"kind": "pbit", "offset_drift": {"power_nu_sigma": 0.1}}}
    chips = [build(GRID, seeds={"die": 1, "run": run}, **tables) for run in (1, 2)]
    for chip in chips:
        sweep_at(chip, HZ)
    assert np.array_equal(*(chip.plant.bias for chip in chips))


YEAR_S = 365.25 * 86_400


def test_ten_years_pass_in_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    """At 100 MHz with the usual epochs; 900 cells: their mean is what has aged, A ln(1 + t / t0), their spread OU,
    1/f and walk."""
    drift = {"ou_sigma": 0.02, "walk_per_sqrt_hour": 1e-3, "flicker_rms": 0.05, "flicker_low_hz": 1e-4, "ageing": 0.02}
    began = time.perf_counter()
    chip = build(
        GRID,
        codes=(0, 0),
        clock={"hz": 100_000_000},
        slow={"epoch_cycles": 1 << 17},
        cell={"kind": "pbit", "offset_drift": drift},
    )
    sweep_at(chip, round(10 * YEAR_S * 1e8))
    with capsys.disabled():
        print(f" [ten years of 900 cells: {time.perf_counter() - began:.2f} s] ", end="")
    h = biases(chip)
    spread_, aged = float(np.sqrt(0.02**2 + 0.05**2 + 1e-6 * 10 * YEAR_S / 3600)), 0.02 * float(np.log1p(10 * YEAR_S / 3600))
    assert abs(h.std() - spread_) < 5 * spread_ / np.sqrt(1_800)
    assert abs(h.mean() - aged) < 5 * spread_ / np.sqrt(900)
    for wrong in (0.0, 2.0):
        assert abs(h.std() - wrong * spread_) > 5 * spread_ / np.sqrt(1_800)
    assert aged > 2 * 5 * spread_ / np.sqrt(900)


def test_asked_every_hour_for_a_year_or_once_at_the_end_a_chip_has_the_same_fields() -> None:
    """One chip is looked at each hour and sweeps each day, the other sweeps once, a year later."""
    drift = {k: v for k, v in WHOLE.items() if k != "ageing"}
    tables = {"clock": {"hz": 100_000_000}, "slow": {"epoch_cycles": 1 << 17},
              "cell": {"kind": "pbit", "offset_drift": drift, "slope_drift": {"ou_sigma": 0.02}},
              "coupling": {"drift": {"walk_per_sqrt_hour": 1e-3}}}  # fmt: skip
    end, hour = round(YEAR_S * 1e8), 3_600 * 100_000_000
    asked, alone = build(**tables), build(**tables)
    look = [((Op.READ, at("TEMP.SENSOR"), 0, 0, 0), None), ((Op.READ, at("SYS.CYCLE"), 0, 0, 0), None)]
    for day in range(365):
        execute(asked, [step for k in range(24) for step in (((Op.DELAY_UNTIL, 0, 0, 0, (24 * day + k) * hour), None), *look)])
        if day % 5 == 0:
            sweep_at(asked, asked.link_time)
    for chip in (asked, alone):
        sweep_at(chip, end)
    for name in ("doubled", "bias", "base"):
        assert np.array_equal(getattr(asked.plant, name), getattr(alone.plant, name)), name
    assert biases(alone).std() > 0.1
    later = build(**tables)
    sweep_at(later, end + hour)
    assert not np.array_equal(later.plant.bias, alone.plant.bias)
