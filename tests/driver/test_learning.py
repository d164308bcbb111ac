"""Rules into registers, weights into accumulators: against a fake chip that shows what was written."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import tsu_driver as tsu
from driver.fake import CAPABILITIES, FakeChip, FakeDaemon, FakeLink
from tsu_contract.operations import Op
from tsu_contract.registers import REGISTERS
from tsu_driver import Instruction as I
from tsu_driver import Opcode, Term, UpdateRule

FULL_J, FULL_H = 2.0, 0.5
"""Ends of the DACs, kT: 8 and 6 bits of 1/64."""
STEP_J, STEP_H = FULL_J / 2048, FULL_H / 2048
"""A step of a 12-bit accumulator, kT."""


def words(link: FakeLink, name: str) -> list[int]:
    reg = REGISTERS[name]
    return [link.chip.words[reg.at(k)] for k in range(reg.count)]


def signed(word: int) -> int:
    return word - (word >> 31 << 32)


def configured(chip: tsu.Chip) -> None:
    chip.configure_correlator(data_planes=[0], free_planes=[1, 2], tau_data=1, tau_free=1)


def test_a_rule_becomes_terms_and_rates(chip: tsu.Chip, link: FakeLink) -> None:
    """Rates in 2^-16 steps; "w" and "code" are fractions of the range on the chip; NORM is 1 / planes; terms that are not there
    are off, also if another rule had them."""
    configured(chip)
    for register in ("LEARN.PAIR_RATE", "LEARN.BIAS_TERM"):
        chip.write_register(register, 5, index=7)
    rule = UpdateRule(
        (
            Term(0.01, ("c_data",)),
            Term(-0.02, ("m_data_i", "m_free_j", "one")),
            Term(-1e-4, ("w",)),
            Term(0.03, ("code", "w", "random")),
        ),
        (Term(0.001, ("m_free",)), Term(-2e-4, ("code",)), Term(0.0, ("random",))),
    )
    done = chip.load_rule(rule, stochastic=False, stochastic_codes=True, gain_decay=0.25)
    assert words(link, "LEARN.PAIR_TERM") == [0x001, 0x063, 0x007, 0x978, 0, 0, 0, 0]
    assert words(link, "LEARN.BIAS_TERM") == [2, 4, 5, 0, 0, 0, 0, 0]
    unit_j, unit_h = 65536 / STEP_J, 65536 / STEP_H
    meant = [0.01 * unit_j, -0.02 * unit_j, -1e-4 * FULL_J * unit_j, 0.03 * FULL_J**2 * unit_j]
    assert [signed(w) for w in words(link, "LEARN.PAIR_RATE")] == [*(round(r) for r in meant), 0, 0, 0, 0]
    meant_h = [0.001 * unit_h, -2e-4 * FULL_H * unit_h, 0]
    assert [signed(w) for w in words(link, "LEARN.BIAS_RATE")] == [*(round(r) for r in meant_h), 0, 0, 0, 0, 0]
    fake = link.chip
    assert (fake["LEARN.NORM_DATA"], fake["LEARN.NORM_FREE"]) == (65536, 32768)
    assert (fake["LEARN.GAIN"], fake["LEARN.DECAY"], fake["LEARN.CTRL"]) == (1 << 31, 1 << 30, 2)
    assert (done.data_planes, done.free_planes, done.gain_decay) == (1, 2, 0.25)
    assert done.pair_rates == pytest.approx([0.01, -0.02, -1e-4, 0.03], rel=1e-4)
    assert done.pair_errors == pytest.approx(done.pair_rates / [0.01, -0.02, -1e-4, 0.03] - 1, abs=1e-12)
    assert 0 < np.abs(done.pair_errors).max() < 1e-4
    assert done.bias_errors[2] == 0
    chip.load_rule(UpdateRule((), ()))
    assert words(link, "LEARN.PAIR_RATE") + words(link, "LEARN.BIAS_RATE") == [0] * 16
    assert fake["LEARN.CTRL"] == 1


def test_rates_make_up_for_rounded_norms() -> None:
    """1 / 200 is 328 / 2^16 to 1.00098: averages of 200 planes come out too great, so rates are as much less, by each factor."""
    fake = FakeChip(replace(CAPABILITIES, planes=250))
    for k in range(8):
        fake.words[REGISTERS["FABRIC.PLANE_ENABLE"].at(k)] = 0xFFFFFFFF if k < 7 else (1 << 26) - 1
    link = FakeLink(FakeDaemon(fake))
    chip = tsu.Chip(link)
    chip.configure_correlator(data_planes=200, free_planes=range(200, 250), tau_data=1, tau_free=1)
    done = chip.load_rule(UpdateRule((Term(0.1, ("c_data",)), Term(0.1, ("m_data_i", "m_data_j")), Term(0.1, ("c_free",))), ()))
    norms = 328 * 200 / 65536, 1311 * 50 / 65536
    rates = np.array([signed(w) for w in words(link, "LEARN.PAIR_RATE")[:3]]) * STEP_J / 65536
    assert rates * [norms[0], norms[0] ** 2, norms[1]] == pytest.approx([0.1] * 3, rel=1e-6)
    assert np.abs(done.pair_errors).max() < 1e-6
    assert abs(norms[0] - 1) > 9e-4


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            UpdateRule((Term(1.0, ("c_data",)), Term(40.0, ("one",))), ()),
            r"pair term 1, 40 x one: the chip has rates of 1.49e-08 .. 32 in steps of 1.49e-08, either sign",
        ),
        (UpdateRule((Term(-1e-9, ("w",)),), ()), r"pair term 0, -1e-09 x w: the chip has rates of 7.45e-09 .. 16 "),
        (UpdateRule((), (Term(1e-9, ("m_data",)),)), r"bias term 0, 1e-09 x m_data: the chip has rates of 3.73e-09 .. 8 "),
        (
            UpdateRule((), (Term(1.0, ("m_free",)),)),
            "bias term 0 has the factor 'm_free', but the free role has no",
        ),
    ],
)
def test_rates_that_cannot_be_had(chip: tsu.Chip, link: FakeLink, rule: UpdateRule, message: str) -> None:
    chip.configure_correlator(data_planes=[0], free_planes=[], tau_data=1, tau_free=1)
    before = len(link.requests)
    with pytest.raises(tsu.HostError, match=message):
        chip.load_rule(rule)
    assert not any(entry == (Op.WRITE, "LEARN.GAIN") for entry in link.chip.log), before


def test_a_rule_holds_for_the_planes_that_it_was_loaded_for(chip: tsu.Chip) -> None:
    configured(chip)
    rule, learn = UpdateRule((), (Term(0.01, ("m_free",)),)), [I(Opcode.RUN, 1), I(Opcode.LEARN)]
    chip.load_rule(rule)
    chip.execute_program(learn)
    chip.enable_planes([1, 2])
    chip.execute_program(learn)
    chip.enable_planes([0, 1])
    with pytest.raises(tsu.HostError, match="loaded for 2 planes of the free role, which has 1 enabled now; load it again"):
        chip.start(learn)
    chip.run(1)
    chip.load_rule(rule, free_planes=2)
    chip.execute_program(learn)


def test_gain(chip: tsu.Chip, link: FakeLink) -> None:
    assert chip.set_gain(0.3) == chip.gain() == pytest.approx(0.3, abs=2**-31)
    assert link.chip["LEARN.GAIN"] == round(0.3 * 2**31)
    assert chip.set_gain(1) == 1
    for gain in (-0.1, 1.1, np.nan):
        with pytest.raises(tsu.HostError, match=r"gain = .*; 0 .. 1 is expected"):
            chip.set_gain(gain)
    for decay in (-0.1, 1.0, 1e-11, np.nan):
        with pytest.raises(tsu.HostError, match=r"gain_decay = .*; 0 or a fraction of 2.3e-10 .. 1"):
            chip.load_rule(UpdateRule((), ()), gain_decay=decay)


def test_weights_go_to_accumulators_and_codes(chip: tsu.Chip, link: FakeLink) -> None:
    """Codes are the accumulators rounded half up, as LEARN makes them, and at most the greatest; both couplers alike."""
    steps = np.array([0, 7, 8, -8, -9, 24, 2047, -2048, 2040, 2039, 1, -1])
    done = chip.set_weights((steps + 0.25) * STEP_J, np.full(9, 99.0))
    windows = link.chip.windows
    assert windows["LEARN_PAIR"].tolist() == steps.tolist()
    codes = np.minimum(np.floor((steps + 8) / 16), 127)
    assert codes[:6].tolist() == [0, 0, 1, 0, -1, 2]
    assert (windows["COUPLING"] == codes[chip.topology.pair_of]).all()
    assert (windows["LEARN_BIAS"] == 2047).all()
    assert (windows["BIAS"] == 31).all()
    assert (done.coupling_codes == windows["COUPLING"]).all()
    assert (done.clipped, done.residual_lsb) == (9 + 1, pytest.approx(0.25 / 16))
    weights = chip.weights()
    assert weights.pairs.tolist() == (steps * STEP_J).tolist()
    assert weights.biases.tolist() == [2047 * STEP_H] * 9
    assert weights.updates == (0, 0)
    for pairs, biases, message in (
        (np.zeros(11), np.zeros(9), r"couplings of pairs of shape \(11,\); \(12,\) is expected"),
        (np.zeros(12), np.zeros(8), r"biases of shape \(8,\); \(9,\)"),
        (np.full(12, np.nan), np.zeros(9), "value nan at index 0 is not finite"),
    ):
        with pytest.raises(tsu.HostError, match=message):
            chip.set_weights(pairs, biases)


def test_weights_of_a_program_under_way_tell_so(chip: tsu.Chip) -> None:
    chip.start([I(Opcode.LOOP, 0), I(Opcode.LEARN), I(Opcode.END)])
    first, last = chip.weights().updates
    assert last > first
    assert chip.stop()
    weights = chip.weights()
    assert weights.updates[0] == weights.updates[1] == chip.learning().updates


def test_status_and_freezing(chip: tsu.Chip, link: FakeLink) -> None:
    chip.write_register("LEARN.PAIR_RATE", 3 << 16)
    pairs, cells = np.arange(12) % 3 == 0, np.arange(9) == 4
    chip.freeze(pairs, cells)
    chip.write_register("LEARN.BIAS_RATE", 1 << 16)
    chip.execute_program([I(Opcode.LEARN), I(Opcode.LEARN)])
    weights = chip.weights()
    assert (weights.pairs == np.where(pairs, 0, 6 * STEP_J)).all()
    assert (weights.biases == np.where(cells, 0, 2 * STEP_H)).all()
    for name, value in (("CLIPPED", 4), ("SATURATED", 5), ("CHANGED", 6)):
        link.chip[f"LEARN.{name}"] = value
    assert chip.learning() == tsu.LearningStatus(2, 4, 5, 6, version=link.chip["LEARN.VERSION"], gain=1.0)
    chip.freeze()
    assert not link.chip.windows["FREEZE_PAIR"].any()
    for mask, message in (
        (np.zeros(12), "mask, bool of shape .12,.; got float64"),
        (np.zeros(9, bool), "mask, bool of shape .12,.; got bool of shape .9,."),
    ):
        with pytest.raises(tsu.HostError, match="pairs to freeze are a " + message):
            chip.freeze(mask)


def test_chips_without_an_engine() -> None:
    chip = tsu.Chip(FakeLink(FakeDaemon(FakeChip(replace(CAPABILITIES, learn_bits=0, hostmem_words=0)))))
    zeros = np.zeros(12), np.zeros(9)
    for call in (
        lambda: chip.load_rule(UpdateRule((), ())),
        lambda: chip.set_gain(1),
        chip.gain,
        chip.learning,
        chip.weights,
        lambda: chip.set_weights(*zeros),
        chip.freeze,
        lambda: chip.execute_program([I(Opcode.LEARN)]),
    ):
        with pytest.raises(tsu.HostError, match=r"no learning engine \(CAP.LEARN_BITS is 0\)"):
            call()
    for call in (lambda: chip.execute_program([I(Opcode.CLAMP_NEXT, 1)]), lambda: chip.stream(np.ones((1, 9)), planes=1)):
        with pytest.raises(tsu.HostError, match=r"reads no host memory \(CAP.HOSTMEM_WORDS is 0\)"):
            call()
    chip.program_couplings()
    chip.run(1)
    chip.verify_weights()
