"""Wrong rules of physical time, energies, sensor and converter registers, each as a patch of the reference."""

from __future__ import annotations

from typing import Any

import pytest

from tsu_contract.program import Opcode
from tsu_emu.config import ChipConfig

from . import instructions
from .fabric import Fabric, planes_of
from .ledger import Ledger
from .registers import Registers, Windows
from .sequencer import Sequencer

Patch = pytest.MonkeyPatch


def physical_time_counts_a_phase_twice(patch: Patch) -> None:
    is_over = Sequencer._sweep_is_over

    def too_long(self: Sequencer, now: int) -> None:
        phase = self._phase()
        is_over(self, now)
        self.fabric.ledger.busy += phase

    patch.setattr(Sequencer, "_sweep_is_over", too_long)


def physical_time_leaves_out_abandoned_sweeps(patch: Patch) -> None:
    def reset(self: Sequencer, now: int) -> None:
        if self.fabric.taken:
            self.fabric.end_sweep()
        self._initial()

    patch.setattr(Sequencer, "reset", reset)


def physical_time_runs_from_the_first_phase(patch: Patch) -> None:
    sweep = Sequencer._sweep

    def late(self: Sequencer, now: int) -> None:
        sweep(self, now)
        self.sweep_began = now + self.timing.sweep

    patch.setattr(Sequencer, "_sweep", late)


def writing_costs_by_the_burst(patch: Patch) -> None:
    write = Windows.write

    def once(self: Windows, address: int, data: bytes, now: int) -> None:
        before = self.fabric.ledger.writes
        write(self, address, data, now)
        self.fabric.ledger.writes = min(self.fabric.ledger.writes, before + 1)

    patch.setattr(Windows, "write", once)


def only_changed_codes_cost(patch: Patch) -> None:
    write = Windows.write

    def changes(self: Windows, address: int, data: bytes, now: int) -> None:
        fabric, before = self.fabric, self.fabric.ledger.writes
        codes = fabric.coupling + fabric.bias
        write(self, address, data, now)
        after = fabric.coupling + fabric.bias
        fabric.ledger.writes = before + sum(a != b for a, b in zip(codes, after, strict=True))

    patch.setattr(Windows, "write", changes)


def clamped_cells_cost_nothing(patch: Patch) -> None:
    phase = Fabric.colour_phase

    def cheaper(self: Fabric, number: int) -> None:
        before, flips = self.ledger.updates, self.flips
        phase(self, number)
        self.ledger.updates = before + self.flips - flips

    patch.setattr(Fabric, "colour_phase", cheaper)


def reading_costs_by_enabled_planes(patch: Patch) -> None:
    strobe = Fabric.strobe

    def cheaper(self: Fabric) -> None:
        before = self.ledger.reads
        strobe(self)
        self.ledger.reads = before + len(planes_of(self.enable, self.planes)) * self.graph.cells

    patch.setattr(Fabric, "strobe", cheaper)


def energy_is_rounded_once(patch: Patch) -> None:
    right = Ledger.femtojoules

    def summed(self: Ledger, now: int) -> dict[str, int]:
        attojoules = sum(n * aj for n, aj in zip(self.counts, self.prices, strict=True))
        return right(self, now) | {"MON.ENERGY": (attojoules + now * self.standby) // 1000 % 2**64}

    patch.setattr(Ledger, "femtojoules", summed)


def standby_is_not_rounded_to_a_cycle(patch: Patch) -> None:
    create = Ledger.__init__

    def exact(self: Ledger, config: ChipConfig) -> None:
        create(self, config)
        self.standby = int(config.energy.standby_w * 1e18 / config.clock.hz)

    patch.setattr(Ledger, "__init__", exact)


def energies_end_with_reset(patch: Patch) -> None:
    right = Registers.reset

    def reset(self: Registers, now: int) -> None:
        right(self, now)
        ledger = self.fabric.ledger
        ledger.updates = ledger.reads = ledger.writes = ledger.learned = 0

    patch.setattr(Registers, "reset", reset)


def wait_latches(patch: Patch) -> None:
    patch.setattr(Registers, "peek", Registers.read)


def high_words_are_live(patch: Patch) -> None:
    patch.setattr(Registers, "read", Registers.peek)


def converter_registers_survive_reset(patch: Patch) -> None:
    create = Registers.__init__

    def lasting(self: Registers, *parts: Any) -> None:
        create(self, *parts)
        self.converter.kept = tuple(self.converter.held)

    patch.setattr(Registers, "__init__", lasting)


def conversions_without_converters_do_nothing(patch: Patch) -> None:
    execute = Sequencer._execute
    patch.setattr(instructions, "CONVERSIONS", set())

    def lenient(self: Sequencer, opcode: Opcode, operand: int, now: int) -> None:
        nothing = opcode in (Opcode.ADC_SCAN, Opcode.ADC_CAPTURE)
        execute(self, Opcode.DELAY if nothing else opcode, 0 if nothing else operand, now)

    patch.setattr(Sequencer, "_execute", lenient)


def sensor_in_whole_kelvin(patch: Patch) -> None:
    create = Registers.__init__

    def coarse(self: Registers, *parts: Any) -> None:
        create(self, *parts)
        self.sensor = self.sensor // 64 * 64

    patch.setattr(Registers, "__init__", coarse)
