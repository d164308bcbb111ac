"""LEARN, correlations and check sums of chips larger than the blocks that the emulator works in, against the reference."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest

from serving import records
from tsu_contract.operations import Op
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_contract.registers import WINDOWS, register
from tsu_emu.chip.rule import BLOCK
from tsu_emu.config import parse
from tsu_emu.digital.crc import LONG, crc32

from .harness import Emulator, Reference, difference
from .operations import Message

CELLS, PLANES = 41, 6
"""820 pairs: more than a block, and no whole number of anything."""


def padded(array: Any) -> bytes:
    data = bytes(np.ascontiguousarray(array).tobytes())
    return data + bytes(-len(data) % 4)


def life(seed: int, topology: dict[str, Any], pairs: int) -> Message:
    """Random accumulators, codes, frozen pairs and rules; two LEARNs after sweeps that are averaged, then everything is read."""
    rng, couplers = np.random.default_rng(seed), 2 * pairs
    written = {
        "PROGRAM": assemble([Instruction(Opcode(o), n) for o, n in ((2, 2), (13, 0), (2, 2), (13, 0), (4, 0), (0, 0))]),
        "LEARN_PAIR": rng.integers(-2048, 2048, pairs).astype(np.int32),
        "LEARN_BIAS": rng.integers(-2048, 2048, CELLS).astype(np.int32),
        "COUPLING": rng.integers(-128, 128, couplers).astype(np.int16),
        "FREEZE_PAIR": rng.choice([0, 0xFFFFFFFF, 0x0F0F3301], (pairs + 31) // 32).astype(np.uint32),
    }
    words: dict[str, list[int]] = {
        "FABRIC.PLANE_ENABLE": [0b111111], "CORR.DATA_PLANES": [0b000111], "CORR.FREE_PLANES": [0b111000],
        "CORR.ALPHA_DATA": [30000], "CORR.ALPHA_FREE": [60000], "CORR.CTRL": [1], "LEARN.GAIN": [1 << 31],
        "LEARN.NORM_DATA": [21845], "LEARN.NORM_FREE": [21845], "LEARN.CTRL": [seed & 3],
        "LEARN.PAIR_TERM": [int(a | b << 4 | c << 8) for a, b, c in rng.integers(0, 10, (8, 3))],
        "LEARN.BIAS_TERM": [int(a | b << 4 | c << 8) for a, b, c in rng.integers(0, 6, (8, 3))],
        "LEARN.PAIR_RATE": rng.integers(0, 1 << 24, 8).tolist(), "LEARN.BIAS_RATE": rng.integers(0, 1 << 24, 8).tolist(),
        "SEQ.CTRL": [1],
    }  # fmt: skip
    payloads = {name: padded(array) for name, array in written.items()}
    rows = [(int(Op.BLKWR), WINDOWS[name].address, 0, 0, len(data) // 4) for name, data in payloads.items()]
    rows += [(int(Op.WRITE), register(name).at(k), v, 0, 0) for name, values in words.items() for k, v in enumerate(values)]
    rows.append((int(Op.WAIT), register("SEQ.STATUS").at(), 2, 0xFF, 1_000_000))
    for name, count in (("LEARN_PAIR", pairs), ("LEARN_BIAS", CELLS), ("COUPLING", pairs), ("CORR_PAIR", 2 * pairs)):
        rows.append((int(Op.BLKRD), WINDOWS[name].address, 0, 0, count))
    names = ("CHANGED", "CLIPPED", "SATURATED", "UPDATES")
    rows += [(int(Op.READ), register(f"LEARN.{name}").at(), 0, 0, 0) for name in names]
    return Message(records(rows), tuple(payloads.values()))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["dense", "bipartite"])
def test_many_pairs_learn_as_the_reference_does(seed: int, kind: str) -> None:
    shapes: dict[str, tuple[dict[str, Any], int]] = {
        "dense": ({"kind": "dense", "cells": CELLS}, CELLS * (CELLS - 1) // 2),
        "bipartite": ({"kind": "bipartite", "visible": 13, "hidden": CELLS - 13}, 13 * (CELLS - 13)),
    }
    topology, pairs = shapes[kind]
    assert (kind == "dense") == (pairs > BLOCK)
    data = {"name": "blocks", "fabric": {"planes": PLANES, "topology": topology}, "learning": {"bits": 12}}
    config, message = parse(data), life(seed, topology, pairs)
    theirs = Emulator(config).send(message)
    assert theirs.failure is None
    assert theirs.values[-4] > 0
    found = difference(message, theirs, Reference(config).send(message))
    assert found is None, found


def test_check_sums_of_parts_are_those_of_the_whole() -> None:
    """As the library's, at lengths about those at which data are cut in parts; one bit less is another sum."""
    rng = np.random.default_rng(0)
    for size in (0, 9, LONG - 1, LONG, LONG + 31, LONG + 33, 29_601):
        data, before = rng.integers(0, 256, size, dtype=np.uint8), int(rng.integers(1 << 32))
        expected = zlib.crc32(data.tobytes(), before)
        assert crc32(data, np.uint32(before)) == expected
        if size:
            data[rng.integers(size)] ^= 1
            assert crc32(data, np.uint32(before)) != expected
