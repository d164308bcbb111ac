"""A fit is right within its errors, its configuration is the chip that it says, and its predictions hold where others do not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tsu_driver as tsu
from apps.calibrating import bench, flawed, inject
from serving import config, opened
from tsu_apps.calibrate.couplers import matrix
from tsu_apps.twin import Fit, FitError, Prediction, config_text, measure, observed, predict, save_config
from tsu_apps.twin.drift import drift_of
from tsu_apps.twin.measuring import inverse_temperature, straight
from tsu_contract.capabilities import LSB_SCALE
from tsu_emu.chip import Chip
from tsu_emu.config import load

SIX: dict[str, Any] = {"kind": "dense", "cells": 6}
EFFORT = 0.3
Floats = np.ndarray[Any, np.dtype[np.float64]]


@pytest.fixture(scope="module")
def measured() -> Iterator[tuple[Chip, tsu.Chip, Fit]]:
    """(emulated chip, driver's view, fit) of six cells with errors of every kind that a twin has, trimmed somehow, and bits of a
    coupler and of a bias stuck."""
    with bench(flawed(SIX, seeds={"die": 3})) as (emulated, chip, oracle):
        inject(oracle, "stuck-coupling-bit", coupler=11, bit=6, at=1)
        inject(oracle, "stuck-bias-bit", term=0, bit=5, at=1)
        chip.set_trims(np.arange(-30, 30, 10), np.arange(6))
        yield emulated, chip, measure(chip, EFFORT)


def program(chip: tsu.Chip, seed: int) -> tsu.Programmed:
    """Random couplings and biases that no measurement uses."""
    rng = np.random.default_rng(1000 + seed)
    return chip.program_couplings((chip.topology.pairs, 0.4 * rng.standard_normal(15)), 0.5 * rng.standard_normal(6))


def true_fields(emulated: Chip, chip: tsu.Chip) -> tuple[Floats, Floats]:
    """What cells feel of the codes that the chip has, over the T that it has, by the truth."""
    J, h, slope, offset = emulated.parameters.made()
    slope = np.broadcast_to(slope, len(h)) / emulated.parameters.temperature_output(chip.read_register("TEMP.TDAC.CODE"))
    return J * slope[chip.topology.target], slope * (h + offset)


def z_of(fit: Fit, chip: tsu.Chip, told: Prediction, looks: int = 300) -> float:
    """rms over means and products, in errors of sampling and of prediction."""
    planes = observed(fit, chip.sample(looks, 3, 30))
    error = np.hypot(planes.std(axis=0, ddof=1) / np.sqrt(len(planes)), told.errors)
    return float(np.sqrt(np.mean(((planes.mean(axis=0) - told.values) / error) ** 2)))


def test_fields_of_other_codes_are_known_within_their_errors(measured: tuple[Chip, tsu.Chip, Fit]) -> None:
    """The rms z of 36 fields of five programs is within 5 / sqrt(2 x 36) of 1; with errors halved or doubled it is not."""
    emulated, chip, fit = measured
    off = []
    for seed in range(5):
        codes = program(chip, seed)
        J, h = true_fields(emulated, chip)
        found_J, found_h = fit.felt(codes.coupling_codes, codes.bias_codes)
        coupling_codes, bias_codes = fit.heard(codes.coupling_codes, codes.bias_codes)
        values = coupling_codes * (chip.capabilities.coupling_lsb * LSB_SCALE)
        error_J = np.hypot(fit.coupler_gain_error * values, fit.unknown["coupler_offset"])
        error_h = np.hypot(fit.bias_gain_error * bias_codes * chip.capabilities.bias_lsb * LSB_SCALE, fit.unknown["offset"])
        off.append(np.concatenate([(found_J - J) / error_J, (found_h - h) / error_h]))
    rms = float(np.sqrt(np.mean(np.square(off))))
    assert 0.55 < rms < 1.6
    assert fit.coupler_gain_error.max() < 0.02
    assert fit.offset_error.max() < 0.01


def test_the_gain_of_the_temperature_dac_is_found(measured: tuple[Chip, tsu.Chip, Fit]) -> None:
    """T at nominal 2 over T at 1, by the truth, to 5 standard errors; that it is nominal is refused."""
    emulated, chip, fit = measured
    codes = []
    for T in (1.0, 2.0):
        chip.set_temperature(T)
        codes.append(chip.read_register("TEMP.TDAC.CODE"))
    chip.set_temperature(1.0)
    one, two = (emulated.parameters.temperature_output(code) for code in codes)
    assert abs(fit.temperature - (two / one - 1.0)) < 5 * fit.temperature_error
    assert abs(fit.temperature - 1.0) > 5 * fit.temperature_error


def test_a_program_that_was_held_out_does_what_the_twin_says(measured: tuple[Chip, tsu.Chip, Fit]) -> None:
    """21 means, at T = 1 and 1.5: rms z is 1 +- 5 / sqrt(2 x 21) if they were independent. The ideal chip is far off, and so is a
    twin whose bits are not stuck."""
    _, chip, fit = measured
    assert (fit.coupling_stuck.tolist(), fit.bias_stuck.tolist()) == ([[11, 64, 64]], [[0, 32, 32]])
    none = np.zeros((0, 3), np.int64)
    for T in (1.0, 1.5):
        codes = program(chip, 7)
        chip.set_temperature(T)
        assert z_of(fit, chip, predict(fit, codes, T)) < 1.8
        for other in (Fit.ideal(chip), fit.but(coupling_stuck=none), fit.but(bias_stuck=none))[: 3 if T == 1.0 else 1]:
            assert z_of(fit, chip, predict(other, codes, T)) > 5.0
        chip.set_temperature(1.0)


def test_the_twin_of_another_die_is_told_from_this_ones(measured: tuple[Chip, tsu.Chip, Fit]) -> None:
    _, chip, fit = measured
    other = flawed(SIX, seeds={"die": 2})
    with opened(other) as (_, another):
        strange = measure(another, EFFORT / 3)
    assert z_of(fit, chip, predict(strange, program(chip, 7))) > 5.0


def test_the_configuration_is_the_chip(measured: tuple[Chip, tsu.Chip, Fit], tmp_path: Path) -> None:
    """Its graph, colours, codes and fields, at T = 1 and 2, to seven digits of each value, of codes that go round stuck bits."""
    _, chip, fit = measured
    save_config(fit, tmp_path / "twin.toml")
    with opened(load(str(tmp_path / "twin.toml"))) as (emulated, twin):
        assert np.array_equal(twin.topology.colour, chip.topology.colour)
        assert np.array_equal(twin.topology.source, chip.topology.source)
        wanted = program(chip, 3)
        coupling_codes, bias_codes = fit.heard(wanted.coupling_codes, wanted.bias_codes)
        J = coupling_codes * (chip.capabilities.coupling_lsb * LSB_SCALE)
        codes = twin.program_couplings(matrix(twin, J), bias_codes * (chip.capabilities.bias_lsb * LSB_SCALE))
        assert np.array_equal(codes.coupling_codes, coupling_codes)
        assert np.array_equal(codes.bias_codes, bias_codes)
        for T in (1.0, 2.0):
            twin.set_temperature(T)
            J, h = true_fields(emulated, twin)
            found = fit.felt(codes.coupling_codes, codes.bias_codes, T)
            assert pytest.approx(found[0], abs=2e-6) == J
            assert h == pytest.approx(found[1], abs=2e-6)


def test_a_fit_that_was_saved_is_the_same(measured: tuple[Chip, tsu.Chip, Fit], tmp_path: Path) -> None:
    _, _, fit = measured
    path = tmp_path / "fit.npz"
    fit.save(path)
    again = Fit.load(path)
    assert config_text(again) == config_text(fit)
    assert np.array_equal(again.coupler_gain_error, fit.coupler_gain_error)
    assert (again.coupling_stuck.tolist(), again.bias_stuck.tolist()) == ([[11, 64, 64]], [[0, 32, 32]])
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    first = {name: value for name, value in arrays.items() if not name.endswith("_stuck")} | {"version": 1}
    np.savez(tmp_path / "first.npz", **first)
    assert len(Fit.load(tmp_path / "first.npz").coupling_stuck) == 0
    np.savez(tmp_path / "later.npz", **arrays | {"version": 3})
    with pytest.raises(FitError, match="version 3; up to 2 is expected"):
        Fit.load(tmp_path / "later.npz")
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0x40
    path.write_bytes(bytes(data))
    with pytest.raises(FitError, match=r"fit\.npz is no fit of a chip"):
        Fit.load(path)
    with pytest.raises(FitError, match="no fit"):
        Fit.load(tmp_path / "missing.npz")


def test_chains_agree_with_the_exact_law(measured: tuple[Chip, tsu.Chip, Fit], monkeypatch: pytest.MonkeyPatch) -> None:
    """As on larger chips: 512 chains; 21 values within 6 of the errors that 16 groups show (Student's law)."""
    _, chip, fit = measured
    errors = {name: 0.0 * value for name, value in vars(fit).items() if name.endswith(("_error", "_spread"))}
    codes, sure = program(chip, 5), fit.but(**errors)
    exact = predict(sure, codes)
    monkeypatch.setattr("tsu_apps.twin.prediction.EXACT_CELLS", 2)
    chained, uncertain = predict(sure, codes), predict(fit, codes)
    assert (abs(chained.values - exact.values) < 6 * chained.errors).all()
    assert 0.002 < chained.errors.mean() < 0.02
    assert uncertain.errors.mean() > chained.errors.mean()


def test_calibrations_in_force_and_trims_stay() -> None:
    with opened(flawed(SIX)) as (_, chip):
        calibration = tsu.Calibration.nominal(chip.capabilities).but(temperature=(1.1, -0.1))
        chip.apply_calibration(calibration)
        chip.set_trims(offsets=5)
        fit = measure(chip, 0.01)
        assert chip.calibration is calibration
        assert (chip.trims()[0] == 5).all()
        chip.set_trims(offsets=-200)
        other = measure(chip, 0.01)
        assert (fit.offset - other.offset).mean() > 0.3


def test_chips_that_have_no_twin_are_refused() -> None:
    pdits = config({"kind": "dense", "cells": 3}, 8, cell={"kind": "pdit", "states": 3})
    with opened(pdits) as (_, chip), pytest.raises(FitError, match="of kind pdit"):
        measure(chip, 0.01)
    dead = config({"kind": "dense", "cells": 3}, 8, cell={"kind": "pbit", "dead": {"up": 1.0}})
    with opened(dead) as (_, chip), pytest.raises(FitError, match=r"cells \[0, 1, 2\] do not follow their bias"):
        measure(chip, 0.01)


def test_straight_lines_have_the_errors_that_they_say() -> None:
    """2,000 lines through 6 points: rms z of gains and offsets is 1 to 5 / sqrt(4000); what leaves the line is found to 5 %."""
    rng = np.random.default_rng(3)
    x, error = rng.uniform(-1, 1, (6, 2000)), np.full((6, 2000), 0.02)
    for bent in (0.0, 0.05):
        y = 0.3 + 0.9 * x + 0.02 * rng.standard_normal(x.shape) + bent * rng.standard_normal(x.shape)
        line = straight(x, y, error)
        z = np.concatenate([(line.gain - 0.9) / line.gain_error, (line.offset - 0.3) / line.offset_error])
        assert line.spread == pytest.approx(bent, abs=0.004)
        assert (abs(np.sqrt(np.mean(z**2)) - 1.0) < 0.08) == (bent == 0.0)


def test_a_temperature_is_found_from_fields() -> None:
    rng = np.random.default_rng(4)
    fields = rng.standard_normal(4000)
    for T in (0.5, 2.0):
        ups = rng.binomial(50, 1.0 / (1.0 + np.exp(-2.0 * fields / T)))
        beta, error = inverse_temperature(fields, ups.astype(np.float64), np.full(4000, 50))
        assert abs(beta - 1.0 / T) < 5 * error < 0.1 / T


def test_drift_is_found_with_its_time_and_noise_is_not() -> None:
    """30 cells, 96 readings: sigma within 5 errors, the time within a factor of 2.5; noise of the same size alone is not seen."""
    rng = np.random.default_rng(5)

    def series(sigma: float, tau: float) -> Floats:
        x, keep = sigma * rng.standard_normal(30), np.exp(-1.0 / tau)
        out = []
        for _ in range(96):
            out.append(x)
            x = keep * x + sigma * np.sqrt(1.0 - keep**2) * rng.standard_normal(30)
        return np.array(out)

    def noise() -> Floats:
        return 0.02 * rng.standard_normal((96, 30))

    true = series(0.02, 8.0)
    found = drift_of(true + noise(), true + noise(), 10.0)
    assert found.seen
    assert abs(found.sigma_kt - 0.02) < 5 * found.sigma_error
    assert 32 < found.tau_s < 200
    assert not drift_of(noise(), noise(), 10.0).seen


def test_a_chip_that_drifts_has_a_drifting_twin(tmp_path: Path) -> None:
    drifting = config(
        {"kind": "edges", "cells": 24, "pairs": []},
        64,
        cell={"kind": "pbit", "offset_drift": {"ou_sigma": 0.05, "ou_tau_s": 60.0}},
    )
    with opened(drifting) as (_, chip):
        fit = measure(chip, 0.2, watch_s=3600.0)
    assert fit.drift is not None
    assert abs(fit.drift.sigma_kt - 0.05) < 5 * fit.drift.sigma_error < 0.03
    save_config(fit, tmp_path / "twin.toml")
    assert load(str(tmp_path / "twin.toml")).cell.offset_drift.ou_sigma == pytest.approx(fit.drift.sigma_kt, rel=1e-4)
