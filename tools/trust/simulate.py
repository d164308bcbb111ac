"""F6: daemon, clients and faults, simulated from a seed. `python tools/trust/simulate.py SEED` does one again."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2] / "tests")]

from trust.effort import Effort
from trust.simulation import Options, Violation, World

from tsu_apps.report import Row


def measure(effort: Effort) -> list[Row]:
    """Rows of F6."""
    count, crashes, refusals, requests, broken = effort.size(200, 20_000), 0, 0, 0, []
    logging.disable(logging.CRITICAL)
    try:
        for k in range(count):
            world = World(Options.of(effort.seed * 1_000_003 + k))
            try:
                world.run()
            except Violation as violation:
                broken.append(str(violation))
            crashes, refusals = crashes + world.crashes, refusals + world.refusals
            requests += world.options.clients * world.options.requests
            effort.progress((k + 1) / count)
    finally:
        logging.disable(logging.NOTSET)
    said = f" ({broken[0]})" if broken else ""
    return [
        Row.at_most(f"simulations in which a promise does not hold, of {count}{said}", float(len(broken)), 0),
        Row.at_least("requests answered in them", requests, 1),
        Row.at_least("crashes in them", crashes, 1),
        Row.at_least("requests refused for want of a disk", refusals, 1),
    ]


if __name__ == "__main__":
    options = Options.of(int(sys.argv[1]))
    world = World(options)
    print(options)
    world.run()
    print(f"all promises held; {world.crashes} crashes, {world.refusals} refusals")
