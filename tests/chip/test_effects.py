"""Each effect of a chip alone: what it does to the fields, the temperature or the codes, in the direction and size of its value.

Every case is measured at its value, at 0 and at twice its value: the last two must not pass for the first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from chip.test_every_effect import CELLS, SIZES, at, everything, execute, mux, window
from serving import config, records
from tsu_contract.operations import Op
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_contract.registers import WINDOWS
from tsu_emu import state as S
from tsu_emu.chip import Chip
from tsu_emu.config import ConfigError, leaves
from tsu_emu.digital import words as W

Floats = NDArray[np.float64]
HZ, EPOCH = 1_000_000, 1024
DENSE = {"kind": "dense", "cells": 24}
GRID = {"kind": "grid", "width": 30, "height": 30, "rules": [[1, 0]]}
CELLS_OF_GRID, COUPLERS_OF_GRID = 900, 3480
J0, H0 = 1.0, 0.5
"""What the codes 64 and 32 of all couplers and biases stand for, kT."""


def build(topology: dict[str, Any] = DENSE, planes: int = 4, codes: tuple[int, int] = (64, 32), **tables: Any) -> Chip:
    """A chip with a clock of 1 MHz and epochs of 1.024 ms, its codes written."""
    chip = Chip(config(topology, planes, **{"clock": {"hz": HZ}, "slow": {"epoch_cycles": EPOCH}, **tables}))
    sizes = ("COUPLING", chip.capabilities.couplers), ("BIAS", chip.capabilities.cells * chip.capabilities.terms)
    execute(chip, [window(name, np.full(n, code, "<i2")) for (name, n), code in zip(sizes, codes, strict=True)])
    return chip


def sweep_at(chip: Chip, cycle: int, sweeps: int = 1) -> None:
    """Sweeps that begin soon after a cycle: the fields are those of its epoch."""
    program = [Instruction(Opcode.RUN, sweeps), Instruction(Opcode.STROBE), Instruction(Opcode.HALT)]
    rows = [(Op.DELAY_UNTIL, 0, 0, 0, cycle), (Op.WRITE, at("SEQ.PC"), 0, 0, 0), (Op.WRITE, at("SEQ.CTRL"), 1, 0, 0),
            (Op.WAIT, at("SEQ.STATUS"), W.HALTED, 0xFF, 1 << 40)]  # fmt: skip
    execute(chip, [window("PROGRAM", assemble(program)), *((row, None) for row in rows)])


def couplings(chip: Chip) -> Floats:
    """(couplers,) what cells hear, kT."""
    return chip.plant.doubled / 2 / chip.plant.die.scale


def biases(chip: Chip) -> Floats:
    """(cells,), kT."""
    return chip.plant.bias / chip.plant.die.scale


# The general path is the direct one where an effect is negligible

STATIC = {
    "coupling": {"gain_sigma": 0.05, "pair_gain_sigma": 0.03, "dac": {"element_sigma": 0.03, "gain_sigma": 0.02,
    "offset_sigma_lsb": 0.5}},
    "bias": {"dac": {"element_sigma": 0.03, "offset_sigma_lsb": 0.5}},
    "cell": {"kind": "pbit", "slope_sigma": 0.05, "offset_sigma_kt": 0.1, "dead": {"floating": 0.05}},
}  # fmt: skip
NEGLIGIBLE: dict[str, dict[str, Any]] = {
    "ir_drop": {"network": {"ir_drop": 1e-12}},
    "crosstalk": {"network": {"crosstalk": 1e-12}},
    "wire": {"network": {"wire_ohm": 1e-9, "coupler_siemens": 1e-6}},
    "bias settling": {"bias": {"dac": {**STATIC["bias"]["dac"], "settling_s": 1e-6}}},
    "supply": {"supply": {"psrr_db": 119.0, "noise_rms_v": 1e-12}},
    "leakage": {"storage": {"leakage_tau_s": 1e6, "refresh_s": 1e-3}},
    "refresh": {"storage": {"refresh_noise_lsb": 1e-12}},
    "temperature": {"temperature": {"tc_per_k": 1e-12}},
    "offset drift": {"cell": {**STATIC["cell"], "offset_drift": {"ou_sigma": 1e-12}}},
    "slope drift": {"cell": {**STATIC["cell"], "slope_drift": {"ageing": 1e-12}}},
    "coupling drift": {"coupling": {**STATIC["coupling"], "drift": {"walk_per_sqrt_hour": 1e-12}}},
}


def sampled(tables: dict[str, Any]) -> tuple[Chip, bytes]:
    """(a chip with random codes after forty sweeps, its spins)."""
    chip = build(GRID, planes=64, **tables)
    rng, cap = np.random.default_rng(8), chip.capabilities
    execute(
        chip,
        [window(name, rng.integers(-90, 90, n).astype("<i2")) for name, n in (("COUPLING", cap.couplers), ("BIAS", cap.cells))],
    )
    sweep_at(chip, 100, 40)
    return chip, chip.state.scan.tobytes()


@pytest.mark.parametrize("name", NEGLIGIBLE)
def test_a_negligible_effect_leaves_the_fields_of_the_direct_path(name: str) -> None:
    """Fields are rounded to each chip's own grid, 2^-k kT, k smaller where parameters may move: within half a unit of either."""
    direct, _ = sampled(STATIC)
    general, _ = sampled({**STATIC, **NEGLIGIBLE[name]})
    assert (direct.parameters.general, general.parameters.general) == (False, True)
    unit = 0.5 / direct.plant.die.scale + 0.5 / general.plant.die.scale
    for one, other in ((couplings(direct), couplings(general)), (biases(direct), biases(general))):
        assert np.abs(one - other).max() <= 1.01 * unit
        assert np.abs(one).max() > 1
    row, plant = general.plant.topology.row, general.plant
    assert np.array_equal(plant.base, plant.bias - np.add.reduceat(plant.doubled >> 1, row[:-1]))
    lossy, _ = sampled({**STATIC, "network": {"ir_drop": 1e-3}})
    assert np.abs(couplings(direct) - couplings(lossy)).max() > 2 * unit


@pytest.mark.parametrize("name", NEGLIGIBLE)
def test_an_effect_takes_no_noise_from_the_cells(name: str) -> None:
    """On devices without errors the codes lie on either grid exactly, so that not a sample differs while an effect is
    negligible."""
    plain = {key: {k: v for k, v in table.items() if k in ("kind", "drift", "offset_drift", "slope_drift")} for key, table in
             NEGLIGIBLE[name].items() if key in ("cell", "coupling")}  # fmt: skip
    tables = {**NEGLIGIBLE[name], **plain}
    if name == "bias settling":
        tables = {"bias": {"dac": {"settling_s": 1e-6}}}
    assert sampled(tables)[1] == sampled({})[1]
    assert sampled({"network": {"ir_drop": 0.3}})[1] != sampled({})[1]


# One effect at a time


class Case(NamedTuple):
    """tables : of a value's size, 0 off, 1 as expected; measure : of a chip after a sweep at `cycle`; tolerance : see `test`."""

    tables: Callable[[float], dict[str, Any]]
    measure: Callable[[Chip], float]
    expected: float
    tolerance: float = 2e-4
    topology: dict[str, Any] = DENSE
    cycle: int = 5_000


def spread(expected: float, n: int) -> float:
    """Five standard errors of a standard deviation of n normal values."""
    return 5 * expected / np.sqrt(2 * n)


def offset(drift: dict[str, float]) -> dict[str, Any]:
    return {"cell": {"kind": "pbit", "offset_drift": drift}}


def mean_j(chip: Chip) -> float:
    return float(couplings(chip).mean())


def mean_h(chip: Chip) -> float:
    return float(biases(chip).mean())


def rms_h(chip: Chip) -> float:
    return float(biases(chip).std())


def settling(chip: Chip) -> float:
    """Time constant by what is left of the step from 0 to the codes, cycles."""
    left = float(1 - couplings(chip).mean() / J0)
    return float(chip.state.time[S.EVALUATED_AT] - chip.state.coupling_written[0]) / -float(np.log(left)) if left > 0 else 0.0


def warm(kelvin: float) -> dict[str, Any]:
    return {"thermal": {"ambient_k": 300.0 + kelvin}}


HOUR = 3_600 * HZ
LN_HOUR = float(np.log1p(1.0))
"""After an hour, with a t0 of an hour; epochs are a thousandth of a millionth of it."""
CASES: dict[str, Case] = {
    "offset_drift.ou_sigma": Case(
        lambda x: offset({"ou_sigma": 0.2 * x, "ou_tau_s": 10.0}), rms_h, 0.2, spread(0.2, 900), GRID, 40 * HZ),
    "offset_drift.walk_per_sqrt_hour": Case(
        lambda x: offset({"walk_per_sqrt_hour": 0.2 * x}), rms_h, 0.2, spread(0.2, 900), GRID, HOUR),
    "offset_drift.flicker_rms": Case(lambda x: offset({"flicker_rms": 0.2 * x}), rms_h, 0.2, spread(0.2, 900), GRID, 40 * HZ),
    "offset_drift.ageing": Case(lambda x: offset({"ageing": 0.3 * x}), mean_h, H0 + 0.3 * LN_HOUR, cycle=HOUR),
    "offset_drift.power_nu": Case(
        lambda x: offset({"power_nu": 0.2 * x, "power_t0_s": 3600.0}), mean_h, H0 + 2**-0.2 - 1, cycle=HOUR),
    "offset_drift.power_nu_sigma": Case(
        lambda x: offset({"power_nu_sigma": 0.1 * x, "power_t0_s": 3600.0}), lambda c: float(np.log1p(biases(c) - H0).std()),
        0.1 * LN_HOUR, spread(0.1 * LN_HOUR, 900), GRID, HOUR),
    "slope_drift.ageing couplings": Case(
        lambda x: {"cell": {"kind": "pbit", "slope_drift": {"ageing": 0.1 * x}}}, mean_j, J0 * (1 + 0.1 * LN_HOUR), cycle=HOUR),
    "slope_drift.ageing biases": Case(
        lambda x: {"cell": {"kind": "pbit", "slope_drift": {"ageing": 0.1 * x}}}, mean_h, H0 * (1 + 0.1 * LN_HOUR), cycle=HOUR),
    "coupling.drift.ageing": Case(lambda x: {"coupling": {"drift": {"ageing": -0.1 * x}}}, mean_j, J0 * (1 - 0.1 * LN_HOUR),
        cycle=HOUR),
    "coupling.drift.ou_sigma": Case(
        lambda x: {"coupling": {"drift": {"ou_sigma": 0.05 * x}}}, lambda c: float(couplings(c).std()), 0.05, spread(0.05,
        3480), GRID),
    "temperature.drift.ageing": Case(
        lambda x: {"temperature": {"drift": {"ageing": 0.1 * x}}}, lambda c: float(c.plant.temperature[0]), 1 + 0.1 * LN_HOUR,
        cycle=HOUR),
    "offset_tc_kt_per_k": Case(lambda x: {"cell": {"kind": "pbit", "offset_tc_kt_per_k": 0.01 * x}, **warm(20)}, mean_h,
        H0 + 0.2),
    "coupling.dac.gain_tc_per_k": Case(lambda x: {"coupling": {"dac": {"gain_tc_per_k": -1e-3 * x}}, **warm(20)}, mean_j,
        J0 * 0.98),
    "bias.dac.gain_tc_per_k": Case(lambda x: {"bias": {"dac": {"gain_tc_per_k": 1e-3 * x}}, **warm(20)}, mean_h, H0 * 1.02),
    "temperature.dac.gain_tc_per_k": Case(
        lambda x: {"temperature": {"dac": {"full_scale": 4.0, "gain_tc_per_k": 1e-3 * x}}, **warm(20)},
        lambda c: float(c.plant.temperature[0]), 1.02),
    "temperature.tc_per_k": Case(
        lambda x: {"temperature": {"tc_per_k": 1e-3 * x}, **warm(-20)}, lambda c: float(c.plant.temperature[1]), -0.02),
    "thermal.r_th_k_per_w": Case(
        lambda x: {"cell": {"kind": "pbit", "offset_tc_kt_per_k": 0.01}, "energy": {"standby_w": 0.5},
                   "thermal": {"r_th_k_per_w": (20.0 * x, 20.0 * x), "tau_s": (0.01, 0.05)}}, mean_h, H0 + 0.2, cycle=HZ),
    "thermal.ageing_activation_ev": Case(
        lambda x: {**offset({"ageing": 0.1}), "thermal": {"ambient_k": 310.0, "ageing_activation_ev": 0.5 * x}}, mean_h,
        H0 + 0.1 * float(np.log1p(np.exp(0.5 / 8.617333262e-5 * (1 / 300 - 1 / 310)))), cycle=HOUR),
    "energy.update_aj": Case(
        lambda x: {"energy": {"update_aj": int(10**6 * x)}},
        lambda c: float(c._bus_side[1]["energy"][0, 0] * c.state.core["counts"][0, 0]),
        10**6 * 4 * 24, 0.5),
    "supply.r_pdn_ohm": Case(
        lambda x: {"supply": {"psrr_db": 20.0, "r_pdn_ohm": 0.1 * x}, "energy": {"standby_w": 0.8}}, mean_j,
        J0 * (1 - 0.1 * 0.1 / 0.8)),
    "supply.psrr_db": Case(
        lambda x: {"supply": {"psrr_db": 20.0 - 6.0206 * (x - 1) if x else 120.0, "r_pdn_ohm": 0.1},
        "energy": {"standby_w": 0.8}},
        mean_j, J0 * (1 - 0.1 * 0.1 / 0.8)),
    "supply.tones": Case(
        lambda x: {"supply": {"psrr_db": 20.0, "tones": [{"hz": 1e6 / 16384, "amplitude_v": 0.08 * x}]}}, mean_h, H0 * 1.01),
    "storage.leakage_tau_s": Case(
        lambda x: {"storage": {"leakage_tau_s": 0.5 / x if x else 0.0, "refresh_s": 100.0}}, mean_j,
        float(np.exp(-97 * 1.024e-3 / 0.5)),
        cycle=97 * EPOCH),
    "storage.refresh_noise_lsb": Case(
        lambda x: {"storage": {"refresh_noise_lsb": 0.5 * x}}, lambda c: float(64 * couplings(c).std()), 0.5, spread(0.5, 3480),
        GRID),
    "network.crosstalk biases": Case(lambda x: {"network": {"crosstalk": 0.01 * x}}, mean_h, H0 + 0.01 * 23 * J0 * H0),
    "network.crosstalk couplings": Case(lambda x: {"network": {"crosstalk": 0.01 * x}}, mean_j, J0 + 0.01 * 22 * J0**2),
    "network.ir_drop": Case(lambda x: {"network": {"ir_drop": 0.1 * x}}, mean_j, J0 * (1 - 0.1 / 2)),
    "network.wire_ohm": Case(
        lambda x: {"network": {"wire_ohm": 0.2 * x, "coupler_siemens": 1e-4} if x else {}}, mean_j,
        J0 * (1 - 0.2 * 0.5e-4 * 23 * 24 * 47 / 6 / 23), 4e-5),
    "network.coupler_siemens": Case(
        lambda x: {"network": {"wire_ohm": 0.2, "coupler_siemens": 1e-4 * x} if x else {}}, mean_j,
        J0 * (1 - 0.2 * 0.5e-4 * 23 * 24 * 47 / 6 / 23), 4e-5),
    "coupling.dac.settling_s": Case(
        lambda x: {"coupling": {"dac": {"settling_s": 5e-4 * x}}}, settling, 500.0, 1.0, cycle=1_000),
    "coupling.gain_sigma": Case(
        lambda x: {"coupling": {"gain_sigma": 0.05 * x}}, lambda c: float(couplings(c).std()), 0.05, spread(0.05, 3480), GRID),
    "coupling.pair_gain_sigma": Case(
        lambda x: {"coupling": {"pair_gain_sigma": 0.05 * x}}, lambda c: float(couplings(c).std()), 0.05, spread(0.05, 1740),
        GRID),
    "cell.ln_tau_sigma": Case(
        lambda x: {"cell": {"kind": "async-pbit", "ln_tau_sigma": 0.3 * x}, "timing": {"slot": 0, "colour": 1}},
        lambda c: float(np.log(c.array.clocks.tau).std()), 0.3, spread(0.3, 900), GRID),  # type: ignore[attr-defined]
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_an_effect_has_its_direction_and_size(name: str) -> None:
    """A spread to five standard errors; anything else to the grid and what an epoch more or less makes of it, 2e-4.

    Wires: first order in r g, loss r g sum_(k <= n) sum_(m <= k) (n - m + 1) = r g n (n + 1) (2 n + 1) / 6 over n couplers; the
    next
    order is a tenth of the tolerance or less.
    """
    case, seen = CASES[name], []
    for size in (0.0, 1.0, 2.0):
        chip = build(case.topology, **case.tables(size))
        sweep_at(chip, case.cycle)
        seen.append(case.measure(chip))
    off, usual, twice = (abs(value - case.expected) for value in seen)
    assert usual <= case.tolerance, seen
    assert off > case.tolerance, seen
    assert twice > case.tolerance, seen


def captured(source: str, n: int = 64, adc: int = 0, **table: Any) -> Floats:
    """Codes of n samples of a source after four of REF_LOW."""
    chip = build(planes=1, adc={"count": 20, "bits": 10, **table})
    low, high = (mux(s, adc) for s in ("REF_LOW", source))
    codes = b""
    for select, count in ((low, 4), (high, n)):
        program = window("PROGRAM", assemble([Instruction(Opcode.ADC_CAPTURE, count), Instruction(Opcode.HALT)]))
        rows = [(Op.WRITE, at("ADC.MUX"), select, 0, 0), (Op.WRITE, at("SEQ.PC"), 0, 0, 0), (Op.WRITE, at("SEQ.CTRL"), 1, 0, 0),
                (Op.DELAY, 0, 0, 0, 20 * count), (Op.BLKRD, WINDOWS["ADC_DATA"].address, 0, 0, (n + 1) // 2)]  # fmt: skip
        codes = execute(chip, [program, *((row, None) for row in rows)])[0]
    return np.frombuffer(codes, "<u2")[:n].astype(np.float64)


def test_converters_have_offset_gain_noise_and_memory_of_their_size() -> None:
    """REF_HIGH is 7/8 of the range, 960 of 1024 LSB. Twenty converters: spreads to 5 standard errors; half and double fail."""
    assert np.all(captured("REF_HIGH") == 960)
    assert np.all(captured("REF_LOW") == 64)
    for size in (0.5, 1.0, 2.0):
        offsets = [captured("REF_LOW", 1, k, offset_sigma_lsb=10.0 * size)[0] - 64 for k in range(20)]
        gains = [captured("REF_HIGH", 1, k, gain_sigma=0.01 * size)[0] / 960 - 1 for k in range(20)]
        noise = captured("REF_HIGH", 2_000, noise_lsb=2.0 * size).std()
        first = captured("REF_HIGH", 4, mux_tau_s=4e-6 / np.log(64) * size)
        fits = (
            0.4 < np.std(offsets) / 10 < 1.9,
            0.4 < np.std(gains) / 0.01 < 1.9,
            abs(noise / np.hypot(2.0, 1 / np.sqrt(12)) - 1) < 5 / np.sqrt(4_000),
            abs(960 - first[0] - (960 - 64) / 64) <= 1,
        )
        assert fits[2:] == ((True, True) if size == 1.0 else (False, False))
        assert size != 1.0 or fits[:2] == (True, True)


ELSEWHERE = {
    "element_sigma": "analog/test_dac.py", "gain_sigma": "analog/test_dac.py", "offset_sigma_lsb": "analog/test_dac.py",
    "slope_sigma": "analog/test_dac.py", "offset_sigma_kt": "analog/test_dac.py",
    "stuck_bit_probability": "analog/test_defects.py",
    "down": "analog/test_defects.py", "up": "analog/test_defects.py", "floating": "analog/test_defects.py",
    "glitch_lsb": "analog/test_slow.py", "refresh_s": "analog/test_slow.py", "sensor_offset_sigma_k": "analog/test_thermal.py",
    "sensor_noise_k": "analog/test_thermal.py", "sensor_lag_s": "analog/test_thermal.py", "tau_sweeps": "analog/test_sources.py",
    "width": "analog/test_sources.py", "shared": "analog/test_sources.py", "capacitor_sigma": "analog/test_adc.py",
    "comparator_noise_lsb": "analog/test_adc.py", "metastability_lsb": "analog/test_adc.py", "die": "analog/test_process.py",
    "gradient": "analog/test_process.py", "field": "analog/test_process.py", "white": "analog/test_process.py",
    "length": "analog/test_process.py", "kinetics": "physics/test_asynchronous.py", "synapse_s": "physics/test_asynchronous.py",
    **dict.fromkeys(("lot", "wafer", "radial", "dies_per_wafer", "wafers_per_lot"), "analog/test_wafer.py"),
    "tail_degrees": "analog/test_tails.py", "defect_alpha": "analog/test_clusters.py", "defect_radius": "analog/test_clusters.py",
    "quality": "physics/test_gaussian.py", "mode_tau_s": "physics/test_mixture.py",
    "generator": "physics/test_distribution.py", "clock": "analog/test_glauber.py",
    **dict.fromkeys(
        ("offset_kt", "slope", "coupler_gain", "coupler_offset_kt", "temperature"), "chip/test_measured_die.py"
    ),
}  # fmt: skip
"""Effects whose tests are in other files."""
HERE = {
    "flicker_low_hz", "ou_tau_s", "ageing_t0_s", "power_t0_s", "tau_s", "ambient_k", "standby_w", "read_aj", "write_aj",
    "conversion_aj", "learn_aj", "noise_rms_v", "noise_tau_s", "noise_lsb", "mux_tau_s", "stiffness_sigma", "hz", "epoch_cycles",
}  # fmt: skip
"""Values that the cases above and the tests below take into account beside those that the cases are named after."""


def test_every_effect_of_the_schema_is_tested() -> None:
    values = {
        path.split(".")[-1]
        for kind in CELLS
        for path in leaves(everything(kind))
        if path.split(".")[0] not in ("timing", "fabric", "seeds", "cpu", "policy", "map")
    }
    named = {name.split(" ")[0].split(".")[-1] for name in CASES} | HERE | set(ELSEWHERE)
    assert values - named - (SIZES - {"die"}) == set()


def test_supply_noise_has_its_size_and_correlation_time() -> None:
    """Of n = 20,000 epochs, correlated over tau = 20, about n / tau are independent: 5 standard errors of rms and correlation."""
    for size, tau, right in ((1.0, 20.0, True), (2.0, 20.0, False), (1.0, 80.0, False)):
        chip = build(supply={"psrr_db": 20.0, "noise_rms_v": 0.02 * size, "noise_tau_s": tau * 1.024e-3})
        gain = np.array([chip.surroundings.supply_gain(epoch) for epoch in range(20_000)]) - 1
        rms, lag = gain.std() / (0.1 * 0.02 / 0.8), float(np.corrcoef(gain[:-20], gain[20:])[0, 1])
        error = 5 / np.sqrt(20_000 / 20)
        assert (abs(rms - 1) < error and abs(lag - np.exp(-1.0)) < error) == right


@pytest.mark.parametrize(("kind", "term"), [("gaussian", 1), ("langevin", 1), ("mixture", None)])
def test_stiffness_spreads(kind: str, term: int | None) -> None:
    """Of 400 cells to 5 standard errors of their spread, and twice fails; a cell's stiffness multiplies its own term."""
    graph = {"kind": "edges", "cells": 400, "pairs": []}
    for size in (1.0, 2.0):
        modes = {"modes": 2} if kind == "mixture" else {}
        chip = Chip(
            config(
                graph,
                2,
                cell={"kind": kind, "stiffness_sigma": 0.1 * size, **modes},
                adc={"count": 1},
                timing={"slot": 0, "colour": 1},
            )
        )
        stiffness: Any = chip.array.stiffness  # type: ignore[attr-defined]
        spreads = [np.std(s) for s in (stiffness if isinstance(stiffness, list) else [stiffness])]
        assert all((abs(s / 0.1 - 1) < 5 / np.sqrt(800)) == (size == 1.0) for s in spreads)
        if isinstance(stiffness, list):
            assert abs(np.corrcoef(*stiffness)[0, 1]) < 5 / np.sqrt(400)


def test_the_ledger_counts_what_each_operation_takes() -> None:
    """Joules of each kind of operation by their registers, fJ, of a known program; LEARN writes every code anew, since the
    accumulators are 0."""
    for factor in (1, 2):
        names = ("update", "read", "write", "conversion", "learn")
        energy = {f"{name}_aj": factor * n * 10**6 for n, name in enumerate(names, 1)}
        chip = build(adc={"count": 1}, learning={"bits": 12}, energy={**energy, "standby_w": 1e-6})
        program = [
            Instruction(Opcode.RUN, 5),
            Instruction(Opcode.STROBE),
            Instruction(Opcode.ADC_CAPTURE, 7),
            Instruction(Opcode.LEARN),
            Instruction(Opcode.HALT),
        ]
        parts = ("UPDATE", "READ", "WRITE", "ADC", "LEARN")
        rows = [(Op.WRITE, at("SEQ.CTRL"), 1, 0, 0), (Op.DELAY, 0, 0, 0, 5_000)]
        execute(chip, [window("PROGRAM", assemble(program)), *((row, None) for row in rows)])
        counts = chip.state.core["counts"][0]
        assert counts.tolist() == [5 * 4 * 24, 4 * 24, 2 * (24 * 23 + 24), 7, 12 * 23 + 24]
        seen = chip.execute(records([(Op.READ, at(f"MON.ENERGY_{part}"), 0, 0, 0) for part in parts])).values
        assert seen.tolist() == [factor * n * 1000 * int(c) for n, c in enumerate(counts, 1)]


def test_the_cells_of_a_network_that_runs_away_sit_at_the_rails() -> None:
    """J = 2 kT against a stiffness of 1/6, over more time constants than float64 has powers; rails are at 64 ranges of 8."""
    tables = {"cell": {"kind": "gaussian", "tau_s": 1e-9}, "adc": {"count": 1}, "timing": {"slot": 0, "colour": 200}}
    chip = build({"kind": "edges", "cells": 2, "pairs": [[0, 1]]}, 2, **tables)
    execute(chip, [window("COUPLING", np.full(2, 127, "<i2")), window("BIAS", np.full(4, 10, "<i2"))])
    sweep_at(chip, 5_000, 10)
    assert chip.state.registers[W.ERROR] == W.ERROR_UNSTABLE
    assert np.all(np.abs(chip.state.value) == 512)


@pytest.mark.parametrize("tables", [
    {"cell": {"kind": "pbit", "offset_drift": {"flicker_rms": 0.01}}}, {"supply": {"noise_rms_v": 0.01, "psrr_db": 40.0}},
])  # fmt: skip
def test_an_epoch_too_long_for_a_configured_time_is_refused_by_name(tables: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Chip(config(DENSE, 4, slow={"epoch_cycles": 1 << 30}, **tables))
