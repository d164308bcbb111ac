"""Limits of a test programme: what may be sold."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
PASS_BIN, MOST = 1, 32767

WHOLE, NUMBER, TEXT = ((int,), "a whole number"), ((int, float), "a number"), ((str,), "a text")
FIELDS = {"number": WHOLE, "name": TEXT, "unit": TEXT, "lower": NUMBER, "upper": NUMBER, "bin": WHOLE}
"""Of a test: their types, in Python and in words."""


@dataclass(frozen=True)
class Limit:
    """One test: a part passes if lower <= value <= upper.

    number : of the test, 2 to 32,767, also the soft bin of parts that fail it first
    name : of the value, one of `tsu_apps.production.values`; unit : of value and limits
    lower, upper : minus and plus infinity for no limit
    bin : hard bin of parts that fail this test first, 2 to 32,767 (bin 1 is for those that pass)
    ValueError: it is not like that.
    """

    number: int
    name: str
    unit: str = ""
    lower: float = -math.inf
    upper: float = math.inf
    bin: int = 2

    def __post_init__(self) -> None:
        for what, (types, words) in FIELDS.items():
            value = getattr(self, what)
            if not isinstance(value, types) or isinstance(value, bool):
                raise ValueError(f"test {self.number}: {what} is {value!r}; {words} is expected")
        if not (PASS_BIN < self.number <= MOST and PASS_BIN < self.bin <= MOST):
            raise ValueError(f"test {self.number}, bin {self.bin}: numbers of 2 to {MOST} are expected")
        if not NAME.fullmatch(self.name) or not self.unit.isascii():
            raise ValueError(
                f"test {self.number}: {self.name!r} in {self.unit!r}; a lower-case word and a unit in ASCII are expected"
            )
        if not self.lower <= self.upper:
            raise ValueError(f"test {self.number}: lower {self.lower:g}, upper {self.upper:g}; lower <= upper is expected")
        if math.isinf(self.lower) and math.isinf(self.upper):
            raise ValueError(f"test {self.number}: a lower or an upper limit is expected")

    def passes(self, value: float) -> bool:
        """Whether a part with this value passes; one that could not be measured (NaN) does not."""
        return self.lower <= value <= self.upper

    def narrowed(self, guard: float) -> Limit:
        """The same test with each limit moved inwards by a guard band, in the value's unit."""
        return replace(self, lower=self.lower + guard, upper=self.upper - guard)


STANDARD: tuple[Limit, ...] = (
    Limit(100, "cells-bad", upper=0, bin=2),
    Limit(110, "bias-dacs-bad", upper=0, bin=2),
    Limit(120, "coupling-dacs-bad", upper=0.003, bin=3),
    Limit(130, "converters-bad", upper=0, bin=4),
    Limit(200, "adc-offset", "LSB", upper=8, bin=4),
    Limit(210, "adc-gain-error", upper=0.02, bin=4),
    Limit(220, "adc-enob", "bit", lower=8.5, bin=4),
    Limit(300, "offset-rms", "kT", upper=0.35, bin=5),
    Limit(310, "slope-mean", lower=0.85, upper=1.15, bin=5),
    Limit(320, "slope-spread", upper=0.12, bin=5),
    Limit(400, "coupler-error", upper=0.15, bin=6),
    Limit(500, "trim-used", upper=0.99, bin=7),
    Limit(510, "offset-left", "kT", upper=0.02, bin=7),
    Limit(600, "temperature-error", upper=0.03, bin=8),
    Limit(700, "standby-power", "W", upper=0.12, bin=9),
    Limit(710, "update-energy", "fJ", upper=10, bin=9),
)
"""For chips like digits-typical, p-bits with trims and converters. Assumed: no maker has published any."""


def checked(limits: Sequence[Limit]) -> tuple[Limit, ...]:
    """The limits, in the order of their numbers; ValueError if there are none, or two of one number or name."""
    if not limits or len({x.number for x in limits}) < len(limits) or len({x.name for x in limits}) < len(limits):
        raise ValueError(f"{len(limits)} tests: at least one, and each with a number and a name of its own are expected")
    return tuple(sorted(limits, key=lambda x: x.number))


def load(path: str | Path) -> tuple[Limit, ...]:
    """Limits from a TOML file of `[[test]]` tables with the fields of `Limit`; ValueError names the file if it is none."""
    try:
        tables = tomllib.loads(Path(path).read_text(encoding="utf-8")).get("test", [])
        return checked([_limit(table) for table in tables])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _limit(table: object) -> Limit:
    """Of a table of a file; ValueError if it is none, or has other fields."""
    if not isinstance(table, dict) or not {"number", "name"} <= set(table) <= set(FIELDS):
        raise ValueError(f"{table!r}: tables [[test]] with a number, a name and some of {', '.join(FIELDS)} are expected")
    return Limit(**table)


def as_toml(limits: Sequence[Limit]) -> str:
    """The file of some limits."""
    return "\n".join(_table(limit) for limit in limits)


def _table(limit: Limit) -> str:
    fields: Mapping[str, float | str] = {
        "number": limit.number, "name": limit.name, "unit": limit.unit, "lower": limit.lower, "upper": limit.upper,
        "bin": limit.bin,
    }  # fmt: skip
    shown = [(key, value) for key, value in fields.items() if value not in ("", math.inf, -math.inf)]
    lines = [f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value:.9g}" for key, value in shown]
    return "\n".join(["[[test]]", *lines, ""])
