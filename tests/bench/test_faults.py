"""Each fault has its effect, and none when cleared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.harness import Bench, at, chain, delay, level, read, write
from bench.kinds import PBIT_KINDS, of_kind
from tsu_contract.bench import FAULTS, fault_of
from tsu_contract.errors import Code
from tsu_contract.program import Instruction, Opcode
from tsu_contract.registers import WINDOWS, register
from tsu_emu import state as S
from tsu_emu.state import save

FAULT_EXAMPLES: dict[str, dict[str, Any]] = {
    "stuck-cell": {"cell": 2, "at": "up"},
    "stuck-coupling-bit": {"coupler": 3, "bit": 6, "at": 1},
    "stuck-bias-bit": {"term": 1, "bit": 5, "at": 0},
    "dead-adc": {"converter": 1},
    "bus-error": {"address": at("SYS.SCRATCH"), "accesses": 3},
    "dropped-interrupt": {"events": 3, "count": 2},
}


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
        ({"kind": "dropped-interrupt", "events": 0x100, "count": 1}, "events"),
        ({"kind": "dropped-interrupt", "events": 1, "count": 0}, "count"),
    ],
)
def test_bad_faults_are_named_and_change_nothing(body: dict[str, Any], key: str) -> None:
    assert Bench(chain()).refused("oracle", "inject", **body).field == key
