"""Each fault has its effect, and none when cleared; the truth that the oracle tells is the truth of the pins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.harness import ADC_BITS, CHAIN, Bench, at, chain, delay, level, read, write
from serving import config
from tsu_contract.bench import FAULTS, fault_of
from tsu_contract.errors import Code
from tsu_contract.operations import Op
from tsu_contract.program import Instruction, Opcode
from tsu_contract.registers import WINDOWS, register
from tsu_emu import state as S
from tsu_emu.chip import Chip
from tsu_emu.state import digest, save

TYPICAL: dict[str, Any] = {
    "coupling": {"gain_sigma": 0.05, "dac": {"element_sigma": 0.02, "offset_sigma_lsb": 0.5}},
    "bias": {"dac": {"element_sigma": 0.02, "gain_sigma": 0.02}},
    "cell": {"kind": "pbit", "slope_sigma": 0.05, "offset_sigma_kt": 0.2},
}
MOVING: dict[str, Any] = {
    **TYPICAL,
    "cell": {"kind": "pbit", "slope_sigma": 0.05, "offset_drift": {"walk_per_sqrt_hour": 0.05}},
    "network": {"crosstalk": 0.015},
    "thermal": {"sensor_offset_sigma_k": 2.0, "r_th_k_per_w": [20, 20]},
    "energy": {"update_aj": 10**9},
}
ANALOG: dict[str, Any] = {"timing": {"slot": 0, "colour": 10}}
PBIT_KINDS = {"still": {}, "typical": TYPICAL, "moving": MOVING}
KINDS: dict[str, dict[str, Any]] = {
    **PBIT_KINDS,
    "coloured": {"cell": {"kind": "pbit", "noise": {"kind": "coloured", "tau_sweeps": 3}}},
    "async": {"cell": {"kind": "async-pbit", "ln_tau_sigma": 0.5}, **ANALOG},
    "pdit": {"cell": {"kind": "pdit", "states": 3, "offset_sigma_kt": 0.1}},
    "gaussian": {"cell": {"kind": "gaussian", "stiffness_sigma": 0.1}, **ANALOG},
    "langevin": {"cell": {"kind": "langevin", "stiffness_sigma": 0.1}, **ANALOG},
    "mixture": {"cell": {"kind": "mixture", "modes": 3, "stiffness_sigma": 0.1}, **ANALOG},
}
FAULT_EXAMPLES: dict[str, dict[str, Any]] = {
    "stuck-cell": {"cell": 2, "at": "up"},
    "stuck-coupling-bit": {"coupler": 3, "bit": 6, "at": 1},
    "stuck-bias-bit": {"term": 1, "bit": 5, "at": 0},
    "dead-adc": {"converter": 1},
    "bus-error": {"address": at("SYS.SCRATCH"), "accesses": 3},
    "dropped-interrupt": {"events": 3, "count": 2},
}


def of_kind(name: str) -> Bench:
    topology = {"topology": {**CHAIN, "pairs": []}, "planes": 8} if name == "mixture" else {"topology": CHAIN, "planes": 8}
    return Bench(config(**topology, adc={"count": 2, "bits": ADC_BITS}, **KINDS[name]))


# Cells


@pytest.mark.parametrize("kind", PBIT_KINDS)
@pytest.mark.parametrize(("where", "spin"), [("down", -1), ("up", 1)])
def test_a_stuck_cell_stays_where_it_is_and_is_freed_when_cleared(kind: str, where: str, spin: int) -> None:
    """Against a bias of 2 kT the other way; a free cell is there with probability .98, and with .8 even on the worst die."""
    bench = of_kind(kind)
    bench.store("BIAS", [0, 0, -127 * spin, 0])
    bench.oracle("inject", kind="stuck-cell", cell=2, at=where)
    for _ in range(20):
        bench.sweeps(1)
        assert set(bench.spins()[:, 2].tolist()) == {spin}
    bench.oracle("clear")
    bench.sweeps(1)
    assert bench.spins()[:, 2].mean() * spin < 0


def test_a_stuck_cell_wins_over_a_clamp() -> None:
    bench = Bench(chain())
    bench.store("CLAMP_MASK", [0xF] * 8)
    bench.store("CLAMP_VALUE", [0xF] * 8)
    bench.oracle("inject", kind="stuck-cell", cell=1, at="down")
    bench.sweeps(1)
    assert bench.spins()[0].tolist() == [1, -1, 1, 1]


@pytest.mark.parametrize("kind", PBIT_KINDS)
def test_a_floating_cell_hears_nothing(kind: str) -> None:
    """Mean of 800 independent spins within 5 standard errors, .18, of 0; before and after the fault it is beyond .8."""
    bench = of_kind(kind)
    bench.store("BIAS", [0, 127, 0, 0])

    def mean() -> float:
        total = 0.0
        for _ in range(100):
            bench.sweeps(1)
            total += bench.spins()[:, 1].mean() / 100
        return total

    assert mean() > 0.8
    bench.oracle("inject", kind="stuck-cell", cell=1, at="floating")
    assert bench.truth("grid_h")[1] == 0
    assert abs(mean()) < 5 / np.sqrt(800)
    bench.oracle("clear", fault=0)
    assert mean() > 0.8


# Converters


@pytest.mark.parametrize("kind", PBIT_KINDS)
@pytest.mark.parametrize(
    ("fault", "window", "source", "grid"),
    [("stuck-coupling-bit", "COUPLING", "COUPLING_DAC", "grid_J"), ("stuck-bias-bit", "BIAS", "BIAS_DAC", "grid_h")],
)
def test_a_stuck_bit_moves_one_converter_at_once(kind: str, fault: str, window: str, source: str, grid: str) -> None:
    """Bit 6 of 64 stuck at 0 leaves code 0: 1 kT less, .4 of the converter's range, within 5 % for a real die."""
    bench, element = of_kind(kind), {"stuck-coupling-bit": {"coupler": 3}, "stuck-bias-bit": {"term": 3}}[fault]
    count = {"COUPLING": 6, "BIAS": 4}[window]
    bench.store(window, [64] * count)
    bench.sweeps(1)
    fields, shown = bench.truth(grid), [level(bench.capture(source, 1, e)[0]) for e in (2, 3)]
    bench.oracle("inject", kind=fault, **element, bit=6, at=0)
    moved = bench.truth(grid) - fields
    assert abs(moved[3] + 1) < 0.1
    assert np.abs(np.delete(moved, 3)).max() < 0.02
    stuck = [level(bench.capture(source, 1, e)[0]) for e in (2, 3)]
    assert stuck[0] == shown[0]
    assert abs(stuck[1] - shown[1] + 0.4) < 0.02
    bench.oracle("clear")
    assert bench.truth(grid).tolist() == fields.tolist()
    assert [level(bench.capture(source, 1, e)[0]) for e in (2, 3)] == shown


def test_a_bit_stuck_where_it_is_changes_nothing() -> None:
    bench = Bench(chain())
    bench.store("COUPLING", [64] * 6)
    before = bench.truth("grid_J").tolist()
    bench.oracle("inject", kind="stuck-coupling-bit", coupler=0, bit=6, at=1)
    assert bench.truth("grid_J").tolist() == before
    bench.store("COUPLING", [0] * 6)
    assert bench.truth("grid_J").tolist() == [1.0, 0, 0, 0, 0, 0]


def test_a_dead_converter_reads_0_and_the_other_does_not() -> None:
    bench = Bench(chain())
    high = bench.capture("REF_HIGH", converter=1)
    bench.oracle("inject", kind="dead-adc", converter=1)
    assert bench.capture("REF_HIGH", converter=1).tolist() == [0] * 16
    assert bench.capture("REF_HIGH", converter=0).tolist() == high.tolist()
    bench.oracle("clear")
    assert bench.capture("REF_HIGH", converter=1).tolist() == high.tolist()
    assert high.min() > 3000


# The digital side


@pytest.mark.parametrize("name", ["TEMP.TDAC", "BIAS"])
def test_a_bus_error_ends_the_list_there_and_then(name: str) -> None:
    bench = Bench(chain())
    bench.oracle("inject", kind="bus-error", address=at(name), accesses=2)
    rows = [write("SYS.SCRATCH", 5), read("SYS.ID"), write(name, 100), write("SYS.SCRATCH", 6)]
    for left in ([1], []):
        reply = bench.pins.operate(rows)
        assert reply.failure is not None
        assert (reply.failure.code, reply.failure.index, reply.failure.address) == (Code.BUS_ERROR, 2, at(name))
        assert (reply.executed, len(reply.values), bench.value("SYS.SCRATCH")) == (2, 2, 5)
        faults = [fault_of(row) for row in bench.oracle("list").arrays["faults"]]
        assert [f["accesses"] for f in faults] == left
    assert bench.operate(*rows).executed == 4
    assert bench.value("SYS.SCRATCH") == 6


def test_interrupts_are_dropped_by_event_and_number() -> None:
    """Three SEQ_IRQ and a SEQ_DONE, of which two SEQ_IRQ are lost."""
    bench = Bench(chain())
    bench.operate(write("IRQ.ENABLE", 0x1F))
    bits = {name: f.mask for name, f in register("IRQ.PENDING").fields.items()}
    bench.oracle("inject", kind="dropped-interrupt", events=bits["SEQ_IRQ"], count=2)
    asked = Instruction(Opcode.IRQ)
    bench.start(asked, asked, asked)
    seen = bench.operate(delay(1000)).interrupts
    assert [i.pending for i in seen] == [bits["SEQ_IRQ"], bits["SEQ_IRQ"] | bits["SEQ_DONE"]]
    bench.start(asked, asked, asked)
    assert len(bench.operate(delay(1000)).interrupts) == 4


def test_an_upset_turns_bits_of_a_register_over() -> None:
    bench = Bench(chain())
    bench.operate(write("TEMP.TDAC", 0x40), write("SYS.SCRATCH", 0xF0F0F0F0))
    assert bench.oracle("upset", address=at("TEMP.TDAC"), bits=0x11).body == {"value": 0x51}
    assert bench.oracle("upset", address=at("SYS.SCRATCH"), bits=0xFFFFFFFF).body == {"value": 0x0F0F0F0F}
    assert bench.operate(read("TEMP.TDAC"), read("SYS.SCRATCH")).values.tolist() == [0x51, 0x0F0F0F0F]
    bench.oracle("upset", address=at("FABRIC.PLANE_ENABLE"), bits=0x01)
    bench.run(Instruction(Opcode.STROBE))
    before = bench.spins()
    bench.sweeps(20)
    moved = (bench.spins() != before).any(axis=1)
    assert not moved[0]
    assert moved[1:].sum() >= 5
    bench.oracle("upset", address=at("IRQ.PENDING"), bits=0x10)
    assert bench.value("IRQ.PENDING") & 0x10


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("CAP.CELLS", 1), ("SYS.ID", 1), ("SYS.MAP_HASH", 1), ("SYS.CYCLE", 1), ("TEMP.SENSOR", 1), ("SYS.CTRL", 1),
        ("SEQ.CTRL", 1), ("IRQ.TEST", 1), ("FABRIC.PLANE_ENABLE", 0x100), ("CORR.PERIOD", 1), ("FABRIC.SCAN", 3),
        ("TEMP.TDAC", 0x100), ("ADC.MUX", 0x8),
    ],
)  # fmt: skip
def test_bits_that_no_flip_flop_holds_and_undefined_values_are_refused(name: str, bits: int) -> None:
    failure = Bench(chain()).refused("oracle", "upset", address=at(name), bits=bits)
    assert (failure.field, failure.address) == ("bits", at(name))
    assert name in failure.message


def test_every_upset_that_is_allowed_leaves_a_chip_that_runs() -> None:
    """Each bit of each register word, one after the other, in the midst of a program."""
    bench, turned = Bench(chain()), 0
    oracle = bench._doors["oracle"]
    for r in (
        register(n) for n in ("SEQ.STATUS", "SEQ.PC", "SEQ.SWEEPS_LEFT", "CORR.CTRL", "ADC.MODE", "SYS.BOOT", "ADC.PERIOD")
    ):
        for bit in range(32):
            bench.operate(write("SYS.CTRL", 1))
            bench.start(Instruction(Opcode.LOOP, 3), Instruction(Opcode.RUN, 4), Instruction(Opcode.ADC_CAPTURE, 3))
            bench.operate(delay(bit))
            turned += bench._ask(oracle, "upset", {"address": r.at(), "bits": 1 << bit}).failure is None
            bench.operate(delay(200), write("SEQ.CTRL", 2), delay(200))
    assert turned > 90


# Faults come and go


@pytest.mark.parametrize("config_name", ["typical", "moving"])
@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_that_was_cleared_was_never_there(kind: str, config_name: str) -> None:
    """Same digest at once, same life afterwards; power: without clearing, another digest."""
    clean, cured, ill = (of_kind(config_name) for _ in range(3))
    for bench in (clean, cured, ill):
        bench.store("COUPLING", [60, -20, 33, 90, 4, -77])
        bench.sweeps(5)
    for bench in (cured, ill):
        bench.oracle("inject", kind=kind, **FAULT_EXAMPLES[kind])
    assert cured.digest != clean.digest
    cured.oracle("clear", fault=0)
    assert cured.digest == clean.digest
    for bench in (clean, cured, ill):
        bench.run(Instruction(Opcode.RUN, 40), Instruction(Opcode.STROBE), Instruction(Opcode.IRQ))
        bench.capture("REF_HIGH", converter=1)
    assert cured.digest == clean.digest
    assert ill.digest != clean.digest


@pytest.mark.parametrize("kind", ["stuck-cell", "stuck-coupling-bit", "dead-adc"])
def test_a_saved_chip_remembers_its_faults(kind: str) -> None:
    bench = of_kind("typical")
    bench.oracle("inject", kind=kind, **FAULT_EXAMPLES[kind])
    fresh = Bench(bench.chip.config)
    fresh.chip.restore(save(bench.chip.state))
    for one in (bench, fresh):
        one.sweeps(30)
        one.capture("REF_HIGH", converter=1)
    assert fresh.digest == bench.digest
    assert fresh.oracle("list").arrays["faults"].tolist() == bench.oracle("list").arrays["faults"].tolist() != []


def test_faults_are_listed_as_they_were_injected() -> None:
    bench = Bench(chain())
    numbers = [bench.oracle("inject", kind=kind, **values).body["fault"] for kind, values in FAULT_EXAMPLES.items()]
    listed = [fault_of(row) for row in bench.oracle("list").arrays["faults"]]
    expected = [{"fault": n, "kind": kind, **values} for n, (kind, values) in zip(numbers, FAULT_EXAMPLES.items(), strict=True)]
    assert listed == expected
    constants = (S.STUCK_CELL, S.STUCK_COUPLING_BIT, S.STUCK_BIAS_BIT, S.DEAD_ADC, S.BUS_ERROR, S.DROPPED_IRQ)
    assert constants == tuple(range(1, len(FAULTS) + 1))


def test_a_full_table_refuses_and_a_cleared_row_is_used_again() -> None:
    bench = Bench(chain())
    for _ in range(S.FAULTS):
        bench.oracle("inject", kind="dead-adc", converter=0)
    assert "64 faults" in bench.refused("oracle", "inject", kind="dead-adc", converter=1).message
    bench.oracle("clear", fault=17)
    assert bench.refused("oracle", "clear", fault=17).field == "fault"
    assert bench.oracle("inject", kind="dead-adc", converter=1).body == {"fault": 17}


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({"kind": "gremlin"}, "kind"),
        ({}, "kind"),
        ({"kind": "stuck-cell", "cell": 4, "at": "up"}, "cell"),
        ({"kind": "stuck-cell", "cell": 1, "at": "left"}, "at"),
        ({"kind": "stuck-cell", "cell": 1, "at": "up", "bit": 1}, "bit"),
        ({"kind": "stuck-cell", "cell": 1.0, "at": "up"}, "cell"),
        ({"kind": "stuck-coupling-bit", "coupler": 6, "bit": 0, "at": 0}, "coupler"),
        ({"kind": "stuck-coupling-bit", "coupler": 0, "bit": 8, "at": 0}, "bit"),
        ({"kind": "stuck-bias-bit", "term": 0, "bit": 0, "at": 2}, "at"),
        ({"kind": "stuck-bias-bit", "term": -1, "bit": 0, "at": 1}, "term"),
        ({"kind": "dead-adc", "converter": 2}, "converter"),
        ({"kind": "bus-error", "address": 0x1E, "accesses": 1}, "address"),
        ({"kind": "bus-error", "address": 0x20, "accesses": 1}, "address"),
        ({"kind": "bus-error", "address": WINDOWS["BIAS"].address + 8, "accesses": 1}, "address"),
        ({"kind": "bus-error", "address": 0x1C, "accesses": 0}, "accesses"),
        ({"kind": "dropped-interrupt", "events": 0x20, "count": 1}, "events"),
        ({"kind": "dropped-interrupt", "events": 1, "count": 0}, "count"),
    ],
)
def test_bad_faults_are_named_and_change_nothing(body: dict[str, Any], key: str) -> None:
    assert Bench(chain()).refused("oracle", "inject", **body).field == key


# Truth


def test_the_truth_of_an_ideal_chip_is_its_codes() -> None:
    bench = Bench(chain())
    couplings, biases, lsb = [60, -20, 33, 90, 4, -77], [1, -2, 3, -4], 2 / 128
    bench.store("COUPLING", couplings)
    bench.store("BIAS", biases)
    for name, codes in (("J", couplings), ("grid_J", couplings), ("h", biases), ("grid_h", biases)):
        assert np.allclose(bench.truth(name), np.array(codes) * lsb, rtol=0, atol=1e-12)
    assert [bench.truth(n).tolist() for n in ("slope", "offset", "kappa")] == [[1] * 4, [0] * 4, [1] * 6]
    assert bench.truth("noise_temperature").tolist() == [1, 0]
    assert np.allclose(bench.truth("coupling_dac", element=5), (np.arange(256) - 128) * lsb)
    assert np.allclose(bench.truth("temperature_dac"), np.arange(256) / 64)
    assert np.allclose(bench.truth("adc_thresholds", element=1), np.arange(1, 1 << ADC_BITS) * 2.0 ** (1 - ADC_BITS) - 1)
    assert bench.truth("die_k").tolist() == [300.0]
    assert bench.truth("dead").tolist() == [0] * 4
    assert bench.truth("stuck_bias_bits").tolist() == [[0, 0]] * 4
    assert all(not bench.truth(f"drift_{name}").any() for name in ("offset", "slope", "coupling", "temperature"))


@pytest.mark.parametrize("kind", ["typical", "moving"])
def test_the_parts_make_the_whole(kind: str) -> None:
    """J is DAC output x kappa (x 1 + drift, and crosstalk: 2 % at most); what cells add up is slope (J), slope (h + offset)."""
    bench = of_kind(kind)
    couplings, biases = np.array([60, -20, 33, 90, 4, -77]), np.array([10, -25, 30, -43])
    bench.store("COUPLING", couplings)
    bench.store("BIAS", biases)
    bench.sweeps(1)
    dac = np.array([bench.truth("coupling_dac", element=e)[code + 128] for e, code in enumerate(couplings)])
    assert np.allclose(dac * bench.truth("kappa"), bench.truth("J"), rtol=1e-12 if kind == "typical" else 0.02)
    target = np.repeat(range(4), np.diff(bench.load("TOPO_ROW", 5).astype(int)))
    slope = bench.truth("slope")
    assert slope.std() > 0.01
    assert np.allclose(bench.truth("grid_J"), slope[target] * bench.truth("J"), rtol=0, atol=2.0**-14)
    assert np.allclose(bench.truth("grid_h"), slope * (bench.truth("h") + bench.truth("offset")), rtol=0, atol=2.0**-14)
    assert kind == "moving" or np.abs(bench.truth("grid_h") - slope * bench.truth("h")).max() > 0.05


def test_a_converter_shows_what_the_oracle_says_of_a_dac() -> None:
    """Each of 16 codes within half a step of an ideal converter, of a DAC whose nonlinearity is several."""
    bench = of_kind("typical")
    truth, bent = bench.truth("coupling_dac", element=2) / 2.5, 0
    for code in range(-128, 128, 17):
        bench.store("COUPLING", [code] * 6)
        shown = level(bench.capture("COUPLING_DAC", 1, 2)[0])
        assert abs(shown - truth[code + 128]) <= 2.0**-ADC_BITS
        bent += abs(shown - code / 160) > 2.0 ** (1 - ADC_BITS)
    assert bent >= 4


def test_stuck_bits_show_in_the_truth() -> None:
    bench = Bench(chain())
    bench.oracle("inject", kind="stuck-coupling-bit", coupler=4, bit=7, at=1)
    bench.oracle("inject", kind="stuck-cell", cell=0, at="floating")
    assert bench.truth("stuck_coupling_bits")[4].tolist() == [128, 128]
    assert bench.truth("coupling_dac", element=4)[:128].tolist() == bench.truth("coupling_dac", element=3)[128:].tolist()
    assert bench.truth("dead").tolist() == [3, 0, 0, 0]


def test_the_sensor_is_off_by_its_offset_from_the_die() -> None:
    """A warm die at rest for long: the lag is over, noise is off."""
    bench = of_kind("moving")
    bench.lab("ambient", k=320.0)
    bench.lab("skip", seconds=100.0)
    offset = bench.truth("sensor_offset_k")[0]
    assert abs(bench.value("TEMP.SENSOR") / 64 - bench.truth("die_k")[0] - offset) <= 1 / 128 + 1e-9
    assert abs(offset) > 0.1


def test_work_warms_the_die() -> None:
    """1 nJ an update: 32 of them in 69 cycles or so are .05 W, 2 K over 40 K/W when it lasts, .1 K or more within some ms."""
    bench = of_kind("moving")
    bench.sweeps(10_000)
    bench.sweeps(1)
    assert bench.truth("die_k")[0] > 300.1


@pytest.mark.parametrize("kind", KINDS)
def test_every_truth_of_every_kind_has_its_shape_and_looking_changes_nothing(kind: str) -> None:
    bench = of_kind(kind)
    bench.run(Instruction(Opcode.RUN, 10), Instruction(Opcode.STROBE))
    before, cap = bench.digest, bench.chip.capabilities
    cells, couplers, terms = cap.cells, cap.couplers, cap.cells * cap.terms
    offsets = terms if kind == "pdit" else cells
    shapes: dict[str, tuple[int, ...]] = {
        "J": (couplers,), "h": (terms,), "slope": (cells,), "offset": (offsets,), "kappa": (couplers,), "grid_J": (couplers,),
        "grid_h": (cells,), "noise_temperature": (2,), "die_k": (1,), "sensor_offset_k": (1,), "coupling_dac": (256,),
        "bias_dac": (256,), "temperature_dac": (256,), "dead": (cells,), "stuck_coupling_bits": (couplers, 2),
        "stuck_bias_bits": (terms, 2), "drift_offset": (offsets,), "drift_slope": (cells,), "drift_coupling": (couplers,),
        "drift_temperature": (1,), "adc_thresholds": (4095,), "tau_s": (cells,),
        "stiffness": (2, cells) if kind == "langevin" else (cells,),
    }  # fmt: skip
    names = set(bench.oracle("identify").body["truths"])
    special = {"async": {"tau_s"}, "gaussian": {"stiffness"}, "langevin": {"stiffness"}, "mixture": {"stiffness"}, "pdit": set()}
    assert names == set(shapes) - {"grid_J", "grid_h", "tau_s", "stiffness"} | special.get(kind, {"grid_J", "grid_h"})
    for name in sorted(names):
        if name == "coupling_dac" and couplers == 0:
            assert bench.refused("oracle", "truth", name=name, element=0).field == "element"
            continue
        element = {"element": 0} if name in ("coupling_dac", "bias_dac", "adc_thresholds") else {}
        told = bench.truth(name, **element)
        assert told.shape == shapes[name], name
        assert np.isfinite(told).all()
        assert name not in ("tau_s", "stiffness") or told.std() > 0
    assert bench.digest == before


def test_truths_that_are_not_are_refused() -> None:
    bench = Bench(chain())
    for body, key in (
        ({"name": "love"}, "name"), ({}, "name"), ({"name": "tau_s"}, "name"), ({"name": "J", "element": 0}, "element"),
        ({"name": "coupling_dac"}, "element"), ({"name": "bias_dac", "element": 4}, "element"),
    ):  # fmt: skip
        assert bench.refused("oracle", "truth", **body).field == key


def test_the_digest_is_that_of_the_state() -> None:
    bench = Bench(chain())
    assert bench.oracle("digest").body == {"digest": digest(bench.chip.state)}
    other = Chip(chain(seeds={"run": 2}))
    assert digest(other.state) != bench.oracle("digest").body["digest"]
    assert bench.operate((Op.FENCE, 0, 0, 0, 0)).failure is None
