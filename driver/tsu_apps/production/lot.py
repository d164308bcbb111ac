"""What came of testing, as rows: of one part, and of a lot of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from tsu_apps.production.capability import Yield, capability
from tsu_apps.production.limits import PASS_BIN, Limit, checked
from tsu_apps.production.programme import Part
from tsu_apps.report import Row

COST_PER_S = 0.03
"""Of a tester, a second. Assumed: a round figure; a price is whatever a test house charges."""


def goal_of(limit: Limit) -> str:
    """The limits in words."""
    ends = [f"{sign} {end:g}" for sign, end in ((">=", limit.lower), ("<=", limit.upper)) if math.isfinite(end)]
    return " and ".join(ends)


def part_rows(limits: Sequence[Limit], part: Part, cost_per_s: float = COST_PER_S) -> list[Row]:
    """Each value with its limits; what testing took, chip time alone."""
    rows = [
        Row(f"{x.number} {x.name}", part.values[x.name], x.unit, None, goal_of(x), x.passes(part.values[x.name]))
        for x in checked(limits)
        if x.name in part.values
    ]
    rows += [Row("hard bin", part.bin), Row("soft bin", part.soft_bin)]
    rows += [Row(f"chip time of {name}", seconds, "s") for name, seconds in part.seconds.items()]
    return rows + cost_rows([part], cost_per_s)


def lot_rows(limits: Sequence[Limit], parts: Sequence[Part], cost_per_s: float = COST_PER_S) -> list[Row]:
    """Yield with its interval, parts by bin, capability of each test, test time and cost; ValueError: fewer than two parts."""
    whole = Yield.of(sum(part.passed for part in parts), len(parts))
    rows = [
        Row("parts tested", len(parts)),
        Row("yield", whole.share),
        Row("yield, lower end of its 95 % interval", whole.low),
        Row("yield, upper end of its 95 % interval", whole.high),
    ]
    bins = Counter(part.bin for part in parts)
    rows += [Row(f"parts in bin {number}", bins[number]) for number in sorted({PASS_BIN, *(x.bin for x in limits), *bins})]
    for limit in checked(limits):
        rows += _capability_rows(limit, parts)
    return rows + cost_rows(parts, cost_per_s)


def _capability_rows(limit: Limit, parts: Sequence[Part]) -> list[Row]:
    """Share that passes, mean, Cpk with its interval, and whether values are normal enough for it to mean what it does."""
    values = np.array([part.values[limit.name] for part in parts if limit.name in part.values])
    known = values[np.isfinite(values)]
    if len(known) < 2:
        return []
    found, what = capability(known, limit.lower, limit.upper), f"{limit.number} {limit.name}"
    rows = [
        Row(f"{what}: share that passes", float(np.mean([limit.passes(v) for v in values]))),
        Row(f"{what}: mean", found.mean, limit.unit, found.sigma, goal_of(limit), limit.passes(found.mean)),
    ]
    if found.sigma:
        warning = "" if found.normal else ", NOT NORMAL"
        rows.append(Row(f"{what}: Cpk, {found.low:.2f} to {found.high:.2f}{warning}", found.cpk))
    return rows


def cost_rows(parts: Sequence[Part], cost_per_s: float) -> list[Row]:
    """Mean chip time and cost of a part, and cost of each that passes."""
    seconds = float(np.mean([sum(part.seconds.values()) for part in parts]))
    passed = sum(part.passed for part in parts)
    cost = cost_per_s * seconds
    rows = [Row("test time of a part", seconds, "s"), Row(f"cost of a part at {cost_per_s:g} a second", cost)]
    return rows + ([Row("cost of a part that passes", cost * len(parts) / passed)] if passed else [])
