"""F9: a disk that is full, broken or writes short: nothing is lost, nothing is half done, and it passes by itself."""

from __future__ import annotations

import logging
from dataclasses import replace

from trust.effort import Effort
from trust.simulation import Options, Violation, World

from tsu_apps.report import Row

KINDS = {"full": (0, 0.0, 0.0), "failing": (None, 0.5, 0.0), "dead": (None, 1.0, 0.0), "writing short": (None, 0.0, 1.0)}
"""Room, chance of errors, chance of short writes."""


def suffered(kind: str, seed: int) -> tuple[int, str]:
    """A simulation in which the disk is so again and again, and the daemon is killed in between: refusals, and what broke."""
    options = replace(Options.of(seed), trouble=0.03, crashes=0.002, requests=20)
    world = World(options, KINDS[kind])
    try:
        world.run()
    except Violation as violation:
        return world.refusals, str(violation)
    return world.refusals, ""


def measure(effort: Effort) -> list[Row]:
    """Rows of F9."""
    rows, count = [], effort.size(20, 1000)
    logging.disable(logging.CRITICAL)
    try:
        for place, kind in enumerate(KINDS):
            outcomes = [suffered(kind, effort.seed * 1_000_003 + k) for k in range(count)]
            broken = [said for _, said in outcomes if said]
            said = f" ({broken[0]})" if broken else ""
            rows.append(Row.at_most(f"{kind}: lives in which a promise does not hold, of {count}{said}", float(len(broken)), 0))
            if kind != "writing short":
                rows.append(Row.at_least(f"{kind}: requests refused, and carried out later", sum(n for n, _ in outcomes), 1))
            effort.progress((place + 1) / len(KINDS))
    finally:
        logging.disable(logging.NOTSET)
    return rows
