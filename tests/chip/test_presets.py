"""Presets: each makes a chip that boots and runs, what is published comes out of it, effects are on or off as its name says.

No statistics: every figure here is exact. z1 lives in a process of its own, so that its memory can be measured.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import reduce
from operator import getitem
from typing import Any

import numpy as np
import pytest

from serving import Pins, Row
from tsu_contract.operations import Op
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_contract.registers import WINDOWS, register
from tsu_emu.chip import Chip
from tsu_emu.config import ChipConfig, leaves, load, parse, provenance_of, shipped
from tsu_firmware import BootFirmware

NAMES = sorted(shipped())
IDEAL = {"digits-ideal", "ideal-16", "layered-digits", "hierarchical-256", "small-world-256"}
SWEEPS = 10
UNIT_CODES = {"gaussian": (0, 32), "langevin": (0, 32, 0, 32)}
"""Bias codes that give a cell unit stiffness: without it, continuous cells have no well to live in."""
HALTED = READY = 2


def at(name: str) -> int:
    return register(name).at()


def run(pins: Pins, *instructions: Instruction) -> None:
    """A program from beginning to end."""
    program = assemble([*instructions, Instruction(Opcode.HALT)]).tobytes()
    rows: list[Row] = [
        (Op.BLKWR, WINDOWS["PROGRAM"].address, 0, 0, len(program) // 4), (Op.WRITE, at("SEQ.PC"), 0, 0, 0),
        (Op.WRITE, at("SEQ.CTRL"), 1, 0, 0), (Op.WAIT, at("SEQ.STATUS"), HALTED, 0xFF, 10**8),
    ]  # fmt: skip
    assert pins.operate(rows, program).failure is None


def is_analog(config: ChipConfig) -> bool:
    return hasattr(config.cell, "range")


def counter(pins: Pins, name: str) -> int:
    """A 64-bit counter."""
    low, high = (int(v) for v in pins.operate([(Op.READ, at(name), 0, 0, 0), (Op.READ, at(name) + 4, 0, 0, 0)]).values)
    return low | high << 32


def life(config: ChipConfig) -> dict[str, Any]:
    """A chip boots and does SWEEPS sweeps, half of them three epochs later, then SWEEPS of one plane alone: what it showed."""
    chip = Chip(config, BootFirmware())
    pins, topology = Pins(chip), chip._plant.topology
    assert pins.operate([(Op.WAIT, at("SYS.BOOT"), READY, 0xFF, 10**8)]).failure is None
    codes = np.tile(np.array(UNIT_CODES.get(config.cell.kind, ()), "<i2"), chip.capabilities.cells).tobytes()
    if codes:
        assert pins.operate([(Op.BLKWR, WINDOWS["BIAS"].address, 0, 0, len(codes) // 4)], codes).failure is None
    half = [Instruction(Opcode.WAIT_SETTLE), Instruction(Opcode.RUN, SWEEPS // 2), Instruction(Opcode.STROBE)]
    run(pins, *half, *[Instruction(Opcode.ADC_SCAN)] * is_analog(config))
    assert pins.operate([(Op.DELAY, 0, 0, 0, 3 * config.slow.epoch_cycles)]).failure is None
    run(pins, *half)
    shown = {"energy_fj": counter(pins, "MON.ENERGY_UPDATE")}
    for word in range((config.fabric.planes + 31) // 32):
        assert pins.operate([(Op.WRITE, at("FABRIC.PLANE_ENABLE") + 4 * word, int(word == 0), 0, 0)]).failure is None
    before = counter(pins, "MON.PHYS_TIME")
    run(pins, Instruction(Opcode.RUN, SWEEPS))
    error, sweeps = pins.operate([(Op.READ, at(name), 0, 0, 0) for name in ("SYS.ERROR", "FABRIC.SWEEP")]).values
    return shown | {
        "sweep_s": (counter(pins, "MON.PHYS_TIME") - before) / SWEEPS / config.clock.hz,
        "error": int(error), "sweeps": int(sweeps), "cells": chip.capabilities.cells, "colours": chip.capabilities.colours,
        "degree": int(np.diff(topology.row).max(initial=0)),
        "alternates": bool((topology.colour[topology.source] != np.repeat(topology.colour, np.diff(topology.row))).all()),
        "codes": len(np.unique(chip.state.value_scan)),
    }  # fmt: skip


def energy_fj(config: ChipConfig, cells: int, update_aj: int) -> int:
    """Of SWEEPS sweeps of all planes."""
    return SWEEPS * config.fabric.planes * cells * update_aj // 1000


@pytest.mark.parametrize("name", [n for n in NAMES if n != "z1"])
def test_a_preset_boots_and_runs(name: str) -> None:
    """Its ledger shows its own update energy, an attojoule more would show; analog cells move: their codes differ."""
    config = load(name)
    shown = life(config)
    assert (shown["error"], shown["sweeps"]) == (0, 2 * SWEEPS)
    expected = energy_fj(config, shown["cells"], config.energy.update_aj)
    assert shown["energy_fj"] == expected
    assert shown["energy_fj"] != energy_fj(config, shown["cells"], config.energy.update_aj + 1)
    assert (shown["codes"] > 4) == is_analog(config)


def test_cells_without_stiffness_run_away_so_the_codes_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "UNIT_CODES", {"gaussian": (0, 0)})
    assert life(load("spu-8"))["error"] != 0


Z1 = """
import json, resource
from chip import test_presets as t
print(json.dumps(t.life(t.load("z1")) | {"peak_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))
"""


@pytest.fixture(scope="module")
def z1() -> dict[str, Any]:
    """The life of z1, and the peak memory of a process that does nothing else."""
    same_path = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", Z1], capture_output=True, text=True, timeout=300, env=same_path)
    assert ran.returncode == 0, ran.stderr
    shown: dict[str, Any] = json.loads(ran.stdout)
    return shown


def test_z1_has_the_published_cells_degree_and_colours(z1: dict[str, Any]) -> None:
    assert (z1["cells"], z1["degree"], z1["colours"], z1["alternates"]) == (269_568, 16, 2, True)
    assert (z1["error"], z1["sweeps"]) == (0, 2 * SWEEPS)


def test_z1_is_built_within_3_gigabytes(z1: dict[str, Any]) -> None:
    assert z1["peak_kib"] * 1024 < 3e9


def test_z1_spends_the_published_energy_and_no_more_than_50_megahertz(z1: dict[str, Any]) -> None:
    """7.09 fJ an update; 20 ns a sweep of one plane. One aJ more would show."""
    config = load("z1")
    assert z1["energy_fj"] == energy_fj(config, 269_568, 7_090) != energy_fj(config, 269_568, 7_091)
    assert z1["sweep_s"] == pytest.approx(20e-9, rel=1e-12)
    assert (config.energy.read_aj, config.energy.write_aj, config.coupling.dac.full_scale) == (1_692_000, 153_600_000, 6.0)


def test_dtca_70_is_the_published_graph_at_350_attojoules_and_10_megahertz() -> None:
    config = load("dtca-70")
    shown = life(config)
    assert (shown["cells"], shown["degree"], shown["colours"], shown["alternates"]) == (4_900, 12, 2, True)
    assert shown["energy_fj"] == energy_fj(config, 4_900, 350) != energy_fj(config, 4_900, 351)
    assert shown["sweep_s"] == pytest.approx(100e-9, rel=1e-12)


NEUTRAL = {"process.white", "supply.psrr_db", "cell.noise.kind"}
"""Effects that another value than 0 switches off."""
NO_DRIFT_OF_GAINS = {"walk_per_sqrt_hour", "flicker_rms", "ageing"}
GAINS = ("coupling.drift", "cell.slope_drift", "temperature.drift")


def values(config: ChipConfig) -> dict[str, Any]:
    """Every leaf with its value."""
    data = config.model_dump(by_alias=True)
    return {path: reduce(getitem, path.split("."), data) for path in leaves(config)}


def bare(config: ChipConfig) -> ChipConfig:
    """A chip with the cells of another and nothing but defaults."""
    given = config.cell.model_dump()
    needed = {k: given[k] for k, f in type(config.cell).model_fields.items() if k == "kind" or f.is_required()}
    topology: dict[str, Any] = {"kind": "edges", "cells": 1, "pairs": []}
    continuous = {"slot": 0, "colour": 1} if config.timing.slot == 0 else {}
    return parse({"name": "x", "fabric": {"topology": topology}, "cell": needed, "adc": {"count": 1}, "timing": continuous})


def effects(config: ChipConfig) -> set[str]:
    """Leaves that are off by default: those of value 0 or nothing, and NEUTRAL; timing and geometry are no effects."""
    off = {p: v for p, v in values(bare(config)).items() if not p.startswith(("fabric.", "timing.", "learning.", "policy."))}
    return {p for p, v in off.items() if v in (0.0, (), (0.0, 0.0)) or p in NEUTRAL}


def on(config: ChipConfig) -> set[str]:
    """Effects that a configuration has."""
    shown, off = values(config), values(bare(config))
    return {p for p in effects(config) if p in shown and shown[p] != off[p]}


def left_out(name: str, config: ChipConfig) -> set[str]:
    """Effects that a preset with errors does without, and why."""
    out = {p for p in effects(config) if p.endswith(("power_nu", "power_nu_sigma"))}  # of phase-change memories
    out |= {f"{g}.{part}" for g in GAINS for part in NO_DRIFT_OF_GAINS}  # nothing is known of them
    out |= {f"temperature.dac.{part}" for part in ("stuck_bit_probability", "settling_s", "glitch_lsb")}  # it has none
    wires = {"network.wire_ohm", "network.coupler_siemens"}
    out |= {"network.ir_drop"} if name == "digits-corner" else wires  # two models of one thing
    out |= {"cell.quality"} if name != "spu-8" else set()  # of resonators
    out |= {"energy.learn_aj"} if not config.learning.bits else set()
    out |= {"cell.noise.kind"} if name not in ("digits-corner", "dtca-70") else set()
    if config.cell.kind not in ("pbit", "async-pbit"):  # others have no trims
        out |= {p for p in effects(config) if p.startswith(("trim.", "nvm."))}
    if name.startswith("x0-"):  # loose cells
        out |= {p for p in effects(config) if p.startswith(("coupling.", "network."))} | {"cell.synapse_s"}
    wafers = {"lot", "wafer", "radial", "dies_per_wafer", "wafers_per_lot"}
    out |= {f"process.{part}" for part in wafers | {"tail_degrees", "defect_alpha", "defect_radius"}}  # dies of no known fab
    out |= {p for p in effects(config) if p.startswith("die.")}  # presets are of no single die
    if name == "z1":  # 4.3 million histories of gains would take a gigabyte
        out |= {"coupling.drift.ou_sigma"}
    return out & effects(config)


@pytest.mark.parametrize("name", sorted(IDEAL))
def test_ideal_presets_have_every_effect_off(name: str) -> None:
    assert on(load(name)) == set()


@pytest.mark.parametrize("name", sorted(set(NAMES) - IDEAL))
def test_all_others_have_every_effect_on_but_those_named(name: str) -> None:
    config = load(name)
    assert effects(config) - on(config) == left_out(name, config)


@pytest.mark.parametrize(
    "change",
    [
        {"coupling": {"dac": {"stuck_bit_probability": 1e-9}}},
        {"cell": {"kind": "pbit", "noise": {"kind": "coloured", "tau_sweeps": 1}}},
        {"supply": {"tones": [{"hz": 50, "amplitude_v": 1e-3}]}},
        {"supply": {"psrr_db": 119}},
        {"energy": {"update_aj": 1}},
        {"process": {"die": 0.5, "white": 0.5}},
        {"process": {"tail_degrees": 4}},
        {"process": {"defect_alpha": 0.5}},
    ],
)
def test_an_effect_is_noticed(change: dict[str, Any]) -> None:
    """The walk over leaves finds an effect of any form; each changes at least one leaf of a bare chip."""
    config = parse({"name": "x", "fabric": {"topology": {"kind": "dense", "cells": 2}}, **change})
    assert on(config) != set()


def test_the_corner_is_worse_than_typical_in_every_spread_and_hot() -> None:
    """What both have is 2 to 3 times typical; probabilities of defects are 10 times."""
    typical, corner = load("digits-typical"), load("digits-corner")
    a, b = values(typical), values(corner)
    for path in on(typical) & on(corner):
        if not isinstance(a[path], float) or path.startswith(("process.", "thermal.ageing", "storage.leakage", "supply.psrr")):
            continue
        low, high = (9, 11) if "stuck" in path or "dead" in path else (2, 3)
        assert low <= b[path] / a[path] <= high, path
    assert corner.thermal.ambient_k == 358
    assert corner.supply.psrr_db < typical.supply.psrr_db
    assert corner.storage.leakage_tau_s < typical.storage.leakage_tau_s


NUMBER = re.compile(r"(?<![\w.])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e-?\d+)?|(?<![\w.])\.\d+")
QUOTED = ("published", "simulated by vendor", "secondary")


def quoted(value: Any, source: str) -> bool:
    """Whether all numbers of a value stand in a text; numbers of articles do not count, nor does what is no number."""
    if isinstance(value, list | tuple):
        return all(quoted(v, source) for v in value)
    if isinstance(value, str):
        return True
    text = re.sub(r"arXiv \d+\.\d+", "", source)
    return float(value) in {float(n.replace(",", "")) for n in NUMBER.findall(text)}


def misquoted(config: ChipConfig) -> list[str]:
    """Leaves from a publication whose number is not in the text that names it."""
    shown = values(config)
    sources = {p: provenance_of(config, p) or "" for p in shown}
    return [p for p, s in sources.items() if s.split(":")[0] in QUOTED and not quoted(shown[p], s)]


@pytest.mark.parametrize("name", NAMES)
def test_a_published_value_is_the_figure_that_its_source_quotes(name: str) -> None:
    assert misquoted(load(name)) == []


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("z1", {"energy": {"update_aj": 7_091}}),
        ("z1", {"timing": {"strobe": 3_700}}),
        ("dtca-70", {"fabric": {"topology": {"kind": "grid", "width": 70, "height": 70, "rules": [[0, 1], [4, 1], [9, 11]]}}}),
        ("spu-8", {"fabric": {"topology": {"kind": "dense", "cells": 9}}}),
    ],
)
def test_a_figure_that_its_source_does_not_quote_is_found(name: str, change: dict[str, Any]) -> None:
    data = load(name).model_dump(by_alias=True)
    for table, entries in change.items():
        data[table] |= entries
    assert len(misquoted(parse(data))) == 1


@pytest.mark.parametrize("name", sorted(set(NAMES) - IDEAL))
def test_what_is_assumed_says_what_would_settle_it(name: str) -> None:
    said = load(name).provenance
    assert [p for p, s in said.items() if s.startswith("assumed") and "settle" not in s] == []
    assert any(s.startswith("assumed") for s in said.values())


def test_vendors_chips_quote_their_publications() -> None:
    """Which leaves are not this project's own figures; ideal chips have none."""
    taken = {n: {p for p in leaves(c) if (provenance_of(c, p) or "").split(":")[0] in QUOTED} for n in NAMES for c in [load(n)]}
    assert {"energy.update_aj", "energy.read_aj", "energy.write_aj", "coupling.dac.full_scale", "timing.strobe"} <= taken["z1"]
    assert {"fabric.topology.width", "fabric.topology.rules", "energy.update_aj"} <= taken["dtca-70"]
    assert "fabric.topology.cells" in taken["spu-8"]
    assert "cell.tau_s" in taken["smtj-64"] & taken["x0-pbit"]
    assert all(taken[n] == set() for n in IDEAL | {"digits-typical", "digits-corner", "langevin-16", "potts-36", "spu-64"})
