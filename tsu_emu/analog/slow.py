"""What becomes of converter outputs in time: transients after a write, leaking levels, common gains."""

from __future__ import annotations

import numpy as np

from tsu_emu.analog.dac import SPAN, at
from tsu_emu.jit import inner, kernel
from tsu_emu.noise.functions import exponential
from tsu_emu.noise.normal import normal_of
from tsu_emu.noise.threefry import threefry

U = np.uint32
EXP_IS_ZERO = 746.0
SETTLED_AFTER = 14.0
"""Time constants after which a transient, then below a millionth, is over."""


@inner
def _left(cycles, tau_cycles):  # type: ignore[no-untyped-def]
    """What is left of a transient after so many cycles."""
    age = np.float64(cycles) / tau_cycles
    # e^-age is exactly 0 from there on, and the product that underflows to it is many times slower than any other
    return exponential(-age) if age < EXP_IS_ZERO else 0.0


@inner
def _fade(volts, kicks, written, now, tau_cycles):  # type: ignore[no-untyped-def]
    """`kick` of converters whose codes stay, all of them last written at one time."""
    part = _left(now - written[0], tau_cycles)
    for k in range(volts.size):
        kicks[k] = np.float32((volts[k] + np.float64(kicks[k]) * part) - volts[k])
    for k in range(volts.size):
        written[k] = now


@inner
def _stay(codes, codes_before, written):  # type: ignore[no-untyped-def]
    """Whether codes stay and all were last written at one time."""
    others = np.int64(0)
    for k in range(codes.size):
        others += np.int64(codes[k] != codes_before[k]) + np.int64(written[k] != written[0])
    return others == 0


@kernel
def kick(volts, before, codes, codes_before, kicks, written, times, tau_cycles, glitch, lines):  # type: ignore[no-untyped-def]
    """Transients of converters written at cycles `times` (n or 1,) int64: kicks (n,) float32 and written (n,) int64 are updated.

    volts, before : (n,) float64, outputs that the new and the old codes settle to; glitch : kick for each code line that toggles
    lines : mask of the code's bits
    An output is volts + kick exp(-(t - written) / tau): it starts where it was, displaced by the glitch.
    """
    for base in range(0, volts.size, SPAN):
        stop = min(base + SPAN, volts.size)
        if times.size == 1 and _stay(codes[base:stop], codes_before[base:stop], written[base:stop]):
            _fade(volts[base:stop], kicks[base:stop], written[base:stop], times[0], tau_cycles)
            continue
        for k in range(base, stop):
            now = at(times, k)
            left = np.float64(kicks[k]) * _left(now - written[k], tau_cycles)
            toggled, bits = (np.int64(codes[k]) ^ np.int64(codes_before[k])) & lines, 0
            while toggled:
                bits += 1
                toggled = toggled & (toggled - 1)
            kicks[k] = np.float32(((before[k] + left) - volts[k]) + glitch * bits)
            written[k] = now


@kernel
def outputs_now(volts, kicks, written, now, tau_cycles, level_error, factor, out):  # type: ignore[no-untyped-def]
    """out (n,) float64: outputs at cycle `now`, kT.

    kicks, written : as in `kick`, of size 0 without transients, or when all are over
    level_error : (n or 1,) float64, error of the stored level, kT
    factor : float64, common gain
    """
    if kicks.size == 0:
        for k in range(volts.size):
            out[k] = (volts[k] + at(level_error, k)) * factor
        return
    since, part = np.int64(-1), 0.0
    for k in range(volts.size):
        v = volts[k]
        if now - written[k] != since:
            since = now - written[k]
            age = np.float64(since) / tau_cycles
            part = exponential(-age) if age < SETTLED_AFTER else 0.0
        if part > 0.0:
            v = v + np.float64(kicks[k]) * part
        out[k] = (v + at(level_error, k)) * factor


@kernel
def output_at(volts, kicks, written, times, tau_cycles, level_error, factor, out):  # type: ignore[no-untyped-def]
    """out (n,) float64: output of one converter, arrays of size 1 as in `outputs_now`, at `times` (n,) int64, cycles."""
    for k in range(times.size):
        outputs_now(volts, kicks, written, times[k], tau_cycles, level_error, factor, out[k : k + 1])


@kernel
def refresh_errors(sigma, bank, number, key, out):  # type: ignore[no-untyped-def]
    """out (n,) float64: sigma times the deviates of refresh `number` of a bank's levels; counter (element, bank, number lo,
    hi).
    """
    for k in range(out.size):
        a, b, _, _ = threefry(U(k), U(bank), U(number & 0xFFFFFFFF), U(number >> 32), key[0], key[1], key[2], U(0))
        out[k] = sigma * normal_of(a, b)
