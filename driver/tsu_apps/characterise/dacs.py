"""The DACs behind couplings (or biases, on a chip without couplers), seen by ADC 0: staircase and settling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_apps.characterise.captures import REFERENCES, Dac, Step, after_writes, dac_of, references, spread_of
from tsu_apps.characterise.figures import MODEL, curves, label, panels
from tsu_apps.characterise.fits import Decays, fit_decays
from tsu_apps.characterise.lab import Lab
from tsu_apps.characterise.measurement import Measurement, Outcome
from tsu_apps.characterise.procedure import Procedure
from tsu_driver import Chip

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Real = NDArray[np.float64]
PASSES, PER_PASS = 16, 16
"""256 averages of a code; passes are spread over time, for levels that are stored leak and are written anew."""
GROUP = 8
"""Codes after which full scale is looked at again, so that common gain drops out."""
SETTLES = 64
"""Waits of CAP.SETTLE_CYCLES after which a DAC is taken as settled."""
UNKNOWN_INL = 0.5
"""LSB of an ADC whose nonlinearity was not measured."""


def endpoint_line(values: ArrayLike, lsb: float) -> tuple[Real, float, float]:
    """(INL (n,) in steps, offset in nominal LSB, gain) of a staircase (n,), codes ascending, about the line through its ends.

    The offset is the line's value at code 0, the middle of a signed DAC.
    """
    v = np.asarray(values, np.float64)
    step = (v[-1] - v[0]) / (len(v) - 1)
    inl = (v - v[0]) / step - np.arange(len(v))
    return inl, float((v[0] + step * (len(v) // 2)) / lsb), float(step / lsb)


class Straight(NamedTuple):
    """From mean codes of ADC 0 to its input, in ranges, its own nonlinearity taken out if that is known.

    means, places : mean codes and where in a perfect converter they lie, LSB; low, slope : of the references' line
    doubt : what is left of nonlinearity, LSB of the ADC
    """

    means: Real
    places: Real
    low: float
    slope: float
    doubt: float

    def level(self, codes: Real) -> Real:
        """Inputs of mean codes."""
        out: Real = REFERENCES[0] + (np.interp(codes, self.means, self.places) - self.low) / self.slope
        return out


def straight(lab: Lab) -> Straight:
    """By the INL that was measured before. Noise smooths the steps: the mean code of x is sum_c Phi((x - T_c) / noise)."""
    bits, known = lab.chip.capabilities.adc_bits, lab.known.get("adc.0.inl")
    spread = spread_of(lab, 0)
    noise = math.sqrt(max(spread**2 - 1 / 12, 0.2**2))
    ripple = math.exp(-2 * (math.pi * noise) ** 2) / math.pi
    inl = known.value if known is not None else np.zeros((1 << bits) - 1)
    doubt = ripple + (UNKNOWN_INL if known is None else 5 * float(known.error.max()))
    fine = 16
    pad = 4 * (1 + int(np.abs(inl).max()) + int(8 * noise)) * fine
    at = np.rint((np.arange(1, 1 << bits) + inl) * fine).astype(np.int64) + pad
    places = (np.arange((1 << bits) * fine + 2 * pad + 1) - pad) / fine
    x = np.arange(-int(8 * noise * fine) - 1, int(8 * noise * fine) + 2) / fine
    kernel = np.exp(-0.5 * (x / noise) ** 2)
    density = np.convolve(np.bincount(at, minlength=len(places)), kernel / kernel.sum(), "same")
    means = np.cumsum(density) - 0.5 * density
    keep = density > 1e-9
    low, high = np.interp(references(lab, 0, 4096), means[keep], places[keep])
    return Straight(means[keep], places[keep], float(low), float((high - low) / (REFERENCES[1] - REFERENCES[0])), doubt)


def _linearity(lab: Lab) -> Outcome:
    """Staircase of one DAC: INL, gain, offset."""
    chip, dac = lab.chip, dac_of(lab.chip)
    ruler, passes = straight(lab), lab.samples(PASSES)
    levels = np.array([_pass(chip, dac, ruler, lab, passes) for _ in range(max(passes, 4))])
    top = np.quantile(levels[:, 1], 0.95)
    stairs = levels[:, 0] * (top / levels[:, 1])
    left_out = max(1, len(stairs) // 8)
    inl, offset, gain = endpoint_line(np.sort(stairs, axis=0)[left_out:-left_out].mean(axis=0), dac.lsb)
    each = np.array([endpoint_line(s, dac.lsb)[0] for s in stairs])
    error = float(np.sqrt(np.mean(each.var(axis=0, ddof=1)) / len(each)))
    left, name = ruler.doubt * dac.adc_lsb, f"{dac.name} DAC {dac.element}"
    full, key = 1 << dac.bits - 1, f"{dac.name}_dac.{dac.element}"
    return Outcome(
        [
            Measurement.of(
                f"INL of {name}, end points", f"{key}.inl", inl, error, "LSB", max(0.1, 5 * error) + left, dac.codes, "code"
            ),
            Measurement.of(f"gain of {name}", f"{key}.gain", gain, error / full, "", (5 * error + 2 * left) / full + 0.002),
            Measurement.of(f"offset of {name}", f"{key}.offset_lsb", offset, error, "LSB", 5 * error + 2 * left + 0.05),
        ],
        lambda: _draw_staircase(dac, inl),
        "" if "adc.0.inl" in lab.known else "The ADC's own nonlinearity was not measured and is in the tolerance.",
    )


def _pass(chip: Chip, dac: Dac, ruler: Straight, lab: Lab, passes: int) -> Real:
    """(2, 2^bits) levels of all codes and, beside each, of full scale as it was then; kT."""
    settle, full = SETTLES * chip.capabilities.settle_cycles, int(dac.codes[-1])
    order: list[int] = []
    for k in range(0, len(dac.codes), GROUP):
        order += [full, *dac.codes[k : k + GROUP].tolist()]
    codes = after_writes(chip, dac, [Step(c, 0, c, settle) for c in order], PER_PASS + 2)[:, 2:]
    volts = (ruler.level(codes.mean(axis=1)) * dac.reach).reshape(-1, GROUP + 1)
    lab.step(1 / max(passes, 4))
    return np.stack([volts[:, 1:].ravel(), np.repeat(volts[:, 0], GROUP)])


def _draw_staircase(dac: Dac, inl: Real) -> Figure:
    figure, (axis,) = panels(1, 1, 2.8)
    curves(axis, dac.codes, [("", inl)], "-")
    label(axis, f"Integral nonlinearity of {dac.name} DAC {dac.element}, about its end points", "code", "INL  (LSB)")
    return figure


COARSE = tuple(1 << k for k in range(18))
"""Delays of the first ladder, cycles; a delay of 0 is as one of 1."""
REPEATS, POINTS = 48, 24


class Ladder(NamedTuple):
    """delay : (n,) cycles; level : (n,) LSB of the DAC; error : of one of them"""

    delay: Real
    level: Real
    error: float


class Stair(NamedTuple):
    """A DAC, how a converter's codes tell of it, and the cycles in which it settles."""

    chip: Chip
    dac: Dac
    ruler: Straight
    wait: int

    def climb(self, before: int, after: int, delays: Sequence[int], repeats: int) -> Ladder:
        """What the DAC puts out so many cycles after a write; all delays by turns, so that none sees another time of drift."""
        steps = [Step(before, self.wait, after, d) for _ in range(repeats) for d in delays]
        codes = after_writes(self.chip, self.dac, steps, 2)[:, 0].reshape(repeats, len(delays)).T.astype(np.float64)
        spread = math.sqrt(float(np.mean(codes.var(axis=1, ddof=1))) + 1 / 12)
        levels = self.ruler.level(codes.mean(axis=1)) * (self.dac.reach / self.dac.lsb)
        return Ladder(np.array(delays, np.float64), levels, spread / math.sqrt(repeats) * self.dac.adc_lsb)


def _settling(lab: Lab) -> Outcome:
    """Time constant of the output after a write, and the glitch for a bit that toggles."""
    chip, dac, hz, repeats = lab.chip, dac_of(lab.chip), lab.chip.capabilities.clock_hz, max(lab.samples(REPEATS), 8)
    low, high = int(dac.codes[0]), int(dac.codes[-1])
    key, name = f"{dac.name}_dac", f"{dac.name} DACs"
    stair = Stair(chip, dac, straight(lab), COARSE[-1])
    first = stair.climb(low, high, COARSE, 8)
    left = np.abs(first.level - first.level[-1])
    lab.step(0.3)
    if left[0] < 8 * first.error + 2 * stair.ruler.doubt * dac.adc_lsb:
        bound = float(COARSE[0] + chip.capabilities.adc_acquire_cycles) / hz
        zero = Measurement.of(f"settling of {name}", f"{key}.settling_s", 0.0, 0.0, "s", bound)
        return Outcome([zero], None, f"The output has settled by the first look, {bound * 1e9:.0f} ns after a write.")
    guess = max(1.0, float(np.interp(-left[0] / math.e, -left, COARSE)) - COARSE[0])
    stair = stair._replace(wait=int(20 * guess) + 1)
    delays = sorted({int(d) for d in np.linspace(1, 1 + 6 * guess, POINTS)})
    climbs = [stair.climb(a, b, delays, repeats) for a, b in ((low, high), (high, low))]
    fit = fit_decays(climbs[0].delay, np.array([c.level for c in climbs]), guess / 5, guess * 5)
    lab.step(0.4)
    tau, error = float(fit.tau[0]), float(fit.error[0])
    bend = stair.ruler.doubt * dac.adc_lsb / float(np.abs(fit.amplitude).min())
    glitch, glitch_error = _glitch(stair, fit, climbs[0].delay, repeats)
    lab.step(0.3)
    return Outcome(
        [
            Measurement.of(
                f"settling of {name}", f"{key}.settling_s", tau / hz, error / hz, "s", (5 * error + (0.02 + 2 * bend) * tau) / hz
            ),
            Measurement.of(
                f"glitch of {name}, a toggled bit",
                f"{key}.glitch_lsb",
                glitch,
                glitch_error,
                "LSB",
                5 * glitch_error + 0.1 * abs(glitch),
            ),
        ],
        lambda: _draw_settling(climbs, fit, hz),
    )


def _glitch(stair: Stair, fit: Decays, delays: Real, repeats: int) -> tuple[float, float]:
    """(kick for a bit that toggles, its standard error), LSB.

    From a code to the next at which all lower bits toggle, and back: the steps cancel, the kicks add. Steps over the full scale
    up and down, whose kicks cancel, tell how much of a step is left at delay 0.
    """
    below = int(stair.dac.codes[-1]) // 2
    bits = (below ^ (below + 1)).bit_count()
    early = [int(d) for d in delays if d <= 1 + 1.5 * fit.tau[0]]
    decay = np.exp(-np.array(early) / fit.tau[0])
    kicks, errors = [], []
    for a, b in ((below, below + 1), (below + 1, below)):
        ladder = stair.climb(a, b, [*early, *[stair.wait] * len(early)], 2 * repeats)
        left = ladder.level[: len(early)] - ladder.level[len(early) :].mean()
        kicks.append(float(left @ decay / (decay @ decay)))
        errors.append(ladder.error * math.sqrt(1 / (decay @ decay) + (decay.sum() / (decay @ decay)) ** 2 / len(early)))
    step = float(fit.level[0] - fit.level[1])
    share = abs(float(fit.amplitude[0, 0] - fit.amplitude[1, 0]) / 2 / step)
    return sum(kicks) / 2 / bits / share, math.hypot(*errors) / 2 / bits / share


def _draw_settling(climbs: list[Ladder], fit: Decays, hz: int) -> Figure:
    figure, (axis, log) = panels(1, 2, 3.0)
    for k, (ladder, name) in enumerate(zip(climbs, ("up", "down"), strict=True)):
        time = ladder.delay / hz * 1e9
        curves(axis, time, [(f"full scale {name}", ladder.level)] if k == 0 else [("", ladder.level)], "o")
        axis.plot(time, fit.curve[k], color=MODEL, linewidth=0.8)
        log.semilogy(time, np.abs(ladder.level - fit.level[k]), "o", color="#1f5f8b", markersize=3)
        log.semilogy(time, np.abs(fit.curve[k] - fit.level[k]), color=MODEL, linewidth=0.8)
    label(axis, "Output after a write, both ways", "delay  (ns)", "output  (LSB)")
    label(log, f"Distance from the end: {fit.tau[0] / hz * 1e9:.4g} ns", "delay  (ns)", "LSB")
    return figure


PROCEDURES: tuple[Procedure, ...] = (
    Procedure(
        "dac-linearity",
        "DAC nonlinearity",
        "Every code of one DAC through the multiplexer, 256 averages in 16 passes of which the extremes are left out, full "
        "scale beside each 8 codes so that gain that all codes share drops out; the ADC's own curve is taken out if it was "
        "measured. INL is about the end points. Accepted: .1 LSB, or 5 standard errors of the passes if that is more, and "
        "what is left of the ADC's curve: 5 of its standard errors, or half an LSB of it if it was not measured.",
        _linearity,
        adc=True,
    ),
    Procedure(
        "dac-settling",
        "DAC settling",
        "Write, wait, sample: a ladder of delays after full-scale steps both ways, 48 writes for each point, and one "
        "exponential through them. The glitch comes from steps by one code at which all lower bits toggle. Accepted: 5 "
        "standard errors of the fit, 2 %, and the share of the step that may be the ADC's nonlinearity (glitch: 10 %).",
        _settling,
        adc=True,
    ),
)  # fmt: skip
