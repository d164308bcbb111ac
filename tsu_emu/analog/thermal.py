"""Die temperature: ambient plus two poles, exact between epochs; the sensor's lag and the effective age follow it.

A pole is dr/dt = (R P - r) / tau. The sensor's lag is dy/dt = (T_die - y) / tau_s; with T_die a sum of exponentials its solution
is one too. Effective age runs by the Arrhenius factor exp(Ea / k (1/T_ref - 1/T_die)) of the mean temperature of a stretch; idle
time is taken in stretches that double from an eighth of the shorter time constant.
"""

from __future__ import annotations

from typing import NamedTuple

from tsu_emu.config import Energy, Thermal
from tsu_emu.jit import inner, kernel
from tsu_emu.noise.functions import exponential

BOLTZMANN_EV = 8.617333262e-5
"""Boltzmann's constant, eV/K (CODATA 2018)."""


class HeatModel(NamedTuple):
    """Constants of the die's heat flow; SI units.

    resistance, tau : of both poles, K/W and s; lag, s; reference_k; activation_k : activation energy over k, K; standby_w;
        epoch_s
    """

    resistance: tuple[float, float]
    tau: tuple[float, float]
    lag: float
    reference_k: float
    activation_k: float
    standby_w: float
    epoch_s: float


def make_heat_model(thermal: Thermal, energy: Energy, epoch_s: float) -> HeatModel:
    """The constants of a configuration."""
    activation = thermal.ageing_activation_ev / BOLTZMANN_EV
    return HeatModel(
        thermal.r_th_k_per_w, thermal.tau_s, thermal.sensor_lag_s, thermal.reference_k, activation, energy.standby_w, epoch_s
    )


@inner
def _stretch(model, rise0, rise1, lag, age, ambient, power, seconds):  # type: ignore[no-untyped-def]
    """Poles' rises (K), sensor lag (K) and age (s) after `seconds` at constant power."""
    end0, end1 = model.resistance[0] * power, model.resistance[1] * power
    a0, a1 = rise0 - end0, rise1 - end1
    s = model.lag
    b0, b1 = a0 * (model.tau[0] / (model.tau[0] - s)), a1 * (model.tau[1] / (model.tau[1] - s))
    final = ambient + end0 + end1
    e0, e1 = exponential(-seconds / model.tau[0]), exponential(-seconds / model.tau[1])
    rest = (lag - final) - b0 - b1
    new_lag = final + b0 * e0 + b1 * e1 + rest * exponential(-seconds / s)
    new0, new1 = end0 + a0 * e0, end1 + a1 * e1
    die = ambient + 0.5 * ((rise0 + rise1) + (new0 + new1))
    return new0, new1, new_lag, age + seconds * exponential(model.activation_k * (1.0 / model.reference_k - 1.0 / die))


@kernel
def heat_after(model, heat, ambient, energy, epochs, out):  # type: ignore[no-untyped-def]
    """out (5,) float64: rises of both poles, sensor lag, age and power `epochs` >= 1 epochs after `heat`, likewise.

    energy : J, spent in the first of them beyond standby
    """
    power = energy / model.epoch_s + model.standby_w
    r0, r1, lag, age = _stretch(model, heat[0], heat[1], heat[2], heat[3], ambient, power, model.epoch_s)
    left, piece = (epochs - 1) * model.epoch_s, 0.125 * min(model.tau[0], model.tau[1])
    while left > 0.0:
        piece = min(piece, left)
        r0, r1, lag, age = _stretch(model, r0, r1, lag, age, ambient, model.standby_w, piece)
        left, piece, power = left - piece, 2.0 * piece, model.standby_w
    out[0], out[1], out[2], out[3], out[4] = r0, r1, lag, age, power
