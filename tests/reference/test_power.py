"""The comparison notices wrong rules: each mutation of the reference differs from the emulator in some scenario."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from tsu_contract.program import Opcode
from tsu_emu.config import ChipConfig

from . import analog, fabric, noise, sequencer, topology
from .analog import Analog, Dac, opposite
from .fabric import Correlator, Fabric, planes_of
from .generate import Scenario, random_scenario
from .harness import Emulator, Reference, compare
from .ledger import Ledger
from .model import ReferenceChip
from .registers import Registers, Windows
from .sequencer import Activity, Sequencer
from .topology import Graph

SEEDS = range(100)

Patch = pytest.MonkeyPatch
Mutation = Callable[[Patch], None]


@cache
def equal_scenarios() -> list[Scenario]:
    """Scenarios without a difference before any mutation; to be called first without one."""
    scenarios = [random_scenario(seed) for seed in SEEDS]
    return [s for s in scenarios if compare(s, Emulator, Reference) is None]


def next_noise_word(patch: Patch) -> None:
    def word(seed: int, stream: int, rank: int, plane: int, sweep: int) -> int:
        return noise.draw(seed, stream, (rank >> 2, plane, sweep, 0))[rank + 1 & 3]

    patch.setattr(noise, "spin_word", word)


def no_colour_settling(patch: Patch) -> None:
    patch.setattr(Sequencer, "_phase", lambda self: len(self.fabric.sweep_under_way.planes) * self.timing.slot)


def no_clamps(patch: Patch) -> None:
    patch.setattr(Fabric, "_clamp_bit", lambda self, words, plane, cell: 0)


def clamps_do_not_hold(patch: Patch) -> None:
    begin = Fabric.begin_sweep

    def begin_sweep(self: Fabric) -> int:
        planes = begin(self)
        taken = self.sweep_under_way
        self.taken = replace(taken, clamped={p: set() for p in taken.planes})
        return planes

    patch.setattr(Fabric, "begin_sweep", begin_sweep)


def odd_sweeps_go_forward(patch: Patch) -> None:
    patch.setattr(Fabric, "colour_of", _always(lambda self, phase: phase, 1))


def random_order_is_not(patch: Patch) -> None:
    patch.setattr(Fabric, "colour_of", _always(lambda self, phase: phase, 2))


def _always(colour: Callable[[Fabric, int], int], order: int) -> Callable[[Fabric, int], int]:
    """`Fabric.colour_of` with another rule for one scan order."""
    right = Fabric.colour_of
    return lambda self, phase: (colour if self.sweep_under_way.order == order else right)(self, phase)


def correlator_truncates(patch: Patch) -> None:
    patch.setattr(Correlator, "_moved", staticmethod(lambda acc, x, alpha: acc + (((x << 16) - acc) * alpha >> 16)))


def settle_ignores_new_writes(patch: Patch) -> None:
    patch.setattr(Sequencer, "_settle", lambda self, now: self._go_on(self.pc + 1, now + self.timing.instruction))


def settles_a_cycle_late(patch: Patch) -> None:
    disturb = Fabric._disturb

    def late(self: Fabric, now: int) -> None:
        disturb(self, now)
        if self.settle_at is not None:
            self.settle_at += 1

    patch.setattr(Fabric, "_disturb", late)


def stop_waits_for_a_fetch(patch: Patch) -> None:
    sweep = Sequencer._sweep

    def without_stop(self: Sequencer, now: int) -> None:
        requested, self.stop_requested = self.stop_requested, False
        sweep(self, now)
        self.stop_requested = requested

    patch.setattr(Sequencer, "_sweep", without_stop)


def plane_temperature_ignored(patch: Patch) -> None:
    slope = Analog.slope
    patch.setattr(Analog, "slope", lambda self, tdac, multiplier: slope(self, tdac, 4096))


def abandoned_sweep_not_counted(patch: Patch) -> None:
    def reset(self: Sequencer, now: int) -> None:
        self.fabric.taken = None
        self.fabric.ledger.busy += now - self.sweep_began
        self._initial()

    patch.setattr(Sequencer, "reset", reset)


def clear_before_latch(patch: Patch) -> None:
    def control(self: Registers, bits: int, value: int) -> None:
        self.correlator.enable = value & 1
        if bits & 2:
            self.correlator.clear()
        if bits & 4:
            self.correlator.latch()

    patch.setattr(Registers, "_correlator_control", control)


def unary_elements_from_the_top(patch: Patch) -> None:
    on = Dac.on

    def mirrored(self: Dac, code: int) -> list[int]:
        return [k if k < self.binary else len(self.stored) - 1 - (k - self.binary) for k in on(self, code)]

    patch.setattr(Dac, "on", mirrored)


def field_grid_truncates(patch: Patch) -> None:
    patch.setattr(analog, "to_grid", lambda value, k: int(value * 2.0**k))


def colours_always_greedy(patch: Patch) -> None:
    patch.setattr(topology, "_distances", lambda neighbours: [0] * len(neighbours))


def run_pays_for_its_next_fetch(patch: Patch) -> None:
    def end_sweep(self: Sequencer, now: int) -> None:
        self._sweep_is_over(now)
        self.sweeps_left -= 1
        if self.sweeps_left:
            self._schedule(Activity.SWEEP, now)
        else:
            self._go_on(self.pc + 1, now + self.timing.instruction)

    patch.setattr(Sequencer, "_end_sweep", end_sweep)


def rmw_with_one_access(patch: Patch) -> None:
    full = ReferenceChip._read_modify_write

    def short(self: ReferenceChip, address: int, value: int, mask: int) -> int:
        before = full(self, address, value, mask)
        self.link -= self.timing.access
        return before

    patch.setattr(ReferenceChip, "_read_modify_write", short)


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
        attojoules = sum(n * aj for n, aj in zip((self.updates, self.reads, self.writes, 0), self.prices, strict=True))
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
        ledger.updates = ledger.reads = ledger.writes = 0

    patch.setattr(Registers, "reset", reset)


def wait_latches(patch: Patch) -> None:
    patch.setattr(Registers, "peek", Registers.read)


def high_words_are_live(patch: Patch) -> None:
    patch.setattr(Registers, "read", Registers.peek)


def converter_registers_survive_reset(patch: Patch) -> None:
    right = Registers.reset

    def reset(self: Registers, now: int) -> None:
        kept = self.converter
        right(self, now)
        self.converter = kept

    patch.setattr(Registers, "reset", reset)


def conversions_without_converters_do_nothing(patch: Patch) -> None:
    execute = Sequencer._execute
    patch.setattr(sequencer, "CONVERSIONS", set())

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


def stuck_bits_ignored(patch: Patch) -> None:
    patch.setattr(Dac, "_stuck_at", staticmethod(lambda config, seed, bank, element, bit: None))


def stuck_bits_always_at_0(patch: Patch) -> None:
    right = Dac._stuck_at
    patch.setattr(Dac, "_stuck_at", staticmethod(lambda *where: None if right(*where) is None else 0))


def both_banks_stuck_alike(patch: Patch) -> None:
    patch.setattr(analog, "STUCK_BANKS", {})


def dead_cells_ignored(patch: Patch) -> None:
    patch.setattr(fabric, "stuck_cells", lambda config, cells: {})


def dead_cells_mirrored(patch: Patch) -> None:
    right = fabric.stuck_cells
    patch.setattr(fabric, "stuck_cells", lambda *which: {cell: -spin for cell, spin in right(*which).items()})


def clamps_move_dead_cells(patch: Patch) -> None:
    begin = Fabric.begin_sweep

    def begin_sweep(self: Fabric) -> int:
        planes = begin(self)
        for p in self.sweep_under_way.planes:
            for i in self.stuck:
                if self._clamp_bit(self.clamp_mask, p, i):
                    self.spins[p][i] = 1 if self._clamp_bit(self.clamp_value, p, i) else -1
        return planes

    patch.setattr(Fabric, "begin_sweep", begin_sweep)


def dead_from_power_on(patch: Patch) -> None:
    first = Fabric._first_spin
    patch.setattr(Fabric, "_first_spin", lambda self, plane, cell: self.stuck.get(cell, first(self, plane, cell)))


def pair_gain_drawn_per_coupler(patch: Patch) -> None:
    patch.setattr(analog, "pair_element", lambda graph, e: e)


def pair_gain_of_the_other_direction_alone(patch: Patch) -> None:
    patch.setattr(analog, "pair_element", opposite)


MUTATIONS: tuple[Mutation, ...] = (
    next_noise_word,
    no_colour_settling,
    no_clamps,
    clamps_do_not_hold,
    odd_sweeps_go_forward,
    random_order_is_not,
    correlator_truncates,
    settle_ignores_new_writes,
    settles_a_cycle_late,
    stop_waits_for_a_fetch,
    plane_temperature_ignored,
    abandoned_sweep_not_counted,
    clear_before_latch,
    unary_elements_from_the_top,
    field_grid_truncates,
    colours_always_greedy,
    run_pays_for_its_next_fetch,
    rmw_with_one_access,
    physical_time_counts_a_phase_twice,
    physical_time_leaves_out_abandoned_sweeps,
    physical_time_runs_from_the_first_phase,
    writing_costs_by_the_burst,
    only_changed_codes_cost,
    clamped_cells_cost_nothing,
    reading_costs_by_enabled_planes,
    energy_is_rounded_once,
    standby_is_not_rounded_to_a_cycle,
    energies_end_with_reset,
    wait_latches,
    high_words_are_live,
    converter_registers_survive_reset,
    conversions_without_converters_do_nothing,
    sensor_in_whole_kelvin,
    stuck_bits_ignored,
    stuck_bits_always_at_0,
    both_banks_stuck_alike,
    dead_cells_ignored,
    dead_cells_mirrored,
    clamps_move_dead_cells,
    dead_from_power_on,
    pair_gain_drawn_per_coupler,
    pair_gain_of_the_other_direction_alone,
)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.__name__)
def test_mutation_is_noticed(mutation: Mutation, monkeypatch: Patch) -> None:
    scenarios = equal_scenarios()
    mutation(monkeypatch)
    assert any(compare(s, Emulator, Reference) for s in scenarios)
