"""docs/own-registers.md: registers of a user, from SystemRDL to host, core, header and page."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tsu_driver as tsu
from c_firmware.building import ROOT, SOURCES, cross_compiler
from chip.test_core import FOREVER, li
from cpu.images import elf
from cpu.pair import stw
from own.hosting import Host
from own.moving import outputs
from serving import serving
from tsu_contract.extension import BASE, RegisterMap, load_map, map_of
from tsu_contract.registers import MAP_HASH, REGISTERS, MapError, access_table
from tsu_driver.errors import HostError, LinkError
from tsu_emu import state as S
from tsu_emu.bench.client import OracleError
from tsu_emu.chip import Chip
from tsu_emu.chip.capability import serial_of
from tsu_emu.config import ConfigError, load
from tsu_firmware import firmware_of
from tsu_testing.in_process import InProcessOracle, open_in_process

sys.path.insert(0, str(ROOT / "tools"))
PAGE = (ROOT / "docs/own-registers.md").read_text(encoding="utf-8")
SOURCE, MOVED = re.findall(r"```systemrdl\n(.*?)```", PAGE, re.S)


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that the page's command makes."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "tuner.rdl").write_text(SOURCE)
    made = regmap(folder, "tuner.rdl")
    assert made.returncode == 0, made.stderr
    assert "0x8020 TUNER.TABLE[8]" in made.stdout
    return folder / "tuner"


def regmap(folder: Path, name: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, str(ROOT / "tools/regmap.py"), "--with", str(folder / name), "--out", str(folder / "tuner")]
    return subprocess.run(line, capture_output=True, text=True, timeout=120)


def table_of(contract: Path) -> Path:
    return contract / "map/tsu.json"


def test_the_contract_comes_first_and_its_words_keep_their_numbers(contract: Path) -> None:
    own, base = load_map(table_of(contract)), access_table()
    assert [r.name for r in own.own] == ["TUNER.CONTROL", "TUNER.STATUS", "TUNER.EVENTS", "TUNER.TABLE"]
    assert list(own.registers)[: len(REGISTERS)] == list(REGISTERS)
    assert (own.access.address[: len(base.address)] == base.address).all()
    assert own.hash != MAP_HASH
    assert own.hash_word == int(own.hash[:8], 16)
    assert BASE.hash == MAP_HASH
    assert map_of(json.loads((ROOT / "driver/tsu_contract/map/tsu.json").read_text())) is BASE


Change = Callable[[list[dict[str, Any]]], Any]
WRONG: dict[str, tuple[str, Change]] = {
    "ours": ("block SEQ is the contract's", lambda own: own[0].update(name="SEQ.MINE")),
    "twice": ("TUNER.STATUS: there are two", lambda own: own[0].update(name="TUNER.STATUS")),
    "no block": ("tuner: a name is BLOCK.REGISTER", lambda own: own[0].update(name="tuner")),
    "taken": (r"TUNER.STATUS at 0x8000: TUNER.CONTROL is there", lambda own: own[1].update(address=0x8000)),
    "in an array": ("TUNER.TABLE at 0x8004: TUNER.STATUS is there", lambda own: own[3].update(address=0x7FFC + 8)),
    "below": ("TUNER.CONTROL at 0x304: .* 0x8000 to 0xfffc", lambda own: own[0].update(address=0x304)),
    "beyond": ("TUNER.TABLE at 0x10000: ", lambda own: own[3].update(address=0xFFF0)),
    "crooked": ("TUNER.CONTROL at 0x8102: ", lambda own: own[0].update(address=0x8102)),
    "wide": ("32 bits wide", lambda own: own[0].update(words=2)),
    "many": ("257 words", lambda own: own[3].update(count=254, address=0x9000)),
    "pulse": ("TUNER.CONTROL.GAIN: access pulse", lambda own: own[0]["fields"][0].update(access="pulse")),
    "reset": ("TUNER.CONTROL.GAIN: its reset value 201", lambda own: own[0]["fields"][0].update(reset=201)),
    "range": ("TUNER.CONTROL.GAIN: .* 1 .. 300", lambda own: own[0]["fields"][0].update(max=300)),
    "bits": ("TUNER.CONTROL.ENABLE: bits 7..7", lambda own: own[0]["fields"][1].update(low=7)),
    "empty": ("TUNER.STATUS: it has no field", lambda own: own[1].update(fields=[])),
    "no row": ("no folded table", lambda own: own[0].pop("title")),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_the_contract_does_not_allow_is_named(contract: Path, tmp_path: Path, case: str) -> None:
    message, change = WRONG[case]
    table = json.loads(table_of(contract).read_text())
    change(table["registers"][len(REGISTERS) :])
    with pytest.raises(MapError, match=message):
        map_of(table)
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(table))
    with pytest.raises(ConfigError, match=r"map\.file|map:"):
        load("ideal-16", {"map.file": str(path)})
    with pytest.raises(HostError, match="map: "):
        tsu.open("ipc:///nowhere", map=path)


def test_a_table_of_another_contract_is_refused(contract: Path, tmp_path: Path) -> None:
    table = json.loads(table_of(contract).read_text())
    table["registers"][0]["reset"] = 1
    with pytest.raises(MapError, match="another version"):
        map_of(table)
    for text in ("{", "[]", '{"registers": 3, "windows": []}'):
        (tmp_path / "no.json").write_text(text)
        with pytest.raises(MapError):
            load_map(tmp_path / "no.json")


@pytest.mark.parametrize(
    ("line", "changed", "message"),
    [
        ("@0x8000", "@0x300", "TUNER.CONTROL at 0x300"),
        ("TUNER @", "IRQ @", "the block IRQ"),
        ("addrmap tuner", "regfile tuner", "defines no addrmap"),
        ("};\n", "", "rdl"),
        ("addrmap", "/* \xe9 */ addrmap", "wrong.rdl is not UTF-8"),
    ],
)
def test_the_tool_says_what_is_wrong(tmp_path: Path, line: str, changed: str, message: str) -> None:
    (tmp_path / "wrong.rdl").write_text(SOURCE.replace(line, changed), encoding="latin-1")
    made = regmap(tmp_path, "wrong.rdl")
    assert made.returncode == 2
    assert message in made.stderr
    assert not (tmp_path / "tuner").exists()


@pytest.mark.parametrize(
    ("line", "changed", "message"),
    [
        ("TUNER @0x8000", "TUNER[2] @0x8000 += 0x100", "TUNER: an array of blocks"),
        ("range_max = 200; ", "", "TUNER.CONTROL.GAIN: range_min and range_max go together"),
        ("onwrite = woclr", "onwrite = woset", "TUNER.EVENTS.DONE: onwrite = woset; "),
        ("sw = r;", "sw = r; default onread = rclr;", "TUNER.STATUS.ROUNDS: onread = rclr; "),
        ("sw = r;", "sw = r; default counter;", "TUNER.STATUS.ROUNDS: counter = true; "),
        ("sw = rw; default hw = r;", "sw = rw1; default hw = r;", "TUNER.CONTROL.GAIN: sw = rw1; "),
    ],
)
def test_what_a_chip_would_not_do_is_refused(tmp_path: Path, line: str, changed: str, message: str) -> None:
    assert line in SOURCE
    with pytest.raises(MapError, match=re.escape(message)):
        outputs(tmp_path, SOURCE.replace(line, changed))


def chip_with(contract: Path, **changes: str) -> Chip:
    config = load("ideal-16", {"map.file": str(table_of(contract)), **changes})
    return Chip(config, None if config.cpu.image else firmware_of(config.cpu.firmware, config.map.registers().hash_word))


@pytest.mark.parametrize("firmware", ["boot", "control"])
def test_the_driver_knows_their_names_and_the_chip_their_rules(contract: Path, firmware: str) -> None:
    with serving(chip_with(contract, **{"cpu.firmware": firmware})) as endpoint:
        with tsu.open(endpoint, map=table_of(contract)) as chip:
            assert chip.read_register("TUNER.CONTROL.GAIN") == 10
            chip.write_register("TUNER.CONTROL", GAIN=42, ENABLE=1)
            chip.write_register("TUNER.CONTROL.GAIN", 43)
            assert chip.read_register("TUNER.CONTROL") == 43 | 1 << 8
            for k in range(8):
                chip.write_register("TUNER.TABLE", 0xFFFFFFF0 + k, k)
            assert [chip.read_register("TUNER.TABLE", k) for k in (0, 7)] == [0xFFFFFFF0, 0xFFFFFFF7]
            with pytest.raises(HostError, match=r"TUNER.CONTROL.GAIN = 201 is not in 1 .. 200"):
                chip.write_register("TUNER.CONTROL", GAIN=201)
            with pytest.raises(HostError, match=r"TUNER.CONTROL.GAIN = 0; 1 to 200"):
                chip.write_register("TUNER.CONTROL", 0)
            with pytest.raises(HostError, match=r"TUNER\.STATUS is read-only"):
                chip.write_register("TUNER.STATUS", 1)
            with pytest.raises(HostError, match=r"no register 'TUNER'; .*TUNER"):
                chip.read_register("TUNER.NONE")
            chip.write_register("SYS.CTRL", RESET=1)
            assert chip.read_register("TUNER.CONTROL") == 10
            assert chip.read_register("TUNER.TABLE", 3) == 0
        with pytest.raises(LinkError, match="register map"):
            tsu.open(endpoint)
    with serving(Chip(load("ideal-16"))) as endpoint, pytest.raises(LinkError, match="register map"):
        tsu.open(endpoint, map=table_of(contract))
    with pytest.raises(HostError, match="no register"), open_in_process("ideal-16") as chip:
        chip.read_register("TUNER.CONTROL")


def test_without_them_nothing_is_there() -> None:
    chip = Chip(load("ideal-16"))
    assert (chip.plant.rules["decode"][0, 0x8000 >> 2 :] == -1).all()
    assert not chip.state.registers[len(access_table().reset) :].any()


def test_core_and_host_share_them(contract: Path, tmp_path: Path) -> None:
    """The core reports 7 rounds and rings twice; then it writes what is out of range, and traps."""
    base = 0x4000_8000
    rounds, ring = [*li(5, base), *li(6, 7), stw(6, 5, 4)], [*li(6, 1), stw(6, 5, 8)]
    traps = [*li(6, 201), stw(6, 5, 0), *li(6, 9), stw(6, 5, 4), *FOREVER]
    words = [*rounds, *ring, *[0x13] * 100, *ring, *traps]
    image = tmp_path / "image.elf"
    image.write_bytes(elf([(0, b"".join(w.to_bytes(4, "little") for w in words), 4 * len(words))]))
    chip = chip_with(contract, **{"cpu.image": str(image)})
    host = Host(chip)
    host.live(40)
    assert (host.read("TUNER.STATUS"), host.read("TUNER.EVENTS")) == (7, 1)
    host.write("TUNER.EVENTS", 1)
    assert host.read("TUNER.EVENTS") == 0
    host.live(300)
    assert host.read("TUNER.EVENTS") == 1, "the core sets what the host clears"
    assert host.read("TUNER.CONTROL") == 10
    assert chip.state.hart["mcause"][0] == 7, "a store access fault"
    other = chip_with(contract, **{"cpu.image": str(image)})
    other.restore(S.save(chip.state))
    assert Host(other).read("TUNER.STATUS") == 7
    oracle = InProcessOracle(chip)
    oracle.ask("upset", address=0x8020, bits=5)
    assert host.read("TUNER.TABLE") == 5
    with pytest.raises(OracleError, match=r"TUNER\.CONTROL has flip-flops"):
        oracle.ask("upset", address=0x8000, bits=1 << 9)
    assert serial_of(chip.config) == serial_of(load("ideal-16"))


def test_the_header_compiles_beside_the_contracts(contract: Path, tmp_path: Path) -> None:
    """An image is built for a map in test_moved_chip.py."""
    cross_compiler()
    (tmp_path / "own.c").write_text(
        '#include <stddef.h>\n#include "tsu.h"\n#include "tuner.h"\n'
        '_Static_assert(offsetof(tuner_t, TUNER.TABLE[7]) == 0x803c, "");\n'
        "int gain = TUNER__TUNER__CONTROL__GAIN_bm;\n"
    )
    compiler = shutil.which("riscv64-unknown-elf-gcc")
    assert compiler is not None
    compile_it = [compiler, "-ffreestanding", "-march=rv32imc", "-mabi=ilp32", "-Wall", "-Werror", f"-I{contract}/include"]
    compile_it += [f"-I{SOURCES}/hal/core/include", "-c"]
    assert subprocess.run([*compile_it, str(tmp_path / "own.c"), "-o", str(tmp_path / "own.o")], timeout=60).returncode == 0


def test_the_page_of_both(contract: Path) -> None:
    page = (contract / "registers.md").read_text()
    assert "### 0x8000 TUNER.CONTROL" in page
    assert "Range 1..200." in page
    assert page.count("Plain bits to the firmware.") == 1
    assert "### 0x0000 SYS.ID" in page


def test_the_example_of_the_page(contract: Path) -> None:
    """Its path is from the directory that the command was given in."""
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(p) for p in sys.path if p)}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", example],
        capture_output=True,
        text=True,
        timeout=300,
        env=paths,
        cwd=contract.parent,
    )
    assert run.stdout == "43 0\n", run.stderr


def test_the_addresses_of_the_page(tmp_path: Path) -> None:
    """Blocks and windows where the page's second example has them."""
    made = outputs(tmp_path, MOVED)
    own = map_of(json.loads(made[tmp_path / "soc/map/tsu.json"]))
    assert (own.own, own.register("SYS.ID").address, own.windows["BIAS"].address) == ((), 0x100000, 0x300000)
    assert {path.name for path in made} == {"tsu.json", "tsu.h", "registers.md"}


def test_maps_are_told_apart_by_the_driver(contract: Path) -> None:
    """Two chips with other registers in one process: names of one are not those of the other."""
    table = json.loads(table_of(contract).read_text())
    table["registers"][len(REGISTERS)]["address"] = 0x9000
    moved, own = map_of(table), load_map(table_of(contract))
    assert isinstance(moved, RegisterMap)
    assert (own.register("TUNER.CONTROL").address, moved.register("TUNER.CONTROL").address) == (0x8000, 0x9000)
    path = contract / "moved.json"
    path.write_text(json.dumps(table))
    config = load("ideal-16", {"map.file": str(path)})
    assert config.map.registers().hash == moved.hash
    with (
        serving(chip_with(contract)) as here,
        serving(Chip(config)) as there,
        tsu.open(here, map=table_of(contract)) as first,
        tsu.open(there, map=path) as second,
    ):
        first.write_register("TUNER.CONTROL", GAIN=1)
        second.write_register("TUNER.CONTROL", GAIN=2)
        assert (first.read_register("TUNER.CONTROL"), second.read_register("TUNER.CONTROL")) == (1, 2)
