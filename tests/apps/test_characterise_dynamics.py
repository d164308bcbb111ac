"""Procedures of dynamics find what the oracle says and refuse what it does not; and the laws of analog cells they rest on.

Tolerances are 5 standard errors from the scatter over planes.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from apps.bench import by_key, laboratory, run
from apps.tools import beside_the_truth
from serving import config
from tsu_apps.characterise import Measurement, analog_laws
from tsu_apps.characterise.dynamics import PROCEDURES, ring_fit
from tsu_apps.characterise.laws import exponential_of
from tsu_emu.config import ChipConfig

DENSE = {"kind": "dense", "cells": 6}
LOOSE = {"kind": "edges", "cells": 8, "pairs": []}
DAC = {"element_sigma": 0.02, "gain_sigma": 0.08, "offset_sigma_lsb": 1.0}
ERRORS: dict[str, Any] = {
    "coupling": {"gain_sigma": 0.2, "dac": {**DAC, "full_scale": 1.0}}, "bias": {"dac": {**DAC, "full_scale": 4.0}},
    "adc": {"count": 2, "bits": 10, "offset_sigma_lsb": 2.0, "gain_sigma": 0.01, "noise_lsb": 0.4},
    "clock": {"hz": 1e8},
}  # fmt: skip
TICK = {"timing": {"colour": 50, "slot": 0}}
ANALOG = {"tau_s": 1e-6, "stiffness_sigma": 0.1, "offset_sigma_kt": 0.1}
SPIN = {"kind": "async-pbit", "tau_s": 1e-6, "ln_tau_sigma": 0.3, "slope_sigma": 0.05, "offset_sigma_kt": 0.1}
CHIPS: dict[str, ChipConfig] = {
    "gaussian": config(DENSE, 64, **ERRORS, **TICK, cell={"kind": "gaussian", **ANALOG}),
    "rlc": config(
        LOOSE, 64, **ERRORS, timing={"colour": 10, "slot": 0}, cell={"kind": "gaussian", **ANALOG, "quality": 8.0},
    ),
    "langevin": config(LOOSE, 64, **ERRORS, **TICK, cell={"kind": "langevin", **ANALOG, "range": 4.0, "substeps": 16}),
    "mixture": config(
        LOOSE, 64, **ERRORS, timing={"colour": 100, "slot": 0},
        cell={"kind": "mixture", "modes": 3, **ANALOG, "mode_tau_s": 2e-6, "offset_sigma_kt": 0.2},
    ),
    "glauber": config(DENSE, 16, **ERRORS, **TICK, cell={**SPIN, "kinetics": "glauber"}),
    "arrhenius": config(DENSE, 16, **ERRORS, **TICK, cell={**SPIN, "kinetics": "arrhenius"}),
    "ideal": config(LOOSE, 32, **ERRORS, cell={"kind": "pbit", "offset_sigma_kt": 0.3}),
    "coloured": config(
        LOOSE, 32, **ERRORS, cell={"kind": "pbit", "offset_sigma_kt": 0.3, "noise": {"kind": "coloured", "tau_sweeps": 1.5}},
    ),
}  # fmt: skip
SPIN_NAMES = ["autocorrelation", "kinetics"]
NAMES = {
    "gaussian": ["autocorrelation", "gaussian-covariance"], "rlc": ["autocorrelation", "gaussian-covariance"],
    "langevin": ["autocorrelation", "langevin-moments"], "mixture": ["mixture"], "glauber": SPIN_NAMES, "arrhenius": SPIN_NAMES,
    "ideal": ["noise-source"], "coloured": ["noise-source"],
}  # fmt: skip
TIMES = ["cell.relaxation_s", "cell.relaxation_s.mean"]
SPIN_KEYS = ["cell.relaxation", "cell.relaxation.mean", "kinetics.rate"]
KEYS = {
    "gaussian": [*TIMES, "gaussian.covariance.symmetric", "gaussian.covariance.asymmetric"],
    "rlc": ["cell.ringing_hz", "cell.quality", "gaussian.covariance.symmetric"],
    "langevin": [*TIMES, "langevin.x2", "langevin.x4", "langevin.x2.mean", "langevin.x4.mean"],
    "mixture": ["mixture.weights", "mixture.means"], "glauber": SPIN_KEYS, "arrhenius": SPIN_KEYS,
    "ideal": ["noise.serial"], "coloured": ["noise.serial"],
}  # fmt: skip
CASES = [(kind, key) for kind, keys in KEYS.items() for key in keys]
Found = tuple[dict[str, Measurement], dict[str, Any], dict[str, dict[str, Any]]]


@cache
def found(kind: str) -> Found:
    return beside_the_truth(CHIPS[kind], PROCEDURES, NAMES[kind], 0.6)


@pytest.mark.parametrize(("kind", "key"), CASES)
def test_it_is_what_the_oracle_says_and_nothing_else(kind: str, key: str) -> None:
    """Agreement with the exact law of the die's parameters; disagreement with other dynamics, temperatures or errors."""
    measured, truth, wrong = found(kind)
    assert measured.keys() == set(KEYS[kind])
    assert measured[key].agrees(truth[key]), (measured[key].deviation(truth[key]), measured[key].tolerance)
    assert wrong[key]
    assert [name for name, value in wrong[key].items() if measured[key].agrees(value)] == []


def test_lone_resonators_ring_as_their_formula_says() -> None:
    """Frequency and quality of uncoupled RLC cells against w^2 = q^2/a - 1/4a^2 and q sqrt(a)."""
    with laboratory(CHIPS["rlc"], 0.6) as (lab, oracle):
        seen = by_key(run(lab, PROCEDURES, "autocorrelation"))
        lab.chip.run(1)
        a = oracle.truth("h").reshape(-1, 2)[:, 1] * oracle.truth("stiffness")
    f, q = np.array([analog_laws.ringing(x, 1e-6, 8.0) for x in a.tolist()]).T
    assert seen["cell.ringing_hz"].agrees(f)
    assert seen["cell.quality"].agrees(q)
    assert not seen["cell.ringing_hz"].agrees(np.full(8, analog_laws.ringing(1.0, 1e-6, 8.0)[0]))


def test_shift_registers_are_seen_to_remember() -> None:
    """Registers shifted twice from a look to the next, two planes: cells whose offset is off 0 repeat themselves, r(1) > .04.

    As far beyond the 5 / sqrt(samples of all cells) of ideal noise, .02, that it is told from 0.
    """
    cell = {"kind": "pbit", "offset_sigma_kt": 0.6, "noise": {"kind": "lfsr", "width": 16}}
    many = {"kind": "edges", "cells": 128, "pairs": []}
    with laboratory(config(many, 2, cell=cell), 0.6) as (lab, _):
        serial = by_key(run(lab, PROCEDURES, "noise-source"))["noise.serial"]
    assert serial.value[0] > 0.04
    assert np.all(np.abs(serial.value[3:]) < 5 / np.sqrt(128 * 2 * 240))


def test_lyapunov_and_exponential() -> None:
    """Of a random asymmetric matrix: the equation holds, and exp(A) exp(-A) is 1; both to 1e-12."""
    rng = np.random.default_rng(1)
    B = 2 * np.eye(5) + rng.normal(0, 0.4, (5, 5))
    P = analog_laws.lyapunov(B, 2 * np.eye(5))
    assert np.abs(B @ P + P @ B.T - 2 * np.eye(5)).max() < 1e-12
    assert np.abs(exponential_of(5 * B) @ exponential_of(-5 * B) - np.eye(5)).max() < 1e-9
    A = B + B.T
    assert np.abs(analog_laws.network_covariance(A, 0.7) - 0.7 * np.linalg.inv(A)).max() < 1e-12
    assert np.abs(analog_laws.network_covariance(A, 0.7, 5.0) - 0.7 * np.linalg.inv(A)).max() < 1e-12


def test_wells_in_closed_form() -> None:
    """A harmonic cell: <x^2> = T/a, <x^4> = 3 (T/a)^2, autocovariance T/a e^(-a t); with steps of .25, T/a (1 - .25 a)^(4 t)."""
    assert analog_laws.well_moments(2.0, 0.0, 0.0, 0.0, 1.5, (2, 4)) == pytest.approx([0.75, 3 * 0.75**2])
    c = analog_laws.well_autocovariance(1.0, 0.0, 0.0, 0.3, 1.0, (0.0, 0.5, 1.0))
    assert c == pytest.approx(np.exp([0.0, -0.5, -1.0]), rel=3e-3)
    stepped = analog_laws.well_autocovariance(1.0, 0.0, 0.0, 0.3, 1.0, (0.5, 1.0), 0.25)
    assert stepped == pytest.approx([0.75**2, 0.75**4], rel=1e-2)


def test_mixtures_and_coloured_spins_in_closed_form() -> None:
    """Modes that never change have their own means, modes that change at once the mean of all; 2/pi asin(rho) at p = 1/2."""
    w, m = np.array([0.0, 1.0]), np.array([-1.0, 2.0])
    p = analog_laws.mixture_weights(w, 2.0)
    assert p[1] / p[0] == pytest.approx(np.exp(0.5))
    assert analog_laws.mixture_means(w, m, 2.0, 1e9) == pytest.approx(m, abs=1e-6)
    assert analog_laws.mixture_means(w, m, 2.0, 1e-9) == pytest.approx(np.full(2, p @ m), abs=1e-6)
    assert analog_laws.coloured_correlation(0.5, 0.6) == pytest.approx(2 / np.pi * np.arcsin(0.6), abs=1e-4)
    rng = np.random.default_rng(2)
    z = rng.normal(size=(2, 400_000))
    pair = z[0] < 0.8, 0.6 * z[0] + 0.8 * z[1] < 0.8
    seen = np.corrcoef(pair)[0, 1]
    up = float(analog_laws.normal_cdf(np.array([0.8]))[0])
    assert analog_laws.coloured_correlation(up, 0.6) == pytest.approx(seen, abs=5 / np.sqrt(400_000))
    assert analog_laws.coloured_correlation(0.5, 0.6) != pytest.approx(seen, abs=5 / np.sqrt(400_000))


def test_the_recurrence_is_exact_for_one_ringing_mode() -> None:
    t = 1e-7 * np.arange(19)[:, None]
    w, decay = 2 * np.pi * 1.5e6, 4e5
    c = np.exp(-decay * t) * (np.cos(w * t) + 0.04 * np.sin(w * t))
    c[0] += 0.5
    frequency, quality = ring_fit(c, 1e-7)[:, 0]
    assert frequency == pytest.approx(1.5e6, rel=1e-9)
    assert quality == pytest.approx(np.hypot(w, decay) / (2 * decay), rel=1e-9)
