"""Configurations of every kind of cell, small."""

from __future__ import annotations

from typing import Any

from bench.harness import ADC_BITS, CHAIN, Bench
from serving import config

TYPICAL: dict[str, Any] = {
    "coupling": {"gain_sigma": 0.05, "dac": {"element_sigma": 0.02, "offset_sigma_lsb": 0.5}},
    "bias": {"dac": {"element_sigma": 0.02, "gain_sigma": 0.02}},
    "cell": {"kind": "pbit", "slope_sigma": 0.05, "offset_sigma_kt": 0.2},
}
MOVING: dict[str, Any] = {
    **TYPICAL,
    "cell": {"kind": "pbit", "slope_sigma": 0.05, "offset_drift": {"walk_per_sqrt_hour": 0.05}},
    "network": {"crosstalk": 0.015},
    "thermal": {"sensor_offset_sigma_k": 2.0, "r_th_k_per_w": [20, 20]},
    "energy": {"update_aj": 10**9},
}
ANALOG: dict[str, Any] = {"timing": {"slot": 0, "colour": 10}}
PBIT_KINDS = {"still": {}, "typical": TYPICAL, "moving": MOVING}
KINDS: dict[str, dict[str, Any]] = {
    **PBIT_KINDS,
    "coloured": {"cell": {"kind": "pbit", "noise": {"kind": "coloured", "tau_sweeps": 3}}},
    "async": {"cell": {"kind": "async-pbit", "ln_tau_sigma": 0.5}, **ANALOG},
    "pdit": {"cell": {"kind": "pdit", "states": 3, "offset_sigma_kt": 0.1}},
    "pdit-drift": {"cell": {"kind": "pdit", "states": 3, "offset_drift": {"ou_sigma": 0.1}}},
    "gaussian": {"cell": {"kind": "gaussian", "stiffness_sigma": 0.1}, **ANALOG},
    "langevin": {"cell": {"kind": "langevin", "stiffness_sigma": 0.1}, **ANALOG},
    "mixture": {"cell": {"kind": "mixture", "modes": 3, "stiffness_sigma": 0.1}, **ANALOG},
}


def of_kind(name: str) -> Bench:
    topology = {"topology": {**CHAIN, "pairs": []}, "planes": 8} if name == "mixture" else {"topology": CHAIN, "planes": 8}
    return Bench(config(**topology, adc={"count": 2, "bits": ADC_BITS}, **KINDS[name]))
