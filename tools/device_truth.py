"""True values of what `tsu_apps.characterise` measures of converters, drift and surroundings: from the oracle's staircases, and
from the configuration what it states outright. Each with the values that have to be told from it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsu_apps.characterise import Measurement
from tsu_apps.characterise.allan import expected_deviation
from tsu_apps.characterise.dacs import endpoint_line
from tsu_apps.characterise.sine import expected_enob, linearity, mean_codes, two_point_line
from tsu_apps.characterise.slow import SPACINGS_S
from tsu_emu.config import ChipConfig, Dac, Drift

Floats = NDArray[np.float64]
Ask = Callable[[str, int | None], NDArray[Any]]
Known = tuple[Any, dict[str, Any]]
"""(true value, wrong values by name)."""
REFERENCES = np.array([-7 / 8, 7 / 8])


def device_truth(ask: Ask, config: ChipConfig, m: Measurement) -> Known | None:
    """By the key of a measurement; None if it is not known."""
    first, *rest = m.key.split(".")
    if first == "adc":
        return _converter(ask, config, int(rest[0]), rest[1])
    if first in ("coupling_dac", "bias_dac"):
        return _dac(ask, config, first, rest)
    if m.key == "drift.offset.allan" and m.x is not None and hasattr(config.cell, "offset_drift"):
        return _scaled(np.array([_allan(config.cell.offset_drift, tau) for tau in m.x]))
    stated = _stated(ask, config).get(m.key)
    return None if stated is None else _scaled(stated())


def _scaled(value: Any) -> Known:
    """With the effect switched off and doubled."""
    return value, {"off": 0.0 * value, "doubled": 2.0 * value}


def _converter(ask: Ask, config: ChipConfig, adc: int, what: str) -> Known | None:
    bits, noise = config.adc.bits, math.hypot(config.adc.noise_lsb, config.adc.comparator_noise_lsb)
    levels, lsb = ask("adc_thresholds", adc), 2.0 ** (1 - bits)
    if what in ("inl", "dnl"):
        return _scaled(getattr(linearity(levels), what))
    if what in ("offset_lsb", "gain"):
        offset, gain = two_point_line(mean_codes(levels, REFERENCES, lsb), REFERENCES, bits)
        return _scaled(offset) if what == "offset_lsb" else (gain, {"off": 1.0, "doubled": 2 * gain - 1})
    if what == "noise_lsb":
        return _scaled(noise)
    if what == "enob":
        return expected_enob(levels, bits, noise), {
            "no noise": expected_enob(levels, bits, 0.0), "noise doubled": expected_enob(levels, bits, 2 * noise)
        }  # fmt: skip
    return None


def _dac(ask: Ask, config: ChipConfig, name: str, rest: list[str]) -> Known | None:
    dac: Dac = config.coupling.dac if name == "coupling_dac" else config.bias.dac
    what, element = rest[-1], int(rest[0]) if len(rest) > 1 else 0
    if what == "settling_s":
        return _scaled(dac.settling_s)
    if what == "glitch_lsb":
        return _scaled(dac.glitch_lsb)
    inl, offset, gain = endpoint_line(ask(name, element), dac.full_scale / (1 << dac.bits - 1))
    if what == "gain":
        return gain, {"off": 1.0, "doubled": 2 * gain - 1}
    known = {"inl": inl, "offset_lsb": np.asarray(offset)}.get(what)
    return None if known is None else _scaled(known)


def _leak_s(config: ChipConfig, die_k: float) -> float:
    """Decay time constant of held levels; without leakage forever."""
    if not config.storage.leakage_tau_s:
        return math.inf
    return config.storage.leakage_tau_s * 2.0 ** (-(die_k - config.thermal.reference_k) / 10.0)


def _stated(ask: Ask, config: ChipConfig) -> dict[str, Callable[[], Any]]:
    thermal, psrr = config.thermal, 10.0 ** (-config.supply.psrr_db / 20.0)
    tau = sorted(thermal.tau_s)

    lsb = config.temperature.dac.full_scale / (1 << config.temperature.dac.bits)
    return {
        "storage.leakage_per_s": lambda: (
            1.0 / _leak_s(config, float(ask("die_k", None)[0])) if config.storage.leakage_tau_s else 0.0
        ),
        "storage.refresh_s": lambda: config.storage.refresh_s,
        "supply.sensitivity": lambda: psrr,
        "supply.psrr_db": lambda: config.supply.psrr_db,
        "thermal.sensor_lag_s": lambda: thermal.sensor_lag_s,
        "thermal.tau_fast_s": lambda: tau[0],
        "thermal.tau_slow_s": lambda: tau[-1],
        "thermal.r_th_k_per_w": lambda: sum(thermal.r_th_k_per_w),
        "temperature.gain": lambda: endpoint_line(ask("temperature_dac", None), lsb)[2] / _mean_slope(ask),
    }


def _mean_slope(ask: Ask) -> float:
    """Mean slope of the cells that work: what they have in common cannot be told from the temperature."""
    slope, dead = np.asarray(ask("slope", None)), np.asarray(ask("dead", None))
    return float(np.broadcast_to(slope, dead.shape)[dead == 0].mean())


def _allan(drift: Drift, tau: float) -> float:
    """Allan deviation of a drifting parameter at an averaging time, s, read as the procedure reads it."""
    spacing = SPACINGS_S[int(tau >= SPACINGS_S[1])]
    m = round(tau / spacing)
    k = np.arange(2 * m) * spacing
    square = 2 * drift.ou_sigma**2 * -np.expm1(-k / drift.ou_tau_s) + drift.walk_per_sqrt_hour**2 * k / 3600.0
    decades = math.log10(drift.flicker_high_hz / drift.flicker_low_hz)
    corners = np.geomspace(drift.flicker_low_hz, drift.flicker_high_hz, round(2 * decades) + 1)
    times = 1.0 / (2 * math.pi * corners)
    square = square + 2 * drift.flicker_rms**2 * np.mean([-np.expm1(-k / t) for t in times], axis=0)
    return expected_deviation(-square / 2, m)
