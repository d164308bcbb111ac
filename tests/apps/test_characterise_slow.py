"""Procedures of what changes slowly find what is configured, through the pins alone.

Tolerances are the measurements' own, as each procedure says. Power: the same measurement disagrees with the figure of a chip
without the effect, and with twice the effect.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from apps.bench import by_key, laboratory, run, told_apart
from serving import config
from tsu_apps.characterise import Measurement
from tsu_apps.characterise.allan import expected_deviation, log_slope
from tsu_apps.characterise.captures import Watch
from tsu_apps.characterise.dacs import endpoint_line
from tsu_apps.characterise.fits import fit_decays
from tsu_apps.characterise.slow import PROCEDURES, SPACINGS_S, refreshes
from tsu_apps.characterise.spatial import fit_variogram, pool, variogram
from tsu_emu.config import ChipConfig
from tsu_emu.noise.drift import corner_times

CHAIN = {"kind": "edges", "cells": 4, "pairs": [[0, 1], [1, 2], [2, 3]]}
ADC = {"count": 1, "noise_lsb": 0.4, "capacitor_sigma": 0.01, "acquisition_cycles": 8}
Floats = NDArray[np.float64]


def loose(cells: int, **more: Any) -> ChipConfig:
    """p-bits without couplers."""
    return config({"kind": "edges", "cells": cells, "pairs": []}, **more)


def measured(chip: ChipConfig, name: str, effort: float = 1.0) -> dict[str, Measurement]:
    """What a procedure measures on a chip, by key."""
    with laboratory(chip, effort) as (lab, _):
        return by_key(run(lab, PROCEDURES, name))


# Drift


def expected_curve(times: Floats, structure: Callable[[Floats], Floats]) -> Floats:
    """Allan deviations at the averaging times of the procedure; structure(k) = <(y(t + k) - y(t))^2>, k in s."""
    out = []
    for tau in times:
        spacing = SPACINGS_S[int(tau >= SPACINGS_S[1])]
        m = round(tau / spacing)
        out.append(expected_deviation(-structure(np.arange(2 * m) * spacing) / 2, m))
    return np.array(out)


def flicker(k: Floats) -> Floats:
    corners = corner_times(1e-5, 10.0)
    out: Floats = np.mean([2 * 0.05**2 * (1 - np.exp(-k / tau)) for tau in corners], axis=0)
    return out


DRIFTS: dict[str, tuple[dict[str, float], Callable[[Floats], Floats]]] = {
    "ou": ({"ou_sigma": 0.05, "ou_tau_s": 2000.0}, lambda k: 2 * 0.05**2 * (1 - np.exp(-k / 2000.0))),
    "walk": ({"walk_per_sqrt_hour": 0.05}, lambda k: 0.05**2 * k / 3600),
    "flicker": ({"flicker_rms": 0.05, "flicker_low_hz": 1e-5, "flicker_high_hz": 10.0}, flicker),
}


@pytest.mark.parametrize("kind", list(DRIFTS))
def test_drift(kind: str) -> None:
    """The Allan deviation of a part alone is the configured one at all times; so is its exponent over long ones, to .1.

    96 cells, 102 readings. A random walk has .46 here (1/2 for averages, less for readings), 1/f noise -.2 at these corners.
    """
    drift, structure = DRIFTS[kind]
    cell = {"kind": "pbit", "offset_sigma_kt": 0.2, "offset_drift": drift}
    curve = measured(loose(96, cell=cell), "drift", 0.4)["drift.offset.allan"]
    assert curve.x is not None
    expected = expected_curve(curve.x, structure)
    assert told_apart(curve, expected)
    late = curve.x >= SPACINGS_S[1]
    assert log_slope(curve.x[late], curve.value[late]) == pytest.approx(log_slope(curve.x[late], expected[late]), abs=0.1)


def test_no_drift() -> None:
    """Sampling noise, .011 kT in a reading, does not pass for drift; a part of the above would."""
    curve = measured(loose(96), "drift", 0.1)["drift.offset.allan"]
    assert curve.x is not None
    assert curve.agrees(0.0)
    assert not curve.agrees(expected_curve(curve.x, DRIFTS["ou"][1]))


# Levels


def test_storage() -> None:
    """Leakage to 8 %, refresh to 3 %, with a refresh noise of .1 LSB besides."""
    storage = {"leakage_tau_s": 1.0, "refresh_s": 0.01, "refresh_noise_lsb": 0.1}
    found = measured(config(CHAIN, 8, adc=ADC, storage=storage), "storage")
    assert told_apart(found["storage.leakage_per_s"], 1.0)
    assert told_apart(found["storage.refresh_s"], 0.01)


def test_slow_storage() -> None:
    """A period that needs the second ladder of looks."""
    found = measured(config(CHAIN, 8, adc=ADC, storage={"leakage_tau_s": 20.0, "refresh_s": 0.3}), "storage")
    assert told_apart(found["storage.leakage_per_s"], 0.05)
    assert told_apart(found["storage.refresh_s"], 0.3)


@pytest.mark.parametrize("storage", [{}, {"refresh_noise_lsb": 0.2}], ids=["none", "noise"])
def test_levels_that_stay(storage: dict[str, float]) -> None:
    """No leakage, and no period in mere noise of refreshes."""
    found = measured(config(CHAIN, 8, adc=ADC, storage=storage), "storage")
    assert list(found) == ["storage.leakage_per_s"]
    assert found["storage.leakage_per_s"].agrees(0.0)
    assert not found["storage.leakage_per_s"].agrees(0.05)


def test_refreshes_are_regular() -> None:
    """Of a sawtooth that skips no tooth, or two; not of steps up and down."""
    t = np.arange(400.0)
    assert len(refreshes(Watch(t, -(t % 50)), 1.0)) == 7
    assert len(refreshes(Watch(t, np.repeat(np.random.default_rng(1).normal(size=40), 10)), 0.1)) == 0


# Supply


@pytest.mark.parametrize("psrr_db", [34.0, 40.0])
def test_supply(psrr_db: float) -> None:
    """10^(-dB / 20) of the relative change, to .15 %, although levels leak by 1 % and the supply is noisy."""
    noisy = {"psrr_db": psrr_db, "noise_rms_v": 0.01, "tones": [{"hz": 50.0, "amplitude_v": 0.005}]}
    found = measured(config(CHAIN, 8, adc=ADC, storage={"leakage_tau_s": 1.0}, supply=noisy), "supply")
    assert told_apart(found["supply.sensitivity"], 10 ** (-psrr_db / 20))
    assert found["supply.psrr_db"].agrees(psrr_db)
    assert not found["supply.psrr_db"].agrees(psrr_db + 20 * math.log10(2))


def test_no_supply_gets_through() -> None:
    found = measured(config(CHAIN, 8, adc=ADC, supply={"psrr_db": 120.0}), "supply")
    assert list(found) == ["supply.sensitivity"]
    assert found["supply.sensitivity"].agrees(0.0)
    assert not found["supply.sensitivity"].agrees(0.01)


def test_supply_without_converters() -> None:
    """By the slopes of cells, at 20 dB."""
    found = measured(loose(64, supply={"psrr_db": 20.0}), "supply", 0.1)
    assert told_apart(found["supply.sensitivity"], 0.1)


# Heat


def test_heat() -> None:
    """Both time constants and the lag to 10 %, the resistance to 6 %: a megahertz chip of which a sweep takes much energy."""
    thermal = {"r_th_k_per_w": (2000.0, 3000.0), "tau_s": (0.02, 0.3), "sensor_lag_s": 0.003, "sensor_noise_k": 0.05}
    chip = loose(
        16, clock={"hz": 1_000_000}, slow={"epoch_cycles": 1024}, thermal=thermal, temperature={"tc_per_k": 1e-4},
        energy={"update_aj": 10**9, "standby_w": 0.01},
    )  # fmt: skip
    found = measured(chip, "thermal")
    truth = {"sensor_lag_s": 0.003, "tau_fast_s": 0.02, "tau_slow_s": 0.3, "r_th_k_per_w": 5000.0}
    for key, value in truth.items():
        measurement = found[f"thermal.{key}"]
        assert measurement.tolerance < 0.1 * value
        assert told_apart(measurement, value)


def test_a_chip_that_stays_cool_has_a_lag_alone() -> None:
    found = measured(
        loose(4, temperature={"tc_per_k": 1e-4}, thermal={"sensor_lag_s": 0.05, "sensor_noise_k": 0.1}), "thermal", 0.1
    )
    assert list(found) == ["thermal.sensor_lag_s"]
    assert told_apart(found["thermal.sensor_lag_s"], 0.05)


def test_noise_temperature() -> None:
    """Offset to half a step of the code, .008, and gain to 3 % (slopes vary by 5 % over 128 cells)."""
    dac = {"full_scale": 4.0, "gain_sigma": 0.05, "offset_sigma_lsb": 4.0}
    cell = {"kind": "pbit", "slope_sigma": 0.05, "offset_sigma_kt": 0.2}
    with laboratory(loose(128, cell=cell, temperature={"dac": dac}, seeds={"die": 2}), 0.3) as (lab, oracle):
        found = by_key(run(lab, PROCEDURES, "temperature"))
        outputs = oracle.truth("temperature_dac")
    gain = endpoint_line(outputs, 4 / 256)[2]
    assert found["temperature.offset"].tolerance < 0.012
    assert told_apart(found["temperature.offset"], outputs[0] / gain)
    assert found["temperature.gain"].agrees(gain)
    assert not found["temperature.gain"].agrees(2 * gain)


@pytest.mark.parametrize("count", [1, 2])
def test_decays(count: int) -> None:
    """Time constants of noisy exponentials, to 5 of the standard errors that the fit states, of 40 curves."""
    rng, t, tau = np.random.default_rng(3), np.linspace(0, 6, 300), np.array([0.3, 1.5])[-count:]
    clean = 2.0 + np.exp(-t[:, None] / tau).sum(axis=1)
    fits = [fit_decays(t, clean + 0.01 * rng.normal(size=300), 0.05, 10.0, count) for _ in range(40)]
    pulls = np.array([(f.tau - tau) / f.error for f in fits])
    assert np.abs(pulls).max() < 5
    assert np.abs(pulls.std(axis=0) - 1).max() < 5 / math.sqrt(80)
    assert np.all(np.abs(np.mean([f.tau for f in fits], axis=0) - tau) < 0.02 * tau)


# The die


def grid(side: int, die: int, share: float) -> ChipConfig:
    """p-bits on a square with offsets of .2 kT, a share of whose variance is a field of .2 die, the rest white."""
    process = {"die": 0.2, "gradient": 0.1 * share, "field": 0.8 * share, "white": 0.8 - 0.9 * share, "length": 0.2}
    cell = {"kind": "pbit", "offset_sigma_kt": 0.2}
    return config(
        {"kind": "grid", "width": side, "height": side, "rules": [[0, 1]]}, 16, cell=cell, process=process, seeds={"die": die}
    )


def test_correlation_length() -> None:
    """.2 die from 40 dies of 20 x 20 cells, of whose variance the field has 60 %; power: neither half nor twice is accepted."""
    dies = [measured(grid(20, die, 0.75), "spatial", 0.3)["process.variogram"] for die in range(1, 41)]
    curve, length = pool(dies, 20)
    assert length.tolerance < 0.08
    assert length.agrees(0.2)
    assert not length.agrees(0.1)
    assert not length.agrees(0.4)
    assert curve.value[-1] > 2 * curve.value[0]


def test_white_offsets_have_a_flat_variogram() -> None:
    """.04 x .8 kT^2 at all distances; standard error sqrt(2 / (3 x 400)) of the mean over the first five, or less."""
    dies = [measured(grid(20, die, 0.0), "spatial", 0.3)["process.variogram"] for die in range(1, 4)]
    flat = np.mean([die.value[:5] for die in dies], axis=0)
    assert np.abs(flat / 0.032 - 1).max() < 5 * math.sqrt(2 / 1200)


def test_variogram_of_a_plane_and_its_fit() -> None:
    """A plane of slope g gives g^2 dx^2 / 2, averaged over the splits of d; a fit of exact parts returns them."""
    y, x = np.mgrid[:12, :12].astype(float)
    gamma = variogram(0.1 * x, 0.1 * x, 6)
    d = np.arange(1.0, 7.0)
    assert gamma == pytest.approx(0.01 * d * (2 * d + 1) / 12)
    assert variogram(x, y, 6) == pytest.approx(0.0, abs=1e-12)
    exact = 0.3 + 0.5 * (1 - np.exp(-np.arange(1, 25) / 5.0)) + 0.001 * np.arange(1, 25) * (2 * np.arange(1, 25) + 1) / 6
    fit = fit_variogram(np.arange(1.0, 25.0), exact, np.ones(24), 60.0)
    assert fit.length == pytest.approx(5.0, rel=0.03)
    assert (fit.white, fit.field, fit.plane) == pytest.approx((0.3, 0.5, 0.001), rel=0.1)
