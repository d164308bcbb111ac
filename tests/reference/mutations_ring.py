"""Wrong rules of the ring of examples and of stalls, each as a patch of the reference."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .instructions import Activity
from .interrupts import Interrupts
from .registers import Registers
from .ring import DMA_OVERRUN, DMA_UNDERRUN, STALL, Ring
from .sequencer import Sequencer

Patch = pytest.MonkeyPatch


def tail_is_not_wrapped(patch: Patch) -> None:
    def straight(self: Ring, number: int) -> list[int]:
        words = self.fabric.cell_words
        first = min(self.value("DMA.BASE") + number * words, len(self.memory) - words)
        return self.memory[first : first + words]

    patch.setattr(Ring, "_entry", straight)


def ring_begins_at_word_0(patch: Patch) -> None:
    entry = Ring._entry

    def low(self: Ring, number: int) -> list[int]:
        base, self.held["DMA.BASE"][0] = self.value("DMA.BASE"), 0
        words = entry(self, number)
        self.held["DMA.BASE"][0] = base
        return words

    patch.setattr(Ring, "_entry", low)


def underruns_are_not_counted(patch: Patch) -> None:
    patch.setattr(Ring, "take", _keeping(Ring.take, "DMA.UNDERRUNS"))


def place_does_not_move(patch: Patch) -> None:
    patch.setattr(Ring, "take", _keeping(Ring.take, "DMA.PLACE"))


def _keeping(take: Callable[[Ring, int, int], int], name: str) -> Callable[[Ring, int, int], int]:
    """`Ring.take` that leaves a register as it was."""

    def kept(self: Ring, wanted: int, now: int) -> int:
        before = self.value(name)
        taken = take(self, wanted, now)
        self.held[name][0] = before
        return taken

    return kept


def underrun_is_not_flagged(patch: Patch) -> None:
    take = Ring.take

    def quiet(self: Ring, wanted: int, now: int) -> int:
        before = self.interrupts.error & DMA_UNDERRUN
        taken = take(self, wanted, now)
        self.interrupts.error &= before | ~DMA_UNDERRUN
        return taken

    patch.setattr(Ring, "take", quiet)


def overrun_one_entry_early(patch: Patch) -> None:
    write = Ring.write

    def early(self: Ring, name: str, index: int, bits: int, value: int, now: int) -> None:
        write(self, name, index, bits, value, now)
        if name == "DMA.HEAD" and self._ahead() == self.value("DMA.ENTRIES"):
            self.interrupts.error |= DMA_OVERRUN

    patch.setattr(Ring, "write", early)


def low_means_not_more_than(patch: Patch) -> None:
    take = Ring.take

    def higher(self: Ring, wanted: int, now: int) -> int:
        low = self.value("DMA.LOW")
        self.held["DMA.LOW"][0] = low + 1
        taken = take(self, wanted, now)
        self.held["DMA.LOW"][0] = low
        return taken

    patch.setattr(Ring, "take", higher)


def low_raises_nothing(patch: Patch) -> None:
    event = Interrupts.raise_event
    patch.setattr(Interrupts, "raise_event", lambda self, name, now: None if name == "DMA_LOW" else event(self, name, now))


def ring_feeds_every_plane(patch: Patch) -> None:
    patch.setattr(Ring, "planes", property(lambda self: list(range(self.fabric.planes))))


def any_ring_is_sound_that_has_entries(patch: Patch) -> None:
    def lax(self: Ring) -> bool:
        return bool(self.planes) and self.value("DMA.ENTRIES") > 0

    def entry(self: Ring, number: int) -> list[int]:
        return [0] * self.fabric.cell_words

    patch.setattr(Ring, "sound", property(lax))
    patch.setattr(Ring, "_entry", entry)


def stall_takes_what_there_is(patch: Patch) -> None:
    patch.setattr(Ring, "must_stall", lambda self, wanted: bool(self.value("DMA.CTRL") & STALL) and self.there(wanted) == 0)


def stop_does_not_end_a_stall(patch: Patch) -> None:
    stop = Sequencer.stop

    def deaf(self: Sequencer, now: int) -> None:
        if self.activity is Activity.STALLED:
            self.stop_requested = True
        else:
            stop(self, now)

    patch.setattr(Sequencer, "stop", deaf)


def refill_costs_an_instruction(patch: Patch) -> None:
    written = Sequencer.ring_written

    def slow(self: Sequencer, now: int) -> None:
        stalled = self.activity is Activity.STALLED
        written(self, now)
        if stalled and self.edge is not None:
            self.edge += self.timing.instruction

    patch.setattr(Sequencer, "ring_written", slow)


def examples_take_no_beats(patch: Patch) -> None:
    take = Ring.take

    def free(self: Ring, wanted: int, now: int) -> int:
        take(self, wanted, now)
        return 0

    patch.setattr(Ring, "take", free)


def reset_leaves_the_ring(patch: Patch) -> None:
    reset = Registers.reset

    def kept(self: Registers, now: int) -> None:
        ring = self.sequencer.engines.ring
        held = {name: list(values) for name, values in ring.held.items()}
        reset(self, now)
        ring.held = held

    patch.setattr(Registers, "reset", kept)
