"""Wrong rules of learning, weight versions and their registers, each as a patch of the reference."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tsu_contract.program import Opcode
from tsu_emu.config import ChipConfig

from . import instructions, learning, noise
from .learning import DATA, FREE, OF_CODE, OF_WEIGHT, PAIRS, Bank, Learning
from .sequencer import Sequencer

Patch = pytest.MonkeyPatch


def nearest_is_floor(patch: Patch) -> None:
    moved = Learning.moved

    def down(self: Learning, bank: Bank, element: int, total: int) -> int:
        if self.value("LEARN.CTRL") & learning.ROUND_WEIGHT:
            return moved(self, bank, element, total)
        return (total * (self.value("LEARN.GAIN") >> 15) >> 16) >> 30

    patch.setattr(Learning, "moved", down)


def changes_always_to_the_nearest(patch: Patch) -> None:
    patch.setattr(learning, "ROUND_WEIGHT", 0)


def codes_never_at_random(patch: Patch) -> None:
    patch.setattr(learning, "ROUND_CODE", 0)


def products_truncate(patch: Patch) -> None:
    patch.setattr(Learning, "product", staticmethod(lambda first, second, third: (first * second >> 14) * third >> 14))


def norms_swapped(patch: Patch) -> None:
    average = Learning.average
    patch.setattr(Learning, "average", lambda self, role, acc: average(self, FREE if role == DATA else DATA, acc))


def averages_truncate(patch: Patch) -> None:
    def average(self: Learning, role: int, acc: int) -> int:
        return acc * self.value("LEARN.NORM_DATA" if role == DATA else "LEARN.NORM_FREE") >> 18

    patch.setattr(Learning, "average", average)


def averages_of_the_latch(patch: Patch) -> None:
    update = Learning.update

    def late(self: Learning, now: int) -> None:
        c = self.correlator
        kept, pairs, cells = (c.pair, c.mean), len(c.pairs), c.cells
        c.pair = [c.pair_window[:pairs], c.pair_window[pairs:]]
        c.mean = [c.mean_window[:cells], c.mean_window[cells:]]
        update(self, now)
        c.pair, c.mean = kept

    patch.setattr(Learning, "update", late)


def code_from_the_other_coupler(patch: Patch) -> None:
    patch.setattr(Learning, "heard_by_lower", lambda self, p: self.couplers[p][1])


def one_coupler_of_a_pair_written(patch: Patch) -> None:
    update = Learning.update

    def half(self: Learning, now: int) -> None:
        before = self.fabric.coupling
        update(self, now)
        kept = {higher: before[higher] for _, higher in self.couplers}
        self.fabric.coupling = [kept.get(e, code) for e, code in enumerate(self.fabric.coupling)]

    patch.setattr(Learning, "update", half)


def next_word_of_learning(patch: Patch) -> None:
    def word(self: Learning, bank: Bank, element: int, purpose: int) -> int:
        n = self.value("LEARN.UPDATES")
        return noise.draw(self.fabric.seed, noise.LEARNING, (element >> 2, 4 * bank.kind + purpose, n, 0))[element + 1 & 3]

    patch.setattr(Learning, "word", word)


def biases_share_the_words_of_pairs(patch: Patch) -> None:
    patch.setattr(Learning, "word", _with(lambda bank, purpose: (PAIRS, purpose)))


def codes_share_the_words_of_changes(patch: Patch) -> None:
    patch.setattr(Learning, "word", _with(lambda bank, purpose: (bank.kind, OF_WEIGHT if purpose == OF_CODE else purpose)))


def _with(other: Callable[[Bank, int], tuple[int, int]]) -> Callable[[Learning, Bank, int, int], int]:
    """`Learning.word` with another kind and purpose."""
    right = Learning.word

    def word(self: Learning, bank: Bank, element: int, purpose: int) -> int:
        kind, purpose = other(bank, purpose)
        return right(self, Bank(kind, bank.accumulators, bank.frozen, bank.dac_bits), element, purpose)

    return word


def wide_weights_are_not_cut(patch: Patch) -> None:
    patch.setattr(Learning, "weight", lambda self, bank, element: bank.accumulators[element] << max(0, 15 - self.bits))


def random_factor_is_positive(patch: Patch) -> None:
    right = Learning.random
    patch.setattr(Learning, "random", lambda self, bank, element: right(self, bank, element) + (1 << 14) >> 1)


def sums_are_not_limited(patch: Patch) -> None:
    patch.setattr(learning, "S_MAX", 1 << 60)


def rates_have_no_sign(patch: Patch) -> None:
    patch.setattr(Learning, "signed", staticmethod(lambda word: word))


def the_gains_lower_bits_count(patch: Patch) -> None:
    moved = Learning.moved

    def fine(self: Learning, bank: Bank, element: int, total: int) -> int:
        if self.value("LEARN.CTRL") & learning.ROUND_WEIGHT:
            return moved(self, bank, element, total)
        return ((total * self.value("LEARN.GAIN") >> 31) + (1 << 29)) >> 30

    patch.setattr(Learning, "moved", fine)


def gain_does_not_decay(patch: Patch) -> None:
    patch.setattr(Learning, "decayed", lambda self, gain: gain)


def gain_decays_rounded(patch: Patch) -> None:
    patch.setattr(Learning, "decayed", lambda self, gain: gain * (2**32 - self.value("LEARN.DECAY")) >> 32)


def frozen_ones_learn(patch: Patch) -> None:
    patch.setattr(Bank, "is_frozen", lambda self, element: False)


def frozen_ones_count_as_saturated(patch: Patch) -> None:
    update = Learning.update

    def all_of_them(self: Learning, now: int) -> None:
        update(self, now)
        ends = (-(1 << self.bits - 1), (1 << self.bits - 1) - 1)
        self.held["LEARN.SATURATED"][0] = sum(bank.accumulators.count(end) for bank in (self.pair, self.bias) for end in ends)

    patch.setattr(Learning, "update", all_of_them)


def clipped_counts_what_lies_at_the_end(patch: Patch) -> None:
    learn = Learning._learn

    def at_end(self: Learning, bank: Bank, element: int, factors: dict[str, Callable[[], int]]) -> tuple[int, bool]:
        before = self.value("LEARN.CLIPPED")
        code, end = learn(self, bank, element, factors)
        self.held["LEARN.CLIPPED"][0] = before + end
        return code, end

    patch.setattr(Learning, "_learn", at_end)


def top_accumulators_overflow_their_code(patch: Patch) -> None:
    code = Learning.code

    def wrapped(self: Learning, bank: Bank, element: int) -> int:
        w, shift = bank.accumulators[element], self.bits - bank.dac_bits
        if shift and not self.value("LEARN.CTRL") & learning.ROUND_CODE:
            n = (w + (1 << shift - 1)) >> shift
            return n - (1 << bank.dac_bits) if n >> bank.dac_bits - 1 == 1 else n
        return code(self, bank, element)

    patch.setattr(Learning, "code", wrapped)


def a_pair_counts_once_as_changed(patch: Patch) -> None:
    update = Learning.update

    def once(self: Learning, now: int) -> None:
        before = self.fabric.coupling
        update(self, now)
        after = self.fabric.coupling
        both = sum(before[a] != after[a] and before[b] != after[b] for a, b in self.couplers)
        self.held["LEARN.CHANGED"][0] -= both

    patch.setattr(Learning, "update", once)


def learning_settles_nothing(patch: Patch) -> None:
    update = Learning.update

    def quiet(self: Learning, now: int) -> None:
        settle_at = self.fabric.settle_at
        update(self, now)
        self.fabric.settle_at = settle_at

    patch.setattr(Learning, "update", quiet)


def learning_takes_no_time(patch: Patch) -> None:
    execute = Sequencer._execute

    def quick(self: Sequencer, opcode: Opcode, operand: int, now: int) -> None:
        execute(self, opcode, operand, now)
        if opcode == Opcode.LEARN and self.edge is not None:
            self.edge -= self.timing.learn

    patch.setattr(Sequencer, "_execute", quick)


def learn_without_an_engine_does_nothing(patch: Patch) -> None:
    create, execute = instructions.Legality.__init__, Sequencer._execute

    def lenient(self: instructions.Legality, config: ChipConfig) -> None:
        create(self, config)
        self.missing.discard(Opcode.LEARN)

    def nothing(self: Sequencer, opcode: Opcode, operand: int, now: int) -> None:
        absent = opcode == Opcode.LEARN and not self.engines.learning.bits
        execute(self, Opcode.DELAY if absent else opcode, operand, now)

    patch.setattr(instructions.Legality, "__init__", lenient)
    patch.setattr(Sequencer, "_execute", nothing)
