"""Snapshots: all of it comes back bit for bit, nothing that is damaged does, and another chip's is refused in words."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from server.harness import Client, block_write, program_rows, read, small_config, wait, write
from tsu_contract.program import Instruction, Opcode
from tsu_contract.registers import value_of
from tsu_emu import state as S
from tsu_emu.chip import Chip
from tsu_emu.config import parse
from tsu_emu.keep.identity import difference, identity_of
from tsu_emu.keep.snapshot import OtherVersion, SnapshotError, arrays_of, decode, encode, joined
from tsu_emu.keep.table import packed, unpacked
from tsu_emu.server.session import Server
from tsu_firmware import BootFirmware

GOLDEN = Path(__file__).parent / "golden" / "snapshot-1.tsu"
"""Written by version 1 of the format; never to be written anew. `python tests/keep/test_snapshot.py` made it."""
GOLDEN_DIGEST = GOLDEN.with_suffix(".digest")
TRIANGLE: dict[str, Any] = {"topology": {"kind": "edges", "cells": 3, "pairs": [[0, 1], [1, 2], [0, 2]]}, "planes": 2}
TINY = {"name": "tiny", "fabric": TRIANGLE, "sequencer": {"program_words": 8}, "cell": {"kind": "pbit", "offset_sigma_kt": 0.5}}
HALTED = wait("SEQ.STATUS", value_of("SEQ.STATUS.STATE", "HALTED"), 0xFF, 1_000_000)


def lived() -> Server:
    """A server of a tiny chip that has done something."""
    server = Server(Chip(parse(TINY), BootFirmware()), boot="b")
    client = Client(server)
    client.operate(wait("SYS.BOOT", value_of("SYS.BOOT.STAGE", "READY"), 0xFF, 100_000), write("IRQ.ENABLE", 1))
    client.operate(block_write("COUPLING", 3), payloads=[np.array([9, -8, 7, 1, 2, 3], np.int16).tobytes()])
    go_on(client)
    return server


def go_on(client: Client) -> None:
    program = program_rows(Instruction(Opcode.RUN, 40), Instruction(Opcode.STROBE), Instruction(Opcode.HALT))
    client.operate(*program, write("SEQ.PC", 0), write("SEQ.CTRL", 1), HALTED, read("SPIN"))


def snapshot_of(server: Server, number: int = 7) -> bytes:
    chip = server.chip
    tables = {"sessions": packed(server.sessions), "chain": 5}
    return joined(encode(identity_of(chip.config), number, chip.link_time, chip.state, tables))


@pytest.fixture(scope="module")
def data() -> bytes:
    return snapshot_of(lived())


def test_chip_and_sessions_come_back_bit_for_bit(data: bytes) -> None:
    server, found = lived(), decode(data)
    fresh = Chip(parse(TINY), BootFirmware())
    fresh.restore(arrays_of(found.chip, fresh.state))
    assert S.digest(fresh.state) == S.digest(server.chip.state)
    assert (found.number, found.time) == (7, server.chip.link_time)
    assert difference(found.identity, identity_of(server.chip.config)) == ""
    (session,), (kept,) = unpacked(found.server["sessions"]), list(server.sessions)
    assert (session.number, session.last_seq, session.interrupts_seen) == (kept.number, kept.last_seq, kept.interrupts_seen)
    assert {seq: [bytes(f) for f in frames] for seq, frames in kept.replies.items()} == dict(session.replies)


def test_every_bit_of_head_and_table_and_bits_of_every_section_matter(data: bytes) -> None:
    """Exhaustive up to the first section, then 2,000 single bits and 500 handfuls of them anywhere."""
    rng, first = random.Random(2), data.index(b"coupling_code")
    places = [[bit] for bit in range(8 * min(first, 600))] + [[rng.randrange(8 * len(data))] for _ in range(2000)]
    places += [[rng.randrange(8 * len(data)) for _ in range(rng.randrange(2, 9))] for _ in range(500)]
    for bits in places:
        bad = bytearray(data)
        for bit in set(bits):
            bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SnapshotError):
            decode(bytes(bad))


def test_every_length_but_its_own_is_refused(data: bytes) -> None:
    for length in (*range(0, len(data), 97), len(data) - 1):
        with pytest.raises(SnapshotError):
            decode(data[:length])
    with pytest.raises(SnapshotError, match="1 bytes follow"):
        decode(data + b"\0")


def test_damage_says_which_section(data: bytes) -> None:
    bad = bytearray(data)
    bad[-1] ^= 1
    with pytest.raises(SnapshotError, match="section server is damaged"):
        decode(bytes(bad))


def test_another_version_is_refused_as_that(data: bytes) -> None:
    with pytest.raises(OtherVersion, match="version 2 of snapshots; this program reads version 1"):
        decode(data[:8] + b"\2\0\0\0" + data[12:])


def test_another_configuration_says_which_keys_differ(data: bytes) -> None:
    other = parse({**TINY, "seeds": {"run": 5}, "clock": {"hz": 50_000_000}})
    said = difference(decode(data).identity, identity_of(other))
    assert said == "it is of another configuration: clock.hz was 100000000, is 50000000; seeds.run was 1, is 5"
    described = parse({**TINY, "description": "words", "provenance": {"clock.hz": "a guess"}})
    assert difference(decode(data).identity, identity_of(described)) == ""


def test_configuration_of_a_program_that_lacked_a_key_is_the_same_with_its_default_and_another_without() -> None:
    here = identity_of(parse(TINY))
    for hz, said in ((100_000_000, ""), (50_000_000, "it is of another configuration: clock.hz was 100000000, is 50000000")):
        old = {key: value for key, value in here.values.items() if key != "clock"}
        now = identity_of(parse({**TINY, "clock": {"hz": hz}}))
        assert difference(here._replace(config=json.dumps(old)), now) == said
    unknown = here._replace(config=json.dumps({**here.values, "later": 1}))
    assert difference(unknown, here) == "it is of another configuration: later was 1, is null"


def test_another_image_is_another_chip_wherever_it_lies(tmp_path: Path) -> None:
    images = [(tmp_path / name) for name in ("a.elf", "b.elf", "c.elf")]
    for path, contents in zip(images, (b"one", b"one", b"two"), strict=True):
        path.write_bytes(contents)
    one, same, other = (identity_of(parse({**TINY, "cpu": {"image": str(path)}})) for path in images)
    assert difference(one, same) == ""
    assert difference(one, other).startswith("it is of firmware image")


def test_another_register_map_is_refused() -> None:
    here = identity_of(parse(TINY))
    assert difference(here._replace(map_hash="0" * 64), here).startswith("it is of register map 0000000000000000...")


def test_arrays_of_another_shape_are_refused(data: bytes) -> None:
    chip = Chip(small_config())
    with pytest.raises(SnapshotError, match="this chip has"):
        arrays_of(decode(data).chip, chip.state)


def test_snapshot_of_version_1_is_read_bit_for_bit_and_lives_on() -> None:
    found = decode(GOLDEN.read_bytes())
    server = Server(Chip(parse(found.identity.values), BootFirmware()))
    server.chip.restore(arrays_of(found.chip, server.chip.state))
    server.sessions.take(unpacked(found.server["sessions"]))
    then, later = GOLDEN_DIGEST.read_text().split()
    assert S.digest(server.chip.state) == then
    client = Client(server)
    go_on(client)
    assert S.digest(server.chip.state) == later


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    old = lived()
    GOLDEN.write_bytes(snapshot_of(old))
    first_digest = S.digest(old.chip.state)
    go_on(Client(old))
    GOLDEN_DIGEST.write_text(f"{first_digest} {S.digest(old.chip.state)}\n")
