"""Snapshots by name: from any moment of any kind of chip, restored bit for bit, in the daemon and in another process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from keep.trusting import Life, client, disk, moved
from server.harness import delay, read, write
from server.harness import fingerprint as of
from tsu_contract.bench import Reply, decode_reply, encode_request
from tsu_contract.bench import Request as Question
from tsu_contract.errors import Code
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_contract.registers import WINDOWS, register
from tsu_emu import state as S
from tsu_emu.chip import Chip
from tsu_emu.config import load
from tsu_emu.keep.identity import identity_of
from tsu_emu.keep.named import verbs
from tsu_emu.keep.snapshot import arrays_of, decode, encode, joined
from tsu_firmware import BootFirmware

IMAGES = Path(__file__).resolve().parents[2] / "firmware_models" / "tsu_testing" / "images"


def asked(life: Life, verb: str, **body: Any) -> Reply:
    return decode_reply([bytes(f) for f in life.oracle.handle(encode_request(Question(verb, 1, body)))])


def life_on(kept: Any) -> Life:
    life = Life(kept)
    life.oracle.add(verbs(life.keeper))
    return life


def test_restored_chip_is_as_it_was_and_clients_go_on() -> None:
    kept = disk()
    life = life_on(kept)
    c = client(life)
    c.operate(write("TEMP.TDAC", 40), delay(100))
    digest = asked(life, "snapshot", name="before-it").body["digest"]
    then = of(life.server)
    c.operate(write("TEMP.TDAC", 50), delay(100))
    assert of(life.server) != then
    assert asked(life, "snapshots").body == {"snapshots": ["before-it"]}
    assert asked(life, "restore", name="before-it").body["digest"] == digest
    assert of(life.server) == then
    assert c.operate(read("TEMP.TDAC")).values.tolist() == [40]


def test_restore_is_kept_like_anything_else() -> None:
    kept = disk()
    life = life_on(kept)
    c = client(life)
    asked(life, "snapshot", name="a")
    c.operate(write("TEMP.TDAC", 50), delay(100))
    asked(life, "restore", name="a")
    c.operate(delay(10))
    now = of(life.server)
    kept.crash(True)
    again = life_on(kept)
    assert of(again.server) == now
    moved(c, again).operate(delay(1))
    assert asked(again, "snapshots").body == {"snapshots": ["a"]}


def test_restore_that_cannot_be_kept_is_not_done() -> None:
    kept = disk()
    life = life_on(kept)
    c = client(life)
    asked(life, "snapshot", name="a")
    c.operate(write("TEMP.TDAC", 50), delay(100))
    now, kept.faults.room = of(life.server), 100
    for verb in ("restore", "snapshot"):
        failure = asked(life, verb, name="a" if verb == "restore" else "b").failure
        assert failure is not None
        assert failure.code is Code.NOT_KEPT
    assert of(life.server) == now
    kept.faults.room = None
    assert asked(life, "snapshots").body == {"snapshots": ["a"]}


@pytest.mark.parametrize("name", ["", "..", "../a", "a/b", "A", "a.tsu", "-a", "a\n", "a" * 49, 5, "ä"])
def test_odd_name_is_refused(name: Any) -> None:
    life = life_on(disk())
    for verb in ("snapshot", "restore"):
        failure = asked(life, verb, name=name).failure
        assert failure is not None
        assert (failure.code, failure.field) == (Code.OUT_OF_RANGE, "name")


def test_damaged_foreign_and_missing_snapshots_are_refused_and_nothing_is_done() -> None:
    kept = disk()
    life = life_on(kept)
    asked(life, "snapshot", name="a")
    kept.flip("named-a.tsu", 8 * kept.length("named-a.tsu") - 5)
    now = of(life.server)
    for name, words in (("a", "section server is damaged"), ("b", "there is no such snapshot; there are a")):
        failure = asked(life, "restore", name=name).failure
        assert failure is not None
        assert words in failure.message
    assert of(life.server) == now


LIVES = {
    "typical": ("digits-typical", {}),
    "async": ("smtj-64", {}),
    "pdit": ("potts-36", {}),
    "gaussian": ("spu-8", {}),
    "langevin": ("langevin-16", {}),
    "core": ("ideal-16", {"cpu.image": str(IMAGES / "guarded.elf"), "adc.count": "1", "adc.bits": "10"}),
}


def step(chip: Chip, cycles: int) -> None:
    from serving import records
    from tsu_contract.operations import Op

    assert chip.execute(records([(Op.DELAY, 0, 0, 0, cycles)])).failure is None


@pytest.mark.parametrize("kind", LIVES)
def test_snapshot_from_the_midst_of_any_life_goes_on_in_a_fresh_chip(kind: str) -> None:
    """A program runs, slow effects are at work, the firmware core is in the midst of its image."""
    from serving import records
    from tsu_contract.operations import Op

    name, changes = LIVES[kind]
    config = load(name, changes)

    def made() -> Chip:
        return Chip(config, None if config.cpu.image else BootFirmware())

    chip = made()
    step(chip, 20_000)
    program = assemble([Instruction(Opcode.RUN, 100_000)])
    rows = [(Op.BLKWR, WINDOWS["PROGRAM"].address, 0, 0, 2), (Op.WRITE, register("SEQ.CTRL").at(), 1, 0, 0)]
    assert chip.execute(records(rows), [program.tobytes()]).failure is None
    step(chip, 12_345)
    data = joined(encode(identity_of(config), 0, chip.link_time, chip.state, {"sessions": []}))
    fresh = made()
    fresh.restore(arrays_of(decode(data).chip, fresh.state))
    assert S.digest(fresh.state) == S.digest(chip.state)
    for one in (chip, fresh):
        step(one, 300_001)
    assert S.digest(fresh.state) == S.digest(chip.state)
    assert chip.state.time[S.SWEEP] > 0
