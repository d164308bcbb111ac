"""Chips with every effect on: a life is a function of config, seeds and operations in chip time, and each effect draws for
itself.

Polling, messages, budgets, threads and saves may change no bit. An epoch has 1024 cycles here, so that a life sees dozens of
them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from serving import Row, config, records
from tsu_contract.operations import Op
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_contract.registers import WINDOWS, access_table, register, value_of
from tsu_emu import state as S
from tsu_emu.analog import sweep
from tsu_emu.chip import Chip
from tsu_emu.config import ChipConfig, leaves, parse
from tsu_emu.digital import words as W

DRIFT = {
    "ou_sigma": 0.05, "ou_tau_s": 0.02, "walk_per_sqrt_hour": 1.0, "flicker_rms": 0.01, "flicker_low_hz": 1.0, "ageing": 0.01,
    "ageing_t0_s": 0.01, "power_nu": 0.01, "power_nu_sigma": 0.01, "power_t0_s": 0.01,
}  # fmt: skip
ERRORS = {"element_sigma": 0.03, "gain_sigma": 0.02, "offset_sigma_lsb": 0.5, "gain_tc_per_k": 1e-3}
DAC = {**ERRORS, "stuck_bit_probability": 0.02, "settling_s": 5e-5, "glitch_lsb": 0.5}
CELL = {
    "offset_sigma_kt": 0.1, "offset_drift": DRIFT, "offset_tc_kt_per_k": 1e-3, "dead": {"down": 0.08, "up": 0.08,
    "floating": 0.08},
}  # fmt: skip
SLOPED = {**CELL, "slope_sigma": 0.05, "slope_drift": DRIFT}
LADDER = {"crosstalk": 0.01, "wire_ohm": 10.0, "coupler_siemens": 1e-3}
LOAD = {"crosstalk": 0.01, "ir_drop": 0.05}
ASYNCHRONOUS = {"kind": "async-pbit", **SLOPED, "tau_s": 3e-5, "ln_tau_sigma": 0.5, "synapse_s": 5e-6}
LINEAR = {"kind": "gaussian", **CELL, "tau_s": 5e-5, "stiffness_sigma": 0.05}
CELLS: dict[str, dict[str, Any]] = {
    "pbit": {"kind": "pbit", **SLOPED},
    "by aes": {"kind": "pbit", **SLOPED, "noise": {"kind": "ideal", "generator": "aes"}},
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
    "seeds": {"die": 1, "run": 12},
    "clock": {"hz": 1_000_000},
    "slow": {"epoch_cycles": 1024},
    "coupling": {"gain_sigma": 0.05, "pair_gain_sigma": 0.03, "dac": DAC, "drift": DRIFT},
    "bias": {"dac": DAC},
    "temperature": {"dac": {**ERRORS, "full_scale": 4.0}, "tc_per_k": 1e-3, "drift": DRIFT},
    "process": {
        "lot": 0.1, "wafer": 0.05, "radial": 0.05, "die": 0.2, "gradient": 0.1, "field": 0.2, "white": 0.3, "length": 0.3,
        "dies_per_wafer": 9, "wafers_per_lot": 4, "tail_degrees": 6, "defect_alpha": 8.0, "defect_radius": 0.4,
    },
    "storage": {"leakage_tau_s": 0.05, "refresh_s": 0.004, "refresh_noise_lsb": 0.3},
    "thermal": {
        "ambient_k": 310.0, "r_th_k_per_w": (20.0, 30.0), "tau_s": (2e-3, 1e-2), "ageing_activation_ev": 0.7,
        "sensor_offset_sigma_k": 2.0, "sensor_noise_k": 0.1, "sensor_lag_s": 3e-3,
    },
    "energy": {"update_aj": 10**9, "read_aj": 10**9, "write_aj": 10**12, "conversion_aj": 10**12,
        "learn_aj": 10**12, "standby_w": 0.1},
    "supply": {"noise_rms_v": 0.01, "noise_tau_s": 5e-3, "tones": [{"hz": 120.0, "amplitude_v": 0.01}], "r_pdn_ohm": 0.1,
    "psrr_db": 20.0},
    "adc": {
        "count": 2, "buffer": 64, "capacitor_sigma": 0.01, "offset_sigma_lsb": 2.0, "gain_sigma": 0.005, "noise_lsb": 0.4,
        "comparator_noise_lsb": 0.2, "metastability_lsb": 0.05, "mux_tau_s": 1e-6,
    },
    "timing": {"slot": 0, "colour": 20},
}  # fmt: skip
TRIM = {"bits": 6, "element_sigma": 0.05, "gain_sigma": 0.02}
RING = [[i, (i + 1) % 16] for i in range(16)] + [[0, 2], [5, 9]]
MEASURED = {
    "offset_kt": [0.01 * k for k in range(16)], "slope": [1 + 0.01 * k for k in range(16)], "temperature": [0.98, 0.03],
    "coupler_gain": [1 - 0.01 * k for k in range(36)], "coupler_offset_kt": [0.002 * k for k in range(36)],
}  # fmt: skip
"""Of the sixteen cells of RING."""
LENGTH = 48_000
"""Cycles of a life's program, about."""


def everything(kind: str, topology: dict[str, Any] | None = None, planes: int = 8, **more: Any) -> ChipConfig:
    """A chip of sixteen cells, or of a graph, with every effect on."""
    graph = topology or {"kind": "edges", "cells": 16, "pairs": [] if kind == "mixture" else RING}
    network = LADDER if kind in ("coloured", "pdit") else LOAD
    trim = TRIM if CELLS[kind]["kind"] in ("pbit", "async-pbit") else {}
    known = MEASURED if kind == "by aes" and topology is None else {}
    return config(graph, planes, **{**EVERYTHING, "network": network, "cell": CELLS[kind], "trim": trim, "die": known, **more})


SIZES = {
    "bits", "thermometer_bits", "full_scale", "count", "buffer", "acquisition_cycles", "trim_offset_lsb", "trim_gain", "modes",
    "program_words", "loop_depth", "table_entries", "hostmem_words", "flicker_high_hz", "reference_k",
    "nominal_v", "states", "range", "rail", "substeps", "offset_full_scale_kt", "slope_full_scale", "words",
    "stiffness", "taps", "kind",
}  # fmt: skip
"""Values that are no effects."""


def test_nothing_is_left_off() -> None:
    """Every value of the schema that is an error, a drift or a defect differs from its default in one of the chips or more."""
    at_default: dict[str, bool] = {}
    for kind, cell in CELLS.items():
        needed = {k: cell[k] for k in ("kind", "states", "modes") if k in cell}
        if "noise" in cell:
            needed["noise"] = {"kind": cell["noise"]["kind"], **({"tau_sweeps": 1.0} if kind == "coloured" else {})}
        chip = everything(kind)
        frame = {"name": "x", "fabric": chip.fabric.model_dump(), "timing": chip.timing.model_dump(by_alias=True)}
        plain = parse({**frame, "cell": needed, "adc": {"count": 1}})
        for path in leaves(chip):
            table, *_, key = path.split(".")
            if table not in ("timing", "fabric", "seeds", "cpu", "policy", "map") and key not in SIZES:
                at_default[path] = at_default.get(path, True) and value_at(chip, path) == value_at(plain, path)
    refused = {"temperature.dac.settling_s", "temperature.dac.glitch_lsb", "temperature.dac.stuck_bit_probability"}
    refused.add("cell.clock")  # shared clocks are for cells that are heard at once
    assert {path for path, default in at_default.items() if default} == refused


def value_at(chip: ChipConfig, path: str) -> Any:
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
        bias[:, 1::2] = 127
    mask = rng.integers(0, 1 << 16, (cap.planes, cap.dimension("cell_words")), dtype=np.uint32)
    mask &= np.roll(mask, 1) & np.roll(mask, 2)
    scan = [Instruction(Opcode.ADC_SCAN)] if cap.dimension("value_cells") else []
    sweeps = LENGTH // 8 // (1 + 20 * cap.colours + cap.planes)
    rest = [
        Instruction(Opcode.STROBE),
        Instruction(Opcode.ADC_CAPTURE, 8),
        Instruction(Opcode.CORR_LATCH),
        Instruction(Opcode.IRQ),
    ]
    body = [Instruction(Opcode.WAIT_SETTLE), Instruction(Opcode.RUN, sweeps), *scan, *rest]
    program = [Instruction(Opcode.LOOP, 8), *body, Instruction(Opcode.END), Instruction(Opcode.HALT)]
    pins = [window("CLAMP_VALUE", np.roll(mask, 3))] if cap.dimension("spin_words") else []
    reach = 1 << max(cap.trim_bits - 1, 0)
    trims = rng.integers(-reach, reach, (2, cap.dimension("trim_cells"))).astype("<i2")
    if trims.size:
        pins += [window("TRIM_OFFSET", trims[0]), window("TRIM_SLOPE", trims[1])]
    pins += [window("PIN", rng.integers(0, 3, (cap.planes, cap.cells)).astype("<i2"))] if cap.dimension("pin_cells") else []
    reads = [w for w in ("SPIN", "STATE", "VALUE", "ADC_DATA", "CORR_PAIR", "CORR_MEAN") if cap.words(WINDOWS[w])]

    def until(cycle: int) -> Step:
        return (Op.DELAY_UNTIL, 0, 0, 0, cycle), None

    def write(address: int, value: int) -> Step:
        return (Op.WRITE, address, value, 0, 0), None

    def look(cycle: int) -> list[Step]:
        return [until(cycle), *(((Op.BLKRD, WINDOWS[w].address, 0, 0, cap.words(WINDOWS[w])), None) for w in reads)]

    later = [until(29_003), window("TRIM_SLOPE", trims[1][::-1].copy())] if trims.size else []
    reach = 16 if chip.config.cell.kind == "gaussian" else 40
    coupled = [window("COUPLING", rng.integers(-reach, reach, cap.couplers).astype("<i2"))] if cap.couplers else []
    again = WINDOWS["COUPLING" if coupled else "BIAS"].address
    return [
        *coupled, window("BIAS", bias), window("CLAMP_MASK", mask), *pins, window("PROGRAM", assemble(program)),
        window("PLANE_TEMP", rng.integers(3000, 6000, cap.planes).astype("<u2")), write(at("CAL.LIMIT"), 1),
        write(at("CORR.DATA_PLANES"), 0x0F),
        write(at("CORR.ALPHA_DATA"), 20_000), write(at("CORR.CTRL"), 1), write(at("IRQ.ENABLE"), 0x7F),
        write(at("FABRIC.SCAN"), 2), write(at("ADC.MUX"), mux("COUPLING_DAC" if coupled else "BIAS_DAC", 1)),
        write(at("SEQ.CTRL"), 1),
        *look(9_001), write(again, 0x00070009), until(9_007), until(9_013), *look(9_300), write(at("ADC.MUX"), mux("TEMP_DAC",
        0)),
        until(17_011), write(at("TEMP.TDAC"), 90), write(at("FABRIC.SCAN"), 1), write(WINDOWS["BIAS"].address + 4, 0x00500020),
        *look(25_017), window("CLAMP_MASK", np.roll(mask, 1)), write(at("FABRIC.PLANE_ENABLE"), 0x7F), write(at("ADC.MUX"),
        mux("CELL", 1)), *later,
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
        assert saved["core"]["registers"][0, W.ERROR] == 0, kind
        assert len(set(data[:: len(data) // 5])) >= 4, kind


@pytest.mark.parametrize("kind", CELLS)
def test_polling_ten_thousand_times_changes_only_what_reading_stores(kind: str, lives: Any) -> None:
    """Counters latch their high words, which stay 0 here but for MON.ENERGY's; TEMP.SENSOR is made when it is read."""
    data, saved, polled = outcome(Chip(everything(kind)), polls=True)
    assert polled >= 10_000
    assert data == lives[kind][0]
    assert differing(saved, lives[kind][1]) == {
        "TEMP.SENSOR",
        f"time {S.SENSED_AT}",
        "MON.ENERGY",
        "MON.ENERGY_ADC",
        "MON.ENERGY_STANDBY",
    }


@pytest.mark.parametrize("kind", CELLS)
def test_messages_budget_and_threads_change_nothing(kind: str, lives: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, saved, _ = lives[kind]
    for threads, size, budget in ((1, 1, 10_000_000), (2, 7, 10_000_000), (1, 256, 1)):
        monkeypatch.setattr("tsu_emu.chip.motion.BUDGET", budget)
        data, after, _ = outcome(Chip(everything(kind), threads=threads), size)
        assert data == expected
        assert differing(after, saved) == set()


@pytest.mark.parametrize("kind", CELLS)
def test_a_life_saved_after_any_step_goes_on_in_a_fresh_chip(kind: str) -> None:
    """Each step from the state saved before it leads to the state saved after it, bit for bit, and so on to the end.

    Some saves fall into a sweep, into a DAC's transient, between the epochs of a sweep's parameters and of the present.
    """
    chip, steps = Chip(everything(kind)), life(Chip(everything(kind)))
    saves, data = [S.save(chip.state)], []
    for step in steps:
        data.append(execute(chip, [step]))
        saves.append(S.save(chip.state))
    times = np.array([s["core"]["time"][0] for s in saves])
    assert any(s["core"]["sequencer"][0, S.MID_SWEEP] for s in saves)
    assert np.any(times[:, S.NOW] < times[:, S.KICKED_UNTIL])
    assert np.any((times[:, S.EPOCH] >= 0) & (times[:, S.EPOCH] < times[:, S.NOW] // 1024))
    for k, step in enumerate(steps):
        fresh = Chip(everything(kind))
        fresh.restore(saves[k])
        assert execute(fresh, [step]) == data[k]
        assert differing(S.save(fresh.state), saves[k + 1]) == set(), k


@pytest.mark.parametrize("forgotten", ["coupling_kick", "spins", "bias_written", "coupling_code"])
def test_a_save_that_lacks_something_is_another_life(forgotten: str) -> None:
    chip, on = Chip(everything("pbit")), [((Op.DELAY, 0, 0, 0, 100), None)]
    execute(chip, life(chip)[:13])
    saved, lives = S.save(chip.state), []
    assert saved["core"]["time"][0, S.NOW] < saved["core"]["time"][0, S.KICKED_UNTIL]
    for lost in ({}, {forgotten: np.zeros_like(saved[forgotten])}):
        fresh = Chip(everything("pbit"))
        fresh.restore(saved | lost)
        execute(fresh, on)
        lives.append([a.tobytes() for a in (fresh.state.spins, fresh.plant.doubled, fresh.plant.base)])
    assert lives[0] != lives[1]


def test_a_second_thread_changes_nothing_of_a_large_chip() -> None:
    """66 x 66 cells of degree 16: a colour phase is work enough for two threads."""
    grid, side = {"kind": "grid", "width": 66, "height": 66, "rules": [[1, 0], [2, 1], [2, 3], [4, 1]]}, 66
    program = window("PROGRAM", assemble([Instruction(Opcode.RUN, 6), Instruction(Opcode.STROBE), Instruction(Opcode.HALT)]))
    after = []
    for threads in (1, 2):
        chip = Chip(everything("pbit", grid, 64, slow={"epoch_cycles": 1 << 14}), threads=threads)
        assert side * side // 2 * (chip.capabilities.couplers // side**2 + sweep.CELL_WORK) >= sweep.PARALLEL_FROM
        codes = window("COUPLING", np.random.default_rng(1).integers(-20, 20, chip.capabilities.couplers).astype("<i2"))
        execute(chip, [codes, program, ((Op.WRITE, at("SEQ.CTRL"), 1, 0, 0), None), ((Op.DELAY, 0, 0, 0, 2_000), None)])
        assert chip.state.time[S.SWEEP] == 6
        after.append(S.save(chip.state))
    assert differing(*after) == set()


def test_looking_at_cells_that_are_at_the_rails_changes_nothing() -> None:
    """A linear cell is driven to 2, beyond its rail at 64 ranges of .02; the other hears it at 1/2."""
    values = []
    for looks in (0, 100):
        cell = {"kind": "gaussian", "tau_s": 1e-6, "range": 0.02}
        tables = {"cell": cell, "adc": {"count": 1}, "timing": {"slot": 0, "colour": 20}}
        chip = Chip(config({"kind": "edges", "cells": 2, "pairs": [[0, 1]]}, 1, **tables))
        loads = [window("COUPLING", np.array([0, 32], "<i2")), window("BIAS", np.array([127, 64, 0, 64], "<i2"))]
        loads.append(window("PROGRAM", assemble([Instruction(Opcode.RUN, 40), Instruction(Opcode.HALT)])))
        rows: list[Row] = [(Op.WRITE, at("SEQ.CTRL"), 1, 0, 0), *[(Op.READ, at("SEQ.STATUS"), 0, 0, 0)] * looks]
        execute(chip, [*loads, *((row, None) for row in rows), ((Op.DELAY_UNTIL, 0, 0, 0, 5_000), None)])
        assert chip.state.value[0, 0] == 1.28
        values.append(chip.state.value.copy())
    assert np.array_equal(*values)


# Each effect draws for itself

DRAWS: dict[str, Callable[[Chip], NDArray[Any]]] = {
    "coupling elements": lambda c: c.plant.die.coupling.element,
    "coupling offset": lambda c: c.plant.die.coupling.offset,
    "coupling gain": lambda c: c.plant.die.coupling.gain,
    "bias elements": lambda c: c.plant.die.bias.element,
    "bias offset": lambda c: c.plant.die.bias.offset,
    "bias gain": lambda c: c.plant.die.bias.gain,
    "temperature elements": lambda c: c.plant.die.temperature.element,
    "kappa": lambda c: c.plant.die.kappa,
    "alpha": lambda c: c.plant.die.alpha,
    "delta": lambda c: c.plant.die.delta,
    "dead": lambda c: np.concatenate((c.plant.dead_mask, c.plant.dead_value, c.plant.floating)),
    "stuck coupling": lambda c: np.concatenate(c.parameters.stuck[0]),
    "stuck bias": lambda c: np.concatenate(c.parameters.stuck[1]),
    "adc weights": lambda c: c.converters.bank.weights,
    "adc offset": lambda c: c.converters.bank.offset,
    "adc gain": lambda c: c.converters.bank.gain,
    "sensor offset": lambda c: np.array(c.surroundings.sensor_offset_k),
    "tau": lambda c: c.array.clocks.tau,  # type: ignore[attr-defined]
    "supply": lambda c: np.array([c.surroundings.supply_v(epoch) for epoch in range(9)]),
    "levels": lambda c: np.concatenate(c.parameters.slowly.levels(7)),
    **{f"{name} drift": lambda c, name=name: c.parameters.drifts[name].at(7, 1.0)  # type: ignore[misc]
       for name in ("offset", "slope", "coupling", "temperature")},
}  # fmt: skip
"""What a die drew, and what its run draws."""

CHANGED: dict[str, set[str]] = {
    "coupling.dac.element_sigma": {"coupling elements"}, "coupling.dac.offset_sigma_lsb": {"coupling offset"},
    "coupling.dac.gain_sigma": {"coupling gain"}, "coupling.dac.stuck_bit_probability": {"stuck coupling"},
    "bias.dac.element_sigma": {"bias elements"}, "bias.dac.offset_sigma_lsb": {"bias offset"},
    "bias.dac.gain_sigma": {"bias gain"},
    "bias.dac.stuck_bit_probability": {"stuck bias"}, "temperature.dac.element_sigma": {"temperature elements"},
    "coupling.gain_sigma": {"kappa"}, "coupling.pair_gain_sigma": {"kappa"}, "cell.slope_sigma": {"alpha"},
    "cell.offset_sigma_kt": {"delta"}, "cell.ln_tau_sigma": {"tau"}, "adc.capacitor_sigma": {"adc weights"},
    "adc.offset_sigma_lsb": {"adc offset"}, "adc.gain_sigma": {"adc gain"}, "thermal.sensor_offset_sigma_k": {"sensor offset"},
    "cell.dead.down": {"dead"}, "process.tail_degrees": {"alpha", "delta", "kappa"},
    "process.defect_radius": {"dead", "stuck coupling"}, "cell.offset_drift.ou_sigma": {"offset drift"},
    "cell.slope_drift.walk_per_sqrt_hour": {"slope drift"},
    "coupling.drift.flicker_rms": {"coupling drift"}, "temperature.drift.power_nu_sigma": {"temperature drift"},
    "supply.noise_rms_v": {"supply"}, "storage.refresh_noise_lsb": {"levels"}, "storage.leakage_tau_s": set(),
    "coupling.dac.glitch_lsb": set(), "coupling.dac.gain_tc_per_k": set(), "network.crosstalk": set(), "network.ir_drop": set(),
    "cell.offset_tc_kt_per_k": set(), "cell.synapse_s": set(), "thermal.sensor_noise_k": set(), "adc.noise_lsb": set(),
    "adc.comparator_noise_lsb": set(), "adc.metastability_lsb": set(), "adc.mux_tau_s": set(), "energy.update_aj": set(),
}  # fmt: skip
"""Which draws change when an effect is off; of the others not a bit may."""


def without(path: str) -> dict[str, Any]:
    """The configuration of a chip with one effect off."""
    data: dict[str, Any] = everything("glauber").model_dump(by_alias=True)
    *tables, name = path.split(".")
    table = data
    for part in tables:
        table = table[part]
    table[name] = type(table[name])(0)
    return data


def test_switching_an_effect_off_changes_its_own_draws_and_no_others() -> None:
    whole = Chip(everything("glauber"))
    for path, changed in CHANGED.items():
        chip = Chip(parse(without(path)))
        assert {name for name, draw in DRAWS.items() if draw(chip).tobytes() != draw(whole).tobytes()} == changed, path


def test_the_two_parts_of_a_couplers_gain_are_drawn_apart() -> None:
    """The whole less what is left without one part is that part alone, to rounding."""
    both, own, pair = (
        Chip(parse(data)).plant.die.kappa
        for data in (
            everything("glauber").model_dump(by_alias=True),
            without("coupling.pair_gain_sigma"),
            without("coupling.gain_sigma"),
        )
    )
    assert np.allclose(both - 1, (own - 1) + (pair - 1), rtol=0, atol=1e-15)
    assert abs(own - 1).min() > 0
