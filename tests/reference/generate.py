"""Scenarios: a random small chip and what it is sent, each from one seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from tsu_emu.config import parse

from .author import Author
from .configs import random_config
from .operations import Message
from .readout import read_out

CYCLES_MAX = 20_000
FLIPS_MAX = 30_000


@dataclass(frozen=True)
class Scenario:
    """A chip and the messages it is sent."""

    seed: int
    config: dict[str, Any]
    messages: list[Message]


def random_scenario(seed: int) -> Scenario:
    """The scenario of a seed."""
    rng = random.Random(seed)
    data = random_config(rng)
    config = parse(data)
    author = Author(rng, config)
    capabilities = author.capabilities
    sweep = capabilities.sweep_time(capabilities.planes, False)
    rate = max(capabilities.cells * capabilities.planes / sweep, FLIPS_MAX / CYCLES_MAX)
    budget = int(min(CYCLES_MAX, FLIPS_MAX / rate) * rng.uniform(0.2, 0.9))
    if rng.random() < 0.9:
        author.set_up()
    while author.cycles() < budget and len(author.list.rows) < 300:
        author.act()
    count = len(author.list.rows)
    messages = author.list.cut([*author.cuts, *(rng.randrange(count + 1) for _ in range(rng.randint(0, 8)))])
    gap = 0 if rng.random() < 0.7 else rng.randrange(2**30, 2**40)
    final = read_out(capabilities, gap)
    return Scenario(seed, data, messages + final.cut([rng.randrange(len(final.rows))]))
