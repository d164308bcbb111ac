"""Wrong rules of swaps, the temperature schedule, soft fields and endless loops, each as a patch of the reference."""

from __future__ import annotations

import pytest

from tsu_contract.program import Opcode

from .fabric import Fabric
from .instructions import Fault
from .schedule import Schedule
from .sequencer import Sequencer
from .tempering import Tempering

Patch = pytest.MonkeyPatch

# Swaps.


def rounds_begin_with_rung_1(patch: Patch) -> None:
    patch.setattr(Tempering, "first_rung", lambda self, number: 1 - number % 2)


def every_round_is_even(patch: Patch) -> None:
    patch.setattr(Tempering, "first_rung", lambda self, number: 0)


def roles_are_not_exchanged(patch: Patch) -> None:
    patch.setattr(Tempering, "exchange_roles", lambda self, a, b: None)


def places_are_not_exchanged(patch: Patch) -> None:
    exchange = Tempering.exchange

    def stay(self: Tempering, place: int) -> None:
        ladder = list(self.ladder)
        exchange(self, place)
        self.ladder[:] = ladder

    patch.setattr(Tempering, "exchange", stay)


def temperatures_are_not_exchanged(patch: Patch) -> None:
    exchange = Tempering.exchange

    def stay(self: Tempering, place: int) -> None:
        temps = list(self.fabric.plane_temp)
        exchange(self, place)
        self.fabric.plane_temp[:] = temps

    patch.setattr(Tempering, "exchange", stay)


def every_swap_is_accepted(patch: Patch) -> None:
    patch.setattr(Tempering, "_accepted", staticmethod(lambda x, word: True))


def only_better_swaps_are_accepted(patch: Patch) -> None:
    patch.setattr(Tempering, "_accepted", staticmethod(lambda x, word: x >= 0))


def swaps_hear_one_coupler_twice(patch: Patch) -> None:
    energy = Tempering.energy

    def lower(self: Tempering, plane: int) -> int:
        fabric, kept = self.fabric, self.fabric.coupling
        graph = fabric.graph
        place = {pair: e for e, pair in enumerate(zip(graph.target, graph.source, strict=True))}
        pairs = zip(graph.target, graph.source, strict=True)
        fabric.coupling = [kept[place[min(i, j), max(i, j)]] for i, j in pairs]
        total = energy(self, plane)
        fabric.coupling = kept
        return total

    patch.setattr(Tempering, "energy", lower)


def biases_count_half_in_swaps(patch: Patch) -> None:
    energy = Tempering.energy

    def half(self: Tempering, plane: int) -> int:
        fabric = self.fabric
        biases = sum(code * self.bias_lsb * spin for code, spin in zip(fabric.bias, fabric.spins[plane], strict=True))
        return energy(self, plane) + biases

    patch.setattr(Tempering, "energy", half)


def swaps_at_temperature_1(patch: Patch) -> None:
    patch.setattr(Tempering, "temperature", lambda self, plane: self.fabric.plane_temp[plane] / 4096)


def ladders_share_their_words(patch: Patch) -> None:
    word = Tempering.word
    patch.setattr(Tempering, "word", lambda self, place, n: word(self, place % self.value("TEMPERING.RUNGS"), n))


def swaps_take_no_time(patch: Patch) -> None:
    execute = Sequencer._execute

    def quick(self: Sequencer, opcode: Opcode, operand: int, now: int) -> None:
        execute(self, opcode, operand, now)
        if opcode == Opcode.SWAP and self.edge is not None:
            self.edge = now + self.timing.instruction

    patch.setattr(Sequencer, "_execute", quick)


def acceptances_count_as_tries(patch: Patch) -> None:
    count = Tempering._count
    patch.setattr(Tempering, "_count", lambda self, which: count(self, which - which % 2))


def one_rung_is_a_ladder(patch: Patch) -> None:
    patch.setattr(Tempering, "sound", property(lambda self: 1 <= self.rungs_in_all <= self.fabric.planes))


def a_wrong_ladder_is_illegal(patch: Patch) -> None:
    fault = Sequencer._raise_fault

    def other(self: Sequencer, which: Fault, now: int) -> None:
        fault(self, Fault.ILLEGAL if which is Fault.LADDER else which, now)

    patch.setattr(Sequencer, "_raise_fault", other)


# The temperature schedule.


def schedule_is_a_step_ahead(patch: Patch) -> None:
    code = Schedule.code
    patch.setattr(Schedule, "code", lambda self, step: code(self, step + 1))


def linear_schedule_truncates(patch: Patch) -> None:
    code = Schedule.code

    def down(self: Schedule, step: int) -> int:
        length = self.value("TEMP.LENGTH")
        if self.value("TEMP.SCHEDULE") != 1 or step >= length:
            return code(self, step)
        return (self.value("TEMP.START") * (length - step) + self.value("TEMP.END") * step) // length

    patch.setattr(Schedule, "code", down)


def logarithmic_schedule_truncates(patch: Patch) -> None:
    code = Schedule.code

    def down(self: Schedule, step: int) -> int:
        if self.value("TEMP.SCHEDULE") != 2:
            return code(self, step)
        start = self.held["TEMP.START"][0]
        self.held["TEMP.START"][0] = 1 << 24
        fine = code(self, step)
        self.held["TEMP.START"][0] = start
        return max(1, start * fine >> 24)

    patch.setattr(Schedule, "code", down)


def table_begins_anew(patch: Patch) -> None:
    code = Schedule.code

    def round_and_round(self: Schedule, step: int) -> int:
        entries, length = min(self.value("TEMP.ENTRIES"), len(self.table)), self.value("TEMP.LENGTH")
        return self.table[step // length % entries] if self.value("TEMP.SCHEDULE") == 3 else code(self, step)

    patch.setattr(Schedule, "code", round_and_round)


def step_wraps(patch: Patch) -> None:
    begin = Schedule.begin_sweep

    def wrapping(self: Schedule) -> None:
        before = self.value("TEMP.STEP")
        begin(self)
        if before == 2**32 - 1 and self.value("TEMP.SCHEDULE"):
            self.held["TEMP.STEP"][0] = 0

    patch.setattr(Schedule, "begin_sweep", wrapping)


def schedule_acts_a_sweep_late(patch: Patch) -> None:
    sweep = Sequencer._sweep

    def late(self: Sequencer, now: int) -> None:
        schedule, requested = self.engines.schedule, self.stop_requested
        mode, schedule.held["TEMP.SCHEDULE"][0] = schedule.value("TEMP.SCHEDULE"), 0
        sweep(self, now)
        schedule.held["TEMP.SCHEDULE"][0] = mode
        if not requested:
            schedule.begin_sweep()

    patch.setattr(Sequencer, "_sweep", late)


# Soft fields and loops.


def soft_fields_without_slopes(patch: Patch) -> None:
    def flat(self: Fabric, cell: int, code: int) -> int:
        return round(code * (self.bias_lsb * 2.0**-28) * 2.0**self.analog.k)

    patch.setattr(Fabric, "soft_field", flat)


def soft_fields_of_the_first_plane_everywhere(patch: Patch) -> None:
    codes = Fabric.soft_codes
    patch.setattr(Fabric, "soft_codes", lambda self, plane: codes(self, 0))


def soft_fields_act_at_once(patch: Patch) -> None:
    field = Fabric.field

    def live(self: Fabric, plane: int, cell: int) -> int:
        taken = field(self, plane, cell)
        if self.taken is None or cell in self.floating:
            return taken
        now = self.soft[plane * self.graph.cells + cell]
        return taken - self.soft_field(cell, self.taken.soft[plane][cell]) + self.soft_field(cell, now)

    patch.setattr(Fabric, "field", live)


def endless_loops_are_done_once(patch: Patch) -> None:
    loop = Sequencer._loop
    patch.setattr(Sequencer, "_loop", lambda self, count, now: loop(self, count or 1, now))
