"""Wrong rules of time, noise, sweeps, correlator and link, each as a patch of the reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from . import analog, noise, topology
from .analog import Analog, Dac
from .fabric import Correlator, Fabric
from .instructions import Activity
from .model import ReferenceChip
from .registers import Registers
from .sequencer import Sequencer

Patch = pytest.MonkeyPatch


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
