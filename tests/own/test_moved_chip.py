"""docs/own-registers.md: a chip whose blocks and windows are elsewhere, for host, core, debugger, oracle and firmware in C."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import tsu_driver as tsu
from c_firmware.building import SOURCES, cross_compiler
from chip.test_core import FOREVER, li, lw
from cpu.images import elf
from cpu.pair import stw
from own.hosting import Host
from serving import serving
from tsu_contract.errors import Code, ProtocolError
from tsu_contract.extension import BASE, load_map
from tsu_contract.operations import RECORD, Op
from tsu_contract.registers import REGISTERS
from tsu_contract.wire import Kind, Request
from tsu_driver.errors import LinkError
from tsu_emu import state as S
from tsu_emu.bench.client import OracleError
from tsu_emu.chip import Chip
from tsu_emu.config import ConfigError, load
from tsu_emu.digital import words as W
from tsu_emu.server.peek import Peeker
from tsu_emu.server.session import Server
from tsu_emu.server.target import Refused, Target
from tsu_emu.server.trace.watching import Access, Watching
from tsu_firmware import firmware_of
from tsu_testing.campaign import Played
from tsu_testing.commanded import Commands
from tsu_testing.in_process import InProcessOracle

SEQ, SYS, TUNER, BIAS = 0x4000, 0x00100000, 0x00400000, 0x00300000
CORE = 0x4000_0000


def table_of(soc: Path) -> Path:
    return soc / "map/tsu.json"


def chip_with(soc: Path, **changes: str) -> Chip:
    config = load("ideal-16", {"map.file": str(table_of(soc)), **changes})
    return Chip(config, None if config.cpu.image else firmware_of(config.cpu.firmware, config.map.registers().hash_word))


def life(chip: Chip, table: Path | None) -> tuple[str, NDArray[Any]]:
    """What a host does with every kind of operation; digest of the state, but for the map's hash, and the spins that it saw."""
    with serving(chip) as endpoint, tsu.open(endpoint, map=table) as t:
        batch = t.batch()
        batch.write_window("BIAS", np.arange(-8, 8, dtype=np.int16))
        batch.update("CORR.CTRL", ENABLE=1)
        batch.execute()
        t.run(20)
        spins = t.read()
        assert t.read_register("SEQ.STATUS.STATE") == 2
        with pytest.raises(tsu.ChipFault, match=r"WAIT on SEQ\.STATUS"):
            waiting(t)
    chip.state.registers[W.MAP_HASH] = 0
    return S.digest(chip.state), spins


def waiting(t: tsu.Chip) -> None:
    """A WAIT that is not met."""
    batch = t.batch()
    batch.wait_field("SEQ.STATUS.STATE", "RUNNING", max_cycles=100)
    batch.execute()


def test_a_chip_lives_alike_wherever_its_blocks_are(soc: Path, tmp_path: Path) -> None:
    path = tmp_path / "moved.json"
    table = json.loads(table_of(soc).read_text())
    del table["registers"][len(REGISTERS) :]
    path.write_text(json.dumps(table))
    config = load("ideal-16", {"map.file": str(path)})
    there = life(Chip(config, firmware_of("boot", config.map.registers().hash_word)), path)
    base = load("ideal-16")
    here = life(Chip(base, firmware_of("boot", BASE.hash_word)), None)
    assert there[0] == here[0]
    assert np.array_equal(there[1], here[1])


def test_maps_that_differ_are_refused(soc: Path) -> None:
    with serving(chip_with(soc)) as endpoint:
        with pytest.raises(LinkError, match="register map"):
            tsu.open(endpoint)
        with tsu.observe(endpoint, map=table_of(soc)) as observer:
            assert observer.read_register("TUNER.CONTROL.GAIN") == 10
            assert not observer.read_window("BIAS").any()
            assert observer.read_register("SYS.MAP_HASH") == load_map(table_of(soc)).hash_word
    with serving(Chip(load("ideal-16"))) as endpoint, pytest.raises(LinkError, match="register map"):
        tsu.open(endpoint, map=table_of(soc))


REFUSED = {
    "unmapped": ((Op.READ, 0, 0, 0, 0, 0, 0), Code.UNMAPPED, "0x00000000"),
    "an old place": ((Op.READ, 0, 0, 0x08000000 + (1 << 26), 0, 0, 0), Code.UNMAPPED, "0x0c000000"),
    "misaligned": ((Op.READ, 0, 0, SEQ + 2, 0, 0, 0), Code.MISALIGNED, "0x00004002"),
    "read-only": ((Op.WRITE, 0, 0, SEQ + 4, 0, 0, 0), Code.READ_ONLY, "SEQ.STATUS is read-only"),
    "field": ((Op.WRITE, 0, 0, TUNER, 201, 0, 0), Code.OUT_OF_RANGE, "TUNER.CONTROL.GAIN = 201"),
    "element": ((Op.WRITE, 0, 0, BIAS + 4, 0x7FFF, 0, 0), Code.OUT_OF_RANGE, r"BIAS\[2\] = 32767"),
    "window": ((Op.BLKRD, 0, 0, BIAS, 0, 0, 9), Code.UNPOPULATED, "BIAS has 8 words"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_name_the_address_that_the_host_gave(soc: Path, case: str) -> None:
    record, code, message = REFUSED[case]
    chip = chip_with(soc)
    with pytest.raises(ProtocolError, match=message) as refused:
        chip.execute(np.array([record], RECORD))
    assert (refused.value.failure.code, refused.value.failure.address) == (code, record[3])
    if record[0] in (Op.READ, Op.BLKRD):
        with pytest.raises(ProtocolError, match=message):
            Peeker(chip).look(Request(Kind.PEEK, 1, 1, records=np.array([record], RECORD)))


def test_faults_of_the_bus_have_the_addresses_of_the_bus(soc: Path) -> None:
    chip = chip_with(soc)
    oracle, host = InProcessOracle(chip), Host(chip)
    oracle.inject("bus-error", address=SEQ + 4, accesses=1)
    oracle.inject("bus-error", address="TUNER.STATUS", accesses=2)
    assert [fault["address"] for fault in oracle.faults()] == [SEQ + 4, TUNER + 0x100]
    failure = chip.execute(np.array([(Op.READ, 0, 0, SEQ + 4, 0, 0, 0)], RECORD)).failure
    assert failure is not None
    assert (failure.address, "0x00004004" in failure.message) == (SEQ + 4, True)
    assert host.read("SEQ.STATUS") == 0
    assert oracle.ask("upset", address=TUNER, bits=4).body == {"value": 14}
    assert oracle.ask("upset", address="TUNER.CONTROL", bits=4).body == {"value": 10}
    for address in (REGISTERS["SEQ.STATUS"].address + 0xC, TUNER + 4):
        with pytest.raises(OracleError, match=f"{address:#010x}"):
            oracle.inject("bus-error", address=address, accesses=1)
    with pytest.raises(OracleError, match="a register"):
        oracle.ask("upset", address=BIAS, bits=1)


def test_a_timeline_has_their_names(soc: Path) -> None:
    chip = chip_with(soc)
    server, places = Server(chip), list[str]()

    class Noting:
        def look(self) -> None: ...
        def close(self) -> None: ...
        def accessed(self, access: Access) -> None:
            places.append(access.place)

    watching = Watching(server)
    watching.add(Noting())
    rows = [(Op.READ, 0, 0, a, 0, 0, 0) for a in (SEQ, BIAS, TUNER, TUNER + 0x100)] + [(Op.DELAY, 0, 0, 0, 0, 0, 1)]
    server.execute(np.array(rows[1:], RECORD), ())
    watching.close()
    assert places == ["BIAS", "TUNER.CONTROL", "TUNER.STATUS", ""]


def test_a_window_that_is_too_small_for_a_chip(soc: Path) -> None:
    with pytest.raises(ConfigError, match="PROGRAM would hold 1025 elements, more than its 8192 bytes"):
        chip_with(soc, **{"sequencer.program_words": "1025"})
    assert chip_with(soc, **{"sequencer.program_words": "1024"}).capabilities.program_words == 1024


def test_the_core_has_them_where_the_host_has_them(soc: Path, tmp_path: Path) -> None:
    """It reads SYS.MAP_HASH, reports to TUNER.STATUS, writes a bias and reads it back, and traps at SEQ's old place."""
    words = [*li(5, CORE + SYS), lw(10, 5, 4), *li(5, CORE + TUNER), *li(6, 7), stw(6, 5, 0x100)]
    words += [*li(5, CORE + BIAS), stw(6, 5, 4), lw(11, 5, 4), *li(5, CORE + 0x304), lw(12, 5, 8), *FOREVER]
    image = tmp_path / "image.elf"
    image.write_bytes(elf([(0, b"".join(w.to_bytes(4, "little") for w in words), 4 * len(words))]))
    chip = chip_with(soc, **{"cpu.image": str(image)})
    host = Host(chip)
    host.live(200)
    hart = chip.state.hart[0]
    assert (int(hart["x"][10]), int(hart["x"][11])) == (chip.map.hash_word, 7)
    assert (host.read("TUNER.STATUS"), host.read("BIAS", 1)) == (7, 7)
    assert (int(hart["mcause"]), int(hart["mtval"])) == (5, CORE + 0x30C)
    target = Target(chip)
    assert target.read(CORE + BIAS + 4, 4) == (7).to_bytes(4, "little")
    target.write(CORE + TUNER, (99).to_bytes(4, "little"))
    assert host.read("TUNER.CONTROL") == 99
    with pytest.raises(Refused):
        target.write(CORE + TUNER, (201).to_bytes(4, "little"))


def test_firmware_in_c_is_built_for_it(soc: Path, tmp_path: Path) -> None:
    """The image for the contract does not find the chip, and that for the map passes its self-test and takes commands."""
    cross_compiler()
    line = ["make", "-s", "-C", str(SOURCES), f"CONTRACT={soc}", f"OUT={tmp_path}", "core"]
    assert subprocess.run(line, timeout=300).returncode == 0
    other = Host(chip_with(soc, **{"cpu.image": str(SOURCES / "prebuilt/firmware.elf")}))
    assert not other.ready(200_000)
    host = Host(chip_with(soc, **{"cpu.image": str(tmp_path / "firmware.elf")}))
    assert Commands().play(host) == Played(True)
