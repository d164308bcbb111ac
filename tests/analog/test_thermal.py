"""Die temperature, the sensor's lag and the effective age, against the linear system's own solution; the sensor through its
register.

Die: dr_k/dt = (R_k P - r_k) / tau_k, T = T_ambient + r_0 + r_1; sensor: dy/dt = (T - y) / tau_s.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from serving import config, records
from tsu_contract.operations import Op
from tsu_contract.program import Instruction, Opcode, assemble
from tsu_contract.registers import WINDOWS, register
from tsu_emu.analog.thermal import BOLTZMANN_EV, heat_after, make_heat_model
from tsu_emu.chip import Chip
from tsu_emu.config import Energy, Thermal

Floats = NDArray[np.float64]
EPOCH_S = 1e-3
RESISTANCE, TAU, LAG, AMBIENT, STANDBY = (20.0, 15.0), (5e-3, 0.4), 0.1, 300.0, 0.2
USUAL: dict[str, Any] = {"r_th_k_per_w": RESISTANCE, "tau_s": TAU, "sensor_lag_s": LAG, "ageing_activation_ev": 0.7}
COLD = np.array([0.0, 0.0, AMBIENT, 0.0, STANDBY])


def after(heat: Floats, joules: float, epochs: int = 1, standby_w: float = STANDBY, **thermal: Any) -> Floats:
    """Rises, sensor, age and power, `joules` being spent in the first of the epochs."""
    model = make_heat_model(Thermal(**{**USUAL, **thermal}), Energy(standby_w=standby_w), EPOCH_S)
    out = np.empty(5)
    heat_after(model, heat, AMBIENT, joules, epochs, out)
    return out


def by_matrix(heat: Floats, power: float, seconds: float) -> Floats:
    """(r_0, r_1, sensor) after a time at constant power by the exponential of the system's matrix; the fourth coordinate is 1."""
    system = np.zeros((4, 4))
    for k in (0, 1):
        system[k, k], system[k, 3], system[2, k] = -1 / TAU[k], RESISTANCE[k] * power / TAU[k], 1 / LAG
    system[2, 2], system[2, 3] = -1 / LAG, AMBIENT / LAG
    result: Floats = (expm(system * seconds) @ np.array([*heat[:3], 1.0]))[:3]
    return result


POWERS = np.random.default_rng(2).uniform(0, 5, 300) * (np.arange(300) % 100 < 60)


def power_steps(**thermal: Any) -> tuple[Floats, Floats]:
    """(what the model makes of 300 epochs of changing power, what the matrix does), (300, 3)."""
    heat, expected, seen, right = COLD, COLD[:3], [], []
    for power in POWERS:
        heat = after(heat, power * EPOCH_S, **thermal)
        expected = by_matrix(expected, power + STANDBY, EPOCH_S)
        seen.append(heat[:3])
        right.append(expected)
    return np.array(seen), np.array(right)


def test_changing_power_heats_poles_and_sensor_as_the_linear_system_says() -> None:
    seen, right = power_steps()
    assert np.allclose(seen, right, rtol=1e-11, atol=1e-11)
    assert right[:, 0].max() > 20
    assert right[:, 2].max() > AMBIENT + 10


@pytest.mark.parametrize("wrong", [{"r_th_k_per_w": (20.0, 0.0)}, {"tau_s": (5e-3, 0.8)}, {"sensor_lag_s": 0.2}])
def test_a_lost_pole_and_wrong_time_constants_are_noticed(wrong: dict[str, Any]) -> None:
    seen, right = power_steps(**wrong)
    assert np.abs(seen - right).max() > 1


def test_after_a_power_step_the_die_and_its_age_follow_an_integration_in_small_steps() -> None:
    """Adaptive Runge-Kutta to 1e-10. Ageing takes the mean temperature of each epoch: the sum is off the integral by a small part
    of an epoch times the factor's whole rise, which is what the temperature at either end would err by."""

    def factor(die: Any) -> Any:
        return np.exp(0.7 / BOLTZMANN_EV * (1 / 300.0 - 1 / die))

    def flow(_: float, x: Floats) -> list[float]:
        die = AMBIENT + x[0] + x[1]
        poles = [(RESISTANCE[k] * 3.0 - x[k]) / TAU[k] for k in (0, 1)]
        return [*poles, (die - x[2]) / LAG, factor(die)]

    right = solve_ivp(flow, (0, 0.5), [*COLD[:3], 0.0], rtol=1e-10, atol=1e-12, method="DOP853").y[:, -1]
    heat = COLD
    for _ in range(500):
        heat = after(heat, (3.0 - STANDBY) * EPOCH_S)
    assert np.allclose(heat[:3], right[:3], rtol=1e-8)
    rise = EPOCH_S * (factor(AMBIENT + right[0] + right[1]) - 1)
    assert abs(heat[3] - right[3]) < 0.1 * rise
    assert right[3] > 10 * rise


def test_an_idle_stretch_is_the_same_in_one_call_and_in_many() -> None:
    """Rises, sensor and power to 1e-12; the age of a die that has settled too. Of one that still cools it is right to
    1 in 1,000."""
    hot = after(COLD, 5.0 * EPOCH_S)
    for _ in range(50):
        hot = after(hot, 5.0 * EPOCH_S)
    for start in (hot, after(COLD, 0.0, 100_000)):
        many = start
        for _ in range(2_000):
            many = after(many, 0.0)
        one = after(start, 0.0, 2_000)
        assert np.allclose(one[[0, 1, 2, 4]], many[[0, 1, 2, 4]], rtol=1e-12, atol=0)
        if start is hot:
            assert one[3] == pytest.approx(many[3], rel=1e-3)
            continue
        assert one[3] == pytest.approx(many[3], rel=1e-12)


def test_heat_that_comes_in_goes_out() -> None:
    """The area under the rise after a pulse of E joules is R E. By the trapezoidal rule on epochs of h it is off by (h / tau)^2 /
    12,
    and by less than h / tau x what the pulse's own epoch holds."""
    slow = {"tau_s": (0.05, 0.4)}
    heat = after(np.zeros(5), 2.0, standby_w=0.0, **slow)
    rises = [np.zeros(2), heat[:2]]
    for _ in range(12_000):
        heat = after(heat, 0.0, standby_w=0.0, **slow)
        rises.append(heat[:2])
    area = np.trapezoid(np.array(rises), dx=EPOCH_S, axis=0)
    bound = (EPOCH_S / np.array(slow["tau_s"])) ** 2
    assert np.all(np.abs(area / (2.0 * np.array(RESISTANCE)) - 1) < bound)
    assert np.all(np.abs(area / (2.0 * np.array(RESISTANCE) * 1.01) - 1) > bound)


# Through the chip

HZ, EPOCH = 1_000_000, 1024
SENSOR = register("TEMP.SENSOR").at()


def chip(seed: int = 1, **more: Any) -> Chip:
    """A chip of four cells whose epochs last 1.024 ms."""
    tables = {"clock": {"hz": HZ}, "slow": {"epoch_cycles": EPOCH}, "seeds": {"die": seed, "run": 3}, **more}
    return Chip(config({"kind": "dense", "cells": 4}, 64, **tables))


def sensed(c: Chip, cycles: list[int]) -> Floats:
    """TEMP.SENSOR in K at cycles, ascending."""
    rows = [row for t in cycles for row in ((Op.DELAY_UNTIL, 0, 0, 0, t), (Op.READ, SENSOR, 0, 0, 0))]
    result = c.execute(records(rows))
    assert result.failure is None
    return result.values[1::2] / 64.0


def test_the_sensor_shows_a_warming_die_with_its_lag() -> None:
    """Standby power heats from power-on; TEMP.SENSOR, in 1/64 K, is the sensor at the beginning of the epoch, to half a step."""
    c = chip(thermal={"r_th_k_per_w": RESISTANCE, "tau_s": TAU, "sensor_lag_s": LAG}, energy={"standby_w": 2.0})
    cycles = [k * 31_000 + 5 for k in range(40)]
    right = np.array([by_matrix(COLD, 2.0, t // EPOCH * EPOCH / HZ)[2] for t in cycles])
    assert np.abs(sensed(c, cycles) - right).max() <= 0.5 / 64 + 1e-9
    assert right[-1] > AMBIENT + 60
    hasty = chip(thermal={"r_th_k_per_w": RESISTANCE, "tau_s": TAU, "sensor_lag_s": LAG / 2}, energy={"standby_w": 2.0})
    assert np.abs(sensed(hasty, cycles) - right).max() > 1


def working(**more: Any) -> tuple[float, float]:
    """(rise that the sensor shows, rise by mean power) of a chip that has worked for twenty time constants."""
    c = chip(
        thermal={"r_th_k_per_w": (1000.0, 0.0), "tau_s": (0.01, 1.0), "sensor_lag_s": 1e-4}, energy={"update_aj": 10**9}, **more
    )
    program = assemble([Instruction(Opcode.RUN, 10**6), Instruction(Opcode.HALT)]).tobytes()
    rows = [(Op.BLKWR, WINDOWS["PROGRAM"].address, 0, 0, len(program) // 4), (Op.WRITE, register("SEQ.CTRL").at(), 1, 0, 0)]
    assert c.execute(records(rows), [program]).failure is None
    rise = sensed(c, [200_000])[0] - AMBIENT
    return rise, 1000.0 * float(c.state.core["counts"][0, 0]) * 1e-9 / (c.link_time / HZ)


def test_work_heats_the_die() -> None:
    """Mean power times resistance, to a sensor step and the ripple of an epoch, h / tau of what an epoch's work varies by."""
    rise, expected = working(temperature={"tc_per_k": 1e-9})
    assert rise == pytest.approx(expected, abs=1 / 64 + 0.02 * expected)
    assert expected > 0.5


def test_work_heats_a_die_whose_parameters_do_not_depend_on_temperature() -> None:
    rise, expected = working()
    assert rise == pytest.approx(expected, abs=1 / 64 + 0.02 * expected)


def test_the_sensor_has_an_offset_for_each_die_and_noise_for_each_epoch() -> None:
    """150 dies and 2,000 epochs: standard deviations to 5 / sqrt(2 n), noise with the step's 1/64 / sqrt(12) in it."""
    offset = np.array([sensed(chip(seed, thermal={"sensor_offset_sigma_k": 2.0}), [10])[0] - AMBIENT for seed in range(1, 151)])
    assert abs(offset.std() / 2.0 - 1) < 5 / np.sqrt(300)
    assert all(abs(offset.std() / wrong - 1) > 5 / np.sqrt(300) for wrong in (1.0, 4.0))
    noisy = chip(thermal={"sensor_noise_k": 0.1})
    twice = sensed(noisy, [t for k in range(2_000) for t in (k * EPOCH + 100, k * EPOCH + 900)]).reshape(-1, 2)
    assert np.array_equal(twice[:, 0], twice[:, 1])
    sigma = np.hypot(0.1, 1 / 64 / np.sqrt(12))
    assert abs(twice[:, 0].std() / sigma - 1) < 5 / np.sqrt(4_000)
    assert all(abs(twice[:, 0].std() / wrong - 1) > 5 / np.sqrt(4_000) for wrong in (sigma / 2, 2 * sigma))
    assert abs(np.corrcoef(twice[:-1, 0], twice[1:, 0])[0, 1]) < 5 / np.sqrt(2_000)


def test_offset_and_noise_of_the_sensor_are_drawn_apart() -> None:
    c = chip(seed=3, thermal={"sensor_offset_sigma_k": 2.0, "sensor_noise_k": 2.0})
    offset = c.surroundings.sensor_offset_k
    assert sensed(c, [10])[0] - AMBIENT != pytest.approx(2 * offset, abs=0.5 / 64)
