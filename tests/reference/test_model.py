"""The reference alone: published answers, exact values, and the distribution of an ideal chip."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtri

from tsu_contract.program import Instruction, Opcode, assemble
from tsu_emu.config import parse

from . import noise
from .analog import build_analog, decide, flip_threshold, opposite
from .configs import random_config
from .generate import random_scenario
from .harness import Reference, compare
from .model import ReferenceChip
from .operations import OperationList
from .topology import build_graph, colour_cells


def config_of(topology: dict[str, Any], planes: int = 1, **rest: Any) -> Any:
    return parse({"name": "small", "fabric": {"planes": planes, "topology": topology}, **rest})


def send(chip: ReferenceChip, operations: OperationList) -> Any:
    (message,) = operations.cut([])
    return chip.execute(message.records, message.payloads)


def program_of(*instructions: tuple[Opcode, int]) -> bytes:
    return bytes(assemble([Instruction(*i) for i in instructions]).astype("<u8").tobytes())


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (0, (0x531C7E4F, 0x39491EE5, 0x2C855A92, 0x3D6ABF9A)),
        (0xFFFFFFFF, (0xC4189358, 0x1C9CC83A, 0xD5881C67, 0x6A0A89E0)),
    ],
)
def test_threefry_gives_the_published_answers(word: int, expected: noise.Words) -> None:
    assert noise.threefry((word,) * 4, (word,) * 4) == expected


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0,) * 4, (0,) * 4, (0x8D73EE19, 0x506401EF, 0x13C2DBE4, 0x0CBE9C0D)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0, 0x082EFA98, 0xEC4E6C89),
            (0xA516E7D6, 0x8357AD74, 0x5B59B3EC, 0x8763FFF3),
        ),
    ],
)
def test_ars_gives_the_published_answers(counter: noise.Words, key: noise.Words, expected: noise.Words) -> None:
    """Ten rounds; the chip takes five."""
    assert noise.ars(key, counter, 10) == expected


def test_normal_deviates_are_quantiles() -> None:
    words = [(0, 0), (0xFFFFFFFF, 0xFFFFFFFF), (1, 0), (0x80000000, 0)]
    words += [noise.draw(7, 6, (e, 0, 0, 0))[:2] for e in range(2000)]
    for a, b in words:
        m = a << 20 | b >> 12
        u = (2 * m + 1) * 2.0**-53
        tail = min(u, 1.0 - u)
        expected = float(ndtri(tail)) * (1 if u < 0.5 else -1)
        assert noise.normal_of(a, b) == pytest.approx(expected, rel=1e-14, abs=1e-15)


def test_logarithm_is_close_to_the_true_one() -> None:
    for x in (2.0**-53, 1e-9, 0.1, 0.3535533905932738, 0.5, 0.7071067811865476, 0.999):
        assert noise.logarithm(x) == pytest.approx(math.log(x), rel=1e-15)


def test_two_colours_where_they_suffice() -> None:
    assert colour_cells([{3}, {3}, set(), {0, 1}]) == [0, 0, 0, 1]
    assert colour_cells([{1, 2}, {0, 2}, {0, 1}, {4}, {3}]) == [0, 1, 2, 0, 1]


def test_grid_rule_couples_four_rotations() -> None:
    graph = build_graph(config_of({"kind": "grid", "width": 5, "height": 5, "rules": [[1, 2]]}))
    centre = 12
    assert graph.source[graph.row[centre] : graph.row[centre + 1]] == [1, 9, 15, 23]


def test_fields_of_an_ideal_chip_are_exact() -> None:
    chip = ReferenceChip(config_of({"kind": "dense", "cells": 3}))
    chip.fabric.write_codes([127, -128, 64, 1, 0, -1], [5, -128, 127], 0)
    scale = 2.0**-chip.fabric.analog.k
    for spins in itertools.product((1, -1), repeat=3):
        chip.fabric.spins[0] = list(spins)
        a, b, c = spins
        expected = [127 * b - 128 * c + 5, 64 * a + c - 128, 0 * a - b + 127]
        assert [chip.fabric.field(0, i) * scale for i in range(3)] == [e * 2.0 / 128 for e in expected]


def test_fields_stay_exact_integers_of_float32() -> None:
    for seed in range(30):
        config = parse(random_config(random.Random(seed)))
        chip = ReferenceChip(config)
        graph, analog = chip.fabric.graph, chip.fabric.analog
        for i in range(graph.cells):
            codes = (-(2 ** (config.coupling.dac.bits - 1)), 2 ** (config.coupling.dac.bits - 1) - 1)
            couplers = range(graph.row[i], graph.row[i + 1])
            largest = sum(max(abs(analog.coupling_field(e, i, code)) for code in codes) for e in couplers)
            ends = (-(2 ** (config.bias.dac.bits - 1)), 2 ** (config.bias.dac.bits - 1) - 1)
            largest += max(abs(analog.bias_field(i, code)) for code in ends)
            assert largest < 2**24


def test_flip_follows_the_logistic_curve() -> None:
    words = range(0, 1 << 32, 1 << 20)
    for x in (-6.0, -1.0, -0.25, 0.0, 0.3, 2.0, 9.0):
        up = sum(decide(np.float32(x), 1, word) > 0 for word in words)
        assert abs(up / len(words) - 1 / (1 + 2**x)) <= 2 / len(words)


def test_flip_threshold_is_the_logistic_curve_to_24_bits() -> None:
    for x in (-20.0, -3.7, -0.5, 0.0, 0.1, 4.2, 11.0):
        exact = 2.0**24 / (1 + 2.0 ** float(np.float32(x)))
        assert abs(flip_threshold(np.float32(x), 1) - exact) <= 2


def test_ideal_chip_samples_the_boltzmann_distribution() -> None:
    planes, rounds, spacing = 64, 25, 8
    couplings, biases = {(0, 1): 40, (0, 2): -30, (1, 2): 55}, [20, -10, 35]
    chip = ReferenceChip(config_of({"kind": "dense", "cells": 3}, planes))
    codes = [couplings[min(e), max(e)] for e in zip(chip.fabric.graph.target, chip.fabric.graph.source, strict=True)]
    operations = OperationList()
    operations.write_burst("COUPLING", 0, np.array(codes, "<i2").tobytes())
    operations.write_burst("BIAS", 0, np.array([*biases, 0], "<i2").tobytes())
    program = program_of((Opcode.RUN, 20), (Opcode.LOOP, 1000), (Opcode.RUN, spacing), (Opcode.IRQ, 0), (Opcode.END, 0))
    operations.write_burst("PROGRAM", 0, program)
    operations.write("SEQ.CTRL", 1)
    send(chip, operations)
    counts: dict[tuple[int, ...], int] = {}
    for _ in range(rounds):
        operations = OperationList()
        operations.write("IRQ.PENDING", 31)
        operations.wait("IRQ.PENDING", 2, 2, 100_000)
        assert send(chip, operations).failure is None
        for row in chip.fabric.spins:
            counts[tuple(row)] = counts.get(tuple(row), 0) + 1
    lsb = 2.0 / 128
    weights = {}
    for s in itertools.product((1, -1), repeat=3):
        energy = -sum(code * lsb * s[i] * s[j] for (i, j), code in couplings.items())
        energy -= sum(code * lsb * s[i] for i, code in enumerate(biases))
        weights[s] = math.exp(-energy)
    total, samples = sum(weights.values()), planes * rounds
    for s, weight in weights.items():
        p = weight / total
        assert abs(counts.get(s, 0) / samples - p) < 5 * math.sqrt(p * (1 - p) / samples)


def test_link_costs_what_the_table_says() -> None:
    chip = ReferenceChip(config_of({"kind": "dense", "cells": 4}))
    timing = chip.timing
    operations = OperationList()
    operations.read("SYS.CYCLE")
    assert send(chip, operations).values == [timing.issue + timing.access]
    assert chip.link == timing.issue + timing.access + timing.return_
    before = chip.link
    operations = OperationList()
    operations.write_burst("BIAS", 0, bytes(8))
    operations.read("SYS.CYCLE")
    acts = before + timing.issue + timing.burst_setup + 2 * timing.dac_beat + timing.access
    assert send(chip, operations).values[1] == acts + timing.access
    operations = OperationList()
    operations.wait("FABRIC.STATUS", 1, 1, 1000)
    send(chip, operations)
    assert chip.link == acts + timing.settle + timing.return_


@pytest.mark.parametrize(("most", "fails"), [(13, True), (14, False)])
def test_wait_sees_its_last_cycle(most: int, fails: bool) -> None:
    timing = {"issue": 0, "access": 0, "return": 0, "dac_beat": 0, "settle": 14}
    chip = ReferenceChip(config_of({"kind": "dense", "cells": 2}, timing=timing))
    operations = OperationList()
    operations.write_word("BIAS", 0, 0)
    operations.wait("FABRIC.STATUS", 1, 1, most)
    outcome = send(chip, operations)
    assert (outcome.failure is not None) == fails
    assert outcome.t_end == most


def test_reset_abandons_a_sweep_and_counts_it() -> None:
    chip = ReferenceChip(config_of({"kind": "dense", "cells": 4}, timing={"slot": 50}))
    operations = OperationList()
    operations.write_burst("PROGRAM", 0, program_of((Opcode.RUN, 5), (Opcode.HALT, 0)))
    operations.fence()
    operations.write("SEQ.CTRL", 1)
    operations.delay(100)
    operations.write("SYS.CTRL", 1)
    operations.delay(1000)
    for name in ("FABRIC.SWEEP", "SEQ.STATUS", "SEQ.SWEEPS_LEFT", "FABRIC.PLANE_ENABLE", "MON.PHYS_TIME"):
        operations.read(name)
    since_start = 100 + chip.timing.issue
    assert send(chip, operations).values[-5:] == [1, 0, 0, 1, since_start - 2 * chip.timing.instruction]


def test_energies_and_physical_time_by_hand() -> None:
    """Two sweeps of 4 colours and 3 planes: 2 (1 + 4 x 3) cycles, 24 updates; 12 cells latched; 12 + 2 codes; 5e4 fJ a cycle."""
    energy = {"update_aj": 1500, "read_aj": 7, "write_aj": 10**12, "conversion_aj": 5, "standby_w": 5e-3}
    chip = ReferenceChip(config_of({"kind": "dense", "cells": 4}, 3, energy=energy))
    operations = OperationList()
    operations.write_burst("COUPLING", 0, bytes(24))
    operations.write_word("BIAS", 1, 0)
    operations.write_burst("PROGRAM", 0, program_of((Opcode.RUN, 2), (Opcode.STROBE, 0), (Opcode.HALT, 0)))
    operations.write("SEQ.CTRL", 1)
    operations.wait("SEQ.STATUS", 2, 0xFF, 1000)
    for part in ("PHYS_TIME", "ENERGY_UPDATE", "ENERGY_READ", "ENERGY_ADC", "ENERGY_WRITE"):
        operations.read(f"MON.{part}")
    operations.read("MON.ENERGY_WRITE", high=True)
    operations.read("MON.ENERGY_STANDBY")
    operations.read("SYS.CYCLE")
    values, timing = send(chip, operations).values[-8:], chip.timing
    assert values[:4] == [26, 36, 0, 0]
    assert values[4] | values[5] << 32 == 14 * 10**9
    assert values[6] == 50_000 * (values[7] - timing.issue - timing.access - timing.return_)
    now = 10**18
    parts = chip.fabric.ledger.femtojoules(now)
    assert parts["MON.ENERGY_STANDBY"] == now * 50_000 % 2**64
    assert parts["MON.ENERGY"] == (36 + 14 * 10**9 + now * 50_000) % 2**64


def test_stuck_bits_are_as_many_as_expected_and_hold() -> None:
    """1,056 DACs of 8 bits, p = .05: as many as binomial within 5 s.e., half of them at 1; a stuck bit's value never changes."""
    chip = ReferenceChip(config_of({"kind": "dense", "cells": 33}, coupling={"dac": {"stuck_bit_probability": 0.05}}))
    dacs = chip.fabric.analog.coupling
    stuck = [value for dac in dacs for value in dac.stuck if value is not None]
    trials = 8 * len(dacs)
    assert abs(len(stuck) - 0.05 * trials) < 5 * math.sqrt(0.05 * 0.95 * trials)
    assert abs(sum(stuck) - len(stuck) / 2) < 5 * math.sqrt(len(stuck)) / 2
    assert all(dac.stuck == [None] * 8 for dac in chip.fabric.analog.bias)
    top = next(dac for dac in dacs if dac.stuck[7] is not None and dac.stuck[:7] == [None] * 7)
    assert (top.output(-128), top.output(-1)) == (top.output(0), top.output(127))
    whole = next(dac for dac in dacs if dac.stuck == [None] * 8)
    assert (whole.output(-128), whole.output(0)) == pytest.approx((-2.0, 0.0))


def test_stuck_cells_stay_where_they_are_from_the_first_sweep_on() -> None:
    """Clamped the other way in all planes, and run."""
    for spin, where in ((-1, "down"), (1, "up")):
        chip = ReferenceChip(config_of({"kind": "dense", "cells": 6}, 9, cell={"kind": "pbit", "dead": {where: 0.5}}))
        stuck = chip.fabric.stuck
        assert 0 < len(stuck) < 6
        assert set(stuck.values()) == {spin}
        assert {row[i] for row in chip.fabric.spins for i in stuck} == {-1, 1}
        operations = OperationList()
        operations.write_burst("CLAMP_MASK", 0, np.full(9, 0x3F, "<u4").tobytes())
        operations.write_burst("CLAMP_VALUE", 0, np.full(9, 0x3F if spin < 0 else 0, "<u4").tobytes())
        operations.write_burst("PROGRAM", 0, program_of((Opcode.RUN, 1), (Opcode.HALT, 0)))
        operations.write("SEQ.CTRL", 1)
        operations.wait("SEQ.STATUS", 2, 0xFF, 1000)
        send(chip, operations)
        assert all(row[i] == (spin if i in stuck else -spin) for row in chip.fabric.spins for i in range(6))


def test_directions_of_a_pair_share_its_gain_and_have_one_of_their_own_each() -> None:
    """66 pairs: equal bits with the common part alone; with both parts covariance s_pair^2 within 5 s.e."""
    graph = build_graph(config_of({"kind": "dense", "cells": 12}))
    other = [opposite(graph, e) for e in range(len(graph.source))]
    assert [other[f] for f in other] == list(range(len(other)))

    def gains(**coupling: float) -> list[float]:
        return build_analog(config_of({"kind": "dense", "cells": 12}, coupling=coupling), graph).kappa

    common = gains(pair_gain_sigma=0.1)
    assert [common[f] for f in other] == common
    assert len(set(common)) == len(common) // 2
    both = np.array(gains(pair_gain_sigma=0.1, gain_sigma=0.1)) - 1
    forward, backward = np.array([(both[e], both[f]) for e, f in enumerate(other) if e < f]).T
    assert abs(np.mean(forward * backward) - 0.01) < 5 * 0.01 * math.sqrt(5 / len(forward))


def test_scenarios_depend_on_their_seed_alone() -> None:
    for seed in range(3):
        assert compare(random_scenario(seed), Reference, Reference) is None
    assert random_scenario(1).config != random_scenario(2).config
