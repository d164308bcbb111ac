"""How many bits learning takes: master weights on the host, or accumulators on the chip, rounded at random or to the nearest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import digits
from experiment import Case, Experiment, Results

from tsu_apps.report import Row

HOST, TWELVE, EIGHT, NEAREST = "host, 8-bit DAC", "on chip, 12-bit", "on chip, 8-bit", "on chip, 8-bit to the nearest"

NARROW = "digits-ideal?learning.bits=8&coupling.dac.full_scale=1.5&bias.dac.full_scale=3.0"
"""Ranges just wide enough for digits, so that a step of 8 bits is as small as it can be."""
SMOOTH = {"tau_data": 16.0, "tau_free": 16.0, "sweeps_per_tick": 6, "ticks": 4000, "eta_end": 0.00075}
"""Longer averages, and fewer, larger changes of the same number of sweeps: each rounding adds noise."""


def _cases(quick: bool) -> Sequence[Case]:
    more = {"ticks": 300} if quick else {}
    kinds: dict[str, dict[str, Any]] = {
        HOST: {"algorithm": "ctd", "chip": "digits-ideal"},
        TWELVE: {"algorithm": "onchip", "chip": "digits-ideal"},
        EIGHT: {"algorithm": "onchip", "chip": NARROW, **SMOOTH},
        NEAREST: {"algorithm": "onchip", "chip": NARROW, "stochastic": False, **SMOOTH},
    }
    return [Case(name, digits.train, {**parameters, **more}) for name, parameters in kinds.items()]


def _judge(results: Results, quick: bool) -> list[Row]:
    rows = [results.row(case, name, f"{name}, {case}") for case in results.runs for name in ("nats", "accuracy")]
    if quick:
        return rows
    host = results.mean(HOST, "nats")
    return [
        Row.at_most("nats behind the host, 12-bit", host - results.mean(TWELVE, "nats"), 0.3, "nat"),
        Row.at_most("nats behind the host, 8-bit", host - results.mean(EIGHT, "nats"), 0.8, "nat"),
        results.at_most(NEAREST, "accuracy", 0.75, "accuracy, 8-bit to the nearest, which must fail"),
        *rows,
    ]


EXPERIMENTS = (Experiment("precision", "the learning engine's accumulators against master weights on the host", _cases, _judge),)
