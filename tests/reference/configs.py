"""Random small chips, as plain data."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

from tsu_emu.config import parse

from .topology import build_graph

FLIPS_PER_CYCLE = 4
ACCUMULATORS_PER_CYCLE = 3
DEVICES_PER_CYCLE = 30
"""What the reference may have to compute in a cycle, so that a scenario takes a fraction of a second."""


def _sigma(rng: random.Random, most: float) -> float:
    return 0.0 if rng.random() < 0.4 else rng.choice((most, rng.uniform(0, most), most / 10))


def _dac(rng: random.Random, bits_min: int, fine: bool) -> dict[str, Any]:
    """`fine` full scales are a few hundred steps of the finest grid, so that one step of a field changes flips."""
    bits = rng.randint(bits_min, 12)
    return {
        "bits": bits,
        "thermometer_bits": rng.randint(0, min(bits, 6)),
        "full_scale": rng.uniform(0.001, 0.01) if fine else rng.choice((0.5, 1.0, 2.0, 4.0, rng.uniform(0.05, 9.0))),
        "element_sigma": _sigma(rng, 0.2),
        "gain_sigma": _sigma(rng, 0.2),
        "offset_sigma_lsb": _sigma(rng, 16.0),
    }


def _stuck_bits(rng: random.Random) -> dict[str, float]:
    return {"stuck_bit_probability": rng.choice((0.0, 0.0, 0.01, rng.uniform(0, 0.05)))}


def _energy(rng: random.Random, hz: int) -> dict[str, Any]:
    """Prices from none to enough to fill the counters' high words; standby stays below 2^63 / 1000 aJ a cycle."""
    if rng.random() < 0.2:
        return {}
    standby = min(100.0, 9e15 * hz / 1e18)
    return {
        "update_aj": rng.choice((rng.randint(0, 5000), rng.randint(0, 10**9))),
        "read_aj": rng.choice((rng.randint(0, 5000), rng.randint(0, 10**9))),
        "write_aj": rng.choice((rng.randint(0, 5000), rng.randint(0, 10**12))),
        "conversion_aj": rng.randint(0, 10**12),
        "learn_aj": rng.choice((rng.randint(0, 5000), rng.randint(0, 10**12))),
        "standby_w": rng.choice((0.0, rng.uniform(0, 1e-6) * standby, rng.uniform(0, 1) * standby)),
    }


def _dead(rng: random.Random) -> dict[str, float]:
    if rng.random() < 0.4:
        return {}
    return {how: rng.choice((0.0, 0.1, rng.uniform(0, 0.1))) for how in ("down", "up", "floating")}


def _edges(rng: random.Random) -> dict[str, Any]:
    cells = rng.randint(1, 12)
    density = rng.choice((0.0, 0.15, 0.2, 0.2, 0.3, 0.6))
    pairs = [rng.sample((i, j), 2) for i in range(cells) for j in range(i) if rng.random() < density]
    if rng.random() < 0.2:
        path = rng.sample(range(cells), cells)
        pairs = [[i, j] for i, j in pairwise(path)]
    rng.shuffle(pairs)
    return {"kind": "edges", "cells": cells, "pairs": pairs}


def _grid(rng: random.Random) -> dict[str, Any]:
    width = rng.randint(1, 6)
    choices = ((1, 0), (0, 1), (1, 1), (1, 2), (2, 1), (2, 0), (3, 0))
    rules = rng.sample(choices, rng.choice((1, 1, 2, 3)))
    return {"kind": "grid", "width": width, "height": rng.randint(1, 12 // width), "rules": [list(r) for r in rules]}


def _topology(rng: random.Random) -> dict[str, Any]:
    match rng.randrange(4):
        case 0:
            return {"kind": "dense", "cells": rng.randint(1, 8)}
        case 1:
            return {"kind": "bipartite", "visible": rng.randint(1, 6), "hidden": rng.randint(1, 6)}
        case 2:
            return _grid(rng)
    return _edges(rng)


def _planes(rng: random.Random) -> int:
    low, high = rng.choices(((1, 4), (5, 31), (32, 32), (33, 63), (64, 64), (65, 70)), (50, 18, 6, 12, 4, 10))[0]
    return rng.randint(low, high)


def _timing(rng: random.Random) -> dict[str, int]:
    most = rng.choice((0, 1, 3, 10))
    names = (
        "issue",
        "access",
        "return",
        "burst_setup",
        "beat",
        "dac_beat",
        "scan_beat",
        "colour",
        "slot",
        "correlate",
        "strobe",
        "learn",
        "swap",
    )
    timing = {name: rng.randint(0, most) for name in names}
    timing["slot"] = min(timing["slot"], 3)
    timing["write_buffer"] = rng.choice((0, 1, rng.randint(0, 40), 128))
    timing["instruction"] = rng.randint(1, 1 + most)
    timing["sweep"] = rng.randint(1, 1 + most)
    timing["settle"] = rng.choice((0, 1, rng.randint(0, 60), 300))
    return timing


def _measured(rng: random.Random, config: dict[str, Any]) -> dict[str, Any]:
    """Some or all values of a die that was measured, of one chip in five."""
    if rng.random() < 0.8:
        return {}
    graph, fine = build_graph(parse(config)), config["bias"]["dac"]["full_scale"] < 0.02
    cells, couplers, kt = graph.cells, len(graph.source), 0.002 if fine else 1.0
    known = {
        "offset_kt": [rng.uniform(-kt, kt) for _ in range(cells)],
        "slope": [rng.uniform(0.5, 1.5) for _ in range(cells)],
        "coupler_gain": [rng.uniform(0.5, 1.5) for _ in range(couplers)],
        "coupler_offset_kt": [rng.uniform(-kt / 4, kt / 4) for _ in range(couplers)],
        "temperature": [rng.uniform(0.9, 1.1), rng.uniform(-0.1, 0.1)],
    }
    return {name: values for name, values in known.items() if rng.random() < 0.8}


def random_config(rng: random.Random) -> dict[str, Any]:
    """A chip small enough for the reference; it is slow enough for FLIPS_PER_CYCLE and the like."""
    fine, hz = rng.random() < 0.2, rng.randint(1, 2**32 - 1)
    fabric = {"planes": _planes(rng), "topology": _topology(rng)}
    if rng.random() < 0.05:
        width = rng.randint(5, 9)
        rules = [[1, 0]] if rng.random() < 0.5 else [[1, 0], [1, 1]]
        fabric = {
            "planes": rng.randint(1, 4),
            "topology": {"kind": "grid", "width": width, "height": 8, "rules": rules},
        }
    config: dict[str, Any] = {
        "name": "random",
        "seeds": {"die": rng.getrandbits(64), "run": rng.getrandbits(64)},
        "clock": {"hz": hz},
        "fabric": fabric,
        "coupling": {
            "dac": _dac(rng, 4, fine) | _stuck_bits(rng),
            "gain_sigma": _sigma(rng, 0.5),
            "pair_gain_sigma": _sigma(rng, 0.5),
        },
        "bias": {"dac": _dac(rng, 4, fine) | _stuck_bits(rng)},
        "cell": {
            "kind": "pbit",
            "slope_sigma": _sigma(rng, 0.5),
            "offset_sigma_kt": _sigma(rng, 0.002 if fine else 1.0),
            "dead": _dead(rng),
        },
        "energy": _energy(rng, hz),
        "nvm": {"words": rng.choice((0, rng.randint(1, 9)))},
        "thermal": {"ambient_k": rng.choice((300.0, rng.uniform(200, 450)))},
        "slow": {"epoch_cycles": rng.choice((1 << 10, 1 << 17))},
        "temperature": {"dac": _dac(rng, 8, fine)},
        "sequencer": {
            "program_words": rng.choice((rng.randint(2, 6), rng.randint(6, 24), rng.randint(6, 24))),
            "loop_depth": rng.randint(1, 4),
            "table_entries": rng.choice((1, rng.randint(1, 9), rng.randint(1, 70))),
        },
        "timing": _timing(rng),
    }
    config["die"] = _measured(random.Random(config["seeds"]["die"]), config)
    config["cell"]["noise"] = {"kind": "ideal", "generator": "aes" if config["seeds"]["run"] % 4 == 0 else "threefry"}
    if rng.random() < 0.6:
        config["trim"] = {
            "bits": rng.randint(4, 12),
            "offset_full_scale_kt": rng.uniform(0.001, 0.004) if fine else rng.choice((1.0, rng.uniform(0.01, 4.0))),
            "slope_full_scale": rng.choice((0.25, rng.uniform(0.001, 0.5))),
            "element_sigma": _sigma(rng, 0.2),
            "gain_sigma": _sigma(rng, 0.2),
        }
    widest = max(config[name]["dac"]["bits"] for name in ("coupling", "bias"))
    config["learning"] = {
        "bits": rng.choice((0, widest, 16, 16, *(rng.randint(widest, 16) for _ in range(4)))),
        "hostmem_words": rng.choice((0, rng.randint(1, 20), *(rng.randint(8, 300) for _ in range(5)))),
    }
    parsed = parse(config)
    graph, timing, planes = build_graph(parsed), config["timing"], parsed.fabric.planes
    needed = graph.cells * planes // FLIPS_PER_CYCLE
    phases = graph.colours * (timing["colour"] + planes * timing["slot"])
    timing["sweep"] = max(timing["sweep"], needed - phases)
    timing["learn"] = max(timing["learn"], (len(graph.pairs) + graph.cells) // ACCUMULATORS_PER_CYCLE)
    timing["swap"] = max(timing["swap"], (len(graph.source) + graph.cells) // DEVICES_PER_CYCLE)
    return config
