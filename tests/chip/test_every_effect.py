"""Chips with every effect on: a life is a function of config, seeds and operations in chip time, and each effect draws for itself.

Polling, messages, budgets, threads and saves may change no bit. An epoch has 1024 cycles here, so that a life sees dozens of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from serving import Row, config, records
from tsu_contract.operations import Op
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_contract.registers import WINDOWS, access_table, register, value_of
from tsu_emu import state as S
from tsu_emu.chip import Chip, machine
from tsu_emu.config import ChipConfig, leaves, parse
from tsu_emu.digital import words as W

DRIFT = {
    "ou_sigma": 0.05, "ou_tau_s": 0.02, "walk_per_sqrt_hour": 1.0, "flicker_rms": 0.01, "flicker_low_hz": 1.0, "ageing": 0.01,
    "ageing_t0_s": 0.01, "power_nu": 0.01, "power_nu_sigma": 0.01, "power_t0_s": 0.01,
}  # fmt: skip
ERRORS = {"element_sigma": 0.03, "gain_sigma": 0.02, "offset_sigma_lsb": 0.5, "gain_tc_per_k": 1e-3}
DAC = {**ERRORS, "stuck_bit_probability": 0.02, "settling_s": 5e-5, "glitch_lsb": 0.5}
CELL = {
    "offset_sigma_kt": 0.1, "offset_drift": DRIFT, "offset_tc_kt_per_k": 1e-3, "dead": {"down": 0.08, "up": 0.08, "floating": 0.08},
}  # fmt: skip
SLOPED = {**CELL, "slope_sigma": 0.05, "slope_drift": DRIFT}
LADDER = {"crosstalk": 0.01, "wire_ohm": 10.0, "coupler_siemens": 1e-3}
LOAD = {"crosstalk": 0.01, "ir_drop": 0.05}
ASYNCHRONOUS = {"kind": "async-pbit", **SLOPED, "tau_s": 3e-5, "ln_tau_sigma": 0.5, "synapse_s": 5e-6}
LINEAR = {"kind": "gaussian", **CELL, "tau_s": 5e-5, "stiffness_sigma": 0.05}
CELLS: dict[str, dict[str, Any]] = {
    "pbit": {"kind": "pbit", **SLOPED},
    "coloured": {"kind": "pbit", **SLOPED, "noise": {"kind": "coloured", "tau_sweeps": 2.0}},
    "lfsr": {"kind": "pbit", **SLOPED, "noise": {"kind": "lfsr", "width": 16, "shared": 2}},
    "glauber": ASYNCHRONOUS,
    "arrhenius": {**ASYNCHRONOUS, "kinetics": "arrhenius"},
    "pdit": {"kind": "pdit", "states": 3, **SLOPED},
    "gaussian": LINEAR,
    "rlc": {**LINEAR, "quality": 5.0},
    "mixture": {"kind": "mixture", **CELL, "modes": 3, "tau_s": 5e-5, "mode_tau_s": 2e-4, "stiffness_sigma": 0.05},
    "langevin": {"kind": "langevin", **CELL, "tau_s": 5e-5, "stiffness_sigma": 0.05},
}
EVERYTHING: dict[str, Any] = {
    "seeds": {"die": 9, "run": 12},
    "clock": {"hz": 1_000_000},
    "slow": {"epoch_cycles": 1024},
    "coupling": {"gain_sigma": 0.05, "pair_gain_sigma": 0.03, "dac": DAC, "drift": DRIFT},
    "bias": {"dac": DAC},
    "temperature": {"dac": {**ERRORS, "full_scale": 4.0}, "tc_per_k": 1e-3, "drift": DRIFT},
    "process": {"die": 0.3, "gradient": 0.1, "field": 0.2, "white": 0.4, "length": 0.3},
    "storage": {"leakage_tau_s": 0.05, "refresh_s": 0.004, "refresh_noise_lsb": 0.3},
    "thermal": {
        "ambient_k": 310.0, "r_th_k_per_w": (20.0, 30.0), "tau_s": (2e-3, 1e-2), "ageing_activation_ev": 0.7,
        "sensor_offset_sigma_k": 2.0, "sensor_noise_k": 0.1, "sensor_lag_s": 3e-3,
    },
    "energy": {"update_aj": 10**9, "read_aj": 10**9, "write_aj": 10**12, "conversion_aj": 10**12, "standby_w": 0.1},
    "supply": {"noise_rms_v": 0.01, "noise_tau_s": 5e-3, "tones": [{"hz": 120.0, "amplitude_v": 0.01}], "r_pdn_ohm": 0.1, "psrr_db": 20.0},
    "adc": {
        "count": 2, "buffer": 64, "capacitor_sigma": 0.01, "offset_sigma_lsb": 2.0, "gain_sigma": 0.005, "noise_lsb": 0.4,
        "comparator_noise_lsb": 0.2, "metastability_lsb": 0.05, "mux_tau_s": 1e-6,
    },
    "timing": {"slot": 0, "colour": 20},
}  # fmt: skip
RING = [[i, (i + 1) % 16] for i in range(16)] + [[0, 2], [5, 9]]
LENGTH = 48_000
"""Cycles of a life's program, about."""


def everything(kind: str, topology: dict[str, Any] | None = None, planes: int = 8, **more: Any) -> ChipConfig:
    """A chip of sixteen cells, or of a graph, with every effect on."""
    graph = topology or {"kind": "edges", "cells": 16, "pairs": [] if kind == "mixture" else RING}
    network = LADDER if kind in ("coloured", "pdit") else LOAD
    return config(graph, planes, **{**EVERYTHING, "network": network, "cell": CELLS[kind], **more})


def test_nothing_is_left_off() -> None:
    """Every value of the schema that is an error, a drift or a defect differs from its default in one of the chips or more."""
    sizes = {"bits", "thermometer_bits", "full_scale", "count", "buffer", "acquisition_cycles", "trim_offset_lsb", "trim_gain"}
    sizes |= {"program_words", "loop_depth", "flicker_high_hz", "reference_k", "nominal_v", "modes", "states", "range", "rail"}
    sizes |= {"substeps", "stiffness", "taps", "kind"}
    same = []
    for kind in CELLS:
        chip, plain = everything(kind), {"kind": CELLS[kind]["kind"], "states": 3, "modes": 3}
        if kind == "lfsr":
            plain["noise"] = {"kind": "lfsr"}
        if kind == "coloured":
            plain["noise"] = {"kind": "coloured", "tau_sweeps": 1.0}
        keep = set(leaves(chip)) | {"cell.kind"}
        cell = {k: v for k, v in plain.items() if f"cell.{k}" in keep or k == "noise"}
        default = parse({"name": "x", "fabric": chip.fabric.model_dump(), "cell": cell, "adc": {"count": 1}, "timing": {"slot": 0, "colour": 1}})
        same.append({p for p in leaves(chip) if p.split(".")[0] not in ("timing", "fabric") and _at(chip, p) == _at(default, p)})
    off = {p for p in set.union(*same) if all(p in s for s, k in zip(same, CELLS, strict=True) if p in leaves(everything(k)))}
    refused = {"temperature.dac.settling_s", "temperature.dac.glitch_lsb", "temperature.dac.stuck_bit_probability"}
    assert {p for p in off if p.split(".")[-1] not in sizes} == refused


def _at(chip: ChipConfig, path: str) -> Any:
    value: Any = chip.model_dump(by_alias=True)
    for part in path.split("."):
        value = value[part]
    return value


# A life

Step = tuple[Row, bytes | None]


def at(name: str, index: int = 0) -> int:
    return register(name).at(index)


def mux(source: str, converter: int) -> int:
    """ADC.MUX for a source and a converter."""
    return value_of("ADC.MUX.SOURCE", source) | converter << W.CONVERTER_SHIFT


def window(name: str, data: NDArray[Any]) -> Step:
    """A burst write of a whole window."""
    octets = data.tobytes()
    octets += bytes(-len(octets) % 4)
    return (Op.BLKWR, WINDOWS[name].address, 0, 0, len(octets) // 4), octets


def life(chip: Chip) -> list[Step]:
    """Some of everything to do with a chip; whatever it does after the start is tied to a cycle."""
    cap, rng = chip.capabilities, np.random.default_rng(5)
    bias = rng.integers(-40, 40, (cap.cells, cap.terms)).astype("<i2")
    if chip.config.cell.kind in ("gaussian", "langevin"):
        bias[:, 1] = 127
    mask = rng.integers(0, 1 << 16, (cap.planes, cap.dimension("cell_words")), dtype=np.uint32)
    mask &= np.roll(mask, 1) & np.roll(mask, 2)
    scan = [Instruction(Opcode.ADC_SCAN)] if cap.dimension("value_cells") else []
    sweeps = LENGTH // 8 // (1 + 20 * cap.colours)
    rest = [Instruction(Opcode.STROBE), Instruction(Opcode.ADC_CAPTURE, 8), Instruction(Opcode.CORR_LATCH), Instruction(Opcode.IRQ)]
    body = [Instruction(Opcode.WAIT_SETTLE), Instruction(Opcode.RUN, sweeps), *scan, *rest]
    program = [Instruction(Opcode.LOOP, 8), *body, Instruction(Opcode.END), Instruction(Opcode.HALT)]
    pins = [window("CLAMP_VALUE", np.roll(mask, 3))] if cap.dimension("spin_words") else []
    pins += [window("PIN", rng.integers(0, 3, (cap.planes, cap.cells)).astype("<i2"))] if cap.dimension("pin_cells") else []
    reads = [w for w in ("SPIN", "STATE", "VALUE", "ADC_DATA", "CORR_PAIR", "CORR_MEAN") if cap.words(WINDOWS[w])]

    def until(cycle: int) -> Step:
        return (Op.DELAY_UNTIL, 0, 0, 0, cycle), None

    def write(address: int, value: int) -> Step:
        return (Op.WRITE, address, value, 0, 0), None

    def look(cycle: int) -> list[Step]:
        return [until(cycle), *(((Op.BLKRD, WINDOWS[w].address, 0, 0, cap.words(WINDOWS[w])), None) for w in reads)]

    coupled = [window("COUPLING", rng.integers(-40, 40, cap.couplers).astype("<i2"))] if cap.couplers else []
    again = WINDOWS["COUPLING" if coupled else "BIAS"].address
    return [
        *coupled, window("BIAS", bias), window("CLAMP_MASK", mask), *pins, window("PROGRAM", assemble(program)),
        window("PLANE_TEMP", rng.integers(3000, 6000, cap.planes).astype("<u2")), write(at("CORR.DATA_PLANES"), 0x0F),
        write(at("CORR.ALPHA_DATA"), 20_000), write(at("CORR.CTRL"), 1), write(at("IRQ.ENABLE"), 0x1F),
        write(at("FABRIC.SCAN"), 2), write(at("ADC.MUX"), mux("COUPLING_DAC" if coupled else "BIAS_DAC", 1)), write(at("SEQ.CTRL"), 1),
        *look(9_001), write(again, 0x00070009), until(9_007), until(9_013), *look(9_300), write(at("ADC.MUX"), mux("TEMP_DAC", 0)),
        until(17_011), write(at("TEMP.TDAC"), 90), write(at("FABRIC.SCAN"), 1), write(WINDOWS["BIAS"].address + 4, 0x00500020),
        *look(25_017), window("CLAMP_MASK", np.roll(mask, 1)), write(at("FABRIC.PLANE_ENABLE"), 0x7F), write(at("ADC.MUX"), mux("CELL", 1)),
        until(33_023), write(at("ADC.MODE"), 1), write(again, 0x00200011), *look(41_005), *look(LENGTH + 12_000),
    ]  # fmt: skip


POLLED = ("SEQ.STATUS", "IRQ.PENDING", "SYS.ID", "SYS.CYCLE", "TEMP.SENSOR", "MON.PHYS_TIME", "MON.ENERGY", "MON.ENERGY_ADC",
          "FABRIC.STATUS", "CORR.COUNT", "FABRIC.SWEEP", "MON.ENERGY_STANDBY")  # fmt: skip


def poll(chip: Chip, end: int, burst: int = 400) -> int:
    """Reads status registers till shortly before a cycle; how often it did."""
    rows: list[Row] = [(Op.READ, at(POLLED[k % len(POLLED)]), 0, 0, 0) for k in range(burst)]
    done = 0
    while chip.link_time + 4 * len(rows) < end:
        assert chip.execute(records(rows)).failure is None
        done += len(rows)
    return done


def execute(chip: Chip, steps: list[Step]) -> list[bytes]:
    """The data that the steps read."""
    result = chip.execute(records([row for row, _ in steps]), [payload for _, payload in steps if payload is not None])
    assert result.failure is None
    return result.data


def outcome(chip: Chip, size: int = 256, polls: bool = False) -> tuple[list[bytes], dict[str, NDArray[Any]], int]:
    """Data and state of a life whose steps come `size` to a message, and how often it was polled in between."""
    steps, data, polled = life(chip), [], 0
    if polls:
        for step in steps:
            polled += poll(chip, step[0][4]) if step[0][0] == Op.DELAY_UNTIL else 0
            data += execute(chip, [step])
    else:
        for first in range(0, len(steps), size):
            data += execute(chip, steps[first : first + size])
    return data, S.save(chip.state), polled


def differing(one: dict[str, NDArray[Any]], other: dict[str, NDArray[Any]]) -> set[str]:
    """Arrays whose bits differ; of the core, its fields; of the registers, their names."""
    names = {n for n in one if n != "core" and one[n].tobytes() != other[n].tobytes()}
    for name in S.CORE.names or ():
        a, b = one["core"][name][0], other["core"][name][0]
        if name == "registers":
            names |= {access_table().names[access_table().register[w]] for w in np.flatnonzero(a != b)}
        elif name == "time":
            names |= {f"time {k}" for k in np.flatnonzero(a != b)}
        elif a.tobytes() != b.tobytes():
            names.add(name)
    return names


@pytest.fixture(scope="module")
def lives() -> dict[str, tuple[list[bytes], dict[str, NDArray[Any]], int]]:
    """The outcome of each kind's life, undisturbed."""
    return {kind: outcome(Chip(everything(kind))) for kind in CELLS}


def test_a_life_sees_many_epochs_and_samples_move(lives: Any) -> None:
    for kind, (data, saved, _) in lives.items():
        assert saved["core"]["time"][0, S.EPOCH] > 40, kind
        assert saved["core"]["registers"][0, W.SEQ_STATUS] == W.HALTED, kind
        assert len(set(data)) > len(data) / 2, kind


@pytest.mark.parametrize("kind", CELLS)
def test_polling_ten_thousand_times_changes_only_what_reading_stores(kind: str, lives: Any) -> None:
    """Counters latch their high words, which stay 0 here but for MON.ENERGY's; TEMP.SENSOR is made when it is read."""
    data, saved, polled = outcome(Chip(everything(kind)), polls=True)
    assert polled >= 10_000
    assert data == lives[kind][0]
    assert differing(saved, lives[kind][1]) == {"TEMP.SENSOR", f"time {S.SENSED_AT}", "MON.ENERGY", "MON.ENERGY_ADC", "MON.ENERGY_STANDBY"}


@pytest.mark.parametrize("kind", CELLS)
def test_messages_budget_and_threads_change_nothing(kind: str, lives: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert outcome(Chip(everything(kind)), size=1)[:2] == _Same(lives[kind])
    assert outcome(Chip(everything(kind), threads=2), size=7)[:2] == _Same(lives[kind])
    monkeypatch.setattr("tsu_emu.chip.motion.BUDGET", 1)
    assert outcome(Chip(everything(kind)))[:2] == _Same(lives[kind])


class _Same:
    """Equal to an outcome with the same bits."""

    def __init__(self, life: Any) -> None:
        self.life = life

    def __eq__(self, other: object) -> bool:
        data, saved = other  # type: ignore[misc]
        return data == self.life[0] and not differing(saved, self.life[1])
