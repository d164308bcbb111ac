"""The learning engine: a rule into its registers, its gain, how it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_contract.capabilities import GAIN_SCALE, LEARN_TERMS, RATE_SCALE
from tsu_contract.program import Instruction, Opcode
from tsu_driver.accumulators import Bank, banks
from tsu_driver.batch import Batch
from tsu_driver.bus import Bus
from tsu_driver.correlator import role_counts
from tsu_driver.errors import HostError
from tsu_driver.names import WORD_MAX
from tsu_driver.planes import Planes, plane_numbers
from tsu_driver.programs import require_engine
from tsu_driver.rules import BIAS_FACTORS, PAIR_FACTORS, Term, UpdateRule

Floats = NDArray[np.float64]

RATE_MIN, RATE_MAX = -(1 << 31), (1 << 31) - 1
"""Codes of LEARN.*_RATE."""
NORM_UNIT, DECAY_UNIT, GAIN_UNIT = 1 << 16, 1 << 32, round(1 / GAIN_SCALE)
LABELS = {name: "WEIGHT" if name == "w" else name.upper() for name in (*PAIR_FACTORS, *BIAS_FACTORS)}
"""Factors of a rule, and their labels in LEARN.*_TERM."""
NOTHING = ("ONE", "ONE", "ONE")
ROLES = {"data": "LEARN.NORM_DATA", "free": "LEARN.NORM_FREE"}
COUNTS = "LEARN.NORM_DATA"
"""Where the shadow has the planes of each role that the rule in force was loaded for."""


@dataclass(frozen=True)
class LoadedRule:
    """What `load_rule` set.

    pair_rates, bias_rates : (terms,) rates that the chip has, in the units of the rule
    pair_errors, bias_errors : (terms,) their relative errors; 0 where the rate is 0
    data_planes, free_planes : planes over which the averages are taken
    gain_decay : fraction of the gain that each update takes away
    """

    pair_rates: Floats
    bias_rates: Floats
    pair_errors: Floats
    bias_errors: Floats
    data_planes: int
    free_planes: int
    gain_decay: float


@dataclass(frozen=True)
class LearningStatus:
    """How learning goes.

    updates : LEARN instructions since power-on; version : of the weights; gain : common factor of the rates, 0 .. 1
    clipped : changes that met an end of the range since the rule was loaded, modulo 2^32
    saturated : accumulators at an end after the last update; changed : codes that it changed
    """

    updates: int
    clipped: int
    saturated: int
    changed: int
    version: int
    gain: float


def load_rule(
    bus: Bus,
    rule: UpdateRule,
    planes: tuple[Planes | None, Planes | None],
    stochastic: bool,
    stochastic_codes: bool,
    gain_decay: float,
) -> LoadedRule:
    """Encode a rule and write it, in one message; `planes` are those of the data and of the free role, None as configured."""
    pair_bank, bias_bank = banks(bus.capabilities)
    given = [None if p is None else len(plane_numbers(p, bus.capabilities.planes)) for p in planes]
    counts = {role: n if n is not None else now for role, n, now in zip(ROLES, given, role_counts(bus), strict=True)}
    pairs, biases = encode(pair_bank, rule.pair, counts), encode(bias_bank, rule.bias, counts)
    decay = _decay_code(gain_decay)
    batch = bus.batch()
    _write_terms(batch, pair_bank, rule.pair, pairs)
    _write_terms(batch, bias_bank, rule.bias, biases)
    for role, name in ROLES.items():
        batch.write(name, NORM=_norm(counts[role]))
    batch.write("LEARN.GAIN", GAIN=GAIN_UNIT)
    batch.write("LEARN.DECAY", DECAY=decay)
    batch.write("LEARN.CTRL", ROUND_WEIGHT=int(stochastic), ROUND_CODE=int(stochastic_codes), CLEAR=1)
    batch.execute()
    used = {_role(name) for term in (*rule.pair, *rule.bias) for name in term.factors}
    bus.remember({COUNTS: {role: counts[role] for role, p in zip(ROLES, planes, strict=True) if role in used and p is None}})
    return LoadedRule(
        pair_rates=np.array([e.rate for e in pairs]),
        bias_rates=np.array([e.rate for e in biases]),
        pair_errors=np.array([e.error for e in pairs]),
        bias_errors=np.array([e.error for e in biases]),
        data_planes=counts["data"],
        free_planes=counts["free"],
        gain_decay=decay / DECAY_UNIT,
    )


class Encoded(NamedTuple):
    """A rate as the chip has it: its code, what that stands for in the unit of the rule, and the relative error of that."""

    code: int
    rate: float
    error: float


def encode(bank: Bank, terms: Sequence[Term], counts: Mapping[str, int]) -> list[Encoded]:
    """Rates of terms as codes; HostError names a term that cannot be had.

    On the chip "w" and "code" are fractions of the range, and averages are off by the rounding of NORM; rates make up for both.
    counts : planes of each role
    """
    out = []
    for number, term in enumerate(terms):
        unit = bank.step * RATE_SCALE
        for name in term.factors:
            role = _role(name)
            if role is not None and not counts[role]:
                what = f"{bank.name.lower()} term {number} has the factor {name!r}"
                raise HostError(f"{what}, but the {role} role has no enabled plane; see chip.configure_correlator")
            unit *= 1.0 if role is None else _norm(counts[role]) * counts[role] / NORM_UNIT
            unit /= bank.full if name in ("w", "code") else 1.0
        code = round(term.rate / unit)
        if not RATE_MIN <= code <= RATE_MAX or (term.rate and not code):
            what = f"{bank.name.lower()} term {number}, {term.rate:g} x {' x '.join(term.factors)}"
            raise HostError(
                f"{what}: the chip has rates of {unit:.3g} .. {RATE_MAX * unit:.3g} in steps of {unit:.3g}, either sign"
            )
        out.append(Encoded(code, code * unit, code * unit / term.rate - 1 if term.rate else 0.0))
    return out


def set_gain(bus: Bus, gain: float) -> float:
    """Set the common factor of all rates, 0 .. 1; returns what could be set."""
    require_engine(bus.capabilities)
    if not 0 <= gain <= 1:
        raise HostError(f"gain = {gain}; 0 .. 1 is expected, load a rule with greater rates for more")
    code = round(gain * GAIN_UNIT)
    bus.write_register("LEARN.GAIN", GAIN=code)
    return code / GAIN_UNIT


def read_gain(bus: Bus) -> float:
    """The common factor of all rates, as it has decayed."""
    require_engine(bus.capabilities)
    return bus.read_register("LEARN.GAIN") / GAIN_UNIT


def read_status(bus: Bus) -> LearningStatus:
    """Counters of the engine, in one message."""
    require_engine(bus.capabilities)
    batch = bus.batch()
    tickets = {name: batch.read(f"LEARN.{name.upper()}") for name in ("updates", "clipped", "saturated", "changed", "version")}
    gain = batch.read("LEARN.GAIN")
    batch.execute()
    return LearningStatus(**{name: t.value for name, t in tickets.items()}, gain=gain.value / GAIN_UNIT)


def check_roles(bus: Bus, program: Sequence[Instruction]) -> None:
    """HostError if a program learns and the rule was loaded for other numbers of planes than the roles have now."""
    if COUNTS not in bus.shadow or all(step[0] is not Opcode.LEARN for step in program):
        return
    now = dict(zip(ROLES, role_counts(bus), strict=True))
    for role, n in bus.shadow[COUNTS].items():
        if now[role] != n:
            raise HostError(
                f"the rule was loaded for {n} planes of the {role} role, which has {now[role]} enabled now; load it again"
            )


def _role(factor: str) -> str | None:
    """The role of an average, None of another factor."""
    return next((role for role in ROLES if f"_{role}" in factor), None)


def _norm(planes: int) -> int:
    """Code of LEARN.NORM_*."""
    return round(NORM_UNIT / max(1, planes))


def _decay_code(gain_decay: float) -> int:
    code = round(gain_decay * DECAY_UNIT) if 0 <= gain_decay < 1 else -1
    if not 0 <= code < DECAY_UNIT or (gain_decay and not code):
        raise HostError(f"gain_decay = {gain_decay}; 0 or a fraction of {1 / DECAY_UNIT:.2g} .. 1 per update is expected")
    return code


def _write_terms(batch: Batch, bank: Bank, terms: Sequence[Term], encoded: Sequence[Encoded]) -> None:
    """All terms of a bank; those that the rule lacks get the rate 0."""
    for k in range(LEARN_TERMS):
        first, second, third = (*(LABELS[name] for name in (terms[k].factors if k < len(terms) else ())), *NOTHING)[:3]
        batch.write(f"LEARN.{bank.name}_TERM", index=k, FIRST=first, SECOND=second, THIRD=third)
        code = encoded[k].code if k < len(terms) else 0
        batch.write(f"LEARN.{bank.name}_RATE", code & WORD_MAX, index=k)
