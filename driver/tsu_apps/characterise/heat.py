"""Heat: the die's time constants and resistances, the sensor's lag, and what the temperature code makes of the cells."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_apps.characterise.figures import MODEL, curves, label, panels, with_errors
from tsu_apps.characterise.fits import Decays, fit_decays
from tsu_apps.characterise.lab import Lab, have_patience
from tsu_apps.characterise.measurement import Measurement, Outcome
from tsu_apps.characterise.procedure import Procedure
from tsu_apps.characterise.spins import KINDS, slopes, sweeps_within
from tsu_contract.capabilities import LSB_SCALE
from tsu_driver import Chip
from tsu_driver.device import SENSOR_STEPS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Real = NDArray[np.float64]
REST_S = 100.0
"""Before the first step, so that warming by standby power is over."""
AMBIENT_STEP_K = 20.0
LOOKS = 600
FIRST_RUN_S, GROWTH = 1e-3, 2.0
"""The chip runs for a millisecond, then twice as long each time, until it grows no hotter or UPDATES are spent."""
UPDATES = 300_000_000
VISIBLE = 12.0
"""Rise that a fit of time constants needs, in standard deviations of a reading."""


class Trace(NamedTuple):
    """seconds : (n,) chip time from a step; kelvin : (n,) what the sensor showed"""

    seconds: Real
    kelvin: Real


def _trace(chip: Chip, begin: int, ends: Real) -> Trace:
    """The sensor at times `ends` (n,), s after cycle `begin`, or as soon as may be."""
    batch, hz = chip.batch(), chip.capabilities.clock_hz
    have_patience(chip, float(ends[-1]))
    looks = []
    for end in ends:
        batch.delay_until(begin + round(float(end) * hz))
        looks.append((batch.read("SYS.CYCLE"), batch.read("TEMP.SENSOR")))
    batch.execute()
    cycles, steps = (np.array([look[k].value for look in looks], np.float64) for k in (0, 1))
    return Trace((cycles - begin) / hz, steps / SENSOR_STEPS)


class Lag(NamedTuple):
    """The sensor's answer to a step of the ambient, and its fit."""

    trace: Trace
    fit: Decays


def _lag(lab: Lab) -> Lag | None:
    """From a step of the ambient temperature there and back, which the die follows at once; None without instruments."""
    if lab.instruments is None:
        return None
    ambient, chip = lab.instruments.read().ambient_k, lab.chip
    begin = lab.instruments.ambient(ambient + AMBIENT_STEP_K).cycle
    seconds, kelvin = np.empty(0), np.empty(0)
    for decade in range(-4, 4):
        part = _trace(chip, begin, np.geomspace(10.0**decade, 10.0 ** (decade + 1), 20))
        seconds, kelvin = np.append(seconds, part.seconds), np.append(kelvin, part.kelvin)
        if kelvin[-1] - kelvin[0] > 0.97 * AMBIENT_STEP_K:
            break
    share = np.maximum.accumulate(np.clip((kelvin - kelvin[0]) / AMBIENT_STEP_K, 0, 2))
    guess = float(np.interp(1 - math.exp(-1), share, seconds))
    begin = lab.instruments.ambient(ambient).cycle
    trace = _trace(chip, begin, np.linspace(0, 8 * guess, max(lab.samples(LOOKS), 100)))
    return Lag(trace, fit_decays(trace.seconds, trace.kelvin, guess / 8, 8 * guess))


class Warm(NamedTuple):
    """How the chip cooled: trace; watts : power before, beyond standby; seconds : for how long

    rise : the sensor's, K; scatter : standard deviation of a reading, K
    """

    trace: Trace
    watts: float
    seconds: float
    rise: float
    scatter: float


def _warm_up(lab: Lab) -> Warm:
    """Run until it grows no hotter, or too much work has been done; then let it cool."""
    chip, cap = lab.chip, lab.chip.capabilities
    sweep = cap.sweep_time(cap.planes, correlate=False)
    spent, most = 0, lab.samples(UPDATES)
    cold, before = chip.die_temperature(), chip.energy()
    begin, length, rises = chip.time_cycles, FIRST_RUN_S, [0.0]
    while True:
        sweeps = max(1, round(length * cap.clock_hz / sweep))
        if spent + sweeps * cap.cells * cap.planes > most:
            break
        chip.run(sweeps)
        spent += sweeps * cap.cells * cap.planes
        rises.append(chip.die_temperature() - cold)
        if (
            len(rises) > 6
            and rises[-1] > 1.0
            and rises[-1] - rises[-2] < 0.02 * rises[-1]
            and rises[-1] - rises[-3] < 0.04 * rises[-1]
        ):
            break
        length *= GROWTH
    end, after = chip.time_cycles, chip.energy()
    seconds = (end - begin) / cap.clock_hz
    joules = (after.total_j - after.standby_j) - (before.total_j - before.standby_j)
    looks = max(lab.samples(LOOKS), 150)
    trace = _trace(chip, end, 6 * seconds * np.linspace(1 / looks, 1, looks) ** 2)
    last = trace.kelvin[-looks // 6 :]
    scatter = max(float(last.std()), 1 / SENSOR_STEPS)
    return Warm(trace, joules / seconds, seconds, float(trace.kelvin[:5].mean() - last.mean()), scatter)


def _thermal(lab: Lab) -> Outcome:
    """Lag, time constants, resistances."""
    lab.wait(REST_S)
    lag = _lag(lab)
    lab.step(0.3)
    found, notes = [], []
    if lag is not None:
        tau, error = float(lag.fit.tau[0]), float(lag.fit.error[0])
        found.append(
            Measurement.of("lag of the temperature sensor", "thermal.sensor_lag_s", tau, error, "s", 5 * error + 0.05 * tau)
        )
    warm = _warm_up(lab)
    lab.step(0.7)
    if warm.rise < VISIBLE * warm.scatter:
        notes.append(f"Running warms the sensor by {warm.rise:.2g} K at {warm.watts:.2g} W, too little for time constants.")
        return Outcome(
            found, None if lag is None else lambda: _draw([("ambient step back", lag.trace, lag.fit)]), " ".join(notes)
        )
    fit, poles = _poles(warm, float(lag.fit.tau[0]) if lag is not None else 0.0)
    found += poles
    traces = [("cooling", warm.trace, fit)] + ([("ambient step back", lag.trace, lag.fit)] if lag is not None else [])
    if lag is None:
        notes.append("Without instruments the sensor's lag is not told from the die's time constants.")
    return Outcome(found, lambda: _draw(traces), " ".join(notes))


def _poles(warm: Warm, lag: float) -> tuple[Decays, list[Measurement]]:
    """One or two time constants of the cooling, and the resistances that go with them.

    A pole that was driven with P for a time D has risen by R P (1 - exp(-D / tau)); the sensor shows tau / (tau - lag) of it.
    """
    t, y = warm.trace.seconds, warm.trace.kelvin
    fixed = [lag] if lag else []
    low, high = max(2.5 * lag, 4 * float(t[0])), 3 * warm.seconds
    one, two = (fit_decays(t, y, low, high, count, fixed) for count in (1, 2))
    distinct = two.tau[1] > 2 * two.tau[0] and np.all(two.error < 0.2 * two.tau)
    fit = two if distinct and two.rms**2 * (len(t) - 6) < (one.rms**2 * (len(t) - 4)) * (1 - 20 / len(t)) else one
    sigma = fit.rms
    resistances = []
    for k, tau in enumerate(fit.tau):
        shown = float(fit.amplitude[0, k]) * (1 - lag / tau)
        resistances.append(shown / (warm.watts * -math.expm1(-warm.seconds / tau)))
    names = ("fast", "slow")[2 - len(fit.tau) :]
    found = []
    for name, tau, error in zip(names, fit.tau, fit.error, strict=True):
        found.append(
            Measurement.of(f"{name} time constant of the die", f"thermal.tau_{name}_s", tau, error, "s", 5 * error + 0.03 * tau)
        )
    total, error = sum(resistances), 3 * sigma / math.sqrt(len(t)) / warm.watts
    found.append(Measurement.of("thermal resistance", "thermal.r_th_k_per_w", total, error, "K/W", 5 * error + 0.05 * total))
    return fit, found


def _draw(traces: list[tuple[str, Trace, Decays]]) -> Figure:
    figure, axes = panels(1, len(traces), 3.0)
    for axis, (name, trace, fit) in zip(axes, traces, strict=True):
        shown = trace.seconds < 8 * fit.tau[-1]
        unit, text = (1e3, "ms") if trace.seconds[shown][-1] < 1 else (1.0, "s")
        curves(axis, trace.seconds[shown] * unit, [("", trace.kelvin[shown])], ".")
        axis.plot(trace.seconds[shown] * unit, fit.curve[0, shown], color=MODEL, linewidth=1.0)
        constants = ", ".join(f"{tau * unit:.3g} {text}" for tau in fit.tau)
        label(axis, f"{name.capitalize()}: {constants}", f"time  ({text})", "sensor  (K)")
    return figure


T_CODES = 10
BIAS_KT = 0.75


def _temperature(lab: Lab) -> Outcome:
    """Gain and offset of the noise temperature against its code."""
    chip, lsb = lab.chip, lab.chip.capabilities.temp_lsb * LSB_SCALE
    top = (1 << chip.capabilities.temp_bits) - 1
    codes = np.unique(np.rint(np.linspace(max(0.5 / lsb, 1), min(3.0 / lsb, top), T_CODES)).astype(int))
    sweeps = sweeps_within(lab, UPDATES, 2 * len(codes), 1 << 8)
    heard = []
    for code in codes:
        chip.set_temperature(float(code) * lsb)
        heard.append(slopes(lab, BIAS_KT, sweeps))
        lab.step(1 / len(codes))
    chip.set_temperature(1.0)
    each = np.array(heard)
    good = ~np.isnan(each).any(axis=0)
    mean = each[:, good].mean(axis=1)
    noise = np.sqrt(2 / (chip.capabilities.planes * sweeps * good.sum())) / BIAS_KT / 2 / mean * np.cosh(BIAS_KT / (codes * lsb))
    seen, error = 1 / mean, noise / mean
    line, covariance = np.polyfit(codes * lsb, seen, 1, w=1 / error, cov="unscaled")
    gain, offset = float(line[0]), float(line[1] / line[0])
    unit = float(each[:, good].mean(axis=0).std() / mean.mean() / math.sqrt(good.sum()))
    residual = max(
        1.0, float(np.sqrt(np.mean(((seen - np.polyval(line, codes * lsb)) / error) ** 2) * len(codes) / (len(codes) - 2)))
    )
    gain_error = math.hypot(residual * math.sqrt(covariance[0, 0]), unit * gain)
    offset_error = residual * math.sqrt(covariance[1, 1]) / gain
    return Outcome(
        [
            Measurement.of("gain of the noise temperature", "temperature.gain", gain, gain_error, "", 5 * gain_error + 0.01),
            Measurement.of(
                "offset of the noise temperature", "temperature.offset", offset, offset_error, "", 5 * offset_error + lsb / 4
            ),
        ],
        lambda: _draw_temperature(codes * lsb, seen, error, line),
    )


def _draw_temperature(codes: Real, seen: Real, error: Real, line: Real) -> Figure:
    figure, (axis, rest) = panels(1, 2, 3.0)
    with_errors(axis, codes, seen, error, "")
    axis.plot(codes, np.polyval(line, codes), color=MODEL, linewidth=0.9)
    label(axis, "Noise temperature that the cells show", "temperature code  (T)", "T of the cells")
    with_errors(rest, codes, seen - np.polyval(line, codes), error, "")
    label(rest, "Distance from the line", "temperature code  (T)", "T")
    return figure


PROCEDURES: tuple[Procedure, ...] = (
    Procedure(
        "thermal",
        "Heat",
        "The chip rests for 100 s. The ambient 20 K up and back shows the sensor's lag (with instruments). The chip then runs "
        "until it grows no hotter, or for 300 million updates, and cools; one or two exponentials through the sensor's "
        "readings, the lag's being known. Accepted: 5 standard errors of the fit and 3 % (lag and resistance 5 %).",
        _thermal,
    ),
    Procedure(
        "temperature",
        "Noise temperature",
        "Slopes of loose cells, from mean spins at +-.75 kT, at ten temperature codes: their inverse is the noise temperature "
        "in units of the bias, a straight line of the code. Its offset needs no other scale; its gain is to the scatter of "
        "slopes and bias DACs over the cells. Accepted: 5 standard errors, and a quarter step of the code (gain 1 %).",
        _temperature,
        kinds=KINDS,
    ),
)  # fmt: skip
