"""What a maker of chips does with each of them: a test programme through the pins, and what it says of lots and of the tester.

>>> from tsu_apps.production import STANDARD, Programme
>>> with tsu_driver.open("emu:digits-typical") as chip:
...     part = Programme(STANDARD, effort=0.2).run(chip)
>>> part.passed, part.bin, part.values["offset-rms"]

docs/production.md is the prose.
"""

from tsu_apps.production.capability import Capability, Yield, capability
from tsu_apps.production.gauge import Gauge, crossed
from tsu_apps.production.guard import Rates, guard_for, rates
from tsu_apps.production.limits import STANDARD, Limit, as_toml, load
from tsu_apps.production.lot import COST_PER_S, lot_rows, part_rows
from tsu_apps.production.programme import Part, Programme, bench_of, judged

__all__ = [
    "COST_PER_S",
    "STANDARD",
    "Capability",
    "Gauge",
    "Limit",
    "Part",
    "Programme",
    "Rates",
    "Yield",
    "as_toml",
    "bench_of",
    "capability",
    "crossed",
    "guard_for",
    "judged",
    "load",
    "lot_rows",
    "part_rows",
    "rates",
]
