"""Ten mistakes that emulators of analog samplers make. Each has a check here that the chip passes and that catches the mistake
when
it is made, by a wrong implementation in the test or put in the place of the chip's own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chip.test_every_effect import at, everything, execute, life, mux, window
from serving import config, records
from tsu_contract.operations import Op
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_contract.registers import REGISTERS, WINDOWS, access_table
from tsu_driver.couplings import quantise
from tsu_emu import state as S
from tsu_emu.analog import langevin
from tsu_emu.analog.dac import make_bank, output
from tsu_emu.chip import Chip
from tsu_emu.chip.drifting import Drifting
from tsu_emu.chip.surroundings import Surroundings
from tsu_emu.chip.windows import WindowPort
from tsu_emu.config import Adc, Dac
from tsu_emu.digital import words as W
from tsu_emu.noise.streams import Stream

Floats = NDArray[np.float64]


def run(chip: Chip, sweeps: int, cycle: int = 0) -> None:
    """Sweeps that begin at a cycle or soon."""
    program = [Instruction(Opcode.RUN, sweeps), Instruction(Opcode.STROBE), Instruction(Opcode.HALT)]
    rows = [(Op.DELAY_UNTIL, 0, 0, 0, cycle), (Op.WRITE, at("SEQ.PC"), 0, 0, 0), (Op.WRITE, at("SEQ.CTRL"), 1, 0, 0),
            (Op.WAIT, at("SEQ.STATUS"), W.HALTED, 0xFF, 1 << 40)]  # fmt: skip
    execute(chip, [window("PROGRAM", assemble(program)), *((row, None) for row in rows)])


def written(chip: Chip, coupling: Any, bias: Any) -> Chip:
    """The chip with these codes."""
    cap = chip.capabilities
    for name, codes, n in (("COUPLING", coupling, cap.couplers), ("BIAS", bias, cap.cells * cap.terms)):
        execute(chip, [window(name, np.broadcast_to(np.asarray(codes, "<i2"), n).copy())])
    return chip


def spins(chip: Chip) -> NDArray[np.int8]:
    """(planes, cells) as last strobed."""
    planes, cells = chip.capabilities.planes, chip.capabilities.cells
    words = chip.state.scan[np.arange(planes) // 64]
    return (2 * (words >> (np.arange(planes) % 64).astype(np.uint64)[:, None] & np.uint64(1)).astype(np.int8) - 1)[:, :cells]


# 1

H_STEP, CHAINS = 0.5, 64 * 128


def harmonic(step: Callable[[Floats, Any], Floats] | None) -> float:
    """Variance of harmonic cells at T = 1, a = 1 after 60 steps of half a time constant, by a step or by the chip's kernel."""
    rng = np.random.default_rng(3)
    if step is not None:
        x = np.zeros(CHAINS)
        for _ in range(60):
            x = step(x, rng)
        return float(x.var())
    x, zero = np.zeros((64, 128)), np.zeros(128)
    cells = langevin.Quartic(np.ones(128), zero, zero, zero, 1e3, 1, H_STEP)
    net = np.zeros(129, np.int64), np.zeros(0, np.uint32), np.zeros(0)
    key = np.array([5, 0, Stream.LANGEVIN], np.uint32)
    langevin.live(x, cells, net, np.zeros(128, np.bool_), np.ones(64), np.arange(64), 0, 60, key)
    return float(x.var())


def test_mistake_1_noise_scaled_with_dt_or_a_coarse_euler_step() -> None:
    """Equipartition, <x^2> = 1 to five standard errors, 5 sqrt(2 / n) = 8 %. Euler gives 1 / (1 - h / 2) = 4/3."""

    def is_boltzmann(variance: float) -> bool:
        return bool(abs(variance - 1) < 5 * np.sqrt(2 / CHAINS))

    assert is_boltzmann(harmonic(None))
    assert not is_boltzmann(harmonic(lambda x, rng: x - H_STEP * x + np.sqrt(2 * H_STEP) * rng.normal(size=x.size)))
    assert not is_boltzmann(harmonic(lambda x, rng: x - 0.5 * H_STEP * x + 2 * H_STEP * rng.normal(size=x.size)))


# 2


def test_mistake_2_quantising_without_saturation_or_as_if_codes_were_symmetric() -> None:
    """The output for a wanted value lies no farther from it than half a step, or than the end of the range does; codes -128 ..
    127."""
    bank = make_bank(Dac(), True, 1, 1, Stream.COUPLING_DAC)
    wanted = np.concatenate((np.linspace(-4, 4, 2001), [2.0, -2.0, 127.5 / 64, -129 / 64]))

    def is_right(codes: NDArray[Any]) -> bool:
        inside = bool(np.all((codes >= -128) & (codes <= 127)))
        best = np.clip(wanted, -2.0, 2.0 - 1 / 64)
        seen = np.array([output(bank, 0, int(np.clip(c, -128, 127))) for c in codes])
        return inside and bool(np.all(np.abs(seen - best) <= 0.5 / 64 + 1e-12))

    codes = quantise(wanted, 1 / 64, 8)
    assert is_right(codes.codes)
    assert codes.clipped == np.count_nonzero((wanted < -2) | (wanted > 2 - 1 / 64)) > 0
    wrapped = np.rint(wanted * 64).astype(np.int64).astype(np.int8)
    symmetric = np.clip(np.rint(wanted * 64), -127, 127)
    unsaturated = np.clip(np.rint(wanted * 64), -128, 128)
    for wrong in (wrapped, symmetric, unsaturated):
        assert not is_right(wrong)


# 3 and 4

DRIFTS = {"ou_sigma": 0.3, "ou_tau_s": 0.02, "walk_per_sqrt_hour": 1.0, "flicker_rms": 0.1, "flicker_low_hz": 1.0}
HISTORIES: tuple[tuple[int, ...], ...] = ((), (5_000,), (40_000, 60_000, 90_000), tuple(range(5_000, 95_000, 5_000)))


def history_leaves_fields_alone() -> bool:
    """Whether fields at a cycle are the same whatever sweeps there were before, and after a second sweep in the same epoch."""
    after = []
    for history in HISTORIES:
        tables = {"clock": {"hz": 1_000_000}, "slow": {"epoch_cycles": 1024}, "cell": {"kind": "pbit", "offset_drift": DRIFTS}}
        chip = written(Chip(config({"kind": "dense", "cells": 9}, 2, **tables)), 30, 10)
        for cycle in (*history, 100_000, 100_200):
            run(chip, 1, cycle)
        after.append(chip.plant.bias.tobytes())
    return len(set(after)) == 1


def test_mistake_3_drift_advanced_per_call_or_redrawn_per_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert history_leaves_fields_alone()
    rng, calls = np.random.default_rng(0), {"n": 0}

    def redrawn(drifting: Drifting, epoch: int, age_s: float, pause: Any = None) -> Floats:
        return 0.3 * rng.normal(size=9) if drifting.on else np.zeros(1)

    def advanced(drifting: Drifting, epoch: int, age_s: float, pause: Any = None) -> Floats:
        calls["n"] += drifting.on
        return np.full(9, 1e-3 * calls["n"]) if drifting.on else np.zeros(1)

    for wrong in (redrawn, advanced):
        calls["n"] = 0
        monkeypatch.setattr(Drifting, "at", wrong)
        assert not history_leaves_fields_alone()


def test_mistake_4_exact_jumps_taken_for_independent_of_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    """A jump x rho + sqrt(1 - rho^2) xi from the last look, xi keyed by the epoch: right in law, another path for each
    history."""
    assert history_leaves_fields_alone()

    def jump(drifting: Any, epoch: int, age_s: float, pause: Any = None) -> Floats:
        if not drifting.on:
            return np.zeros(1)
        last, value = getattr(drifting, "last", (0, np.zeros(9)))
        if epoch != last:
            rho = np.exp(-(epoch - last) / 20)
            value = rho * value + np.sqrt(1 - rho * rho) * np.random.default_rng(epoch).normal(size=9)
        drifting.last = epoch, value
        result: Floats = 0.3 * value
        return result

    monkeypatch.setattr(Drifting, "at", jump)
    assert not history_leaves_fields_alone()


# 5


def drawn_apart(pairs: Floats) -> bool:
    """Whether two columns of n deviates are uncorrelated, to 5 / sqrt(n)."""
    return bool(abs(np.corrcoef(pairs.T)[0, 1]) < 5 / np.sqrt(len(pairs)))


def both_directions(chip: Chip) -> Floats:
    """(pairs, 2) gains of the couplers of i from j and of j from i."""
    t = chip.plant.topology
    target = np.repeat(np.arange(len(t.row) - 1), np.diff(t.row))
    gain = {(int(i), int(j)): float(k) for i, j, k in zip(target, t.source, chip.plant.die.kappa, strict=True)}
    return np.array([(gain[i, j], gain[j, i]) for i, j in gain if i < j])


def test_mistake_5_one_mismatch_for_both_directions_or_one_capacitor_array_for_all_converters() -> None:
    chip = Chip(
        config(
            {"kind": "dense", "cells": 60},
            1,
            coupling={"gain_sigma": 0.05},
            adc={"count": 2, "bits": 12, "capacitor_sigma": 0.02},
        )
    )
    pairs = both_directions(chip)
    assert drawn_apart(pairs)
    assert not drawn_apart(pairs[:, [0, 0]])
    shared = Chip(config({"kind": "dense", "cells": 60}, 1, coupling={"pair_gain_sigma": 0.05}))
    assert not drawn_apart(both_directions(shared))
    errors = chip.converters.bank.weights / 2.0 ** np.arange(12)[:, None] - 1

    def own_arrays(one: Floats, other: Floats) -> bool:
        return bool(np.all(one != other))

    assert own_arrays(errors[:, 0], errors[:, 1])
    assert not own_arrays(errors[:, 0], errors[:, 0])


STATES = 2.0 * ((np.arange(4)[:, None] >> np.arange(2)) & 1) - 1.0


def sweep_matrix(J: Floats, order: list[int], together: bool = False) -> Floats:
    """(4, 4) transition matrix, rows from, of a sweep of two cells; J[i, j] is what i hears of j."""
    matrix = np.eye(4)
    steps = [order] if together else [[i] for i in order]
    for cells in steps:
        step = np.zeros((4, 4))
        for k, s in enumerate(STATES):
            up = 1 / (1 + np.exp(-2 * J @ s))
            for n, new in enumerate(STATES):
                changed = np.prod([up[i] if new[i] > 0 else 1 - up[i] for i in cells])
                step[k, n] = changed if all(new[i] == s[i] for i in range(2) if i not in cells) else 0.0
        matrix = matrix @ step
    return matrix


def stationary(matrix: Floats) -> Floats:
    result: Floats = np.linalg.matrix_power(matrix, 4_000)[0]
    return result


def boltzmann(J: Floats) -> Floats:
    weight = np.exp(0.5 * np.einsum("ki,ij,kj->k", STATES, (J + J.T) / 2, STATES))
    result: Floats = weight / weight.sum()
    return result


def sampled_pair(J: Floats, n: int = 200) -> Floats:
    """(4,) relative frequencies of the states of two coupled cells in 256 planes, ten sweeps apart."""
    chip = Chip(config({"kind": "edges", "cells": 2, "pairs": [[0, 1]]}, 256))
    written(chip, np.rint(64 * np.array([J[0, 1], J[1, 0]])), 0)
    count = np.zeros(4)
    for _ in range(n):
        run(chip, 10)
        count += np.bincount((spins(chip) > 0) @ [1, 2], minlength=4)
    return count / count.sum()


def fits(frequencies: Floats, law: Floats, n: int = 200 * 256) -> bool:
    """Every frequency to five binomial standard errors; the second eigenvalue to the tenth is below .002, so n are
    independent."""
    return bool(np.all(np.abs(frequencies - law) < 5 * np.sqrt(law * (1 - law) / n)))


def test_mistake_5_an_asymmetric_chip_held_against_boltzmann() -> None:
    """J_01 = 1/4, J_10 = 7/8: no energy has this law, its own sweep does."""
    J = np.array([[0.0, 0.25], [0.875, 0.0]])
    seen = sampled_pair(J)
    laws = [stationary(sweep_matrix(J, order)) for order in ([0, 1], [1, 0])]
    assert sum(fits(seen, law) for law in laws) == 1
    assert not fits(seen, boltzmann(J))
    symmetric = np.array([[0.0, 0.5], [0.5, 0.0]])
    assert fits(sampled_pair(symmetric), boltzmann(symmetric))


# 6


def test_mistake_6_coupled_cells_updated_together() -> None:
    """Two cells at J = 1/2: a sweep of one after the other keeps the Boltzmann law, of both at once makes them independent."""
    J = np.array([[0.0, 0.5], [0.5, 0.0]])
    seen = sampled_pair(J)
    assert fits(seen, boltzmann(J))
    assert fits(seen, stationary(sweep_matrix(J, [0, 1])))
    assert not fits(seen, stationary(sweep_matrix(J, [0, 1], together=True)))


def asynchronous_pair(synapse_s: float) -> Floats:
    """(4,) frequencies of two asynchronous cells at J = 1, tau = 1 us, in 256 planes, each 40 us."""
    cell = {"kind": "async-pbit", "tau_s": 1e-6, "synapse_s": synapse_s}
    tables = {"cell": cell, "clock": {"hz": 1_000_000}, "timing": {"slot": 0, "colour": 4}}
    chip = written(Chip(config({"kind": "edges", "cells": 2, "pairs": [[0, 1]]}, 256, **tables)), 64, 0)
    count = np.zeros(4)
    for _ in range(200):
        run(chip, 10)
        count += np.bincount((spins(chip) > 0) @ [1, 2], minlength=4)
    return count / count.sum()


def test_mistake_6_no_delay_in_the_synapse() -> None:
    """Without delay two cells at J = 1 have their Boltzmann law; a synapse as slow as its cell visibly not."""
    J = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert fits(asynchronous_pair(0.0), boltzmann(J))
    slow = asynchronous_pair(1e-6)
    assert not fits(slow, boltzmann(J))
    assert 0.5 * np.abs(slow - boltzmann(J)).sum() > 0.02


# 7


def is_static(reading: Callable[[int], float]) -> bool:
    """Whether a converter's errors are the same in two passes over its codes, not zero, and no less after averaging 100
    passes."""
    codes = range(-128, 128)
    first, second = (np.array([reading(c) - c / 64 for c in codes]) for _ in range(2))
    mean = np.mean([[reading(c) - c / 64 for c in codes] for _ in range(100)], axis=0)
    return bool(first.std() > 0 and np.array_equal(first, second) and mean.std() > 0.99 * first.std())


def test_mistake_7_inl_as_noise() -> None:
    bank, rng = make_bank(Dac(element_sigma=0.03), True, 1, 4, Stream.COUPLING_DAC), np.random.default_rng(1)
    assert is_static(lambda code: output(bank, 0, code))
    assert not is_static(lambda code: code / 64 + 0.01 * rng.normal())
    assert not is_static(lambda code: code / 64)


# 8


def argument(tdac: int, codes: tuple[int, int], **tables: Any) -> Floats:
    """(cells,) I / T that cells see with all neighbours up, from the fields and the noise temperature; tdac in 1/64."""
    offset = {"cell": {"kind": "pbit", "offset_sigma_kt": 0.2, "offset_tc_kt_per_k": 0.0}}
    chip = written(Chip(config({"kind": "dense", "cells": 12}, 1, **{**offset, **tables})), *codes)
    execute(chip, [((Op.WRITE, at("TEMP.TDAC"), tdac, 0, 0), None)])
    run(chip, 1, 1 << 20)
    plant = chip.plant
    scale = plant.temperature[0] * output(plant.die.temperature, 0, tdac) + plant.temperature[1]
    field: Floats = (plant.base + np.add.reduceat(plant.doubled, plant.topology.row[:-1])) / plant.die.scale / scale
    return field


def test_mistake_8_temperature_as_a_mere_division() -> None:
    """T = 2 halves what a cell hears *and* its offset; half the codes at T = 1 leave the offset whole. A warm die moves both
    temperature and gain: dividing by the code's T alone is wrong by what the coefficients say, here 6 %, the grid's rounding
    1e-4.
    """
    hot, halved = argument(128, (40, 20)), argument(64, (20, 10))
    offsets = argument(64, (0, 0))
    assert np.allclose(hot, argument(64, (40, 20)) / 2, atol=1e-4)
    assert np.allclose(halved - hot, offsets / 2, atol=1e-4)
    assert np.abs(offsets).max() > 0.1
    warm = {"thermal": {"ambient_k": 330.0}, "temperature": {"tc_per_k": 1e-3}, "coupling": {"dac": {"gain_tc_per_k": -1e-3}}}
    cold, seen = argument(64, (40, 0)), argument(64, (40, 0), **warm)
    assert np.allclose(seen, ((cold - offsets) * 0.97 + offsets) / 1.03, atol=1e-4)
    assert not np.allclose(seen, cold, atol=0.03)


# 9


def readable(chip: Chip) -> list[Any]:
    """All that the pins show of a chip at rest: every register but the sensor and the serial number, every window."""
    names = [n for n in REGISTERS if n not in ("TEMP.SENSOR", "CAP.SERIAL_LOW", "CAP.SERIAL_HIGH")]
    words = [(n, k) for n in names for k in range(REGISTERS[n].count) if access_table().read[access_table().word(n, k)]]
    values = chip.execute(records([(Op.READ, at(n, k), 0, 0, 0) for n, k in words])).values.tolist()
    windows = [
        ((Op.BLKRD, w.address, 0, 0, chip.capabilities.words(w)), None) for w in WINDOWS.values() if chip.capabilities.words(w)
    ]
    return [values, *execute(chip, windows)]


def test_mistake_9_calibration_that_could_read_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two dies of one type, programmed alike and not yet run, cannot be told apart but by measuring."""

    def looks_alike() -> bool:
        dies = [written(Chip(everything("pbit", seeds={"die": n, "run": 1})), 30, 10) for n in (1, 2)]
        assert np.any(dies[0].plant.bias != dies[1].plant.bias)
        return readable(dies[0]) == readable(dies[1])

    assert looks_alike()
    real = WindowPort.read

    def leaky(port: WindowPort, address: int, words: int) -> bytes:
        truth = port._plant.bias[: 2 * words].astype("<i2").tobytes()
        return truth if address == WINDOWS["BIAS"].address else real(port, address, words)

    monkeypatch.setattr(WindowPort, "read", leaky)
    assert not looks_alike()


def test_mistake_9_trims_without_end_or_of_infinite_resolution() -> None:
    """The best of 128 offset trims leaves up to half a step of 1/8 LSB, or, beyond 64 steps, all the rest."""

    def residual(offset_lsb: float) -> float:
        return float(np.abs(offset_lsb + Adc().trim_offset_lsb * np.arange(-64, 64)).min())

    assert residual(0.0625) == 0.0625
    assert residual(20.0) == 12.0
    adc = {"count": 1, "bits": 10, "offset_sigma_lsb": 32.0}
    dies = (Chip(config({"kind": "dense", "cells": 2}, 1, adc=adc, seeds={"die": n, "run": 1})) for n in range(1, 99))
    chip = next(die for die in dies if 12 < abs(die.converters.bank.offset[0]) < 40)
    offset = float(chip.converters.bank.offset[0])
    best = residual(offset)
    assert best > 3
    seen = []
    for trim in (-64, 63):
        program = window("PROGRAM", assemble([Instruction(Opcode.ADC_CAPTURE, 2), Instruction(Opcode.HALT)]))
        rows = [(Op.WRITE, WINDOWS["ADC_TRIM"].address, trim & 0xFFFF, 0, 0), (Op.WRITE, at("ADC.MUX"), mux("REF_HIGH", 0), 0, 0),
                (Op.WRITE, at("SEQ.PC"), 0, 0, 0), (Op.WRITE, at("SEQ.CTRL"), 1, 0, 0), (Op.DELAY, 0, 0, 0, 200),
                (Op.BLKRD, WINDOWS["ADC_DATA"].address, 0, 0, 1)]  # fmt: skip
        seen.append(float(np.frombuffer(execute(chip, [program, *((row, None) for row in rows)])[0], "<u2")[0]) - 960)
    assert min(abs(x) for x in seen) == pytest.approx(best, abs=1)
    with pytest.raises(Exception, match="ADC_TRIM"):
        execute(chip, [((Op.WRITE, WINDOWS["ADC_TRIM"].address, 64, 0, 0), None)])


# 10


def test_mistake_10_statistics_that_take_correlated_samples_for_independent() -> None:
    """Two cells at J = 5/4 remember: the spread of 256 planes' means is that of n (1 - r) / (1 + r) samples, not of n.

    The ratio of variances is known to 5 sqrt(2 / 256) = 44 %; the naive one is several times too large.
    """
    chip = Chip(config({"kind": "edges", "cells": 2, "pairs": [[0, 1]]}, 256))
    written(chip, 80, 0)
    run(chip, 50)
    series = []
    for _ in range(300):
        run(chip, 1)
        series.append(spins(chip)[:, 0].astype(np.float64))
    x = np.array(series)
    r = np.tanh(80 / 64) ** 2
    naive, effective = (x.mean(axis=0).var() * n for n in (300, 300 * (1 - r) / (1 + r)))
    assert abs(effective - 1) < 5 * np.sqrt(2 / 256)
    assert naive > 3


def test_mistake_10_host_time_driving_physics(monkeypatch: pytest.MonkeyPatch) -> None:
    """A life with pauses of the host is the same life; a sensor that followed the host's clock would be noticed."""

    def lives_alike() -> bool:
        digests = []
        for pause in (0.0, 0.02):
            chip = Chip(everything("pbit"))
            for step in life(chip)[:20]:
                time.sleep(pause)
                execute(chip, [step])
            execute(chip, [((Op.READ, at("TEMP.SENSOR"), 0, 0, 0), None)])
            digests.append(S.digest(chip.state))
        return digests[0] == digests[1]

    assert lives_alike()
    monkeypatch.setattr(Surroundings, "sensor_code", lambda *_: time.monotonic_ns() >> 10 & 0xFFFF)
    assert not lives_alike()


def test_mistake_10_a_global_generator() -> None:
    """Switching p-bit offsets on leaves coupler gains as they were; a generator that all share does not."""

    def keeps_gains(gains: Callable[[bool], Floats]) -> bool:
        return np.array_equal(gains(False), gains(True))

    def own(offsets: bool) -> Floats:
        cell = {"kind": "pbit", "offset_sigma_kt": 0.2 if offsets else 0.0}
        return Chip(config({"kind": "dense", "cells": 9}, 1, coupling={"gain_sigma": 0.05}, cell=cell)).plant.die.kappa

    def shared(offsets: bool) -> Floats:
        rng = np.random.default_rng(1)
        if offsets:
            rng.normal(size=9)
        return 1 + 0.05 * rng.normal(size=72)

    assert keeps_gains(own)
    assert not keeps_gains(shared)
